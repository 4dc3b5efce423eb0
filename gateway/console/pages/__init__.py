"""The pages of the back office: units, bindings, queues, staff, history, import (docs/back-office.md).

Every form's post calls an operation of operations.py, as the JSON API does; signing in is in signing_in.py.
"""

from aiohttp import web

from gateway.console.pages.binding import BINDING_FORMS, show_candidates
from gateway.console.pages.forms import form_routes
from gateway.console.pages.history import show_history
from gateway.console.pages.home import home
from gateway.console.pages.imports import ask_file, take_file, try_file
from gateway.console.pages.staff import STAFF_FORMS, list_staff
from gateway.console.pages.unit_forms import UNIT_FORMS
from gateway.console.pages.units import list_units, show_unit
from gateway.console.rendering import Place
from gateway.ledger.powers import Power

NAVIGATION = (
    Place("/", ("首页", "Start")),
    Place("/units", ("单位和个人", "Units and persons"), Power.PARTY_LOOK),
    Place("/staff", ("工作人员", "Staff"), Power.STAFF_LOOK),
    Place("/history", ("历史记录", "History"), Power.HISTORY_LOOK),
    Place("/import", ("导入授权", "Import grants"), Power.GRANT_PROPOSE),
    Place("/import", ("导入账户", "Import accounts"), Power.STAFF_CREATE),
    Place("/import", ("导入岗位", "Import posts"), Power.STAFF_APPOINT),
)
"""Where the navigation leads."""


def routes() -> list[web.RouteDef]:
    """Routes of all pages."""
    return [
        web.get("/", home),
        web.get("/units", list_units),
        web.get("/units/{id}", show_unit),
        web.get("/units/{id}/records/{system}", show_candidates),
        *form_routes(*UNIT_FORMS, *BINDING_FORMS, *STAFF_FORMS),
        web.get("/staff", list_staff),
        web.get("/history", show_history),
        web.get("/import", ask_file),
        web.post("/import", try_file),
        web.post("/import/take", take_file),
    ]
