"""The access log: one line for every exchange, whatever became of it and whatever is in it."""

import asyncio
import json
import re
import select
from pathlib import Path

import pytest
from exchanges import ID, PRINCIPAL, Clock, Kept, make_exchange, make_inbound
from hypothesis import given
from hypothesis import strategies as st

from gateway.exchange import Exchange
from gateway.model import Credential, Kind, Principal, Stage
from gateway.records.access import AccessLog
from gateway.records.describing import FIELDS, Describe, decision
from gateway.records.masking import Pseudonyms
from gateway.records.rendering import render_lines

PSEUDONYMS = Pseudonyms(b"k" * 16)


def make_describe(**given: object) -> Describe:
    return Describe(PSEUDONYMS, **{"worker": 2, "boot": "b00t", "via": {"medical-insurance": "ferry"}} | given)


def line_of(exchange: Exchange, **given: object) -> bytes:
    (lines, count), _ = render_lines(None, "write", make_describe(**given)(None, "write", {"exchanges": [exchange]}))
    assert count == 1
    return lines


def record_of(exchange: Exchange, **given: object) -> dict:
    return json.loads(line_of(exchange, **given))


async def make_log(kept: Kept, counted: list | None = None, limit: int = 1000) -> AccessLog:
    count = (counted if counted is not None else []).extend
    return AccessLog(kept, count, make_describe(), asyncio.get_running_loop(), limit)


def test_a_carried_request_is_told_whole():
    assert record_of(make_exchange()) == {
        "event": "request",
        "timestamp": "2023-11-15T06:13:20.250+08:00",
        "trace.id": ID,
        "worker": 2,
        "boot": "b00t",
        "seq": 1,
        "config_generation": 5,
        "config_revision": "8d1f02d7a6b3",
        "client.address": "192.0.2.7",
        "user_agent.original": "curl/8.5",
        "http.request.method": "GET",
        "http.route": "/medical/settlements/{settlement_id}",
        "url.path": "/medical/settlements/7",
        "http.response.status_code": 200,
        "http.request.body.size": 10,
        "http.response.body.size": 1024,
        "channel": "web",
        "item.code": "11440100696927671X3442011817001",
        "item.category": "medical",
        "system": "medical-insurance",
        "via": "ferry",
        "decision": "carried",
        "stage": "relay",
        "chain": "province-jwt:remembered, assurance:allow",
        "verifier": "province-jwt",
        "subject": PSEUDONYMS.of("https://id.province.example", "person-1"),
        "subject_type": "natural",
        "assurance": 3,
        "attempt": 1,
        "outcome": "delivered",
        "ms.verify": 1.0,
        "ms.reauthorize": 1.0,
        "ms.forward": 1.0,
        "ms.relay": 1.0,
        "ms.total": 8.0,
    }


def test_a_request_that_the_parser_refused_has_a_record():
    exchange = Exchange(ID, 1.0, "192.0.2.7", Clock())
    exchange.code, exchange.reason, exchange.status = "request-malformed", "two Content-Length fields", 400
    exchange.close()
    record = record_of(exchange)
    assert (record["decision"], record["stage"], record["code"]) == ("refused", "read", "request-malformed")
    assert record["client.address"] == "192.0.2.7"
    assert not {"url.path", "item.code", "subject", "channel", "http.route"} & record.keys()


def test_every_field_can_occur_and_no_other():
    exchange = make_exchange(
        inbound=make_inbound(query="page=2"),
        credential=Credential("app", None, "ak-1"),
        principal=Principal("i", "unit", Kind.LEGAL, 3, 2e9, operator="clerk", verifier="v"),
        code="x", reason="y", client_gone=True,
    )  # fmt: skip
    assert set(record_of(exchange, query_parameters=("page",))) == set(FIELDS)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "carried"),
        ({"status": 404}, "carried"),
        ({"status": 403, "code": "forbidden", "stage": Stage.REAUTHORIZE}, "refused"),
        ({"status": 429, "code": "rate-limited", "stage": Stage.THROTTLE}, "refused"),
        ({"status": 404, "code": "upstream-invalid"}, "failed"),
        ({"status": 503, "code": "province-unreachable"}, "failed"),
        ({"status": 200, "code": "upstream-invalid"}, "failed"),
        ({"status": 0}, "failed"),
        ({"client_gone": True}, "left"),
        ({"client_gone": True, "code": "forbidden", "status": 403}, "left"),
    ],
)
def test_the_decision_follows_from_status_and_code(changes, expected):
    assert decision(make_exchange(**changes)) == expected


def test_a_trusted_proxys_word_on_the_client_is_recorded():
    assert record_of(make_exchange(inbound=make_inbound(client="198.51.100.9")))["client.address"] == "198.51.100.9"


def test_the_operator_is_a_pseudonym_that_fits_the_same_person_elsewhere():
    acting = Principal("i", "unit-1", Kind.LEGAL, 3, 2e9, operator="clerk", verifier="v")
    herself = Principal("i", "clerk", Kind.NATURAL, 3, 2e9, verifier="v")
    assert (
        record_of(make_exchange(principal=acting))["operator"] == record_of(make_exchange(principal=herself))["subject"]
    )


def test_identifiers_and_secrets_do_not_reach_the_record():
    token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln"
    exchange = make_exchange(
        inbound=make_inbound(
            path="/persons/11010519491231002X",
            query=f"access_token={token}&phone=13800138000&page=2",
            fields={
                b"user-agent": b"app/1 13800138000",
                b"authorization": f"Bearer {token}".encode(),
                b"cookie": b"s3cr",
            },
        ),
        credential=Credential("app", token, "13800138000"),
        principal=Principal("i", "440524188001010014", Kind.NATURAL, 3, 2e9, operator="11010519491231002X"),
        reason=f"token {token} of li.na@example.org expired",
        verdicts=[("v", f"deny: {token}")],
    )
    line = line_of(exchange, query_parameters=("page", "phone", "access_token")).decode()
    for secret in (token, "13800138000", "11010519491231002", "440524188001010014", "s3cr", "li.na", "eyJ"):
        assert secret not in line


