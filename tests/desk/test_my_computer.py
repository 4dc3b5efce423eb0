"""The passkey of a designated computer: proposed by who sits at it, approved by staff, shown to a session."""

from secrets import token_bytes

import pytest
from authenticator import ATTESTED, PRESENT, VERIFIED, Authenticator, text
from desk_world import HOST, ORIGIN, Browser
from msgspec.structs import replace
from my_world import PLAIN, My, MyWorld

from gateway.ledger.paging import SIZE
from tests.ledger.office_world import seed_ended
from tests.ledger.view_world import PROMISED, until


@pytest.fixture
def world(my_world) -> MyWorld:
    return my_world


@pytest.fixture
async def unit(world):
    return await world.scene.unit()


@pytest.fixture
async def my(world, browser, unit) -> My:
    await world.sign_in(browser, unit)
    return My(world, browser)


@pytest.fixture
def computer() -> Authenticator:
    return Authenticator(ORIGIN)


async def enrol(my: My, computer: Authenticator, name: str = "办公电脑", **changed):
    status, options = await my.post("computer/enrol", {"name": name})
    assert status == 200, options
    return await my.post("computer/enrol/answer", {"credential": computer.create(options, **changed)})


async def designate(my: My, computer: Authenticator) -> str:
    """Enrol it and have staff approve it; gives its id."""
    status, said = await enrol(my, computer)
    assert status == 201, said
    scene = my.world.scene
    await scene.devices.approve(scene.reviewer, said["id"], 1)
    return said["id"]


async def show(my: My, computer: Authenticator, return_to: str = "", **changed):
    status, options = await my.post("computer/show")
    assert status == 200, options
    body = {"credential": computer.get(options, **changed), "return_to": return_to}
    return await my.post("computer/show/answer", body)


async def principal(my: My):
    return (await my.world.desk.sessions.open(my.browser.session)).principal


async def test_a_computer_is_enrolled_approved_and_shown(world, my, computer):
    """The session has a new id then, and says which computer it is used on; the visitor goes on where she was."""
    status, said = await enrol(my, computer)
    assert (status, said["state"]) == (201, "proposed")
    assert "待复核" in (await my.see("devices")).text
    assert (await my.post("computer/show"))[0] == 409
    assert world.codes() == ["passkey-missing"]
    await world.scene.devices.approve(world.scene.reviewer, said["id"], 1)
    before, token = my.browser.session, my.token
    assert await show(my, computer, "/medical/x?a=1") == (
        200,
        {"device": said["id"], "continue_at": "/medical/x?a=1"},
    )
    assert (await principal(my)).device == said["id"]
    assert my.browser.session != before
    assert my.token != token
    assert await world.desk.sessions.open(before) is None
    assert "本机" in (await my.see("devices")).text


async def test_what_the_browser_is_asked(my, computer):
    """A key of this very computer that its user unlocks; no name of hers, no attestation."""
    _, asked = await my.post("computer/enrol", {"name": "办公电脑"})
    assert asked["rp"] == {"id": HOST, "name": HOST}
    assert asked["user"]["name"] == "办公电脑"
    assert asked["attestation"] == "none"
    assert asked["authenticatorSelection"] == {
        "authenticatorAttachment": "platform",
        "residentKey": "discouraged",
        "requireResidentKey": False,
        "userVerification": "required",
    }
    await designate(my, computer)
    _, asked = await my.post("computer/enrol", {"name": "另一台"})
    assert [one["id"] for one in asked["excludeCredentials"]] == [text(computer.id)]
    _, asked = await my.post("computer/show")
    assert asked["userVerification"] == "required"
    assert [one["id"] for one in asked["allowCredentials"]] == [text(computer.id)]


async def test_the_computer_that_was_shown_goes_along_in_tokens_and_not_to_another_identity(world, my, computer, unit):
    """Somebody who goes on as somebody else has shown that one nothing."""
    device = await designate(my, computer)
    await show(my, computer)
    token, _ = await world.desk.sessions.issue_token(my.browser.session)
    assert (await world.desk.sessions.find(token)).device == device
    elsewhere = world.house.worker()
    assert (await elsewhere.open(my.browser.session)).principal.device == device
    for form in ({"self": "1"}, {"unit": unit.owners[0].subject}):
        await my.browser.post("/sso/identity", form | {"csrf_token": my.token})
        assert (await principal(my)).device is None


