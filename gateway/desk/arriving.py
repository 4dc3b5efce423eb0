"""What a platform's callback leads to: one exchange, a look at what came of it, and a session.

A login belongs to the browser that began it, its ticket or code is exchanged once, and the session that follows has an
id that nobody knew before (RFC 6749 §10.12, RFC 9700 §2.1 and §4.7).
"""

import re
from collections.abc import Awaitable
from typing import NamedTuple

from msgspec.structs import replace

from gateway.desk.acting import same_identity
from gateway.desk.addresses import HOME
from gateway.desk.desk import AnyPlatform, Desk
from gateway.desk.parameters import Parameters
from gateway.errors import GatewayError, SignInMalformed, SignInRefused, StepUpRequired
from gateway.identity.logins import Pending, new_login
from gateway.identity.sessions import SignedIn
from gateway.model import Kind, Principal
from gateway.platforms.tickets import check_kind
from gateway.signin import Login, SignIn

LEEWAY = 60.0
"""Seconds by which a platform's clock may be behind ours when a fresh login is asked for."""

_ERROR = re.compile(r"[a-z_]{1,64}")
_TOO_WEAK = (
    "本次登录未达到办理该事项所需的认证等级或时效，请按平台提示提升认证后重试，或到线下窗口办理。",
    "This sign-in is not strong or fresh enough. Raise your level at the platform, or visit the service counter.",
)


class Arrival(NamedTuple):
    """Somebody has signed in: the session, its id, and where she goes on."""

    id: str
    signed_in: SignedIn
    return_to: str


class Arriving:
    """One callback.

    Args:
        desk: see Desk.
        platform: whose callback it is.
        answer: its parameters.
        callback: the address it came to, which some platforms want to hear again (RFC 6749 §4.1.3).
    """

    def __init__(self, desk: Desk, platform: AnyPlatform, answer: Parameters, callback: str) -> None:
        self._desk = desk
        self._platform = platform
        self._answer = answer
        self._callback = callback
        # A portal sends visitors without a state of ours; whoever brings one has begun here, and must have it right.
        self._unsolicited = platform.name in desk.login.unsolicited and "state" not in answer

    async def finish(self, binding: str | None) -> Arrival:
        """Sign the person in, once for all callbacks of a login.

        Args:
            binding: the secret in the browser's login cookie; None when it has none.

        Raises:
            SignInMalformed: no such login is under way in this browser, or it is over.
            SignInRefused, StepUpRequired, CannotDecide: as `_arrive`.
        """
        state = self._answer.get("state")
        tells = state is not None or not self._platform.brings_state
        if not self._unsolicited and (binding is None or not tells):
            missing = "the cookie of the browser that began the login" if tells else "the state of a login"
            raise SignInMalformed(f"a callback without {missing}")
        if binding is not None and tells:
            try:
                return await self._desk.logins.finish(
                    state, binding, self._platform.name, self._answer, lambda pending: self._once(pending, binding)
                )
            except SignInMalformed:
                if not self._unsolicited:
                    raise
        return await self._once(None, binding)

    async def _once(self, pending: Pending | None, binding: str | None) -> Arrival:
        """Where a ticket may come with a login of ours or without, it is exchanged once all the same.

        A browser without a login cookie cannot be told from another one that has the ticket, so it is given no session
        a second time.
        """
        if not self._unsolicited:
            return await self._noted(self._arrive(pending))
        ticket = "\n".join((self._platform.name, *(f"{name}={value}" for name, value in sorted(self._answer.items()))))
        return await self._desk.logins.exchange_once(ticket, lambda: self._noted(self._arrive(pending)), caller=binding)

    async def _arrive(self, pending: Pending | None) -> Arrival:
        """Begin the session; nothing is changed before all is known to hold.

        Raises:
            SignInRefused: the platform says no, or who came is no unit where one was to.
            StepUpRequired: the login is weaker or older than was asked for.
            CannotDecide: the platform or the store cannot be asked.
        """
        desk = self._desk
        login = self._portal_login() if pending is None else pending.login
        sign_in = await self._redeem(login)
        check_kind(sign_in.principal, login)
        self._check_reached(sign_in.principal, login)
        replaced = None if pending is None else pending.session
        before = None if replaced is None else await desk.sessions.open(replaced)
        id, signed_in = await desk.sessions.begin(sign_in, replaces=replaced)  # noqa: A001
        acting = None if before is None else same_identity(sign_in, before.principal)
        if acting is not None:  # she goes on as the unit she was before the stronger login
            id, signed_in = await desk.sessions.change(id, acting)  # noqa: A001
        await desk.recorded(signed_in)
        return Arrival(id, signed_in, HOME if pending is None else pending.return_to)

    def _portal_login(self) -> Login:
        """The login as it would have been, had the visitor begun it here."""
        places = dict(reversed(self._desk.places()))  # a person's, where both sign in
        name = self._platform.name
        return new_login(name, places.get(name, Kind.NATURAL), self._callback, self._desk.clock())

    async def _redeem(self, login: Login) -> SignIn:
        name = self._platform.name
        if "error" in self._answer:  # RFC 6749 §4.1.2.1
            told = self._answer["error"]
            raise SignInRefused(f"{name} says {told if _ERROR.fullmatch(told) else 'something unreadable'}")
        sign_in = await self._platform.redeem(self._answer, login)
        principal = replace(sign_in.principal, issued_at=self._desk.clock(), verifier=name)
        if self._desk.revocations.deny(principal):
            raise SignInRefused("the platform's session was withdrawn: it has to be begun anew there")
        return replace(sign_in, principal=principal)

    def _check_reached(self, principal: Principal, login: Login) -> None:
        """Hold a login to what it was asked to be, so that nobody is sent round in a circle."""
        if not (self._is_strong(principal, login) and self._is_fresh(principal, login)):
            raise StepUpRequired(
                f"assurance {principal.assurance} since {principal.authenticated_at}; "
                f"asked for {login.acr_values!r} and max_age {login.max_age}",
                acr_values=login.acr_values or "0",
                max_age=login.max_age,
                title=_TOO_WEAK,
            )

    def _is_strong(self, principal: Principal, login: Login) -> bool:
        """One of the levels that were asked for, or a higher one."""
        wanted = [] if login.acr_values is None else login.acr_values.split(" ")
        levels = [self._platform.level_of(word) for word in wanted]
        return not wanted or principal.level in wanted or any(0 < level <= principal.assurance for level in levels)

    def _is_fresh(self, principal: Principal, login: Login) -> bool:
        if login.max_age is None:
            return True
        oldest = self._desk.clock() - login.max_age if login.max_age else login.began_at - LEEWAY
        return principal.authenticated_at is not None and principal.authenticated_at >= oldest

    async def _noted(self, step: Awaitable[Arrival]) -> Arrival:
        """Tell the application log how a sign-in ended; nothing about the person."""
        log = self._desk.log.bind(platform=self._platform.name)
        try:
            arrival = await step
        except SignInMalformed:
            raise  # told by the page, also where no exchange was made
        except GatewayError as error:
            log.warning("sign-in refused", outcome=error.code, reason=error.detail)
            raise
        log.info("signed in", outcome="signed-in", handle=arrival.signed_in.handle)
        return arrival
