"""One request on paper: what is asked, what is found out, and what would go inward. Nothing is sent."""

import hashlib
import hmac
import json
import time

import pytest

from gateway.explain.paper import explain
from gateway.explain.question import Question, parse_principal
from gateway.model import Credential, Inbound
from tests.building_parts import Gate, Life
from tests.cli.conftest import run
from tests.configuration.conftest import identity, world

__all__ = ["identity", "run", "world"]

CITIZEN = parse_principal("subject=citizen-1,kind=natural,assurance=3")


@pytest.fixture
def open_world(world):
    """The usual world, with a channel that recognises everybody and a verifier that works once it was started."""
    Life.told.clear()
    world.edit("policy.yaml", "tests.configuration.config_parts:Door", "tests.building_parts:Gate")
    world.edit("policy.yaml", "{window: 5m}", "{label: door}")
    world.edit("policy.yaml", "tests.configuration.config_parts:Desk", "tests.building_parts:Started")
    return world


def asked(world, url: str, **question):
    return explain(world.path, Question(question.pop("method", "GET"), url, **question))


def verdicts(explanation) -> dict[str, str]:
    return {step.stage: step.verdict for step in explanation.steps}


def test_a_token_is_judged_by_verifiers_that_were_started_and_are_stopped_again(open_world):
    explained = asked(open_world, "/medical/settlements/1", token="citizen-1")

    assert explained.carried
    [verify] = [step for step in explained.steps if step.stage == "verify"]
    assert verify.details == ("desk: verified", "principal: natural person citizen-1, assurance 3")
    assert Life.told.count("start desk") == Life.told.count("stop desk") == 1


def test_re_authorizers_are_told_apart_from_verifiers(open_world):
    explained = asked(open_world, "/medical/settlements/1", principal=CITIZEN)

    details = {step.stage: step.details for step in explained.steps}
    assert details["verify"][0] == "asserted: believed"
    assert details["reauthorize"] == ("assurance: allow", "owner-switch: allow")


class Office(Gate):
    """A channel that tells which certificate it saw; its `use` is tests.test_explain:Office."""

    async def identify(self, inbound: Inbound) -> Credential | None:
        Life.told.append(f"certificate {inbound.certificate}")
        return await super().identify(inbound)


def test_a_client_certificate_can_be_assumed(open_world, run):
    """Parts see it as they see one that a trusted proxy has checked; a header field says nothing here either."""
    open_world.edit("policy.yaml", "tests.building_parts:Gate", "tests.test_explain:Office")
    run("explain", "GET", "/guides/1", "--certificate", "0A:" * 31 + "FF")
    run("explain", "GET", "/guides/1", "-H", "Client-Cert: :MAMCAQE=:")
    assert [told for told in Life.told if "certificate" in told] == [f"certificate {'0a' * 31}ff", "certificate None"]


def test_parts_are_stopped_when_the_question_is_none(open_world):
    with pytest.raises(ValueError, match="no HTTP request"):
        asked(open_world, "/a b\r\nc", method="G ET")
    assert Life.told.count("start desk") == Life.told.count("stop desk")


def test_nothing_is_relayed_because_nothing_was_sent(open_world):
    explained = asked(open_world, "/guides/1")

    assert verdicts(explained)["relay"] == "not sent"
    assert verdicts(explained)["forward"] == "passed"


def test_what_goes_inward_across_the_ferry_is_what_its_allow_list_leaves(open_world):
    headers = (("accept", "application/json"), ("accept-language", "zh"), ("x-other", "1"))
    explained = asked(open_world, "/medical/settlements/1", headers=headers, principal=CITIZEN)

    fields = dict(explained.fields)
    assert fields["tongguan-identity"] == "signed for this request"
    assert fields["accept"] == "application/json"
    assert not {"accept-language", "x-other", "x-forwarded-for"} & fields.keys()
    assert {"traceparent", "x-request-id"} <= fields.keys()


def test_what_goes_inward_directly_says_that_an_assertion_is_signed(open_world):
    open_world.edit("policy.yaml", "system: inside", "system: outside")
    signed = asked(open_world, "/medical/settlements/1", principal=CITIZEN)
    nobody = asked(open_world, "/guides/1")

    assert dict(signed.fields)["tongguan-identity"] == "signed assertion"
    assert "tongguan-identity" not in dict(nobody.fields)


def test_what_cannot_cross_the_gatekeeper_is_refused_on_paper_too(open_world):
    explained = asked(open_world, "/medical/settlements/1?=1", principal=CITIZEN)

    assert (explained.status, explained.code) == (403, "content-blocked")
    assert verdicts(explained)["forward"] == "refused"


