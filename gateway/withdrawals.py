"""What no longer counts, although it may still look good. state/feed.py tells it; identity/revocations.py denies."""

from typing import Literal

import msgspec

LONGEST_LIFE = 86400.0
"""Seconds that the longest token lives: so long a withdrawal is kept where nobody says less."""


class Withdrawal(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that no longer counts, although it may still look good.

    Attributes:
        kind: `sid` a session, `jti` a token, `sub` everything that a person or unit was given until then.
        value: its id at the issuer.
        at: Unix seconds of the withdrawal.
        until: Unix seconds after which nothing that it concerns can hold any more.
        issuer: whose id it is; None concerns that id of any issuer.
    """

    kind: Literal["sid", "jti", "sub"]
    value: str
    at: float
    until: float
    issuer: str | None = None
