"""The UnionPay channel (银联): messages of the payment gateway (ACP 5.1.0), and mini-programs and pages in 云闪付.

docs/channels.md describes it for those who configure and call; sandbox/channel_platforms.py plays UnionPay's side.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlencode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from pydantic import Field, SecretStr, model_validator

from gateway import (
    LOCAL_ZONE,
    CallSettings,
    CannotDecide,
    ChannelAccount,
    ChannelRejected,
    Credential,
    CryptoError,
    Duration,
    Freshness,
    HttpAnswer,
    Inbound,
    PartContext,
    PlatformCalls,
    Settings,
    SignInChannel,
    SignInRefused,
    TrustAnchors,
    VerifierUnavailable,
    aside,
    check_platform_address,
    check_split,
    common_name,
    decode_base64,
    read_authority,
    read_bearer,
    read_object,
    read_parameters,
    rejecting,
    rsa_key,
    sm2_key,
)

LABEL = b"x-unionpay-appid"
VERSION = b"5.1.0"
TEST_SIGNER = "00040000:SIGN"
"""What UnionPay's test system calls itself where its name would be."""

_BAD_CODE = "a31"
_BAD_BACKEND_TOKEN = frozenset({"a10", "BC2127", "N62127"})
_TIME = re.compile(rb"[0-9]{14}")
_DIGEST = re.compile(rb"[0-9a-f]{64}")
_BLANKS = bytes(range(33))
"""What Java's `trim` takes away."""
_CODE = re.compile(r"[A-Za-z0-9+/=_-]{1,256}")
_ACCOUNT = re.compile(r"[!-~]{1,128}")
_LONGEST_LIFE = 7200.0


class AcpSettings(Settings):
    """Messages of the payment gateway (全渠道), one merchant agreement."""

    paths: tuple[str, ...] = Field(min_length=1, description="where 后台通知 and 前台通知 arrive")
    merchants: tuple[str, ...] = Field(min_length=1, description="our `merId`s; a message for another one is refused")
    sign_method: Literal["01", "11", "12", "21"] = Field(
        "01", description="01 RSA, 11 SHA-256 with a key, 12 SM3 with a key, 21 SM2; no message chooses another"
    )
    keys: tuple[SecretStr, ...] = Field((), description="of 11 and 12, by reference; newest first")
    roots: tuple[str, ...] = Field((), description="of 01 and 21: PEM of the authorities that are believed (CFCA)")
    intermediates: tuple[str, ...] = Field((), description="PEM of authorities between them and UnionPay's certificate")
    organisation: str = Field("中国银联股份有限公司", min_length=1, description="whose certificate signs: in its CN")
    revoked: tuple[str, ...] = Field((), description="serial numbers (decimal) of certificates that hold no longer")
    allow_test_ca: bool = Field(
        False, description="accept test authorities and UnionPay's test system; never in production"
    )
    window: Duration = Field(
        300.0,
        gt=0,
        le=604800,
        description="how far `txnTime` may be from our clock; signatures are remembered twice as long",
    )

    @model_validator(mode="after")
    def _is_sound(self) -> "AcpSettings":
        if self.sign_method in ("11", "12") and (not self.keys or not all(key.get_secret_value() for key in self.keys)):
            raise ValueError(f"sign_method {self.sign_method} needs keys, none of them empty")
        if self.sign_method in ("01", "21") and not self.roots:
            raise ValueError(f"sign_method {self.sign_method} needs roots")
        for authority in map(read_authority, self.roots + self.intermediates):
            if "TEST" in authority.subject.rfc4514_string().upper() and not self.allow_test_ca:
                raise ValueError("a test authority; production does not believe it (allow_test_ca)")
        return self


class UnionPayConfig(Settings):
    """One application in 云闪付 and one merchant agreement; either may be missing."""

    app_id: str = Field(
        pattern=r"^[A-Za-z0-9_-]{1,64}$", description="appId of 云闪付, or any name of our own without one"
    )
    secret: SecretStr | None = Field(
        None, min_length=1, description="its secret, by reference; nobody can sign in by login code without it"
    )
    acp: AcpSettings | None = Field(None, description="messages of the payment gateway; none when missing")
    interface: str = Field("https://open.95516.com/open/access/1.0", description="base address of 云闪付's interface")
    page: str = Field(
        "https://open.95516.com/s/open/html/oauth.html", description="its page that gives out login codes"
    )
    scope: Literal["upapi_base", "upapi_mobile", "upapi_auth"] = Field(
        "upapi_base", description="what that page asks for"
    )
    calls: CallSettings = Field(CallSettings(), description="how patiently the interface is asked")

    @model_validator(mode="after")
    def _is_reachable(self) -> "UnionPayConfig":
        check_platform_address(self.interface, allow_http=self.calls.allow_http)
        check_platform_address(self.page, allow_http=self.calls.allow_http)
        return self


