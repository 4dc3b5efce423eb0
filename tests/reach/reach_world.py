"""A real `tongguan serve` between a province that a test scripts and a system that counts, and lines to its workers."""

import asyncio
import json
import time
from collections import Counter
from contextlib import asynccontextmanager
from typing import NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

from aiohttp import web

from tests.journeys.edge_of_workers import Edge
from tests.plugin_world import ISSUER
from tests.reach.reach_channels import CHANNELS, FILES
from tests.reach.reach_line import DEADLINE, Line
from tests.reach.reach_province import CLIENT, TICKETS, Province

RECOVERY = 5.0
"""Seconds after the end of a fault in which everything works again."""
PASSES = (200, None)
REJECTED = (401, "token-invalid")
REVOKED = (401, "token-revoked")
CLOSED = (503, "state-unavailable")
WITHIN = 1.0
"""Seconds in which a withdrawal reaches everybody."""
CODE = "11440100696927671X344201181700{:02}"


class Person(NamedTuple):
    """Somebody who has signed in, with a code or ticket; the session's cookie and its synchronizer token."""

    subject: str
    sid: str
    code: str
    cookie: str
    csrf: str

    @property
    def session(self):
        return {"cookie": f"__Host-sid={self.cookie}", "accept": "application/json"}

    @property
    def page(self):
        """Fields of a request that one of our own pages sends."""
        return self.session | {"sec_fetch_site": "same-origin", "x_csrf_token": self.csrf}


def bearer(token):
    return {"authorization": f"Bearer {token}", "accept": "application/json"}


class Reach:
    """An edge, what is around it, and lines to it.

    Attributes:
        deliveries: how often the system behind was asked, by path.
    """

    def __init__(self, edge, province, deliveries, workers):
        self.edge = edge
        self.province = province
        self.deliveries = deliveries
        self.workers = workers
        self._lines = []
        self._logins = 0
        self._records = {}
        self._read = 0

    def line(self):
        """A line of one's own."""
        self._lines.append(Line(self.edge))
        return self._lines[-1]

    def close(self):
        for line in self._lines:
            line.close()

    async def ask(self, path, method="GET", body=b"", **fields):
        """Ask on a connection of its own, which any worker may get."""
        line = Line(self.edge)
        try:
            return await line.ask(path, method, body, **fields)
        finally:
            line.close()

    async def told(self, path, **fields):
        return (await self.ask(path, **fields)).told

    async def together(self, questions):
        """Ask all of these at once, each on a connection of its own; gives (status, code) of each."""
        async with asyncio.timeout(DEADLINE):
            return [answer.told for answer in await asyncio.gather(*questions)]

    async def lines_of_workers(self):
        """A line to each worker, found out by the records."""
        found = {}
        async with asyncio.timeout(DEADLINE):
            while len(found) < self.workers:
                lines = [self.line() for _ in range(8)]
                answers = await asyncio.gather(*(line.ask("/open/1") for line in lines))
                records = await self.records_of({answer.id for answer in answers})
                found |= {records[answer.id]["worker"]: line for answer, line in zip(answers, lines, strict=True)}
        return [found[number] for number in sorted(found)]

    async def records_of(self, ids):
        """The records of these requests, by request id; waits until each has one, and fails where one has two."""
        async with asyncio.timeout(DEADLINE):
            while not ids <= self._records.keys():
                await asyncio.sleep(0.01)
                self._read_records()
        assert all(len(self._records[id_]) == 1 for id_ in ids)
        return {id_: self._records[id_][0] for id_ in ids}

    def _read_records(self):
        """Take in what the workers have written since the last time, whole lines only."""
        access = self.edge.folder / "access.jsonl"
        if not access.exists():
            return
        with access.open("rb") as file:
            file.seek(self._read)
            whole = file.read().rpartition(b"\n")[0]
        self._read += len(whole) + 1 if whole else 0
        for line in filter(None, whole.split(b"\n")):
            record = json.loads(line)
            self._records.setdefault(record["trace.id"], []).append(record)

    async def until(self, ask, *expected, within=RECOVERY):
        """Ask until what is told is one of these; gives the seconds that it took."""
        began = time.monotonic()
        while (told := await ask()) not in expected:
            assert time.monotonic() - began < within, f"still {told} after {within} s"
            await asyncio.sleep(0.02)
        return time.monotonic() - began

    # ── people ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def begin_login(self, platform="province", subject=None):
        """Begin a login of somebody, or of this person. Gives its code, the callback and the browser's cookie."""
        number = self._logins = self._logins + 1
        subject = subject or f"person-{number}"
        asked = urlencode({"return_to": "/open/1", "platform": platform, "as": "natural"})
        answer = await self.ask(f"/sso/login?{asked}")
        assert answer.status == 303, answer.body
        query = {name: value[0] for name, value in parse_qs(urlsplit(answer.field("location")).query).items()}
        code = f"code-{number}"
        self.province.logins[code] = (query.get("nonce"), subject, f"sid-{number}")
        if platform == "province":
            back = f"/sso/callback/province?{urlencode({'code': code, 'state': query['state']})}"
        else:
            back = f"{urlsplit(query['sp']).path}?{urlsplit(query['sp']).query}&ticketId={code}"
        return code, back, f"__Host-login={answer.cookie('__Host-login')}"

    async def sign_in(self, platform="province", subject=None):
        """Sign somebody in, or this person; once more where the store did not answer in time."""
        for _ in range(3):
            code, back, cookie = await self.begin_login(platform, subject)
            answer = await self.ask(back, cookie=cookie)
            if answer.told != CLOSED:
                break
        assert answer.status == 303, answer.body
        session = answer.cookie("__Host-sid")
        for _ in range(3):
            state = await self.ask("/sso/session", cookie=f"__Host-sid={session}")
            if state.told != CLOSED:
                break
        _, subject, sid = self.province.logins[code]
        return Person(subject, sid, code, session, state.data["csrf_token"])

    async def own_token(self, person):
        """A token of this department for the person's session."""
        answer = await self.ask("/sso/token", "POST", **person.page)
        assert answer.status == 200, answer.body
        return answer.data["access_token"]