@pytest.mark.parametrize(
    "changed",
    [
        {"origin": "https://evil.example"},
        {"origin": f"http://{HOST}"},
        {"origin": f"{ORIGIN}:8443"},
        {"flags": PRESENT},
        {"flags": VERIFIED},
        {"challenge": text(token_bytes(32))},
        {"domain": "evil.example"},
    ],
    ids=["other origin", "plain http", "other port", "not verified", "nobody there", "other challenge", "other domain"],
)
async def test_what_does_not_hold_shows_no_computer(world, my, computer, changed):
    await designate(my, computer)
    before = my.browser.session
    assert (await show(my, computer, **changed))[0] == 403
    assert world.codes() == ["passkey-rejected"]
    assert (my.browser.session, (await principal(my)).device) == (before, None)


@pytest.mark.parametrize("changed", [{"origin": "https://evil.example"}, {"flags": PRESENT}, {"challenge": "AAAA"}])
async def test_what_does_not_hold_enrols_no_computer(world, my, computer, changed):
    assert (await enrol(my, computer, **changed))[0] == 403
    assert (await my.get("devices"))[1]["found"] == []


@pytest.mark.parametrize(
    "credential",
    [{}, {"id": 1}, {"id": "AA", "rawId": "AA", "type": "public-key", "response": {}}, {"id": "é"}, {"response": []}],
)
async def test_what_is_no_credential_is_refused_and_breaks_nothing(world, my, computer, credential):
    await designate(my, computer)
    await my.post("computer/show")
    assert (await my.post("computer/show/answer", {"credential": credential}))[0] == 403
    await my.post("computer/enrol", {"name": "电脑"})
    assert (await my.post("computer/enrol/answer", {"credential": credential}))[0] == 403


async def test_a_signature_of_another_key_shows_nothing(world, my, computer):
    await designate(my, computer)
    thief = Authenticator(ORIGIN)
    assert (await show(my, thief))[0] == 403
    thief.id = computer.id
    assert (await show(my, thief))[0] == 403


async def test_a_challenge_is_good_once_in_its_session_for_its_purpose_and_five_minutes(world, my, computer, client):
    """Whoever records an answer cannot show it again."""
    await designate(my, computer)
    _, options = await my.post("computer/show")
    credential = computer.get(options)
    other = My(world, Browser(client))
    await world.sign_in(other.browser, await world.scene.unit())
    body = {"credential": credential}
    assert (await other.post("computer/show/answer", body))[0] == 400
    assert (await my.post("computer/enrol/answer", body))[0] == 400
    assert (await my.post("computer/show/answer", body))[0] == 200
    assert (await my.post("computer/show/answer", body))[0] == 400
    _, options = await my.post("computer/show")
    world.clock.advance(301)
    assert (await my.post("computer/show/answer", {"credential": computer.get(options)}))[0] == 400


async def test_a_counter_that_does_not_go_up_is_a_copy_and_shows_nothing(world, my, computer):
    await designate(my, computer)
    await show(my, computer)
    device = (await principal(my)).device
    before = my.browser.session
    computer.count -= 1
    assert (await show(my, computer))[0] == 409
    assert (world.codes(), my.browser.session) == (["passkey-cloned"], before)
    assert "device.clone-suspected" in await world.scene.history(device)


async def test_a_key_that_does_not_count_can_be_shown_again_and_again(my, world, unit):
    computer = Authenticator(ORIGIN, count=None)
    await designate(my, computer)
    assert [(await show(my, computer))[0] for _ in range(2)] == [200, 200]


async def test_another_unit_s_computer_shows_nothing_and_cannot_be_ended(world, my, computer, browser):
    device = await designate(my, computer)
    await world.sign_in(browser, await world.scene.unit())
    assert (await my.post("computer/show"))[0] == 409
    told = {(*await my.post(f"devices/{id}/drop", {"reason": "试"}), world.codes()[-1]) for id in (device, "none")}  # noqa: A001
    assert told == {(403, "not-yours", "not-yours")}
    assert (await my.get("devices"))[1]["found"] == []


async def test_the_unit_ends_a_computer_which_then_shows_nothing(world, my, computer):
    device = await designate(my, computer)
    assert (await my.send(f"devices/{device}/drop", reason="报废")).location == "/sso/my/devices"
    assert (await my.post("computer/show"))[0] == 409
    assert (await my.send(f"devices/{device}/drop", reason="")).status == 422


