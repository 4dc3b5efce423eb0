"""Channel accounts: they sign in whoever linked them, by herself, after her own login; and devices with keys."""

import asyncio
from base64 import b64encode
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk_world import HOST, ORIGIN, Browser, World

from gateway.ledger import open_ledger

PLAIN = {"X-Forwarded-Host": HOST, "X-Forwarded-Proto": "https"}


@pytest.fixture
async def world(tmp_path, new_ledger):
    (tmp_path / "ledger.db").write_bytes(new_ledger)
    ledger = open_ledger("sqlite:///ledger.db", tmp_path)
    await ledger.start()
    yield World(links=ledger.links, devices=ledger.devices)
    await ledger.close()


async def hand_over(world, client, code: str = "code-1", **headers):
    """What a mini-program does with its login code."""
    response = await client.post("/sso/channels/wechat", json={"code": code}, headers=PLAIN | headers)
    return response.status, await response.json() if response.status == 200 else await response.text()


def wanted_link(way: str) -> str:
    """The id of the kept account, of the address where it is linked."""
    return urlsplit(parse_qs(urlsplit(way).query)["return_to"][0]).path.rpartition("/")[2]


async def confirm(browser, address: str):
    """Open the address of a missing link, sign in, and press the button."""
    page = await browser.get(address.removeprefix(ORIGIN))
    page = await browser.come_back(page.asked())
    place = page.location
    asked = await browser.get(place)
    assert asked.status == 200
    return await browser.post(urlsplit(place).path, asked.form)


async def test_an_account_of_nobody_signs_nobody_in_and_is_told_where_to_be_linked(world, client):
    assert await hand_over(world, client) == (409, "link-missing")
    assert world.refusals[0].way.startswith(f"{ORIGIN}/sso/login?return_to=%2Fsso%2Fchannels%2Fwechat%2Flink%2F")


async def test_a_linked_account_signs_in_its_person_and_no_more_strongly_than_is_allowed(world, client, browser):
    await hand_over(world, client)
    page = await confirm(browser, world.refusals[0].way)
    assert (page.status, page.location) == (303, "/sso/")
    status, said = await hand_over(world, client, "code-1.2")
    assert (status, said["token_type"]) == (200, "Bearer")
    principal = await world.house.sessions.find(said["access_token"])
    assert (principal.subject, principal.assurance, principal.authenticated_at) == ("u-1", 1, None)


async def test_a_code_is_exchanged_once_however_many_bring_it(world, client):
    answers = await asyncio.gather(*(hand_over(world, client) for _ in range(20)))
    assert set(answers) == {(409, "link-missing")}
    assert world.wechat.codes == ["code-1"]


@pytest.mark.parametrize(
    "stranger", [{"X-Forwarded-For": "198.51.100.9"}, {"User-Agent": "curl/8"}, {"Cookie": f"__Host-login={'A' * 43}"}]
)
async def test_a_stranger_who_repeats_a_code_is_not_given_its_token(world, client, browser, stranger):
    """Only the same client is: a code may have been seen by others on its way."""
    await hand_over(world, client)
    await confirm(browser, world.refusals[0].way)
    own = {"X-Forwarded-For": "192.0.2.7", "User-Agent": "MicroMessenger"}
    first = await hand_over(world, client, "code-1.2", **own)
    assert (await hand_over(world, client, "code-1.2", **own))[1]["access_token"] == first[1]["access_token"]
    assert await hand_over(world, client, "code-1.2", **own | stranger) == (400, "sign-in-malformed")


async def test_a_code_that_the_channel_refuses_is_401(world, client):
    assert await hand_over(world, client, "forged") == (401, "sign-in-refused")


@pytest.mark.parametrize("body", [{}, {"code": ""}, {"code": 1}, {"code": "x" * 600}, ["code-1"], {"code": "a\nb"}])
async def test_what_is_no_code_is_400(world, client, body):
    assert (await client.post("/sso/channels/wechat", json=body, headers=PLAIN)).status == 400
    assert world.wechat.codes == []


async def test_a_channel_that_signs_nobody_in_is_404(client):
    assert (await client.post("/sso/channels/sms", json={"code": "code-1"}, headers=PLAIN)).status == 404


async def test_a_link_is_made_only_by_the_button_of_its_own_page(world, client, browser):
    """A page of another site cannot press it, and a link that was sent around does nothing by itself."""
    await hand_over(world, client)
    page = await browser.get(world.refusals[0].way.removeprefix(ORIGIN))
    place = (await browser.come_back(page.asked())).location
    await browser.get(place)
    for site, fields in (("cross-site", {}), ("same-origin", {}), ("same-origin", {"csrf_token": "f" * 64})):
        assert (await browser.post(urlsplit(place).path, fields, site=site)).status in (401, 403)
    assert await world.desk.links.of("https://id.province.example", "u-1") == []


