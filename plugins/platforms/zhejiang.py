"""Zhejiang's older single sign-on: `simpleauth` for persons, the ESSO's `ssotoken` for units.

zhejiang_irs.py is the newer generation. Both may stand behind the province's interface gateway, which wants `X-BG-*`.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from gateway import (
    BgKeySettings,
    CredentialRejected,
    Kind,
    Level,
    Login,
    PlatformSettings,
    SignIn,
    TicketPlatform,
    UrlPath,
    add_query,
    is_bearer_token,
    members_of,
    read_profile,
    read_token,
    sign_bg,
    sign_md5,
)

_PERSON = {
    "name": "username",
    "id_type": "idtype",
    "id_number": "idnum",
    "mobile": "mobile",
    "email": "email",
    "user_name": "loginname",
    "sex": "sex",
    "nation": "nation",
}
_UNIT = {
    "name": "CompanyName",
    "uscc": "uniscid",
    "legal_representative": "CompanyLegRep",
    "address": "CompanyAddress",
}
_ACTING = {"name": "attnName", "id_type": "attnIDType", "id_number": "attnIDNo", "mobile": "attnPhone"}


class ZhejiangConfig(PlatformSettings):
    """What the entrances for persons and for units have in common."""

    gateway: BgKeySettings | None = Field(
        None, description="access key at the province's interface gateway; missing where it is asked directly"
    )
    logout_path: UrlPath | None = Field(None, description="the logout page; takes `goto`")

    def signed(self, path: str, now: float) -> dict[str, str]:
        """Fields of a question for the interface gateway; none where there is no such gateway."""
        return sign_bg(self.gateway, "POST", urlsplit(self.interface(path)).path, now) if self.gateway else {}

    def logout(self, return_to: str) -> str | None:
        """Address of the logout page, which sends the browser back to `goto`."""
        return None if self.logout_path is None else add_query(self.page(self.logout_path), {"goto": return_to})


class ZhejiangPersonConfig(ZhejiangConfig):
    """The entrance for natural persons."""

    service_code: str = Field(min_length=1, description="our `servicecode`")
    service_password: SecretStr = Field(min_length=1, description="our `servicepwd`, by reference")
    subject: str = Field("userid", min_length=1, description="the member of the answer that names a person for good")
    login_path: UrlPath = Field("/sso/usp.do", description="the login page")
    ticket_path: UrlPath = Field("/sso/servlet/simpleauth", description="where tickets are validated")
    user_path: UrlPath = Field("/sso/servlet/simpleauth", description="where tokens are asked about")


class ZhejiangPerson(TicketPlatform[ZhejiangPersonConfig]):
    """Natural persons (个人用户). `result` "0" is yes; the time of day is part of the signature."""

    Config = ZhejiangPersonConfig
    code = "result"

    def login_address(self, login: Login) -> str:
        """The login page, with our callback as its `goto`."""
        self.check_request(login)
        asked = {"action": "ssoLogin", "servicecode": self.config.service_code, "goto": self.callback(login)}
        return add_query(self.config.page(self.config.login_path), asked)

    def logout_address(self, signed_in: SignIn, return_to: str) -> str | None:
        """The logout page, where one is configured."""
        return self.config.logout(return_to)

    async def exchange(self, ticket: str, login: Login) -> str:
        """`ticketValidation`: the token of a ticket."""
        path, form = self.config.ticket_path, self._form("ticketValidation", {"st": ticket})
        fields = self.config.signed(path, self.context.clock())
        return await self.ask(path, lambda said: read_token(said.get("token")), form=form, fields=fields)

    async def describe(self, token: str, kind: Kind | None) -> SignIn:
        """`getUserInfo`: whom a token belongs to."""
        path, form = self.config.user_path, self._form("getUserInfo", {"token": token})
        return await self.ask(path, self._read_user, form=form, fields=self.config.signed(path, self.context.clock()))

    def _form(self, method: str, more: Mapping[str, str]) -> dict[str, str]:
        signed = sign_md5(self.config.service_code, self.config.service_password, self.context.clock())
        return {"method": method, "servicecode": self.config.service_code, "datatype": "json", **signed, **more}

    def _read_user(self, said: dict[str, Any]) -> SignIn:
        principal = self.principal(said.get(self.config.subject), level=said.get("authlevel"))
        return SignIn(principal, read_profile(said, _PERSON))


class ZhejiangLegalConfig(ZhejiangConfig):
    """The entrance for units."""

    assurance: dict[str, Level] = Field(
        {"1": 4, "2": 4, "3": 2, "4": 0},
        description="values of `realLevel` (1, the strongest, to 4) and our level of each; one that is not listed is 0",
    )
    operator: str = Field(
        "attnIDNo", min_length=1, description="the member of the answer that names the acting person for good"
    )
    login_path: UrlPath = Field("/opensso/spsaehandler/metaAlias/sp", description="the login page")
    logout_path: UrlPath | None = Field("/opensso/UI/Logout", description="the logout page; takes `goto`")
    query_path: UrlPath = Field("/rest/user/query", description="where tokens are asked about")


class ZhejiangLegal(TicketPlatform[ZhejiangLegalConfig]):
    """Units and who acts for them (法人用户, 经办人). The callback brings the token itself; `success` true is yes."""

    Config = ZhejiangLegalConfig
    ticket = "ssotoken"
    kinds = (Kind.LEGAL,)
    code = "success"
    good = ("true",)
    reason = "errCode"

    def login_address(self, login: Login) -> str:
        """The login page, with our callback as its `spappurl`."""
        self.check_request(login)
        return add_query(self.config.page(self.config.login_path), {"spappurl": self.callback(login)})

    def logout_address(self, signed_in: SignIn, return_to: str) -> str | None:
        """The logout page of the ESSO."""
        return self.config.logout(return_to)

    async def exchange(self, ticket: str, login: Login) -> str:
        """Nothing to exchange: what came back is the token."""
        if not is_bearer_token(ticket):
            raise CredentialRejected("the ssotoken has not the form of a token")
        return ticket

    async def describe(self, token: str, kind: Kind | None) -> SignIn:
        """`rest/user/query`: the unit of a token, and who acts for it."""
        path = self.config.query_path
        fields = self.config.signed(path, self.context.clock())
        return await self.ask(path, self._read_unit, value={"token": token}, fields=fields)

    def _read_unit(self, said: dict[str, Any]) -> SignIn:
        unit = members_of(said["data"]) if "data" in said else said
        principal = self.principal(
            unit.get("userId"),
            kind=Kind.LEGAL,
            level=unit.get("realLevel"),
            operator=unit.get(self.config.operator),
        )
        return SignIn(principal, read_profile(unit, _UNIT, unit=True), person=read_profile(unit, _ACTING))
