"""Signing in to the back office as pages: the steps in their order, and every way in which one is refused."""

import re
from io import BytesIO

import pytest
import segno

from gateway.console.session import COOKIE
from tests.console.console_world import PASSWORD, Account, Visitor, World
from tests.ledger.office_world import seed_staff

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def world(shared_world):
    return shared_world


async def half(world: World, account: Account) -> Visitor:
    """Somebody whose password was right, and nothing more yet."""
    visitor = world.visitor()
    answer = await visitor.post("/sign-in", {"login": account.login, "password": PASSWORD})
    assert answer.status == 303
    return visitor


async def test_password_and_code_sign_somebody_in(world):
    account, visitor = await world.hire(), world.visitor()
    first = await visitor.post("/sign-in", {"login": account.login, "password": PASSWORD})
    second = await visitor.post("/second-factor", {"code": account.code()})
    assert (first.status, first.headers["Location"]) == (303, "/second-factor")
    assert (second.status, second.headers["Location"]) == (303, "/")
    told = await visitor.call("GET", "/session")
    assert (await told.json())["role"] == "clerk"


async def test_every_step_gives_another_cookie_and_the_older_one_opens_nothing(world):
    account = await world.hire()
    visitor = await half(world, account)
    planted = visitor.token
    await visitor.post("/second-factor", {"code": account.code()})
    assert visitor.token != planted
    assert (await world.visitor(planted).call("GET", "/session")).status == 401


async def test_the_cookie_is_for_this_host_alone_and_no_script_reads_it(world):
    account = await world.hire()
    answer = await world.visitor().post("/sign-in", {"login": account.login, "password": PASSWORD})
    [cookie] = answer.headers.getall("Set-Cookie")
    assert cookie.startswith(f"{COOKIE}=")
    assert {part.strip() for part in cookie.split(";")[1:]} == {"HttpOnly", "Path=/", "SameSite=Strict", "Secure"}


async def test_a_planted_cookie_is_not_taken_over(world):
    account, visitor = await world.hire(), world.visitor("A" * 43)
    await visitor.post("/sign-in", {"login": account.login, "password": PASSWORD})
    assert visitor.token != "A" * 43


@pytest.mark.parametrize(("login", "password"), [(None, "wrong"), ("nobody", PASSWORD)])
async def test_a_wrong_password_and_a_wrong_login_get_the_same_page(world, login, password):
    account, visitor = await world.hire(), world.visitor()
    answer = await visitor.post("/sign-in", {"login": login or account.login, "password": password})
    page = await answer.text()
    assert answer.status == 401
    assert "登录名、密码或动态验证码不正确。" in page
    assert visitor.token is None
    assert password not in page


async def test_what_was_entered_as_login_stays_and_is_escaped(world):
    answer = await world.visitor().post("/sign-in", {"login": '"><script>', "password": "wrong"})
    page = await answer.text()
    assert "<script>" not in page
    assert "&#34;&gt;&lt;script&gt;" in page


async def test_an_empty_form_says_so_beside_each_field(world):
    answer = await world.visitor().post("/sign-in", {"login": "", "password": ""})
    page = await answer.text()
    assert answer.status == 422
    assert re.findall(r'id="wrong-(\w+)"', page) == ["login", "password"]
    assert page.count('aria-invalid="true"') == 2


async def test_an_account_is_locked_after_too_many_failures_also_for_the_right_password(world):
    account, visitor = await world.hire(), world.visitor()
    for _ in range(world.console.settings.lock_after):
        await visitor.post("/sign-in", {"login": account.login, "password": "wrong"})
    locked = await visitor.post("/sign-in", {"login": account.login, "password": PASSWORD})
    assert locked.status == 403
    assert locked.headers["Retry-After"] == "900"
    world.clock.advance(world.console.settings.lock_for)
    assert (await visitor.post("/sign-in", {"login": account.login, "password": PASSWORD})).status == 303


async def test_a_code_is_good_once(world):
    account = await world.hire()
    code = account.code()
    await (await half(world, account)).post("/second-factor", {"code": code})
    again = await (await half(world, account)).post("/second-factor", {"code": code})
    assert again.status == 401
    assert "登录名、密码或动态验证码不正确。" in await again.text()


async def test_a_half_session_opens_nothing(world):
    visitor = await half(world, await world.hire())
    page, data = await visitor.get("/units"), await visitor.call("GET", "/units")
    assert (page.status, page.headers["Location"]) == (303, "/sign-in?return_to=%2Funits")
    assert data.status == 401


async def test_a_step_that_is_not_due_leads_to_the_one_that_is(world):
    visitor = await half(world, await world.hire())
    for path in ("/sign-in", "/password", "/second-factor/enrol"):
        assert (await visitor.get(path)).headers["Location"] == "/second-factor"


async def test_a_half_session_cannot_change_the_password_or_enrol_another_factor(world):
    visitor = await half(world, await world.hire())
    changed = await visitor.post("/password", {"old": PASSWORD, "new": "Anders-Genug-99", "again": "Anders-Genug-99"})
    assert changed.status == 409
    assert (await visitor.get("/second-factor/code.svg")).status == 409


async def test_whoever_has_no_second_factor_enrols_one_first(world):
    account, visitor = await world.hire(enrolled=False), world.visitor()
    first = await visitor.post("/sign-in", {"login": account.login, "password": PASSWORD})
    assert first.headers["Location"] == "/second-factor/enrol"
    page = await (await visitor.get("/second-factor/enrol")).text()
    account.secret = re.search(r"<code>([A-Z2-7 ]+)</code>", page)[1].replace(" ", "")
    wrong = await visitor.post("/second-factor/enrol", {"code": "000000" if account.code() != "000000" else "000001"})
    assert wrong.status == 422
    assert 'id="wrong-code"' in await wrong.text()
    right = await visitor.post("/second-factor/enrol", {"code": account.code()})
    assert (right.status, right.headers["Location"]) == (303, "/")


