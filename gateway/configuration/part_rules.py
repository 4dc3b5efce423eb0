"""What has to hold for the parts and systems of policy.yaml beyond their types. loading.py notes the findings."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
from pydantic import BaseModel, SecretStr, ValidationError

from gateway.configuration.catalogue import Catalogue, Finding
from gateway.configuration.parts import KINDS, PartUnusableError, import_part, part_config
from gateway.configuration.problems import Placed, Problems
from gateway.configuration.sentences import explain_errors
from gateway.configuration.yaml_source import Where
from gateway.contracts import Part, Settings
from gateway.fields import check_listed, check_name
from gateway.settings import SHORTEST_MAC_KEY, ChannelSettings, DirectSettings, FerrySettings, ReauthorizeSettings
from gateway.units import parse_target

_ORIGIN = re.compile(r"https?://[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?")

WRITTEN_OUT = "is a secret; write it as a reference: {$env: NAME} or {$file: path}"


def check_parts(catalogue: Catalogue, problems: Problems) -> None:
    """Import every part and check its settings, at the catalogue and where an item replaces some of them."""
    usable: dict[tuple[str, str], tuple[type[Part[Any]], dict[str, Any]]] = {}
    for kind, entry in catalogue.parts():
        part = _usable(kind, entry.value.use, catalogue.source, entry.where, problems)
        at = (*entry.where, "config")
        if part and check_config(part, entry.value.config, None, catalogue.source, at, problems):
            usable[kind, entry.value.name] = part, entry.value.config
    _check_overrides(catalogue, usable, problems)


def _usable(kind: str, use: str, source: Placed, where: Where, problems: Problems) -> type[Part[Any]] | None:
    try:
        part = import_part(use)
    except PartUnusableError as exc:
        problems.at(source, (*where, "use"), str(exc))
        return None
    if not issubclass(part, KINDS[kind]):
        own = next((base.__name__ for base in KINDS.values() if issubclass(part, base)), "Part")
        problems.at(source, (*where, "use"), f"{use} is a {own}, not a {KINDS[kind].__name__}")
        return None
    return part


def check_config(
    part: type[Part[Any]],
    config: dict[str, Any],
    override: dict[str, Any] | None,
    source: Placed,
    at: Where,
    problems: Problems,
) -> bool:
    """Check settings of a part that are written under `at`; tell whether they can be used."""
    try:
        checked = part_config(part, config, override)
    except ValidationError as exc:
        explain_errors(exc, part.Config, source, problems, at)
        return False
    except Exception as exc:  # noqa: BLE001 - a plugin's own validator broke
        problems.at(source, at, f"the part's own check broke: {type(exc).__name__}: {exc}")
        return False
    literal = list(find_literal_secrets(checked, source, at))
    for where, text in literal:
        problems.at(source, where, text, settles=True)
    return not literal


def _check_overrides(
    catalogue: Catalogue, usable: dict[tuple[str, str], tuple[type[Part[Any]], dict[str, Any]]], problems: Problems
) -> None:
    checked: set[tuple[str, bytes]] = set()
    for entry in catalogue.items:
        for position, named in enumerate(entry.value.reauthorize):
            if not isinstance(named, ReauthorizeSettings) or ("reauthorizers", named.name) not in usable:
                continue
            key = named.name, msgspec.json.encode(named.config, order="sorted")
            if key not in checked:
                part, config = usable["reauthorizers", named.name]
                at = (*entry.where, "reauthorize", position, "config")
                if check_config(part, config, named.config, catalogue.source, at, problems):
                    checked.add(key)


def find_literal_secrets(checked: Settings, source: Placed, at: Where = ()) -> Iterator[Finding]:
    """Secrets are references, never literals."""
    for where in secret_places(checked, at):
        if written_literally(source, where):
            yield where, WRITTEN_OUT


def written_literally(source: Placed, where: Where) -> bool:
    """Tell whether a value stands in the file itself (and is no default)."""
    document, inner = source.place(where)
    return document.holds(inner) and not source.is_reference(where)


def secret_places(value: object, at: Where = ()) -> Iterator[Where]:
    """Places of every secret in checked settings."""
    if isinstance(value, SecretStr):
        yield at
    elif isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            yield from secret_places(getattr(value, name), (*at, field.alias or name))
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from secret_places(entry, (*at, key))
    elif isinstance(value, list | tuple):
        for index, entry in enumerate(value):
            yield from secret_places(entry, (*at, index))


def find_unique_names(catalogue: Catalogue) -> Iterator[Finding]:
    """Names are unique within their list."""
    for key in (*KINDS, "systems"):
        first = catalogue.names(key)
        for entry in getattr(catalogue, key):
            name = entry.value.name
            if first[name] != entry.where:
                yield (*entry.where, "name"), f"{name!r} is taken, first in {catalogue.written_at(first[name])}"


def find_bad_origins(catalogue: Catalogue) -> Iterator[Finding]:
    """CORS origins are exact, and the fields that go with them are names."""
    for entry in catalogue.channels:
        channel: ChannelSettings = entry.value
        if channel.cors is None:
            continue
        at = (*entry.where, "cors")
        for index, origin in enumerate(channel.cors.origins):
            if not _ORIGIN.fullmatch(origin):
                text = f"{origin!r} is no origin; write scheme and host in lower case: https://www.example.gov.cn"
                yield (*at, "origins", index), text
        yield from _refused(check_name, channel.cors.fields, (*at, "fields"))
        yield from _refused(check_name, channel.cors.expose, (*at, "expose"))


def find_bad_systems(catalogue: Catalogue) -> Iterator[Finding]:
    """Targets, carriers, keys and header names of systems are usable."""
    for entry in catalogue.systems:
        if isinstance(entry.value, DirectSettings):
            yield from _of_direct(entry.value, entry.where)
        else:
            yield from _of_ferry(entry.value, entry.where, catalogue.source)


def _of_direct(system: DirectSettings, where: Where) -> Iterator[Finding]:
    yield from _refused(parse_target, system.targets, (*where, "targets"))
    for index, target in enumerate(system.targets):
        if target in system.targets[:index]:
            yield (*where, "targets", index), f"{target} is listed twice"
    yield from _refused(check_listed, system.request_fields, (*where, "request_fields"))


def _of_ferry(system: FerrySettings, where: Where, source: Placed) -> Iterator[Finding]:
    carrier = system.carrier
    if carrier.kind == "socket" and carrier.address is None:
        yield (*where, "carrier", "address"), "is required for kind: socket"
    if carrier.kind == "memory" and carrier.address is not None:
        yield (*where, "carrier", "address"), "has no meaning for kind: memory"
    if written_literally(source, (*where, "key")):
        yield (*where, "key"), WRITTEN_OUT
    elif 0 < len(system.key.get_secret_value().encode()) < SHORTEST_MAC_KEY:  # empty: told as a reference
        yield (*where, "key"), f"is shorter than {SHORTEST_MAC_KEY} bytes"
    yield from _refused(check_listed, system.request_fields, (*where, "request_fields"))
    yield from _refused(check_listed, system.response_fields, (*where, "response_fields"))


def _refused(check: Callable[[str], object], texts: Iterable[str], where: Where) -> Iterator[Finding]:
    for index, text in enumerate(texts):
        try:
            check(text)
        except ValueError as exc:
            yield (*where, index), str(exc)
