"""The province verifiers against the sandbox's province, over real sockets and through each of its faults."""

from dataclasses import dataclass

import pytest
from aiohttp import ClientSession

from gateway import Credential, CredentialRejected, Kind, PartContext, VerifierUnavailable
from gateway.fetch import HttpFetch
from gateway.state import MemoryStore
from plugins.verifiers.province_introspection import ProvinceIntrospection, ProvinceIntrospectionConfig
from plugins.verifiers.province_jwt import ProvinceJwt, ProvinceJwtConfig
from sandbox.province import create_province

ISSUER = "http://127.0.0.1:8100"
LEVELS = {str(level): level for level in range(5)}
FAULTS = ["down", "slow", "error", "html", "redirect", "huge", "garbage", "empty"]


@dataclass
class Province:
    """The running platform and both verifiers that know it."""

    address: str
    client: ClientSession
    jwt: ProvinceJwt
    introspection: ProvinceIntrospection

    async def token(self, **wanted: object) -> Credential:
        async with self.client.get(f"{self.address}/sandbox/token", params=wanted) as response:
            return Credential("web", (await response.json())["token"])

    async def post(self, path: str, **order: object) -> None:
        async with self.client.post(f"{self.address}{path}", json=order) as response:
            assert response.status == 200, await response.text()

    async def calls(self) -> dict[str, int]:
        async with self.client.get(f"{self.address}/sandbox/counters") as response:
            return await response.json()


@pytest.fixture
async def province(aiohttp_server):
    server = await aiohttp_server(create_province(issuer=ISSUER))
    address = str(server.make_url("")).rstrip("/")
    fetch = HttpFetch()
    common = {"issuer": ISSUER, "audience": "dept-hrss", "assurance": LEVELS, "timeout": "300ms"}
    jwt = ProvinceJwtConfig.model_validate(common | {"jwks": f"{address}/jwks", "min_refetch": "1s"})
    asked = ProvinceIntrospectionConfig.model_validate(
        common
        | {
            "endpoint": f"{address}/introspect",
            "client_id": "dept-hrss",
            "client_secret": "sandbox-client-secret",
            "failures": 1000,
        }
    )
    once = MemoryStore()
    async with ClientSession() as client:
        yield Province(
            address,
            client,
            ProvinceJwt(jwt, PartContext("province-jwt", fetch, once)),
            ProvinceIntrospection(asked, PartContext("province-introspection", fetch, once)),
        )
    await fetch.close()


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_a_signed_token_is_judged(province, algorithm):
    principal = await province.jwt.verify(await province.token(user="citizen-1", alg=algorithm, level=3))
    assert (principal.kind, principal.assurance, principal.issuer) == (Kind.NATURAL, 3, ISSUER)


@pytest.mark.parametrize("form", ["jwt", "opaque"])
async def test_a_unit_is_known_with_its_operator(province, form):
    verifier = province.jwt if form == "jwt" else province.introspection
    principal = await verifier.verify(await province.token(user="unit-1", format=form))
    assert (principal.kind, principal.subject, principal.operator) == (Kind.LEGAL, "91350100M000100Y43", "operator-1")


@pytest.mark.parametrize("form", ["jwt", "opaque"])
async def test_a_token_that_has_ended_is_rejected(province, form):
    verifier = province.jwt if form == "jwt" else province.introspection
    with pytest.raises(CredentialRejected):
        await verifier.verify(await province.token(user="citizen-1", format=form, ttl=-1))


async def test_a_revoked_opaque_token_is_rejected(province):
    credential = await province.token(user="citizen-1", format="opaque")
    assert await province.introspection.verify(credential)
    await province.post("/sandbox/revoke", token=credential.token)
    with pytest.raises(CredentialRejected):
        await province.introspection.verify(credential)


async def test_tokens_of_new_keys_are_judged_at_once(province):
    await province.jwt.verify(await province.token(user="citizen-1"))
    await province.post("/sandbox/keys/rotate")
    assert await province.jwt.verify(await province.token(user="citizen-1"))
    assert (await province.calls())["jwks"] == 2


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_question_that_is_not_answered_plainly_is_no_verdict(province, fault):
    credential = await province.token(user="citizen-1", format="opaque")
    await province.post("/sandbox/faults", endpoint="introspect", fault=fault, seconds=1)
    with pytest.raises(VerifierUnavailable):
        await province.introspection.verify(credential)
    await province.post("/sandbox/faults", endpoint="introspect", fault="none")
    assert await province.introspection.verify(credential)
    assert (await province.calls())["moved"] == 0, "no redirect is followed"


@pytest.mark.parametrize("fault", FAULTS)
async def test_known_keys_serve_through_a_fault_and_without_any_there_is_no_verdict(province, fault):
    credential = await province.token(user="citizen-1")
    await province.post("/sandbox/faults", endpoint="jwks", fault=fault, seconds=1)
    with pytest.raises(VerifierUnavailable):
        await province.jwt.verify(credential)
    await province.post("/sandbox/faults", endpoint="jwks", fault="none")
    await province.jwt.keys._refresh()
    assert await province.jwt.verify(credential)
    await province.post("/sandbox/faults", endpoint="jwks", fault=fault, seconds=1)
    await province.jwt.keys._refresh()
    assert await province.jwt.verify(credential)


async def test_keys_that_come_and_go_reject_no_valid_token(province):
    credential = await province.token(user="citizen-1")
    await province.jwt.verify(credential)
    await province.post("/sandbox/faults", endpoint="jwks", fault="flap")
    for _ in range(6):
        await province.jwt.keys._refresh()
        assert await province.jwt.verify(credential)