async def test_a_kept_account_is_linked_once(world, client, browser):
    await hand_over(world, client)
    address = world.refusals[0].way
    assert (await confirm(browser, address)).status == 303
    assert (await confirm(browser, address)).status == 400


async def test_an_account_of_somebody_else_is_not_linked_again(world, client, browser):
    for code in ("code-1", "code-1.2"):  # the second one before the first was linked
        await hand_over(world, client, code)
    first, second = (error.way for error in world.refusals)
    await confirm(browser, first)
    world.province.subject = "u-2"
    page = await confirm(browser, second)
    assert (page.status, world.codes()[-1]) == (409, "account-linked")


async def test_a_linked_account_cannot_link_another_one(world, browser):
    """Only the person's own login counts: else one stolen account would bring all the others."""
    await test_h5_signs_in_whoever_is_linked(world, browser)
    kept = await world.logins.keep_account(await world.wechat.redeem("code-2"))
    page = await browser.get(f"/sso/channels/wechat/link/{kept}")
    assert (page.status, urlsplit(page.location).path) == (303, "/sso/login")
    token = (await browser.state())["csrf_token"]
    assert (await browser.post(f"/sso/channels/wechat/link/{kept}", {"csrf_token": token})).status == 400


async def test_h5_sends_who_is_not_linked_to_the_platform_first(world, browser):
    page = await browser.get("/sso/channels/wechat/login?return_to=/x")
    asked = page.asked()
    assert asked["redirect_uri"] == f"{ORIGIN}/sso/channels/wechat/callback"
    page = await browser.get(f"/sso/channels/wechat/callback?{urlencode({'state': asked['state'], 'code': 'code-1'})}")
    assert (page.status, urlsplit(page.location).path) == (303, "/sso/login")
    assert (await confirm(browser, page.location)).location == "/x"


@pytest.mark.parametrize("return_to", ["/x?q=" + "%E6%9C%8D" * count for count in (1, 80, 135)])
async def test_h5_links_also_who_wants_to_go_to_a_long_address(browser, return_to):
    """That the link's page could not carry along through the login costs her the way back, not the link."""
    asked = (await browser.get(f"/sso/channels/wechat/login?{urlencode({'return_to': return_to})}")).asked()
    page = await browser.get(f"/sso/channels/wechat/callback?{urlencode({'state': asked['state'], 'code': 'code-1'})}")
    assert len(page.location) < 2200
    assert (await confirm(browser, page.location)).location == (return_to if len(return_to) < 800 else "/sso/")


async def test_h5_signs_in_whoever_is_linked(world, browser):
    await test_h5_sends_who_is_not_linked_to_the_platform_first(world, browser)
    asked = (await browser.get("/sso/channels/wechat/login?return_to=/y")).asked()
    query = urlencode({"state": asked["state"], "code": "code-1.2"})
    page = await browser.get(f"/sso/channels/wechat/callback?{query}")
    assert (page.status, page.location) == (303, "/y")
    assert (await browser.state())["assurance"] == 1


async def test_what_h5_brought_is_linked_in_the_browser_that_brought_it(world, client, browser):
    """An attacker who sends the address of his own account on gets it linked to nobody."""
    asked = (await browser.get("/sso/channels/wechat/login?return_to=/x")).asked()
    query = urlencode({"state": asked["state"], "code": "code-1"})
    address = (await browser.get(f"/sso/channels/wechat/callback?{query}")).location
    assert (await confirm(Browser(client), address)).status == 400
    assert (await confirm(browser, address)).status == 303


async def test_the_key_of_a_login_is_not_kept_while_its_account_waits_for_a_link(world, client):
    await hand_over(world, client)
    kept = wanted_link(world.refusals[0].way)
    account = await world.logins.take_account(kept)
    assert (account.id, account.secret) == ("openid-1", b"")


async def test_h5_s_callback_belongs_to_the_browser_that_began(world, client, browser):
    asked = (await browser.get("/sso/channels/wechat/login")).asked()
    victim = Browser(client)
    await victim.begin()
    page = await victim.get(f"/sso/channels/wechat/callback?{urlencode({'state': asked['state'], 'code': 'code-1'})}")
    assert page.status == 400
    assert world.wechat.codes == []


async def test_h5_comes_back_to_no_other_host(browser):
    assert (await browser.get("/sso/channels/wechat/login?return_to=//evil.example")).status == 400


