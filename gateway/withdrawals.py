"""What no longer counts, although it may still look good. state/feed.py tells it; identity/revocations.py denies."""

from collections.abc import Iterator
from typing import Literal

import msgspec

LONGEST_LIFE = 86400.0
"""Seconds that the longest token lives: so long a withdrawal is kept where nobody says less."""

WithdrawalKind = Literal["sid", "jti", "sub"]


class Withdrawal(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that no longer counts, although it may still look good.

    Attributes:
        kind: `sid` a session, `jti` a token, `sub` everything that a person or unit was given until then.
        value: its id at the issuer.
        at: Unix seconds of the withdrawal.
        until: Unix seconds after which nothing that it concerns can hold any more.
        issuer: whose id it is; None concerns that id of any issuer.
    """

    kind: WithdrawalKind
    value: str
    at: float
    until: float
    issuer: str | None = None


def withdrawals(
    *,
    session: str | None = None,
    token_id: str | None = None,
    subject: str | None = None,
    issuer: str | None = None,
    at: float,
    until: float | None = None,
) -> Iterator[Withdrawal]:
    """One withdrawal for each thing that is named; the arguments are those of gateway.state.feed.Feed.withdraw."""
    until = at + LONGEST_LIFE if until is None else until
    named: tuple[tuple[WithdrawalKind, str | None], ...] = (("sid", session), ("jti", token_id), ("sub", subject))
    for kind, value in named:
        if value is not None:
            yield Withdrawal(kind, value, at, until, issuer)
