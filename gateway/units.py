"""Durations, sizes, rates, spans, addresses, networks, sinks as people write them. A number needs its unit."""

import re
from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Any, Literal

import msgspec
from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema

_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)(ms|s|m|h|d)", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"(\d{1,18})(B|KiB|MiB|GiB)", re.ASCII)
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_SPAN = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-(?:([01][0-9]|2[0-3]):([0-5][0-9])|24:00)", re.ASCII)
_MINUTES_OF_A_DAY = 24 * 60
_RATE = re.compile(r"(\d{1,9})/(second|minute|hour|day)", re.ASCII)
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"  # RFC 1123 §2.1; looking up another one is no OSError
_TARGET = re.compile(rf"http://(?:({_LABEL}(?:\.{_LABEL})*)|\[([0-9A-Fa-f:.]+)\]):([0-9]{{1,5}})|unix:(/[!-~]+)")
_SINK = re.compile(r"stdout|stderr|file:([^\0]+)")


def parse_duration(value: object) -> float:
    """Seconds of a text such as `250ms`, `5s`, `10m`, `1h`, `2d`.

    Raises:
        ValueError: no such text.
    """
    if isinstance(value, str) and (found := _DURATION.fullmatch(value)):
        return float(found[1]) * _SECONDS[found[2]]
    raise ValueError(f"{value!r} is no duration; write it with a unit: 250ms, 5s, 10m, 1h, 2d")


def write_duration(seconds: float) -> str:
    """Write seconds as `parse_duration` reads them, in the largest unit without remainder."""
    if seconds == 0:
        return "0s"
    for unit in ("d", "h", "m", "s"):
        if seconds % _SECONDS[unit] == 0:
            return f"{seconds / _SECONDS[unit]:.0f}{unit}"
    return f"{seconds * 1000:.15g}ms" if seconds < 1 else f"{seconds:.15g}s"


def parse_size(value: object) -> int:
    """Bytes of a text such as `512B`, `64KiB`, `10MiB`, `1GiB`.

    Raises:
        ValueError: no such text.
    """
    if isinstance(value, str) and (found := _SIZE.fullmatch(value)):
        return int(found[1]) * _BYTES[found[2]]
    raise ValueError(f"{value!r} is no size; write it with a unit: 512B, 64KiB, 10MiB, 1GiB")


def write_size(size: int) -> str:
    """Write bytes as `parse_size` reads them, in the largest unit without remainder."""
    unit = next((unit for unit in ("GiB", "MiB", "KiB") if size and size % _BYTES[unit] == 0), "B")
    return f"{size // _BYTES[unit]}{unit}"


def parse_rate(value: object) -> str:
    """Check a rate such as `30/minute`.

    Raises:
        ValueError: no such text, or zero.
    """
    if isinstance(value, str) and (found := _RATE.fullmatch(value)) and int(found[1]) > 0:
        return value
    raise ValueError(f"{value!r} is no rate; write how many per second, minute, hour or day: 30/minute")


def parse_span(value: str) -> tuple[int, int]:
    """Read `09:00-12:00`: the minutes of the day at which it begins and ends; the last one is outside.

    Raises:
        ValueError: no such text, or it ends before it begins.
    """
    found = _SPAN.fullmatch(value)
    if found is None:
        raise ValueError(f"{value!r} is no span of a day; write 09:00-12:00")
    begins = int(found[1]) * 60 + int(found[2])
    ends = _MINUTES_OF_A_DAY if found[3] is None else int(found[3]) * 60 + int(found[4])
    if ends <= begins:
        raise ValueError(f"{value!r} ends before it begins; write two spans for hours over midnight")
    return begins, ends


def _checked_span(value: str) -> str:
    parse_span(value)
    return value


class Address(msgspec.Struct, frozen=True):
    """Where something listens: host and port, or the path of a Unix socket.

    Attributes:
        host: IP address or name; empty for a Unix socket.
        port: TCP port; 0 lets the system choose.
        path: path of the Unix socket; empty for TCP.
    """

    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def is_local(self) -> bool:
        """True when no other machine can reach it: a Unix socket, or loopback."""
        try:
            return bool(self.path) or self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(value: object) -> Address:
    """Read `127.0.0.1:8080`, `[::1]:8080` or `unix:/run/tongguan.sock`.

    Raises:
        ValueError: no such text.
    """
    if isinstance(value, Address):
        return value
    text = value if isinstance(value, str) else ""
    if text.startswith("unix:") and len(text) > len("unix:"):
        return Address(path=text.removeprefix("unix:"))
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if colon and host and port.isascii() and port.isdigit() and int(port) <= 65535:
        return Address(host=host, port=int(port))
    raise ValueError(f"{value!r} is no address; write 127.0.0.1:8080, [::1]:8080 or unix:/path/to.sock")