# ── configuration ─────────────────────────────────────────────────────────────────────────────────────────────────

SESSIONS = {"keys": [{"$file": "secret"}], "node": "hrss", "idle": "1h"}
SIGNED_NOTICES = [{"id": "province", "issuer": ISSUER, "algorithm": "hmac-sha256", "key": {"$file": "secret"}}]
WEB = {"name": "web", "use": "plugins.channels.web:Web"}
LOGIN = {
    "natural": "province",
    "others": ["tickets"],
    "client_rate": None,
    "notices": {
        "backchannel": "province",
        "cas": {"platform": "tickets", "networks": ["127.0.0.0/8"]},
        "signed": SIGNED_NOTICES,
    },
}


def verifiers(province, **changed):
    """The standard platform; the two verifiers that do the same apart; one with tickets; and our own sessions."""
    at, levels = province.address, {"assurance": {"3": 3}}
    client = {"client_id": CLIENT, "client_secret": {"$file": "secret"}}
    standard = {
        "issuer": ISSUER,
        "audience": CLIENT,
        "authorization": f"{at}/authorize",
        "token": f"{at}/token",
        "userinfo": f"{at}/userinfo",
        "introspection": f"{at}/introspect",
        "notice": f"{at}/notices",
        "jwks": f"{at}/jwks",
    }
    keys = {name: value for name, value in changed.items() if name in ("soft_ttl", "hard_ttl", "min_refetch")}
    calls = {name: value for name, value in changed.items() if name not in keys}
    signed = {"issuer": ISSUER, "audience": CLIENT, "jwks": f"{at}/split/jwks"} | levels | keys
    asked = {"issuer": ISSUER, "endpoint": f"{at}/split/introspect"} | client | levels | calls
    tickets = {
        "issuer": TICKETS,
        "addresses": {"internet": at},
        "app_id": "2001",
        "gateway": {"access_key": "AK", "secret": {"$file": "secret"}},
        "tokens": "ticket-[a-z]+",
    }
    return [
        _part("session", "verifiers.session:Session"),
        _part("tickets", "platforms.zhejiang_irs:ZhejiangIrs", tickets | levels),
        _part("province", "platforms.standard:Standard", standard | client | levels | changed),
        _part("province-jwt", "verifiers.province_jwt:ProvinceJwt", signed),
        _part("province-introspection", "verifiers.province_introspection:ProvinceIntrospection", asked),
    ]


