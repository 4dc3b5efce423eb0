"""Guangdong's unified authentication (tyrz): OAuth 2, tokens that end in `@node`, a signed envelope about the person.

The node is what the province routes a question about a token by. tif.py reads what its gateway hands on about callers.
"""

import re
from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import Field, SecretStr, model_validator

from gateway import (
    LOCAL_ZONE,
    CannotDecide,
    CredentialRejected,
    CryptoProvider,
    Duration,
    HttpAnswer,
    Kind,
    Level,
    Login,
    PartContext,
    PlatformSettings,
    Settings,
    SignatureEncoding,
    SignatureKey,
    SignIn,
    TicketPlatform,
    UntrueAnswer,
    UrlPath,
    VerifierUnavailable,
    add_query,
    as_text,
    check_signature_key,
    member_source,
    members_of,
    read_object,
    read_profile,
    read_signature_key,
    read_token,
)

_PERSON = {
    "name": "cn",
    "id_type": "idcardtype",
    "id_number": "idcardnumber",
    "mobile": "telephonenumber",
    "email": "mail",
    "user_name": "uid",
    "sex": "sex",
    "address": "address",
    "real_name": "isreal",
}
_UNIT = {
    "name": "cn",
    "id_type": "idcardtype",
    "uscc": "uscc",
    "legal_representative": "legal_person",
    "address": "address",
    "user_name": "uid",
    "real_name": "isreal",
}
_ACTING = {
    "name": "link_person_name",
    "id_type": "link_person_type",
    "id_number": "link_person_code",
    "mobile": "telephonenumber",
}
_UNIFIED_CODE = "49"
"""`idcardtype` of the 统一社会信用代码."""
_NOTHING = "-1"
_REFUSALS = frozenset({"invalid_grant", "invalid_token", "expired_token", "access_denied"})
_DAY = 86400.0


class EnvelopeSettings(Settings):
    """How the envelope about a person is signed, as it was agreed with the platform."""

    algorithm: Literal["hmac-sha256", "hmac-sm3", "sm2"] = Field(
        "hmac-sha256", description="of `sign` (base64), over `b_content` as it came, `time_stamp` and `version`"
    )
    key: SecretStr = Field(min_length=16, description="the shared secret, or the SM2 public key (PEM or 130 digits)")
    encoding: SignatureEncoding = Field("raw", description="how an SM2 signature is written")
    window: Duration = Field(300.0, gt=0, le=86400, description="how far `time_stamp` may be from our clock")

    @model_validator(mode="after")
    def _has_key(self) -> "EnvelopeSettings":
        check_signature_key(self.algorithm, self.key.get_secret_value())
        return self

    def signature_key(self, crypto: CryptoProvider) -> SignatureKey:
        """What checks the signatures."""
        return read_signature_key(self.algorithm, self.key.get_secret_value(), crypto, der=self.encoding == "der")


class GuangdongConfig(PlatformSettings):
    """Our application and where the steps are."""

    client_id: str = Field(min_length=1, description="our `client_id`")
    client_secret: SecretStr = Field(min_length=1, description="its secret, by reference")
    version: Literal["tif", "pscp"] = Field("tif", description="which generation: the first part of every path")
    envelope: EnvelopeSettings = Field(description="how what it says of people is signed")
    tokens: str = Field(
        r"[A-Za-z0-9._~+/*-]+=*@[A-Za-z0-9._-]{1,64}",
        description="form of its tokens, a regular expression; every other token is left to the next verifier",
    )
    assurance: dict[str, Level] = Field(
        {"L0": 0, "L1": 2, "L2": 3, "L3": 4},
        description="values of `creditable_level_of_account` and our level of each; one that is not listed is 0",
    )
    login_path: UrlPath = Field("/sso/connect/page/oauth2/authorize", description="the login page")
    token_path: UrlPath = Field("/sso/connect/page/oauth2/access_token", description="where codes are exchanged")
    user_path: UrlPath = Field("/sso/connect/page/oauth2/tokeninfo", description="where tokens are asked about")
    logout_path: UrlPath = Field("/_tif_sso_logout_/", description="the logout page")


