"""大汉 JIS, the single sign-on of Shandong, Jiangsu and others: one address, the service named in the question.

Its MD5 signature covers our mark and the time of day, not the question; what it tells of people is AES-encrypted.
"""

import json
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from pydantic import Field, SecretStr, field_validator

from gateway import (
    CredentialRejected,
    Kind,
    Level,
    Login,
    PartContext,
    Person,
    PlatformSettings,
    SignIn,
    TicketPlatform,
    UrlPath,
    add_query,
    decrypt_aes_ecb,
    members_of,
    read_profile,
    read_token,
    sign_md5,
)

T = TypeVar("T")

_PERSON = {
    "name": "name",
    "id_type": "paperstype",
    "id_number": "papersnumber",
    "mobile": "mobile",
    "email": "email",
    "user_name": "loginname",
    "sex": "sex",
    "nation": "nation",
    "real_name": "isauth",
}
_UNIT = {"name": "corname", "uscc": "cornumber", "legal_representative": "corpresident", "address": "coraddress"}
_SERVICES = {Kind.NATURAL: "findOutsideUserByToken", Kind.LEGAL: "findCorUserByToken"}


class HanwebJisConfig(PlatformSettings):
    """Our mark, the names that this installation of JIS uses, and where it is."""

    app_mark: str = Field(min_length=1, description="our `appmark`")
    app_word: SecretStr = Field(description="our `appword`, 16, 24 or 32 characters, by reference")
    version: Literal["appmark", "app_id"] = Field("appmark", description="which generation: how it calls our mark")
    body: Literal["form", "json"] = Field("form", description="how questions are sent")
    kinds: tuple[Person, ...] = Field(
        (Kind.NATURAL,), min_length=1, description="who signs in here; of a token alone they are tried in this order"
    )
    assurance: dict[str, Level] = Field(
        {"0": 0, "1": 1, "2": 2, "3": 3},
        description="values of `authlevel` (0 none to 3 high) and our level of each; one that is not listed is 0",
    )
    subject: str = Field("uuid", min_length=1, description="the member that names a person for good")
    unit: str = Field("cornumber", min_length=1, description="the member that names a unit for good")
    operator: str = Field("uuid", min_length=1, description="the member that names the person who acts for a unit")
    trust_national: bool = Field(False, description="`gbTrust`: accept logins of the national platform")
    login_path: UrlPath = Field("/jis-web/login", description="the login page")
    logout_path: UrlPath | None = Field(None, description="the logout page; takes `backUrl`")
    interface_path: UrlPath = Field("/jis-web/interface", description="where questions are asked")

    @field_validator("app_word")
    @classmethod
    def _is_key(cls, word: SecretStr) -> SecretStr:
        if len(word.get_secret_value().encode()) not in (16, 24, 32):
            raise ValueError("appword is the AES key of the answers: 16, 24 or 32 bytes")
        return word


class HanwebJis(TicketPlatform[HanwebJisConfig]):
    """Persons and units. `retcode` "000000" is yes."""

    Config = HanwebJisConfig
    code = "retcode"
    good = ("000000",)

    def __init__(self, config: HanwebJisConfig, context: PartContext) -> None:
        super().__init__(config, context)
        self.kinds = config.kinds

    def login_address(self, login: Login) -> str:
        """The login page of persons or of units."""
        self.check_request(login)
        asked = {
            "appMark": self.config.app_mark,
            "userType": "2" if login.kind is Kind.LEGAL else "1",
            "gbTrust": "true" if self.config.trust_national else "false",
            "backUrl": self.callback(login),
        }
        return add_query(self.config.page(self.config.login_path), asked)

    def logout_address(self, signed_in: SignIn, return_to: str) -> str | None:
        """The logout page, where one is configured."""
        path = self.config.logout_path
        return None if path is None else add_query(self.config.page(path), {"backUrl": return_to})

    async def exchange(self, ticket: str, login: Login) -> str:
        """`ticketValidate`: the token of a ticket."""
        return await self._serve("ticketValidate", {"ticket": ticket}, lambda data: read_token(data.get("token")))

    async def describe(self, token: str, kind: Kind | None) -> SignIn:
        """Whom a token belongs to; where just the token is known, each kind of person is tried."""
        *others, last = (kind,) if kind else self.config.kinds
        for one in others:
            try:
                return await self._find(token, one)
            except CredentialRejected:
                continue
        return await self._find(token, last)

    async def _find(self, token: str, kind: Kind) -> SignIn:
        read = self._read_unit if kind is Kind.LEGAL else self._read_person
        return await self._serve(_SERVICES[kind], {"token": token}, read)

    async def _serve(self, service: str, params: dict[str, str], read: Callable[[dict[str, Any]], T]) -> T:
        config = self.config
        signed = sign_md5(config.app_mark, config.app_word, self.context.clock())
        asked = {config.version: config.app_mark, **signed, "servicename": service, "params": json.dumps(params)}
        form, value = (asked, None) if config.body == "form" else (None, asked)
        return await self.ask(config.interface_path, lambda said: read(self._open(said)), form=form, value=value)

    def _open(self, said: dict[str, Any]) -> dict[str, Any]:
        data = said.get("data")
        if isinstance(data, str) and not data.lstrip().startswith("{"):
            key = self.config.app_word.get_secret_value().encode()
            data = decrypt_aes_ecb(key, data).decode("utf-8")
        return members_of(data)

    def _read_person(self, user: dict[str, Any]) -> SignIn:
        principal = self.principal(user.get(self.config.subject), level=user.get("authlevel"))
        return SignIn(principal, read_profile(user, _PERSON))

    def _read_unit(self, user: dict[str, Any]) -> SignIn:
        principal = self.principal(
            user.get(self.config.unit),
            kind=Kind.LEGAL,
            level=user.get("authlevel"),
            operator=user.get(self.config.operator),
        )
        return SignIn(principal, read_profile(user, _UNIT, unit=True), person=read_profile(user, _PERSON))
