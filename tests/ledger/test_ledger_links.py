"""Channel accounts and whose they are: one account one person, whatever races; every change has its entry."""

import asyncio

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from gateway.errors import CannotDecide, Conflict
from gateway.ledger.links import MOST_LINKS
from gateway.ledger.tables import CHANNEL_LINKS
from gateway.ledger.values import Change, ChannelLink, Person
from gateway.signin import ChannelAccount
from tests.plugin_world import NOW

PROVINCE = "https://id.province.example"
OPENID = ChannelAccount("wechat", "wx0000000000000001", "oGZUI0egBJY1zhBYw2KhdUfwVJJE", "union-1", b"secret")
ANN, BEN = Person(PROVINCE, "ann"), Person(PROVINCE, "ben")


def account(number: int = 0, **changed: str) -> ChannelAccount:
    said = {"channel": "wechat", "application": "wx1", "id": f"openid-{number}"} | changed
    return ChannelAccount(**said)


async def test_an_account_that_nobody_linked_is_nobodys(ledger):
    assert await ledger.links.find(OPENID) is None


async def test_a_linked_account_is_its_owners(ledger):
    link = await ledger.links.link(OPENID, PROVINCE, "ann")
    assert await ledger.links.find(OPENID) == ANN
    assert await ledger.links.of(PROVINCE, "ann") == [link]
    assert (link.channel, link.application, link.created_at, link.last_used_at) == (
        "wechat",
        OPENID.application,
        NOW,
        NOW,
    )


@pytest.mark.parametrize(
    "changed", [{"channel": "alipay"}, {"application": "wx2"}, {"id": "OPENID-0"}, {"id": "openid-0 "}]
)
async def test_an_account_is_one_of_its_channel_and_application_to_the_letter(ledger, changed):
    await ledger.links.link(account(), PROVINCE, "ann")
    assert await ledger.links.find(account(**changed)) is None


async def test_the_same_union_id_is_not_the_same_account(ledger):
    """What the channel's platform says about another application of ours links nobody."""
    await ledger.links.link(account(union_id="u"), PROVINCE, "ann")
    assert await ledger.links.find(account(1, union_id="u")) is None


async def test_linking_once_more_changes_nothing(ledger):
    link = await ledger.links.link(OPENID, PROVINCE, "ann")
    assert await ledger.links.link(OPENID, PROVINCE, "ann") == link
    assert len(await ledger.history.of(link.id)) == 1


@pytest.mark.parametrize("other", [("https://id.other.example", "ann"), (PROVINCE, "ben")])
async def test_an_account_of_somebody_else_cannot_be_linked(ledger, other):
    await ledger.links.link(OPENID, PROVINCE, "ann")
    with pytest.raises(Conflict) as caught:
        await ledger.links.link(OPENID, *other)
    assert (caught.value.status, caught.value.code) == (409, "account-linked")
    assert await ledger.links.find(OPENID) == ANN


async def test_only_its_owner_removes_a_link(ledger):
    link = await ledger.links.link(OPENID, PROVINCE, "ann")
    assert not await ledger.links.remove(link.id, PROVINCE, "ben")
    assert not await ledger.links.remove(link.id, "https://id.other.example", "ann")
    assert not await ledger.links.remove("another", PROVINCE, "ann")
    assert await ledger.links.find(OPENID) == ANN
    assert await ledger.links.remove(link.id, PROVINCE, "ann")
    assert await ledger.links.find(OPENID) is None
    assert not await ledger.links.remove(link.id, PROVINCE, "ann")


async def test_a_removed_link_is_kept_as_history_and_the_account_is_free_again(ledger, clock):
    old = await ledger.links.link(OPENID, PROVINCE, "ann")
    clock.advance(10)
    await ledger.links.remove(old.id, PROVINCE, "ann")
    new = await ledger.links.link(OPENID, PROVINCE, "ben")
    assert await ledger.links.find(OPENID) == BEN
    assert await ledger.history.of(old.id) == [
        Change(NOW, ANN, "channel-link.created", old.id),
        Change(NOW + 10, ANN, "channel-link.removed", old.id),
    ]
    assert await ledger.history.of(new.id) == [Change(NOW + 10, BEN, "channel-link.created", new.id)]


