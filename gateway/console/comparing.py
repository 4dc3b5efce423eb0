"""Holds the province's registration of a unit against what a business system has on file (信息比对), field by field.

Staff look at it before they bind a unit, and whoever approves looks again: lookups.py fetches anew each time. Finding
nothing is a normal state.
"""

import unicodedata
from collections.abc import Callable, Iterable

import msgspec

from gateway.console.lookups import Lookups, System, UnitRecord
from gateway.contracts import Forwarder
from gateway.errors import FieldProblem, InputRefused
from gateway.ledger.acting import Office, Party
from gateway.ledger.inputs.claims import ComparedEntry
from gateway.ledger.looks import note_look
from gateway.ledger.powers import Power
from gateway.ledger.rules import LocalId
from gateway.ledger.values import Officer

LABELS = {
    "name": ("单位名称", "Name"),
    "uscc": ("统一社会信用代码", "Unified social credit code"),
    "legal_representative": ("法定代表人", "Legal representative"),
    "registered_on": ("登记日期", "Registered on"),
    "region": ("行政区划", "Region"),
}
"""The fields that are compared, in the order in which they are shown."""

_BRACKETS = str.maketrans("〔【[〕】]", "((()))")


class Compared(msgspec.Struct, frozen=True):
    """One field of both sides.

    Attributes:
        field: `name`, `uscc`, `legal_representative`, `registered_on` or `region`.
        label: what people call it, Chinese first, then English.
        province: what the province registered; None when it does not say.
        system: what the business system has; None when it has no record, or does not say.
        equal: True when both say the same.
    """

    field: str
    label: tuple[str, str]
    province: str | None
    system: str | None
    equal: bool

    def __repr__(self) -> str:
        return f"Compared({self.field!r}, equal={self.equal})"


class Comparison(msgspec.Struct, frozen=True):
    """Both sides.

    Attributes:
        system: name of the business system.
        local_id: the id that was looked up there.
        offered: True when the system can be asked by id at all.
        found: True when it has such a record.
        status: of the record there, `active` or another word; None without a record.
        fields: all of them.
    """

    system: str
    local_id: str
    offered: bool
    found: bool
    status: str | None
    fields: list[Compared]

    @property
    def differing(self) -> int:
        """How many fields are not the same."""
        return sum(not one.equal for one in self.fields)

    def entries(self) -> dict[str, ComparedEntry]:
        """As a binding keeps it, see gateway.ledger.inputs.claims.BindingInput."""
        return {one.field: (one.province, one.system, one.equal) for one in self.fields}


class Candidates(msgspec.Struct, frozen=True):
    """What a business system has on file under the unit's code.

    Attributes:
        system: name of the business system.
        label: what people call its ids (社保编号).
        offered: True when the system can be searched at all; else the id has to be entered by hand.
        found: the records; none, one or several.
    """

    system: str
    label: str
    offered: bool
    found: list[UnitRecord]


class Comparing:
    """Compares.

    Args:
        office: whose units and rules they are.
        make: makes the forwarder of a system, see gateway.forward.making.
        department: see Lookups.
    """

    def __init__(self, office: Office, make: Callable[[System], Forwarder], department: str) -> None:
        self._office = office
        self._lookups = Lookups(make, department, office.clock)

    async def use(self, systems: Iterable[System]) -> None:
        """Ask these systems from now on; see Lookups.use."""
        await self._lookups.use(systems)

    async def start(self) -> None:
        """Get ready; a system, or the gatekeeper, may be away."""
        await self._lookups.start()

    async def stop(self) -> None:
        """Close every connection."""
        await self._lookups.stop()

    async def candidates(self, by: Officer, party: str, system: str) -> Candidates:
        """The system's records that carry the unit's code. That somebody looked is noted.

        Args:
            by: who looks.
            party: id of the unit's record.
            system: name of the business system.

        Raises:
            InputRefused: units are not bound to this system.
            Forbidden: `not-your-role`, `not-your-region`.
            CannotDecide: ledger or system cannot be asked now; 503.
        """
        rule = self._rule(system)
        unit = await self._look(by, party, "candidates")
        _, offered = self._lookups.offers(system)
        found = await self._lookups.search(by, system, unit.uscc) if unit.uscc else []
        return Candidates(system, rule.label, offered, found)

    async def compare(self, by: Officer, party: str, system: str, local_id: str) -> Comparison:
        """Both sides, fetched now. That somebody looked is noted.

        Args:
            by: who looks.
            party: id of the unit's record.
            system: name of the business system.
            local_id: the id there.

        Raises:
            InputRefused: units are not bound to this system, or its ids are written in another way.
            Forbidden, CannotDecide: as in `candidates`.
        """
        problem = self._rule(system).problem(local_id)
        if problem is not None:
            raise InputRefused(problem)
        unit = await self._look(by, party, "comparison")
        record = await self._lookups.record(by, system, local_id)
        offered, _ = self._lookups.offers(system)
        fields = compare_records(_registered(unit), {} if record is None else msgspec.structs.asdict(record))
        status = None if record is None else record.status
        return Comparison(system, local_id, offered, record is not None, status, fields)

    def _rule(self, system: str) -> LocalId:
        rule = self._office.rules.local_ids.get(system)
        if rule is None:
            raise InputRefused(FieldProblem("system", _NOT_BOUND))
        return rule

    async def _look(self, by: Officer, party: str, what: str) -> Party:
        """The unit's record. The act ends before the system is asked, so that no transaction waits for it."""
        async with self._office.by_staff(by, Power.BINDING_COMPARE) as act:
            unit = await act.party(party)
            await note_look(act, party, what)
        return unit


def compare_records(province: dict[str, str | None], system: dict[str, str | None]) -> list[Compared]:
    """Compare field by field; what one side does not say is not the same."""
    return [
        Compared(field, label, province.get(field), system.get(field), _same(province.get(field), system.get(field)))
        for field, label in LABELS.items()
    ]


def _registered(unit: Party) -> dict[str, str | None]:
    told = unit.registration or {}
    more = {name: told.get(name) for name in ("legal_representative", "registered_on")}
    return {"name": unit.name, "uscc": unit.uscc, "region": unit.region or None, **more}


def _same(one: str | None, other: str | None) -> bool:
    return bool(one) and bool(other) and _plain(one or "") == _plain(other or "")


def _plain(text: str) -> str:
    """Without what typing differs in: width (NFKC, UAX #15), kinds of brackets, spaces, case, hyphens within dates."""
    folded = unicodedata.normalize("NFKC", text).translate(_BRACKETS).casefold()
    joined = "".join(folded.split())
    digits = joined.replace("-", "")
    return digits if digits.isdigit() else joined


_NOT_BOUND = (
    "该业务系统未配置账户绑定。",
    "Units are not bound to this business system.",
)
