"""The sample people and units who have registered at the sandbox's province platform (`sandbox.province`).

Every one is invented. Profile members follow GB/T 39046-2020 table 12 (统一身份认证), in English.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

SubjectType = Literal["natural", "legal"]


@dataclass(frozen=True, slots=True)
class Account:
    """One registered subject.

    Attributes:
        user: the name by which the sandbox's visitors ask for it.
        sub: its identifier at the province: an opaque user code (用户编码, an..20) for a natural person,
            the unified social credit code (GB 32100-2015, 18 characters) for a legal person.
        subject_type: what kind of subject it is.
        level: how strongly it usually logs in, 0 (not at all) to 4 (certificate or on site).
        operator: who acts for a legal person (经办人); None for a natural person.
        profile: what else the province knows of it.
    """

    user: str
    sub: str
    subject_type: SubjectType
    level: int
    operator: str | None = None
    profile: Mapping[str, str | int] = field(default_factory=dict, repr=False)


SAMPLE_ACCOUNTS: Mapping[str, Account] = {
    account.user: account
    for account in (
        Account(
            "citizen-1",
            "8f2c61d0b7e94a53c1d6",
            "natural",
            3,
            profile={"name": "样例甲", "username": "citizen-1", "real_name_verified": 1, "gender": 2},
        ),
        Account(
            "citizen-2",
            "41a97be3055c4d2f8e60",
            "natural",
            2,
            profile={"name": "样例乙", "username": "citizen-2", "real_name_verified": 1, "gender": 1},
        ),
        Account(
            "citizen-3",
            "d3705c18e2ab4f6991b4",
            "natural",
            1,
            profile={"name": "样例丙", "username": "citizen-3", "real_name_verified": 0, "gender": 2},
        ),
        Account(
            "unit-1",
            "91350100M000100Y43",
            "legal",
            3,
            operator="operator-1",
            profile={
                "organization_name": "样例一有限公司",
                "unified_social_credit_code": "91350100M000100Y43",
                "legal_representative": "样例丁",
                "registration_date": "20200102",
                "real_name_verified": 1,
            },
        ),
        Account(
            "unit-2",
            "91350100M00020002M",
            "legal",
            3,
            operator="operator-2",
            profile={
                "organization_name": "样例二有限公司",
                "unified_social_credit_code": "91350100M00020002M",
                "legal_representative": "样例戊",
                "registration_date": "20210304",
                "real_name_verified": 1,
            },
        ),
    )
}
