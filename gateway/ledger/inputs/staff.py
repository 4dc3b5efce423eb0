"""What is entered about the staff: accounts and posts (gateway/ledger/staff.py)."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from gateway.codes import CodeError, region_scope
from gateway.contracts import Settings
from gateway.ledger.inputs.lines import Line
from gateway.ledger.powers import Role

LOGIN = re.compile(r"[a-z0-9][a-z0-9._-]{2,63}")


def _check_login(text: str) -> str:
    login = text.strip().lower()
    if LOGIN.fullmatch(login) is None:
        raise CodeError(
            "登录名为 3 至 64 位字母、数字或 . _ -，以字母或数字开头。",
            "A login has 3 to 64 letters, digits, dots, underscores or hyphens and begins with a letter or digit.",
        )
    return login


def _check_region(text: str) -> str:
    code = text.strip()
    region_scope(code)
    return code


Login = Annotated[str, AfterValidator(_check_login)]
Region = Annotated[str, AfterValidator(_check_region)]


class StaffInput(Settings):
    """A new account."""

    login: Login = Field(max_length=64, description="登录名 · login: letters, digits, . _ -")
    name: Line = Field(min_length=1, max_length=64, repr=False, description="姓名 · name")


class PostInput(Settings):
    """A post for somebody."""

    role: Role = Field(description="岗位 · role: system, security, audit, clerk or reviewer")
    region: Region = Field(
        max_length=12,
        description="辖区，行政区划代码 6、9 或 12 位，000000 为全国"
        " · region, 6, 9 or 12 digits (GB/T 2260, GB/T 10114); 000000 is the whole country",
    )

    @property
    def scope(self) -> str:
        """What all codes inside the region begin with."""
        return region_scope(self.region)


class AppointmentInput(PostInput):
    """A post for somebody whose account was shown."""

    version: int = Field(ge=1, description="版本 · version of the record that was shown")
