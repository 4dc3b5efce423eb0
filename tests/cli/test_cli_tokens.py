"""`tongguan token inspect` and `tongguan keys`: what is shown, what is kept back, and the exit codes."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from click.testing import CliRunner

from gateway.cli import tongguan
from gateway.crypto import vectors
from gateway.crypto.choice import choose
from tests.cli.test_cli_management import gateway
from tests.plugin_world import ISSUER, Signer, b64

__all__ = ["gateway"]

CRYPTO = choose()
CITIZEN = "11010519491231002X"


def now() -> int:
    return int(time.time())


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer("ES256", "es256-1")


def good(signer: Signer, **changed) -> str:
    return signer.token(**({"iat": now() - 90, "exp": now() + 570} | changed))


@pytest.fixture
def province(world, signer):
    """The configured verifier is the province's, whose keys this server gives out."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"keys": [signer.jwk()]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{server.server_port}/jwks"
    verifier = (
        f"  - name: province\n    use: plugins.verifiers.province_jwt:ProvinceJwt\n"
        f"    config: {{issuer: {ISSUER}, jwks: '{url}', audience: dept-hrss, algorithms: [ES256, SGD_SM3_SM2]}}"
    )
    world.edit("policy.yaml", "  - name: desk\n    use: tests.configuration.config_parts:Desk", verifier)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    yield
    server.shutdown()
    serving.join()
    server.server_close()


def test_a_token_is_taken_apart_for_people(run, province, signer):
    token = good(signer, name="张三丰", idnum=CITIZEN)

    result = run("token", "inspect", token)

    assert result.exit_code == 0
    for said in ("JSON Web Token", "ES256", "es256-1", ISSUER, "dept-hrss", "not checked", "in 9 min", "1 min", " ago"):
        assert said in result.stdout
    assert "judges the tokens of this issuer" in result.stdout
    assert "nothing speaks against it" in result.stdout


def test_the_signature_and_personal_claims_are_kept_back(run, province, signer):
    token = good(signer, name="张三丰", idnum=CITIZEN, act={"sub": "operator-0815"})
    for form in ("text", "json"):
        shown = run("token", "inspect", token, "--format", form).stdout
        assert token.rpartition(".")[2] not in shown
        for personal in ("张三丰", CITIZEN, "8f2c61d0b7e94a53c1d6", "operator-0815"):
            assert personal not in shown
        assert "session-1" in shown  # what `revoke --sid` needs
    claims = json.loads(shown)["claims"]
    assert claims["idnum"] == "1***************2X"
    assert claims["subject_type"] == "natural"  # which the verifier reads the kind from


def test_personal_claims_are_shown_to_whoever_asks_for_them(run, province, signer):
    shown = run("token", "inspect", good(signer, name="张三丰", idnum=CITIZEN), "--personal").stdout
    assert "张三丰" in shown
    assert CITIZEN in shown


def test_control_characters_of_a_token_do_not_reach_the_terminal(run, signer, province):
    shown = run("token", "inspect", good(signer, scope="\x1b[31mred\u202e"), "--personal").stdout
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "\\u001b[31mred" in shown


AGAINST = {
    "expired": {"exp": 1_700_000_000},
    "nbf lies ahead": {"nbf": 4_000_000_000},
    "exp is missing": {"exp": None},
    "no configured verifier judges it": {"iss": "https://id.other.example"},
}


@pytest.mark.parametrize(("reason", "changed"), AGAINST.items())
def test_what_speaks_against_a_token_is_said_and_exits_1(run, province, signer, reason, changed):
    result = run("token", "inspect", good(signer, **changed), "--format", "json")
    assert result.exit_code == 1
    assert any(reason in said for said in json.loads(result.stdout)["against"])


def test_the_other_verifiers_reason_is_told(run, province, signer):
    found = json.loads(run("token", "inspect", good(signer, iss="https://x.example"), "--format", "json").stdout)
    assert found["judges"] == [
        {
            "name": "province",
            "asked": False,
            "reason": f"judges JWTs of {ISSUER} alone; this one says https://x.example",
            "said": "",
        }
    ]


