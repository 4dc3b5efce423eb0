"""Asks business systems what they have on file of a unit, by the edge's own ways: direct, or across the gatekeeper.

comparing.py holds the answers against the province's registration.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Annotated, TypeVar
from urllib.parse import quote

import msgspec

from gateway.contracts import Forwarder
from gateway.errors import BodyTooLarge, CannotDecide, ContentBlocked, Undelivered
from gateway.ledger.values import Officer
from gateway.model import NO_BODY, Inbound, Item, Kind, Outbound, Principal, Reply, Visit
from gateway.office_settings import LocalIdSettings, LookupSettings
from gateway.settings import DirectSettings, FerrySettings
from gateway.templates import parameters

LARGEST = 64 << 10
"""Bytes of an answer."""
TIMEOUT = 5.0
"""Seconds for the whole answer."""
ASSURANCE = 4
"""Of staff: they are known in person, and have shown a second factor."""

_CHANNEL = "console"
_MOST = 20
"""Records of one unit; a system that has more of them is not believed."""

System = DirectSettings | FerrySettings
Text = Annotated[str, msgspec.Meta(max_length=200)]
T = TypeVar("T")


class UnitRecord(msgspec.Struct, frozen=True):
    """A unit as a business system has it on file. What else a system tells is left out.

    Attributes:
        local_id: the system's own id of it.
        name: what it is called there.
        uscc: 统一社会信用代码, as somebody once typed it.
        legal_representative: 法定代表人.
        registered_on: YYYYMMDD.
        region: GB/T 2260.
        status: `active`, `closed` or another word of the system.
    """

    local_id: Text
    name: Text
    uscc: Text | None = None
    legal_representative: Text | None = None
    registered_on: Text | None = None
    region: Text | None = None
    status: Text = "active"

    def __repr__(self) -> str:
        return f"UnitRecord(status={self.status!r})"


class _Found(msgspec.Struct, frozen=True):
    units: Annotated[list[UnitRecord], msgspec.Meta(max_length=_MOST)]


class _Reached(msgspec.Struct, frozen=True):
    """A system that can be asked."""

    settings: System
    local_id: LocalIdSettings
    forwarder: Forwarder


class Lookups:
    """The systems that tell what they know of a unit.

    Args:
        make: makes the forwarder of a system, see gateway.forward.making.
        department: issuer of the identity that goes inward; it vouches for its own staff.
        clock: wall clock, Unix seconds.
    """

    def __init__(
        self, make: Callable[[System], Forwarder], department: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._make = make
        self._department = department
        self._clock = clock
        self._reached: dict[str, _Reached] = {}
        self._running = False

    async def use(self, systems: Iterable[System]) -> None:
        """Ask these from now on; those whose settings did not change keep their connections.

        Raises:
            ConfigurationError: one cannot be made; all is left as it was.
        """
        before, after = self._reached, dict[str, _Reached]()
        for system in systems:
            if system.local_id is not None:
                held = before.get(system.name)
                if held is None or held.settings != system:
                    held = _Reached(system, system.local_id, self._make(system))
                after[system.name] = held
        self._reached = after
        if self._running:
            await asyncio.gather(*(one.forwarder.start() for one in _those(after, before)))
            await asyncio.gather(*(one.forwarder.stop() for one in _those(before, after)))

    async def start(self) -> None:
        """Get ready; a system, or the gatekeeper, may be away."""
        self._running = True
        await asyncio.gather(*(one.forwarder.start() for one in self._reached.values()))

    async def stop(self) -> None:
        """Close every connection."""
        self._running = False
        await asyncio.gather(*(one.forwarder.stop() for one in self._reached.values()), return_exceptions=True)

    def offers(self, system: str) -> tuple[bool, bool]:
        """Whether a system finds a record by its id, and records by the unit's code."""
        held = self._reached.get(system)
        return (False, False) if held is None else (held.local_id.record is not None, held.local_id.search is not None)

    async def record(self, by: Officer, system: str, local_id: str) -> UnitRecord | None:
        """The record of this id; None when the system has none, or offers no such question.

        Raises:
            CannotDecide: the system cannot be asked now, or what it says cannot be believed; 503.
        """
        held = self._reached.get(system)
        if held is None or held.local_id.record is None:
            return None
        found = await self._ask(by, held, held.local_id.record, {"local_id": quote(local_id, safe="")}, "", UnitRecord)
        if found is not None and found.local_id != local_id:
            raise _failed(f"{system} answered with another record", _ODD)
        return found

    async def search(self, by: Officer, system: str, uscc: str) -> list[UnitRecord]:
        """The records that carry this code; none when the system has none, or offers no such question.

        Raises:
            CannotDecide: as in `record`.
        """
        held = self._reached.get(system)
        if held is None or held.local_id.search is None:
            return []
        found = await self._ask(by, held, held.local_id.search, {}, f"uscc={quote(uscc, safe='')}", _Found)
        return [] if found is None else found.units

    async def _ask(
        self, by: Officer, held: _Reached, lookup: LookupSettings, params: dict[str, str], query: str, kind: type[T]
    ) -> T | None:
        """Ask once. A 404 says that there is no record, which is a normal state."""
        name = held.settings.name
        outbound = self._outbound(by, name, lookup, params, query)
        async with _plainly(name), asyncio.timeout(TIMEOUT + 1), held.forwarder.send(outbound) as reply:
            if reply.status == 404:
                return None
            if reply.status != 200:
                raise _failed(f"{name} answered {reply.status}", _ODD)
            return msgspec.json.decode(await _whole(reply), type=kind)

    def _outbound(
        self, by: Officer, system: str, lookup: LookupSettings, params: dict[str, str], query: str
    ) -> Outbound:
        named = {name: params[name] for name in parameters(lookup.path) if name in params}
        path, now = lookup.path, self._clock()
        for name, value in named.items():
            path = path.replace(f"{{{name}}}", value)
        inbound = Inbound(secrets.token_hex(16), "GET", path, query, {}, "", "", "")
        item = Item("unit-lookup", "单位信息比对", _CHANNEL, frozenset({Kind.NATURAL}), ASSURANCE, system)
        principal = Principal(self._department, by.login, Kind.NATURAL, ASSURANCE, now + TIMEOUT)
        visit = Visit(inbound, item, lookup.route, lookup.path, named, _CHANNEL, now)
        return Outbound(visit, principal, [(b"accept", b"application/json")], NO_BODY, TIMEOUT)


