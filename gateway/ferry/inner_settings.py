"""gatekeeper.yaml: every key of the inner unit, and how the file is read. docs/ferry.md shows all of them."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator

from gateway.configuration.problems import Problems, did_you_mean
from gateway.configuration.references import Source
from gateway.configuration.sentences import explain_errors
from gateway.configuration.sinks import find_bad_sink
from gateway.configuration.yaml_source import Where, read_yaml
from gateway.contracts import Settings
from gateway.errors import ConfigurationError
from gateway.ferry.inspection import ContentSettings
from gateway.fields import check_listed
from gateway.settings import SHORTEST_MAC_KEY, BreakerSettings, HealthSettings
from gateway.templates import check_template
from gateway.units import AddressText, Duration, Name, SinkText, Size, parse_target

RouteMethod = Literal["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class InnerSystemSettings(Settings):
    """A business system of the inner network; only the inner unit knows where it is."""

    name: Name
    targets: tuple[str, ...] = Field(min_length=1, description="http://host:port or unix:/path, without a path")
    host: str | None = Field(None, description="value of Host sent to it; the target's own when missing")
    connect_timeout: Duration = 2.0
    idle_timeout: Duration = Field(15.0, description="idle connections are kept so long")
    connections: int = Field(256, ge=1, description="most connections per target")
    waiting: int = Field(256, ge=0, description="most requests that wait for one of them")
    retry: Literal["safe", "never"] = Field(
        "safe", description="safe: GET and HEAD without a body may be sent once more; nothing else ever is"
    )
    breaker: BreakerSettings = BreakerSettings()
    health: HealthSettings | None = Field(None, description="active checks; passive ones always run")
    response_limit: Size | None = Field(None, description="largest answer body read at all; a route has its own limit")

    @field_validator("targets")
    @classmethod
    def _targets_are_addresses(cls, targets: tuple[str, ...]) -> tuple[str, ...]:
        for target in targets:
            parse_target(target)
        return targets


class RouteSettings(Settings):
    """One thing that may be asked for from outside, and how it is called here."""

    id: Name = Field(description="the id of the operation in the edge's policy")
    system: Name
    method: RouteMethod = Field(description="GET lets HEAD through as well")
    path: str = Field(description="template of the system's own path: /settlements/{settlement_id}")
    query: tuple[str, ...] = Field((), description="query parameters that may pass, each once; any other is blocked")
    request: ContentSettings = ContentSettings()
    answer: ContentSettings = ContentSettings(content_types=("application/json",))
    timeout: Duration = Field(
        10.0, description="for the whole answer; what is left of the request's deadline counts too"
    )

    @field_validator("path")
    @classmethod
    def _path_is_a_template(cls, path: str) -> str:
        check_template(path)
        return path

    @field_validator("request", "answer")
    @classmethod
    def _fields_may_cross(cls, content: ContentSettings) -> ContentSettings:
        for name in content.fields:
            check_listed(name)
            if name == "content-type":  # crosses apart from the fields, inspected
                raise ValueError("content-type never crosses as a field: content_types says which ones may pass")
        return content


class GatekeeperSettings(Settings):
    """The inner unit."""

    listen: AddressText = Field(description="where the outer units connect to")
    key: SecretStr = Field(
        description="key of the envelopes' MAC, at least 32 bytes, shared with the edge, by reference"
    )
    message: Size = Field(16 << 20, ge=1024, le=1 << 30, description="largest message either way")
    links: int = Field(64, ge=1, description="most links at once: one for each worker and system")
    in_flight: int = Field(512, ge=1, description="requests being carried at once; beyond it they are refused")
    drain: Duration = Field(10.0, description="how long requests in flight may finish after SIGTERM")
    records: SinkText = Field("stdout", description="one JSON line per request")
    application: SinkText = Field("stderr", description="what the inner unit itself has to say")
    record_queue: int = Field(65536, ge=1024, description="records that may wait; beyond it they are lost and counted")
    systems: Annotated[tuple[InnerSystemSettings, ...], Field(min_length=1)]
    routes: Annotated[tuple[RouteSettings, ...], Field(min_length=1)]


def load_gatekeeper(path: Path) -> GatekeeperSettings:
    """Read gatekeeper.yaml.

    Raises:
        ConfigurationError: every problem that was found, each with file and line.
    """
    problems = Problems()
    source = Source(read_yaml(path), problems)
    settings = None
    try:
        settings = GatekeeperSettings.model_validate(source.data)
    except ValidationError as error:
        explain_errors(error, GatekeeperSettings, source, problems)
    if settings is not None and not problems:
        _check_key(settings.key, source, problems)
        sinks = (find_bad_sink((key,), getattr(settings, key)) for key in ("records", "application"))
        for where, text in chain(_find_bad_names(settings), *sinks):
            problems.at(source, where, text)
    if settings is None or problems:
        raise ConfigurationError(problems.lines())
    return settings


def _find_bad_names(settings: GatekeeperSettings) -> Iterator[tuple[Where, str]]:
    """Each system and route is there once, and routes name systems that are there."""
    systems = [system.name for system in settings.systems]
    routes = [route.id for route in settings.routes]
    for key, part, names in (("systems", "name", systems), ("routes", "id", routes)):
        for index, name in enumerate(names):
            if name in names[:index]:
                yield (key, index, part), f"{name!r} is there more than once"
    for index, route in enumerate(settings.routes):
        if route.system not in systems:
            text = f"no system named {route.system!r}{did_you_mean(route.system, systems)}"
            yield ("routes", index, "system"), text


def _check_key(key: SecretStr, source: Source, problems: Problems) -> None:
    if not source.is_reference(("key",)):
        problems.at(source, ("key",), "is a secret; write {$env: NAME} or {$file: path}")
    elif len(key.get_secret_value().encode()) < SHORTEST_MAC_KEY:
        problems.at(source, ("key",), f"should have at least {SHORTEST_MAC_KEY} bytes")
