"""Numbered hardening rules over a configuration that works. `tongguan check` shows what they say; nothing stops for it.

The rules that do stop a configuration are in static_rules.py, part_rules.py and policy_rules.py.
"""

import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import SecretStr

from gateway.configuration.catalogue import Catalogue, Finding
from gateway.configuration.part_rules import secret_places
from gateway.configuration.parts import import_part, part_config
from gateway.configuration.problems import Placed, Problems, reach
from gateway.configuration.yaml_source import Where
from gateway.settings import ChannelSettings, FerrySettings, StaticSettings
from gateway.units import Address


class Advice(NamedTuple):
    """What a rule found.

    Attributes:
        rule: its number, for example `TG03`; it never means anything else.
        severity: `high` (do not run like this in public), `medium` or `low`.
        text: file, line, YAML path and sentence.
    """

    rule: str
    severity: Literal["high", "medium", "low"]
    text: str


def audit(static: StaticSettings, source: Placed, catalogue: Catalogue) -> Iterator[Advice]:
    """Look through a configuration that holds no errors.

    Args:
        static: gateway.yaml.
        source: where it is written.
        catalogue: the policy.
    """
    for number, (severity, find) in _OF_STATIC.items():
        yield from _advise(number, severity, find(static), source)
    for number, (severity, look) in _OF_POLICY.items():
        yield from _advise(number, severity, look(static, catalogue), catalogue.source)
    for places, of in ((secret_places(static), source), (_secrets_of(catalogue), catalogue.source)):
        yield from _advise("TG10", "medium", _readable_secrets(places, of), of)


def _advise(
    rule: str, severity: Literal["high", "medium", "low"], findings: Iterator[Finding], source: Placed
) -> Iterator[Advice]:
    told = Problems()
    for where, text in findings:
        told.at(source, where, text)
    yield from (Advice(rule, severity, line) for line in told.lines())


def _trusts_everybody(static: StaticSettings) -> Iterator[Finding]:
    if static.unsafe_trust_everybody:
        yield ("unsafe_trust_everybody",), "any client may name its own address: limits and records cannot rely on it"


def _plain_http(static: StaticSettings) -> Iterator[Finding]:
    if static.scheme == "http":
        yield ("scheme",), "tokens travel unencrypted between the public and this gateway"


def _nobody_in_front(static: StaticSettings) -> Iterator[Finding]:
    if static.listen.path and "unix" not in static.trusted_proxies:
        yield ("trusted_proxies",), "all clients look like one ('unix') and share its rate; add unix"
    elif static.scheme == "https" and not static.trusted_proxies:
        text = "is empty, and TLS ends in front of this gateway: every client would have that proxy's address"
        yield ("trusted_proxies",), text


def _memory_carrier(_: StaticSettings, catalogue: Catalogue) -> Iterator[Finding]:
    for entry in catalogue.systems:
        if isinstance(entry.value, FerrySettings) and entry.value.carrier.kind == "memory":
            yield (*entry.where, "carrier", "kind"), "keeps both units in one process: nothing is isolated"


def _shared_secret(static: StaticSettings, catalogue: Catalogue) -> Iterator[Finding]:
    """Systems behind the same gatekeeper share its one key; everything else has its own."""
    gatekeepers: list[tuple[SecretStr, Address | None]] = []
    for entry in catalogue.systems:
        if isinstance(entry.value, FerrySettings):
            key, gatekeeper = entry.value.key, entry.value.carrier.address
            own = key not in (static.records.pseudonym_key, static.identity.key)
            if not own or any(key == other and gatekeeper != there for other, there in gatekeepers):
                yield (*entry.where, "key"), "is used for something else as well; give every purpose its own key"
            gatekeepers.append((key, gatekeeper))


def _unlimited_clients(_: StaticSettings, catalogue: Catalogue) -> Iterator[Finding]:
    for entry in catalogue.channels:
        channel: ChannelSettings = entry.value
        limited = catalogue.settings is not None and catalogue.settings.client_rate is not None
        if not limited and channel.client_rate is None:
            yield entry.where, "has no client_rate, and the policy has none: one client may ask as often as it likes"