class UnionPay(SignInChannel[UnionPayConfig]):
    """Recognises messages by their path, and requests of our own programs by a header that names the application.

    The header proves nothing and grants nothing: it says which channel a request counts for. Who asks is in the token.
    """

    Config = UnionPayConfig
    shares_state = True

    def __init__(self, config: UnionPayConfig, context: PartContext) -> None:
        super().__init__(config, context)
        self.calls = PlatformCalls(config.calls, context)
        self.clock_offsets = self.calls.clock_offsets  # of the interface, and of who sends messages
        self._label = config.app_id.encode()
        self._messages = None if config.acp is None else AcpMessages(config.acp, context)
        self._backend_token: tuple[str, float] | None = None

    def status(self) -> dict[str, Any]:
        """The breaker's state, and how far clocks are ahead: of merchants' messages and of the interface."""
        return self.calls.status()

    async def identify(self, inbound: Inbound) -> Credential | None:
        """Check a message's method, addressee, time, signature and first use; or read a labelled request's token.

        Raises:
            ChannelRejected: the signature does not hold, or the message cannot be read or is for somebody else.
            ClockSkew: signed too long ago, or in the future.
            Replayed: this signature was here before.
            CredentialRejected: a labelled request whose `Authorization` is no bearer token.
            CannotDecide: the check cannot be made now.
        """
        if self._messages is not None and inbound.path in self._messages.paths:
            with rejecting(self.config.app_id):
                merchant, offset = await self._messages.take(await read_parameters(inbound))
                self.clock_offsets[merchant] = offset
                return Credential(self.name, None, merchant)
        if inbound.fields.get(LABEL) != self._label:
            return None
        return Credential(self.name, read_bearer(inbound), self.config.app_id)

    def authorize_address(self, state: str, callback: str) -> str | None:
        """云闪付's page for browsers inside its app."""
        asked = {"appId": self.config.app_id, "redirectUri": callback, "responseType": "code"}
        return f"{self.config.page}?{urlencode(asked | {'scope': self.config.scope, 'state': state})}"

    async def redeem(self, code: str) -> ChannelAccount:
        """Exchange a login code: backendToken, then token. A refused backendToken has used no code up: once more."""
        if self.config.secret is None:
            raise VerifierUnavailable("no secret is configured")
        if _CODE.fullmatch(code) is None:
            raise SignInRefused("not of the form of a login code")
        await self.calls.use(code)
        said = await self._exchange(code, self.config.secret)
        if said["resp"] in _BAD_BACKEND_TOKEN:
            self._backend_token = None
            said = await self._exchange(code, self.config.secret)
        if said["resp"] == _BAD_CODE:
            raise SignInRefused("UnionPay says that the code is bad")
        openid = _params(said).get("openId")
        if not isinstance(openid, str) or _ACCOUNT.fullmatch(openid) is None:
            raise VerifierUnavailable("UnionPay's answer has no openId that can be understood")
        return ChannelAccount(self.name, self.config.app_id, openid)

    async def _exchange(self, code: str, secret: SecretStr) -> dict[str, Any]:
        asked = {"appId": self.config.app_id, "backendToken": await self._token(secret), "code": code}
        address = f"{self.config.interface.rstrip('/')}/token"
        return await self.calls.ask(address, _read_answer, value=asked | {"grantType": "authorization_code"})

    async def _token(self, secret: SecretStr) -> str:
        """The backendToken, kept for as long as it holds. Two that ask at once may each fetch one: both hold."""
        now = self.context.clock()
        if self._backend_token is not None and now < self._backend_token[1]:
            return self._backend_token[0]
        asked = {"appId": self.config.app_id, "nonceStr": secrets.token_hex(8), "timestamp": str(int(now))}
        asked["signature"] = sign_question(asked, secret.get_secret_value())
        address = f"{self.config.interface.rstrip('/')}/backendToken"
        said = _params(await self.calls.ask(address, _read_answer, value=asked))
        token, life = said.get("backendToken"), said.get("expiresIn")
        if not isinstance(token, str) or not isinstance(life, int):
            raise VerifierUnavailable("UnionPay's answer has no backendToken that can be understood")
        self._backend_token = token, now + min(life, _LONGEST_LIFE) / 2
        return token


