"""The simulated dialects against the gateway's own plugins: success, every documented failure, clocks, replay."""

import re
import secrets
import time
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import pytest
from yarl import URL

from gateway import Kind, PartContext, SignInRefused, VerifierUnavailable
from gateway.fetch import HttpFetch
from gateway.signin import Login
from gateway.state.memory import MemoryStore
from plugins.platforms.guangdong import Guangdong
from plugins.platforms.hanweb_jis import HanwebJis
from plugins.platforms.national import National
from plugins.platforms.zhejiang import ZhejiangLegal, ZhejiangPerson
from plugins.platforms.zhejiang_irs import ZhejiangIrs
from sandbox.dialects import create_dialects, create_national, guangdong, jis, national, zhejiang, zhejiang_irs

CALLBACK = "http://127.0.0.1:1/sso/callback/p"
LEVELS = {str(level): level for level in range(5)}
DIALECTS = {
    "zhejiang": (
        ZhejiangPerson,
        "/zhejiang",
        {
            "service_code": zhejiang.SERVICE_CODE,
            "service_password": zhejiang.SERVICE_PASSWORD,
            "assurance": LEVELS,
            "faults": ["1001", "1002", "1003"],
        },
    ),
    "zhejiang-unit": (ZhejiangLegal, "/zhejiang", {}),
    "zhejiang-irs": (
        ZhejiangIrs,
        "/zhejiang-irs",
        {
            "app_id": zhejiang_irs.APP_ID,
            "gateway": {"access_key": zhejiang_irs.ACCESS_KEY, "secret": zhejiang_irs.SECRET_KEY},
            "assurance": LEVELS,
        },
    ),
    "jis": (
        HanwebJis,
        "/jis",
        {
            "app_mark": jis.APP_MARK,
            "app_word": jis.APP_WORD,
            "kinds": ["natural", "legal"],
            "faults": ["100002", "100003"],
        },
    ),
    "guangdong": (
        Guangdong,
        "/guangdong",
        {
            "client_id": guangdong.CLIENT_ID,
            "client_secret": guangdong.CLIENT_SECRET,
            "envelope": {"key": guangdong.ENVELOPE_KEY},
        },
    ),
    "national": (
        National,
        "",
        {
            "requester": national.REQUESTER,
            "secret": national.APP_SECRET,
            "ticket_service": national.TICKET_SERVICE,
            "user_service": national.USER_SERVICE,
            "login_path": "/sso/login",
        },
    ),
}
PERSONS = ["zhejiang", "zhejiang-irs", "jis", "guangdong", "national"]
UNITS = ["zhejiang-unit", "zhejiang-irs", "jis", "guangdong", "national"]


class World:
    """The dialects on sockets, plugins that speak them, and a browser without scripts."""

    def __init__(self, addresses, fetch, browser):
        self._addresses = addresses
        self._fetch = fetch
        self._browser = browser

    def base(self, name):
        kind, path, _ = DIALECTS[name]
        return self._addresses["national" if kind is National else "dialects"] + path

    def platform(self, name, **changed):
        use, _, settings = DIALECTS[name]
        said = {"issuer": name, "addresses": {"here": self.base(name)}, "failures": 1000} | settings | changed
        return use(use.Config.model_validate(said), PartContext(name, self._fetch, MemoryStore()))

    def login(self, name, kind=Kind.NATURAL, callback=CALLBACK):
        return Login(name, kind, "state-1", callback, "nonce-1", secrets.token_urlsafe(32), began_at=time.time())

    async def callback(self, platform, login, user, level=""):
        """Choose somebody at the login page; gives what the browser brings back."""
        async with self._browser.get(platform.login_address(login)) as answer:
            text = await answer.text()
            assert answer.status == 200, text
        assert "<script" not in text
        action = re.search(r'action="([^"]*)"', text)[1]
        fields = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', text))
        fields = {name: value.replace("&amp;", "&") for name, value in fields.items()}
        chosen = fields | {"user": user, "level": level}
        address = URL(platform.login_address(login)).join(URL(action))
        async with self._browser.post(address, data=chosen, allow_redirects=False) as answer:
            text = await answer.text()
            if answer.status == 200:
                back = re.search(r'action="([^"]*)"', text)[1].replace("&amp;", "&")
                posted = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', text))
                return dict(parse_qsl(urlsplit(back).query)) | posted
            assert answer.status == 303, text
            assert answer.headers["Location"].startswith(CALLBACK)
            return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))

    async def sign_in(self, name, user="citizen-1", kind=Kind.NATURAL, **changed):
        platform, login = self.platform(name, **changed), self.login(name, kind)
        return await platform.redeem(await self.callback(platform, login, user), login)

    async def order(self, name, what, **query):
        async with self._browser.post(f"{self.base(name)}/sandbox/{what}", params=query) as answer:
            assert answer.status == 200, await answer.text()

    async def fault(self, name, fault):
        order = {"endpoint": "*", "fault": fault, "seconds": 3.0}
        async with self._browser.post(f"{self.base(name)}/sandbox/faults", json=order) as answer:
            assert answer.status == 200


@pytest.fixture
async def world(aiohttp_server):
    apps = {"dialects": create_dialects("http://127.0.0.1:1"), "national": create_national()}
    addresses = {}
    for name, app in apps.items():
        addresses[name] = str((await aiohttp_server(app)).make_url("")).rstrip("/")
    fetch = HttpFetch()
    async with aiohttp.ClientSession() as browser:
        yield World(addresses, fetch, browser)
    await fetch.close()


