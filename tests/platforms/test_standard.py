"""The standard platform: the code flow with all its checks, tokens of both kinds, the end of a session."""

import asyncio
import json
from base64 import b64decode
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from pydantic import ValidationError

from gateway import (
    Credential,
    CredentialRejected,
    HttpAnswer,
    Kind,
    SignIn,
    SignInMalformed,
    SignInRefused,
    VerifierUnavailable,
)
from gateway.chain import VerdictMemory, VerifierChain
from gateway.identity.revocations import Revocations
from plugins.platforms.standard import Standard, StandardConfig
from tests.platforms.platform_world import CALLBACK, SECRET, USCC, login
from tests.plugin_world import AUDIENCE, ISSUER, NOW, Signer, answer

SIGNER = Signer("ES256", "es256-1")
CONFIG = {
    "issuer": ISSUER,
    "audience": AUDIENCE,
    "client_id": "dept & co",
    "client_secret": SECRET,
    "authorization": f"{ISSUER}/authorize",
    "token": f"{ISSUER}/token",
    "jwks": f"{ISSUER}/jwks",
    "userinfo": f"{ISSUER}/userinfo",
    "introspection": f"{ISSUER}/introspect",
    "revocation": f"{ISSUER}/revoke",
    "notice": f"{ISSUER}/notices",
    "end_session": f"{ISSUER}/end_session",
    "assurance": {"1": 1, "2": 2, "3": 3, "4": 4},
}
PROOF_KEY = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
"""RFC 7636 appendix B, with its challenge."""
BACK = {"code": "code-1", "state": "state-1", "iss": ISSUER}
ACCESS = "AQIC5wM2*@node1"
PERSON = {"name": "样例甲", "id_number": "350100190001010020", "mobile": "138****0001", "real_name_verified": 1}
UNIT = {"organization_name": "样例一有限公司", "unified_social_credit_code": USCC, "registration_date": "20200102"}
YES = {"active": True, "sub": "u-1", "aud": AUDIENCE, "exp": NOW + 600, "subject_type": "natural", "acr": "3"}


@dataclass
class World:
    """Answers by endpoint; whatever is not set is down. Every question is kept.

    Attributes:
        said: endpoint and what it says.
        asked: (endpoint, method, fields, form) of each question.
    """

    said: dict[str, HttpAnswer | Exception]
    asked: list[tuple] = field(default_factory=list)

    async def __call__(self, method, url, *, fields=None, body=None, timeout=3.0, limit=65536):
        name = urlsplit(url).path.removeprefix("/")
        form = {key: value[0] for key, value in parse_qs((body or b"").decode()).items()}
        self.asked.append((name, method, fields, form))
        said = self.said.get(name, OSError("down"))
        if isinstance(said, Exception):
            raise said
        return said

    def of(self, name: str) -> list[tuple]:
        return [one for one in self.asked if one[0] == name]


def id_token(signer: Signer = SIGNER, header: dict | None = None, **claims: object) -> str:
    said = {"aud": "dept & co", "nonce": "nonce-1", "auth_time": int(NOW) - 5, "sub": "u-1"} | claims
    return signer.token({"typ": "JWT"} | (header or {}), **said)


def granted(token: str | None = None, **changed: object) -> HttpAnswer:
    said = {"access_token": ACCESS, "token_type": "Bearer", "id_token": token or id_token()} | changed
    return answer({name: value for name, value in said.items() if value is not None})


@pytest.fixture
def world() -> World:
    said = {
        "jwks": answer({"keys": [SIGNER.jwk()]}),
        "token": granted(),
        "userinfo": answer({"sub": "u-1", "profile": PERSON}),
        "introspect": answer(YES),
        "revoke": answer({}),
        "notices": answer({"ended": 1}),
    }
    return World(said)


@asynccontextmanager
async def running(context, world, **config):
    said = {name: value for name, value in (CONFIG | config).items() if value is not None}
    part = Standard(StandardConfig.model_validate(said), context.__class__(**_members(context) | {"fetch": world}))
    await part.start()
    try:
        yield part
    finally:
        await part.stop()