async def test_encrypted_data_is_opened_with_the_key_of_its_own_login(client):
    async def ask(iv: str, code: str):
        return await client.post("/sso/channels/wechat/data", json={"code": code, "data": {"iv": iv}}, headers=PLAIN)

    response = await ask("good", "code-1")
    assert (response.status, await response.json()) == (200, {"phone": "138 of openid-1"})
    assert (await ask("bad", "code-2")).status == 401
    assert (await ask("other", "code-1")).status == 400, "what a code opened is no answer to another question"


async def test_the_owner_sees_and_ends_her_links(world, client, browser):
    await hand_over(world, client)
    await confirm(browser, world.refusals[0].way)
    page = await browser.get("/sso/links")
    assert "wechat" in page.text
    assert "openid" not in page.text
    assert (await browser.post("/sso/links", page.form)).status == 303
    assert "There is none" in (await browser.get("/sso/links")).text
    assert await hand_over(world, client, "code-1.2") == (409, "link-missing")


async def test_a_program_of_the_owner_ends_a_link_by_its_id(world, client, browser):
    await hand_over(world, client)
    await confirm(browser, world.refusals[0].way)
    token, _ = await world.house.sessions.issue_token(browser.session)
    bearer = PLAIN | {"Authorization": f"Bearer {token}"}
    links = (await (await client.get("/sso/links", headers=bearer)).json())["links"]
    assert [link["channel"] for link in links] == ["wechat"]
    response = await client.delete(f"/sso/links?id={links[0]['id']}", headers=bearer)
    assert await response.json() == {"removed": True}
    assert (await (await client.get("/sso/links", headers=bearer)).json()) == {"links": []}


async def test_nobody_ends_the_link_of_somebody_else(world, client, browser):
    await hand_over(world, client)
    await confirm(browser, world.refusals[0].way)
    [link] = await world.desk.links.of("https://id.province.example", "u-1")
    world.province.subject = "u-2"
    other = Browser(client)
    await other.sign_in()
    await other.post("/sso/links", {"remove": link.id, "csrf_token": (await other.state())["csrf_token"]})
    assert len(await world.desk.links.of("https://id.province.example", "u-1")) == 1


async def test_another_site_s_page_ends_no_link(world, client, browser):
    await browser.sign_in()
    headers = browser.plain(**{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"})
    assert (await client.delete("/sso/links?id=x", headers=headers)).status == 403


def key() -> str:
    return b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()


async def enrol(browser, **changed):
    token = (await browser.state())["csrf_token"]
    fields = {"algorithm": "ed25519", "public_key": key(), "name": "办公电脑"} | changed
    return await browser.client.post("/sso/devices", json=fields, headers=browser.plain(**{"X-CSRF-Token": token}))


async def test_a_person_enrols_a_device_and_ends_it_again(world, client, browser):
    await browser.sign_in()
    response = await enrol(browser)
    said = await response.json()
    assert (response.status, said["algorithm"]) == (201, "ed25519")
    assert (await world.desk.devices.find(said["id"])).subject == "u-1"
    page = await browser.get("/sso/devices")
    assert "办公电脑" in page.text
    assert (await browser.post("/sso/devices", page.form)).status == 303
    assert await world.desk.devices.find(said["id"]) is None


@pytest.mark.parametrize(
    "changed", [{"public_key": "no base64!"}, {"public_key": "AA=="}, {"algorithm": "rsa"}, {"name": ""}]
)
async def test_what_is_no_device_is_400(browser, changed):
    await browser.sign_in()
    assert (await enrol(browser, **changed)).status == 400


async def test_a_linked_account_enrols_no_device(world, browser):
    """A device signs by itself from then on; that wants the person's own login."""
    await test_h5_signs_in_whoever_is_linked(world, browser)
    assert (await enrol(browser)).status == 403
    assert world.codes()[-1] == "own-login-needed"


@pytest.mark.parametrize("path", ["/sso/links", "/sso/devices"])
async def test_who_is_not_signed_in_is_sent_to_the_login_or_told(client, browser, path):
    page = await browser.get(path)
    assert (page.status, page.asked()) == (303, {"return_to": path})
    assert (await client.get(path, headers=PLAIN)).status == 401


async def test_somebody_else_s_token_is_none_of_ours(world, client):
    response = await client.get("/sso/links", headers=PLAIN | {"Authorization": "Bearer abc@other"})
    assert (response.status, world.codes()) == (401, ["token-invalid"])


class TestWithoutLedger:
    @pytest.fixture
    def world(self) -> World:
        return World()

    async def test_nobody_can_say_whose_account_it_is(self, world, client):
        assert await hand_over(world, client) == (503, "cannot-decide")

    async def test_there_are_no_links(self, browser):
        await browser.sign_in()
        assert "There is none" in (await browser.get("/sso/links")).text
