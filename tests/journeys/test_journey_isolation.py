"""What must never leave its place: addresses of business systems, secrets, and the count of what was carried."""

import asyncio

from record_files import records_in
from sandbox_world import connected_ports, settled

from sandbox.places import BUSINESS
from sandbox.story import CONTRIBUTIONS, DECLARATIONS, GUIDE, SETTLEMENT
from sandbox.visitor import DEADLINE

RECEIVED = ("GET", "/sandbox/received")


def business_ports(places):
    return {places.ports[system] for system in BUSINESS}


def test_no_file_of_the_edge_names_a_business_system_s_address(sandbox):
    """Neither gateway.yaml nor policy.yaml nor an item; the inner unit's file does, so the search can find them."""
    places = sandbox.places

    def named(folder):
        text = "\n".join(path.read_text() for path in folder.rglob("*.yaml"))
        return {port for port in business_ports(places) if f":{port}" in text}

    assert named(places.edge) == set()
    assert named(places.gatekeeper) == business_ports(places)


async def test_under_load_no_process_of_the_edge_is_connected_to_a_business_system(sandbox, visitor):
    """While requests hang inside, the inner unit holds the connections and the edge holds none."""
    pids = sandbox.children()
    token = await visitor.token("citizen-1")
    before = len((await visitor.ask(*RECEIVED, to="social-insurance")).data["deliveries"])
    await order(visitor, "hang")
    try:
        async with asyncio.TaskGroup() as group:
            hanging = [group.create_task(visitor.ask("GET", CONTRIBUTIONS, token=token)) for _ in range(8)]
            await visitor.until(
                "they are inside",
                lambda answer: len(answer.data["deliveries"]) >= before + 8,
                *RECEIVED,
                to="social-insurance",
            )
            inside = connected_ports(pids["gatekeeper"]) & business_ports(sandbox.places)
            await visitor.ask("GET", GUIDE)
            outside = connected_ports(pids["edge"])
        await settled(visitor.places, [task.result() for task in hanging])
    finally:
        await order(visitor, "none")
        await visitor.until("recovery", lambda answer: answer.status == 200, "GET", CONTRIBUTIONS, token=token)
    assert inside
    assert sandbox.places.ports["assistant"] in outside
    assert not outside & business_ports(sandbox.places)


async def order(visitor, fault):
    (await visitor.ask("POST", "/sandbox/faults", to="social-insurance", json={"fault": fault})).must_be(200)


async def test_every_accepted_request_was_delivered_exactly_once(visitor):
    """The business system counts by request id; refused requests are not among them."""
    citizen, unit = await visitor.token("citizen-1"), await visitor.token("unit-1")
    asked = [("GET", CONTRIBUTIONS, citizen, None), ("POST", DECLARATIONS, unit, {"person": "sample"})] * 10
    answers = await asyncio.gather(
        *(visitor.ask(method, path, token=token, json=body) for method, path, token, body in asked)
    )
    refused = [await visitor.ask("POST", DECLARATIONS, token=citizen, json={}), await visitor.ask("GET", CONTRIBUTIONS)]
    assert {answer.status for answer in answers} == {200, 201}
    delivered = {}
    for system in BUSINESS:
        delivered |= (await visitor.ask("GET", "/sandbox/received", to=system)).data["deliveries"]
    assert {delivered.get(answer.fields["X-Request-Id"]) for answer in answers} == {1}
    assert not {answer.fields["X-Request-Id"] for answer in refused} & delivered.keys()


async def records_of(visitor):
    """The records of everything that this visitor has asked, once they are all there; gives them by request id."""
    found = {}
    async with asyncio.timeout(DEADLINE):
        while not set(visitor.request_ids) <= found.keys():
            await asyncio.sleep(0.05)
            found = {}
            for record in records_in(visitor.places.access_records):
                found.setdefault(record["trace.id"], []).append(record)
    return {request_id: found[request_id] for request_id in visitor.request_ids}


async def test_there_are_as_many_records_as_answered_requests(visitor):
    """Carried, refused by rule, and refused by the parser before there was a request at all: one record each."""
    token = await visitor.token("citizen-1")
    for _ in range(5):
        await visitor.ask("GET", CONTRIBUTIONS, token=token)
        await visitor.ask("GET", "/no/such/item")
        await visitor.ask_raw("GET /a b HTTP/1.1")
        await visitor.ask_raw("TRACE / HTTP/1.1")
    records = await records_of(visitor)
    assert len(records) == 20
    assert [len(several) for several in records.values()] == [1] * 20
    assert [one["http.response.status_code"] for [one] in records.values()] == [200, 404, 400, 405] * 5


async def test_no_secret_stands_in_any_record_or_log(visitor):
    """Tokens in every place where they might be written down, keys, and the province's own secret."""
    citizen, opaque = await visitor.token("citizen-1"), await visitor.token("citizen-1", "opaque")
    for token in (citizen, opaque, citizen[:-8] + "deadbeef"):
        await visitor.ask("GET", SETTLEMENT, token=token)
        await visitor.ask("GET", f"{GUIDE}?from={token}")
        await visitor.ask("GET", f"/{token}", headers={"User-Agent": token, "X-Ak": token})
    await records_of(visitor)
    places = visitor.places
    files = [*(places.edge / "secrets").iterdir(), *(places.gatekeeper / "secrets").iterdir()]
    secrets = [path.read_text().strip() for path in files] + visitor.tokens
    for log in places.logs.iterdir():
        text = log.read_text()
        assert [secret[:6] for secret in secrets if secret in text] == [], log.name