def _part(name, use, config=None):
    return {"name": name, "use": f"plugins.{use}", "config": config or {}}


_ALL, _SPLIT = ["session", "tickets", "province"], ["province-jwt", "province-introspection"]
_NAMES = [*(one["name"] for one in CHANNELS), "web"]


def items():
    """/open is everybody's; /all asks every verifier but the split ones, /split those; /limited has a rate.

    Messages of WeChat, Alipay and UnionPay have items of their own.
    """
    messages = [_item(number, f"/{name}/{{n}}") for number, name in enumerate(("wechat", "alipay", "unionpay"))]
    return [
        *messages,
        _item(3, "/open/{n}"),
        _item(4, "/all/{n}", _ALL),
        _item(5, "/split/{n}", _SPLIT),
        _item(6, "/limited/{n}", limits={"rate": "40/minute"}),
    ]


def _item(number, path, judges=None, **further):
    return (
        {
            "code": CODE.format(number),
            "name": path,
            "category": "test",
            "audience": ["anyone"] if judges is None else ["natural"],
            "system": "counting",
            "operations": [{"method": method, "path": path} for method in ("GET", "POST")],
            "channels": _NAMES,
            "reauthorize": [],
        }
        | ({"verifiers": judges} if judges else {})
        | further
    )


@asynccontextmanager
async def system_behind():
    """A business system that counts what it is asked, by path. Gives the counts, and its address."""
    deliveries = Counter()

    async def answer(request):
        deliveries[request.path] += 1
        return web.json_response({"path": request.path})

    application = web.Application()
    application.add_routes([web.route("*", "/{tail:.*}", answer)])
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield deliveries, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def reaching(folder, *, workers=1, redis=None, **province_settings):
    """Everything, running.

    Args:
        folder: for the edge's files.
        workers: of the edge.
        redis: what the workers share, as a URL or as settings; None for nothing.
        province_settings: settings of the verifiers that ask the province.
    """
    for name, text in FILES.items():
        (folder / name).write_text(text)
    async with Province().running() as province, system_behind() as (deliveries, address):
        # A connection stays with its worker, however much is asked on it.
        static = {"workers": workers, "sessions": SESSIONS, "limits": {"requests_per_connection": 1_000_000}}
        static |= _shared(folder, redis)
        edge = Edge(folder, province, **static)
        policy = {
            "channels": [*CHANNELS, WEB],
            "verifiers": verifiers(province, **province_settings),
            "systems": [{"name": "counting", "via": "direct", "targets": [address], "identity": "none"}],
            "login": LOGIN,
            "items": items(),
        }
        edge.replace(json.dumps(policy, ensure_ascii=False))
        async with edge.running():
            reach = Reach(edge, province, deliveries, workers)
            try:
                yield reach
            finally:
                reach.close()


def _shared(folder, redis):
    if redis is None:
        return {}
    settings = redis if isinstance(redis, dict) else {"url": redis}
    (folder / "redis.url").write_text(settings["url"])
    return {"state": "redis", "redis": settings | {"url": {"$file": "redis.url"}}}
