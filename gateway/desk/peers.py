"""Pages of the desk for platforms and departments instead of people: the routed question, and logout notices.

identity/introspection.py and identity/notices.py are what they say; identity/peers.py is how a caller proves itself.
"""

from collections.abc import Awaitable, Callable, Mapping

import msgspec
from aiohttp import web
from msgspec.structs import replace

from gateway.contracts import PartContext, Store
from gateway.desk.call import note
from gateway.desk.desk import AnyPlatform
from gateway.desk.pages import PRIVATE
from gateway.desk.parameters import read_body, read_form
from gateway.errors import ChannelRejected, ConfigurationError, CredentialRejected, ItemUnknown, SignInMalformed
from gateway.identity.introspection import INACTIVE, RoutedIntrospection
from gateway.identity.notices import (
    LOGOUT_TYPES,
    LONGEST_NOTICE,
    REMEMBERED,
    Notice,
    read_cas_request,
    read_logout_token,
    read_signed_notice,
)
from gateway.identity.peers import PeerKey, PeerRequest, Peers
from gateway.signin_settings import SIGN_IN_PREFIX, LoginSettings
from gateway.throttle import client_key
from gateway.units import lies_in

Spend = Callable[[str, str, str], None]
"""Counts one request: rate, kind of key, key. Raises RateLimited."""
End = Callable[[Notice], Awaitable[int]]
"""Ends what a notice names, everywhere, and gives how many sessions were open here."""


class PeerDesk:
    """The pages and what they need.

    Args:
        login: `login:` of policy.yaml.
        platforms: by name.
        introspection: answers the routed question.
        end: see End.
        spend: see Spend.
        store: remembers logout tokens.
        context: lent to the desk.

    Raises:
        ConfigurationError: a key cannot be read.
    """

    def __init__(
        self,
        login: LoginSettings,
        platforms: Mapping[str, AnyPlatform],
        introspection: RoutedIntrospection,
        end: End,
        spend: Spend,
        store: Store,
        context: PartContext,
    ) -> None:
        self._login = login
        self._platforms = platforms
        self._introspection = introspection
        self._end = end
        self._spend = spend
        self._store = store
        self._clock = context.clock
        askers = [] if login.introspection is None else login.introspection.clients
        signers = login.notices.signed
        try:
            self._askers = Peers(
                [PeerKey(one.id, one.method, one.secret.get_secret_value()) for one in askers],
                replace(context, name="sso-introspect"),
            )
            self._signers = Peers(
                [PeerKey(one.id, one.algorithm, one.key.get_secret_value(), one.issuer) for one in signers],
                replace(context, name="sso-notice"),
            )
        except ValueError as exc:
            raise ConfigurationError([f"login: a key of introspection or notices: {exc}"]) from exc

    def routes(self) -> list[web.RouteDef]:
        """Those pages that the configuration opens."""
        notices, at = self._login.notices, f"{SIGN_IN_PREFIX}notices/"
        return [
            *([web.post(f"{SIGN_IN_PREFIX}introspect", self.introspect)] if self._login.introspection else []),
            *([web.post(f"{at}backchannel", self.take_logout_token)] if notices.backchannel else []),
            *([web.post(f"{at}cas", self.take_cas_request)] if notices.cas else []),
            *([web.post(f"{at}signed", self.take_signed_notice)] if notices.signed else []),
        ]

    @property
    def clock_offsets(self) -> dict[str, float]:
        """By peer, seconds that its clock is ahead of ours."""
        return self._askers.clock_offsets | self._signers.clock_offsets

    # ── the routed question ───────────────────────────────────────────────────────────────────────────────────────

    async def introspect(self, request: web.Request) -> web.Response:
        """Say whether a token that was given out here still holds (RFC 7662).

        Counted twice: by address, so that nobody tries secrets out without end, and by who it proved to be.
        """
        settings = self._login.introspection
        if settings is None:
            raise ItemUnknown("nobody may ask about tokens")
        self._spend(settings.rate, "introspection-client", client_key(_client(request)))
        asked = await _as_peer_request(request)
        peer = await self._askers.recognise(asked)
        self._spend(settings.rate, "introspection", peer.id)
        token = (await read_form(request)).get("token")
        said = INACTIVE if token is None else await self._introspection.answer(token)
        note(request, peer.id, "active" if said["active"] else "not active")
        body = msgspec.json.encode(said)
        fields = PRIVATE | self._askers.sign_answer(peer, asked, body)
        return web.Response(body=body, content_type="application/json", headers=fields)

    # ── notices ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def take_logout_token(self, request: web.Request) -> web.Response:
        """Take a logout token of a platform (OIDC Back-Channel Logout §2.5); whatever is wrong with it is a 400.

        Its use is noted after what it names has ended: one that could not be followed comes again, and counts. Two that
        come at once both end the same.
        """
        self._count(request)
        platform = self._platforms[self._login.notices.backchannel or ""]
        token = (await read_form(request)).get("logout_token", "")
        try:
            claims = await platform.read_signed(token, LOGOUT_TYPES)
        except CredentialRejected as error:
            raise SignInMalformed(f"logout token: {error.detail}") from None
        notice, use = read_logout_token(claims, platform.issuer, self._clock())
        if await self._store.read(use) is not None:
            raise SignInMalformed("logout token: was here before")  # a 400 as all that is wrong with one (§2.8)
        answer = await self._take(request, platform.name, notice)
        await self._store.write(use, b"used", REMEMBERED)
        return answer

    async def take_cas_request(self, request: web.Request) -> web.Response:
        """Take a CAS logout request. Nobody signs those, so only the platform's own addresses may send them."""
        self._count(request)
        settings = self._login.notices.cas
        if settings is None or not lies_in(_client(request), settings.networks):
            raise ChannelRejected("a CAS notice from an address that sends none")
        document = (await read_form(request)).get("logoutRequest", "")
        issuer = self._platforms[settings.platform].issuer
        return await self._take(request, settings.platform, read_cas_request(document, issuer, self._clock()))

    async def take_signed_notice(self, request: web.Request) -> web.Response:
        """Take a JSON notice in a signed request."""
        self._count(request)
        asked = await _as_peer_request(request)
        peer = await self._signers.recognise(asked)
        return await self._take(request, peer.id, read_signed_notice(asked.body, peer.issuer, self._clock()))

    def _count(self, request: web.Request) -> None:
        self._spend(self._login.notices.rate, "notices", client_key(_client(request)))

    async def _take(self, request: web.Request, sender: str, notice: Notice) -> web.Response:
        note(request, sender, f"ended {await self._end(notice)}")
        return web.Response(headers=PRIVATE)  # also where nobody was signed in: what was asked for holds


async def _as_peer_request(request: web.Request) -> PeerRequest:
    path, _, query = request.raw_path.partition("?")
    fields = {name.lower(): value for name, value in request.headers.items()}
    return PeerRequest(request.method, path, query, fields, await read_body(request, LONGEST_NOTICE))


def _client(request: web.Request) -> str:
    """The client's address, as the edge found it out; nobody else reaches this desk."""
    return request.headers.get("X-Forwarded-For", "")