def _members(context) -> dict:
    return {name: getattr(context, name) for name in context.__struct_fields__}


# ── to the login page ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_authorization_request_is_the_one_of_the_standards(context, world):
    async with running(context, world) as part:
        address = urlsplit(part.login_address(login(acr_values="3 4", max_age=300, secret=PROOF_KEY)))
        asked = {name: value[0] for name, value in parse_qs(address.query, strict_parsing=True).items()}
        assert asked == {
            "response_type": "code",
            "client_id": "dept & co",
            "redirect_uri": CALLBACK,
            "scope": "openid profile",
            "state": "state-1",
            "nonce": "nonce-1",
            "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            "code_challenge_method": "S256",
            "subject_type": "natural",
            "acr_values": "3 4",
            "max_age": "300",
        }
        assert "max_age=0" in part.login_address(login(max_age=0))
        with pytest.raises(SignInMalformed):
            part.login_address(login(Kind.ANYONE))
    async with running(context, world, kind_parameter="", form_post=True) as part:
        address = part.login_address(login(Kind.LEGAL))
        assert "subject_type" not in address
        assert "response_mode=form_post" in address


# ── and back ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_code_becomes_a_sign_in(context, world):
    async with running(context, world) as part:
        signed_in = await part.redeem(BACK, login())
    who = signed_in.principal
    assert (who.issuer, who.subject, who.kind, who.assurance, who.level) == (ISSUER, "u-1", Kind.NATURAL, 3, "3")
    assert (who.session, who.authenticated_at, who.verifier) == ("session-1", NOW - 5, "part")
    assert who.expires_at == NOW + 28800, "the ID token's end is not the session's"
    assert (signed_in.token, signed_in.person, signed_in.units) == (ACCESS, None, ())
    assert signed_in.ticket == "code-1", "a CAS-style notice finds the session by it"
    assert (signed_in.profile.name, signed_in.profile.mobile, signed_in.profile.real_name) == ("样例甲", None, True)
    [(_, method, fields, form)] = world.of("token")
    assert (method, form) == (
        "POST",
        {
            "grant_type": "authorization_code",
            "code": "code-1",
            "redirect_uri": CALLBACK,
            "code_verifier": "s" * 43,
        },
    )
    assert b64decode(fields["Authorization"].removeprefix("Basic ")) == b"dept+%26+co:correct-horse-battery-staple"
    assert world.of("userinfo")[0][2]["Authorization"] == f"Bearer {ACCESS}"


async def test_a_unit_comes_with_who_acts_and_its_own_profile(context, world):
    token = id_token(sub="unit-1", subject_type="legal", act={"sub": "u-9"}, profile_version=4)
    world.said["token"] = granted(token)
    world.said["userinfo"] = answer({"sub": "unit-1", "profile": UNIT, "act": {"sub": "u-9", "name": "样例乙"}})
    async with running(context, world) as part:
        signed_in = await part.redeem(BACK, login(Kind.LEGAL))
    who = signed_in.principal
    assert (who.subject, who.kind, who.operator, who.version) == ("unit-1", Kind.LEGAL, "u-9", 4)
    assert (signed_in.profile.uscc, signed_in.profile.registered_on) == (USCC, "20200102")
    assert signed_in.person.name == "样例乙"


async def test_a_person_learns_for_which_units_she_may_act(context, world):
    units = [{"sub": "unit-1", "name": "样例一有限公司", "profile": UNIT}]
    world.said["userinfo"] = answer({"sub": "u-1", "name": "样例甲", "profile": "https://about.me", "units": units})
    async with running(context, world) as part:
        signed_in = await part.redeem(BACK, login())
    assert signed_in.profile.name == "样例甲", "`profile` as an address is what OpenID Connect means by it"
    assert [(unit.subject, unit.name, unit.profile.uscc) for unit in signed_in.units] == [
        ("unit-1", "样例一有限公司", USCC)
    ]


