"""What has to hold for `login:` of policy.yaml and `sessions:` of gateway.yaml. loading.py notes the findings."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from gateway.configuration.catalogue import Catalogue, Finding
from gateway.configuration.part_rules import find_literal_secrets
from gateway.configuration.parts import PartUnusableError, import_part
from gateway.configuration.problems import did_you_mean
from gateway.configuration.yaml_source import Where
from gateway.contracts import Part
from gateway.identity.sealing import SHORTEST_KEY
from gateway.settings import StaticSettings
from gateway.signin import Platform, SignInChannel
from gateway.signin_settings import OWN_CHANNELS, OWN_SYSTEM, SIGN_IN_PREFIX, LoginSettings

_HOST_ONLY = re.compile(r"__Host-.+")
"""Names of cookies that no other host can set, and no page without TLS (RFC 6265bis §4.1.3.2).

Not `__Secure-`: such a one may be set for the whole domain, so a page of another department could plant a session.
"""
_LOCAL_PATH = re.compile(r"/(?:[A-Za-z0-9._~%!$&'()*+,=:@-][A-Za-z0-9._~%!$&'()*+,=:@/-]*)?")


def find_bad_sessions(static: StaticSettings) -> Iterator[Finding]:
    """Keys are long enough, times fit each other, and nobody else can set the cookie."""
    sessions = static.sessions
    if sessions is None:
        return
    for index, key in enumerate(sessions.keys):
        if 0 < len(key.get_secret_value().encode()) < SHORTEST_KEY:  # empty: told as a reference
            yield ("sessions", "keys", index), f"is shorter than {SHORTEST_KEY} bytes"
    if sessions.idle > sessions.absolute:
        yield ("sessions", "idle"), "is longer than `absolute`, the whole life of a session"
    if sessions.remember >= sessions.idle:
        yield ("sessions", "remember"), "is not shorter than `idle`: a session in use would never be looked at"
    if static.scheme == "https" and not _HOST_ONLY.fullmatch(sessions.cookie):
        yield ("sessions", "cookie"), f"{sessions.cookie!r} can be set by other hosts of the domain; write __Host-NAME"


def find_reserved_places(catalogue: Catalogue) -> Iterator[Finding]:
    """Paths and names that are the gateway's own stay so."""
    for entry in catalogue.channels:
        if entry.value.name in OWN_CHANNELS:
            yield (*entry.where, "name"), f"{entry.value.name!r} is what records call the gateway's own pages"
    for system in catalogue.systems:
        if system.value.name == OWN_SYSTEM:
            yield (*system.where, "name"), f"{OWN_SYSTEM!r} is what records call the gateway's own desk"
    for item in catalogue.items:
        for index, operation in enumerate(item.value.operations):
            if f"{operation.path}/".startswith(SIGN_IN_PREFIX):
                where = (*item.where, "operations", index, "path")
                yield where, f"{operation.path} lies under {SIGN_IN_PREFIX}, where the gateway's own pages are"


def find_bad_login(catalogue: Catalogue) -> Iterator[Finding]:
    """Platforms and channels of `login:` exist and can do what they are named for; addresses stay on this host."""
    login = None if catalogue.settings is None else catalogue.settings.login
    if login is None:
        return
    if not (login.natural or login.legal or login.others):
        yield ("login",), "names no platform; write natural:, legal: or others:"
    for where, name in _platforms(login):
        yield from _named(catalogue, "verifiers", Platform, name, where)
    for index, name in enumerate(login.channels):
        yield from _named(catalogue, "channels", SignInChannel, name, ("login", "channels", index))
    for where, path in [*_each("return_to", login.return_to), (("login", "signed_out"), login.signed_out)]:
        if not _LOCAL_PATH.fullmatch(path) or "//" in path:
            yield where, f"{path!r} is no path on this host; write it as /services/"
    yield from find_literal_secrets(login, catalogue.source, ("login",))
    yield from _repeated_ids(login)


def find_missing_sessions(static: StaticSettings, catalogue: Catalogue) -> Iterator[Finding]:
    """Who signs in has a session."""
    login = None if catalogue.settings is None else catalogue.settings.login
    if login is not None and static.sessions is None:
        yield ("login",), "needs `sessions:` in gateway.yaml, where sign-in sessions are described"


def _platforms(login: LoginSettings) -> Iterator[tuple[Where, str]]:
    single = {
        ("login", "natural"): login.natural,
        ("login", "legal"): login.legal,
        ("login", "notices", "backchannel"): login.notices.backchannel,
        ("login", "notices", "cas", "platform"): login.notices.cas and login.notices.cas.platform,
    }
    yield from ((where, name) for where, name in single.items() if name)
    yield from _each("others", login.others)
    yield from _each("unsolicited", login.unsolicited)


def _each(key: str, names: Sequence[str]) -> Iterator[tuple[Where, str]]:
    yield from ((("login", key, index), name) for index, name in enumerate(names))


def _named(catalogue: Catalogue, key: str, kind: type[Part[Any]], name: str, where: Where) -> Iterator[Finding]:
    known = catalogue.names(key)
    if name not in known:
        yield where, f"no part named {name!r} under {key}{did_you_mean(name, known)}"
        return
    for entry in getattr(catalogue, key):
        if entry.value.name == name and not _is_a(entry.value.use, kind):
            yield where, f"nobody signs in at {name!r}: {entry.value.use} is no {kind.__name__}"


def _is_a(use: str, kind: type[Part[Any]]) -> bool:
    try:
        return issubclass(import_part(use), kind)
    except PartUnusableError:
        return True  # told where it is named


def _repeated_ids(login: LoginSettings) -> Iterator[Finding]:
    clients = [] if login.introspection is None else [client.id for client in login.introspection.clients]
    signers = [signer.id for signer in login.notices.signed]
    for at, ids in ((("introspection", "clients"), clients), (("notices", "signed"), signers)):
        for index, one in enumerate(ids):
            if one in ids[:index]:
                yield ("login", *at, index, "id"), f"{one!r} is taken already"