async def test_computers_are_turned_in_pages_and_a_form_comes_back_to_the_one_it_was_on(world, my, computer):
    first = await designate(my, computer)
    newer = await seed_ended(world.scene.reviewer, world.ledger.office, "devices", first, SIZE)
    shown = [(await my.get(f"devices?page={page}"))[1] for page in (1, 2)]
    assert [one["id"] for page in shown for one in page["found"]] == [*newer, first]
    assert [(page["more"], page["total"]) for page in shown] == [(True, SIZE + 1), (False, SIZE + 1)]
    page = await my.see("devices")
    assert (page.text.count('id="device-'), "/drop" in page.text) == (SIZE, False)
    assert 'href="/sso/my/devices?page=2"' in page.text
    assert f'action="/sso/my/devices/{first}/drop?page=2"' in (await my.see("devices?page=2")).text
    page = await my.send(f"devices/{first}/drop?page=2", reason=" ")
    assert page.status == 422
    assert 'aria-describedby="wrong-reason"' in page.text


async def test_a_computer_that_staff_end_is_shown_no_longer_in_the_session_that_goes_on(world, my, computer):
    """Its key stands in no fact that a decision rests on, and no page says that all is well."""
    await world.ledger.view.follow()
    device = await designate(my, computer)
    await show(my, computer)
    assert (await my.get(""))[1]["device"] == device
    assert "本机已通过验证" in (await my.see("computer")).text
    await world.scene.devices.end(world.scene.reviewer, device, "报废", 2)
    assert (await my.get(""))[1]["device"] is None
    assert "本机已通过验证" not in (await my.see("computer")).text
    who = await principal(my)
    assert await until(lambda: not world.ledger.view.facts(who.issuer, who.subject).devices) < PROMISED


async def test_who_may_not_enrol_is_told_before_a_key_is_made(world, my, browser, unit):
    """A unit that was not reviewed; a person; a linked account; a client without a browser."""
    await world.sign_in(browser, await world.scene.unit(state="new"))
    assert (await my.post("computer/enrol", {"name": "电脑"}))[0] == 409
    await world.sign_in(browser, "u-1")
    assert (await my.post("computer/enrol", {"name": "电脑"}))[0] == 403
    assert "此页面向单位" in (await my.see("computer")).text
    await world.sign_in(browser, unit)
    linked = replace(await principal(my), verifier="wechat")
    browser.cookies["__Host-sid"] = (await world.desk.sessions.change(browser.session, linked))[0], "Lax"
    assert (await my.post("computer/enrol", {"name": "电脑"}))[0] == 403
    token, _ = await world.desk.sessions.issue_token(browser.session)
    headers = PLAIN | {"Authorization": f"Bearer {token}"}
    async with browser.client.post("/sso/my/computer/show", json={}, headers=headers) as answer:
        assert answer.status == 401
    assert world.codes() == ["unit-not-reviewed", "audience-not-allowed", "own-login-needed", "token-missing"]


@pytest.mark.parametrize("name", ["", " ", "x" * 65, "一\n二"])
async def test_a_computer_needs_a_name_before_a_key_is_made(my, name):
    assert (await my.post("computer/enrol", {"name": name}))[0] == 422


@pytest.mark.parametrize("return_to", ["https://evil.example", "//evil.example", "/other", "/sso/logout"])
async def test_nobody_is_sent_elsewhere_after_showing_a_computer(my, computer, return_to):
    await designate(my, computer)
    before = my.browser.session
    assert (await show(my, computer, return_to))[0] == 400
    assert my.browser.session == before
    assert return_to not in (await my.see(f"computer?return_to={return_to}")).text


async def test_the_page_has_one_script_and_says_so_where_it_does_not_run(my, client):
    page = await my.see("computer?return_to=%2Fmedical%2Fx")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'; connect-src 'self'" in policy
    assert "unsafe" not in policy
    assert page.text.count("<script") == 1
    assert "此页需要启用脚本" in page.text
    async with client.get("/sso/passkey.js", headers=PLAIN) as script:
        assert script.content_type == "text/javascript"
        assert "navigator.credentials" in await script.text()


async def test_asking_and_answering_need_the_session_s_token(world, my):
    for path in ("computer/enrol", "computer/enrol/answer", "computer/show", "computer/show/answer"):
        assert (await my.post(path, {"name": "电脑"}, **{"X-CSRF-Token": "0" * 64}))[0] == 403
    assert world.codes() == ["cross-site-request"] * 4


def test_flags_are_those_of_the_standard():
    """WebAuthn Level 2 §6.1."""
    assert (PRESENT, VERIFIED, ATTESTED) == (1 << 0, 1 << 2, 1 << 6)
