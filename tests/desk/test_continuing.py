"""The way to the login and back: which errors show it, to whom, and what becomes of a form that was on its way."""

import re
from html import unescape
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec
import pytest
from desk_world import FORM, HOST, HTML, ORIGIN, Browser

from gateway.desk.guidance import Guide
from gateway.errors import (
    AudienceNotAllowed,
    CredentialRejected,
    GatewayError,
    IssuerUnknown,
    StateUnavailable,
    StepUpRequired,
    TokenMissing,
    TokenRevoked,
)
from gateway.exchange import Exchange
from gateway.model import Credential, Inbound, Item, Kind, Principal
from gateway.signin_settings import LoginSettings
from gateway.throttle import Rates
from gateway.tokens.bearer import SESSION_MARK

SESSION = Credential("web", f"{SESSION_MARK}{'s' * 43}")
NOBODY = Credential("web")


class Whole:
    """A body that has arrived."""

    def __init__(self, data: bytes, length: int | None = 0) -> None:
        self.data = data
        self.length = len(data) if length == 0 else length

    async def whole(self) -> bytes:
        return self.data


def asked(
    method="GET", path="/mine", query="", credential: Credential | None = NOBODY, body=b"", principal=None, **fields
) -> Exchange:
    given = {"accept": HTML, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    if method == "POST":
        given |= {"content-type": FORM, "origin": ORIGIN, "sec-fetch-site": "same-origin"}
    given |= {name.replace("_", "-"): value for name, value in fields.items()}
    held = {name.encode(): value.encode() for name, value in given.items() if value is not None}
    exchange = Exchange("1" * 32, 0.0, "192.0.2.1")
    exchange.inbound = Inbound(
        "1" * 32, method, path, query, held, "192.0.2.1", HOST, "https", Whole(body) if method == "POST" else Whole(b"")
    )
    exchange.credential = credential
    exchange.principal = principal
    return exchange


@pytest.fixture
def guide(world) -> Guide:
    return Guide(world.login, world.logins, {"web"}, Rates())


def wanted(location: str) -> dict[str, str]:
    assert urlsplit(location).path == "/sso/login"
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


@pytest.mark.parametrize(
    ("error", "credential"),
    [
        (TokenMissing("none"), NOBODY),
        (CredentialRejected("ended"), SESSION),
        (TokenRevoked("withdrawn"), SESSION),
        (CredentialRejected("no session id in the cookie"), None),
    ],
    ids=["not signed in", "session ended", "session withdrawn", "a cookie that cannot be read"],
)
async def test_a_browser_is_shown_the_way_to_sign_in(guide, error, credential):
    location = await guide.guide(error, asked(query="a=1&b=%E6%9C%8D", credential=credential))
    assert wanted(location) == {"return_to": "/mine?a=1&b=%E6%9C%8D"}


@pytest.mark.parametrize(
    ("audience", "kind"),
    [({Kind.NATURAL}, "natural"), ({Kind.LEGAL}, None), ({Kind.NATURAL, Kind.LEGAL}, None)],
    ids=["for persons", "for units, who sign in nowhere here", "for both"],
)
async def test_an_item_for_one_kind_of_person_asks_her_to_sign_in_as_that(guide, audience, kind):
    exchange = asked()
    exchange.item = Item("item-1", "事项", "medical", frozenset(audience), 0, "system")
    assert wanted(await guide.guide(TokenMissing(""), exchange)).get("as") == kind


async def test_a_stronger_login_is_asked_for_as_the_item_wants_it(guide):
    error = StepUpRequired("weak", acr_values="3 4", max_age=300)
    assert wanted(await guide.guide(error, asked(credential=SESSION))) == {
        "return_to": "/mine", "acr_values": "3 4", "max_age": "300",
    }  # fmt: skip


async def test_who_has_the_login_that_is_asked_for_is_sent_to_no_other_one(guide):
    """The level's name is reached and still not enough: a mapping is wrong, and a redirect would never end."""
    principal = Principal("p", "u-1", "natural", 0, 9e9, level="3")
    error = StepUpRequired("weak", acr_values="3")
    assert await guide.guide(error, asked(credential=SESSION, principal=principal)) is None


@pytest.mark.parametrize(
    ("error", "changed"),
    [
        (TokenMissing(""), {"accept": "application/json"}),
        (TokenMissing(""), {"authorization": "Bearer x"}),
        (TokenMissing(""), {"sec_fetch_mode": "cors"}),
        (TokenMissing(""), {"sec_fetch_dest": "iframe"}),
        (TokenMissing(""), {"method": "DELETE"}),
        (TokenMissing(""), {"method": "HEAD"}),
        (TokenMissing(""), {"credential": Credential("app")}),
        (TokenMissing(""), {"path": "/sso/token"}),
        (CredentialRejected(""), {"credential": Credential("web", "a-bearer-token")}),
        (IssuerUnknown(""), {"credential": SESSION}),
        (AudienceNotAllowed(""), {"credential": SESSION}),
    ],
    ids=[
        "a program", "a program with a token", "a script", "a frame", "DELETE", "HEAD", "another channel", "the desk",
        "a bad token", "an item whose verifiers know no sessions", "an item for others",
    ],
)  # fmt: skip
async def test_everybody_else_gets_the_error(guide, error: GatewayError, changed):
    assert await guide.guide(error, asked(**changed)) is None


async def test_what_may_not_be_come_back_to_in_full_is_come_back_to_without_its_query(guide):
    assert wanted(await guide.guide(TokenMissing(""), asked(query="next=//x"))) == {"return_to": "/mine"}


async def test_where_nobody_may_come_back_to_nobody_is_sent_from(world):
    login = LoginSettings.model_validate({"natural": "province", "return_to": ["/portal/"]})
    guide = Guide(login, world.logins, {"web"}, Rates())
    assert await guide.guide(TokenMissing(""), asked()) is None


# ── forms ─────────────────────────────────────────────────────────────────────────────────────────────────────────

FIELDS = [("name", "张三 & Söhne"), ("note", 'line 1\r\n"line" <2>'), ("item", "1"), ("item", "2"), ("empty", "")]


WEAK = Principal("https://id.province.example", "u-1", Kind.NATURAL, 2, 9e9)


def sent(fields=FIELDS, principal: Principal | None = WEAK, credential=SESSION, **changed) -> Exchange:
    body = urlencode(fields).encode()
    return asked("POST", "/apply", "v=1", credential, body, principal, **changed)


STEP_UP = StepUpRequired("weak", acr_values="4")


async def signed_in_principal(world, browser: Browser) -> Principal:
    return (await world.house.sessions.open(browser.session)).principal


async def test_a_form_that_needs_a_stronger_login_goes_on_afterwards(world, guide, browser):
    """Kept while the person signs in, shown with one button, and sent once to where it was meant for."""
    world.province.level = "2"
    await browser.sign_in()
    weak = await signed_in_principal(world, browser)
    location = await guide.guide(STEP_UP, sent([*FIELDS, ("csrf_token", "old")], principal=weak))
    world.province.level = "4"
    page = await browser.get(location)
    page = await browser.come_back(page.asked(), ticket="ST-2")
    assert page.location == wanted(location)["return_to"]
    offered = await browser.get(page.location)
    assert offered.status == 200
    assert "/apply" in offered.text
    token = (await browser.state())["csrf_token"]
    assert [("csrf_token", token), *FIELDS] == offered.form
    again = await browser.post(page.location, offered.form)
    assert (again.status, again.location) == (307, "/apply?v=1")


async def test_a_form_is_sent_once_however_often_the_button_is_pressed(world, guide, browser):
    await browser.sign_in()
    location = await guide.guide(STEP_UP, sent(principal=await signed_in_principal(world, browser)))
    place = wanted(location)["return_to"]
    offered = await browser.get(place)
    assert (await browser.get(place)).form == offered.form  # a page may be loaded again
    statuses = [(await browser.post(place, offered.form)).status for _ in range(2)]
    assert statuses == [307, 400]
    assert (await browser.get(place)).status == 400


async def test_a_kept_form_is_offered_to_nobody_else(world, guide, browser, client):
    await browser.sign_in()
    location = await guide.guide(STEP_UP, sent(principal=await signed_in_principal(world, browser)))
    world.province.subject = "u-2"
    other = Browser(client)
    await other.sign_in()
    page = await other.get(wanted(location)["return_to"])
    assert page.status == 400
    assert "张三" not in page.text


async def test_another_operator_of_the_same_unit_is_somebody_else(world, guide, browser):
    """Two people act for one unit; what one of them filled in is not sent by the other."""
    await browser.sign_in()
    token = (await browser.state())["csrf_token"]
    await browser.post("/sso/identity", {"unit": "unit-1", "csrf_token": token})
    her = await signed_in_principal(world, browser)
    assert (her.subject, her.operator) == ("unit-1", "u-1")
    offered = []
    for operator in ("u-2", "u-1"):
        location = await guide.guide(STEP_UP, sent(principal=msgspec.structs.replace(her, operator=operator)))
        offered.append((await browser.get(wanted(location)["return_to"])).status)
    assert offered == [400, 200]


@pytest.mark.parametrize(
    ("error", "changed"),
    [
        (TokenMissing("none"), {"principal": None, "credential": NOBODY}),
        (CredentialRejected("ended"), {"principal": None}),
        (TokenRevoked("withdrawn"), {"principal": None}),
        (STEP_UP, {"credential": Credential("web", "a-token-and-no-session")}),
    ],
    ids=["nobody", "a session that has ended", "one that was withdrawn", "no session"],
)
async def test_a_form_of_whom_nobody_knows_is_not_kept(world, guide, error, changed):
    """Else an attacker keeps a form of his, and has somebody else send it with one button and with her rights."""
    before = world.house.store.asked.count("write")
    assert await guide.guide(error, sent(**changed)) is None
    assert world.house.store.asked.count("write") == before


async def test_a_form_that_an_attacker_kept_is_not_sent_with_the_rights_of_whom_he_sends_its_address(
    world, guide, browser, client
):
    attacker = Browser(client)
    world.province.subject = "u-mallory"
    await attacker.sign_in()
    location = await guide.guide(STEP_UP, sent(principal=await signed_in_principal(world, attacker)))
    place = wanted(location)["return_to"]
    world.province.subject = "u-1"
    page = await browser.get(place)
    assert (await browser.come_back((await browser.get(page.location)).asked())).location == place
    assert (await browser.get(place)).status == 400
    token = (await browser.state())["csrf_token"]
    assert (await browser.post(place, [*FIELDS, ("csrf_token", token)])).status == 400


async def test_all_that_will_be_sent_is_shown(world, guide, browser):
    """As text, whatever it holds; our own field, which is none of hers, is not."""
    await browser.sign_in()
    fields = [*FIELDS, ("<b>", "<script>alert(1)</script>"), ("csrf_token", "old-token")]
    location = await guide.guide(STEP_UP, sent(fields, principal=await signed_in_principal(world, browser)))
    page = await browser.get(wanted(location)["return_to"])
    shown = [
        (unescape(name), unescape(value))
        for name, value in re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page.text, re.DOTALL)
    ]
    assert set(fields[:-1]) <= set(shown)
    assert "<script" not in page.text
    assert "old-token" not in page.text