async def test_a_unit_that_is_masked_is_none_and_keeps_nobody_out(context, world):
    units = [{"sub": "unit-*", "name": "样例一"}, {"sub": "unit-2"}, {"sub": "unit-3", "name": "样例三"}]
    world.said["userinfo"] = answer({"sub": "u-1", "units": units})
    async with running(context, world) as part:
        signed_in = await part.redeem(BACK, login())
    assert [unit.subject for unit in signed_in.units] == ["unit-3"]


async def test_without_a_userinfo_endpoint_nothing_is_known_of_the_person(context, world):
    async with running(context, world, userinfo=None) as part:
        assert (await part.redeem(BACK, login())).profile.name is None
    assert world.of("userinfo") == []


REFUSED = {
    "the code is bad": {"token": answer({"error": "invalid_grant"}, 400)},
    "of another login": {"token": granted(id_token(nonce="nonce-2"))},
    "without a nonce": {"token": granted(id_token(nonce=None))},
    "of another issuer": {"token": granted(id_token(iss="https://id.other.example"))},
    "for another client": {"token": granted(id_token(aud=AUDIENCE))},
    "for several, and meant for another": {"token": granted(id_token(aud=["dept & co", "x"], azp="x"))},
    "expired": {"token": granted(id_token(exp=int(NOW)))},
    "issued in the future": {"token": granted(id_token(iat=int(NOW) + 61))},
    "signed with another key": {"token": granted(id_token(Signer("ES256", "es256-1")))},
    "signed with an unknown key": {"token": granted(id_token(Signer("ES256", "other")))},
    "an access token": {"token": granted(id_token(header={"typ": "at+jwt"}))},
    "a logout token": {"token": granted(id_token(header={"typ": "logout+jwt"}))},
    "unsigned": {"token": granted(SIGNER.sign({"alg": "none", "kid": "es256-1"}, "{}"))},
    "with a MAC": {"token": granted(id_token(header={"alg": "HS256"}))},
    "of an unknown kind of person": {"token": granted(id_token(subject_type="robot"))},
    "of a unit without who acts": {"token": granted(id_token(subject_type="legal"))},
    "without a subject": {"token": granted(id_token(sub=None))},
    "the profile is somebody else's": {"userinfo": answer({"sub": "u-2", "profile": PERSON})},
    "the profile is nobody's": {"userinfo": answer({"profile": PERSON})},
}


@pytest.mark.parametrize("said", REFUSED.values(), ids=REFUSED.keys())
async def test_what_does_not_hold_signs_nobody_in(said, context, world):
    world.said |= said
    async with running(context, world) as part:
        with pytest.raises(SignInRefused) as caught:
            await part.redeem(BACK, login())
    assert (caught.value.status, caught.value.code) == (401, "sign-in-refused")
    assert len(world.of("token")) == 1


UNAVAILABLE = {
    "down": {"token": OSError("down")},
    "too slow": {"token": TimeoutError()},
    "500": {"token": answer({}, 500)},
    "a page": {"token": HttpAnswer(200, "text/html", b"<html>")},
    "a redirect": {"token": answer(b"", 302)},
    "it does not know us": {"token": answer({"error": "invalid_client"}, 401)},
    "it does not take our request": {"token": answer({"error": "invalid_request"}, 400)},
    "no tokens": {"token": answer({})},
    "no ID token": {"token": answer({"access_token": ACCESS})},
    "an access token that cannot be one": {"token": granted(access_token="a b")},
    "no keys": {"jwks": OSError("down")},
    "no profile": {"userinfo": answer({}, 401)},
    "units that are none": {"userinfo": answer({"sub": "u-1", "units": [1]})},
}


@pytest.mark.parametrize("said", UNAVAILABLE.values(), ids=UNAVAILABLE.keys())
async def test_what_gets_no_answer_is_not_repeated(said, context, world):
    world.said |= said
    async with running(context, world) as part:
        with pytest.raises(VerifierUnavailable):
            await part.redeem(BACK, login())
        asked = len(world.of("token"))
        with pytest.raises(SignInRefused):
            await part.redeem(BACK, login())
    assert len(world.of("token")) == asked == 1