@pytest.mark.parametrize("name", PERSONS)
async def test_a_person_signs_in(world, name):
    """Ticket or code → token → who it is, with the profile's items under their own names."""
    signed_in = await world.sign_in(name)
    principal = signed_in.principal
    assert (principal.issuer, principal.subject, principal.kind) == (name, "8f2c61d0b7e94a53c1d6", Kind.NATURAL)
    assert principal.assurance == 3
    profile = signed_in.profile
    assert (profile.name, profile.id_number, profile.sex) == ("样例甲", "350100190001010020", "2")
    assert profile.mobile == "13800000001"


@pytest.mark.parametrize("name", UNITS)
async def test_a_unit_signs_in_with_who_acts_for_it(world, name):
    """Both identities, always."""
    signed_in = await world.sign_in(name, "unit-1", Kind.LEGAL)
    principal = signed_in.principal
    assert (principal.subject, principal.operator) == ("91350100M000100Y43", "operator-1")
    assert (signed_in.profile.name, signed_in.profile.uscc) == ("样例一有限公司", "91350100M000100Y43")
    assert principal.assurance >= 2


@pytest.mark.parametrize("name", UNITS)
async def test_a_unit_may_sign_in_with_another_operator(world, name):
    """Whom the login page's choice names."""
    principal = (await world.sign_in(name, "operator-4b", Kind.LEGAL)).principal
    assert (principal.subject, principal.operator) == ("91350200M00040002A", "operator-4b")


@pytest.mark.parametrize("name", PERSONS)
async def test_the_token_of_a_sign_in_is_known_until_it_ends(world, name):
    """Asked of the platform again, as an API caller's would be."""
    platform, login = world.platform(name), world.login(name)
    signed_in = await platform.redeem(await world.callback(platform, login, "citizen-2"), login)
    assert (await platform.describe(signed_in.token, None)).principal.subject == "41a97be3055c4d2f8e60"
    await world.order(name, "end", user="citizen-2")
    with pytest.raises(Exception, match="says no"):
        await platform.describe(signed_in.token, None)


@pytest.mark.parametrize("name", [*PERSONS])
async def test_a_ticket_is_good_once_at_the_platform_too(world, name):
    """Another gateway that does not remember it is refused by the platform, with HTTP 200."""
    login = world.login(name)
    first, second = world.platform(name), world.platform(name)
    answer = await world.callback(first, login, "citizen-1")
    await first.redeem(answer, login)
    with pytest.raises(SignInRefused, match="says no"):
        await second.redeem(answer, login)


WRONG = {
    "zhejiang": {"service_password": "wrong"},
    "jis": {"app_word": "another-appword1"},
    "zhejiang-irs": {"gateway": {"access_key": zhejiang_irs.ACCESS_KEY, "secret": "wrong"}},
    "guangdong": {"client_secret": "wrong"},
    "guangdong envelope": {"envelope": {"key": "another-envelope-key"}},
}


@pytest.mark.parametrize("name", WRONG)
async def test_what_is_signed_wrongly_is_told_apart_from_a_visitors_fault(world, name):
    """Our own secret is wrong: nobody's ticket is bad."""
    expected = SignInRefused if name == "guangdong envelope" else VerifierUnavailable
    with pytest.raises(expected):
        await world.sign_in(name.partition(" ")[0], **WRONG[name])


@pytest.mark.parametrize("offset", [-400, 400])
@pytest.mark.parametrize("name", ["zhejiang", "zhejiang-irs", "jis"])
async def test_a_platform_whose_clock_is_off_refuses_our_signatures(world, name, offset):
    """The time is part of them; again nobody's ticket is bad."""
    await world.order(name, "clock", offset=offset)
    with pytest.raises(VerifierUnavailable):
        await world.sign_in(name)


async def test_an_envelope_of_another_time_is_not_believed(world):
    """Guangdong signs its own time."""
    await world.order("guangdong", "clock", offset=-4000)
    with pytest.raises(SignInRefused, match="from now"):
        await world.sign_in("guangdong")


async def test_the_line_platform_refuses_with_code_300(world):
    """Also a clock that is off."""
    await world.order("national", "clock", offset=1000)
    with pytest.raises(SignInRefused, match="300"):
        await world.sign_in("national")


async def test_the_exchange_platform_gives_out_secrets_that_end(world):
    """A second question uses the same one; after its end a new one is fetched."""
    exchange = {
        "version": "exchange",
        "secret": None,
        "app_key": national.APP_KEY,
        "key_derivation": "raw",
        "secret_service": national.SECRET_SERVICE,
    }
    signed_in = await world.sign_in("national", **exchange)
    assert signed_in.principal.assurance == 3


@pytest.mark.parametrize("fault", ["error", "html", "garbage", "empty", "down"])
@pytest.mark.parametrize("name", PERSONS)
async def test_a_platform_that_answers_nonsense_is_unavailable(world, name, fault):
    """Nothing that is not plainly yes or no is one."""
    platform, login = world.platform(name), world.login(name)
    answer = await world.callback(platform, login, "citizen-1")
    await world.fault(name, fault)
    with pytest.raises(VerifierUnavailable):
        await platform.redeem(answer, login)


@pytest.mark.parametrize(("level", "assurance"), [("1", 0), ("2", 2), ("3", 3), ("4", 4)])
async def test_levels_are_the_platforms_own_words(world, level, assurance):
    """Guangdong's L0 to L3, as the configuration translates them."""
    platform, login = world.platform("guangdong"), world.login("guangdong")
    signed_in = await platform.redeem(await world.callback(platform, login, "citizen-1", level), login)
    assert signed_in.principal.assurance == assurance
    assert signed_in.principal.level == f"L{max(0, int(level) - 1)}"


async def test_tokens_of_guangdong_end_with_their_node(world):
    """The only dialect known to route by the token itself."""
    assert re.fullmatch(r"GD\.[A-Za-z0-9_-]+@node[1-3]", (await world.sign_in("guangdong")).token)