def parse_target(value: object) -> Address:
    """Read where a business system is: `http://10.1.2.3:8080`, `http://[fd00::1]:8080` or `unix:/run/system.sock`.

    Raises:
        ValueError: no such text; the port is not optional, and there is no path, query or user information.
    """
    found = _TARGET.fullmatch(value) if isinstance(value, str) else None
    if found is None or not (found[4] or 0 < int(found[3]) <= 65535):
        raise ValueError(f"{value!r} is no target; write http://host:port or unix:/path")
    return Address(path=found[4]) if found[4] else Address(host=found[1] or found[2], port=int(found[3]))


def parse_sink(value: str) -> str | None:
    """Path of a sink that is a file; None for `stdout` and `stderr`.

    Raises:
        ValueError: it is none of the three.
    """
    found = _SINK.fullmatch(value)
    if found is None:
        raise ValueError(f"{value!r} is no sink; write stdout, stderr or file:/path")
    return found[1]


def _checked_sink(value: str) -> str:
    parse_sink(value)
    return value


def _written(pattern: str, example: str) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^{pattern}$", "examples": [example]}


def parse_network(value: object) -> IPv4Network | IPv6Network | str:
    """Read `10.0.0.0/8`, `10.1.2.3`, `fd00::/8` or `unix`.

    Raises:
        ValueError: no such text.
    """
    if isinstance(value, IPv4Network | IPv6Network) or value == "unix":
        return value
    try:
        return ip_network(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError(f"{value!r} is no network; write 10.0.0.0/8, fd00::/8 or unix") from None


def plain_address(client: str) -> IPv4Address | IPv6Address | None:
    """Read a client's address; None for what is none, which a Unix socket's peer is.

    IPv4 inside IPv6 (RFC 4291 §2.5.5.2), as peers of a dual-stack listener look, is the IPv4 address it stands for.
    """
    try:
        address = ip_address(client)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def lies_in(client: str, networks: Collection[IPv4Network | IPv6Network | str]) -> bool:
    """Tell whether a client's address lies in one of these networks; `unix`, a Unix socket's peer, only in `unix`."""
    address = plain_address(client)
    if address is None:
        return client in networks
    return any(not isinstance(network, str) and address in network for network in networks)


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(write_duration, return_type=str, when_used="json"),
    WithJsonSchema(_written(_DURATION.pattern, "5s")),
]
"""Seconds, written with a unit."""

Size = Annotated[
    int,
    BeforeValidator(parse_size),
    PlainSerializer(write_size, return_type=str, when_used="json"),
    WithJsonSchema(_written(_SIZE.pattern, "64KiB")),
]
"""Bytes, written with a unit."""

Rate = Annotated[str, BeforeValidator(parse_rate), WithJsonSchema(_written(_RATE.pattern, "30/minute"))]
"""So many in a span of time."""

Span = Annotated[str, AfterValidator(_checked_span)]
"""A span of a day: `09:00-12:00`."""

AddressText = Annotated[
    Address,
    BeforeValidator(parse_address),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "examples": ["127.0.0.1:8080", "unix:/run/tongguan/edge.sock"]}),
]
"""Where to listen or to connect."""

SinkText = Annotated[
    str, AfterValidator(_checked_sink), WithJsonSchema(_written(r"(stdout|stderr|file:.+)", "file:/var/log/access.log"))
]
"""Where lines are written."""

NAME_PATTERN = "^[a-z][a-z0-9-]{0,62}$"  # $ in Rust and JSON Schema: the very end
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
"""A name that other keys refer to."""

Network = Annotated[
    IPv4Network | IPv6Network | Literal["unix"],
    PlainValidator(parse_network),
    WithJsonSchema({"type": "string", "examples": ["10.0.0.0/8", "unix"]}),
]
"""Addresses of peers."""
