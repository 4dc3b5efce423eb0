"""A policy as far as it could be read: what is sound in it, and every name. The rules of policy.yaml look at it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

import msgspec
from pydantic import TypeAdapter, ValidationError

from gateway.configuration.parts import KINDS
from gateway.configuration.problems import Placed, Problems
from gateway.configuration.sentences import explain_errors
from gateway.configuration.yaml_source import Where
from gateway.settings import (
    ChannelSettings,
    ItemSettings,
    PartSettings,
    PolicySettings,
    SystemSettings,
)

T = TypeVar("T")

Finding = tuple[Where, str]
"""A place and what is wrong there."""


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """One sound entry of a list, and its place."""

    where: Where
    value: T


class Catalogue:
    """The lists of a policy without their broken entries.

    Attributes:
        source: where everything is written.
        settings: the whole policy; None when any of it is broken.
    """

    def __init__(self, source: Placed, settings: PolicySettings | None, broken: set[Where]) -> None:
        self.source = source
        self.settings = settings
        self._broken = broken

    @cached_property
    def channels(self) -> list[Entry[ChannelSettings]]:
        """Sound channels."""
        return self._sound("channels", ChannelSettings)

    @cached_property
    def verifiers(self) -> list[Entry[PartSettings]]:
        """Sound verifiers."""
        return self._sound("verifiers", PartSettings)

    @cached_property
    def reauthorizers(self) -> list[Entry[PartSettings]]:
        """Sound re-authorizers."""
        return self._sound("reauthorizers", PartSettings)

    @cached_property
    def systems(self) -> list[Entry[SystemSettings]]:
        """Sound systems."""
        return self._sound("systems", SystemSettings)

    @cached_property
    def items(self) -> list[Entry[ItemSettings]]:
        """Sound items."""
        return self._sound("items", ItemSettings)

    def parts(self) -> Iterator[tuple[str, Entry[PartSettings]]]:
        """Everything that has a `use`, with the key it stands under."""
        for kind in KINDS:
            for entry in getattr(self, kind):
                yield kind, entry

    def names(self, key: str, by: str = "name") -> dict[str, Where]:
        """Names under a key, of broken entries too, with the first place of each."""
        found: dict[str, Where] = {}
        for index, entry in enumerate(_list(self.source.data, key)):
            name = entry.get(by) if isinstance(entry, dict) else None
            if isinstance(name, str):
                found.setdefault(name, (key, index))
        return found

    def system(self, name: str) -> SystemSettings | None:
        """The sound system of that name; None when there is none."""
        return self._systems_by_name.get(name)

    @cached_property
    def _systems_by_name(self) -> dict[str, SystemSettings]:
        return {entry.value.name: entry.value for entry in reversed(self.systems)}  # of two, the first

    def written_at(self, where: Where) -> str:
        """File and line of a place, for a message about another one."""
        document, inner = self.source.place(where)
        return f"{document.shown}:{document.line(inner)}"

    def _sound(self, key: str, kind: Any) -> list[Entry[Any]]:
        if self.settings is not None:
            return [Entry((key, index), value) for index, value in enumerate(getattr(self.settings, key))]
        adapter = TypeAdapter(kind)
        return [
            Entry((key, index), adapter.validate_json(msgspec.json.encode(entry), strict=True))
            for index, entry in enumerate(_list(self.source.data, key))
            if (key, index) not in self._broken and (key,) not in self._broken
        ]


def read_catalogue(source: Placed, problems: Problems) -> Catalogue:
    """Validate a policy and keep what is sound of it, so that the rules find the other problems in the same run."""
    try:
        settings = PolicySettings.model_validate_json(msgspec.json.encode(source.data), strict=True)
    except ValidationError as exc:
        explain_errors(exc, PolicySettings, source, problems)
        found = exc.errors(include_url=False, include_context=False, include_input=False)
        return Catalogue(source, None, {detail["loc"][:2] for detail in found})
    return Catalogue(source, settings, set())


def _list(data: Any, key: str) -> Iterable[Any]:
    value = data.get(key) if isinstance(data, dict) else None
    return value if isinstance(value, list) else []