class Guangdong(TicketPlatform[GuangdongConfig]):
    """Persons and units. An `error` or an `errcode` other than 0 is no yes, whatever the HTTP status."""

    Config = GuangdongConfig
    ticket = "code"
    kinds = (Kind.NATURAL, Kind.LEGAL)

    def __init__(self, config: GuangdongConfig, context: PartContext) -> None:
        super().__init__(config, context)
        self._key = config.envelope.signature_key(context.crypto)

    def login_address(self, login: Login) -> str:
        """The authorization page (RFC 6749 §4.1.1)."""
        self.check_request(login)
        asked = {
            "service": "initService",
            "response_type": "code",
            "client_id": self.config.client_id,
            "scope": "all",
            "redirect_uri": login.callback,
            "state": login.state,
        }
        return add_query(self.config.page(f"/{self.config.version}{self.config.login_path}"), asked)

    def logout_address(self, signed_in: SignIn, return_to: str) -> str | None:
        """The logout page."""
        return add_query(self.config.page(self.config.logout_path), {"redirect_uri": return_to})

    async def exchange(self, ticket: str, login: Login) -> str:
        """The token of a code (RFC 6749 §4.1.3)."""
        asked = {
            "grant_type": "authorization_code",
            "code": ticket,
            "redirect_uri": login.callback,
            "scope": "all",
            "client_id": self.config.client_id,
            "client_secret": self.config.client_secret.get_secret_value(),
        }
        path = f"/{self.config.version}{self.config.token_path}"
        return await self.ask(path, lambda said: read_token(said.get("access_token")), form=asked)

    async def describe(self, token: str, kind: Kind | None) -> SignIn:
        """The envelope about whoever a token belongs to."""
        url = self.config.interface(f"/{self.config.version}{self.config.user_path}")
        return await self.calls.ask(url, self._read_envelope, form={"access_token": token})

    def judge(self, answer: HttpAnswer) -> dict[str, Any]:
        """The members of an answer without an error in it; errors come with 200, 400 or 401."""
        said = read_object(answer, statuses=frozenset({200, 400, 401}))
        error, code = as_text(said.get("error")), as_text(said.get("errcode")) or "0"
        if error is not None and error not in _REFUSALS:
            raise VerifierUnavailable(f"the platform reports a fault: {error[:32]}")
        if code in self.config.faults:
            raise VerifierUnavailable(f"the platform reports a fault: {code[:32]}")
        if error is not None or code != "0":
            raise CredentialRejected(f"the platform says no: {(error or code)[:32]}")
        if answer.status != 200:
            raise ValueError(f"status {answer.status}")
        return said

    def _read_envelope(self, answer: HttpAnswer) -> SignIn:
        said = self.judge(answer)
        self._check_signature(said, member_source(answer.body.decode(), "b_content"))
        self._check_time(as_text(said.get("time_stamp")) or "")
        content = members_of(said["b_content"])
        user = _flat(content.get("userobj"))
        return self._read_unit(user, content) if user.get("usertype") == "2" else self._read_person(user)

    def _check_signature(self, said: Mapping[str, Any], content: str) -> None:
        stamp, version, sign = (as_text(said.get(name)) for name in ("time_stamp", "version", "sign"))
        if stamp is None or sign is None:
            raise ValueError("the envelope is not signed")
        text = f"{content}{stamp}{version or ''}"
        try:
            holds = self._key.verified(text.encode(), b64decode(sign, validate=True)) is not None
        except CannotDecide as error:
            raise VerifierUnavailable(f"the envelope cannot be checked: {error}") from None
        except ValueError:
            holds = False
        if not holds:
            raise UntrueAnswer("the envelope's signature does not hold")

    def _check_time(self, stamp: str) -> None:
        begin, end = _span_of(stamp)
        now, window = self.context.clock(), self.config.envelope.window
        if not begin - window <= now <= end + window:
            raise UntrueAnswer(f"the envelope was signed {begin - now:+.0f} s from now")

    def _read_person(self, user: dict[str, Any]) -> SignIn:
        principal = self.principal(
            user.get("useridcode"), level=user.get("creditable_level_of_account"), version=user.get("uversion")
        )
        return SignIn(principal, read_profile(user, _PERSON))

    def _read_unit(self, user: dict[str, Any], content: Mapping[str, Any]) -> SignIn:
        """The unit is the main account; who acts is the sub-account, or else the person named by the main account."""
        parent = user.get("parent_uidcode")
        main = _flat(content.get("pareobj", {})) if parent else user
        principal = self.principal(
            parent or user.get("useridcode"),
            kind=Kind.LEGAL,
            level=user.get("creditable_level_of_account"),
            operator=user.get("useridcode") if parent else user.get("link_person_code"),
            version=user.get("uversion"),
        )
        unit = main | ({"uscc": main.get("idcardnumber")} if main.get("idcardtype") == _UNIFIED_CODE else {})
        person = read_profile(user, _ACTING | ({"name": "cn"} if parent and "link_person_name" not in user else {}))
        return SignIn(principal, read_profile(unit, _UNIT, unit=True), person=person)


def _span_of(stamp: str) -> tuple[float, float]:
    """Between which Unix seconds a time stamp lies: seconds, milliseconds, local `YYYYMMDDhhmmss`, or a local day."""
    if re.fullmatch(r"[0-9]{10}|[0-9]{13}", stamp):
        at = int(stamp) / (1000 if len(stamp) == 13 else 1)
        return at, at
    try:
        form = "%Y%m%d" if len(stamp) == 8 else "%Y%m%d%H%M%S"
        at = datetime.strptime(stamp, form).replace(tzinfo=LOCAL_ZONE).timestamp()
    except ValueError:
        raise UntrueAnswer("the envelope's time_stamp is none") from None
    return at, at + (_DAY if len(stamp) == 8 else 0)


def _flat(account: object) -> dict[str, Any]:
    """An account with what its `extproperties` (`k=v`) say more; `-1` says nothing."""
    members = members_of(account)
    listed = members.pop("extproperties", [])
    pairs = [one.partition("=") for one in listed if isinstance(one, str)] if isinstance(listed, list) else []
    more = {name: value for name, _, value in pairs}
    return {name: value for name, value in (more | members).items() if value not in (_NOTHING, "")}
