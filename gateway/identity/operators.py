"""What operators are shown of sessions, and how they end them: the other end of `tongguan sessions`."""

from collections.abc import Callable, Mapping
from typing import Any

from gateway.errors import ConfigurationError
from gateway.identity.sessions import SignedIn, SignInSessions

Pseudonym = Callable[[str, str], str]
"""Stands in for a person, by issuer and subject."""


async def list_sessions(
    sessions: SignInSessions | None, asked: Mapping[str, str], pseudonym: Pseudonym
) -> dict[str, Any]:
    """Open sessions, plain data.

    Args:
        sessions: None where nobody signs in.
        asked: `subject` names a person or unit, whose sessions alone are listed; `reveal` shows subjects as they are.
        pseudonym: what is shown instead.

    Raises:
        ConfigurationError: nobody signs in here.
        StateUnavailable: nobody can say now.
    """
    found, total = await _there(sessions).listing(asked.get("subject"))
    whose = (lambda _, subject: subject) if "reveal" in asked else pseudonym
    return {"sessions": [_row(known, whose) for known in found], "total": total}


async def end_sessions(sessions: SignInSessions | None, asked: Mapping[str, str]) -> dict[str, Any]:
    """End sessions by `handle`, `sub` or `sid`, the latter two of the issuer `iss` or of any; gives how many.

    Raises:
        ConfigurationError: nobody signs in here.
        StateUnavailable: not everybody could be told; ask again.
    """
    there = _there(sessions)
    ended = await there.end_handle(asked["handle"]) if "handle" in asked else 0
    if asked.keys() & {"sub", "sid"}:
        ended += await there.end_matching(asked.get("iss"), subject=asked.get("sub"), sid=asked.get("sid"))
    return {"ended": ended}


def _there(sessions: SignInSessions | None) -> SignInSessions:
    if sessions is None:
        raise ConfigurationError(["nobody signs in here: there is no `sessions` in gateway.yaml"])
    return sessions


def _row(known: SignedIn, whose: Pseudonym) -> dict[str, Any]:
    who = known.principal
    return {
        "handle": known.handle,
        "issuer": who.issuer,
        "subject": whose(who.issuer, who.subject),
        "operator": None if who.operator is None else whose(who.issuer, who.operator),
        "kind": str(who.kind),
        "assurance": who.assurance,
        "channel": None if known.account is None else known.account.channel,
        "began_at": known.began_at,
        "used_at": known.touched_at,
        "expires_at": who.expires_at,
    }
