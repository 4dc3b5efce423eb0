"""The session verifier: sessions and our own tokens are judged, everything else is somebody else's."""

import pytest

from gateway import SESSION_MARK, Credential, CredentialRejected, PartContext, Principal
from gateway.chain import VerdictMemory, VerifierChain
from gateway.errors import StateUnavailable, TokenRevoked
from gateway.exchange import Exchange
from plugins.verifiers.session import Session, SessionConfig
from tests.identity.session_world import House, sign_in
from tests.plugin_world import NOW


@pytest.fixture
def house(clock) -> House:
    return House(clock)


@pytest.fixture
def verifier(context, house) -> Session:
    return verifier_of(context, house)


def verifier_of(context, house: House) -> Session:
    lent = PartContext(
        "session", context.fetch, context.once, context.clock, context.monotonic, context.log, sessions=house.sessions
    )
    return Session(SessionConfig(), lent)


async def ask(verifier: Session, token: str | None) -> Principal | None:
    return await verifier.verify(Credential("web", token))


async def test_a_session_is_its_person(verifier, house):
    session, known = await house.sessions.begin(sign_in())
    who = await ask(verifier, SESSION_MARK + session)
    assert (who.subject, who.verifier, who.token_id) == ("u-1", "session", known.handle)
    assert who.expires_at == NOW + 1200


async def test_an_own_token_is_its_person(verifier, house):
    session, _ = await house.sessions.begin(sign_in())
    token, _ = await house.sessions.issue_token(session)
    assert (await ask(verifier, token)).subject == "u-1"


@pytest.mark.parametrize("token", [None, "", "abc", "eyJ.eyJ.sig", "abc@other"])
async def test_other_tokens_are_not_its_own(verifier, token):
    assert await ask(verifier, token) is None


@pytest.mark.parametrize("token", [SESSION_MARK + "A" * 43, SESSION_MARK, "A" * 43 + "@hrss"])
async def test_what_has_ended_is_rejected(verifier, token):
    with pytest.raises(CredentialRejected):
        await ask(verifier, token)


async def test_a_store_that_is_away_is_no_rejection(verifier, house):
    session, _ = await house.sessions.begin(sign_in())
    house.store.down = True
    with pytest.raises(StateUnavailable):
        await ask(verifier, SESSION_MARK + session)


async def test_it_cannot_be_made_where_nobody_signs_in(context):
    with pytest.raises(ValueError, match="sessions"):
        Session(SessionConfig(), context)


class Chain:
    """The verifier in a chain of its own."""

    def __init__(self, verifier: Session, house: House) -> None:
        self.chain = VerifierChain([verifier], VerdictMemory(), house.revocations, lambda: house.clock.wall)

    async def verify(self, token: str) -> Principal:
        return await self.chain.verify(Credential("web", token), Exchange("0" * 32, NOW, "192.0.2.1"))


async def test_the_store_is_asked_once_in_ten_seconds(verifier, house):
    chain = Chain(verifier, house)
    session, _ = await house.sessions.begin(sign_in())
    house.store.asked.clear()
    for _ in range(20):
        await chain.verify(SESSION_MARK + session)
        house.clock.advance(1)
    assert house.store.asked == ["read", "read"]


async def test_what_is_remembered_ends_with_the_session(context):
    house = House(idle="60s", remember="60s")
    chain = Chain(verifier_of(context, house), house)
    session, _ = await house.sessions.begin(sign_in())
    house.clock.advance(1)
    await chain.verify(SESSION_MARK + session)
    house.clock.advance(59)
    with pytest.raises(CredentialRejected):
        await chain.verify(SESSION_MARK + session)


async def test_a_logout_counts_at_once_whatever_is_remembered(verifier, house):
    chain = Chain(verifier, house)
    session, _ = await house.sessions.begin(sign_in())
    await chain.verify(SESSION_MARK + session)
    await house.sessions.end(session)
    with pytest.raises(TokenRevoked):
        await chain.verify(SESSION_MARK + session)


async def test_in_a_chain_a_store_that_is_away_is_503_and_is_not_remembered(verifier, house):
    chain = Chain(verifier, house)
    session, _ = await house.sessions.begin(sign_in())
    house.store.down = True
    with pytest.raises(StateUnavailable) as caught:
        await chain.verify(SESSION_MARK + session)
    assert (caught.value.status, caught.value.code) == (503, "state-unavailable")
    house.store.down = False
    assert (await chain.verify(SESSION_MARK + session)).subject == "u-1"
