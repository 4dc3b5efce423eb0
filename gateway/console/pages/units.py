"""Persons and units: the list, and the page of one with everything that is known of it. unit_forms.py changes it."""

from aiohttp import web

from gateway.console.console import console_of
from gateway.console.pages.forms import require_power
from gateway.console.pages.listing import listing, turning
from gateway.console.pages.next_step import next_step
from gateway.console.rendering import page
from gateway.console.session import require_officer
from gateway.ledger.dossier import LISTS
from gateway.ledger.inputs.units import PartySearchInput
from gateway.ledger.powers import Power


async def list_units(request: web.Request) -> web.Response:
    """Who is known in the post's region."""
    officer, parties = await require_officer(request), console_of(request).parties
    require_power(officer, Power.PARTY_LOOK)
    return await listing(request, "units", PartySearchInput, lambda asked: parties.search(officer, asked))


async def show_unit(request: web.Request) -> web.Response:
    """Everything of one."""
    officer, console = await require_officer(request), console_of(request)
    require_power(officer, Power.PARTY_LOOK)
    pages = {name: _page(request, name) for name in LISTS}
    dossier = await console.dossiers.read(officer, request.match_info["id"], pages)
    rules = console.rules()
    return page(
        request,
        "unit",
        dossier=dossier,
        unit=dossier.detail.record,
        next_step=next_step(dossier, rules),
        items={code: item.name for code, item in rules.items.items()},
        systems={system: one.label for system, one in rules.local_ids.items()},
        unbound=dossier.unbound(rules),
        two_people=rules.two_people,
        turns={name: turning(request, getattr(dossier, name), name, f"#{name}") for name in LISTS},
    )


def _page(request: web.Request, name: str) -> int:
    """Which page of one of the lists; the first one where the address says nothing that can be taken."""
    asked = request.query.get(name, "1")
    return int(asked) if asked.isascii() and asked.isdigit() and 0 < len(asked) < 5 and int(asked) else 1