@pytest.mark.parametrize(
    "back", [{}, {"code": ""}, {"code": "x" * 4097}, {"code": "c", "iss": "https://id.other.example"}]
)
async def test_a_callback_that_is_none_asks_nobody(back, context, world):
    async with running(context, world) as part:
        with pytest.raises(SignInRefused):
            await part.redeem(back, login())
    assert world.of("token") == []


async def test_how_strong_and_how_fresh_a_login_was_is_left_to_the_sign_in_desk(context, world):
    world.said["token"] = granted(id_token(acr="1", auth_time=int(NOW) - 3600))
    async with running(context, world) as part:
        who = (await part.redeem(BACK, login(acr_values="3", max_age=300))).principal
    assert (who.assurance, who.authenticated_at) == (1, NOW - 3600)


async def test_a_fresh_login_that_does_not_say_when_it_was_is_none(context, world):
    """OpenID Connect Core §2: `auth_time` is required where `max_age` was asked for."""
    world.said["token"] = granted(id_token(auth_time=None))
    async with running(context, world) as part:
        with pytest.raises(SignInRefused):
            await part.redeem(BACK, login(max_age=300))
        assert await part.redeem(BACK | {"code": "code-2"}, login())


async def test_a_person_is_no_unit(context, world):
    async with running(context, world) as part:
        with pytest.raises(SignInRefused):
            await part.redeem(BACK, login(Kind.LEGAL))


async def test_fifty_callbacks_at_once_make_one_exchange(context, world):
    async with running(context, world) as part:
        said = await asyncio.gather(*(part.redeem(BACK, login()) for _ in range(50)), return_exceptions=True)
    assert [type(one) for one in said].count(SignIn) == 1
    assert len(world.of("token")) == 1


# ── tokens ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_jwt_is_checked_without_asking_about_it(context, world):
    async with running(context, world) as part:
        principal = await part.verify(Credential("web", SIGNER.token(profile_version=3)))
        assert (principal.subject, principal.version, principal.level) == ("8f2c61d0b7e94a53c1d6", 3, "3")
        assert await part.verify(Credential("web", SIGNER.token(iss="https://id.other.example"))) is None
        for wrong in (
            SIGNER.token(aud="dept-tax"),
            SIGNER.token({"typ": "logout+jwt"}),
            Signer("ES256", "es256-1").token(),
            SIGNER.token(exp=int(NOW)),
            SIGNER.token(subject_type="legal"),
        ):
            with pytest.raises(CredentialRejected):
                await part.verify(Credential("web", wrong))
    assert world.of("introspect") == []


async def test_an_opaque_token_is_asked_about(context, world):
    async with running(context, world) as part:
        principal = await part.verify(Credential("web", ACCESS))
        assert (principal.subject, principal.assurance, principal.expires_at) == ("u-1", 3, NOW + 30)
        assert world.of("introspect")[0][3] == {"token": ACCESS, "token_type_hint": "access_token"}
        world.said["introspect"] = answer(YES | {"exp": None})
        assert (await part.verify(Credential("web", ACCESS))).expires_at == NOW + 30
        world.said["introspect"] = answer(YES | {"exp": NOW + 10})
        assert (await part.verify(Credential("web", ACCESS))).expires_at == NOW + 10
        unit = YES | {"subject_type": "legal"}
        for no in ({"active": False}, YES | {"aud": "x"}, YES | {"exp": NOW}, YES | {"iss": "x"}, unit):
            world.said["introspect"] = answer(no)
            with pytest.raises(CredentialRejected):
                await part.verify(Credential("web", ACCESS))


