"""From settings to a policy that carries requests: makes the parts, keeps what did not change, compiles the routes.

Its builds are held by app.py, which retires each one; loading.py has validated everything before it comes here, so what
fails here is a part itself.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, SecretStr

from gateway.chain import AnyVerifier, ReauthorizerChain, VerifierChain
from gateway.configuration.parts import KINDS, import_part, part_config
from gateway.contracts import Channel, Forwarder, Part, Reauthorizer, Settings, Verifier
from gateway.cors import Cors
from gateway.errors import ConfigurationError
from gateway.fields import REQUEST_FIELDS
from gateway.forward.making import make_forwarder
from gateway.items import Route, Router
from gateway.lending import Lent
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
from gateway.signin import Platform, SignInChannel
from gateway.signin_settings import OWN_SYSTEM, LoginSettings
from gateway.throttle import Throttle

if TYPE_CHECKING:  # the desk is imported where somebody signs in: that costs start-up time
    from gateway.desk.host import DeskForwarder

ASSURANCE = PartSettings(name="assurance", use="plugins.reauthorizers.assurance:Assurance")
"""Stands before an item's own re-authorizers when the item names an `assurance`."""

_FERRY_FIELDS = frozenset({b"accept", b"content-type"})

_KEYS = {kind: key for key, kind in KINDS.items()}

AnyPart = Part[Settings]
P = TypeVar("P", bound=AnyPart)


class PartBroken(ConfigurationError):
    """A part's own constructor failed; what it was told had been checked before.

    Attributes:
        key: the list of policy.yaml that it stands in.
        name: its name there.
    """

    def __init__(self, kind: type[AnyPart], settings: PartSettings, error: Exception) -> None:
        what = f"{kind.__name__.lower()} {settings.name!r} ({settings.use})"
        super().__init__([f"{what} cannot be made: {error!r}"])
        self.key = _KEYS[kind]
        self.name = settings.name