async def test_a_kept_form_is_not_sent_by_another_site_s_page(world, guide, browser):
    await browser.sign_in()
    location = await guide.guide(STEP_UP, sent(principal=await signed_in_principal(world, browser)))
    page = await browser.post(wanted(location)["return_to"], FIELDS)
    assert (page.status, world.codes()) == (403, ["cross-site-request"])


async def test_a_kept_form_lies_sealed_and_not_for_long(world, guide, browser):
    await browser.sign_in()
    location = await guide.guide(STEP_UP, sent(principal=await signed_in_principal(world, browser)))
    world.clock.advance(601)
    assert (await browser.get(wanted(location)["return_to"])).status == 400


@pytest.mark.parametrize(
    "changed",
    [
        {"origin": "https://evil.example", "sec_fetch_site": "cross-site"},
        {"content_type": "multipart/form-data; boundary=x"},
        {"content_type": "text/plain"},
        {"fields": [("a", "b" * 70_000)]},
        {"fields": [(f"f{n}", "1") for n in range(2500)]},
    ],
    ids=["another site's page", "an upload", "text", "more than 64 KiB", "thousands of fields"],
)
async def test_what_cannot_be_offered_again_is_not_kept(world, guide, changed):
    before = world.house.store.asked.count("write")
    assert await guide.guide(STEP_UP, sent(**changed)) is None
    assert world.house.store.asked.count("write") == before


async def test_a_form_in_another_encoding_is_not_kept(guide):
    body = b"name=%D5%C5"  # GBK
    assert await guide.guide(STEP_UP, asked("POST", "/apply", "", SESSION, body, WEAK)) is None


async def test_a_person_has_only_so_many_forms_kept(world):
    """Whatever address she comes from, and as whomever she acts; what others have kept does not count."""
    guide = Guide(world.login, world.logins, {"web"}, Rates(lambda: 0.0))
    unit = msgspec.structs.replace(WEAK, subject="unit-1", kind=Kind.LEGAL, operator="u-1")
    kept = [await guide.guide(STEP_UP, sent(principal=(WEAK, unit)[n % 2])) is not None for n in range(20)]
    assert 10 <= kept.count(True) <= 11
    assert kept[-1] is False
    assert await guide.guide(STEP_UP, sent(principal=msgspec.structs.replace(WEAK, subject="u-2"))) is not None


async def test_a_store_that_is_away_is_told_to_the_pipeline(world, guide):
    world.house.store.down = True
    with pytest.raises(StateUnavailable):
        await guide.guide(STEP_UP, sent())
