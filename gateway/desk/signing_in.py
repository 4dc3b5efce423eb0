"""Signing in at a platform: the way there (`/sso/login`) and back (`/sso/callback/{platform}`), as browsers take it.

arriving.py has what a callback leads to.
"""

import re

import msgspec
from aiohttp import web

from gateway.desk.addresses import HOME, callback_address, check_return, login_address
from gateway.desk.arriving import Arriving
from gateway.desk.browser import bind, find_session, new_binding, read_binding
from gateway.desk.call import note
from gateway.desk.desk import Desk, desk_of
from gateway.desk.pages import page, see_other
from gateway.desk.parameters import Parameters, read_form, read_query
from gateway.errors import CannotDecide, GatewayError, SignInMalformed
from gateway.identity.logins import new_login
from gateway.identity.storage import remember
from gateway.model import Kind, Principal
from gateway.reauthorization import ACR_VALUES
from gateway.signin import Login

_SECONDS = re.compile(r"[0-9]{1,9}")


class Wish(msgspec.Struct, frozen=True):
    """What the visitor asks of a login; the fields are the parameters of `/sso/login`, `kind` is its `as`."""

    return_to: str = HOME
    platform: str | None = None
    kind: Kind | None = None
    acr_values: str | None = None
    max_age: int | None = None


# ── there ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def login(request: web.Request) -> web.Response:
    """Send the browser to the platform; with `choose` a page asks first where there are several."""
    desk = desk_of(request)
    asked = read_query(request)
    wish = read_wish(asked, desk)
    if "choose" in asked and len(desk.places()) > 1:
        return page("choice", places=ways_in(desk, wish))
    session = await find_session(request)
    name, kind = _choose(desk, wish, None if session is None else session.signed_in.sign_in.principal)
    began = new_login(
        name,
        kind,
        callback_address(request, name),
        desk.clock(),
        acr_values=wish.acr_values,
        max_age=wish.max_age,
    )
    response = see_other(desk.platform(name).login_address(began))
    await begin(request, response, began, wish.return_to)
    return response


def ways_in(desk: Desk, wish: Wish) -> list[dict[str, str]]:
    """The ways to sign in, as a page shows them: `address`, `kind` and `name` of each."""
    max_age = None if wish.max_age is None else str(wish.max_age)
    asked = {"acr_values": wish.acr_values, "max_age": max_age}
    return [
        {
            "address": login_address(wish.return_to, platform=name, **{"as": kind.value}, **asked),
            "kind": kind.value,
            "name": name,
        }
        for name, kind in desk.places()
    ]


async def begin(request: web.Request, response: web.Response, began: Login, return_to: str) -> None:
    """Note a login of this browser, and bind it to it by the answer's cookie."""
    desk = desk_of(request)
    binding = read_binding(request) or new_binding()
    session = await find_session(request)
    replaced = None if session is None else session.id
    await desk.logins.begin(began, return_to, binding, desk.login.timeout, session=replaced)
    bind(response, binding, desk.login.timeout)


def read_wish(asked: Parameters, desk: Desk) -> Wish:
    """Read the parameters of `/sso/login`; others, such as `ui_locales`, change nothing.

    Raises:
        SignInMalformed: one of them cannot be.
    """
    acr_values, max_age = asked.get("acr_values"), asked.get("max_age")
    if acr_values is not None and not ACR_VALUES.fullmatch(acr_values):
        raise SignInMalformed("acr_values are no names of login levels")
    if max_age is not None and not _SECONDS.fullmatch(max_age):
        raise SignInMalformed("max_age is no number of seconds")
    if asked.get("as", "natural") not in (Kind.NATURAL, Kind.LEGAL):
        raise SignInMalformed("as is neither natural nor legal")
    return Wish(
        check_return(asked.get("return_to", HOME), desk.login.return_to),
        asked.get("platform"),
        Kind(asked["as"]) if "as" in asked else None,
        acr_values,
        None if max_age is None else int(max_age),
    )


def _choose(desk: Desk, wish: Wish, known: Principal | None) -> tuple[str, Kind]:
    """The platform and as whom: as asked, or where the person signed in before, or the first one."""
    places = desk.places()
    if wish.platform is not None or wish.kind is not None:
        fitting = [place for place in places if wish.platform in (None, place[0]) and wish.kind in (None, place[1])]
        if fitting:
            return fitting[0]
        if wish.platform is None or wish.kind is None or wish.platform not in dict(places):
            raise SignInMalformed("nobody signs in at this platform, or not as such a person")
        return wish.platform, wish.kind  # whether it signs in such persons is the platform's to say
    if known is not None and known.verifier in dict(places):
        return known.verifier, known.kind
    return places[0]


# ── back ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def callback(request: web.Request) -> web.Response:
    """Take what the platform sends the browser back with, sign the person in, and send her to where she wanted to go.

    Everything after the state was found is done once, also when the browser sends this fifty times.
    """
    desk = desk_of(request)
    platform = desk.platform(request.match_info["platform"])
    answer = await read_answer(request)
    try:
        arrival = await Arriving(desk, platform, answer, callback_address(request, platform.name)).finish(
            read_binding(request)
        )
    except GatewayError as error:
        note(request, platform.name, "cannot tell" if isinstance(error, CannotDecide) else "rejected")
        if isinstance(error, SignInMalformed):
            desk.log.info("sign-in refused", platform=platform.name, outcome=error.code, reason=error.detail)
        raise
    note(request, platform.name, "signed in", arrival.signed_in.principal)
    remember(request, arrival.id, arrival.signed_in)
    return see_other(arrival.return_to)


async def read_answer(request: web.Request) -> Parameters:
    """Parameters of a callback: of its address, and of its form where the platform sends one.

    Raises:
        SignInMalformed: one is there twice, also once in each; or it is too long.
        BodyTooLarge: the form is.
    """
    answer = read_query(request)
    if request.method != "POST":
        return answer
    form = await read_form(request)
    if answer.keys() & form.keys():
        raise SignInMalformed("a parameter is in the address and in the form")
    return answer | form
