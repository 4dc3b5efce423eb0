"""The desk on a listener of its own, with a platform and a channel that say what a test tells them, and browsers."""

import asyncio
import re
from collections.abc import Mapping
from html import unescape
from urllib.parse import parse_qs, urlencode, urlsplit

from pydantic import Field

from gateway.contracts import PartContext, Settings
from gateway.desk.application import make_desk
from gateway.desk.call import Call
from gateway.desk.desk import Desk
from gateway.errors import GatewayError, SignInMalformed, SignInRefused
from gateway.exchange import Exchange
from gateway.identity.logins import LoginTransactions
from gateway.model import Credential, Kind, Principal
from gateway.signin import ChannelAccount, Login, Platform, Profile, SignIn, SignInChannel, Unit
from gateway.signin_settings import LoginSettings
from tests.identity.session_world import House
from tests.plugin_world import ISSUER

HOST = "dept.example"
ORIGIN = f"https://{HOST}"
PORTAL = "https://id.province.example"
FORM = "application/x-www-form-urlencoded"
HTML = "text/html,application/xhtml+xml"


class LevelSettings(Settings):
    """What the fake platform's words mean."""

    assurance: dict[str, int] = Field({"1": 1, "2": 2, "3": 3, "4": 4})


class FakePlatform(Platform[LevelSettings]):
    """Signs in whoever the test says; `gate` holds an exchange back, `error` is raised instead."""

    Config = LevelSettings

    def __init__(self, name: str, clock, *, kinds=(Kind.NATURAL,), logout: bool = True) -> None:
        super().__init__(LevelSettings(), PartContext(name, fetch=None, once=None))
        self.issuers = (ISSUER,)
        self._now = lambda: clock.wall
        self._kinds = kinds
        self._logout = logout
        self.level = "3"
        self.says: Kind | None = None
        self.subject = "u-1"
        self.sid: str | None = "province-sid-1"
        self.age = 0.0
        self.units = (Unit("unit-1", "示例公司"),)
        self.redeemed: list[Mapping[str, str]] = []
        self.ended: list[SignIn] = []
        self.asked = asyncio.Event()
        self.gate: asyncio.Event | None = None
        self.error: Exception | None = None
        self.end_gate: asyncio.Event | None = None
        self.end_error: Exception | None = None

    def login_address(self, login: Login) -> str:
        if login.kind not in self._kinds:
            raise SignInMalformed(f"{login.kind} persons do not sign in here")
        asked = {"redirect_uri": login.callback, "state": login.state}
        asked |= {} if login.acr_values is None else {"acr_values": login.acr_values}
        return f"{PORTAL}/{self.name}/login?{urlencode(asked)}"

    async def redeem(self, answer: Mapping[str, str], login: Login) -> SignIn:
        self.redeemed.append(answer)
        self.asked.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        if not answer.get("ticket", "").startswith("ST-"):
            raise SignInRefused("no such ticket")
        return self.sign_in(self.says or login.kind)

    def sign_in(self, kind: Kind = Kind.NATURAL) -> SignIn:
        """What it says of its one person, or of her unit."""
        legal = kind == Kind.LEGAL
        principal = Principal(
            ISSUER,
            "unit-0" if legal else self.subject,
            kind,
            self.config.assurance.get(self.level, 0),
            expires_at=self._now() + 60,
            operator=self.subject if legal else None,
            authenticated_at=self._now() - self.age,
            session=self.sid,
            level=self.level,
        )
        person = Profile(name="张三丰", id_number="440101199001011234", mobile="13800138000")
        if legal:
            return SignIn(principal, Profile(name="总公司"), person=person, units=self.units, token="t")
        return SignIn(principal, person, units=self.units, token="t")

    def logout_address(self, signed_in: SignIn, return_to: str) -> str | None:
        return f"{PORTAL}/logout?{urlencode({'post_logout_redirect_uri': return_to})}" if self._logout else None

    async def end(self, signed_in: SignIn) -> None:
        self.ended.append(signed_in)
        if self.end_gate is not None:
            await self.end_gate.wait()
        if self.end_error is not None:
            raise self.end_error

    async def verify(self, credential: Credential) -> Principal | None:
        return None


class StatelessPlatform(FakePlatform):
    """Another one, that can be given no state to bring back."""

    brings_state = False


class FakeChannel(SignInChannel[Settings]):
    """Tells for `code-X` the account `openid-X`, and for `code-X.Y` the same: a code can be used once."""

    def __init__(self, name: str = "wechat") -> None:
        super().__init__(Settings(), PartContext(name, fetch=None, once=None))
        self.codes: list[str] = []

    async def identify(self, inbound):
        return None

    async def redeem(self, code: str) -> ChannelAccount:
        self.codes.append(code)
        if not code.startswith("code-"):
            raise SignInRefused("invalid code")
        account = code.removeprefix("code-").partition(".")[0]
        return ChannelAccount(self.name, "wx-app", f"openid-{account}", secret=b"session-key")

    def authorize_address(self, state: str, callback: str) -> str | None:
        return f"https://open.channel.example/authorize?{urlencode({'redirect_uri': callback, 'state': state})}"

    def open(self, account, sealed):
        if sealed.get("iv") != "good":
            raise SignInRefused("cannot be opened")
        return {"phone": f"138 of {account.id}"}


class Log:
    """Keeps every line."""

    def __init__(self, lines: list | None = None, **bound) -> None:
        self.lines = [] if lines is None else lines
        self._bound = bound

    def bind(self, **bound) -> "Log":
        return Log(self.lines, **(self._bound | bound))

    def _line(self, event: str, **said) -> None:
        self.lines.append((event, self._bound | said))

    debug = info = warning = error = _line

    def of(self, event: str) -> list[dict]:
        return [said for told, said in self.lines if told == event]