def _plain_origins(_: StaticSettings, catalogue: Catalogue) -> Iterator[Finding]:
    for entry in catalogue.channels:
        cors = entry.value.cors
        for index, origin in enumerate(cors.origins if cors else ()):
            if origin.startswith("http:"):
                yield (*entry.where, "cors", "origins", index), "anybody on the way can change a page of that origin"


def _cut_by_drain(static: StaticSettings, catalogue: Catalogue) -> Iterator[Finding]:
    for entry in catalogue.items:
        if entry.value.limits.timeout > static.drain:
            text = f"is longer than the {static.drain:g} s a request has to finish when the gateway stops (drain)"
            yield (*entry.where, "limits", "timeout"), text


def _unused(_: StaticSettings, catalogue: Catalogue) -> Iterator[Finding]:
    items = [entry.value for entry in catalogue.items]
    if not items:
        yield ("items",), "is empty: every request is answered 404"
    used = {"channels": {name for item in items for name in item.channels}}
    used["systems"] = {item.system for item in items}
    used["reauthorizers"] = {one if isinstance(one, str) else one.name for item in items for one in item.reauthorize}
    if any(item.assurance for item in items):
        used["reauthorizers"].add("assurance")  # stands before the others where an item asks for a level
    if all(item.verifiers is not None for item in items):
        used["verifiers"] = {name for item in items for name in item.verifiers or ()}
    for key, names in used.items():
        for entry in getattr(catalogue, key):
            if entry.value.name not in names:
                yield entry.where, f"{entry.value.name!r} is used by no item"


def _unaccepted(static: StaticSettings, catalogue: Catalogue) -> Iterator[Finding]:
    """Self-service is behind the sign-in desk, and acceptance is the operator's own."""
    policy = catalogue.settings
    if static.console is None or not static.console.acceptance or policy is None or policy.login is not None:
        return
    for entry in catalogue.reauthorizers:
        if getattr(import_part(entry.value.use), "granted", False):
            text = "operators have to accept what is granted to them, and nobody can sign in here to do so"
            yield entry.where, f"{text}; write `login`, or `acceptance: false` under console"


def _secrets_of(catalogue: Catalogue) -> Iterator[Where]:
    for system in catalogue.systems:
        yield from secret_places(system.value, system.where)
    for _, part in catalogue.parts():
        config = part_config(import_part(part.value.use), part.value.config)
        yield from secret_places(config, (*part.where, "config"))


def _readable_secrets(places: Iterable[Where], source: Placed) -> Iterator[Finding]:
    for where in places:
        document, inner = source.place(where)
        said = reach(document.data, inner)
        if isinstance(said, dict) and "$file" in said:
            mode = _mode(document.path.parent / said["$file"])
            if mode & stat.S_IROTH:
                yield where, f"{said['$file']} can be read by everybody (mode {mode & 0o777:o}); chmod o-r"


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:  # replaced just now: it was read a moment ago
        return 0


_OF_STATIC: dict[str, tuple[Literal["high", "medium", "low"], Callable[[StaticSettings], Iterator[Finding]]]] = {
    "TG01": ("high", _trusts_everybody),
    "TG02": ("high", _plain_http),
    "TG03": ("medium", _nobody_in_front),
}
_OF_POLICY: dict[
    str, tuple[Literal["high", "medium", "low"], Callable[[StaticSettings, Catalogue], Iterator[Finding]]]
] = {
    "TG04": ("high", _memory_carrier),
    "TG05": ("high", _shared_secret),
    "TG06": ("medium", _unlimited_clients),
    "TG07": ("medium", _plain_origins),
    "TG08": ("low", _cut_by_drain),
    "TG09": ("low", _unused),
    "TG11": ("medium", _unaccepted),
}
