"""Operations that take CSV files over: each kind of file needs the power to enter its rows by hand."""

from gateway.console.inputs import ImportInput
from gateway.console.operation import Call, Operation
from gateway.ledger.imports import ImportName, ImportReport
from gateway.ledger.powers import Power

_KINDS: tuple[tuple[ImportName, Power, tuple[str, str]], ...] = (
    ("staff", Power.STAFF_CREATE, ("账户", "accounts")),
    ("posts", Power.STAFF_APPOINT, ("岗位", "posts")),
    ("grants", Power.GRANT_PROPOSE, ("经办人和授权", "operators and grants")),
)


def _run(kind: ImportName, *, dry_run: bool) -> Call:
    return lambda console, by, asked: console.imports.run(by, kind, asked.input.file, dry_run=dry_run)


def _operations(kind: ImportName, power: Power, of: tuple[str, str]) -> tuple[Operation, Operation]:
    chinese, english = of
    return (
        Operation(
            f"imports.{kind}.check", "POST", f"/imports/{kind}/check", power,
            (f"试导入{chinese}", f"Try an import of {english}"), _run(kind, dry_run=True), ImportInput, ImportReport,
        ),
        Operation(
            f"imports.{kind}.take", "POST", f"/imports/{kind}", power,
            (f"导入{chinese}", f"Import {english}"), _run(kind, dry_run=False), ImportInput, ImportReport,
        ),
    )  # fmt: skip


IMPORT_OPERATIONS = tuple(operation for kind in _KINDS for operation in _operations(*kind))
