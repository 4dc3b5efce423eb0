"""Signing in: what is asked of an identity platform, what it says about a person, and who can be asked.

The platform knows passwords, we never see one. A platform is a verifier that people can also sign in at; a sign-in
channel is a channel whose login codes name an account of its own. desk/ walks people through, identity/ keeps the
outcome, plugins/platforms/ and plugins/channels/ are the dialects.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from gateway.contracts import C, Channel, Verifier
from gateway.errors import SignInRefused, VerifierUnavailable
from gateway.model import Kind, Principal


class Login(msgspec.Struct, frozen=True):
    """One visit to a platform's login page, as we began it.

    Attributes:
        platform: name of the platform.
        kind: as whom the visitor wants to sign in.
        state: unguessable, single use; ties the callback to this login (RFC 6749 §10.12).
        callback: our address that the platform sends the browser back to.
        nonce: unguessable; has to come back inside an ID token (OpenID Connect Core §3.1.2.1).
        secret: unguessable; proof key of the code exchange (RFC 7636).
        acr_values: levels of login asked for, in order of preference (RFC 9470); None when any will do.
        max_age: seconds that the login may be old; 0 asks for a fresh one, None does not ask.
        began_at: Unix seconds.
    """

    platform: str
    kind: Kind
    state: str
    callback: str
    nonce: str
    secret: str
    acr_values: str | None = None
    max_age: int | None = None
    began_at: float = 0.0

    def __repr__(self) -> str:
        return f"Login(platform={self.platform!r}, kind={self.kind!r}, acr_values={self.acr_values!r})"


class Profile(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a platform tells about a person or a unit: data items of GB/T 39046-2020 table 12; None where it is silent.

    Attributes:
        name: 姓名, or the unit's 机构名称.
        id_type: 证件类型.
        id_number: 身份证件号码; the 统一社会信用代码 of a unit is in `uscc`.
        uscc: 统一社会信用代码, 18 characters (GB 32100-2015).
        mobile: 移动电话.
        email: 邮箱.
        user_name: 用户名.
        nation: 民族.
        sex: 性别代码.
        post: 职务.
        workplace: 工作单位.
        address: 机构地址.
        legal_representative: 法定代表人/负责人.
        registered_address: 注册地址.
        registered_on: 注册日期, YYYYMMDD.
        business_scope: 经营范围.
        real_name: 是否实名认证; None where the platform is silent.
    """

    name: str | None = None
    id_type: str | None = None
    id_number: str | None = None
    uscc: str | None = None
    mobile: str | None = None
    email: str | None = None
    user_name: str | None = None
    nation: str | None = None
    sex: str | None = None
    post: str | None = None
    workplace: str | None = None
    address: str | None = None
    legal_representative: str | None = None
    registered_address: str | None = None
    registered_on: str | None = None
    business_scope: str | None = None
    real_name: bool | None = None

    def __repr__(self) -> str:
        known = [name for name in self.__struct_fields__ if getattr(self, name) is not None]
        return f"Profile of {', '.join(known) or 'nothing'}"  # personal data stays out of logs and tracebacks


class Unit(msgspec.Struct, frozen=True):
    """A legal person that a signed-in person may act for (经办人).

    Attributes:
        subject: the platform's id of the unit.
        name: as the platform gives it.
        profile: what else it tells.
    """

    subject: str
    name: str
    profile: Profile = Profile()


class SignIn(msgspec.Struct, frozen=True):
    """What a platform says after a login.

    Attributes:
        principal: who it is now. For a unit: `subject` is the unit, `operator` the person who acts.
        profile: of `principal.subject`.
        person: of the acting person when `principal` is a unit, else None.
        units: units that the person may act for, so that she can change over without another login.
        token: the platform's own token, to ask it again and to end its session; None when it gives none.
        logout_hint: what the platform's logout address wants (`id_token_hint`); None when nothing.
        ticket: the single-use ticket this came from, by which a CAS-style notice names the session; None without.
    """

    principal: Principal
    profile: Profile = Profile()
    person: Profile | None = None
    units: tuple[Unit, ...] = ()
    token: str | None = None
    logout_hint: str | None = None
    ticket: str | None = None

    def __repr__(self) -> str:
        return (
            f"SignIn({self.principal.kind} person of {self.principal.issuer!r}, assurance {self.principal.assurance})"
        )


