"""The management listener answers about everything that runs, to programs on this machine and nobody else."""


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
    assert await gateway.manage("/revocations", "POST", data='{"jti": "t-1"}') == (200, {"ok": True, "workers": 2})
    commands = [worker["commands"] for worker in (await gateway.status())["workers"]]
    assert [[name for name, _ in told] for told in commands] == [["reopen", "revoke"]] * 2

    async def refused(path, method, expected, **options):
        status, body = await gateway.manage(path, method, **options)
        assert (status, body["code"]) == expected, (path, options)

    await refused("/reload", "GET", (405, "method-not-allowed"))
    await refused("/nothing", "GET", (404, "not-found"))
    await refused("/revocations", "POST", (400, "revocation-malformed"), data="[]")
    await refused("/revocations", "POST", (400, "revocation-malformed"), data="{}")
    await refused("/revocations", "POST", (400, "revocation-malformed"), data='{"sid": ""}')
    await refused("/revocations", "POST", (400, "revocation-malformed"), data='{"sid": "x", "all": "yes"}')
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
