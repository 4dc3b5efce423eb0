"""What tests of self-service share: a desk with a real ledger, units with operators and staff, and JSON requests."""

from contextlib import asynccontextmanager
from urllib.parse import urlencode

import msgspec
from desk_world import HOST, Browser, World

from gateway.desk.application import make_desk
from gateway.desk.my import open_self_service
from gateway.desk.recording import Recording
from gateway.ledger import open_ledger
from gateway.ledger.ledger import Ledger
from gateway.model import Kind, Principal
from gateway.signin import SignIn, Unit
from tests.ledger.grants_world import RULES, Scene
from tests.plugin_world import ISSUER, Clock

PLAIN = {"Accept": "application/json", "X-Forwarded-Host": HOST, "X-Forwarded-Proto": "https"}


class MyWorld(World):
    """A desk with self-service.

    Args:
        ledger: started.
        scene: of the same ledger.
        clock: of both.

    Attributes:
        my: what the desk has.
    """

    def __init__(self, ledger: Ledger, scene: Scene, clock: Clock) -> None:
        super().__init__(
            links=ledger.links, devices=ledger.devices, clock=clock, legal="province", return_to=["/medical/"]
        )
        self.ledger = ledger
        self.scene = scene
        self.my = open_self_service(ledger.office)
        self.recording = Recording(self.my.parties)
        self.desk = msgspec.structs.replace(self.desk, my=self.my, recording=self.recording)
        self.application = make_desk(self.desk, self._call)

    async def sign_in(self, browser: Browser, unit=None, operator: int = 0, *, age: float = 0.0) -> None:
        """Give a browser a session: of one of a unit's accounts, or of a person (`unit` is her subject)."""
        now = self.clock.wall
        legal = not isinstance(unit, str)
        owner = unit.owners[operator] if legal else None
        principal = Principal(
            ISSUER,
            owner.subject if legal else unit,
            Kind.LEGAL if legal else Kind.NATURAL,
            assurance=3,
            expires_at=now + 60,
            operator=owner.operator if legal else None,
            authenticated_at=now - age,
            session=f"sid-{id(browser)}",
            verifier="province",
        )
        units = (Unit(owner.subject, "样例一有限公司"),) if legal else ()
        session, _ = await self.desk.sessions.begin(SignIn(principal, units=units))
        browser.cookies["__Host-sid"] = session, "Lax"


class My:
    """A browser and a program with its session.

    Args:
        world: the desk.
        browser: with a session, or without.
    """

    def __init__(self, world: MyWorld, browser: Browser) -> None:
        self.world = world
        self.browser = browser

    async def see(self, path: str):
        """A page."""
        return await self.browser.get(f"/sso/my/{path}")

    async def send(self, path: str, **fields):
        """A form of one of the pages."""
        return await self.browser.post(f"/sso/my/{path}", {"csrf_token": self.token} | fields)

    @property
    def token(self) -> str:
        return self.world.desk.sessions.request_token(self.browser.session)

    async def get(self, path: str):
        """JSON."""
        headers = self.browser.plain()
        async with self.browser.client.get(f"/sso/my/{path}", headers=headers) as answer:
            return answer.status, await _said(answer)

    async def post(self, path: str, body=None, **headers):
        """JSON with the session's token."""
        sent = self.browser.plain(**{"X-CSRF-Token": self.token} | headers)
        async with self.browser.client.post(f"/sso/my/{path}", json=body or {}, headers=sent) as answer:
            for line in answer.headers.getall("Set-Cookie", []):
                self.browser._keep(line)
            return answer.status, await _said(answer)


async def _said(answer):
    """The body; a refusal is its code here, as the request path writes the problem."""
    return await (answer.json() if answer.content_type == "application/json" else answer.text())


@asynccontextmanager
async def opened_world(folder, staff):
    """A desk over the ledger that is in this folder.

    Args:
        folder: with `ledger.db`.
        staff: of that ledger; where it is empty three are made, and added.
    """
    clock = Clock()
    ledger = open_ledger("sqlite:///ledger.db", folder, clock=lambda: clock.wall)
    await ledger.start()
    ledger.office.rules = RULES

    async def open_office():
        return ledger.office

    try:
        scene = await Scene(open_office, staff).begin()
        yield MyWorld(ledger, scene, clock)
    finally:
        await ledger.close()


def query(**asked) -> str:
    """The query of an address."""
    return urlencode(asked)
