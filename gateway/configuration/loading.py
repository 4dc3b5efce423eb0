"""From YAML files to a configuration that can be used, or to every reason why it cannot. `load` is the whole of it.

The supervisor loads; a worker gets the snapshots and makes settings of them with `static_from` and `policy_from`.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from pathlib import Path
from urllib.parse import quote

import msgspec
from pydantic import ValidationError

from gateway.configuration import login_rules, part_rules, policy_rules, static_rules
from gateway.configuration.audit import Advice, audit
from gateway.configuration.catalogue import Catalogue, Finding, read_catalogue
from gateway.configuration.problems import Placed, Problems, reach, written
from gateway.configuration.references import Source
from gateway.configuration.sentences import explain_errors
from gateway.configuration.sources import Files
from gateway.errors import ConfigurationError
from gateway.heap import at_rest
from gateway.settings import PolicySettings, StaticSettings


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that was read and validated whole.

    Attributes:
        settings: the static part.
        static: the static part for the workers, secrets resolved; see `static_from`.
        policy: the reloadable part for the workers, secrets resolved; see `policy_from`.
        revision: 12 hex digits; the same for the same content, however it is formatted and commented.
        files: every file that was read, secrets included.
        advise: looks for what works and should not stay so.
        parts: where each part is written, by the key it stands under and its name: file, line and YAML path.
    """

    settings: StaticSettings
    static: bytes = field(repr=False)
    policy: bytes = field(repr=False)
    revision: str
    files: tuple[Path, ...]
    advise: Callable[[], Iterator[Advice]] = field(repr=False)
    parts: dict[tuple[str, str], str] = field(repr=False)


def load(path: Path) -> Loaded:
    """Read gateway.yaml and everything it names.

    Args:
        path: gateway.yaml.

    Raises:
        ConfigurationError: with every problem of every file at once.
    """
    path, problems = Path(path), Problems()
    with at_rest():
        files = Files(path.parent, problems)
        source = files.mapping(path)
        _expect_gateway_yaml(path, source, problems)
        static = _read_static(source, problems)
        policy = files.policy(path.parent / _policy_name(source))
        catalogue = None if policy is None else _read_policy(policy, static, problems)
        if source and static and catalogue:
            _note(static_rules.find_unshared_state(static, catalogue), source, problems)
        if problems or source is None or static is None or catalogue is None:
            raise ConfigurationError(problems.lines())
        ledger = None if static.ledger_url is None else _beside(static.ledger_url, path.parent)
        return Loaded(
            static.model_copy(update={"ledger": ledger}),
            msgspec.json.encode(source.data | {"ledger": ledger}),
            msgspec.json.encode(catalogue.source.data),
            _revision(static, source, catalogue.source),
            tuple(dict.fromkeys(files.read)),
            partial(audit, static, source, catalogue),
            {
                (key, one.value.name): f"{catalogue.written_at(one.where)} {written(one.where)}"
                for key, one in catalogue.parts()
            },
        )


def _expect_gateway_yaml(path: Path, source: Source | None, problems: Problems) -> None:
    """What is no gateway.yaml at all is told in one line, without what would be missing in it or beside it."""
    if source is None and not os.path.isfile(path):  # which, unlike that of a Path, never raises
        raise ConfigurationError(problems.lines())
    for keys, other in _OTHER_FILES:
        if source and source.data.keys() >= keys:
            raise ConfigurationError([f"{path}: this looks like {other}"])


_OTHER_FILES = (
    ({"channels", "systems"}, "policy.yaml; check its gateway.yaml"),
    ({"routes", "systems"}, "gatekeeper.yaml; check it with: tongguan gatekeeper --check FILE"),
)


def load_static(path: Path) -> StaticSettings:
    """Read gateway.yaml alone.

    Raises:
        ConfigurationError: with every problem in it.
    """
    path, problems = Path(path), Problems()
    static = _read_static(Files(path.parent, problems).mapping(path), problems)
    if problems or static is None:
        raise ConfigurationError(problems.lines())
    return static


def static_from(snapshot: bytes) -> StaticSettings:
    """Make static settings of a snapshot that `load` validated."""
    return StaticSettings.model_validate_json(snapshot, strict=True)


def policy_from(snapshot: bytes) -> PolicySettings:
    """Make a policy of a snapshot that `load` validated."""
    with at_rest():
        return PolicySettings.model_validate_json(snapshot, strict=True)


def _policy_name(static: Source | None) -> str:
    named = None if static is None else reach(static.data, ("policy",))
    return named if isinstance(named, str) and named and "\0" not in named else "policy.yaml"


def _read_static(source: Source | None, problems: Problems) -> StaticSettings | None:
    if source is None:
        return None
    try:
        static = StaticSettings.model_validate_json(msgspec.json.encode(source.data), strict=True)
    except ValidationError as exc:
        explain_errors(exc, StaticSettings, source, problems)
        return None
    for where, text in part_rules.find_literal_secrets(static, source):
        problems.at(source, where, text, settles=True)
    for find in _STATIC_RULES:
        _note(find(static), source, problems)
    return static


def _read_policy(source: Placed, static: StaticSettings | None, problems: Problems) -> Catalogue:
    catalogue = read_catalogue(source, problems)
    part_rules.check_parts(catalogue, problems)
    for find in _POLICY_RULES:
        _note(find(catalogue), source, problems)
    if static is not None:
        _note(policy_rules.find_bodies_too_large(catalogue, static), source, problems)
        _note(login_rules.find_missing_sessions(static, catalogue), source, problems)
    return catalogue


def _beside(ledger: str, folder: Path) -> str:
    """The ledger's address, its file named absolutely: workers do not know where gateway.yaml is."""
    scheme, found, file = ledger.partition("sqlite:///")
    if not found or scheme:
        return ledger
    beside = "" if file.startswith("/") else f"{quote(str(folder.absolute()))}/"  # a folder may be called anything
    return f"{found}{beside}{file}"


def _note(findings: Iterable[Finding], source: Placed, problems: Problems) -> None:
    for where, text in findings:
        problems.at(source, where, text)


def _revision(settings: StaticSettings, static: Placed, policy: Placed) -> str:
    """A digest that does not depend on formatting. Keyed, because it covers secrets and stands in every record."""
    key = settings.records.pseudonym_key.get_secret_value().encode()[:64]
    content = msgspec.json.encode([static.data, policy.data], order="sorted")
    return blake2b(content, digest_size=6, key=key).hexdigest()


_STATIC_RULES: tuple[Callable[[StaticSettings], Iterator[Finding]], ...] = (
    static_rules.find_bad_listeners,
    static_rules.find_bad_hosts,
    static_rules.find_unsafe_trust,
    static_rules.find_bad_keys,
    static_rules.find_bad_sinks,
    static_rules.find_bad_ledger,
    static_rules.find_bad_state,
    static_rules.find_bad_console,
    login_rules.find_bad_sessions,
)
_POLICY_RULES: tuple[Callable[[Catalogue], Iterator[Finding]], ...] = (
    part_rules.find_unique_names,
    part_rules.find_bad_origins,
    part_rules.find_bad_systems,
    policy_rules.find_unknown_names,
    policy_rules.find_repeated_codes,
    policy_rules.find_bad_templates,
    policy_rules.find_collisions,
    policy_rules.find_bad_ways,
    policy_rules.find_bad_audiences,
    policy_rules.find_units_parts,
    login_rules.find_reserved_places,
    login_rules.find_bad_login,
)