FORMS = {
    "AQIC5wM2LY4Sfcx*@node7": ("opaque token that is routed to @node7", False),
    "AbCdEf0123456789": ("opaque token", False),
    "session:AbCdEf0123456789": ("id of a sign-in session", False),
    "two words": ("opaque token", True),
    "x" * 8193: ("opaque token", True),
    "e30.e30.AA": ("JSON Web Token", True),
    "e30.!!.AA": ("opaque token", True),
}


@pytest.mark.parametrize(("token", "expected"), FORMS.items(), ids=[name[:24] for name in FORMS])
def test_every_form_of_token_is_named(tmp_path, monkeypatch, token, expected):
    """Without a configuration, too: a token can be looked into anywhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TONGGUAN_CONFIG", raising=False)
    result = CliRunner().invoke(tongguan, ["token", "inspect", "--format", "json", "--", token])
    found = json.loads(result.stdout)
    assert found["form"].startswith(expected[0])
    assert (result.exit_code == 1) == expected[1] == bool(found["against"])
    assert found["judges"] == []


def test_a_token_is_read_from_standard_input(tmp_path, monkeypatch, signer):
    monkeypatch.chdir(tmp_path)
    for arguments in (["token", "inspect", "--no-config"], ["token", "inspect", "--no-config", "-"]):
        result = CliRunner().invoke(tongguan, arguments, input=f"Bearer {good(signer)}\n")
        assert result.exit_code == 0, result.output
    assert CliRunner().invoke(tongguan, ["token", "inspect", "--no-config"], input="\n").exit_code == 2


def test_a_malformed_token_is_shown_as_far_as_it_can_be_read(run, province, signer):
    head, body, _ = good(signer).split(".")
    result = run("token", "inspect", f"{head}.{body}.", "--format", "json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["claims"]["iss"]) == (1, ISSUER)
    assert "malformed: not three parts" in found["against"]


class TestKeys:
    """`--keys FILE`: the signature held against a set, offline."""

    @pytest.fixture
    def key_file(self, tmp_path, signer):
        sm2 = {"kty": "EC", "crv": "SM2-P-256", "kid": "gm-1"}
        sm2 |= {"x": b64(vectors.SM2_PUBLIC[1:33]), "y": b64(vectors.SM2_PUBLIC[33:])}
        path = tmp_path / "jwks.json"
        path.write_text(json.dumps({"keys": [signer.jwk(), sm2]}))
        return str(path)

    def outcome(self, run, token, key_file):
        result = run("token", "inspect", token, "--keys", key_file, "--format", "json")
        return result.exit_code, json.loads(result.stdout)["signature"]

    def test_a_signature_that_holds(self, run, province, signer, key_file):
        assert self.outcome(run, good(signer), key_file) == (0, "holds, ES256")

    def test_a_signature_with_sm2_that_holds(self, run, province, key_file):
        header = b64(json.dumps({"alg": "SGD_SM3_SM2", "kid": "gm-1", "typ": "JWT"}).encode())
        signed = f"{header}.{b64(json.dumps({'iss': ISSUER, 'exp': now() + 60}).encode())}"
        signature = CRYPTO.sm2_sign(vectors.SM2_PRIVATE, signed.encode())
        assert self.outcome(run, f"{signed}.{b64(signature)}", key_file) == (0, "holds, SGD_SM3_SM2")
        assert self.outcome(run, f"{signed}.{b64(bytes(64))}", key_file) == (1, "does not hold")

    def test_signatures_of_others_do_not(self, run, province, signer, key_file):
        assert self.outcome(run, good(Signer("ES256", "es256-1")), key_file) == (1, "does not hold")
        assert self.outcome(run, good(Signer("ES256", "x")), key_file) == (1, "no usable key of this kid")
        other = signer.token({"alg": "SGD_SM3_SM2"}, exp=now() + 60)
        assert self.outcome(run, other, key_file) == (1, "the key is for ES256, not for this alg")

    def test_a_file_that_is_no_key_set_is_exit_code_2(self, run, province, signer, tmp_path):
        (tmp_path / "no.json").write_text("[]")
        assert run("token", "inspect", good(signer), "--keys", str(tmp_path / "no.json")).exit_code == 2


def test_the_configured_verifier_judges_it_for_real(run, province, signer):
    good_one = json.loads(run("token", "inspect", good(signer), "--online", "--format", "json").stdout)
    assert good_one["judges"][0]["said"] == "verified"

    result = run("token", "inspect", good(Signer("ES256", "es256-1")), "--online", "--format", "json")

    assert result.exit_code == 1
    assert "province: rejected: the signature does not hold" in json.loads(result.stdout)["against"]


def test_a_session_is_known_to_the_running_gateway_alone(run, world):
    """The command says so, instead of calling a session dead that it cannot see."""
    with world.path.open("a", encoding="utf-8") as file:
        file.write("sessions: {keys: [{$env: TEST_FERRY_KEY}], node: dept-a}\n")
    desk = "  - name: desk\n    use: tests.configuration.config_parts:Desk"
    world.edit("policy.yaml", desk, "  - name: session\n    use: plugins.verifiers.session:Session")

    result = run("token", "inspect", "session:" + "A" * 43, "--online", "--format", "json")

    assert result.exit_code == 1
    said = "session: cannot tell: only the running gateway knows which sessions live"
    assert json.loads(result.stdout)["against"] == [said]


def test_online_needs_a_configuration(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TONGGUAN_CONFIG", raising=False)
    assert run("token", "inspect", "x", "--online", "--no-config").exit_code == 2
    assert CliRunner().invoke(tongguan, ["token", "inspect", "x", "--online"]).exit_code == 2


STATUS = {
    "ready": True,
    "workers": [
        {
            "number": number,
            "parts": {
                "web": {"clock_offsets": {}},
                "province": {"key_age": 12.3, "keys": [{"kid": "k-1", "alg": "SGD_SM3_SM2", "crv": "SM2-P-256"}]},
                "young": {"key_age": None, "keys": []},
            },
        }
        for number in (0, 1)
    ],
}


def test_the_keys_of_every_issuer_are_listed_by_worker(run, gateway):
    gateway.answers["GET /status"] = 200, STATUS

    result = run("keys", "show", "--issuers", "--format", "json")

    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    assert [(one["worker"], one["verifier"], one.get("kid")) for one in rows] == [
        (0, "province", "k-1"),
        (0, "young", None),
        (1, "province", "k-1"),
        (1, "young", None),
    ]
    table = run("keys", "show", "--issuers").stdout
    assert "SGD_SM3_SM2" in table
    assert "12 s" in table
    assert "none" in table


def test_our_own_keys_are_shown_without_a_running_gateway(run):
    assert json.loads(run("keys", "show").stdout)["keys"][0]["kid"] == "1"


REFRESHED = {
    "fetched": ({"ok": True, "workers": {"0": {"province": "fetched"}, "1": {"province": "fetched"}}}, 200, 0),
    "failed": ({"ok": True, "workers": {"0": {"province": "failed"}}}, 200, 1),
    "too-soon": ({"ok": True, "workers": {"0": {"province": "too-soon"}}}, 200, 1),
    "TimeoutError": ({"ok": False, "workers": {"0": {"error": "TimeoutError()"}}}, 503, 1),
}


@pytest.mark.parametrize("outcome", REFRESHED)
def test_keys_are_fetched_at_once_and_the_outcome_is_told(run, gateway, outcome):
    answer, status, code = REFRESHED[outcome]
    gateway.answers["POST /keys/refresh"] = status, answer

    result = run("keys", "refresh", "province")

    assert result.exit_code == code
    assert outcome in result.stdout
    assert gateway.asked == [("POST /keys/refresh", {"verifier": "province"})]
    assert json.loads(run("keys", "refresh", "--format", "json").stdout) == answer
    assert gateway.asked[1] == ("POST /keys/refresh", {})


def test_a_verifier_that_keeps_no_keys_is_told(run, gateway):
    gateway.answers["POST /keys/refresh"] = 404, {"code": "verifier-unknown", "detail": "no verifier 'x'"}
    result = run("keys", "refresh", "x")
    assert (result.exit_code, "no verifier 'x'" in result.stderr) == (1, True)
