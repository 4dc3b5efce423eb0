"""The running account of one request. pipeline.py is its one writer; records/describing.py makes the record of it."""

from collections.abc import Callable
from time import perf_counter

from gateway.model import Credential, Field, Inbound, Item, Principal, Stage


class Exchange:
    """Where a request is, since when, and what was found out about it.

    Everything starts as None and stays so when the request ends before it is known.

    Attributes:
        id: request id.
        stage: the step the request is in, or ended in.
        inbound: None when the parser or the raw check refused the request.
        item: None before an item matched.
        template: path template of the item's operation; None before an item matched.
        credential: None before a channel recognised the request.
        principal: None before a verifier knew the person, and for items that anyone may use.
        verdicts: what each part of the chains said, in order: (part, verdict).
        code: stable code of the error answer; None when the request was carried.
        reason: why, for the record.
        status: status of the answer; 0 when no answer was written.
        received: body bytes from the client.
        sent: body bytes to the client.
        client_gone: True when the client left early.
        outcome: `delivered`, `refused`, `unknown` (handed over, and nobody knows what became of it) or None.
        attempt: how often the request was sent to the business system.
        verify, reauthorize, forward, relay: when this step began, on the exchange's clock; once the exchange is closed,
            the seconds until the next of them began. None for a step that was not reached.
        generation: number of the policy it is carried under.
        revision: digest of that policy's content.
        answer_fields: header fields that every answer to this request gets (CORS).
        decide_by: on the clock, when it has to be decided; None while nothing is being decided.
        clock: monotonic seconds.
        started: on the clock.
    """

    __slots__ = (
        "_ended", "answer_fields", "attempt", "began_at", "client", "client_gone", "clock", "code", "credential",
        "decide_by", "forward", "generation", "id", "inbound", "item", "method", "outcome", "principal", "reason",
        "reauthorize", "received", "relay", "revision", "sent", "stage", "started", "status", "template", "verdicts",
        "verify",
    )  # fmt: skip

    def __init__(self, id: str, began_at: float, client: str, clock: Callable[[], float] = perf_counter) -> None:  # noqa: A002
        self.id = id
        self.began_at = began_at
        self.client = client
        self.stage = Stage.READ
        self.method: str | None = None
        self.inbound: Inbound | None = None
        self.item: Item | None = None
        self.template: str | None = None
        self.credential: Credential | None = None
        self.principal: Principal | None = None
        self.verdicts: list[tuple[str, str]] = []
        self.code: str | None = None
        self.reason = ""
        self.status = 0
        self.received = 0
        self.sent = 0
        self.client_gone = False
        self.outcome: str | None = None
        self.attempt = 0
        self.generation = 0
        self.revision = ""
        self.answer_fields: list[Field] = []
        self.decide_by: float | None = None
        self.verify: float | None = None
        self.reauthorize: float | None = None
        self.forward: float | None = None
        self.relay: float | None = None
        self.clock = clock
        self.started = self._ended = clock()

    def close(self) -> None:
        """Book the time of the steps and of the whole, once."""
        end = self._ended = self.clock()
        self.decide_by = None
        if self.relay is not None:
            self.relay, end = end - self.relay, self.relay
        if self.forward is not None:
            self.forward, end = end - self.forward, self.forward
        if self.reauthorize is not None:
            self.reauthorize, end = end - self.reauthorize, self.reauthorize
        if self.verify is not None:
            self.verify = end - self.verify

    def is_overdue(self) -> bool:
        """Tell whether it should have been decided by now, and is not."""
        return self.decide_by is not None and self.clock() > self.decide_by

    @property
    def total(self) -> float:
        """Seconds from the first byte we saw to the end; 0.0 before the exchange is closed."""
        return self._ended - self.started

    def attempted(self) -> None:
        """The request is handed to the business system, or to the gatekeeper, once (more)."""
        self.attempt += 1

    def note(self, part: str, verdict: str) -> None:
        """Remember what a part said."""
        self.verdicts.append((part, verdict))
