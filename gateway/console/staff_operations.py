"""Operations on the staff themselves: accounts (system administrator), posts and locks (security administrator)."""

from gateway.console.inputs import VersionInput
from gateway.console.operation import Operation
from gateway.ledger.inputs.searching import SearchInput
from gateway.ledger.inputs.staff import AppointmentInput, StaffInput
from gateway.ledger.powers import Power
from gateway.ledger.staff_accounts import IssuedPassword, StaffRecord
from gateway.ledger.values import Page

STAFF_OPERATIONS = (
    Operation(
        "staff.list", "GET", "/staff", Power.STAFF_LOOK, ("查看工作人员", "List the staff"),
        lambda console, by, asked: console.staff.listing(by, asked.input),
        SearchInput, Page[StaffRecord],
    ),
    Operation(
        "staff.create", "POST", "/staff", Power.STAFF_CREATE, ("新建账户", "Make an account"),
        lambda console, by, asked: console.staff.create(by, asked.input),
        StaffInput, IssuedPassword, 201,
    ),
    Operation(
        "staff.disable", "POST", "/staff/{id}/disable", Power.STAFF_DISABLE, ("停用账户", "Disable an account"),
        lambda console, by, asked: console.staff.disable(by, asked.path["id"], asked.input.version),
        VersionInput, StaffRecord,
    ),
    Operation(
        "staff.enable", "POST", "/staff/{id}/enable", Power.STAFF_DISABLE, ("启用账户", "Enable an account"),
        lambda console, by, asked: console.staff.enable(by, asked.path["id"], asked.input.version),
        VersionInput, StaffRecord,
    ),
    Operation(
        "staff.appoint", "POST", "/staff/{id}/post", Power.STAFF_APPOINT, ("任命岗位", "Give somebody a post"),
        lambda console, by, asked: console.staff.appoint(by, asked.path["id"], asked.input),
        AppointmentInput, StaffRecord,
    ),
    Operation(
        "staff.dismiss", "POST", "/staff/{id}/dismiss", Power.STAFF_APPOINT, ("免去岗位", "End somebody's post"),
        lambda console, by, asked: console.staff.dismiss(by, asked.path["id"], asked.input.version),
        VersionInput, StaffRecord,
    ),
    Operation(
        "staff.unlock", "POST", "/staff/{id}/unlock", Power.STAFF_UNLOCK, ("解锁账户", "Unlock an account"),
        lambda console, by, asked: console.staff.unlock(by, asked.path["id"], asked.input.version),
        VersionInput, StaffRecord,
    ),
    Operation(
        "staff.reset", "POST", "/staff/{id}/reset", Power.STAFF_UNLOCK,
        ("重置密码和身份验证器", "Reset password and second factor"),
        lambda console, by, asked: console.staff.reset(by, asked.path["id"], asked.input.version),
        VersionInput, IssuedPassword,
    ),
)  # fmt: skip
