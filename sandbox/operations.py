"""What the sandbox's business systems do for those who reach them; `sandbox.business` checks who that is."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from sandbox.units import UnitFile

SYSTEMS = ("social-insurance", "medical-insurance", "pension")

LOCAL_ID_HEADER = "Tongguan-Local-Id"
"""Says which of our units the person who asks is bound to (账户绑定); only the gateway can have put it there."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that a system does.

    Attributes:
        method: HTTP method.
        path: path pattern, as aiohttp writes it.
        route: what the gateway calls it.
        answer: does it; gets the request and its verified identity.
        shows_request: whether the answer tells what arrived as well, for people to see.
    """

    method: str
    path: str
    route: str
    answer: Callable[[web.Request, Mapping[str, Any]], Awaitable["Outcome"]]
    shows_request: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an operation came to: a status, the data, and where the new thing lies if it made one."""

    status: int
    result: Mapping[str, Any]
    location: str | None = None


class Declarations:
    """The retirement-benefit declarations (退休人员待遇申报) that the pension system has accepted, in memory.

    Args:
        units: the units that may declare under a number of ours.
    """

    def __init__(self, units: UnitFile) -> None:
        self._units = units
        self._accepted: list[dict[str, Any]] = []

    def __len__(self) -> int:
        return len(self._accepted)

    async def accept(self, request: web.Request, identity: Mapping[str, Any]) -> Outcome:
        """Take a declaration in, a JSON object or a form with attachments; for the unit it is bound to, if it is."""
        if request.content_type not in ("application/json", "multipart/form-data"):
            return Outcome(415, {"error": "send application/json or multipart/form-data"})
        if request.content_type == "application/json" and not await _is_json_object(request):
            return Outcome(400, {"error": "the body is not a JSON object"})
        bound = request.headers.getall(LOCAL_ID_HEADER, [])
        if len(bound) > 1 or any(self._units.find(local_id) is None for local_id in bound):
            return Outcome(422, {"code": "unit-unknown", "error": "no unit has this number"})
        number = f"D{len(self._accepted) + 1:08d}"
        declaration = {
            "declaration_id": number,
            "unit": identity["sub"],
            "operator": (identity.get("act") or {}).get("sub"),
            "status": "accepted",
        } | ({"local_id": bound[0]} if bound else {})
        self._accepted.append(declaration)
        return Outcome(201, declaration, location=f"/declarations/{number}")

    async def progress(self, request: web.Request, identity: Mapping[str, Any]) -> Outcome:
        """How a declaration of the same unit stands."""
        asked = (request.match_info["declaration_id"], identity["sub"])
        for declaration in self._accepted:
            if (declaration["declaration_id"], declaration["unit"]) == asked:
                return Outcome(200, declaration)
        return Outcome(404, {"error": "no such declaration of this unit"})


async def _is_json_object(request: web.Request) -> bool:
    try:
        return isinstance(json.loads(await request.read()), dict)
    except (ValueError, RecursionError):
        return False


class UnitDesk:
    """Shows what a system has on file of units, to the department's own staff only: they compare it, and bind."""

    def __init__(self, units: UnitFile) -> None:
        self._units = units

    async def show(self, request: web.Request, identity: Mapping[str, Any]) -> Outcome:
        """`GET /units/{local_id}`: one record, by the system's own number."""
        if not _is_staff(identity):
            return _FOR_STAFF
        record = self._units.find(request.match_info["local_id"])
        return Outcome(404, {"code": "unit-unknown"}) if record is None else Outcome(200, record.members())

    async def search(self, request: web.Request, identity: Mapping[str, Any]) -> Outcome:
        """`GET /units?uscc=…`: the records that carry this code; 404 when none does, which is nothing unusual."""
        if not _is_staff(identity):
            return _FOR_STAFF
        codes = request.query.getall("uscc", [])
        if len(codes) != 1:
            return Outcome(400, {"error": "the query needs one 'uscc'"})
        found = [record.members() for record in self._units.carrying(codes[0])]
        return Outcome(200 if found else 404, {"units": found})


_FOR_STAFF = Outcome(403, {"code": "staff-only", "error": "units are shown to the department's own staff"})


def _is_staff(identity: Mapping[str, Any]) -> bool:
    """Whether the department itself vouches for who asks; people and units come from identity platforms."""
    return bool(identity.get("sub_type") == "natural" and identity.get("sub_iss") == identity["iss"])


async def _contributions(request: web.Request, identity: Mapping[str, Any]) -> Outcome:
    months = [
        {"month": month, "base": "5200.00", "pension": "416.00", "medical": "104.00"}
        for month in ("202608", "202609", "202610")
    ]
    return Outcome(200, {"insured": identity["sub"], "region": "350100", "contributions": months})


async def _settlement(request: web.Request, identity: Mapping[str, Any]) -> Outcome:
    return Outcome(
        200,
        {
            "settlement_id": request.match_info["settlement_id"],
            "insured": identity["sub"],
            "hospital": "样例医院 Sample Hospital",
            "admitted": "20260903",
            "discharged": "20260911",
            "total": "12860.40",
            "reimbursed": "9645.30",
            "own_share": "3215.10",
        },
    )


def operations_of(system: str, declarations: Declarations, units: UnitFile) -> list[Operation]:
    """What a system does, over the declarations and units that it keeps. Raises KeyError for one not in `SYSTEMS`."""
    settled = "/settlements/{settlement_id}"
    return {
        "social-insurance": [
            Operation("GET", "/contributions", "social-insurance-contributions", _contributions),
            *_unit_operations("social-insurance", units),
        ],
        "medical-insurance": [Operation("GET", settled, "medical-insurance-settlement", _settlement)],
        "pension": [
            Operation("POST", "/declarations", "pension-declare", declarations.accept),
            Operation("GET", "/declarations/{declaration_id}", "pension-progress", declarations.progress),
            *_unit_operations("pension", units),
        ],
    }[system]


def _unit_operations(system: str, units: UnitFile) -> list[Operation]:
    desk = UnitDesk(units)
    return [
        Operation("GET", "/units/{local_id}", f"{system}-unit", desk.show, shows_request=False),
        Operation("GET", "/units", f"{system}-units", desk.search, shows_request=False),
    ]
