"""What the ledger has to know of the configuration: gateway.ledger.rules.Rules, of policy.yaml and `console`."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.configuration.parts import import_part, part_config
from gateway.contracts import Part, Reauthorizer
from gateway.ledger.rules import LocalId, OfficeItem, Rules
from gateway.office_settings import ConsoleSettings, LocalIdSettings
from gateway.settings import ItemSettings, PolicySettings, ReauthorizeSettings

Parts = Mapping[str, tuple[type[Part[Any]], dict[str, Any]]]
"""Re-authorizers of the catalogue and their settings, by name."""

_ALPHABETS = {
    "digits": ("[0-9]", "数字", "digits"),
    "upper": ("[0-9A-Z]", "数字或大写字母", "digits or capital letters"),
    "alphanumeric": ("[0-9A-Za-z]", "数字或字母", "digits or letters"),
}


def office_rules(policy: PolicySettings, console: ConsoleSettings | None) -> Rules:
    """Make the rules.

    Args:
        policy: policy.yaml, validated.
        console: `console` of gateway.yaml; None keeps the strictest, two people and acceptance.
    """
    parts = {one.name: (import_part(one.use), one.config) for one in policy.reauthorizers}
    items = {item.code: _item(item, parts) for item in policy.items}
    local_ids = {one.name: _local_id(one.name, one.local_id) for one in policy.systems if one.local_id is not None}
    if console is None:
        return Rules(items, local_ids)
    return Rules(items, local_ids, frozenset(console.two_people), console.acceptance)


def _item(item: ItemSettings, parts: Parts) -> OfficeItem:
    used = list(_used(item, parts))
    return OfficeItem(
        item.code,
        item.name,
        frozenset(item.audience),
        any(part.closable for part, _ in used),
        any(part.granted for part, _ in used),
        item.system,
        any(part.closable and part.is_closed(part_config(part, config)) for part, config in used),
    )


def _used(item: ItemSettings, parts: Parts) -> Iterator[tuple[type[Reauthorizer[Any]], dict[str, Any]]]:
    """Re-authorizers of an item, each with what it is set to there."""
    for one in item.reauthorize:
        name, override = (one.name, one.config) if isinstance(one, ReauthorizeSettings) else (one, {})
        part, config = parts[name]
        if issubclass(part, Reauthorizer):
            yield part, config | override


def _local_id(system: str, settings: LocalIdSettings) -> LocalId:
    one, chinese, english = _ALPHABETS[settings.alphabet]
    told = (
        f"{settings.name}应为 {settings.length} 位{chinese}。",
        f"The id has to be {settings.length} {english}.",
    )
    return LocalId(system, settings.name, f"{one}{{{settings.length}}}", told)
