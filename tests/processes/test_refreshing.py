"""Keys fetched at an operator's word: through the management listener, to every worker."""

import json


async def test_every_worker_is_told_to_fetch_and_says_what_became_of_it(gateway):
    await (await gateway.start()).ready()

    status, body = await gateway.manage("/keys/refresh", "POST", data='{"verifier": "province"}')

    assert (status, body) == (
        200,
        {"ok": True, "workers": {"0": {"province": "fetched"}, "1": {"province": "fetched"}}},
    )
    told = [worker["commands"] for worker in (await gateway.status())["workers"]]
    assert told == [[["refresh-keys", {"verifier": "province"}]]] * 2


async def test_all_verifiers_are_asked_when_none_is_named(gateway):
    await (await gateway.start()).ready()
    for data in (None, "{}"):
        assert (await gateway.manage("/keys/refresh", "POST", data=data))[0] == 200
    told = [worker["commands"] for worker in (await gateway.status())["workers"]]
    assert told == [[["refresh-keys", {}]] * 2] * 2


async def test_what_cannot_be_asked_is_refused(gateway):
    """404 where nobody keeps such keys, 400 where the question is none, 503 where a worker cannot do it."""
    await (await gateway.start()).ready()
    for data, expected in (
        (json.dumps({"verifier": "nobody"}), (404, "verifier-unknown")),
        ("[]", (400, "refresh-malformed")),
        ('{"verifier": 1}', (400, "refresh-malformed")),
        ('{"all": "yes"}', (400, "refresh-malformed")),
    ):
        status, body = await gateway.manage("/keys/refresh", "POST", data=data)
        assert (status, body["code"]) == expected
    assert (await gateway.manage("/keys/refresh"))[0] == 405
    status, body = await gateway.manage("/keys/refresh", "POST", data='{"verifier": "broken"}')
    assert status == 503
    assert {"error" in told for told in body["workers"].values()} == {True}