async def test_the_square_shows_the_secret_to_her_alone(world):
    visitor = await half(world, await world.hire(enrolled=False))
    session = await world.console.sessions.find(visitor.token)
    square = await visitor.get("/second-factor/code.svg")
    assert (square.content_type, square.headers["Cache-Control"]) == ("image/svg+xml", "no-store")
    enrolment = await world.console.sign_in.begin_second_factor(session)
    assert re.findall(r' d="([^"]+)"', await square.text())[-1] == drawn(enrolment.uri)
    assert (await world.visitor().get("/second-factor/code.svg")).status == 303


def drawn(text: str) -> str:
    """The dark lines of a QR code with this text, as an SVG path."""
    image = BytesIO()
    segno.make(text, error="m").save(image, kind="svg", border=4)
    return re.search(rb' d="([^"]+)"', image.getvalue())[1].decode()


async def test_a_one_time_password_has_to_be_changed_first(world):
    founder = await world.sit("system", "")
    made = await (await founder.call("POST", "/staff", {"login": "neu.da", "name": "样例新人"})).json()
    visitor = world.visitor()
    first = await visitor.post("/sign-in", {"login": "neu.da", "password": made["password"]})
    assert first.headers["Location"] == "/password"
    fields = {"old": made["password"], "new": PASSWORD, "again": PASSWORD}
    unlike = await visitor.post("/password", fields | {"again": "other"})
    assert (unlike.status, 'id="wrong-again"' in await unlike.text()) == (422, True)
    assert (await visitor.post("/password", fields)).headers["Location"] == "/second-factor/enrol"


async def test_a_password_of_blanks_at_its_ends_is_taken_as_it_is(world):
    account = await world.hire()
    visitor = await world.seat(account.officer)
    fields = {"old": PASSWORD, "new": f" {PASSWORD}x ", "again": f" {PASSWORD}x "}
    assert (await visitor.post("/password", fields)).status == 303
    stripped = await world.visitor().post("/sign-in", {"login": account.login, "password": f"{PASSWORD}x"})
    whole = await world.visitor().post("/sign-in", {"login": account.login, "password": f" {PASSWORD}x "})
    assert (stripped.status, whole.status) == (401, 303)


async def test_whoever_wanted_a_page_gets_there_after_every_step(world):
    account, visitor = await world.hire(), world.visitor()
    asked = await visitor.get("/units?text=a&page=2")
    first = await visitor.post(asked.headers["Location"], {"login": account.login, "password": PASSWORD})
    second = await visitor.post(first.headers["Location"], {"code": account.code()})
    assert second.headers["Location"] == "/units?text=a&page=2"


@pytest.mark.parametrize(
    ("asked", "back"),
    [
        ("/units?text=" + "%E5%8D%95" * 130, "?return_to=%2Funits%3Ftext%3D" + "%25E5%258D%2595" * 130),
        ("/units?text=" + "%E5%8D%95" * 800, "?return_to=%2Funits"),
        ("/units/" + "x" * 3000, ""),
    ],
    ids=["long", "too long", "a path that is too long"],
)
async def test_the_way_to_the_sign_in_is_short_however_long_the_address_was(world, asked, back):
    """Proxies by default take no more than 4 KiB for the head of an answer: what is too long loses its query."""
    answer = await world.visitor().get(asked)
    assert (answer.status, answer.headers["Location"]) == (303, f"/sign-in{back}")
    assert (await world.visitor().get(answer.headers["Location"])).status == 200


@pytest.mark.parametrize(
    "address",
    ["https://evil.example", "//evil.example", "/\\evil.example", "/%2f/evil", "/..//evil.example", "evil", ""],
)
async def test_nobody_is_sent_to_another_host(world, address):
    account, visitor = await world.hire(), world.visitor()
    params = {"return_to": address}
    first = await visitor.post("/sign-in", {"login": account.login, "password": PASSWORD}, params=params)
    assert first.headers["Location"] == "/second-factor"


async def test_signing_out_ends_the_session(world):
    visitor = await world.sit("clerk")
    token = visitor.token
    answer = await visitor.post("/sign-out")
    assert (answer.status, answer.headers["Location"]) == (303, "/sign-in")
    assert visitor.token is None
    assert (await world.visitor(token).call("GET", "/session")).status == 401


async def test_a_session_ends_when_nobody_uses_it(world):
    visitor = await world.sit("clerk")
    world.clock.advance(world.console.settings.idle)
    assert (await visitor.call("GET", "/session")).status == 401


async def test_an_ended_post_closes_the_session_at_once(world):
    officer = await seed_staff(world.office, "clerk")
    visitor, security = await world.seat(officer), await world.sit("security", "")
    assert (await security.call("POST", f"/staff/{officer.staff}/dismiss", {"version": 1})).status == 200
    assert (await visitor.call("GET", "/units")).status == 403


async def test_too_many_attempts_from_one_address_wait(world):
    visitor = world.visitor()
    answers = [await visitor.post("/sign-in", {"login": f"guess{number}", "password": "x"}) for number in range(31)]
    assert [answer.status for answer in answers] == [401] * 30 + [429]
    assert int(answers[-1].headers["Retry-After"]) >= 1


async def test_names_and_passwords_stay_out_of_the_log(world):
    account = await world.hire()
    visitor = await half(world, account)
    await visitor.get("/units?text=样例单位")
    said = repr(world.log.calls)
    assert "样例单位" not in said
    assert PASSWORD not in said
    assert visitor.token not in said
