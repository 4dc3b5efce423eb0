"""The Alipay channel (支付宝): notifications and requests signed with RSA2, mini-programs and pages inside the app.

docs/channels.md describes it for those who configure and call; sandbox/channel_platforms.py plays Alipay's side.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlencode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from pydantic import Field, SecretStr, field_validator, model_validator

from gateway import (
    LOCAL_ZONE,
    CallSettings,
    ChannelAccount,
    ChannelRejected,
    Credential,
    Duration,
    Freshness,
    HttpAnswer,
    Inbound,
    PartContext,
    PlatformCalls,
    Settings,
    SignInChannel,
    SignInRefused,
    VerifierUnavailable,
    check_platform_address,
    check_split,
    decode_base64,
    member_source,
    read_bearer,
    read_object,
    read_parameters,
    rejecting,
)

LABEL = b"x-alipay-appid"
ALGORITHM = "RSA2"
EXCHANGE = "alipay.system.oauth.token"
_RESPONSE = "alipay_system_oauth_token_response"
_ERROR = "error_response"
_SUCCESS = "10000"
_BAD_CODE = "isv.code-invalid"
_BUSY = frozenset({"20000", "isp.unknow-error", "aop.unknow-error"})

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
_CODE = re.compile(r"[A-Za-z0-9_-]{1,128}")
_ACCOUNT = re.compile(r"[A-Za-z0-9_-]{1,128}")


class AlipayConfig(Settings):
    """One application at Alipay, with public keys (公钥模式)."""

    app_id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="APPID")
    public_keys: tuple[str, ...] = Field(
        min_length=1,
        description="支付宝公钥: PEM, or base64 as its page shows it; newest first, RSA of 2048 bits or more",
    )
    private_key: SecretStr | None = Field(
        None, min_length=1, description="应用私钥, by reference; nobody can sign in by login code without it"
    )
    notifications: tuple[str, ...] = Field(
        (), description="paths where 异步通知 arrive; `sign_type` is not signed there"
    )
    requests: tuple[str, ...] = Field((), description="paths where other signed requests arrive; `sign_type` is signed")
    sellers: tuple[str, ...] = Field((), description="our `seller_id`s; a message that names another one is refused")
    charset: Literal["utf-8", "gbk"] = Field("utf-8", description="of messages")
    window: Duration = Field(
        300.0, gt=0, le=86400, description="how far `notify_time` or `timestamp` may be from our clock, either way"
    )
    interface: str = Field("https://openapi.alipay.com/gateway.do", description="address of Alipay's interface")
    page: str = Field(
        "https://openauth.alipay.com/oauth2/publicAppAuthorize.htm", description="its page that gives out login codes"
    )
    scope: Literal["auth_base", "auth_user"] = Field("auth_base", description="what that page asks for")
    account: Literal["open_id", "user_id"] = Field(
        "open_id", description="which id is a person's account; `user_id` for applications from before open_id"
    )
    calls: CallSettings = Field(CallSettings(), description="how patiently the interface is asked")

    @field_validator("public_keys")
    @classmethod
    def _are_keys(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for text in texts:
            _public_key(text)
        return texts

    @field_validator("private_key")
    @classmethod
    def _is_a_key(cls, text: SecretStr | None) -> SecretStr | None:
        if text is not None:
            _private_key(text)
        return text

    @model_validator(mode="after")
    def _is_sound(self) -> "AlipayConfig":
        check_platform_address(self.interface, allow_http=self.calls.allow_http)
        check_platform_address(self.page, allow_http=self.calls.allow_http)
        if set(self.notifications) & set(self.requests):
            raise ValueError("a path is for notifications or for requests, not for both: they are signed differently")
        return self


class Alipay(SignInChannel[AlipayConfig]):
    """Recognises signed messages by their path, and requests of our own programs by a header that names the program.

    The header proves nothing and grants nothing: it says which channel a request counts for. Who asks is in the token.
    """

    Config = AlipayConfig
    shares_state = True
    code_parameter = "auth_code"

    def __init__(self, config: AlipayConfig, context: PartContext) -> None:
        super().__init__(config, context)
        self.calls = PlatformCalls(config.calls, context)
        self.freshness = Freshness(context, config.window)
        self.clock_offsets = self.calls.clock_offsets  # of the interface, and of who sends messages
        self._keys = [_public_key(text) for text in config.public_keys]
        self._private_key = None if config.private_key is None else _private_key(config.private_key)
        self._unsigned = dict.fromkeys(config.notifications, ("sign", "sign_type")) | dict.fromkeys(
            config.requests, ("sign",)
        )
        self._label = config.app_id.encode()

    def status(self) -> dict[str, Any]:
        """The breaker's state, and how far clocks are ahead: of message senders and of the interface."""
        return self.calls.status()

    async def identify(self, inbound: Inbound) -> Credential | None:
        """Check a message's shape, time, signature, addressee and first use; or read a labelled request's token.

        Raises:
            ChannelRejected: the signature does not hold, or the message cannot be read or is for somebody else.
            ClockSkew: signed too long ago, or in the future.
            Replayed: this signature or this `notify_id` was here before.
            CredentialRejected: a labelled request whose `Authorization` is no bearer token.
            CannotDecide: nobody can say whether it was here before.
        """
        unsigned = self._unsigned.get(inbound.path)
        if unsigned is not None:
            with rejecting(self.config.app_id):
                return await self._take(await read_parameters(inbound, self.config.charset), unsigned)
        if inbound.fields.get(LABEL) != self._label:
            return None
        return Credential(self.name, read_bearer(inbound), self.config.app_id)

    async def _take(self, said: Mapping[str, bytes], unsigned: tuple[str, ...]) -> Credential:
        # The algorithm is ours to say. A message that says another one is refused, not followed.
        if said.get("sign_type", ALGORITHM.encode()) != ALGORITHM.encode():
            raise ChannelRejected("sign_type is another")
        if "sign_type" in unsigned:  # of a notification; values of other requests may hold addresses with parameters
            check_split(said.values())
        signed_at = read_time(said.get("notify_time", said.get("timestamp", b"")).decode())
        offset = self.freshness.check_time(signed_at)
        signature = decode_base64(said.get("sign", b""))
        if not self._holds(text_to_sign(said, unsigned), signature):
            raise ChannelRejected("the signature does not hold")
        self._check_addressee(said)
        marks = [signature, *([said["notify_id"]] if said.get("notify_id") else [])]
        await self.freshness.check_first_use(self.config.app_id, signed_at, *marks)
        self.clock_offsets[self.config.app_id] = offset
        return Credential(self.name, None, self.config.app_id)

    def _holds(self, text: bytes, signature: bytes) -> bool:
        return any(_is_signed(key, text, signature) for key in self._keys)

    def _check_addressee(self, said: Mapping[str, bytes]) -> None:
        if said.get("app_id") != self.config.app_id.encode():
            raise ChannelRejected("app_id is another")
        seller = said.get("seller_id")
        if seller and self.config.sellers and seller not in [ours.encode() for ours in self.config.sellers]:
            raise ChannelRejected("seller_id is another")

    def authorize_address(self, state: str, callback: str) -> str | None:
        """Alipay's page for browsers inside its app."""
        asked = {"app_id": self.config.app_id, "scope": self.config.scope, "redirect_uri": callback, "state": state}
        return f"{self.config.page}?{urlencode(asked)}"

    async def redeem(self, code: str) -> ChannelAccount:
        """Exchange an auth_code: alipay.system.oauth.token."""
        if self._private_key is None:
            raise VerifierUnavailable("no private_key is configured")
        if _CODE.fullmatch(code) is None:
            raise SignInRefused("not of the form of a login code")
        await self.calls.use(code)
        asked = self._sign({"grant_type": "authorization_code", "code": code}, self._private_key)
        said = await self.calls.ask(self.config.interface, self._read_answer, form=asked)
        _check_outcome(said)
        ids = [said.get(self.config.account), said.get("union_id")]
        if not all(one is None or (isinstance(one, str) and _ACCOUNT.fullmatch(one)) for one in ids) or ids[0] is None:
            raise VerifierUnavailable(f"Alipay's answer has no {self.config.account} that can be understood")
        return ChannelAccount(self.name, self.config.app_id, ids[0], ids[1])

    def _sign(self, parameters: Mapping[str, str], key: RSAPrivateKey) -> dict[str, str]:
        now = datetime.fromtimestamp(self.context.clock(), LOCAL_ZONE)
        asked = {"app_id": self.config.app_id, "method": EXCHANGE, "format": "JSON", "charset": "utf-8"}
        asked |= {"sign_type": ALGORITHM, "timestamp": f"{now:%Y-%m-%d %H:%M:%S}", "version": "1.0", **parameters}
        text = text_to_sign({name: value.encode() for name, value in asked.items()}, ("sign",))
        return asked | {"sign": b64encode(key.sign(text, PKCS1v15(), SHA256())).decode()}

    def _read_answer(self, answer: HttpAnswer) -> dict[str, Any]:
        """The answer's one member, whose characters as they came are signed.

        Raises:
            ValueError: it says neither yes nor no, or what it says is not signed by Alipay.
        """
        members = read_object(answer)
        name = _RESPONSE if _RESPONSE in members else _ERROR
        said, sign = members.get(name), members.get("sign")
        if not isinstance(said, dict):
            raise ValueError(f"neither {_RESPONSE} nor {_ERROR}")
        # Refusals come without signature where Alipay could not tell whose request it was. A yes never does.
        if sign is not None or name == _RESPONSE:
            source = member_source(answer.body.decode(), name).encode()
            if not isinstance(sign, str) or not self._holds(source, decode_base64(sign)):
                raise ValueError("the answer's signature does not hold")
        if {said.get("code"), said.get("sub_code")} & _BUSY:
            raise ValueError("the platform reports a fault")
        return said