def _those(these: dict[str, _Reached], without: dict[str, _Reached]) -> list[_Reached]:
    kept = {id(one.forwarder) for one in without.values()}
    return [one for one in these.values() if id(one.forwarder) not in kept]


@contextlib.asynccontextmanager
async def _plainly(system: str) -> AsyncIterator[None]:
    """Every way in which a system cannot be asked is one sentence for the staff, and its reason for the log."""
    try:
        yield
    except (Undelivered, ContentBlocked, BodyTooLarge) as error:
        raise _failed(f"{system}: {error.code}: {error.detail}", _AWAY) from error
    except TimeoutError:
        raise _failed(f"{system} did not answer in time", _AWAY) from None
    except (msgspec.DecodeError, UnicodeDecodeError):  # its text could repeat what is on file
        raise _failed(f"{system} answered something else than records of units", _ODD) from None


async def _whole(reply: Reply) -> bytes:
    if reply.whole is not None:
        body = reply.whole
    else:
        body = b""
        async for piece in reply.chunks():
            body += piece
            if len(body) > LARGEST:
                break
    if len(body) > LARGEST:
        raise BodyTooLarge("the answer of a lookup")
    return body


_AWAY = (
    "业务系统暂时查询不到，请稍后再试；未作任何更改。",
    "The business system cannot be asked at the moment. Please try again later; nothing was changed.",
)
_ODD = (
    "业务系统的查询结果无法识别，请联系系统管理员；未作任何更改。",
    "The business system's answer cannot be used. Please tell the system's administrator; nothing was changed.",
)


def _failed(detail: str, title: tuple[str, str]) -> CannotDecide:
    """The system cannot be asked now, or what it says cannot be believed; the title says which to the staff."""
    error = CannotDecide(detail)
    error.title = title
    return error
