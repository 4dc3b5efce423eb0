"""The example works: what authors copy has been tried."""

import hmac

import pytest

from gateway import ALLOW, Credential, CredentialRejected, Deny
from plugins.example import ClosedItems, ClosedItemsConfig, Ticket, TicketConfig
from tests.plugin_world import NOW, principal, visit

KEY = "a key of sixteen or more"


@pytest.fixture
def verifier(context) -> Ticket:
    return Ticket(TicketConfig(secret=KEY, assurance=3), context)


def ticket(subject="u-1", expiry=NOW + 60, key=KEY) -> Credential:
    signed = f"{subject}.{expiry:.0f}"
    return Credential("web", f"ticket.{signed}.{hmac.new(key.encode(), signed.encode(), 'sha256').hexdigest()}")


async def test_a_ticket_says_who_it_is_for(verifier):
    said = await verifier.verify(ticket())
    assert (said.subject, said.assurance, said.expires_at, said.verifier) == ("u-1", 3, NOW + 60, "part")


@pytest.mark.parametrize("bad", [ticket(key="another key of that length"), ticket(expiry=NOW)])
async def test_a_forged_or_old_ticket_is_rejected(verifier, bad):
    with pytest.raises(CredentialRejected):
        await verifier.verify(bad)


@pytest.mark.parametrize("token", [None, "", "opaque", "a.b.c", "a.b.c.d", "ticket.a.b"])
async def test_what_is_no_ticket_is_left_to_the_next(verifier, token):
    assert await verifier.verify(Credential("web", token)) is None


async def test_only_the_configured_items_are_closed(context):
    open_ones = ClosedItems(ClosedItemsConfig(items={"item-2"}), context)
    assert await open_ones.decide(principal(), visit()) is ALLOW
    closed = ClosedItems(ClosedItemsConfig(items={"item-1"}), context)
    assert isinstance(await closed.decide(principal(), visit()), Deny)
