"""The sample people and units who have registered at the sandbox's identity platforms (`sandbox.province`, dialects).

Every one is invented. Profile members follow GB/T 39046-2020 table 12 (统一身份认证), in English. What business systems
have on file of the units stands in `sandbox.units`, and is not always the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

SubjectType = Literal["natural", "legal"]

PLAIN_LEVEL = 2
"""How strong a login without a second factor is."""


@dataclass(frozen=True, slots=True)
class Login:
    """One of the accounts by which a unit logs in, and the person behind it.

    Attributes:
        id: its name, and what it is at the province (`act.sub` of tokens).
        role: `operator`, a sub-account (经办人, 子账号), or `main`, the legal representative's account (法人, 主账号).
        name: of the person.
        id_number: citizen number (GB 11643-1999); empty where the province tells none.
    """

    id: str
    role: Literal["operator", "main"]
    name: str
    id_number: str = field(default="", repr=False)

    def profile(self) -> dict[str, str]:
        """What the province tells about the person."""
        return {"name": self.name} | ({"id_type": "111", "id_number": self.id_number} if self.id_number else {})


@dataclass(frozen=True, slots=True)
class Account:
    """One registered subject; of a unit, with who acts for it.

    Attributes:
        user: the name by which the sandbox's visitors ask for it.
        sub: its identifier at the province: an opaque user code (用户编码, an..20) for a natural person,
            the unified social credit code (GB 32100-2015, 18 characters) for a legal person.
        subject_type: what kind of subject it is.
        level: how strongly it usually logs in, 0 (not at all) to 4 (certificate or on site).
        highest: how strongly it can log in at most.
        logins: by which accounts a legal person logs in: its operators, and last the main account; none for a person.
        operator: id of the one that acts, the first unless another was chosen; None for a natural person.
        acts_for: units that a natural person may act for, by their `user`.
        profile: what else the province knows of it.
    """

    user: str
    sub: str
    subject_type: SubjectType
    level: int
    highest: int = 4
    logins: tuple[Login, ...] = ()
    operator: str | None = None
    acts_for: tuple[str, ...] = ()
    profile: Mapping[str, str | int] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """What people call it."""
        return str(self.profile.get("organization_name") or self.profile["name"])

    @property
    def login(self) -> str:
        """The name to log in by: the operator's own, `user` itself for a person or a unit's first operator."""
        return self.user if self.operator is None or self.operator == self.logins[0].id else self.operator

    @property
    def acting(self) -> Login | None:
        """Who acts for a legal person; None for a natural person."""
        return next((login for login in self.logins if login.id == self.operator), None)

    def choices(self) -> list["Account"]:
        """The same account once for each of its logins; a natural person's has one."""
        return [replace(self, operator=login.id) for login in self.logins] or [self]

    @property
    def region(self) -> str | None:
        """Where a legal person is registered (GB/T 2260), digits 3 to 8 of its code; None for a natural person."""
        return self.sub[2:8] if self.subject_type == "legal" else None

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


def _unit(
    user: str, uscc: str, name: str, representative: str, registered: str, operators: tuple[tuple[str, str, str], ...]
) -> Account:
    profile: dict[str, str | int] = {
        "organization_name": name,
        "unified_social_credit_code": uscc,
        "legal_representative": representative,
        "registration_date": registered,
        "registered_address": "样例市样例路 1 号",
        "real_name_verified": 1,
    }
    own = (Login(id_, "operator", person, number) for id_, person, number in operators)
    logins = (*own, Login(f"{user}-main", "main", representative))
    return Account(user, uscc, "legal", 3, logins=logins, operator=logins[0].id, profile=profile)


_OPERATORS = {
    "unit-1": (("operator-1", "样例子", "350100190001011015"), ("operator-1b", "样例丑", "350100190001011023")),
    "unit-2": (("operator-2", "样例寅", "350100190001011031"), ("operator-2b", "样例卯", "35010019000101104X")),
    "unit-3": (("operator-3", "样例辰", "350100190001011058"), ("operator-3b", "样例巳", "350100190001011066")),
    "unit-4": (("operator-4", "样例午", "350200190001011010"), ("operator-4b", "样例未", "350200190001011029")),
    "unit-5": (("operator-5", "样例申", "350100190001011074"), ("operator-5b", "样例酉", "350100190001011082")),
    "unit-6": (("operator-6", "样例戌", "350200190001011037"), ("operator-6b", "样例亥", "350200190001011045")),
}

SAMPLE_ACCOUNTS: Mapping[str, Account] = {
    account.user: account
    for account in (
        # Identity numbers of people said to be born in 1900; the check digits hold (GB 11643-1999).
        _citizen("citizen-1", "8f2c61d0b7e94a53c1d6", "样例甲", 3, "350100190001010020", 2, ("unit-1", "unit-2")),
        _citizen("citizen-2", "41a97be3055c4d2f8e60", "样例乙", 2, "350100190001010012", 1),
        _citizen("citizen-3", "d3705c18e2ab4f6991b4", "样例丙", 1, "350100190001010047", 2),
        *(
            _unit(user, uscc, name, representative, registered, _OPERATORS[user])
            for user, uscc, name, representative, registered in (
                ("unit-1", "91350100M000100Y43", "样例一有限公司", "样例丁", "20200102"),
                ("unit-2", "91350100M00020002M", "样例二有限公司", "样例戊", "20210304"),
                ("unit-3", "12350100MB0030007Q", "样例三中学", "样例己", "20120901"),
                ("unit-4", "91350200M00040002A", "样例四有限公司", "样例庚", "20150506"),
                ("unit-5", "91350100M00050008F", "样例五有限公司", "样例辛", "20260707"),
                ("unit-6", "91350200M00060003W", "样例六有限公司", "样例壬", "20180809"),
            )
        ),
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
        self._choices = [choice for account in accounts.values() for choice in account.choices()]
        self._acting = {choice.operator: choice for choice in self._choices if choice.operator is not None}
        self._versions = dict.fromkeys(accounts, 1)

    def find(self, user: str, operator: str | None = None) -> Account | None:
        """The account to log in by.

        Args:
            user: a person, a unit (then its first operator acts), or one of a unit's own logins.
            operator: which of a unit's logins acts, by its id.

        Returns:
            None when there is no such account, or the login is not this unit's.
        """
        account = self.accounts.get(user) or self._acting.get(user)
        if operator is None or account is None:
            return account
        chosen = self._acting.get(operator)
        return chosen if chosen is not None and chosen.user == account.user else None

    def of_subject(self, sub: str) -> Account | None:
        """The account of this identifier; a unit's as its first operator has it."""
        return self._by_sub.get(sub)

    def choices(self, kind: SubjectType | None = None) -> list[Account]:
        """Everybody that can log in: all natural persons, all units with each of their logins, or both."""
        return [choice for choice in self._choices if kind in (None, choice.subject_type)]

    @property
    def expected(self) -> str:
        """What to say to whoever asks for somebody that there is not."""
        return f"user must be one of {', '.join(self.accounts)}; operator, where it is named, one of that unit's"

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
