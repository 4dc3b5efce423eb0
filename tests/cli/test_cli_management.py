"""Commands that talk to a running gateway, against a listener that says what it is told to."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import UnixStreamServer

import pytest


class Gateway:
    """Answers of a management listener by method and path, and what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, object]] = {}
        self.asked: list[tuple[str, object]] = []
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                what = f"{self.command} {self.path}"
                gateway.asked.append((what, json.loads(sent) if sent else None))
                status, answer = gateway.answers[what]
                body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815 - the name that http.server calls

            def log_message(self, *_: object) -> None:
                pass

        self.handler = Handler


class UnixServer(UnixStreamServer):
    def get_request(self):
        connection, _ = super().get_request()
        return connection, ("unix", 0)


@pytest.fixture(params=["tcp", "unix"])
def gateway(request, world, tmp_path_factory):
    gateway = Gateway()
    if request.param == "tcp":
        server = HTTPServer(("127.0.0.1", 0), gateway.handler)
        address = f"127.0.0.1:{server.server_port}"
    else:
        path = tmp_path_factory.mktemp("m") / "m.sock"
        server = UnixServer(str(path), gateway.handler)
        address = f"unix:{path}"
    world.edit("gateway.yaml", "127.0.0.1:8081", address)
    gateway.address = address
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    yield gateway
    server.shutdown()
    serving.join()
    server.server_close()


APPLIED = {"ok": True, "outcome": "applied", "generation": 2, "revision": "abc", "restart_needed": True}


def test_reload_tells_what_is_in_use_now(run, gateway):
    gateway.answers["POST /reload"] = 200, APPLIED

    result = run("reload")

    assert result.exit_code == 0
    assert (result.stdout.splitlines()) == [
        "applied: generation 2, revision abc",
        "gateway.yaml changed as well: its keys wait for a restart",
    ]


def test_a_refused_reload_prints_the_problems_and_exits_2(run, gateway):
    gateway.answers["POST /reload"] = 422, {"ok": False, "outcome": "refused", "problems": ["policy.yaml:1: bad"]}

    result = run("reload")

    assert result.exit_code == 2
    assert (result.stderr.splitlines()) == [
        "policy.yaml:1: bad",
        "refused; the gateway goes on with the last good configuration",
    ]


def test_the_gateway_is_found_though_its_configuration_has_mistakes(run, gateway, world, monkeypatch):
    monkeypatch.delenv("TEST_PSEUDONYM_KEY")
    world.edit("gateway.yaml", "workers: 1", "worker: 1")
    gateway.answers["POST /reload"] = 200, APPLIED

    assert run("reload").exit_code == 0


def test_another_gateway_can_be_named(run, gateway, world):
    world.edit("gateway.yaml", gateway.address, "127.0.0.1:1")
    gateway.answers["POST /drain"] = 202, {"status": "draining", "seconds": 30.0}

    result = run("drain", "--management", gateway.address)

    assert (result.exit_code, result.stdout) == (0, "draining; it ends within 30 s\n")


def test_status_exits_0_when_ready_and_1_when_not(run, gateway):
    gateway.answers["GET /status"] = 200, {"ready": True, "workers": [{"pid": 5, "state": "serving"}]}
    ready = run("status")
    gateway.answers["GET /status"] = 200, {"ready": False, "not_ready": "it is draining"}
    draining = run("status")

    assert (ready.exit_code, draining.exit_code) == (0, 1)
    assert "workers[0].state" in ready.stdout
    assert "it is draining" in draining.stdout


def test_status_shows_one_problem_of_a_refused_reload_on_a_line(run, gateway):
    problems = ["policy.yaml:4 channels: is required and missing", "policy.yaml:9 itmes: unknown key"]
    gateway.answers["GET /status"] = 200, {"ready": True, "last_reload": {"problems": problems}, "broken": []}
    lines = run("status").stdout.splitlines()
    assert [line.split()[0] for line in lines if "policy.yaml" in line] == [
        "last_reload.problems[0]",
        "last_reload.problems[1]",
    ]


def test_status_tells_machines_in_json(run, gateway):
    gateway.answers["GET /status"] = 200, {"revision": "abc", "ready": True}

    assert json.loads(run("status", "--format", "json").stdout) == {"revision": "abc", "ready": True}


def test_revoke_sends_what_is_revoked_and_nothing_else(run, gateway):
    gateway.answers["POST /revocations"] = 200, {"ok": True, "workers": 2}

    result = run("revoke", "--sid", "session-1", "--sub", "someone")

    assert (result.exit_code, result.stdout) == (0, "revoked on 2 worker(s)\n")
    assert gateway.asked == [("POST /revocations", {"sid": "session-1", "sub": "someone"})]


def test_revoke_says_whose_it_is_where_that_was_named(run, gateway):
    gateway.answers["POST /revocations"] = 200, {"ok": True, "workers": 2}

    assert run("revoke", "--sub", "someone", "--iss", "https://id.example").exit_code == 0
    assert gateway.asked == [("POST /revocations", {"sub": "someone", "iss": "https://id.example"})]
    assert run("revoke", "--iss", "https://id.example").exit_code == 2


def test_a_revocation_that_did_not_reach_everybody_exits_1(run, gateway):
    gateway.answers["POST /revocations"] = 503, {"detail": "not every worker has done it; ask again"}

    result = run("revoke", "--jti", "t")

    assert (result.exit_code, result.stderr) == (1, "Error: not every worker has done it; ask again\n")


def test_revoking_nothing_is_a_usage_error(run):
    assert run("revoke").exit_code == 2
    assert "--sub is empty" in run("revoke", "--sub", "").stderr
    assert run("revoke", "--jti", "t", "--sub", "").exit_code == 2


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b"\xff"])
def test_what_is_no_gateway_is_told(run, gateway, answer):
    gateway.answers["POST /drain"] = 200, answer

    result = run("drain")

    assert result.exit_code == 1
    assert f"no proper answer from {gateway.address}" in result.stderr


@pytest.mark.parametrize("address", ["127.0.0.1:1", "unix:/no/such.sock"])
def test_nothing_listening_is_told_and_exits_1(run, address):
    result = run("status", "--management", address)

    assert (1, f"Error: nothing listens on {address}; is the gateway running?\n") == (result.exit_code, result.stderr)


def test_an_address_that_is_none_is_a_usage_error(run, world):
    assert run("status", "--management", "8081").exit_code == 2
    world.edit("gateway.yaml", "management: 127.0.0.1:8081", "management: 8081")
    assert run("status").exit_code == 2
