"""The WeChat channel (微信): messages from its servers, mini-programs (小程序), pages of an official account (公众号).

docs/channels.md describes it for those who configure and call; sandbox/channel_platforms.py plays WeChat's side.
"""

import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlencode

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from pydantic import Field, SecretStr, field_validator, model_validator

from gateway import (
    CallSettings,
    ChannelAccount,
    ChannelRejected,
    Credential,
    Duration,
    Freshness,
    HeldBody,
    HttpAnswer,
    Inbound,
    PartContext,
    PlatformCalls,
    Settings,
    SignInChannel,
    SignInRefused,
    VerifierUnavailable,
    check_platform_address,
    decode_base64,
    read_bearer,
    read_form,
    read_json,
    read_object,
    read_shaped,
    read_xml,
    rejecting,
)

LABEL = b"x-wechat-appid"
_BUSY = -1
_TOO_OFTEN = 45011
_REFUSED = frozenset({40029, 40163, 40226, 41008})
"""Codes about the login code and its user: not valid, used before, a user at risk, no code."""

_TIMESTAMP = re.compile(rb"[0-9]{10}")
_NONCE = re.compile(rb"[A-Za-z0-9_-]{1,128}")
_SHA1 = re.compile(rb"[0-9a-f]{40}")
_ECHO = re.compile(rb"[A-Za-z0-9_-]{1,128}")
_CODE = re.compile(r"[A-Za-z0-9_-]{1,128}")
_ACCOUNT = re.compile(r"[A-Za-z0-9_-]{1,128}")
_AES_KEY = re.compile(r"[A-Za-z0-9+/]{43}")
_SESSION_KEY = 16
_EXCHANGES = {
    "mini-program": ("js_code", "/sns/jscode2session"),
    "official-account": ("code", "/sns/oauth2/access_token"),
}
"""By kind of application: what the code is called, and where it is exchanged."""


class WeChatKey(Settings):
    """What is agreed with WeChat's servers, as entered on its platform."""

    token: SecretStr = Field(min_length=3, description="Token, by reference")
    aes_key: SecretStr | None = Field(
        None, description="EncodingAESKey, 43 characters, by reference; needed where messages are encrypted"
    )

    @field_validator("aes_key")
    @classmethod
    def _is_a_key(cls, aes_key: SecretStr | None) -> SecretStr | None:
        if aes_key is not None:
            _aes_key(aes_key)
        return aes_key


class WeChatMessages(Settings):
    """Messages and events that WeChat's servers send here (消息推送)."""

    paths: tuple[str, ...] = Field(min_length=1, description="where they arrive; items of their own, for `anyone`")
    keys: tuple[WeChatKey, ...] = Field(min_length=1, description="newest first; older ones hold while they are listed")
    encrypted: bool = Field(True, description="安全模式; false is 明文模式, whose signature does not cover the body")
    format: Literal["xml", "json"] = Field("xml", description="数据格式; mini-programs can choose JSON")

    @model_validator(mode="after")
    def _can_decrypt(self) -> "WeChatMessages":
        if self.encrypted and any(key.aes_key is None for key in self.keys):
            raise ValueError("encrypted messages need an aes_key beside each token")
        return self


class WeChatConfig(Settings):
    """One application at WeChat."""

    app_id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="AppID")
    kind: Literal["mini-program", "official-account"] = Field(
        "mini-program", description="whose login codes are exchanged: those of wx.login, or of WeChat's OAuth page"
    )
    secret: SecretStr | None = Field(
        None, min_length=1, description="AppSecret, by reference; nobody can sign in by login code without it"
    )
    messages: WeChatMessages | None = Field(None, description="messages from WeChat's servers; none when missing")
    window: Duration = Field(300.0, gt=0, le=3600, description="how far signed times may be from our clock, either way")
    interface: str = Field("https://api.weixin.qq.com", description="base address of WeChat's interface")
    page: str = Field(
        "https://open.weixin.qq.com/connect/oauth2/authorize", description="its page that gives out login codes"
    )
    scope: Literal["snsapi_base", "snsapi_userinfo"] = Field("snsapi_base", description="what that page asks for")
    calls: CallSettings = Field(CallSettings(), description="how patiently the interface is asked")

    @model_validator(mode="after")
    def _is_reachable(self) -> "WeChatConfig":
        check_platform_address(self.interface, allow_http=self.calls.allow_http)
        check_platform_address(self.page, allow_http=self.calls.allow_http)
        return self