class Build:
    """One policy and the parts it is made of.

    Attributes:
        policy: carries requests.
        parts: by what they were made of; a later build takes over those it needs as well.
        forwarders: by what they were made of; likewise.
        via: how each system is reached, by its name.
    """

    def __init__(
        self,
        lent: Lent,
        settings: PolicySettings,
        generation: int,
        previous: "Build | None",
        revision: str = "",
    ) -> None:
        self.parts: dict[str, AnyPart] = {}
        self.forwarders: dict[str, Forwarder] = {}
        self.via = {system.name: system.via for system in settings.systems}
        self._lent = lent
        self._settings = settings
        self._previous = previous
        self._fresh: list[AnyPart | Forwarder] = []
        self._named: dict[tuple[type[AnyPart], str], AnyPart] = {}
        self._catalogue = {one.name: one for one in settings.reauthorizers}
        self._systems: dict[str, Forwarder] = {}
        self.policy = self._policy(generation, revision)

    async def start(self, *, forwarders: bool = True) -> None:
        """Start what is new; what was started is stopped again when that fails or is cancelled.

        Args:
            forwarders: False starts the parts alone, for somebody who asks them and sends nothing.

        Raises:
            ConfigurationError: a part cannot start.
        """
        started: list[AnyPart | Forwarder] = []
        try:
            for one in self._fresh:
                if forwarders or isinstance(one, Part):
                    started.append(one)
                    await one.start()
        except BaseException as exc:
            await self._stop(started)
            if isinstance(exc, Exception):
                raise ConfigurationError([f"{self._described(started[-1])} cannot start: {exc!r}"]) from exc
            raise

    async def stop(self, keep: "Build | None" = None) -> None:
        """Stop everything that another build does not use as well. What fails to stop is logged."""
        kept = set() if keep is None else {*map(id, keep.parts.values()), *map(id, keep.forwarders.values())}
        mine: list[AnyPart | Forwarder] = [*self.parts.values(), *self.forwarders.values()]
        await self._stop([one for one in mine if id(one) not in kept])

    async def abandon(self) -> None:
        """Stop what this build alone has: it was started and never carried a request."""
        await self._stop(self._fresh)

    async def refresh_keys(self, name: str | None = None) -> dict[str, str]:
        """Have all verifiers, or the one of that name, fetch their issuers' keys; those that keep none are left out."""
        asked = [one for one in self.verifiers if name in (None, one.name)]
        told = await asyncio.gather(*(one.refresh_keys() for one in asked))
        return {one.name: outcome for one, outcome in zip(asked, told, strict=True) if outcome is not None}

    @property
    def verifiers(self) -> frozenset[Verifier[Settings]]:
        """Those whose verdicts may be believed under this build."""
        return frozenset(part for part in self.parts.values() if isinstance(part, Verifier))

    async def _stop(self, those: list[AnyPart | Forwarder]) -> None:
        ended = await asyncio.gather(*(one.stop() for one in those), return_exceptions=True)
        for one, error in zip(those, ended, strict=True):
            if error is not None:
                self._lent.context.log.error("did not stop properly", part=self._name(one), exc_info=error)

    def _name(self, one: AnyPart | Forwarder) -> str:
        return one.name if isinstance(one, Part) else next(name for name, held in self._systems.items() if held is one)

    def _described(self, one: AnyPart | Forwarder) -> str:
        if not isinstance(one, Part):
            return f"system {self._name(one)!r}"
        kind = next(kind for kind in _KEYS if isinstance(one, kind))
        return f"{kind.__name__.lower()} {one.name!r} ({type(one).__module__}:{type(one).__qualname__})"

    def status(self) -> dict[str, Any]:
        """What the parts and the systems say about themselves, by name; a channel and a verifier may share one."""
        parts: dict[str, dict[str, Any]] = {}
        for part in self.parts.values():
            if said := part.status():
                parts[part.name] = parts.get(part.name, {}) | said
        return {"parts": parts, "systems": {name: one.status() for name, one in self._systems.items()}}

    # ── compiling ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _policy(self, generation: int, revision: str) -> Policy:
        settings = self._settings
        channels = {one.name: self._entrance(one) for one in settings.channels}
        verifiers = {one.name: self._part(Verifier, one) for one in settings.verifiers}
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
        entrances = tuple(channels.values())
        if settings.login is None:
            return Policy(generation, Router(routes), entrances, settings.client_rate, revision)
        from gateway.desk.opening import desk_routes, guide_of, own_entrances  # noqa: PLC0415 - not everybody signs in

        desk = self._desk(settings.login, verifiers, channels)
        browsers = [name for name, entrance in channels.items() if entrance.channel.for_browsers]
        return Policy(
            generation,
            Router([*routes, *desk_routes(desk, self._lent)]),
            entrances,
            settings.client_rate,
            revision,
            own_entrances(settings.login, self._lent.context),
            guide_of(settings.login, browsers, self._lent).guide,
        )

    def _desk(
        self, login: LoginSettings, verifiers: Mapping[str, AnyVerifier], channels: Mapping[str, Entrance]
    ) -> "DeskForwarder":
        """The desk: the one in use when nothing that it works with changed, else a new one."""
        from gateway.desk.host import DeskForwarder  # noqa: PLC0415 - as above
        from gateway.desk.opening import open_desk  # noqa: PLC0415 - as above

        platforms = {name: one for name, one in verifiers.items() if isinstance(one, Platform)}
        accounts = {name: channels[name].channel for name in login.channels}
        used = [id(part) for part in (*platforms.values(), *accounts.values())]
        key = _key("desk", login.model_dump(mode="python"), used) + _secrets(login)
        desk = self._previous.forwarders.get(key) if self._previous else None
        if not isinstance(desk, DeskForwarder):
            channels_ = {name: one for name, one in accounts.items() if isinstance(one, SignInChannel)}
            desk = open_desk(login, platforms, channels_, self._lent)
            self._fresh.append(desk)
        self.forwarders[key] = self._systems[OWN_SYSTEM] = desk
        return desk

    def _entrance(self, settings: ChannelSettings) -> Entrance:
        channel = self._part(Channel, settings)
        cors = None if settings.cors is None else Cors(settings.cors)
        return Entrance(channel, cors, settings.rate, settings.client_rate)

    def _part(self, kind: type[P], settings: PartSettings, override: dict[str, Any] | None = None) -> P:
        """The part of that kind: the one in use when nothing of its settings changed, else a new one."""
        part = None if override is not None else self._named.get((kind, settings.name))
        if part is None:
            part = self._kept_or_made(kind, settings, settings.config | (override or {}))
        if override is None:
            self._named[kind, settings.name] = part
        if not isinstance(part, kind):
            raise ConfigurationError([f"{settings.name!r} ({settings.use}) is no {kind.__name__}"])
        return part

    def _kept_or_made(self, kind: type[AnyPart], settings: PartSettings, config: dict[str, Any]) -> AnyPart:
        key = _key(kind.__name__, settings.name, settings.use, config)
        part = self.parts.get(key) or (self._previous.parts.get(key) if self._previous else None)
        if part is None:
            try:
                made = import_part(settings.use)
                part = made(part_config(made, config), self._lent.context_of(settings.name))
            except Exception as exc:
                raise PartBroken(kind, settings, exc) from exc
            self._fresh.append(part)
        self.parts[key] = part
        return part

    def _forwarder(self, settings: DirectSettings | FerrySettings) -> Forwarder:
        key = _key(settings.via, settings.name, repr(settings), {}) + _secrets(settings)
        forwarder = self._previous.forwarders.get(key) if self._previous else None
        if forwarder is None:
            forwarder = make_forwarder(settings, self._lent.signer, self._lent.context.log)
            self._fresh.append(forwarder)
        self.forwarders[key] = forwarder
        return forwarder

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
        chosen: list[Reauthorizer[Settings]] = []
        if settings.assurance:
            chosen.append(self._part(Reauthorizer, catalogue.get(ASSURANCE.name, ASSURANCE)))
        for one in settings.reauthorize:
            name, override = (one.name, one.config) if isinstance(one, ReauthorizeSettings) else (one, None)
            chosen.append(self._part(Reauthorizer, catalogue[name], override))
        return ReauthorizerChain(chosen)


def _route_id(operation: OperationSettings) -> str:
    return f"{operation.method} {operation.path}"


def _key(*what: object) -> str:
    return json.dumps(what, sort_keys=True, default=repr)


def _secrets(settings: object) -> str:
    """What `repr` hides, so that a changed key makes a new link."""
    if isinstance(settings, SecretStr):
        return settings.get_secret_value() + "\0"
    if isinstance(settings, BaseModel):
        return "".join(_secrets(getattr(settings, name)) for name in type(settings).model_fields)
    return "".join(map(_secrets, settings)) if isinstance(settings, tuple) else ""
