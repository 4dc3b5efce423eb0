"""What the business systems have on file of units (参保单位), which is not always what the province knows of them.

`sandbox.operations` shows them to the department's staff, who bind a unit of `sandbox.accounts` to one of them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace

from sandbox.accounts import SAMPLE_ACCOUNTS


@dataclass(frozen=True, slots=True)
class UnitRecord:
    """One unit, as one business system knows it.

    Attributes:
        local_id: the system's own number of it (社保编号), 20 digits that begin with the region.
        name: of the unit.
        uscc: its unified social credit code (GB 32100-2015), as somebody once typed it.
        legal_representative: name of the legal representative (法定代表人).
        registered_on: when the unit was registered, YYYYMMDD.
        region: where, 6 digits (GB/T 2260).
        status: `active`, or `closed` where nothing is done under this number any more.
    """

    local_id: str
    name: str
    uscc: str
    legal_representative: str
    registered_on: str
    region: str
    status: str = "active"

    def members(self) -> dict[str, str]:
        """As JSON has it."""
        return asdict(self)


class UnitFile:
    """All that one system has on file."""

    def __init__(self, records: Iterable[UnitRecord]) -> None:
        self._by_id = {record.local_id: record for record in records}

    def find(self, local_id: str) -> UnitRecord | None:
        """The record of this number."""
        return self._by_id.get(local_id)

    def carrying(self, uscc: str) -> list[UnitRecord]:
        """The records that carry this code, compared character by character: none, one, or several."""
        return [record for record in self._by_id.values() if record.uscc == uscc]


def _as_registered(user: str, local_id: str) -> UnitRecord:
    """A record that says what the province says."""
    account = SAMPLE_ACCOUNTS[user]
    told = account.profile
    return UnitRecord(
        local_id,
        account.name,
        account.sub,
        str(told["legal_representative"]),
        str(told["registration_date"]),
        str(account.region),
    )


UNIT_RECORDS: Mapping[str, tuple[UnitRecord, ...]] = {
    "pension": (
        _as_registered("unit-1", "35010020141000000101"),
        # One digit of the code was typed wrongly, long ago: who searches by the right code finds nothing.
        replace(_as_registered("unit-2", "35010020141000000201"), uscc="91350100M00020007M"),
        _as_registered("unit-3", "35010020141000000301"),
        # Two numbers for one unit.
        _as_registered("unit-4", "35020020141000000401"),
        replace(_as_registered("unit-4", "35020020141000000402"), status="closed"),
        # Renamed since, with another representative; and another unit that bears the new name.
        replace(_as_registered("unit-6", "35020020141000000601"), name="样例六旧厂", legal_representative="样例癸"),
        replace(
            _as_registered("unit-6", "35020020141000000602"),
            uscc="91350200M00060011P",
            legal_representative="样例甲子",
            registered_on="20190910",
        ),
    ),
    "social-insurance": (
        _as_registered("unit-1", "35010019960100000101"),
        _as_registered("unit-2", "35010019960100000201"),
        _as_registered("unit-3", "35010019960100000301"),
        _as_registered("unit-4", "35020019960100000401"),
        replace(_as_registered("unit-6", "35020019960100000601"), legal_representative="样例癸"),
    ),
}
"""The records of each system that has any; unit-5 is in none."""