def test_bytes_that_are_not_ascii_are_shown_and_cost_no_record():
    inbound = make_inbound(fields={b"user-agent": b"evil\xff\x00\r\n\xe4\xb8\xad\"'"})
    line = line_of(make_exchange(inbound=inbound, reason="原因\ud800\x00"))
    assert line.isascii()
    assert line.count(b"\n") == 1
    record = json.loads(line)
    assert record["user_agent.original"] == "evil\\xff\x00\r\n\\xe4\\xb8\\xad\"'"
    assert record["reason"].startswith("原因")


@given(agent=st.binary(max_size=600), reason=st.text(st.characters(), max_size=900), path=st.text(max_size=900))
def test_a_line_is_ascii_and_fits_into_a_pipe_at_once(agent, reason, path):
    """Beyond PIPE_BUF the lines of two workers could mix."""
    exchange = make_exchange(inbound=make_inbound(path="/" + path, fields={b"user-agent": agent}), reason=reason)
    line = line_of(exchange)
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert len(line) <= select.PIPE_BUF
    assert json.loads(line)["trace.id"] == ID


def test_the_longest_record_fits_into_a_pipe_at_once():
    everything = "x" * 40_000
    exchange = make_exchange(
        inbound=make_inbound(path="/" + "a" * 8000, query="page=" + "1-" * 4000, fields={b"user-agent": b"u" * 30_000}),
        credential=Credential("a" * 63, None, everything),
        principal=Principal("i", everything, Kind.LEGAL, 3, 2e9, operator=everything, verifier="v" * 63),
        reason=everything,
        verdicts=[("part", everything)] * 20,
        code="c" * 63,
    )
    record = json.loads(line := line_of(exchange, query_parameters=("page",)))
    assert len(line) <= select.PIPE_BUF
    assert (len(record["user_agent.original"]), len(record["url.path"]), len(record["reason"])) == (256, 512, 512)


def test_what_a_plugin_got_wrong_does_not_cost_the_record():
    broken = Principal("i", "s", Kind.NATURAL, {1}, 2e9, operator=["not", "hashable"])
    record = record_of(make_exchange(principal=broken))
    assert record["trace.id"] == ID
    assert record["reason"] == "record incomplete: TypeError"


def test_seq_counts_the_records_of_one_worker():
    describe = make_describe()
    exchanges = [make_exchange() for _ in range(3)]
    told = [fields["seq"] for fields, _ in describe(None, "write", {"exchanges": exchanges})["records"]]
    assert told == [1, 2, 3]


def test_times_of_different_seconds_are_written_right():
    exchanges = [make_exchange(began_at=at) for at in (0.0, 0.999, 86399.5, 0.0)]
    records = make_describe()(None, "write", {"exchanges": exchanges})["records"]
    stamps = [fields["timestamp"] for fields, _ in records]
    assert stamps == [
        "1970-01-01T08:00:00.000+08:00",
        "1970-01-01T08:00:00.999+08:00",
        "1970-01-02T07:59:59.500+08:00",
        "1970-01-01T08:00:00.000+08:00",
    ]


async def test_records_are_written_in_batches_a_moment_later():
    kept, counted = Kept(), []
    log = await make_log(kept, counted)
    for _ in range(10):
        log.write(make_exchange())
    assert kept.count == 0
    await asyncio.wait_for(kept.written.wait(), 2.0)
    assert [json.loads(line)["seq"] for line in kept.lines.splitlines()] == list(range(1, 11))
    assert len(counted) == 10


async def test_many_records_do_not_wait_for_the_timer():
    kept = Kept()
    log = await make_log(kept)
    for _ in range(257):
        log.write(make_exchange())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert kept.count == 257


async def test_draining_flushes_what_waits_at_once_and_nothing_twice():
    kept = Kept()
    log = await make_log(kept)
    log.write(make_exchange())
    log.flush()
    log.flush()
    assert kept.count == 1


async def test_a_stalled_loop_loses_beyond_the_bound_and_leaves_a_gap_in_seq():
    kept = Kept()
    log = await make_log(kept, limit=3)
    for _ in range(5):
        log.write(make_exchange())
    log.flush()
    log.write(make_exchange())
    log.flush()
    assert log.lost == 2
    assert kept.count == 4
    seqs = [json.loads(line)["seq"] for line in kept.lines.splitlines()]
    assert seqs[-1] == 6


async def test_a_count_of_metrics_that_breaks_costs_no_record():
    kept = Kept()

    def broken(_: list[Exchange]) -> None:
        raise RuntimeError

    log = AccessLog(kept, broken, make_describe(), asyncio.get_running_loop())
    log.write(make_exchange())
    with pytest.raises(RuntimeError):
        log.flush()
    assert kept.count == 1


def test_every_field_is_in_the_documentation_and_in_its_order():
    text = (Path(__file__).parents[2] / "docs" / "records.md").read_text(encoding="utf-8")
    table = text.split("## Fields of an access record")[1].split("\n## ")[0]
    assert tuple(re.findall(r"^\| `([a-z_.]+)` \|", table, re.MULTILINE)) == FIELDS


def test_the_stages_with_a_time_of_their_own_are_stages():
    assert {f"ms.{stage}" for stage in Stage} > {name for name in FIELDS if name.startswith("ms.")} - {"ms.total"}


def test_a_principal_shows_no_subject_in_the_clear():
    assert PRINCIPAL.subject.encode() not in line_of(make_exchange())
