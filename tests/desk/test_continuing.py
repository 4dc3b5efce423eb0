"""The way to the login and back: which errors show it, to whom, and what becomes of a form that was on its way."""

from urllib.parse import parse_qs, urlencode, urlsplit

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


def sent(fields=FIELDS, **changed) -> Exchange:
    return asked("POST", "/apply", "v=1", SESSION, urlencode(fields).encode(), **changed)


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


async def test_a_kept_form_of_whom_nobody_knew_yet_asks_for_a_login(guide, browser):
    location = await guide.guide(CredentialRejected("ended"), sent())
    place = wanted(location)["return_to"]
    page = await browser.get(place)
    assert (page.status, wanted(page.location)) == (303, {"return_to": place})
    await browser.sign_in(place)
    assert (await browser.get(place)).status == 200


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
    assert await guide.guide(STEP_UP, asked("POST", "/apply", credential=SESSION, body=body)) is None


async def test_a_client_has_only_so_many_forms_kept(world):
    login = LoginSettings.model_validate({"natural": "province", "client_rate": "3/minute"})
    guide = Guide(login, world.logins, {"web"}, Rates(lambda: 0.0))
    kept = [await guide.guide(STEP_UP, sent()) is not None for _ in range(6)]
    assert kept.count(True) in (3, 4)
    assert kept[-1] is False


async def test_a_store_that_is_away_is_told_to_the_pipeline(world, guide):
    world.house.store.down = True
    with pytest.raises(StateUnavailable):
        await guide.guide(STEP_UP, sent())
