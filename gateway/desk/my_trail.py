"""Where I am signed in, who looked at my data, and what happened to it."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.beijing import local_time
from gateway.desk.acting import current_identity, human
from gateway.desk.my_devices import shown_device
from gateway.desk.my_operation import Asked, Operation, Page
from gateway.errors import Forbidden
from gateway.identity.sessions import SignedIn
from gateway.ledger import values
from gateway.ledger.changes import HistoryEntry
from gateway.ledger.inputs.searching import PageInput
from gateway.ledger.looks import LookRecord
from gateway.ledger.words import told
from gateway.model import Kind, Principal

_NOT_YOURS = ("没有该登录，或不属于您。", "There is no such sign-in, or it is not yours.")


class SignInRecord(msgspec.Struct, frozen=True):
    """A place where somebody is signed in.

    Attributes:
        handle: public name of the session.
        kind: as what: `natural` or `legal`.
        name: as whom; a person's is masked.
        by: the platform or the linked channel that she signed in with.
        since: Unix seconds.
        used_at: Unix seconds of the last use, to the minute.
        expires_at: Unix seconds; when it ends unless it is used.
        current: True when this very request belongs to it.
    """

    handle: str
    kind: str
    name: str
    by: str
    since: float
    used_at: float
    expires_at: float
    current: bool


class Ended(msgspec.Struct, frozen=True):
    """How many sessions were ended."""

    ended: int


# ── where I am signed in ──────────────────────────────────────────────────────────────────────────────────────────


async def list_sessions(asked: Asked) -> list[SignInRecord]:
    """Sessions of this human being, as whomever she acts in them; nobody else's, also not of her unit."""
    return [_record(asked, one) for one in await _sessions(asked)]


async def end_session(asked: Asked) -> Ended:
    """End one of them.

    Raises:
        Forbidden: `not-yours`, she has none of that name.
    """
    handle = asked.request.match_info["handle"]
    if handle not in {one.handle for one in await _sessions(asked)}:
        raise Forbidden("another person's session, or none", code="not-yours", title=_NOT_YOURS)
    return await _end(asked, [handle])


async def end_others(asked: Asked) -> Ended:
    """End all of them but the one that asks."""
    current = asked.caller.principal.token_id
    return await _end(asked, [one.handle for one in await _sessions(asked) if one.handle != current])


async def _end(asked: Asked, handles: list[str]) -> Ended:
    ended = sum([await asked.desk.sessions.end_handle(handle) for handle in handles])
    asked.desk.log.info("sessions ended by their owner", ended=ended)
    return Ended(ended)


async def _sessions(asked: Asked) -> list[SignedIn]:
    who = asked.caller.principal
    found, _ = await asked.desk.sessions.listing(human(who) or who.subject)
    return [one for one in found if _is_same(one.principal, who)]


def _is_same(one: Principal, other: Principal) -> bool:
    """The same human being; where the platform named none, the same unit, which nobody acts for by name either."""
    if human(one) is None or human(other) is None:
        return (one.issuer, one.subject, one.operator) == (other.issuer, other.subject, other.operator)
    return (one.issuer, human(one)) == (other.issuer, human(other))


def _record(asked: Asked, signed_in: SignedIn) -> SignInRecord:
    who = signed_in.principal
    return SignInRecord(
        signed_in.handle,
        who.kind.value,
        current_identity(signed_in.sign_in, who).name,
        signed_in.sign_in.principal.verifier,
        signed_in.began_at,
        signed_in.touched_at,
        who.expires_at,
        signed_in.handle == asked.caller.principal.token_id,
    )


async def _sessions_page(asked: Asked) -> dict[str, Any]:
    return {"sessions": await list_sessions(asked)}


# ── who looked, and what happened ─────────────────────────────────────────────────────────────────────────────────


async def _looks_page(asked: Asked) -> dict[str, Any]:
    return {"looks": await asked.my.looks.of(asked.owner, asked.input.page)}


async def _history_page(asked: Asked) -> dict[str, Any]:
    found = await asked.my.history.mine(asked.owner, asked.input.page)
    details = [told(one.action, _named(asked, one.detail), local_time) for one in found.found]
    return {"history": found, "details": details, "me": asked.owner.human.subject}


def _named(asked: Asked, detail: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same with the item's name instead of its code, where there is such an item."""
    item = asked.my.rules.items.get(str(detail.get("item")))
    return detail if item is None else {**detail, "item": item.name}


# ── all in all ────────────────────────────────────────────────────────────────────────────────────────────────────


class Overview(msgspec.Struct, frozen=True):
    """Who is signed in, and what is known of her here.

    Attributes:
        kind: `natural` or `legal`.
        name: a person's is masked; empty when the platform told none.
        state: of the record; None when there is none yet.
        region: GB/T 2260; empty while it is not known.
        device: id of the designated computer that was shown in this session; None when none was, or it has ended.
    """

    kind: str
    name: str
    state: str | None
    region: str
    device: str | None


async def overview(asked: Asked) -> Overview:
    """Who is signed in, and what is known of her here."""
    who = asked.caller.principal
    record = await asked.my.parties.of(asked.owner)
    session = asked.caller.session
    name = "" if session is None else current_identity(session.signed_in.sign_in, who).name
    if not name and record is not None and who.kind == Kind.LEGAL:
        name = record.name or ""
    state, region = (None, "") if record is None else (record.state, record.region)
    return Overview(who.kind.value, name, state, region, await shown_device(asked))


async def _home(asked: Asked) -> dict[str, Any]:
    return {"overview": await overview(asked), "kept": asked.desk.kept()}


OPERATIONS = (
    Operation("overview", "GET", "", ("我的服务", "Who I am here"), overview, result=Overview),
    Operation(
        "sessions.list", "GET", "sessions", ("我的登录", "Where I am signed in"), list_sessions,
        result=list[SignInRecord], page="sessions",
    ),
    Operation(
        "sessions.end", "POST", "sessions/{handle}/end", ("结束一处登录", "End one of my sign-ins"), end_session,
        result=Ended, page="sessions",
    ),
    Operation(
        "sessions.end-others", "POST", "sessions/end-others", ("结束其他登录", "End all my other sign-ins"), end_others,
        result=Ended, page="sessions",
    ),
    Operation(
        "looks.list", "GET", "looks", ("谁查看过我的信息", "Who looked at my data"),
        lambda asked: asked.my.looks.of(asked.owner, asked.input.page),
        PageInput, values.Page[LookRecord], page="looks",
    ),
    Operation(
        "history.list", "GET", "history", ("我的变更记录", "What happened to my record"),
        lambda asked: asked.my.history.mine(asked.owner, asked.input.page),
        PageInput, values.Page[HistoryEntry], page="history",
    ),
)  # fmt: skip

PAGES = (
    Page("", "my_home", _home),
    Page("sessions", "my_sessions", _sessions_page),
    Page("looks", "my_looks", _looks_page, PageInput),
    Page("history", "my_history", _history_page, PageInput),
)
