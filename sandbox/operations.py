"""What the sandbox's business systems do for those who reach them; `sandbox.business` checks who that is."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

SYSTEMS = ("social-insurance", "medical-insurance", "pension")


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that a system does.

    Attributes:
        method: HTTP method.
        path: path pattern, as aiohttp writes it.
        route: what the gateway calls it.
        answer: does it; gets the request and its verified identity.
    """

    method: str
    path: str
    route: str
    answer: Callable[[web.Request, Mapping[str, Any]], Awaitable["Outcome"]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an operation came to: a status, the data, and where the new thing lies if it made one."""

    status: int
    result: Mapping[str, Any]
    location: str | None = None


class Declarations:
    """The retirement-benefit declarations (退休人员待遇申报) that the pension system has accepted, in memory."""

    def __init__(self) -> None:
        self._accepted: list[dict[str, Any]] = []

    def __len__(self) -> int:
        return len(self._accepted)

    async def accept(self, request: web.Request, identity: Mapping[str, Any]) -> Outcome:
        """Take a declaration in: a JSON object, or a form with attachments."""
        if request.content_type not in ("application/json", "multipart/form-data"):
            return Outcome(415, {"error": "send application/json or multipart/form-data"})
        if request.content_type == "application/json" and not await _is_json_object(request):
            return Outcome(400, {"error": "the body is not a JSON object"})
        number = f"D{len(self._accepted) + 1:08d}"
        declaration = {
            "declaration_id": number,
            "unit": identity["sub"],
            "operator": (identity.get("act") or {}).get("sub"),
            "status": "accepted",
        }
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


def operations_of(system: str, declarations: Declarations) -> list[Operation]:
    """What a system does, over the declarations that it keeps. Raises KeyError for a name not in `SYSTEMS`."""
    settled = "/settlements/{settlement_id}"
    return {
        "social-insurance": [Operation("GET", "/contributions", "social-insurance-contributions", _contributions)],
        "medical-insurance": [Operation("GET", settled, "medical-insurance-settlement", _settlement)],
        "pension": [
            Operation("POST", "/declarations", "pension-declare", declarations.accept),
            Operation("GET", "/declarations/{declaration_id}", "pension-progress", declarations.progress),
        ],
    }[system]