@pytest.mark.parametrize(
    "said",
    [
        OSError("down"),
        answer(YES, 500),
        answer({}),
        answer([]),
        answer({"active": "true"}),
        answer(YES | {"sub": None}),
        answer(YES | {"subject_type": "robot"}),
    ],
)
async def test_what_is_neither_yes_nor_no_is_no_verdict(said, context, world):
    world.said["introspect"] = said
    async with running(context, world) as part:
        with pytest.raises(VerifierUnavailable):
            await part.verify(Credential("web", ACCESS))


@pytest.mark.parametrize("token", [None, "", "session:AbCdEfGhIjKlMnOp", "tif:e30", "a b", "x" * 8193])
async def test_what_is_no_token_of_this_platform_never_leaves_the_gateway(token, context, world):
    async with running(context, world) as part:
        assert await part.verify(Credential("web", token)) is None
    async with running(context, world, introspection=None) as part:
        assert await part.verify(Credential("web", ACCESS)) is None
    async with running(context, world, tokens="[a-z]+") as part:
        assert await part.verify(Credential("web", ACCESS)) is None
    assert world.of("introspect") == []


class Bystander:
    """A request as the chain sees it: somebody who notes what was said."""

    def __init__(self) -> None:
        self.verdicts: list[tuple[str, str]] = []

    def note(self, part: str, verdict: str) -> None:
        self.verdicts.append((part, verdict))


async def test_a_jwt_is_remembered_until_its_end_and_an_opaque_token_for_remember(context, world, clock):
    """One verifier judges both; a JWT must not cost a signature every half minute because of the other kind."""
    async with running(context, world) as part:
        chain = VerifierChain([part], VerdictMemory(), Revocations(clock=context.clock), context.clock)
        signed = Credential("web", SIGNER.token())
        said = {}
        for seconds in (0, 29, 2):
            clock.advance(seconds)
            for name, credential in (("jwt", signed), ("opaque", Credential("web", ACCESS))):
                bystander = Bystander()
                await chain.verify(credential, bystander)
                said.setdefault(name, []).append(bystander.verdicts[0][1])
    assert said == {"jwt": ["verified", "remembered", "remembered"], "opaque": ["verified", "remembered", "verified"]}


async def test_odd_accounts_close_the_door_to_nobody_else(context, world):
    async with running(context, world, failures=2) as part:
        for odd in ({"subject_type": "robot"}, {"subject_type": "legal"}, {"sub": None}):
            world.said["introspect"] = answer(YES | odd)
            with pytest.raises((CredentialRejected, VerifierUnavailable)):
                await part.verify(Credential("web", ACCESS))
        assert part.calls.breaker.state == "closed"


async def test_the_clocks_of_the_platform_are_told_to_operators(context, world):
    world.said["jwks"] = msgspec.structs.replace(world.said["jwks"], date=NOW - 40)
    world.said["introspect"] = msgspec.structs.replace(world.said["introspect"], date=NOW + 95)
    async with running(context, world, jwks="https://keys.province.example:8443/jwks") as part:
        assert "clock_offsets" not in part.status()
        await part.verify(Credential("web", SIGNER.token()))
        await part.verify(Credential("web", ACCESS))
        assert part.status()["clock_offsets"] == {"keys.province.example": -40, "id.province.example": 95}


async def test_a_withdrawn_key_voids_what_was_said_with_it(context, world, clock):
    async with running(context, world) as part:
        await part.verify(Credential("web", SIGNER.token()))
        world.said["jwks"] = answer({"keys": [Signer("ES256", "new").jwk()]})
        assert await part.refresh_keys() == "fetched"
        assert part.epoch == 1
        assert [key["kid"] for key in part.status()["keys"]] == ["new"]


# ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_logout_page_is_told_who_leaves_and_where_to(context, world):
    async with running(context, world) as part:
        signed_in = await part.redeem(BACK, login())
        address = urlsplit(part.logout_address(signed_in, "https://gw.example.gov.cn/sso/"))
        asked = {name: value[0] for name, value in parse_qs(address.query).items()}
        assert asked == {
            "id_token_hint": signed_in.logout_hint,
            "client_id": "dept & co",
            "post_logout_redirect_uri": "https://gw.example.gov.cn/sso/",
        }
    async with running(context, world, end_session=None) as part:
        assert part.logout_address(signed_in, "https://gw.example.gov.cn/sso/") is None


