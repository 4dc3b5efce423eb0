"""A refusal for want of a designated computer tells a unit's browser where it is shown, and keeps its form."""

import pytest
from desk_world import FORM, HOST, HTML, ORIGIN

from gateway.desk.guidance import Guide
from gateway.errors import Forbidden, GatewayError
from gateway.exchange import Exchange
from gateway.model import Credential, HeldBody, Inbound, Kind, Principal
from gateway.throttle import Rates
from gateway.tokens.bearer import SESSION_MARK

SESSION = Credential("web", f"{SESSION_MARK}{'s' * 43}")
OPERATOR = Principal("p", "unit-1", Kind.LEGAL, 3, 9e9, operator="op-1")
PERSON = Principal("p", "u-1", Kind.NATURAL, 3, 9e9)


def asked(method="GET", path="/pension/x", credential=SESSION, principal=OPERATOR, accept=HTML) -> Exchange:
    fields = {"accept": accept, "content-type": FORM, "origin": ORIGIN, "sec-fetch-site": "same-origin"}
    held = {name.encode(): value.encode() for name, value in fields.items()}
    exchange = Exchange("1" * 32, 0.0, "192.0.2.1")
    body = HeldBody(b"a=1" if method == "POST" else b"")
    exchange.inbound = Inbound("1" * 32, method, path, "", held, "192.0.2.1", HOST, "https", body)
    exchange.credential, exchange.principal = credential, principal
    return exchange


@pytest.fixture
def guide(world) -> Guide:
    return Guide(world.login, world.logins, {"web"}, Rates())


async def way(guide, exchange, error: GatewayError | None = None) -> str | None:
    """The way that the error tells; nobody is sent there by itself."""
    error = error or Forbidden("d", code="device-not-allowed")
    assert await guide.guide(error, exchange) is None
    return error.way


async def test_an_operator_is_told_where_to_show_her_computer_and_comes_back(guide):
    assert await way(guide, asked()) == "/sso/my/computer?return_to=%2Fpension%2Fx"


async def test_a_form_is_kept_until_the_computer_was_shown(guide, world):
    told = await way(guide, asked("POST"))
    assert told.startswith("/sso/my/computer?return_to=%2Fsso%2Fcontinue%2F")
    kept = await world.logins.read_form(told.rpartition("%2F")[2])
    assert (kept.path, kept.body) == ("/pension/x", b"a=1")


async def test_what_cannot_be_come_back_to_leads_to_the_overview(guide):
    assert await way(guide, asked("POST", credential=SESSION, principal=OPERATOR)) is not None
    assert await way(guide, asked(path="/no;such")) == "/sso/my/computer?return_to=%2Fsso%2Fmy%2F"


@pytest.mark.parametrize(
    "exchange",
    [
        asked(principal=PERSON),
        asked(principal=None),
        asked(credential=Credential("web", "a-token")),
        asked(credential=Credential("app", f"{SESSION_MARK}{'s' * 43}")),
        asked(accept="application/json"),
    ],
    ids=["a person", "nobody", "a token", "another channel", "a program"],
)
async def test_nobody_else_is_told_a_way_that_she_cannot_take(guide, exchange):
    assert await way(guide, exchange) is None


async def test_another_refusal_has_no_such_way(guide):
    assert await way(guide, asked(), Forbidden("d", code="item-closed-by-owner")) is None
