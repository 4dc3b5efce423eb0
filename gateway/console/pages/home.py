"""The first page: what waits for whoever has signed in, the longest first."""

from aiohttp import web

from gateway.console.console import console_of
from gateway.console.rendering import may, page
from gateway.console.session import require_officer
from gateway.ledger.powers import Power
from gateway.ledger.words import Words

_QUEUES: tuple[tuple[str, Words, str], ...] = (
    ("applications", ("待审核的申请", "Applications to review"), "/units/{party}/applications/{id}/review"),
    ("grants", ("待复核的授权", "Grants to approve"), "/units/{party}/grants/{id}/approve"),
    ("bindings", ("待复核的绑定", "Bindings to approve"), "/units/{party}/bindings/{id}/approve"),
    ("devices", ("待复核的指定设备", "Designated devices to approve"), "/units/{party}/devices/{id}/approve"),
    ("appeals", ("待处理的申诉", "Appeals to decide"), "/units/{party}/appeals/{id}/decide"),
)
"""Attribute of Pending, what it is called, and where one entry is decided."""


async def home(request: web.Request) -> web.Response:
    """What waits in the post's region; for administrators, who decide nothing about units, what they can do."""
    officer = await require_officer(request)
    if not may(officer, Power.PARTY_LOOK):
        return page(request, "home", queues=[])
    pending = await console_of(request).queues.pending(officer)
    queues = [(name, title, getattr(pending, name), address) for name, title, address in _QUEUES]
    return page(request, "home", queues=queues)