class Platform(Verifier[C]):
    """An identity platform (统一身份认证平台): people sign in there, and it judges the tokens it gave them."""

    kinds: tuple[Kind, ...] = (Kind.NATURAL, Kind.LEGAL)
    """Who can sign in there."""

    brings_state: ClassVar[bool] = True
    """Whether its callbacks bring `login.state` back. A platform that takes neither a state nor a callback address with
    one in it says False: a callback then means the browser's latest login there, so somebody may have another
    person's browser finish that with his own ticket (login CSRF)."""

    @property
    def issuer(self) -> str:
        """Issuer of everybody it speaks of: `issuer` of its settings, its own name where they have none."""
        return str(getattr(self.config, "issuer", self.name))

    @abstractmethod
    def login_address(self, login: Login) -> str:
        """Where the browser is sent to sign in; carries `login.state` wherever the platform lets it.

        Raises:
            SignInMalformed: this platform cannot do what is asked (a unit's login, a level, a fresh login); 400.
        """

    @abstractmethod
    async def redeem(self, answer: Mapping[str, str], login: Login) -> SignIn:
        """Exchange the ticket or code in a callback for what the platform says. Asked once, never again for it.

        Args:
            answer: parameters of the callback, each there once.
            login: the login it belongs to.

        Raises:
            SignInRefused: the platform says no, or what it says does not hold; 401.
            VerifierUnavailable: it cannot be asked, or its answer cannot be understood; 503.
        """

    def level_of(self, word: str) -> int:
        """Our level, 0 to 4, of the platform's word for how somebody signed in; 0 for a word that it does not know."""
        known = getattr(self.config, "assurance", None)  # as the settings of every shipped platform name the table
        return int(known.get(word, 0)) if isinstance(known, Mapping) else 0

    def logout_address(self, signed_in: SignIn, return_to: str) -> str | None:
        """Where the browser is sent to sign out there as well; None when the platform has no such page.

        Args:
            signed_in: what it said at login.
            return_to: our address to come back to.
        """
        return None

    async def end(self, signed_in: SignIn) -> None:
        """Tell the platform, without the browser, that this sign-in is over. Nothing, where it takes no such notice.

        Raises:
            VerifierUnavailable: it could not be told.
        """

    async def read_signed(self, token: str, types: frozenset[str]) -> Mapping[str, Any]:
        """Claims of a token that the platform signed for us and that is no access token (a logout token).

        Args:
            token: compact JWS.
            types: values of `typ` it may have, lower case; `""` stands for none.

        Raises:
            CredentialRejected: signature, issuer, audience or a time does not hold.
            VerifierUnavailable: the platform's keys are not known now, or it signs nothing.
        """
        raise VerifierUnavailable(f"{self.name} signs no tokens")


class ChannelAccount(msgspec.Struct, frozen=True):
    """Who somebody is at a channel's platform (an openid). It becomes a person only through a link.

    Attributes:
        channel: name of the channel.
        application: our application there (appid), which the id belongs to.
        id: the id there, for example an openid.
        union_id: id across one owner's applications (unionid); None when it is not told.
        secret: what opens encrypted data of this login (session_key); empty when there is none.
    """

    channel: str
    application: str
    id: str
    union_id: str | None = None
    secret: bytes = b""

    def __repr__(self) -> str:
        return f"ChannelAccount(channel={self.channel!r}, application={self.application!r})"


class SignInChannel(Channel[C]):
    """A channel whose platform tells, for a login code, who somebody is there."""

    code_parameter: ClassVar[str] = "code"
    """What the callback of `authorize_address` calls the login code."""

    @abstractmethod
    async def redeem(self, code: str) -> ChannelAccount:
        """Exchange a login code. Asked once per code, never again for it.

        Raises:
            SignInRefused: the channel's platform says that the code is bad; 401.
            VerifierUnavailable: it cannot be asked, or its answer cannot be understood; 503.
        """

    def authorize_address(self, state: str, callback: str) -> str | None:
        """Where a browser inside the channel's app is sent to get a code (H5 OAuth); None without such a page."""
        return None

    def open(self, account: ChannelAccount, sealed: Mapping[str, str]) -> Mapping[str, Any]:
        """Decrypt and check what the channel's client handed over encrypted (a phone number, for example).

        Args:
            account: the account of this very login.
            sealed: what the client sent, as the channel names it.

        Raises:
            SignInRefused: it cannot be opened, or is not for this application or account; what a channel says whose
                clients encrypt nothing.
        """
        raise SignInRefused(f"{self.name} opens nothing")