class WeChat(SignInChannel[WeChatConfig]):
    """Recognises messages by their path, and requests of our own programs by a header that names the application.

    The header proves nothing and grants nothing: it says which channel a request counts for. Who asks is in the token.
    """

    Config = WeChatConfig
    shares_state = True

    def __init__(self, config: WeChatConfig, context: PartContext) -> None:
        super().__init__(config, context)
        self.calls = PlatformCalls(config.calls, context)
        self.freshness = Freshness(context, config.window)
        self.clock_offsets = self.calls.clock_offsets  # of the interface, and of who sends messages
        self._paths = frozenset(config.messages.paths if config.messages else ())
        self._label = config.app_id.encode()

    def status(self) -> dict[str, Any]:
        """The breaker's state, and how far clocks are ahead: of message senders and of the interface."""
        return self.calls.status()

    async def identify(self, inbound: Inbound) -> Credential | None:
        """Check a message's shape, time, signature and first use, in this order; or read a labelled request's token.

        Raises:
            ChannelRejected: the signature does not hold, or the message cannot be read.
            ClockSkew: signed too long ago, or in the future.
            Replayed: this signature was here before.
            CredentialRejected: a labelled request whose `Authorization` is no bearer token.
            CannotDecide: nobody can say whether it was here before.
        """
        if self.config.messages is not None and inbound.path in self._paths:
            with rejecting(self.config.app_id):
                return await self._take(inbound, self.config.messages)
        if inbound.fields.get(LABEL) != self._label:
            return None
        return Credential(self.name, read_bearer(inbound), self.config.app_id)

    async def _take(self, inbound: Inbound, messages: WeChatMessages) -> Credential:
        asked = read_form(inbound.query.encode())
        timestamp = read_shaped(asked, "timestamp", _TIMESTAMP)
        nonce = read_shaped(asked, "nonce", _NONCE)
        offset = self.freshness.check_time(int(timestamp))
        if inbound.method == "GET":
            signature = read_shaped(asked, "signature", _SHA1)
            echo = read_shaped(asked, "echostr", _ECHO)
            _check_signature(messages, signature, timestamp, nonce)
            taken = Credential(self.name, None, self.config.app_id, answer=echo.decode())
        elif messages.encrypted:
            signature = read_shaped(asked, "msg_signature", _SHA1)
            message = self._decrypt(messages, signature, timestamp, nonce, await inbound.body.whole())
            taken = Credential(self.name, None, self.config.app_id, body=HeldBody(message))
        else:
            signature = read_shaped(asked, "signature", _SHA1)
            _check_signature(messages, signature, timestamp, nonce)
            _read_message(messages, await inbound.body.whole())
            taken = Credential(self.name, None, self.config.app_id)
        await self.freshness.check_first_use(self.config.app_id, int(timestamp), bytes.fromhex(signature.decode()))
        self.clock_offsets[self.config.app_id] = offset
        return taken

    def _decrypt(
        self, messages: WeChatMessages, signature: bytes, timestamp: bytes, nonce: bytes, envelope: bytes
    ) -> bytes:
        encrypted = _read_message(messages, envelope).get("Encrypt")
        if not isinstance(encrypted, str):
            raise ChannelRejected("no Encrypt in the message")
        _check_signature(messages, signature, timestamp, nonce, encrypted.encode())
        # A new EncodingAESKey often comes with the old Token, so each key is tried whose token fits.
        for key in messages.keys:
            if key.aes_key is not None and _is_signed(key, signature, timestamp, nonce, encrypted.encode()):
                message = open_message(_aes_key(key.aes_key), decode_base64(encrypted), self.config.app_id)
                if message is not None:
                    _read_message(messages, message)
                    return message
        raise ChannelRejected("the message cannot be decrypted, or is another application's")

    def authorize_address(self, state: str, callback: str) -> str | None:
        """WeChat's page for its own browser; None for a mini-program, which asks wx.login instead."""
        if self.config.kind != "official-account":
            return None
        asked = {"appid": self.config.app_id, "redirect_uri": callback, "response_type": "code"}
        asked |= {"scope": self.config.scope, "state": state}
        return f"{self.config.page}?{urlencode(asked)}#wechat_redirect"

    async def redeem(self, code: str) -> ChannelAccount:
        """Exchange a login code, of wx.login or of the OAuth page according to the kind of application."""
        if self.config.secret is None:
            raise VerifierUnavailable("no secret is configured")
        if _CODE.fullmatch(code) is None:
            raise SignInRefused("not of the form of a login code")
        await self.calls.use(code)
        secret = self.config.secret.get_secret_value()
        asked = {"appid": self.config.app_id, "secret": secret, "grant_type": "authorization_code"}
        code_name, path = _EXCHANGES[self.config.kind]
        address = f"{self.config.interface.rstrip('/')}{path}?{urlencode(asked | {code_name: code})}"
        said = await self.calls.ask(address, _read_answer, method="GET")
        _check_outcome(said)
        try:
            return self._account(said)
        except ValueError as error:
            raise VerifierUnavailable(f"WeChat's answer cannot be understood: {error}") from None

    def _account(self, said: Mapping[str, Any]) -> ChannelAccount:
        openid, unionid, secret = said.get("openid"), said.get("unionid"), b""
        if not isinstance(openid, str) or _ACCOUNT.fullmatch(openid) is None:
            raise ValueError("openid")
        if unionid is not None and (not isinstance(unionid, str) or _ACCOUNT.fullmatch(unionid) is None):
            raise ValueError("unionid")
        if self.config.kind == "mini-program":
            secret = decode_base64(str(said.get("session_key")))
            if len(secret) != _SESSION_KEY:
                raise ValueError("session_key")
        return ChannelAccount(self.name, self.config.app_id, openid, unionid, secret)

    def open(self, account: ChannelAccount, sealed: Mapping[str, str]) -> Mapping[str, Any]:
        """Open `encryptedData` with `iv`, or check `rawData` with `signature`, of this very login.

        Raises:
            SignInRefused: it cannot be opened, or is another application's, another person's or of another time.
        """
        if account.application != self.config.app_id or len(account.secret) != _SESSION_KEY:
            raise SignInRefused("the account is another application's, or has no session key")
        try:
            said = _open_data(account.secret, sealed) if "encryptedData" in sealed else _check_data(account, sealed)
        except (ValueError, KeyError) as error:
            raise SignInRefused(f"cannot be opened: {type(error).__name__}") from None
        if "encryptedData" in sealed:
            self._check_watermark(said.get("watermark"))
        if said.get("openId", account.id) != account.id:
            raise SignInRefused("the data are another person's")
        return said

    def _check_watermark(self, watermark: object) -> None:
        if not isinstance(watermark, dict) or watermark.get("appid") != self.config.app_id:
            raise SignInRefused("the watermark is another application's")
        at = watermark.get("timestamp")
        if not isinstance(at, int) or abs(at - self.context.clock()) > self.config.window:
            raise SignInRefused("the watermark is of another time")


