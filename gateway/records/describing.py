"""What a record says of a request, masked: the fields of docs/records.md, with the names of OpenTelemetry and ECS.

access.py hands in exchanges. Much of a record many requests have in common: their item, their person, how they ended.
That is rendered once and remembered; only what is a request's own is put together each time.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from structlog.typing import EventDict

from gateway.beijing import Timestamps
from gateway.exchange import Exchange
from gateway.model import Inbound, Principal, Stage
from gateway.records.masking import Pseudonyms, mask_query, mask_text
from gateway.records.rendering import Record, as_members

FIELDS = (
    "event", "timestamp", "trace.id", "worker", "boot", "seq", "config_generation", "config_revision",
    "client.address", "user_agent.original",
    "http.request.method", "http.route", "url.path", "url.query",
    "http.response.status_code", "http.request.body.size", "http.response.body.size",
    "channel", "channel.client", "item.code", "item.category", "system", "via",
    "decision", "stage", "code", "reason", "chain",
    "verifier", "subject", "subject_type", "operator", "assurance",
    "attempt", "outcome", "client_gone",
    "ms.verify", "ms.reauthorize", "ms.forward", "ms.relay", "ms.total",
)  # fmt: skip
"""Every field a record can have, in the order of docs/records.md."""

_LIMITS = {"user_agent.original": 256, "url.path": 512, "url.query": 512, "reason": 512, "chain": 512}
"""Most ASCII characters of a free text; together they keep a line within PIPE_BUF, so that lines do not mix."""


class Describe:
    """A structlog processor: turns exchanges into the fields of their records. What is not known is left out.

    Args:
        pseudonyms: stands in for persons.
        worker: number of the worker, from 0.
        boot: changes with every start of the worker; (boot, seq) is unique, and a gap in seq is a lost record.
        query_parameters: names of the query parameters whose values may be recorded.
        via: how each system is reached, by its name; may change under way.
    """

    def __init__(
        self,
        pseudonyms: Pseudonyms,
        *,
        worker: int,
        boot: str,
        query_parameters: tuple[str, ...] = (),
        via: Mapping[str, str] | None = None,
    ) -> None:
        self._pseudonym = pseudonyms.of
        self._worker = worker
        self._boot = boot
        self._seq = 0
        self._of_policy = lru_cache(maxsize=16)(self._say_policy)
        self._of_operation = lru_cache(maxsize=4096)(self._say_operation)
        self._of_person = lru_cache(maxsize=16384)(self._say_person)
        self._parameters = frozenset(query_parameters)
        self._via = {} if via is None else via
        self._written_time = Timestamps()

    def skip(self) -> None:
        """Leave a gap in `seq` for a record that is lost before it is made."""
        self._seq += 1

    def __call__(self, logger: Any, method: str, event: EventDict) -> EventDict:
        """Make `records` out of `event["exchanges"]`."""
        event["records"] = [self._record(exchange) for exchange in event["exchanges"]]
        return event

    def _record(self, exchange: Exchange) -> Record:
        self._seq += 1
        fields: dict[str, Any] = {
            "event": "request",
            "timestamp": self._written_time(exchange.began_at),
            "trace.id": exchange.id,
            "seq": self._seq,
            "client.address": exchange.client,
            "http.request.body.size": exchange.received,
            "http.response.body.size": exchange.sent,
            "ms.total": int(exchange.total * 1e6) / 1e3,
        }
        parts = [self._of_policy(exchange.generation, exchange.revision)]
        try:
            self._complete(fields, parts, exchange)
        except Exception as exc:  # noqa: BLE001 - a record is not lost to what a plugin put into it
            fields["reason"] = f"record incomplete: {type(exc).__name__}"
        return fields, parts

    def _complete(self, fields: dict[str, Any], parts: list[bytes], exchange: Exchange) -> None:
        parts.append(_of_end(exchange))
        _add_times(fields, exchange)
        if exchange.reason:
            fields["reason"] = _line_of(exchange.reason, _LIMITS["reason"])
        if (inbound := exchange.inbound) is not None:
            self._add_request(fields, parts, inbound)
        if (item := exchange.item) is not None:
            parts.append(
                self._of_operation(exchange.generation, exchange.template, item.code, item.category, item.system)
            )
        if (credential := exchange.credential) is not None:
            parts.append(_of_channel(credential.channel, credential.client and credential.client[:512]))
        if exchange.verdicts:
            parts.append(_of_verdicts(tuple(exchange.verdicts)))
        if (principal := exchange.principal) is not None:
            parts.append(self._of_person(*_known_by(principal)))

    def _add_request(self, fields: dict[str, Any], parts: list[bytes], inbound: Inbound) -> None:
        fields["client.address"] = inbound.client
        fields["url.path"] = _line_of(inbound.path, _LIMITS["url.path"])
        agent = inbound.fields.get(b"user-agent")
        if agent is not None:
            parts.append(_of_agent(agent[:2048]))
        if self._parameters and inbound.query and (query := mask_query(inbound.query, self._parameters)):
            fields["url.query"] = _cut(query, _LIMITS["url.query"])

    def _say_policy(self, generation: int, revision: str) -> bytes:
        return as_members(
            {"worker": self._worker, "boot": self._boot, "config_generation": generation, "config_revision": revision}
        )

    def _say_operation(self, generation: int, template: str | None, code: str, category: str, system: str) -> bytes:
        """Of one generation, because a system may be reached in another way after a reload."""
        via = self._via.get(system)
        return as_members(
            {"http.route": template, "item.code": code, "item.category": category, "system": system, "via": via}
        )

    def _say_person(
        self, verifier: str, issuer: str, subject: str, operator: str | None, kind: str, assurance: int
    ) -> bytes:
        return as_members(
            {
                "verifier": verifier,
                "subject": self._pseudonym(issuer, subject),
                "subject_type": kind,
                "operator": None if operator is None else self._pseudonym(issuer, operator),
                "assurance": assurance,
            }
        )


def decision(exchange: Exchange) -> str:
    """What became of a request: `left` by its client, `carried`, `refused` (4xx by us), or `failed` (anything else)."""
    if exchange.client_gone:
        return "left"
    if exchange.code is None:
        return "carried" if exchange.status else "failed"
    if exchange.stage is Stage.RELAY:
        return "failed"  # broken off: the status was the system's
    return "refused" if 400 <= exchange.status < 500 else "failed"


def _add_times(fields: dict[str, Any], exchange: Exchange) -> None:
    if exchange.verify is not None:
        fields["ms.verify"] = int(exchange.verify * 1e6) / 1e3
    if exchange.reauthorize is not None:
        fields["ms.reauthorize"] = int(exchange.reauthorize * 1e6) / 1e3
    if exchange.forward is not None:
        fields["ms.forward"] = int(exchange.forward * 1e6) / 1e3
    if exchange.relay is not None:
        fields["ms.relay"] = int(exchange.relay * 1e6) / 1e3


def _of_end(exchange: Exchange) -> bytes:
    return _said_of_end(
        decision(exchange), exchange.stage, exchange.method, exchange.status, exchange.code, exchange.attempt,
        exchange.outcome, exchange.client_gone,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _said_of_end(
    decided: str, stage: str, method: str | None, status: int, code: str | None, attempt: int, outcome: str | None,
    client_gone: bool,
) -> bytes:  # fmt: skip
    return as_members(
        {
            "decision": decided,
            "stage": stage,
            "code": code,
            "http.request.method": None if method is None else method[:32],
            "http.response.status_code": status or None,
            "attempt": attempt or None,
            "outcome": outcome,
            "client_gone": client_gone or None,
        }
    )


@lru_cache(maxsize=1024)
def _of_channel(channel: str, client: str | None) -> bytes:
    return as_members({"channel": channel, "channel.client": None if client is None else _line_of(client, 64)})


@lru_cache(maxsize=1024)
def _of_agent(value: bytes) -> bytes:
    """A user agent, masked; a byte that is not ASCII is shown in hex."""
    agent = _line_of(value.decode("ascii", "backslashreplace"), _LIMITS["user_agent.original"])
    return as_members({"user_agent.original": agent})


@lru_cache(maxsize=1024)
def _of_verdicts(verdicts: tuple[tuple[str, str], ...]) -> bytes:
    said = ", ".join(f"{part}:{verdict}" for part, verdict in verdicts)
    return as_members({"chain": _line_of(said, _LIMITS["chain"])})


def _known_by(principal: Principal) -> tuple[str, str, str, str | None, str, int]:
    return (
        principal.verifier, principal.issuer, principal.subject, principal.operator, principal.kind,
        principal.assurance,
    )  # fmt: skip


def _line_of(text: str, limit: int) -> str:
    return _cut(mask_text(text[: 8 * limit]), limit)


def _cut(text: str, limit: int) -> str:
    """Cut to so many ASCII characters; another character takes six of them in JSON."""
    return text[:limit] if text.isascii() else text[: limit // 6]
