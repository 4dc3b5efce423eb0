"""The whole history, for the audit administrator."""

from aiohttp import web

from gateway.console.console import console_of
from gateway.console.pages.forms import require_power
from gateway.console.pages.listing import listing
from gateway.console.session import require_officer
from gateway.ledger.inputs.units import HistoryInput
from gateway.ledger.powers import Power


async def show_history(request: web.Request) -> web.Response:
    """What was changed by whom, the latest first."""
    officer, history = await require_officer(request), console_of(request).history
    require_power(officer, Power.HISTORY_LOOK)
    return await listing(request, "history", HistoryInput, lambda asked: history.everything(officer, asked))
