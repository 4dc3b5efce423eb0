"""Sessions through the management listener: one worker is asked, and what cannot be understood reaches none."""


async def test_one_worker_is_asked_for_all(gateway):
    """The workers share their sessions."""
    await (await gateway.start()).ready()
    for path, asked in (("list", '{"subject": "u-1", "reveal": "yes"}'), ("list", ""), ("end", '{"handle": "x"}')):
        assert await gateway.manage(f"/sessions/{path}", "POST", data=asked) == (200, {})
    commands = [worker["commands"] for worker in (await gateway.status())["workers"]]
    assert sorted(len(told) for told in commands) == [0, 3]
    assert max(commands, key=len) == [
        ["list-sessions", {"subject": "u-1", "reveal": "yes"}],
        ["list-sessions", {}],
        ["end-sessions", {"handle": "x"}],
    ]


async def test_what_cannot_be_understood_is_refused(gateway):
    await (await gateway.start(workers=1)).ready()

    async def refused(path: str, asked: str) -> None:
        status, body = await gateway.manage(f"/sessions/{path}", "POST", data=asked)
        assert (status, body["code"]) == (400, "sessions-malformed"), asked

    await refused("list", "[]")
    await refused("list", '{"id": "x"}')
    await refused("list", '{"subject": ""}')
    await refused("end", "{}")
    await refused("end", '{"iss": "x"}')
    await refused("end", '{"sub": ""}')
    await refused("end", '{"sub": "x", "all": "yes"}')
    await refused("end", '{"sub": "x", "sub": "y"}')
    assert (await gateway.status())["workers"][0]["commands"] == []