def sign(token: str, *parts: bytes) -> str:
    """WeChat's signature: SHA-1 of token and parts, sorted by their bytes and joined without anything between them.

    Nothing separates the parts, so digits can move between timestamp and nonce without changing the signature: only a
    timestamp of a fixed form and a memory of signatures, not of nonces, close that.
    """
    joined = b"".join(sorted((token.encode(), *parts)))
    return hashlib.sha1(joined).hexdigest()  # noqa: S324 - WeChat's algorithm, there is no other


def open_message(key: bytes, encrypted: bytes, app_id: str) -> bytes | None:
    """Decrypt a message: 16 random bytes, the length (big-endian, 4 bytes), the message, the AppID; padded to 32.

    Returns:
        The message; None when it is not for this key or this application.
    """
    if not encrypted or len(encrypted) % 16:
        return None
    opener = Cipher(algorithms.AES(key), modes.CBC(key[:16])).decryptor()
    padded = opener.update(encrypted) + opener.finalize()
    padding = padded[-1]
    content = padded[16:-padding]
    message, owner = content[4 : 4 + int.from_bytes(content[:4])], content[4 + int.from_bytes(content[:4]) :]
    good = 1 <= padding <= 32 and padded.endswith(bytes([padding]) * padding)
    return message if good and hmac.compare_digest(owner, app_id.encode()) else None


