"""bench/load.py and bench/paced.py: what is counted, and what would be hidden by counting carelessly."""

import asyncio
import re
from collections import Counter

import pytest

from bench import paced
from bench.load import CONNECTIONS, burst, parse_report
from bench.world import Cores, Issuer, World

PRINTED = """Running 2s test @ http://127.0.0.1:1/
  12 requests in 2.00s
{"requests":12,"microseconds":2000000,"bad_status":%d,"socket_errors":%d,"p50":1500,"p99":2500}
"""


def test_a_report_of_wrk_is_read_in_requests_per_second_and_milliseconds():
    seen = parse_report(PRINTED % (0, 0))

    assert (seen.rate, seen.p50_ms, seen.p99_ms, seen.flaw) == (6.0, 1.5, 2.5, None)


@pytest.mark.parametrize(("bad", "broken", "flaw"), [(3, 0, "3 answers were not 2xx"), (0, 2, "2 connections failed")])
def test_a_single_bad_answer_or_connection_is_a_flaw(bad, broken, flaw):
    assert flaw == parse_report(PRINTED % (bad, broken)).flaw


def test_wrk_without_its_report_is_an_error():
    with pytest.raises(ValueError, match="no report"):
        parse_report("unable to connect\n")


@pytest.mark.needs("wrk", "setpriv", "taskset")
async def test_many_credentials_are_used_in_turn(tmp_path):
    """One connection after the other asks with the next one, so that none is asked with more often than others."""
    asked: Counter[bytes] = Counter()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.read(65536):
            asked[re.findall(rb"Cookie: (.+)\r\n", head)[0]] += 1
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port, core = server.sockets[0].getsockname()[1], Cores.of_this_machine().load
    world = World(Cores(core, core), Issuer(["token"], tmp_path, tmp_path), 9, "")
    credentials = [("Cookie", f"sid={number}") for number in range(5)]
    seen = await asyncio.to_thread(burst, world, port, 1, tmp_path, "/", credentials)
    server.close()

    assert (seen.flaw, 5) == (None, len(asked))
    assert max(asked.values()) - min(asked.values()) <= CONNECTIONS


async def test_a_stall_counts_for_every_request_that_was_due_while_it_lasted():
    """A loader that waits for answers before it asks again sees one slow request on each connection, and no more."""
    answered, moving = 0, asyncio.Event()
    moving.set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answered
        while await reader.read(65536):
            answered += 1
            if answered == 100:
                moving.clear()
                asyncio.get_running_loop().call_later(0.3, moving.set)
            await moving.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    order: paced.Order = {
        "port": server.sockets[0].getsockname()[1],
        "request": "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "rate": 500,
        "seconds": 0.8,
        "warmup": 0.0,
    }
    tally = await asyncio.to_thread(paced.run, order)
    server.close()

    assert (len(tally["latencies_us"]), tally["bad_status"], tally["unanswered"]) == (400, 0, 0)
    assert sum(latency > 50_000 for latency in tally["latencies_us"]) > paced.CONNECTIONS
