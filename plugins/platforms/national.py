"""The national platform of the department's line (国家平台, 垂直系统): recognises persons who signed in there.

Every question carries `gjzwfwpt_*` fields; on the data exchange platform `gjgxjhpt_*`, with a secret that expires.
"""

import asyncio
import hashlib
import hmac
from base64 import b64encode
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from pydantic import Field, SecretStr, model_validator

from gateway import (
    CredentialRejected,
    HttpAnswer,
    Kind,
    Level,
    Login,
    PartContext,
    PlatformSettings,
    SignIn,
    SignInMalformed,
    SuccessRule,
    TicketPlatform,
    UrlPath,
    VerifierUnavailable,
    add_query,
    as_text,
    decrypt_aes_ecb,
    members_of,
    read_object,
    read_profile,
    read_token,
)

T = TypeVar("T")

_PERSON = {
    "name": "name",
    "id_type": "idtype",
    "id_number": "idnumber",
    "mobile": "mobile",
    "email": "email",
    "user_name": "username",
    "sex": "sex",
    "nation": "nation",
    "workplace": "workplace",
    "post": "post",
    "real_name": "isreal",
}
_UNIT = {
    "name": "orgname",
    "uscc": "uscc",
    "address": "orgaddress",
    "legal_representative": "legalperson",
    "registered_address": "regaddress",
    "registered_on": "regdate",
    "business_scope": "scope",
}
_PREFIX = {"direct": "gjzwfwpt_", "exchange": "gjgxjhpt_"}
_SECRET_RULE = SuccessRule("code", frozenset({"0", "200"}))
_EARLY = 60.0
"""Seconds before the end of a secret at which the next one is fetched."""


class NationalConfig(PlatformSettings):
    """Who we are there, and the services that we ask."""

    version: Literal["direct", "exchange"] = Field(
        "direct",
        description="`direct`: signed with our secret; `exchange`: with one fetched from the exchange platform",
    )
    requester: str = Field(min_length=1, description="our `rid`")
    secret: SecretStr | None = Field(None, description="`direct`: our `appsecret`, by reference")
    app_key: SecretStr | None = Field(None, description="`exchange`: our `appkey`, by reference; opens fetched secrets")
    key_derivation: Literal["sha1prng", "raw"] = Field(
        "sha1prng",
        description="AES key of `appkey`: the first 16 bytes of Java's SHA1PRNG seeded with it, or its own bytes",
    )
    secret_service: str = Field("", description="`exchange`: the `sid` of the service that gives out secrets")
    secret_path: UrlPath = Field("/sysapi/auth/refreshappsecret", description="`exchange`: where that service is")
    ticket_service: str = Field("", description="the `sid` of the service that validates tickets")
    ticket_path: UrlPath = Field("/sysapi/auth/ticketvalidate", description="where that service is")
    user_service: str = Field(min_length=1, description="the `sid` of the service that knows tokens")
    user_path: UrlPath = Field("/sysapi/auth/queryuser", description="where that service is")
    login_path: UrlPath | None = Field(
        None,
        description="the login page; takes `backurl`. Missing: it only recognises its tokens, nobody is sent there",
    )
    logout_path: UrlPath | None = Field(None, description="the logout page; takes `backurl`")
    assurance: dict[str, Level] = Field(
        {"2": 1, "3": 2, "4": 3, "5": 4, "二级": 1, "三级": 2, "四级": 3, "五级": 4},
        description="its levels (二级 to 五级) and ours of each; one that is not listed is 0",
    )

    @model_validator(mode="after")
    def _is_complete(self) -> "NationalConfig":
        if self.version == "direct" and not self.secret:
            raise ValueError("secret is missing; version direct signs with it")
        if self.version == "exchange" and not (self.app_key and self.secret_service):
            raise ValueError("app_key or secret_service is missing; version exchange fetches its secret with them")
        if self.login_path is not None and not self.ticket_service:
            raise ValueError("ticket_service is missing; without it nobody can come back from login_path")
        return self


