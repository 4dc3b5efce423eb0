"""What has to hold for gateway.yaml beyond its types. loading.py notes the findings."""

import re
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network

from gateway.configuration.catalogue import Catalogue, Finding
from gateway.configuration.parts import PartUnusableError, import_part
from gateway.configuration.policy_rules import places_of_shared_state
from gateway.configuration.problems import written
from gateway.configuration.sinks import find_bad_sink
from gateway.configuration.yaml_source import Where
from gateway.identity.sealing import SHORTEST_KEY
from gateway.inward import load_key
from gateway.records.masking import SHORTEST_PSEUDONYM_KEY
from gateway.settings import StaticSettings
from gateway.units import Address

LONGEST_SOCKET_PATH = 107
"""Bytes of `sun_path` without its final NUL (unix(7))."""

_REDIS_URL = re.compile(r"(?:rediss?://[^/?#]*[^/?#@:](?:/[0-9]*)?|unix://(?:[^/?#@]*@)?/[^?#]+)(?:\?[^#]*)?")
_LEDGER = re.compile(r"sqlite:///(?!:memory:)[^?]+|postgresql://.+")
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?")


def find_bad_listeners(static: StaticSettings) -> Iterator[Finding]:
    """The management listener is not public, and the two are not the same."""
    management = static.management
    if not management.is_local:
        text = f"{management} can be reached from outside; write 127.0.0.1:port, [::1]:port or unix:/path"
        yield ("management",), text
    if management == static.listen and (management.path or management.port):
        yield ("management",), f"{management} is the public listener"
    places: list[tuple[Where, Address]] = [(("listen",), static.listen), (("management",), management)]
    if static.console is not None:
        console = static.console.listen
        places.append((("console", "listen"), console))
        if console in (static.listen, management) and (console.path or console.port):
            yield ("console", "listen"), f"{console} is another listener already; the back office has one of its own"
    for where, address in places:
        if len(address.path.encode()) > LONGEST_SOCKET_PATH:
            yield where, f"is longer than {LONGEST_SOCKET_PATH} bytes, the most a Unix socket's path may have"


def find_bad_hosts(static: StaticSettings) -> Iterator[Finding]:
    """Hosts are written as they come in `Host`."""
    yield from _bad_hosts(static.hosts, "hosts")


def _bad_hosts(hosts: tuple[str, ...], *place: str) -> Iterator[Finding]:
    for index, host in enumerate(hosts):
        found = _HOST.fullmatch(host)
        if not found or int(found[1] or 0) > 65535:
            yield (*place, index), f"{host!r} is no host; write it as it comes in Host, lower case: www.example.gov.cn"
        elif host in hosts[:index]:
            yield (*place, index), f"{host} is listed twice"


def find_bad_console(static: StaticSettings) -> Iterator[Finding]:
    """The back office has hosts, keys that are long enough, and times that fit each other."""
    console = static.console
    if console is None:
        return
    yield from _bad_hosts(console.hosts, "console", "hosts")
    for index, key in enumerate(console.keys):
        if 0 < len(key.get_secret_value().encode()) < SHORTEST_KEY:  # empty: told as a reference
            yield ("console", "keys", index), f"is shorter than {SHORTEST_KEY} bytes"
    if console.idle > console.absolute:
        yield ("console", "idle"), "is longer than `absolute`, the whole life of a session"


def find_unsafe_trust(static: StaticSettings) -> Iterator[Finding]:
    """Nobody trusts the whole world by accident."""
    for index, network in enumerate(static.trusted_proxies):
        everybody = isinstance(network, IPv4Network | IPv6Network) and network.prefixlen == 0
        if everybody and not static.unsafe_trust_everybody:
            text = f"{network} lets any client name its own address; list your proxies"
            yield ("trusted_proxies", index), f"{text}, or set unsafe_trust_everybody: true"


def find_bad_keys(static: StaticSettings) -> Iterator[Finding]:
    """The signing key is of a kind that docs/ferry.md names, and the pseudonym key is long enough."""
    pem = static.identity.key.get_secret_value()
    try:
        if pem:  # empty: told as a reference
            load_key(pem)
    except ValueError as exc:
        yield ("identity", "key"), f"{exc}; docs/configuration.md says how to make one"
    pseudonym = static.records.pseudonym_key.get_secret_value().encode()
    if pseudonym and len(pseudonym) < SHORTEST_PSEUDONYM_KEY:
        yield ("records", "pseudonym_key"), f"is shorter than {SHORTEST_PSEUDONYM_KEY} bytes"


def find_bad_sinks(static: StaticSettings) -> Iterator[Finding]:
    """Records go where they can be written."""
    yield from find_bad_sink(("records", "access"), static.records.access)
    yield from find_bad_sink(("records", "application"), static.records.application)


def find_bad_ledger(static: StaticSettings) -> Iterator[Finding]:
    """The ledger's address is of a database that can keep one. It may hold a password, so it is not repeated."""
    if static.ledger and not _LEDGER.fullmatch(static.ledger):  # empty: told as a reference
        yield ("ledger",), "is no database address; write sqlite:///FILE or postgresql://…"


def find_bad_state(static: StaticSettings) -> Iterator[Finding]:
    """Where the shared state is, is said once and completely."""
    redis = static.redis
    if redis is None:
        if static.state == "redis":
            yield ("state",), "redis needs a `redis:` block that says where it is: redis: {url: {$env: REDIS_URL}}"
        return
    url = redis.url.get_secret_value()
    if url and not _REDIS_URL.fullmatch(url):  # empty: told as a reference
        yield (
            ("redis", "url"),
            "is no address of Redis; write redis://host:port/0, rediss://host:port/0 or unix:///path",
        )
    if bool(redis.sentinels) != (redis.service is not None):
        missing = "service" if redis.sentinels else "sentinels"
        yield ("redis",), f"`sentinels` and `service` go together, and {missing} is missing"
    if redis.sentinels and url.startswith("unix:"):
        yield ("redis", "url"), "is a Unix socket, and Sentinels name hosts; write redis:// or rediss://"
    for index, sentinel in enumerate(redis.sentinels):
        if not (found := _HOST.fullmatch(sentinel)) or not 0 < int(found[1] or 0) <= 65535:
            yield ("redis", "sentinels", index), f"{sentinel!r} is no address; write host:26379"


def find_unshared_state(static: StaticSettings, catalogue: Catalogue) -> Iterator[Finding]:
    """More than one worker needs a store they share wherever something is counted or remembered once."""
    if static.workers == 1 or static.state != "memory":
        return
    places = list(places_of_shared_state(catalogue))
    named = [f"{written(catalogue.source.place(where)[1])} ({catalogue.written_at(where)})" for where in places]
    named += [
        f"{written(entry.where)} ({catalogue.written_at(entry.where)}, which remembers what it has seen)"
        for _, entry in catalogue.parts()
        if _shares_state(entry.value.use)
    ]
    if static.sessions is not None:
        named.append("sign-in sessions")
    if named:
        more = f" and {len(named) - 3} more" if len(named) > 3 else ""
        text = f"{static.workers} workers with state: memory would each keep their own {', '.join(named[:3])}{more}"
        yield ("workers",), f"{text}; set state: redis or workers: 1, or take these out"


def _shares_state(use: str) -> bool:
    try:
        return import_part(use).shares_state
    except PartUnusableError:
        return False  # told where it is named
