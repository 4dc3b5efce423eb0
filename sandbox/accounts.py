"""The sample people and units who have registered at the sandbox's identity platforms (`sandbox.province`, dialects).

Every one is invented. Profile members follow GB/T 39046-2020 table 12 (统一身份认证), in English.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

SubjectType = Literal["natural", "legal"]

PLAIN_LEVEL = 2
"""How strong a login without a second factor is."""


@dataclass(frozen=True, slots=True)
class Account:
    """One registered subject.

    Attributes:
        user: the name by which the sandbox's visitors ask for it.
        sub: its identifier at the province: an opaque user code (用户编码, an..20) for a natural person,
            the unified social credit code (GB 32100-2015, 18 characters) for a legal person.
        subject_type: what kind of subject it is.
        level: how strongly it usually logs in, 0 (not at all) to 4 (certificate or on site).
        highest: how strongly it can log in at most.
        operator: who acts for a legal person (经办人); None for a natural person.
        acts_for: units that a natural person may act for, by their `user`.
        profile: what else the province knows of it.
    """

    user: str
    sub: str
    subject_type: SubjectType
    level: int
    highest: int = 4
    operator: str | None = None
    acts_for: tuple[str, ...] = ()
    profile: Mapping[str, str | int] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """What people call it."""
        return str(self.profile.get("organization_name") or self.profile["name"])

    @property
    def plain_level(self) -> int:
        """How strong its login is without a second factor."""
        return min(PLAIN_LEVEL, self.highest)


def _citizen(
    user: str, sub: str, name: str, level: int, number: str, gender: int, acts_for: tuple[str, ...] = ()
) -> Account:
    verified = int(level > 1)
    profile: dict[str, str | int] = {
        "name": name,
        "username": user,
        "id_type": "111",
        "id_number": number,
        "mobile": f"1380000000{user[-1]}",
        "gender": gender,
        "real_name_verified": verified,
    }
    return Account(user, sub, "natural", level, 4 if verified else 1, acts_for=acts_for, profile=profile)


def _unit(user: str, uscc: str, name: str, operator: str, representative: str, registered: str) -> Account:
    profile: dict[str, str | int] = {
        "organization_name": name,
        "unified_social_credit_code": uscc,
        "legal_representative": representative,
        "registration_date": registered,
        "registered_address": "样例市样例路 1 号",
        "real_name_verified": 1,
    }
    return Account(user, uscc, "legal", 3, operator=operator, profile=profile)


SAMPLE_ACCOUNTS: Mapping[str, Account] = {
    account.user: account
    for account in (
        # Identity numbers of people said to be born in 1900; the check digits hold (GB 11643-1999).
        _citizen("citizen-1", "8f2c61d0b7e94a53c1d6", "样例甲", 3, "350100190001010020", 2, ("unit-1", "unit-2")),
        _citizen("citizen-2", "41a97be3055c4d2f8e60", "样例乙", 2, "350100190001010012", 1),
        _citizen("citizen-3", "d3705c18e2ab4f6991b4", "样例丙", 1, "350100190001010047", 2),
        _unit("unit-1", "91350100M000100Y43", "样例一有限公司", "operator-1", "样例丁", "20200102"),
        _unit("unit-2", "91350100M00020002M", "样例二有限公司", "operator-2", "样例戊", "20210304"),
    )
}


class Register:
    """Who has registered at a platform, and how often each profile has changed since.

    Attributes:
        accounts: everybody, by user name.
    """

    def __init__(self, accounts: Mapping[str, Account] = SAMPLE_ACCOUNTS) -> None:
        self.accounts = accounts
        self._by_sub = {account.sub: account for account in accounts.values()}
        self._versions = dict.fromkeys(accounts, 1)

    def find(self, user: str) -> Account | None:
        """The account of this user name."""
        return self.accounts.get(user)

    def of_subject(self, sub: str) -> Account | None:
        """The account of this identifier."""
        return self._by_sub.get(sub)

    def of_kind(self, kind: SubjectType) -> list[Account]:
        """All natural persons, or all units."""
        return [account for account in self.accounts.values() if account.subject_type == kind]

    def units_of(self, account: Account) -> list[Account]:
        """Units that a natural person may act for."""
        return [self.accounts[user] for user in account.acts_for if user in self.accounts]

    def version(self, account: Account) -> int:
        """How often the profile has changed, counted from 1."""
        return self._versions[account.user]

    def change(self, user: str) -> int:
        """Let a profile be changed; gives its new version. Raises KeyError for nobody."""
        self._versions[user] += 1
        return self._versions[user]

    def profile(self, account: Account) -> dict[str, Any]:
        """What the platform tells about an account, its version included."""
        return dict(account.profile) | {"version": self.version(account)}
