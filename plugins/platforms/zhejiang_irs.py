"""Zhejiang's newer single sign-on on the IRS: `ticketId`, `accessToken`, user information, every question signed.

zhejiang.py is the older generation. One interface has two entrances, the Internet and the government network.
"""

from typing import Any
from urllib.parse import urlsplit

from pydantic import Field

from gateway import (
    BgKeySettings,
    CredentialRejected,
    Kind,
    Login,
    PlatformSettings,
    SignIn,
    TicketPlatform,
    UrlPath,
    add_query,
    members_of,
    read_profile,
    read_token,
    read_unit,
    sign_bg,
)

_PERSON = {
    "name": "userName",
    "id_type": "idType",
    "id_number": "idNo",
    "mobile": "phone",
    "email": "email",
    "nation": "nation",
    "sex": "gender",
}
_UNIT = {"name": "name", "uscc": "unifiedSocialId", "legal_representative": "principal"}
_ACTING = {"name": "attnName", "id_type": "attnIdType", "id_number": "attnIdNo", "mobile": "attnPhone"}


class ZhejiangIrsConfig(PlatformSettings):
    """Our application, and where the steps are."""

    app_id: str = Field(min_length=1, description="our `appId`")
    gateway: BgKeySettings = Field(description="our access key at the interface gateway")
    faults: tuple[str, ...] = Field(
        ("500", "-1"), description="codes of failure that are not the visitor's fault: 503 instead of 401"
    )
    operator: str = Field(
        "attnIdNo",
        min_length=1,
        description="the member of `legalPersonInfo` that names the acting person, where there is no `personInfo`",
    )
    level: str = Field(
        "authLevel", min_length=1, description="the member of the answer, or of `attributes`, that tells the level"
    )
    login_path: UrlPath = Field("/uc/sso/login", description="the login page")
    logout_path: UrlPath = Field("/uc/unifiedLogout", description="the logout page")
    token_path: UrlPath = Field("/uc/sso/access_token", description="where tickets are exchanged")
    user_path: UrlPath = Field("/uc/sso/getUserInfo", description="where tokens are asked about")


class ZhejiangIrs(TicketPlatform[ZhejiangIrsConfig]):
    """Persons and units. `success` true is yes; a code of `faults` is neither yes nor no."""

    Config = ZhejiangIrsConfig
    ticket = "ticketId"
    kinds = (Kind.NATURAL, Kind.LEGAL)
    code = "success"
    good = ("true",)
    reason = "errorCode"

    def login_address(self, login: Login) -> str:
        """The login page, with our callback as its `sp`."""
        self.check_request(login)
        asked = {"appId": self.config.app_id, "sp": self.callback(login)}
        if login.kind is Kind.LEGAL:
            asked["userType"] = "LEGAL_PERSON"
        return add_query(self.config.page(self.config.login_path), asked)

    def logout_address(self, signed_in: SignIn, return_to: str) -> str | None:
        """The page of the unified logout."""
        asked = {"appId": self.config.app_id, "redirectUrl": return_to}
        return add_query(self.config.page(self.config.logout_path), asked)

    async def exchange(self, ticket: str, login: Login) -> str:
        """`access_token`: the token of a ticket."""
        asked = {"ticketId": ticket, "appId": self.config.app_id}
        path = self.config.token_path
        return await self.ask(path, _read_access_token, value=asked, fields=self._signed(path))

    async def describe(self, token: str, kind: Kind | None) -> SignIn:
        """`getUserInfo`: whom a token belongs to."""
        path = self.config.user_path
        return await self.ask(path, self._read_user, value={"token": token}, fields=self._signed(path))

    def _signed(self, path: str) -> dict[str, str]:
        return sign_bg(self.config.gateway, "POST", urlsplit(self.config.interface(path)).path, self.context.clock())

    def _read_user(self, said: dict[str, Any]) -> SignIn:
        user = members_of(said.get("data"))
        person = members_of(user.get("personInfo") or {})
        unit = members_of(user.get("legalPersonInfo") or {})
        level = members_of(person.get("attributes") or {}).get(self.config.level, user.get(self.config.level))
        match user.get("userType"):
            case "PERSON":
                principal = self.principal(person.get("userId"), level=level)
                beside = read_profile(unit, _UNIT, unit=True)  # the unit that her own account names
                units = read_unit(unit.get("corpId"), beside.name, beside)
                return SignIn(principal, read_profile(person, _PERSON), units=units)
            case "LEGAL_PERSON":
                principal = self.principal(
                    unit.get("corpId"),
                    kind=Kind.LEGAL,
                    level=level,
                    operator=person.get("userId", unit.get(self.config.operator)),
                )
                acting = read_profile(person, _PERSON) if person else read_profile(unit, _ACTING)
                return SignIn(principal, read_profile(unit, _UNIT, unit=True), person=acting)
            case str():
                raise CredentialRejected("userType is neither PERSON nor LEGAL_PERSON")
        raise ValueError("no userType")


def _read_access_token(said: dict[str, Any]) -> str:
    return read_token(members_of(said.get("data")).get("accessToken"))