def text_to_sign(parameters: Mapping[str, bytes], unsigned: tuple[str, ...]) -> bytes:
    """What is signed: the parameters with a value, sorted by name, decoded, joined.

    Args:
        parameters: decoded once.
        unsigned: names that are left out.
    """
    named = sorted((name.encode(), value) for name, value in parameters.items() if value and name not in unsigned)
    return b"&".join(name + b"=" + value for name, value in named)


def read_time(text: str) -> float:
    """Unix seconds of a time of day in China: `2021-11-09 08:49:20`.

    Raises:
        ValueError: no such time.
    """
    if _TIME.fullmatch(text) is None:
        raise ValueError("notify_time or timestamp is missing or not of its form")
    return datetime.fromisoformat(text).replace(tzinfo=LOCAL_ZONE).timestamp()


def _check_outcome(said: Mapping[str, Any]) -> None:
    if _BAD_CODE in (said.get("sub_code"), said.get("code")):
        raise SignInRefused("Alipay says that the code is bad")
    if said.get("code", _SUCCESS) != _SUCCESS or "sub_code" in said:
        raise VerifierUnavailable(f"Alipay says {said.get('sub_code', said.get('code'))!r:.64}")


def _is_signed(key: RSAPublicKey, text: bytes, signature: bytes) -> bool:
    try:
        key.verify(signature, text, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


def _public_key(text: str) -> RSAPublicKey:
    try:
        key = load_pem_public_key(_pem(text, "PUBLIC KEY").encode())
    except Exception:  # noqa: BLE001 - many kinds; a text that is no key is one thing to whoever configured it
        key = None
    if not isinstance(key, RSAPublicKey) or key.key_size < 2048:
        raise ValueError("no RSA public key of 2048 bits or more")
    return key


def _private_key(secret: SecretStr) -> RSAPrivateKey:
    text = secret.get_secret_value()
    for label in ("PRIVATE KEY", "RSA PRIVATE KEY"):
        try:
            key = load_pem_private_key(_pem(text, label).encode(), None)
        except Exception:  # noqa: BLE001, S112 - many kinds, and their text may show what should have been a key
            continue
        if isinstance(key, RSAPrivateKey) and key.key_size >= 2048:
            return key
    raise ValueError("no RSA private key of 2048 bits or more")


def _pem(text: str, label: str) -> str:
    """Alipay's page and tools show keys as bare base64."""
    bare = text.strip()
    return bare if bare.startswith("-----") else f"-----BEGIN {label}-----\n{bare}\n-----END {label}-----\n"
