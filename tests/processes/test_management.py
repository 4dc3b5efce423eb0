"""The management listener answers about everything that runs, to programs on this machine and nobody else."""

import asyncio
import json


async def test_the_management_listener_tells_how_the_gateway_is(gateway, tmp_path):
    """Status, metrics and readiness over a Unix socket that only its owner may use."""
    desk = tmp_path / "management.sock"
    await (await gateway.start(management=f"unix:{desk}")).ready()
    assert desk.stat().st_mode & 0o777 == 0o600
    assert await gateway.manage("/livez") == (200, {"status": "alive"})
    status = await gateway.until(lambda status: status["ready"])
    assert [worker["number"] for worker in status["workers"]] == [0, 1]
    assert {worker["state"] for worker in status["workers"]} == {"serving"}
    assert status["pid"] == gateway.pid
    assert status["last_reload"]["cause"] == "start"
    text = (await gateway.manage("/metrics"))[1]
    assert 'tongguan_refusals_total{code="fake"} 2.0\n' in text
    assert "tongguan_connections 2.0\n" in text
    assert "tongguan_workers_serving 2.0" in text
    assert 'tongguan_config_reloads_total{outcome="refused"} 0.0' in text
    gateway.write(policy={"rule": "unready"})
    assert (await gateway.manage("/reload", "POST"))[0] == 200
    await gateway.until(lambda status: not status["ready"])
    assert await gateway.manage("/readyz") == (503, {"status": "not ready", "reason": "no worker is ready"})


async def test_an_operators_commands_reach_every_worker_and_others_are_refused(gateway):
    """Each refusal is JSON with a stable code."""
    await (await gateway.start()).ready()
    assert await gateway.manage("/records/reopen", "POST") == (200, {"ok": True, "workers": 2})
    revoked = '{"jti": "t-1", "iss": "https://id.example"}'
    assert await gateway.manage("/revocations", "POST", data=revoked) == (200, {"ok": True, "workers": 2})
    commands = [worker["commands"] for worker in (await gateway.status())["workers"]]
    assert [[name for name, _ in told] for told in commands] == [["reopen", "revoke"]] * 2
    assert {(told[1][1]["jti"], told[1][1]["iss"]) for told in commands} == {("t-1", "https://id.example")}

    async def refused(path, method, expected, **options):
        status, body = await gateway.manage(path, method, **options)
        assert (status, body["code"]) == expected, (path, options)

    await refused("/reload", "GET", (405, "method-not-allowed"))
    await refused("/nothing", "GET", (404, "not-found"))
    await refused("/revocations", "POST", (400, "revocation-malformed"), data="[]")
    await refused("/revocations", "POST", (400, "revocation-malformed"), data="{}")
    await refused("/revocations", "POST", (400, "revocation-malformed"), data='{"sid": ""}')
    await refused("/revocations", "POST", (400, "revocation-malformed"), data='{"sid": "x", "all": "yes"}')
    await refused("/revocations", "POST", (400, "revocation-malformed"), data='{"iss": "https://id.example"}')
    await refused("/revocations", "POST", (400, "revocation-malformed"), data='{"sid": "x", "iss": ""}')
    await refused("/status", "GET", (421, "host-unknown"), headers={"Host": "evil.example"})
    await refused("/drain", "POST", (403, "origin-refused"), headers={"Origin": "https://evil.example"})
    gateway.write(policy={"rule": "x", "refuse": 1})
    status, body = await gateway.manage("/reload", "POST")
    assert (status, body["ok"], body["generation"]) == (422, False, 1)
    assert body["problems"] == ["policy.json:1 rule: 'x' is not allowed"]


async def test_a_management_address_that_others_can_reach_is_refused(gateway):
    """Exit code 2 and a sentence that says what to write instead."""
    await gateway.start(management="0.0.0.0:0")
    assert await gateway.ended() == 2
    await gateway.listening
    assert "127.0.0.1, [::1] or unix:/path" in "".join(gateway.lines)


async def exchange(gateway, request):
    """Send bytes on a connection of their own; gives status line with fields, and the body."""
    host, _, port = gateway.management.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    async with asyncio.timeout(5):
        head, _, body = (await reader.read()).decode("latin-1").partition("\r\n\r\n")
    writer.close()
    return head, body


async def test_what_a_web_page_could_send_is_refused(gateway):
    """Names that only begin like loopback, targets with a host of their own, and cross-site POSTs."""
    await (await gateway.start()).ready()

    async def refusal(*head):
        request = "\r\n".join([*head, "Connection: close", "", ""]).encode()
        answered, body = await exchange(gateway, request)
        assert "server:" not in answered.lower()
        return int(answered.split(" ")[1]), json.loads(body).get("code")

    for host in (
        "[::1].evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "localhost:1:2",
        "a@[::1]",
        "",
    ):
        assert await refusal("GET /status HTTP/1.1", f"Host: {host}") == (421, "host-unknown"), host
    for host in ("localhost", "LOCALHOST:8081", "127.0.0.1:1", "127.0.0.2", "[::1]", "[::1]:8081"):
        assert await refusal("GET /livez HTTP/1.1", f"Host: {host}") == (200, None), host
    target = "GET http://localhost/status HTTP/1.1"
    assert await refusal(target, "Host: localhost") == (400, "target-refused")
    for site, expected in (("cross-site", 403), ("same-site", 403), ("none", 200), ("same-origin", 200)):
        answered = await refusal("POST /records/reopen HTTP/1.1", "Host: localhost", f"Sec-Fetch-Site: {site}")
        assert answered[0] == expected, site


async def test_a_revocation_that_names_a_key_twice_is_refused(gateway):
    """Whoever wrote it meant two tokens, and only one would be withdrawn."""
    await (await gateway.start()).ready()
    status, body = await gateway.manage("/revocations", "POST", data='{"jti": "a", "jti": "b"}')
    assert (status, body["code"]) == (400, "revocation-malformed")
    status, body = await gateway.manage("/revocations", "POST", data="x" * (65 << 10))
    assert (status, body["code"]) == (413, "body-too-large")


async def test_bytes_that_are_no_request_are_neither_repeated_nor_logged(gateway):
    """400 without the bytes, no `Server`, and no line in the log: it is no error of ours."""
    await (await gateway.start()).ready()
    before = len(gateway.lines)
    for request in (b"GET /secret-bytes HTTP/9.x\r\n\r\n", b"\x16\x03\x01secret-bytes\r\n\r\n"):
        head, body = await exchange(gateway, request)
        assert head.split(" ")[1] == "400"
        assert "server:" not in head.lower()
        assert "secret-bytes" not in body
        assert json.loads(body)["code"] == "bad-request"
    assert gateway.lines[before:] == []
