"""From settings to a policy that carries requests: makes the parts, keeps what did not change, compiles the routes.

app.py holds the builder; loading.py has validated everything before it comes here, so what fails here is a part itself.
"""

import asyncio
import json
from collections.abc import Iterable
from typing import Any, TypeVar, cast

from gateway.chain import ReauthorizerChain, VerdictMemory, VerifierChain
from gateway.configuration.parts import import_part, part_config
from gateway.contracts import Channel, Forwarder, Part, PartContext, Reauthorizer, Settings, Verifier
from gateway.cors import Cors
from gateway.errors import ConfigurationError
from gateway.ferry.carriers import carrier_of
from gateway.fields import REQUEST_FIELDS
from gateway.forward.direct import DirectForwarder
from gateway.forward.ferry import FerryForwarder
from gateway.forward.upstream import Upstream
from gateway.identity.revocations import Revocations
from gateway.inward import IdentitySigner
from gateway.items import Route, Router
from gateway.model import Item
from gateway.policy import Entrance, Policy
from gateway.settings import (
    ChannelSettings,
    DirectSettings,
    FerrySettings,
    ItemSettings,
    OperationSettings,
    PartSettings,
    PolicySettings,
    ReauthorizeSettings,
)
from gateway.throttle import Rates, Throttle

ASSURANCE = PartSettings(name="assurance", use="plugins.reauthorizers.assurance:Assurance")
"""Stands before an item's own re-authorizers when the item names an `assurance`."""

_FERRY_FIELDS = frozenset({b"accept", b"content-type"})

AnyPart = Part[Settings]
P = TypeVar("P", bound=AnyPart)


class Lent:
    """What the gateway lends to every part and forwarder; lives as long as the process.

    Args:
        context: the context of a part that has no name yet.
        signer: signs the identity that goes inward.
        body_limit: bytes of a request body where the item does not say.
    """

    def __init__(self, context: PartContext, signer: IdentitySigner, body_limit: int) -> None:
        self.context = context
        self.signer = signer
        self.body_limit = body_limit
        self.rates = Rates()
        self.memory = VerdictMemory()
        self.revocations = Revocations(clock=context.clock)

    def context_of(self, name: str) -> PartContext:
        """The context of one part."""
        lent = self.context
        return PartContext(name, lent.fetch, lent.once, lent.clock, lent.monotonic, lent.log.bind(part=name))


