"""A request that a person's device signed: nobody else's token may come along, remembered or not."""

import pytest
from path_world import NOW, FakeVerifier, chain, exchange, principal

from gateway.errors import CredentialRejected, TokenRevoked
from gateway.identity.revocations import Revocations
from gateway.model import Credential, Kind
from gateway.withdrawals import Withdrawal

PERSON = principal()
UNIT = principal(subject="unit-1", kind=Kind.LEGAL, operator="u-1")


def signed(owner, token="token") -> Credential:
    return Credential("app", token, "device-1", owner=owner)


@pytest.mark.parametrize(
    ("who", "owner"),
    [(PERSON, ("province", "u-1")), (UNIT, ("province", "u-1")), (UNIT, ("province", "unit-1")), (PERSON, None)],
    ids=["her own", "her own, acting for a unit", "her unit's", "no device at all"],
)
async def test_a_token_comes_with_its_persons_device(who, owner):
    chained = chain(FakeVerifier(token=who))
    for _ in range(2):  # asked, then remembered
        assert await chained.verify(signed(owner), exchange()) == who


@pytest.mark.parametrize(
    ("who", "owner"),
    [(PERSON, ("province", "u-2")), (PERSON, ("elsewhere", "u-1")), (UNIT, ("province", "u-2")), (PERSON, ("", ""))],
    ids=["another person's", "of another issuer", "another operator's", "nobody's"],
)
async def test_a_token_with_the_device_of_somebody_else_is_rejected_on_every_request(who, owner):
    chained = chain(FakeVerifier(token=who))
    for _ in range(2):
        account = exchange()
        with pytest.raises(CredentialRejected):
            await chained.verify(signed(owner), account)
        assert account.verdicts[-1] == ("app", "another person's device")
    assert await chained.verify(Credential("web", "token"), exchange()) == who, "the token itself is good"


async def test_a_withdrawn_token_is_revoked_whosever_device_it_is():
    revocations = Revocations(clock=lambda: NOW)
    chained = chain(FakeVerifier(token=principal(session="s-1")), revocations=revocations)
    revocations.add(Withdrawal("sid", "s-1", NOW, NOW + 600))
    with pytest.raises(TokenRevoked):
        await chained.verify(signed(("province", "u-2")), exchange())