def test_limits_are_shown_for_a_request_that_is_refused_as_well(open_world):
    explained = asked(open_world, "/medical/settlements/1")

    assert explained.code == "token-missing"
    shown = {"timeout_seconds": 5.0, "body_limit_bytes": 65536, "rate": "30/minute", "system": "inside"}
    assert shown.items() <= explained.route.items()


def test_a_body_that_is_too_large_is_refused(open_world):
    explained = asked(open_world, "/medical/settlements/1", body=bytes(65537), principal=CITIZEN)

    assert (explained.status, explained.code) == (413, "body-too-large")


def test_a_signature_over_a_body_can_be_explained(run, world, tmp_path):
    """The channel reads the body before anything else is believed; with another one the signature does not hold."""
    world.write_secret("app.key", "s" * 32)
    world.edit("policy.yaml", "tests.configuration.config_parts:Door", "plugins.channels.app:App")
    keys = "{keys: [{id: partner, secret: {$file: app.key}}], refuse_before_start: false}"
    world.edit("policy.yaml", "{window: 5m}", keys)
    world.edit("policy.yaml", "{method: GET", "{method: POST")
    body = tmp_path / "body.json"
    body.write_bytes(b'{"a":1}')
    arguments = signed(body.read_bytes())

    good = run("explain", "POST", "/guides/1", *arguments, "--body", str(body), "--format", "json")
    body.write_bytes(b'{"a":2}')
    bad = run("explain", "POST", "/guides/1", *arguments, "--body", str(body), "--format", "json")

    assert json.loads(good.stdout)["carried"]
    assert json.loads(bad.stdout)["code"] == "channel-signature"


def signed(body: bytes) -> list[str]:
    """Header options of a POST to /guides/1, as docs/channels.md says."""
    now = str(int(time.time()))
    digest = hashlib.sha256(body).hexdigest()
    lines = ["POST", "/guides/1", "", "x-ak:partner", f"x-nonce:{'n' * 16}", f"x-timestamp:{now}", digest]
    signature = hmac.new(b"s" * 32, "\n".join(lines).encode(), "sha256").hexdigest()
    given = {"x-ak": "partner", "x-timestamp": now, "x-nonce": "n" * 16, "x-signature": signature}
    return [text for name, value in given.items() for text in ("-H", f"{name}: {value}")]


STANDARD = """\
  - name: session
    use: plugins.verifiers.session:Session
  - name: province
    use: plugins.platforms.standard:Standard
    config:
      issuer: https://id.province.example
      audience: dept-hrss
      jwks: http://127.0.0.1:1/jwks
      authorization: https://id.province.example/authorize
      token: https://id.province.example/token
      client_id: dept-hrss
      client_secret: {$env: TEST_SESSION_KEY}
"""


@pytest.fixture
def signing_in(open_world, monkeypatch):
    """The same world, where people sign in, and enrol devices."""
    monkeypatch.setenv("TEST_SESSION_KEY", "k" * 32)
    open_world.edit("gateway.yaml", "workers: 1", "sessions: {keys: [{$env: TEST_SESSION_KEY}], node: hrss}")
    open_world.edit("policy.yaml", "verifiers:\n", "login: {natural: province}\nverifiers:\n" + STANDARD)
    app = "  - {name: app, use: 'plugins.channels.app:App', config: {devices: true}}\n"
    open_world.edit("policy.yaml", "channels:\n", f"channels:\n{app}")
    return open_world


def test_whether_a_session_lives_is_not_guessed(signing_in):
    """Only the running gateway knows; a command that said `ended` would be believed."""
    explained = asked(signing_in, "/medical/settlements/1", token="x" * 43 + "@hrss")
    [verify] = [step for step in explained.steps if step.stage == "verify"]
    assert (explained.code, verify.verdict) == ("state-unavailable", "refused")
    assert "only the running gateway knows" in verify.details[-1]


def test_the_gateways_own_pages_can_be_asked_about(signing_in):
    explained = asked(signing_in, "/sso/login?return_to=/medical/settlements/1")
    assert explained.carried
    assert explained.route["item"] == "sso-login"
    assert [step.details for step in explained.steps if step.stage == "identify"] == [("sso: recognised",)]


def test_a_configuration_with_devices_can_be_checked(signing_in, run):
    """The ledger is not opened for it."""
    done = run("--config", str(signing_in.path), "check")
    assert done.exit_code == 0, done.output
    assert not list(signing_in.folder.glob("ledger*"))
