"""Cross-origin calls: which web pages may use a channel (Fetch standard, CORS protocol), from an allow-list.

A preflight carries no credential, so no channel recognises it: any channel of the item that lists the origin answers.
"""

from collections.abc import Iterable

from gateway.model import Field, Inbound
from gateway.settings import CorsSettings


class Cors:
    """What one channel tells web pages. Every field is encoded once."""

    def __init__(self, settings: CorsSettings) -> None:
        self._origins = frozenset(origin.encode() for origin in settings.origins)
        credentials = [(b"access-control-allow-credentials", b"true")] if settings.credentials else []
        self._answer: list[Field] = [
            *credentials,
            (b"access-control-expose-headers", ", ".join(settings.expose).encode()),
        ]
        self._preflight: list[Field] = [
            *credentials,
            (b"access-control-allow-headers", ", ".join(settings.fields).encode()),
            (b"access-control-max-age", b"%d" % int(settings.max_age)),
        ]

    def answer(self, inbound: Inbound) -> list[Field]:
        """Fields that let the asking page read an answer; only `Vary` when its origin is not on the list."""
        origin = inbound.fields.get(b"origin")
        if origin is None or origin not in self._origins:
            return [_VARY]
        return [(b"access-control-allow-origin", origin), _VARY, *self._answer]

    def preflight(self, inbound: Inbound, methods: Iterable[str]) -> list[Field] | None:
        """Fields that answer a preflight; None when the origin is not on the list."""
        origin = inbound.fields.get(b"origin")
        if origin not in self._origins or origin is None:
            return None
        allow = (b"access-control-allow-methods", ", ".join(sorted(methods)).encode())
        return [(b"access-control-allow-origin", origin), _VARY, allow, *self._preflight]


_VARY: Field = (b"vary", b"Origin")


def asked_method(inbound: Inbound) -> str | None:
    """The method an OPTIONS request asks about as a preflight; None when it is none."""
    if b"origin" not in inbound.fields:
        return None
    return inbound.field("access-control-request-method")