async def test_the_end_is_told_and_the_token_given_back(context, world):
    async with running(context, world) as part:
        signed_in = await part.redeem(BACK, login())
        await part.end(signed_in)
        assert world.of("notices")[0][3] == {"sid": "session-1"}
        assert world.of("revoke")[0][3] == {"token": ACCESS, "token_type_hint": "access_token"}
    async with running(context, World({}), revocation=None, notice=None) as part:
        await part.end(signed_in)


@pytest.mark.parametrize("deaf", [{"notices"}, {"revoke"}, {"notices", "revoke"}])
async def test_whichever_end_of_a_sign_in_is_not_heard_the_other_is_told_all_the_same(deaf, context, world):
    world.said |= {name: answer({}, 503) for name in deaf}
    async with running(context, world) as part:
        signed_in = await part.redeem(BACK, login())
        with pytest.raises(VerifierUnavailable, match="503"):
            await part.end(signed_in)
    assert len(world.of("notices")) == len(world.of("revoke")) == 1


async def test_a_platform_that_hears_no_farewells_still_signs_people_in(context, world):
    world.said["notices"] = answer({}, 404)
    async with running(context, world, failures=1) as part:
        signed_in = await part.redeem(BACK, login())
        for _ in range(3):
            with pytest.raises(VerifierUnavailable):
                await part.end(signed_in)
        assert len(world.of("revoke")) == 3
        assert await part.redeem(BACK | {"code": "code-2"}, login())


async def test_a_logout_token_is_read_with_the_same_keys(context, world):
    types = frozenset({"logout+jwt"})
    async with running(context, world) as part:
        token = SIGNER.token({"typ": "logout+jwt"}, aud=["x", "dept & co"], events={})
        assert (await part.read_signed(token, types))["sid"] == "session-1"
        for wrong in (
            SIGNER.token({"typ": "logout+jwt"}, aud=AUDIENCE),
            SIGNER.token({"typ": "logout+jwt"}, aud="dept & co", iss="https://id.other.example"),
            SIGNER.token({"typ": "logout+jwt"}, aud="dept & co", exp=int(NOW)),
            SIGNER.token({"typ": "logout+jwt"}, aud="dept & co", iat=int(NOW) + 61),
            SIGNER.token({"typ": "logout+jwt"}, aud="dept & co", iat="soon"),
            SIGNER.token({"typ": "at+jwt"}, aud="dept & co"),
            Signer("ES256", "es256-1").token({"typ": "logout+jwt"}, aud="dept & co"),
            "no token",
        ):
            with pytest.raises(CredentialRejected):
                await part.read_signed(wrong, types)


async def test_a_platform_that_signs_nothing_reads_nothing(context, world):
    world.said["jwks"] = OSError("down")
    async with running(context, world) as part:
        with pytest.raises(VerifierUnavailable):
            await part.read_signed(SIGNER.token({"typ": "logout+jwt"}, aud="dept & co"), frozenset({"logout+jwt"}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"token": "http://id.example.gov.cn/token"},
        {"scope": "profile"},
        {"tokens": "("},
        {"hard_ttl": "1s", "soft_ttl": "2s"},
        {"algorithms": ["none"]},
        {"algorithms": ["HS256"]},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong):
    with pytest.raises(ValidationError):
        StandardConfig.model_validate(CONFIG | wrong)


async def test_no_secret_is_in_what_is_written_about_it(context, world):
    async with running(context, world) as part:
        signed_in = await part.redeem(BACK, login())
        written = f"{part.config!r} {part.config.model_dump_json()} {json.dumps(part.status())} {signed_in!r}"
        for secret in (SECRET, ACCESS, "s" * 43, "样例", signed_in.logout_hint):
            assert secret not in written
