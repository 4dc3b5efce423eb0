"""Two configurations compared by meaning: parts and items by name, keys by value, whatever file they are in."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from gateway.configuration.problems import Problems, reach
from gateway.configuration.sources import Files
from gateway.errors import ConfigurationError

_LISTS = {
    "channels": ("channel", "name"),
    "verifiers": ("verifier", "name"),
    "reauthorizers": ("re-authorizer", "name"),
    "systems": ("system", "name"),
    "items": ("item", "code"),
}
_ASKED_IN_ORDER = ("channels", "verifiers")
_NOT_COMPARED = ("include", *_LISTS)


class Difference(NamedTuple):
    """One difference.

    Attributes:
        kind: what happened to it, seen from the old configuration.
        what: `item 1144…`, `channel web`, or `gateway.yaml` and `policy.yaml` for their own keys.
        key: the key inside it, empty for the whole.
        old: the old value as JSON, None when it was added.
        new: the new value as JSON, None when it was removed.
    """

    kind: Literal["added", "removed", "changed"]
    what: str
    key: str
    old: str | None
    new: str | None


def compare(old: Path, new: Path) -> list[Difference]:
    """Compare two configurations.

    Args:
        old: gateway.yaml, policy.yaml, or the folder of gateway.yaml.
        new: the same.

    Raises:
        ConfigurationError: one of them cannot be read.
    """
    before, after = (read_as_written(path, Path()) for path in (old, new))
    differences = [
        one
        for file in ("gateway.yaml", "policy.yaml")
        for one in _of_values(file, "", before.get(file, {}), after.get(file, {}))
    ]
    for key in _LISTS:
        differences += _of_lists(key, before, after)
    return differences


def read_as_written(path: Path, base: Path) -> dict[str, Any]:
    """Top-level keys by file, and the named lists by their key; references stay as they are written.

    Args:
        path: gateway.yaml, policy.yaml, or the folder of gateway.yaml.
        base: folder that messages name files from.

    Raises:
        ConfigurationError: it cannot be read, or is no YAML.
    """
    path = path / "gateway.yaml" if path.is_dir() else path
    problems = Problems()
    files = Files(base, problems, resolve=False)
    first = files.mapping(path)
    static = first.data if first is not None and "channels" not in first.data else None
    named = path if static is None else path.parent / str(reach(static, ("policy",)) or "policy.yaml")
    policy = files.policy(named)
    if problems or policy is None:
        raise ConfigurationError(problems.lines())
    read = {"policy.yaml": {key: value for key, value in policy.data.items() if key not in _NOT_COMPARED}}
    read |= {key: _by_name(policy.data, key) for key in _LISTS}
    return read if static is None else read | {"gateway.yaml": static}


def _by_name(data: dict[str, Any], key: str) -> dict[str, Any]:
    entries, by = data.get(key), _LISTS[key][1]
    if not isinstance(entries, list):
        return {}
    return {str(entry.get(by)): entry for entry in entries if isinstance(entry, dict)}


def _of_lists(key: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Difference]:
    noun, _ = _LISTS[key]
    old, new = before[key], after[key]
    yield from (Difference("removed", f"{noun} {name}", "", None, None) for name in old if name not in new)
    yield from (Difference("added", f"{noun} {name}", "", None, None) for name in new if name not in old)
    both = [name for name in old if name in new]
    for name in both:
        yield from _of_values(f"{noun} {name}", "", old[name], new[name])
    if key in _ASKED_IN_ORDER and both != [name for name in new if name in old]:
        yield Difference("changed", key, "order", _written(list(old)), _written(list(new)))


def _of_values(what: str, key: str, old: Any, new: Any) -> Iterator[Difference]:
    if isinstance(old, dict) and isinstance(new, dict) and not _is_reference(old) and not _is_reference(new):
        for inner in [*old, *(name for name in new if name not in old)]:
            path = f"{key}.{inner}" if key else inner
            if inner not in new:
                yield Difference("removed", what, path, _written(old[inner], inner), None)
            elif inner not in old:
                yield Difference("added", what, path, None, _written(new[inner], inner))
            else:
                yield from _of_values(what, path, old[inner], new[inner])
    elif old != new or type(old) is not type(new):
        yield Difference("changed", what, key, _written(old, key), _written(new, key))


def _is_reference(value: dict[str, Any]) -> bool:
    return any(key.startswith("$") for key in value)


def _written(value: Any, key: str = "") -> str:
    return json.dumps(_masked(value, key.rpartition(".")[2]), ensure_ascii=False)


def _masked(value: Any, key: str) -> Any:
    """A secret that was written out by mistake is not repeated here."""
    if isinstance(value, dict):
        return {name: _masked(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_masked(inner, key) for inner in value]
    return "…" if isinstance(value, str) and key.endswith(("key", "secret", "password")) else value