async def test_a_person_has_a_bounded_number_of_links(ledger):
    links = [await ledger.links.link(account(number), PROVINCE, "ann") for number in range(MOST_LINKS)]
    with pytest.raises(Conflict) as caught:
        await ledger.links.link(account(MOST_LINKS), PROVINCE, "ann")
    assert caught.value.code == "too-many-links"
    assert await ledger.links.link(account(MOST_LINKS), PROVINCE, "ben") is not None
    await ledger.links.remove(links[0].id, PROVINCE, "ann")
    assert await ledger.links.link(account(MOST_LINKS + 1), PROVINCE, "ann") is not None


async def link_at_once(ledgers, asked: list[tuple[ChannelAccount, str]]) -> list[ChannelLink | Conflict]:
    """Each worker in turn links an account to a person; who is told that the ledger is busy asks again."""

    async def link(ledger, one: ChannelAccount, subject: str) -> ChannelLink | Conflict:
        while True:
            try:
                return await ledger.links.link(one, PROVINCE, subject)
            except Conflict as conflict:
                return conflict
            except CannotDecide:
                continue

    async with asyncio.timeout(30):
        return await asyncio.gather(*(link(ledgers[n % len(ledgers)], *one) for n, one in enumerate(asked)))


async def test_a_person_who_links_many_at_once_has_no_more_than_she_may(make_ledger):
    ledgers = [await make_ledger() for _ in range(3)]
    for number in range(MOST_LINKS - 1):
        await ledgers[0].links.link(account(number), PROVINCE, "ann")
    said = await link_at_once(ledgers, [(account(MOST_LINKS + number), "ann") for number in range(3)])
    assert [one.code for one in said if isinstance(one, Conflict)] == ["too-many-links"] * 2
    assert len(await ledgers[0].links.of(PROVINCE, "ann")) == MOST_LINKS


async def test_of_many_persons_that_link_one_account_at_once_one_gets_it(make_ledger):
    """Ten persons on four workers; the others are told, and the history knows one creation."""
    ledgers = [await make_ledger() for _ in range(4)]
    said = await link_at_once(ledgers, [(OPENID, f"person-{number}") for number in range(10)])
    links = [one for one in said if not isinstance(one, Conflict)]
    assert len(links) == 1
    assert {one.code for one in said if isinstance(one, Conflict)} == {"account-linked"}
    assert len(await ledgers[0].history.of(links[0].id)) == 1


async def test_the_database_itself_lets_no_account_have_two_owners(ledger):
    """Whatever code forgets to ask."""
    with pytest.raises(IntegrityError):
        await insert_two(ledger)
    assert await ledger.links.of(PROVINCE, "ann") == [], "nothing of a transaction that failed is kept"


async def insert_two(ledger) -> None:
    row = {"channel": "wechat", "application": "a", "account": "o", "issuer": PROVINCE}
    row |= {"created_at": 1.0, "last_used_at": 1.0}
    async with ledger.database.writing() as connection:
        for owner in ("ann", "ben"):
            await connection.execute(insert(CHANNEL_LINKS).values(**row, id=owner, subject=owner))


async def test_use_is_noted_to_the_hour(ledger, clock):
    await ledger.links.link(OPENID, PROVINCE, "ann")
    clock.advance(3599)
    await ledger.links.find(OPENID)
    assert [link.last_used_at for link in await ledger.links.of(PROVINCE, "ann")] == [NOW]
    clock.advance(1)
    await ledger.links.find(OPENID)
    assert [link.last_used_at for link in await ledger.links.of(PROVINCE, "ann")] == [NOW + 3600]


async def test_who_somebody_is_stays_out_of_every_repr(ledger):
    link = await ledger.links.link(OPENID, PROVINCE, "ann")
    text = repr((link, Person(PROVINCE, "somebody"), await ledger.history.of(link.id), await ledger.links.find(OPENID)))
    assert "somebody" not in text
    assert OPENID.id not in text
    assert "'ann'" not in text
