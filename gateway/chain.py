"""The chains: verifiers until one knows the person, re-authorizers until one objects. Doubt closes.

A verdict is remembered by the token's SHA-256, never by the token; the deny set is asked before any memory.
pipeline.py walks the chains; plugins are the links.
"""

import asyncio
import copy
import re
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any

import msgspec

from gateway.contracts import Reauthorizer, Settings, Verifier
from gateway.errors import (
    CannotDecide,
    Conflict,
    CredentialRejected,
    Forbidden,
    GatewayError,
    InternalError,
    IssuerUnknown,
    StateUnavailable,
    StepUpRequired,
    TokenMissing,
    TokenRevoked,
    VerifierUnavailable,
)
from gateway.exchange import Exchange
from gateway.fields import FIELD_NAME
from gateway.identity.revocations import Revocations
from gateway.model import Allow, Credential, Deny, Field, Kind, Principal, StepUp, Visit
from gateway.reauthorization import ACR_VALUES
from gateway.tokens.jose import unverified_issuer

AnyVerifier = Verifier[Settings]
AnyReauthorizer = Reauthorizer[Settings]
Links = tuple[AnyVerifier, ...]

_LEVELS = range(5)
_CODE = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")


class Remembered(msgspec.Struct, frozen=True):
    """A verdict that need not be asked again.

    Attributes:
        principal: who it was.
        verifier: who said so.
        links: the chain that was asked; another one might have stopped at an earlier link and does not believe it.
        until: Unix seconds.
        epoch: the verifier's epoch then; another one now voids the verdict.
    """

    principal: Principal
    verifier: AnyVerifier
    links: Links
    until: float
    epoch: int


class Rejected(msgspec.Struct, frozen=True):
    """A rejection that need not be asked for again.

    Attributes:
        error: what it was, without the traceback, which holds the token.
        verifier: who said so.
        links: as in `Remembered`.
        until: Unix seconds.
    """

    error: CredentialRejected
    verifier: AnyVerifier
    links: Links
    until: float