class National(TicketPlatform[NationalConfig]):
    """Persons and units of the line. `code` 200 is yes, 300 is no."""

    Config = NationalConfig
    kinds = (Kind.NATURAL, Kind.LEGAL)
    good = ("200",)

    def __init__(self, config: NationalConfig, context: PartContext) -> None:
        super().__init__(config, context)
        self._secrets = ExchangeSecret(self)

    async def stop(self) -> None:
        """Give up a fetch that is under way."""
        await self._secrets.stop()

    def login_address(self, login: Login) -> str:
        """The login page, where there is one."""
        self.check_request(login)
        if self.config.login_path is None:
            raise SignInMalformed(f"{self.name} only recognises its tokens; nobody signs in there from here")
        asked = {"rid": self.config.requester, "backurl": self.callback(login)}
        return add_query(self.config.page(self.config.login_path), asked)

    def logout_address(self, signed_in: SignIn, return_to: str) -> str | None:
        """The logout page, where there is one."""
        path = self.config.logout_path
        return None if path is None else add_query(self.config.page(path), {"backurl": return_to})

    async def exchange(self, ticket: str, login: Login) -> str:
        """The token of a ticket."""
        config = self.config
        return await self._serve(config.ticket_service, config.ticket_path, {"ticket": ticket}, _read_ticket)

    async def describe(self, token: str, kind: Kind | None) -> SignIn:
        """Whom a token belongs to."""
        return await self._serve(self.config.user_service, self.config.user_path, {"token": token}, self._read_user)

    async def _serve(self, service: str, path: str, value: dict[str, str], read: Callable[[dict[str, Any]], T]) -> T:
        fields = self.signed(service, await self._secrets.current())
        return await self.ask(path, lambda said: read(members_of(said.get("data"))), value=value, fields=fields)

    def signed(self, service: str, secret: str) -> dict[str, str]:
        """The four fields of a question; what is asked is not covered, so TLS has to protect it."""
        prefix, time = _PREFIX[self.config.version], str(int(self.context.clock() * 1000))
        sign = sign_line(service, self.config.requester, time, secret)
        said = {"rid": self.config.requester, "sid": service, "rtime": time, "sign": sign}
        return {f"{prefix}{name}": value for name, value in said.items()}

    def _read_user(self, user: dict[str, Any]) -> SignIn:
        level, version = user.get("level"), user.get("version")
        if user.get("usertype") != "2":
            return SignIn(self.principal(user.get("userid"), level=level, version=version), read_profile(user, _PERSON))
        principal = self.principal(
            user.get("orgid"), kind=Kind.LEGAL, level=level, operator=user.get("userid"), version=version
        )
        return SignIn(principal, read_profile(user, _UNIT, unit=True), person=read_profile(user, _PERSON))


class ExchangeSecret:
    """The secret that questions are signed with: the configured one, or the one fetched last, until its end.

    Args:
        platform: whose.
    """

    def __init__(self, platform: National) -> None:
        self._platform = platform
        self._config = platform.config
        self._secret = ""
        self._ends_at = 0.0
        self._flight: asyncio.Task[None] | None = None

    async def current(self) -> str:
        """The secret of now; of many that need a new one, one fetches it, and a failure is everybody's.

        Raises:
            VerifierUnavailable: there is none, and none can be had.
        """
        if self._config.secret is not None and self._config.version == "direct":
            return self._config.secret.get_secret_value()
        now = self._platform.context.clock()
        if now >= self._ends_at - _EARLY:
            if self._flight is None:
                self._flight = asyncio.get_running_loop().create_task(self._fetch())
                self._flight.add_done_callback(self._landed)
            await self._wait(self._flight)
        return self._secret

    async def stop(self) -> None:
        """Give up the fetch under way."""
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.gather(self._flight, return_exceptions=True)

    async def _wait(self, flight: "asyncio.Task[None]") -> None:
        try:
            await asyncio.shield(flight)
        except asyncio.CancelledError:
            if flight.cancelled():  # the fetch was given up, not this question
                raise VerifierUnavailable("the fetch of the secret was given up") from None
            raise

    def _landed(self, flight: "asyncio.Task[None]") -> None:
        self._flight = None
        if not flight.cancelled():
            flight.exception()  # is looked at here in case that everybody who waited for it has left

    async def _fetch(self) -> None:
        platform, config = self._platform, self._config
        fields = platform.signed(config.secret_service, self._app_key())
        url = config.interface(config.secret_path)
        try:
            said = await platform.calls.ask(url, self._read, fields=fields, value=fields)
        except (CredentialRejected, VerifierUnavailable) as error:
            if platform.context.clock() >= self._ends_at:
                raise VerifierUnavailable(f"no secret for the exchange platform: {error}") from None
            return  # the one in hand holds a little longer
        self._secret, self._ends_at = said

    def _read(self, answer: HttpAnswer) -> tuple[str, float]:
        said = read_object(answer)
        _SECRET_RULE.check(said)
        data = members_of(said.get("data"))
        ends_at = int(as_text(data.get("secretEndTime")) or "") / 1000
        if ends_at <= self._platform.context.clock():
            raise ValueError("the secret has ended already")
        secret = decrypt_aes_ecb(self._aes_key(), as_text(data.get("secret")) or "").decode("utf-8")
        if not secret:
            raise ValueError("the secret is empty")
        return secret, ends_at

    def _app_key(self) -> str:
        return self._config.app_key.get_secret_value() if self._config.app_key else ""

    def _aes_key(self) -> bytes:
        key = self._app_key().encode()
        if self._config.key_derivation == "raw":
            return key
        # What `SecureRandom.getInstance("SHA1PRNG")` gives first after `setSeed(key)`.
        seed = hashlib.sha1(key, usedforsecurity=False).digest()
        return hashlib.sha1(seed, usedforsecurity=False).digest()[:16]


def sign_line(service: str, requester: str, time: str, secret: str) -> str:
    """`gjzwfwpt_sign`: base64 of HMAC-SHA256 over service, requester and time in milliseconds."""
    text = f"{service}{requester}{time}".encode()
    return b64encode(hmac.digest(secret.encode(), text, hashlib.sha256)).decode()


def _read_ticket(data: dict[str, Any]) -> str:
    return read_token(data.get("token"))
