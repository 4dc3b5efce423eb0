"""Where a browser may be sent: places of this host to come back to, and the desk's own addresses.

Everything that becomes a `Location` comes from here or from a platform's plugin (docs/security.md, open redirects).
"""

import re
from collections.abc import Sequence
from urllib.parse import quote_plus, urlencode

from aiohttp import web

from gateway.errors import SignInMalformed, TargetRefused
from gateway.inbound import check_target
from gateway.signin_settings import SIGN_IN_PREFIX

HOME = SIGN_IN_PREFIX
"""The page that says who is signed in; where a visitor comes back to who wanted nothing else."""

LOGIN = f"{SIGN_IN_PREFIX}login"
CONTINUE = f"{SIGN_IN_PREFIX}continue/"
MY = f"{SIGN_IN_PREFIX}my/"
"""Self-service; docs/self-service.md."""
COMPUTER = f"{MY}computer"
"""Where a designated computer is enrolled and shown."""

LONGEST = 2048
"""Characters of an address to come back to as it stands in another one, escaped: proxies by default take no more than
4 KiB for the head of an answer, the address of a redirect included."""

_CHARACTER = r"(?:[A-Za-z0-9._~!$&'()*+,=:@-]|%[0-9A-Fa-f]{2})"
_LOCAL = re.compile(rf"(?:/{_CHARACTER}+)*/?(?:\?(?:{_CHARACTER}|[/?])*)?")
_NEVER = re.compile(r"//|%(?:[01][0-9A-Fa-f]|7[Ff]|5[Cc])")
_NEVER_IN_A_PATH = re.compile(r"%2[5EeFf]|/\.{1,2}(?:/|\Z)")
"""What could be read as another host, another folder or another line: also where it is escaped."""

_MY = "my/(?:items(?:/confirm)?|operators|bindings|devices|computer|sessions|looks|history)?"
_OWN = re.compile(rf"{HOME}(?:(?:continue|channels/[a-z0-9-]+/link)/[A-Za-z0-9_-]{{43}}|links|devices|{_MY})?")
"""Pages of the desk that a visitor may come back to: none that signs in or out."""


def is_local(address: str) -> bool:
    """Tell whether an address is a path of this very host, in one reading only."""
    path, _, query = address.partition("?")
    plain = (
        0 < len(quote_plus(address)) <= LONGEST
        and address.startswith("/")
        and _LOCAL.fullmatch(address) is not None
        and _NEVER.search(address) is None
        and _NEVER_IN_A_PATH.search(path) is None
    )
    if not plain:
        return False
    try:
        check_target(path, query)  # nobody is sent to where the gateway itself would refuse her
    except TargetRefused:
        return False
    return True


def may_return(address: str, allowed: Sequence[str]) -> bool:
    """Tell whether a visitor may be sent to an address after signing in.

    Args:
        address: path and query.
        allowed: paths, or beginnings of paths up to a `/`.
    """
    if not is_local(address):
        return False
    path = address.partition("?")[0]
    if path.startswith(SIGN_IN_PREFIX):
        return _OWN.fullmatch(path) is not None
    return any(path == one or path.startswith(one if one.endswith("/") else f"{one}/") for one in allowed)


def check_return(address: str, allowed: Sequence[str]) -> str:
    """The address, if a visitor may be sent there.

    Raises:
        SignInMalformed: not there; nobody is sent anywhere else instead.
    """
    if not may_return(address, allowed):
        raise SignInMalformed("return_to is no path of this host, or none that login.return_to allows")
    return address


def way_back(target: str, allowed: Sequence[str]) -> str | None:
    """Where to come back to after signing in: what was asked for; its path alone where the query is too long or odd.

    Args:
        target: path and query that were asked for.
        allowed: see may_return.

    Returns:
        None where a visitor may be sent to neither.
    """
    return next((one for one in (target, target.partition("?")[0]) if may_return(one, allowed)), None)


def login_address(return_to: str, **wanted: str | None) -> str:
    """Address of the desk's login.

    Args:
        return_to: where the visitor wants to go.
        wanted: further parameters; None leaves one out.
    """
    asked = {name: value for name, value in wanted.items() if value is not None}
    return f"{LOGIN}?{urlencode({'return_to': return_to} | asked)}"


def computer_address(return_to: str) -> str:
    """Address of the page where a designated computer is shown.

    Args:
        return_to: where the visitor wants to go afterwards.
    """
    return f"{COMPUTER}?{urlencode({'return_to': return_to})}"


def link_address(channel: str, id: str, return_to: str) -> str:  # noqa: A002
    """Address of the page where a channel account is linked to whoever is signed in; she may be sent to sign in first.

    Args:
        channel: name of the channel.
        id: of the kept account.
        return_to: where the visitor wants to go afterwards; left out where it is too long to be carried along twice.
    """
    page = f"{SIGN_IN_PREFIX}channels/{channel}/link/{id}"
    return way_back(f"{page}?{urlencode({'return_to': return_to})}", ()) or page


def public_address(request: web.Request, path: str) -> str:
    """A path of ours as the public reaches it: the gateway itself says how, on every request; never a client."""
    return f"{request.headers['X-Forwarded-Proto']}://{request.headers['X-Forwarded-Host']}{path}"


def callback_address(request: web.Request, platform: str) -> str:
    """Where a platform sends the browser back to."""
    return public_address(request, f"{SIGN_IN_PREFIX}callback/{platform}")