class VerdictMemory:
    """Verdicts by token digest, the good and the bad apart, so that a flood of bad tokens cannot push out good ones.

    Args:
        capacity: good verdicts kept at most; a tenth as many bad ones. The oldest go first.
    """

    def __init__(self, capacity: int = 100_000) -> None:
        self._most_good = capacity
        self._most_bad = max(1, capacity // 10)
        self._good: dict[bytes, Remembered] = {}
        self._bad: dict[bytes, Rejected] = {}
        self._versions: dict[tuple[str, str], int] = {}

    def good(self, key: bytes) -> Remembered | None:
        """The verdict on a good token; None when there is none. Whether it still holds is the chain's to say."""
        return self._good.get(key)

    def bad(self, key: bytes) -> Rejected | None:
        """The verdict on a bad token; None when there is none. Whether it still holds is the chain's to say."""
        return self._bad.get(key)

    def keep_good(self, key: bytes, verdict: Remembered) -> None:
        """Remember a principal."""
        if len(self._good) >= self._most_good and key not in self._good:
            del self._good[next(iter(self._good))]
        self._good[key] = verdict

    def keep_bad(self, key: bytes, verdict: Rejected) -> None:
        """Remember a rejection."""
        if len(self._bad) >= self._most_bad and key not in self._bad:
            del self._bad[next(iter(self._bad))]
        self._bad[key] = verdict

    def is_outdated(self, principal: Principal) -> bool:
        """Tell whether the issuer has spoken of a newer profile of this person since."""
        return principal.version < self._versions.get((principal.issuer, principal.subject), 0)

    def note_version(self, principal: Principal) -> None:
        """Remember which profile of a person is the newest one heard of; the oldest entries go first."""
        person = principal.issuer, principal.subject
        if principal.version > self._versions.get(person, 0):
            if len(self._versions) >= self._most_good and person not in self._versions:
                del self._versions[next(iter(self._versions))]
            self._versions[person] = principal.version

    def forget(self, key: bytes) -> None:
        """Drop a verdict that no longer holds."""
        self._good.pop(key, None)

    def forget_verifiers(self, keep: frozenset[AnyVerifier]) -> None:
        """Drop every verdict of a chain with a link that is not among these: nobody believes it any more."""
        self._good = {key: one for key, one in self._good.items() if keep.issuperset(one.links)}
        self._bad = {key: one for key, one in self._bad.items() if keep.issuperset(one.links)}

    def __len__(self) -> int:
        return len(self._good)


Said = list[tuple[str, str]]
"""What parts said, in order: (part, verdict)."""


class _Question(msgspec.Struct, frozen=True, eq=False):
    """A question that is being asked, and what was said so far; shared by everybody who waits for the answer."""

    task: "asyncio.Task[Principal]"
    said: Said


class VerifierChain:
    """Asks verifiers in the order of the configuration until one of them knows the token.

    Args:
        verifiers: the links; none at all lets nobody in.
        memory: shared by all chains of a worker.
        revocations: the deny set.
        clock: wall clock, Unix seconds.
        longest: seconds after which a question is given up, whoever may still wait for it.
    """

    def __init__(
        self,
        verifiers: Sequence[AnyVerifier],
        memory: VerdictMemory,
        revocations: Revocations,
        clock: Callable[[], float] = time.time,
        longest: float = 60.0,
    ) -> None:
        self._verifiers = tuple(verifiers)
        self._salt = "\0" + ",".join(verifier.name for verifier in verifiers)
        self._memory = memory
        self._revocations = revocations
        self._clock = clock
        self._longest = longest
        self._asking: dict[bytes, _Question] = {}

    async def verify(self, credential: Credential, exchange: Exchange, timeout: float = 10.0) -> Principal:
        """Say who sends the request.

        Args:
            credential: what the channel took out of the request.
            exchange: its account; is told what each verifier said.
            timeout: seconds to wait for a verdict. The question goes on without who has waited so long, so that the
                verdict is there for the next one.

        Raises:
            TokenMissing, IssuerUnknown, CredentialRejected, TokenRevoked: 401.
            VerifierUnavailable, StateUnavailable: nobody can tell now; 503.
        """
        token = credential.token
        if token is None:
            raise TokenMissing("no token in the request")
        key = sha256((token + self._salt).encode("utf-8", "backslashreplace")).digest()
        known = self._memory.good(key)
        if known is not None and self._holds(known):
            exchange.note(known.verifier.name, "remembered")
            principal = known.principal
        else:
            if known is not None:
                self._memory.forget(key)
            principal = await self._ask_once(key, credential, exchange, timeout)
        return self._unless_denied(principal, credential, exchange)

    def _holds(self, known: Remembered) -> bool:
        return (
            known.until > self._clock()
            and known.epoch == known.verifier.epoch
            and known.links == self._verifiers
            and not (known.principal.version and self._memory.is_outdated(known.principal))
        )

    def _unless_denied(self, principal: Principal, credential: Credential, exchange: Exchange) -> Principal:
        if self._revocations.deny(principal):
            exchange.note("revocations", "denied")
            raise TokenRevoked("session, token or subject is in the deny set")
        if not self._revocations.current():
            exchange.note("revocations", "cannot tell")
            raise StateUnavailable("what was withdrawn lately is not known here", retry_after=1.0)
        if credential.owner is not None and not _is_owner(principal, credential.owner):
            exchange.note(credential.channel, "another person's device")
            raise CredentialRejected("signed by the device of somebody else than the token's person")
        return principal

    async def _ask_once(self, key: bytes, credential: Credential, exchange: Exchange, timeout: float) -> Principal:
        """Many requests with one token make one question; a client that leaves takes the answer from nobody."""
        rejected = self._memory.bad(key)
        if rejected is not None and rejected.until > self._clock() and rejected.links == self._verifiers:
            exchange.note(rejected.verifier.name, "remembered: rejected")
            raise copy.copy(rejected.error)
        question = self._asking.get(key)
        if question is None:
            said: Said = []
            task = asyncio.get_running_loop().create_task(self._ask(key, credential, said))
            question = self._asking[key] = _Question(task, said)
            task.add_done_callback(lambda asked: self._forget_question(key, asked))
        try:
            async with asyncio.timeout(timeout):
                return await asyncio.shield(question.task)
        except TimeoutError:
            silent = [one.name for one in self._candidates(credential)][len(question.said) :]
            raise VerifierUnavailable(f"nothing from {', '.join(silent)} in {timeout:g} s, the item's time") from None
        except asyncio.CancelledError:
            if question.task.cancelled():  # the verifier was stopped, not this request
                raise VerifierUnavailable("the question was given up") from None
            raise
        finally:
            exchange.verdicts += question.said

    def _forget_question(self, key: bytes, asked: "asyncio.Task[Principal]") -> None:
        self._asking.pop(key, None)
        if not asked.cancelled():
            asked.exception()  # is looked at here in case that everybody who waited for it has left

    async def _ask(self, key: bytes, credential: Credential, said: "Said") -> Principal:
        try:
            async with asyncio.timeout(self._longest):
                return await self._walk(key, credential, said)
        except TimeoutError:
            raise VerifierUnavailable(f"no verdict in {self._longest:g} s") from None

    async def _walk(self, key: bytes, credential: Credential, said: "Said") -> Principal:
        for verifier in self._candidates(credential):
            epoch = verifier.epoch
            principal = await self._hear(verifier, key, credential, said)
            if principal is not None:
                if principal.version:
                    self._check_version(principal, verifier.name)
                until = min(principal.expires_at, self._clock() + verifier.remember)
                self._memory.keep_good(key, Remembered(principal, verifier, self._verifiers, until, epoch))
                return principal
        raise IssuerUnknown("no verifier of the chain knows this kind of token")

    def _check_version(self, principal: Principal, verifier: str) -> None:
        """Believe nothing that was said of an older profile than the newest one heard of."""
        if self._memory.is_outdated(principal):
            raise TokenRevoked(f"{verifier} speaks of version {principal.version} of a profile that has changed since")
        self._memory.note_version(principal)

    async def _hear(self, verifier: AnyVerifier, key: bytes, credential: Credential, said: "Said") -> Principal | None:
        """Ask one verifier, and note what it says, whatever that is."""
        try:
            principal = await verifier.verify(credential)
        except CredentialRejected as error:
            said.append((verifier.name, "rejected"))
            until = self._clock() + verifier.remember_rejected
            self._memory.keep_bad(key, Rejected(copy.copy(error), verifier, self._verifiers, until))
            raise
        except CannotDecide:
            said.append((verifier.name, "cannot tell"))
            raise
        except Exception as exc:
            said.append((verifier.name, "broke"))
            raise InternalError(f"{verifier.name}: {exc!r}") from exc
        if principal is not None and (flaw := _flaw(principal)) is not None:
            said.append((verifier.name, "broke"))
            raise InternalError(f"{verifier.name} {flaw}")
        said.append((verifier.name, "not mine" if principal is None else "verified"))
        return principal

    def _candidates(self, credential: Credential) -> list[AnyVerifier]:
        """Verifiers of the token's issuer, and those that judge any token; the order stays."""
        issuer = unverified_issuer(credential.token or "")
        return [one for one in self._verifiers if not one.issuers or issuer in one.issuers]


def _flaw(said: Any) -> str | None:
    """Why what a verifier answered is nobody; None when it is somebody."""
    if type(said) is not Principal:
        return f"answered {type(said).__name__}, which is no principal"
    held: dict[str, Any] = msgspec.structs.asdict(said)
    if not isinstance(held["subject"], str) or not held["subject"]:
        return "answered a principal without a subject"
    if type(held["kind"]) is not Kind or held["kind"] is Kind.ANYONE:
        return f"answered the kind {held['kind']!r}, which is neither Kind.NATURAL nor Kind.LEGAL"
    if held["assurance"] not in _LEVELS:
        return f"answered the assurance {held['assurance']!r}, which is none of 0 to 4"
    if not isinstance(held["expires_at"], int | float):
        return f"answered {type(held['expires_at']).__name__} as the time when the principal expires"
    return None


def _is_owner(principal: Principal, owner: tuple[str, str]) -> bool:
    """Tell whether the owner is who the request is for, or the person who acts for that unit."""
    return principal.issuer == owner[0] and owner[1] in (principal.subject, principal.operator)


class ReauthorizerChain:
    """Asks every re-authorizer of an item, in the order of the configuration; all must allow."""

    def __init__(self, reauthorizers: Sequence[AnyReauthorizer]) -> None:
        self._reauthorizers = tuple(reauthorizers)

    async def decide(self, principal: Principal, visit: Visit, exchange: Exchange) -> tuple[Field, ...]:
        """Let the visit pass and say what goes inward with it.

        Raises:
            Forbidden, Conflict, StepUpRequired: one of them objects.
            InternalError: one of them answered something that is no decision, or injects a field that is injected
                already or is not named in lower case.
        """
        inject: tuple[Field, ...] = ()
        for reauthorizer in self._reauthorizers:
            try:
                decision = await reauthorizer.decide(principal, visit)
            except GatewayError:
                exchange.note(reauthorizer.name, "cannot tell")
                raise
            except Exception as exc:
                exchange.note(reauthorizer.name, "broke")
                raise InternalError(f"{reauthorizer.name}: {exc!r}") from exc
            if type(decision) is not Allow:
                raise _objection(reauthorizer.name, decision, exchange)
            exchange.note(reauthorizer.name, "allow")
            if decision.inject:
                inject = _joined(inject, decision.inject, reauthorizer.name)
        return inject


def _objection(name: str, decision: object, exchange: Exchange) -> Exception:
    if isinstance(decision, Deny):
        exchange.note(name, f"deny: {decision.code}")
        if not _CODE.fullmatch(decision.code):
            return InternalError(f"{name} denies with {decision.code!r}; a code is lower-case-with-hyphens")
        kind = Conflict if decision.conflict else Forbidden
        return kind(f"{name}: {decision.detail}", code=decision.code, title=decision.title)
    if isinstance(decision, StepUp):
        exchange.note(name, "step-up")
        if not ACR_VALUES.fullmatch(decision.acr_values):
            return InternalError(f"{name} asks for acr_values that cannot stand in a header field")
        return StepUpRequired(
            f"{name}: {decision.detail}",
            acr_values=decision.acr_values,
            max_age=decision.max_age,
            title=decision.title,
        )
    exchange.note(name, "no decision")
    return InternalError(f"{name} answered {type(decision).__name__}, which is no decision")


def _joined(inject: tuple[Field, ...], more: tuple[Field, ...], name: str) -> tuple[Field, ...]:
    joined = inject + more
    for field, _ in more:
        if not _is_field_name(field):
            raise InternalError(f"{name} injects a field whose name is not in lower case")
    if len(joined) > 1 and len({field for field, _ in joined}) != len(joined):
        raise InternalError(f"{name} injects a field that is injected already, or twice")
    return joined


@lru_cache(maxsize=256)
def _is_field_name(field: bytes) -> bool:
    return FIELD_NAME.fullmatch(field) is not None