class AcpMessages:
    """Holds messages of the payment gateway against what is agreed (ACP 5.1.0).

    Args:
        settings: see AcpSettings.
        context: of the channel.
    """

    def __init__(self, settings: AcpSettings, context: PartContext) -> None:
        self.paths = frozenset(settings.paths)
        self._settings = settings
        self._context = context
        self._freshness = Freshness(context, settings.window)
        self._anchors = TrustAnchors(settings.roots, settings.intermediates, lambda: context.crypto)

    async def take(self, said: Mapping[str, bytes]) -> tuple[str, float]:
        """Believe a message, once.

        Returns:
            The merchant it is for, and seconds by which its sender's clock is ahead.

        Raises:
            ValueError, ChannelRejected, CannotDecide: as UnionPay.identify tells.
        """
        said = {name: value.strip(_BLANKS) for name, value in said.items()}
        # Method and version are ours to say. A message that says others is refused, not followed.
        if said.get("signMethod") != self._settings.sign_method.encode() or said.get("version") != VERSION:
            raise ChannelRejected("signMethod or version is another")
        if said.get("encoding") != b"UTF-8":
            raise ChannelRejected("encoding is another")
        merchant = said.get("merId", b"").decode()
        if merchant not in self._settings.merchants:
            raise ChannelRejected("merId is another")
        check_split(said.values())
        signed_at = read_time(said.get("txnTime", b""))
        offset = self._freshness.check_time(signed_at)
        try:
            signature = await aside(self._context.crypto, lambda: self._verify(said))
        except CryptoError as error:
            raise CannotDecide(f"national cryptography: {error}") from None
        await self._freshness.check_first_use(merchant, signed_at, signature)
        return merchant, offset

    def _verify(self, said: Mapping[str, bytes]) -> bytes:
        """The signature's bytes, when it holds."""
        method, text, given = self._settings.sign_method, text_to_sign(said), said.get("signature", b"")
        if method in ("11", "12"):
            if _DIGEST.fullmatch(given) is None or not any(
                hmac.compare_digest(self._keyed(text, key), given) for key in self._settings.keys
            ):
                raise ChannelRejected("the signature does not hold")
            return bytes.fromhex(given.decode())
        signature = decode_base64(given)
        certificate = self._anchors.check(said.get("signPubKeyCert", b""), self._context.clock())
        self._check_subject(common_name(certificate.subject), str(certificate.serial_number))
        if method == "01":
            holds = _is_signed_rsa(certificate, text, signature)
        else:
            # UnionPay takes the certificate's serial number, in decimal, for the signer's identity.
            message, signer = self._digest(text).encode(), str(certificate.serial_number).encode()
            point = sm2_key(certificate)
            holds = len(signature) == 64 and self._context.crypto.sm2_verify(point, message, signature, signer)
        if not holds:
            raise ChannelRejected("the signature does not hold")
        return signature

    def _check_subject(self, name: str, serial: str) -> None:
        """CN is `041@8310000000083040@中国银联股份有限公司@00016493`: the third part says whose certificate it is."""
        parts = name.split("@")
        owner = parts[2] if len(parts) > 2 else name
        accepted = {self._settings.organisation} | ({TEST_SIGNER} if self._settings.allow_test_ca else set())
        if owner not in accepted or serial in self._settings.revoked:
            raise ChannelRejected("the certificate is another's, or revoked")

    def _keyed(self, text: bytes, key: SecretStr) -> bytes:
        return self._digest(text + b"&" + self._digest(key.get_secret_value().encode()).encode()).encode()

    def _digest(self, data: bytes) -> str:
        if self._settings.sign_method in ("12", "21"):
            return self._context.crypto.sm3(data).hex()
        return hashlib.sha256(data).hexdigest()


def text_to_sign(said: Mapping[str, bytes]) -> bytes:
    """What is signed: every parameter with a value but the signature, trimmed, sorted by name, joined."""
    named = sorted((name.encode(), value.strip(_BLANKS)) for name, value in said.items() if name != "signature")
    return b"&".join(name + b"=" + value for name, value in named if value)


def sign_question(asked: Mapping[str, str], secret: str) -> str:
    """Signature of a question to 云闪付's interface: SHA-256 over the sorted members, the secret among them."""
    pairs = sorted({**asked, "secret": secret}.items())
    return hashlib.sha256("&".join(f"{name}={value}" for name, value in pairs).encode()).hexdigest()


def read_time(text: bytes) -> float:
    """Unix seconds of a time of day in China: `20211109084920`.

    Raises:
        ValueError: no such time.
    """
    if _TIME.fullmatch(text) is None:
        raise ValueError("txnTime is missing or not of its form")
    return datetime.strptime(text.decode(), "%Y%m%d%H%M%S").replace(tzinfo=LOCAL_ZONE).timestamp()


def _is_signed_rsa(certificate: Any, text: bytes, signature: bytes) -> bool:
    digest = hashlib.sha256(text).hexdigest().encode()  # signed is the digest's text, in lower case
    try:
        rsa_key(certificate).verify(signature, digest, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


def _read_answer(answer: HttpAnswer) -> dict[str, Any]:
    """What the interface says, whatever it says: `resp` is there."""
    said = read_object(answer)
    if not isinstance(said.get("resp"), str):
        raise ValueError("no resp")
    return said


def _params(said: Mapping[str, Any]) -> Mapping[str, Any]:
    params = said.get("params")
    if said["resp"] != "00" or not isinstance(params, dict):
        raise VerifierUnavailable(f"UnionPay says resp {said['resp']!r:.16}")
    return params