class Build:
    """One policy and the parts it is made of.

    Attributes:
        policy: carries requests.
        parts: by what they were made of; a later build takes over those it needs as well.
        forwarders: by what they were made of; likewise.
        via: how each system is reached, by its name.
    """

    def __init__(self, lent: Lent, settings: PolicySettings, generation: int, previous: "Build | None") -> None:
        self.parts: dict[str, AnyPart] = {}
        self.forwarders: dict[str, Forwarder] = {}
        self.via = {system.name: system.via for system in settings.systems}
        self._lent = lent
        self._settings = settings
        self._previous = previous
        self._fresh: list[AnyPart | Forwarder] = []
        self._named: dict[tuple[str, str], AnyPart] = {}
        self._catalogue = {one.name: one for one in settings.reauthorizers}
        self._systems: dict[str, Forwarder] = {}
        self.policy = self._policy(generation)

    async def start(self) -> None:
        """Start what is new.

        Raises:
            ConfigurationError: a part cannot start; everything that was started is stopped again.
        """
        started = []
        try:
            for part in self._fresh:
                started.append(part)
                await part.start()
        except Exception as exc:
            await asyncio.gather(*(part.stop() for part in started), return_exceptions=True)
            raise ConfigurationError([f"{_name(started[-1])} cannot start: {exc}"]) from exc

    async def stop(self, keep: "Build | None" = None) -> None:
        """Stop everything that another build does not use as well."""
        kept = set() if keep is None else {*map(id, keep.parts.values()), *map(id, keep.forwarders.values())}
        mine: list[AnyPart | Forwarder] = [*self.parts.values(), *self.forwarders.values()]
        await asyncio.gather(*(part.stop() for part in mine if id(part) not in kept), return_exceptions=True)

    def status(self) -> dict[str, Any]:
        """What the parts and the systems say about themselves, by name."""
        parts = {part.name: said for part in self.parts.values() if (said := part.status())}
        return {"parts": parts, "systems": {name: one.status() for name, one in self._systems.items()}}

    # ── compiling ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _policy(self, generation: int) -> Policy:
        settings = self._settings
        channels = {one.name: self._entrance(one) for one in settings.channels}
        verifiers = {one.name: cast("Verifier[Settings]", self._part("verifiers", one)) for one in settings.verifiers}
        self._systems = forwarders = {one.name: self._forwarder(one) for one in settings.systems}
        systems = {one.name: one for one in settings.systems}
        chains: dict[tuple[str, ...], VerifierChain] = {}
        routes: list[Route] = []
        for item in settings.items:
            names = tuple(verifiers) if item.verifiers is None else item.verifiers
            if names not in chains:
                chosen = [verifiers[name] for name in names]
                chains[names] = VerifierChain(
                    chosen, self._lent.memory, self._lent.revocations, self._lent.context.clock
                )
            routes += self._routes(item, chains[names], systems[item.system], forwarders[item.system])
        return Policy(generation, Router(routes), tuple(channels.values()), settings.client_rate)

    def _entrance(self, settings: ChannelSettings) -> Entrance:
        channel = cast("Channel[Settings]", self._part("channels", settings))
        cors = None if settings.cors is None else Cors(settings.cors)
        return Entrance(channel, cors, settings.rate, settings.client_rate)

    def _part(self, kind: str, settings: PartSettings, override: dict[str, Any] | None = None) -> AnyPart:
        if override is None and (known := self._named.get((kind, settings.name))) is not None:
            return known
        config = settings.config | (override or {})
        key = _key(kind, settings.name, settings.use, config)
        part = self.parts.get(key) or (self._previous.parts.get(key) if self._previous else None)
        if part is None:
            made = import_part(settings.use)
            part = made(part_config(made, config), self._lent.context_of(settings.name))
            self._fresh.append(part)
        self.parts[key] = part
        if override is None:
            self._named[kind, settings.name] = part
        return part

    def _forwarder(self, settings: DirectSettings | FerrySettings) -> Forwarder:
        key = _key(settings.via, settings.name, repr(settings), {}) + _secrets(settings)
        forwarder = self._previous.forwarders.get(key) if self._previous else None
        if forwarder is None:
            forwarder = self._make_forwarder(settings)
            self._fresh.append(forwarder)
        self.forwarders[key] = forwarder
        return forwarder

    def _make_forwarder(self, settings: DirectSettings | FerrySettings) -> Forwarder:
        signer = self._lent.signer
        log = self._lent.context.log
        if isinstance(settings, FerrySettings):
            return FerryForwarder(settings, carrier_of(settings.carrier), signer, log=log)
        upstream = Upstream(settings, log=log)
        if settings.identity == "none":
            return DirectForwarder(upstream, None)
        return DirectForwarder(upstream, lambda principal: signer.assertion(principal, settings.name))

    def _routes(
        self,
        settings: ItemSettings,
        chain: VerifierChain,
        system: DirectSettings | FerrySettings,
        forwarder: Forwarder,
    ) -> Iterable[Route]:
        audience = frozenset(settings.audience)
        item = Item(settings.code, settings.name, settings.category, audience, settings.assurance, settings.system)
        limits = settings.limits
        throttle = Throttle(self._lent.rates, item.code, limits.rate, limits.subject_rate, limits.in_flight)
        reauthorizers = self._reauthorizers(settings)
        standard = REQUEST_FIELDS if isinstance(system, DirectSettings) else _FERRY_FIELDS
        fields = standard | {name.lower().encode() for name in system.request_fields}
        for operation in settings.operations:
            yield Route(
                operation.id or _route_id(operation),
                item,
                operation.method,
                operation.path,
                frozenset(settings.channels),
                None if item.public else chain,
                reauthorizers,
                forwarder,
                fields,
                self._lent.body_limit if limits.body is None else limits.body,
                limits.timeout,
                throttle,
                settings.audience,
                operation.upgrade,
                isinstance(system, DirectSettings),
            )

    def _reauthorizers(self, settings: ItemSettings) -> ReauthorizerChain:
        catalogue = self._catalogue
        chosen: list[AnyPart] = []
        if settings.assurance:
            chosen.append(self._part("reauthorizers", catalogue.get(ASSURANCE.name, ASSURANCE)))
        for one in settings.reauthorize:
            name, override = (one.name, one.config) if isinstance(one, ReauthorizeSettings) else (one, None)
            chosen.append(self._part("reauthorizers", catalogue[name], override))
        return ReauthorizerChain([cast("Reauthorizer[Settings]", part) for part in chosen])


def _route_id(operation: OperationSettings) -> str:
    return f"{operation.method} {operation.path}"


def _name(part: object) -> str:
    return str(getattr(part, "name", type(part).__name__))


def _key(*what: object) -> str:
    return json.dumps(what, sort_keys=True, default=repr)


def _secrets(settings: DirectSettings | FerrySettings) -> str:
    """What `repr` hides, so that a changed key makes a new link."""
    return settings.key.get_secret_value() if isinstance(settings, FerrySettings) else ""