class World:
    """A desk and everything around it."""

    def __init__(
        self, platform=FakePlatform, links=None, devices=None, telling: float = 3.0, clock=None, **login
    ) -> None:
        self.house = House(clock)
        self.clock = self.house.clock
        self.province = platform("province", self.clock, kinds=(Kind.NATURAL, Kind.LEGAL))
        self.units = FakePlatform("units", self.clock, kinds=(Kind.LEGAL,), logout=False)
        self.wechat = FakeChannel()
        self.log = Log()
        self.calls: list[Call] = []
        self.login = LoginSettings.model_validate({"natural": "province", "channels": ["wechat"]} | login)
        self.logins = LoginTransactions(self.house.store, self.house.settings, lambda: self.clock.mono)
        self.desk = Desk(
            login=self.login,
            platforms={one.name: one for one in (self.province, self.units)},
            channels={"wechat": self.wechat},
            sessions=self.house.sessions,
            logins=self.logins,
            revocations=self.house.revocations,
            clock=lambda: self.clock.wall,
            log=self.log,
            links=links,
            devices=devices,
            telling=telling,
        )
        self.application = make_desk(self.desk, self._call)

    def _call(self, request_id: str) -> Call:
        self.calls.append(Call(Exchange(request_id, 0.0, "192.0.2.1")))
        return self.calls[-1]

    @property
    def refusals(self) -> list[GatewayError]:
        """All refusals so far."""
        return [call.refusal for call in self.calls if call.refusal is not None]

    def noted(self) -> list[tuple[str, str]]:
        """What the record of the last request says that parts said."""
        return self.calls[-1].account.verdicts

    def codes(self) -> list[str]:
        """Codes of all refusals so far."""
        return [error.code for error in self.refusals]


class Page:
    """An answer, with its forms read out of it."""

    def __init__(self, response, text: str) -> None:
        self.status = response.status
        self.headers = response.headers
        self.cookies = response.headers.getall("Set-Cookie", [])
        self.text = text
        self.location = response.headers.get("Location")

    @property
    def form(self) -> list[tuple[str, str]]:
        """Hidden fields of the page's form."""
        found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', self.text)
        return [(unescape(name), unescape(value)) for name, value in found]

    def asked(self) -> dict[str, str]:
        """Parameters of the address that the browser is sent to."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.location).query).items()}


class Browser:
    """Keeps cookies as browsers do: `Lax` ones are not sent with a POST from another site."""

    def __init__(self, client) -> None:
        self.client = client
        self.cookies: dict[str, tuple[str, str]] = {}

    async def get(self, path: str, **headers) -> Page:
        return await self._ask("GET", path, None, "none", headers)

    async def post(self, path: str, fields, *, site: str = "same-origin", **headers) -> Page:
        body = urlencode(fields)
        origin = ORIGIN if site == "same-origin" else PORTAL
        return await self._ask("POST", path, body, site, {"Content-Type": FORM, "Origin": origin} | headers)

    async def _ask(self, method: str, path: str, body: str | None, site: str, headers) -> Page:
        strict = site != "same-origin" and method == "POST"
        sent = {name: value for name, (value, same) in self.cookies.items() if not strict or same == "None"}
        given = {"Accept": HTML, "Sec-Fetch-Site": site, "X-Forwarded-Host": HOST, "X-Forwarded-Proto": "https"}
        if sent:
            given["Cookie"] = "; ".join(f"{name}={value}" for name, value in sent.items())
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        response = await self.client.request(method, path, data=body, headers=given, allow_redirects=False)
        page = Page(response, await response.text())
        for line in page.cookies:
            self._keep(line)
        return page

    def _keep(self, line: str) -> None:
        pair, *attributes = line.split("; ")
        name, _, value = pair.partition("=")
        told = dict(part.partition("=")[::2] for part in attributes)
        assert "Secure" in told
        assert "HttpOnly" in told
        assert told["Path"] == "/"
        assert "Domain" not in told
        if told.get("Max-Age") == "0":
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value, told["SameSite"]

    async def begin(self, return_to: str = "/medical/settlements", **asked) -> dict[str, str]:
        """Begin a login; gives what the platform is asked."""
        page = await self.get(f"/sso/login?{urlencode({'return_to': return_to} | asked)}")
        assert page.status == 303, page.text
        return page.asked()

    async def come_back(self, asked: Mapping[str, str], ticket: str = "ST-1", **more) -> Page:
        """Come back from the platform with a ticket."""
        place = urlsplit(asked["redirect_uri"]).path
        return await self.get(f"{place}?{urlencode({'state': asked['state'], 'ticket': ticket} | more)}")

    async def sign_in(self, return_to: str = "/medical/settlements", **asked) -> Page:
        """Begin and come back."""
        return await self.come_back(await self.begin(return_to, **asked))

    @property
    def session(self) -> str | None:
        """The session cookie."""
        return self.cookies.get("__Host-sid", (None, ""))[0]

    async def state(self) -> dict:
        """What `/sso/session` says."""
        response = await self.client.get("/sso/session", headers=self.plain())
        assert response.status == 200, await response.text()
        return await response.json()

    def plain(self, **more) -> dict[str, str]:
        """Header fields of a script on one of our pages."""
        cookie = "; ".join(f"{name}={value}" for name, (value, _) in self.cookies.items())
        given = {"Cookie": cookie, "X-Forwarded-Host": HOST, "X-Forwarded-Proto": "https", "Accept": "application/json"}
        return given | {"Sec-Fetch-Site": "same-origin", "Origin": ORIGIN} | more