def _check_signature(messages: WeChatMessages, signature: bytes, *parts: bytes) -> None:
    if not any(_is_signed(key, signature, *parts) for key in messages.keys):
        raise ChannelRejected("the signature does not hold")


def _is_signed(key: WeChatKey, signature: bytes, *parts: bytes) -> bool:
    return hmac.compare_digest(sign(key.token.get_secret_value(), *parts).encode(), signature)


def _aes_key(key: SecretStr) -> bytes:
    """The 32 bytes of an EncodingAESKey.

    Raises:
        ValueError: it is none.
    """
    if _AES_KEY.fullmatch(key.get_secret_value()) is None:
        raise ValueError("an EncodingAESKey has 43 characters of base64")
    # Not `decode_base64`: WeChat draws 43 characters at random, so the last two bits, which do not count, may be set.
    return b64decode(key.get_secret_value() + "=")


def _read_message(messages: WeChatMessages, data: bytes) -> Mapping[str, Any]:
    if messages.format == "xml":
        return read_xml(data)
    said = read_json(data)
    if not isinstance(said, dict):
        raise ChannelRejected("the message is no object")
    return said


def _read_answer(answer: HttpAnswer) -> dict[str, Any]:
    """What the interface says, whatever it says."""
    said = read_object(answer)
    code = said.get("errcode", 0)
    if not isinstance(code, int) or code == _BUSY:
        raise ValueError(f"errcode {code!r:.16}")
    return said


def _check_outcome(said: Mapping[str, Any]) -> None:
    """It says no with status 200 and `errcode`. What is not about the code or its user is not the visitor's fault."""
    code = said.get("errcode", 0)
    if code in _REFUSED:
        raise SignInRefused(f"WeChat says no: errcode {code}")
    if code != 0:
        raise VerifierUnavailable(f"WeChat says errcode {code}", retry_after=60.0 if code == _TOO_OFTEN else 5.0)
    if said.get("is_snapshotuser") == 1:
        raise SignInRefused("a snapshot page: the openid is of no real account")


def _open_data(session_key: bytes, sealed: Mapping[str, str]) -> dict[str, Any]:
    """AES-128-CBC with PKCS#7 padding, of JSON."""
    encrypted, iv = decode_base64(sealed["encryptedData"]), decode_base64(sealed["iv"])
    opener = Cipher(algorithms.AES(session_key), modes.CBC(iv)).decryptor()
    padded = opener.update(encrypted) + opener.finalize()
    padding = padded[-1] if padded else 0
    if not 1 <= padding <= 16 or not padded.endswith(bytes([padding]) * padding):
        raise ValueError("padding")
    return _object(padded[:-padding])


def _check_data(account: ChannelAccount, sealed: Mapping[str, str]) -> dict[str, Any]:
    """`signature` is SHA-1 of `rawData` and the session key as text."""
    raw = sealed["rawData"].encode()
    digest = hashlib.sha1(raw + b64encode(account.secret)).hexdigest()  # noqa: S324 - WeChat's algorithm
    if not hmac.compare_digest(digest.encode(), sealed["signature"].encode()):
        raise ValueError("signature")
    return _object(raw)


def _object(data: bytes) -> dict[str, Any]:
    said = read_json(data)
    if not isinstance(said, dict):
        raise ValueError("no object")
    return said
