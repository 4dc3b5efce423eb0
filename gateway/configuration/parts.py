"""From the name in `use:` to a class, and from YAML to the class's checked settings. building.py makes the parts."""

import importlib
import pkgutil
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any

import msgspec

from gateway.configuration.problems import did_you_mean
from gateway.contracts import Channel, Part, Reauthorizer, Settings, Verifier

ENTRY_POINTS = "tongguan.parts"
"""Group of installed entry points that `use:` may name."""

KINDS: dict[str, type[Part[Any]]] = {"channels": Channel, "verifiers": Verifier, "reauthorizers": Reauthorizer}
"""What the parts under a key of policy.yaml have to be."""


class PartUnusableError(ValueError):
    """`use:` names nothing that can be used; the text says why."""


@lru_cache(maxsize=256)
def import_part(use: str) -> type[Part[Any]]:
    """Import the class of a part, once.

    Args:
        use: `package.module:Class`, or the name of an entry point in the group `tongguan.parts`.

    Raises:
        PartUnusableError: nothing is there, its import fails, or it is no part.
    """
    found = _import(use) if ":" in use else _load_entry_point(use)
    if not (isinstance(found, type) and issubclass(found, Part)):
        raise PartUnusableError(
            f"{use} is no part: it should be a class derived from Channel, Verifier or Reauthorizer"
        )
    if missing := sorted(found.__abstractmethods__):
        raise PartUnusableError(f"{use} does not define {', '.join(missing)}")
    return found


def _import(use: str) -> object:
    module_name, _, name = use.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as exc:
        itself = exc.name is not None and f"{module_name}.".startswith(f"{exc.name}.")
        raise PartUnusableError(_of_missing(module_name, name) if itself else _broken(use, exc)) from exc
    except (Exception, SystemExit) as exc:
        raise PartUnusableError(_broken(use, exc)) from exc
    found: object = getattr(module, name, None)
    if found is None:
        known = [key for key, value in vars(module).items() if isinstance(value, type) and issubclass(value, Part)]
        raise PartUnusableError(f"{module_name} has no class {name!r}{did_you_mean(name, known)}")
    return found


def _broken(use: str, exc: BaseException) -> str:
    return f"{use} cannot be imported: {type(exc).__name__}: {exc}"


def _of_missing(module: str, name: str) -> str:
    """What to do about a module that is not there; other modules that it imports may be missing as well."""
    known = [found.removeprefix("plugins.") for found in _shipped_modules()]
    inside = module.removeprefix("plugins.")
    if inside != module:
        return f"no module {module!r}{did_you_mean(inside, known, 'plugins.')}"
    if module in known:
        return f"no module {module!r} on Python's path (did you mean 'plugins.{module}'?)"
    remedy = f"put it into plugins/ (use: plugins.{module}:{name}) or set PYTHONPATH (docs/writing-plugins.md)"
    return f"no module {module!r} on Python's path; {remedy}"


def _load_entry_point(use: str) -> object:
    installed = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if use not in installed:
        hint = did_you_mean(use, installed) or _of_no_entry_point(use)
        raise PartUnusableError(f"no entry point {use!r} is installed{hint}; write package.module:Class or install it")
    try:
        return installed[use].load()
    except (Exception, SystemExit) as exc:
        raise PartUnusableError(f"entry point {use!r} cannot be loaded: {type(exc).__name__}: {exc}") from exc


def _of_no_entry_point(use: str) -> str:
    """What a `use` without a colon may have meant: a class behind a dot, or the module of a part that is shipped."""
    module, dot, name = use.rpartition(".")
    shipped = [part for found in _shipped_modules() if found.endswith(f".{use}") for part in _parts_of(found)]
    meant = [f"{module}:{name}"] if dot else shipped
    return f" (did you mean {meant[0]!r}?)" if meant else ""


def part_config(part: type[Part[Any]], config: dict[str, Any], override: dict[str, Any] | None = None) -> Settings:
    """Check a part's settings, strictly: text is no number, and a number no text.

    Args:
        part: the part's class.
        config: what the catalogue says, as plain data.
        override: what one item says instead, key by key.

    Raises:
        pydantic.ValidationError: the settings do not fit `part.Config`.
    """
    return part.Config.model_validate_json(msgspec.json.encode(config | (override or {})), strict=True)


def available_parts() -> list[str]:
    """What `use:` can name here: classes of the folder `plugins`, installed entry points; without broken ones."""
    shipped = [use for module in _shipped_modules() for use in _parts_of(module)]
    return sorted([*shipped, *(point.name for point in entry_points(group=ENTRY_POINTS) if _works(point.name))])


def _shipped_modules() -> list[str]:
    package = importlib.import_module("plugins")
    return [found.name for found in pkgutil.walk_packages(package.__path__, "plugins.") if not found.ispkg]


def _parts_of(module: str) -> list[str]:
    try:
        members = vars(importlib.import_module(module)).values()
    except ImportError:
        return []
    own = [one for one in members if isinstance(one, type) and issubclass(one, Part) and one.__module__ == module]
    return [use for one in own if _works(use := f"{module}:{one.__name__}")]


def _works(use: str) -> bool:
    try:
        import_part(use)
    except PartUnusableError:
        return False
    return True
