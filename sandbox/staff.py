"""The sample staff of the first department's back office, and the codes that their authenticator apps would show.

`sandbox.office` makes their accounts, `sandbox.counter` signs them in. All of it is known to everybody, for the
sandbox only.
"""

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pyotp

STEP = 30
"""Seconds for which one code is shown (RFC 6238)."""

StaffRole = Literal["system", "security", "audit", "clerk", "reviewer"]


@dataclass(frozen=True, slots=True)
class SampleStaff:
    """One member of the staff.

    Attributes:
        login: what she signs in with.
        name: what she is called.
        role: of her post.
        region: that her post covers (GB/T 2260); 000000 is all of them.
        password: hers.
        secret: of her authenticator app, base32.
    """

    login: str
    name: str
    role: StaffRole
    region: str
    password: str
    secret: str

    def code(self, at: float) -> str:
        """What her app shows at this time (Unix seconds); good once."""
        return pyotp.TOTP(self.secret, interval=STEP).at(int(at))


def _staff(login: str, name: str, role: StaffRole, region: str, word: str) -> SampleStaff:
    return SampleStaff(login, name, role, region, f"Sample-{word}-2026", f"{'SAMPLE' * 4}{word.upper():A<8}")


SAMPLE_STAFF: Mapping[str, SampleStaff] = {
    one.login: one
    for one in (
        _staff("admin-system", "样例系统员", "system", "000000", "Harbour"),
        _staff("admin-security", "样例安全员", "security", "000000", "Lantern"),
        _staff("admin-audit", "样例审计员", "audit", "000000", "Willow"),
        _staff("reviewer-0", "样例省复核", "reviewer", "350000", "Mountain"),
        _staff("clerk-1", "样例经办一", "clerk", "350100", "Bridge"),
        _staff("reviewer-1", "样例复核一", "reviewer", "350100", "Garden"),
        _staff("clerk-2", "样例经办二", "clerk", "350200", "Orchard"),
        _staff("reviewer-2", "样例复核二", "reviewer", "350200", "River"),
    )
}
"""Everybody by login: the three administrators (三员), the province's reviewer, and the counters of two regions."""


def main(arguments: list[str] | None = None) -> int:
    """`tongguan sandbox code LOGIN`: print the code that an authenticator app would show now; see `--help`."""
    parser = argparse.ArgumentParser(
        prog="tongguan sandbox code",
        description="Print the code of a sample member of the staff, for the back office. 样例工作人员的动态验证码。",
    )
    parser.add_argument("login", choices=SAMPLE_STAFF, help="who signs in 登录名")
    staff, now = SAMPLE_STAFF[parser.parse_args(arguments).login], time.time()
    print(f"{staff.code(now)}   {STEP - int(now) % STEP} s   密码 password: {staff.password}")
    return 0
