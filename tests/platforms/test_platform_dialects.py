"""What each dialect has of its own: questions as its platform wants them, vectors, failures that only it knows."""

import asyncio
import hashlib
import json
import re
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from pydantic import SecretStr, ValidationError

from gateway import (
    BgKeySettings,
    Credential,
    CredentialRejected,
    Kind,
    SignInMalformed,
    SignInRefused,
    VerifierUnavailable,
    decrypt_aes_ecb,
    sign_bg,
    sign_md5,
)
from plugins.platforms.national import sign_line
from tests.platforms.platform_world import (
    CALLBACK,
    GD_TOKEN,
    GD_UNIT,
    GD_USER,
    GJ_USER,
    IRS_UNIT,
    JIS_UNIT,
    JIS_USER,
    PERSONS_OF_GUANGDONG,
    PERSONS_OF_IRS,
    PERSONS_OF_JIS,
    PERSONS_OF_THE_LINE,
    PERSONS_OF_ZHEJIANG,
    SECRET,
    UNITS_OF_GUANGDONG,
    UNITS_OF_IRS,
    UNITS_OF_JIS,
    UNITS_OF_ZHEJIANG,
    USCC,
    WORD,
    ZJ_UNIT,
    envelope,
    gj,
    irs,
    jis,
    login,
    seal,
)
from tests.plugin_world import NOW, answer

TOKEN = Credential("web", "token-1")
AT_VECTOR = 1636447760.0  # Tue, 09 Nov 2021 08:49:20 GMT


def form_of(call: dict) -> dict[str, str]:
    return {name: value[0] for name, value in parse_qs(call["body"].decode(), strict_parsing=True).items()}


# ── vectors ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_fields_for_the_interface_gateway_are_those_of_the_vector():
    key = BgKeySettings(access_key="AK-TEST", secret=SecretStr("SK-TEST"))
    path = "/restapi/prod/IC33000020220228000004/sso/servlet/simpleauth"
    assert sign_bg(key, "POST", path, AT_VECTOR) == {
        "X-BG-HMAC-SIGNATURE": "2gN2ovCuNUrBoRxxMbyDECHKN/mdxD7bVyDiPTX+VOU=",
        "X-BG-HMAC-ALGORITHM": "hmac-sha256",
        "X-BG-HMAC-ACCESS-KEY": "AK-TEST",
        "X-BG-DATE-TIME": "Tue, 09 Nov 2021 08:49:20 GMT",
    }
    assert sign_bg(key, "GET", "/a", AT_VECTOR, "b=2&a=1") == sign_bg(key, "GET", "/a", AT_VECTOR, "a=1&b=2")


def test_the_md5_family_signs_the_time_of_day_in_china():
    signed = sign_md5("svc", SecretStr("pwd"), AT_VECTOR - 8 * 3600)
    assert signed == {"time": "20211109084920", "sign": "f147807721008f63a2599c86ed5a2e09"}


def test_the_line_signs_service_requester_and_milliseconds():
    sign = sign_line("s_1", "rid-1", "1636447760000", "appsecret-test")
    assert sign == "Kh5HPur88lXBcByeXrlMtGoUGVSh4Un6z06urGX6SFk="


@pytest.mark.parametrize("text", ["", "no base64!", "AAAA", "A" * 44, "AAAAAAAAAAAAAAAAAAAAAA=="])
def test_what_aes_cannot_open_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"."):
        decrypt_aes_ecb(b"0123456789abcdef", text)


# ── Zhejiang ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_zhejiang_asks_ticket_validation_and_then_the_user(context, platform):
    platform.answers = [*PERSONS_OF_ZHEJIANG.good]
    signed_in = await PERSONS_OF_ZHEJIANG.make(context).redeem({"ticket": "ST-1"}, login())
    validated, described = map(form_of, platform.calls)
    assert (validated["method"], validated["st"], validated["datatype"]) == ("ticketValidation", "ST-1", "json")
    assert (described["method"], described["token"]) == ("getUserInfo", "token-1")
    assert validated["time"] == "20231115061320"
    assert validated["sign"] == hashlib.md5(f"svc{SECRET}20231115061320".encode()).hexdigest()
    assert "X-BG-HMAC-SIGNATURE" in platform.calls[0]["fields"]
    assert signed_in.profile.id_number == "350100190001010020"
    assert signed_in.profile.mobile is None, "138****0001 is no telephone number"


async def test_zhejiang_without_the_interface_gateway_is_asked_without_its_fields(context, platform):
    platform.answers = [*PERSONS_OF_ZHEJIANG.good]
    await PERSONS_OF_ZHEJIANG.make(context, gateway=None).redeem({"ticket": "ST-1"}, login())
    assert not [name for name in platform.calls[0]["fields"] if name.startswith("X-BG")]


@pytest.mark.parametrize(("level", "assurance"), [("1", 4), (2, 4), ("3", 2), ("4", 0), ("5", 0), (None, 0), ([], 0)])
async def test_of_zhejiangs_real_levels_the_smallest_is_the_strongest(level, assurance, context, platform):
    platform.answers = [answer({"success": True, "data": ZJ_UNIT | {"realLevel": level}})]
    principal = await UNITS_OF_ZHEJIANG.make(context).verify(TOKEN)
    assert principal.assurance == assurance


async def test_a_unit_of_zhejiang_may_come_without_an_envelope(context, platform):
    platform.answers = [answer({"success": True, **ZJ_UNIT})]
    principal = await UNITS_OF_ZHEJIANG.make(context).verify(TOKEN)
    assert (principal.subject, principal.operator) == ("unit-1", "350100190001010012")


@pytest.mark.parametrize("operator", [None, "", "3501**********0012"])
async def test_a_unit_for_which_nobody_can_be_named_is_no_sign_in(operator, context, platform):
    platform.answers = [answer({"success": True, "data": ZJ_UNIT | {"attnIDNo": operator}})]
    with pytest.raises(CredentialRejected):
        await UNITS_OF_ZHEJIANG.make(context).verify(TOKEN)


def test_zhejiangs_logout_pages_lead_back(context):
    back = "https://gw.example.gov.cn/sso/"
    assert PERSONS_OF_ZHEJIANG.make(context).logout_address(None, back) is None
    address = urlsplit(UNITS_OF_ZHEJIANG.make(context).logout_address(None, back))
    assert (address.path, parse_qs(address.query)) == ("/opensso/UI/Logout", {"goto": [back]})


@pytest.mark.parametrize(
    "message", ["Invalid signature", "Invalid access key", "Clock skew exceeded", "The route_id is forbidden."]
)
async def test_what_the_interface_gateway_refuses_is_our_fault_and_not_the_visitors(message, context, platform):
    platform.answers = [answer({"message": message}, 401)]
    with pytest.raises(VerifierUnavailable):
        await PERSONS_OF_IRS.make(context).verify(TOKEN)


async def test_the_irs_is_asked_in_json_with_signed_fields(context, platform):
    platform.answers = [*PERSONS_OF_IRS.good]
    signed_in = await PERSONS_OF_IRS.make(context).redeem({"ticketId": "tk-1"}, login())
    assert [json.loads(call["body"]) for call in platform.calls] == [
        {"ticketId": "tk-1", "appId": "2001"},
        {"token": "token-1"},
    ]
    assert platform.calls[0]["fields"]["X-BG-DATE-TIME"] == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert signed_in.profile.sex == "2"
    assert [(unit.subject, unit.name) for unit in signed_in.units] == [("unit-1", "样例一有限公司")]
    assert signed_in.units[0].profile.uscc == USCC


async def test_a_unit_of_the_irs_names_the_person_who_acts(context, platform):
    acting = {"userId": "u-1", "userName": "样例乙"}
    platform.answers = [UNITS_OF_IRS.good[0], irs("LEGAL_PERSON", legalPersonInfo=IRS_UNIT, personInfo=acting)]
    signed_in = await UNITS_OF_IRS.make(context).redeem({"ticketId": "tk-1"}, login(Kind.LEGAL))
    assert (signed_in.principal.operator, signed_in.person.name) == ("u-1", "样例乙")


async def test_an_account_of_a_kind_that_nobody_knows_is_refused(context, platform):
    platform.answers = [irs("ROBOT", personInfo={"userId": "u-1"})]
    with pytest.raises(CredentialRejected):
        await PERSONS_OF_IRS.make(context).verify(TOKEN)


# ── JIS ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("version", "body"), [("appmark", "form"), ("app_id", "json")])
async def test_jis_names_the_service_in_the_question(version, body, context, platform):
    platform.answers = [*PERSONS_OF_JIS.good]
    signed_in = await PERSONS_OF_JIS.make(context, version=version, body=body).redeem({"ticket": "tk-1"}, login())
    read = form_of if body == "form" else lambda call: json.loads(call["body"])
    validated, described = map(read, platform.calls)
    assert (validated[version], validated["servicename"]) == ("mark", "ticketValidate")
    assert json.loads(validated["params"]) == {"ticket": "tk-1"}
    assert (described["servicename"], json.loads(described["params"])) == (
        "findOutsideUserByToken",
        {"token": "token-1"},
    )
    assert signed_in.profile.real_name is True


async def test_of_a_token_alone_jis_is_asked_for_each_kind_of_person_in_turn(context, platform):
    part = PERSONS_OF_JIS.make(context, kinds=["natural", "legal"])
    platform.answers = [PERSONS_OF_JIS.dead, jis(JIS_UNIT)]
    assert (await part.verify(TOKEN)).subject == USCC
    platform.answers = [PERSONS_OF_JIS.dead]
    with pytest.raises(CredentialRejected):
        await part.verify(TOKEN)
    platform.answers = [PERSONS_OF_JIS.fault, jis(JIS_UNIT)]
    with pytest.raises(VerifierUnavailable):
        await part.verify(TOKEN)


@pytest.mark.parametrize("data", [seal(b"f" * 16, JIS_USER), seal(WORD.encode(), "no JSON"), "%%%", None, 7])
async def test_data_that_cannot_be_opened_is_no_answer(data, context, platform):
    platform.answers = [answer({"retcode": "000000", "data": data})]
    with pytest.raises(VerifierUnavailable):
        await PERSONS_OF_JIS.make(context).verify(TOKEN)


@pytest.mark.parametrize("level", range(4))
async def test_the_levels_of_jis(level, context, platform):
    platform.answers = [jis(JIS_USER | {"authlevel": level})]
    principal = await PERSONS_OF_JIS.make(context).verify(TOKEN)
    assert (principal.assurance, principal.level) == (level, str(level))


def test_the_login_page_of_jis_says_which_kind_of_person(context):
    part = PERSONS_OF_JIS.make(context, kinds=["natural", "legal"], trust_national=True, logout_path="/jis-web/logout")
    asked = parse_qs(urlsplit(part.login_address(login(Kind.LEGAL))).query)
    assert (asked["userType"], asked["gbTrust"]) == (["2"], ["true"])
    assert parse_qs(urlsplit(part.logout_address(None, "https://gw/")).query) == {"backUrl": ["https://gw/"]}
    with pytest.raises(SignInMalformed):
        UNITS_OF_JIS.make(context).login_address(login(Kind.NATURAL))


def test_an_appword_that_is_no_aes_key_is_refused(context):
    with pytest.raises(ValidationError):
        PERSONS_OF_JIS.make(context, app_word="short")


# ── Guangdong ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_guangdong_is_asked_as_oauth_2_wants_it(context, platform):
    platform.answers = [*PERSONS_OF_GUANGDONG.good]
    part = PERSONS_OF_GUANGDONG.make(context, version="pscp")
    signed_in = await part.redeem({"code": "code-1"}, login())
    exchanged = form_of(platform.calls[0])
    assert platform.calls[0]["url"].endswith("/pscp/sso/connect/page/oauth2/access_token")
    assert (exchanged["grant_type"], exchanged["code"]) == ("authorization_code", "code-1")
    assert exchanged["redirect_uri"] == CALLBACK
    assert form_of(platform.calls[1]) == {"access_token": "AQIC5wM2*@node1"}
    assert (signed_in.principal.version, signed_in.profile.sex, signed_in.profile.real_name) == (3, "2", True)
    assert signed_in.profile.address is None, "-1 says nothing"
    assert "redirect_uri=" in part.logout_address(signed_in, "https://gw/")


async def test_only_tokens_with_a_node_are_guangdongs(context, platform):
    part = PERSONS_OF_GUANGDONG.make(context)
    for token in ("plain", "AQIC5wM2*", "@node1", "a@", "a@b@c"):
        assert await part.verify(Credential("web", token)) is None
    assert platform.calls == []


WRONG_ENVELOPES = {
    "signed with another key": envelope(GD_USER, secret="another secret of ours"),
    "of last year": envelope(GD_USER, stamp="20221115061320"),
    "of tomorrow": envelope(GD_USER, stamp="20231116061320"),
    "of no time at all": envelope(GD_USER, stamp="soon"),
    "changed on the way": answer(envelope(GD_USER).body.replace(b'"L2"', b'"L3"')),
    "the sign is no base64": answer(re.sub(rb'"sign":"[^"]+"', b'"sign":"%%%"', envelope(GD_USER).body)),
}


@pytest.mark.parametrize("said", WRONG_ENVELOPES.values(), ids=WRONG_ENVELOPES.keys())
async def test_an_envelope_that_does_not_hold_signs_nobody_in_and_judges_no_token(said, context, platform):
    part = PERSONS_OF_GUANGDONG.make(context)
    platform.answers = [GD_TOKEN, said]
    with pytest.raises(SignInRefused):
        await part.redeem({"code": "code-1"}, login())
    with pytest.raises(VerifierUnavailable):
        await part.verify(Credential("web", "a@node1"))


@pytest.mark.parametrize("stamp", ["20231115", "1700000000", "1700000000000", "20231115061620"])
async def test_the_time_of_an_envelope_may_be_written_in_several_ways(stamp, context, platform):
    platform.answers = [envelope(GD_USER, stamp=stamp)]
    assert await PERSONS_OF_GUANGDONG.make(context).verify(Credential("web", "a@node1"))


async def test_an_envelope_signed_with_sm3_holds_under_its_own_settings_only(context, platform):
    part = PERSONS_OF_GUANGDONG.make(context, envelope={"key": SECRET, "algorithm": "hmac-sm3"})
    platform.answers = [envelope(GD_USER)]
    with pytest.raises(VerifierUnavailable):
        await part.verify(Credential("web", "a@node1"))


async def test_a_sub_account_acts_for_its_main_account(context, platform):
    sub = GD_UNIT | {"useridcode": "f" * 32, "parent_uidcode": "a" * 32, "cn": "样例乙", "idcardtype": "10"}
    main = {"cn": "样例一有限公司", "idcardtype": "49", "idcardnumber": USCC}
    platform.answers = [GD_TOKEN, envelope(sub, pareobj=main)]
    signed_in = await UNITS_OF_GUANGDONG.make(context).redeem({"code": "code-1"}, login(Kind.LEGAL))
    assert (signed_in.principal.subject, signed_in.principal.operator) == ("a" * 32, "f" * 32)
    assert (signed_in.profile.name, signed_in.profile.uscc) == ("样例一有限公司", USCC)


@pytest.mark.parametrize(("level", "assurance"), [("L0", 0), ("L1", 2), ("L2", 3), ("L3", 4), ("L4", 0), (3, 0)])
async def test_the_levels_of_guangdong(level, assurance, context, platform):
    platform.answers = [envelope(GD_USER | {"creditable_level_of_account": level})]
    principal = await PERSONS_OF_GUANGDONG.make(context).verify(Credential("web", "a@node1"))
    assert principal.assurance == assurance


@pytest.mark.parametrize("error", ["invalid_client", "server_error", "temporarily_unavailable", "unauthorized_client"])
async def test_an_oauth_error_that_is_ours_or_the_platforms_is_no_no(error, context, platform):
    platform.answers = [answer({"error": error}, 400)]
    with pytest.raises(VerifierUnavailable):
        await PERSONS_OF_GUANGDONG.make(context).redeem({"code": "code-1"}, login())


@pytest.mark.parametrize("envelope", [{"key": "short"}, {"key": "04" * 10, "algorithm": "sm2"}, {}])
def test_an_envelope_without_a_usable_key_is_refused(envelope, context):
    with pytest.raises(ValidationError):
        PERSONS_OF_GUANGDONG.make(context, envelope=envelope)


# ── the line ──────────────────────────────────────────────────────────────────────────────────────────────────────

EXCHANGE = {"version": "exchange", "secret": None, "app_key": "k" * 32, "secret_service": "s_0"}
SEED = hashlib.sha1(hashlib.sha1(b"k" * 32).digest()).digest()[:16]


def fetched(secret: str, until: float, key: bytes = SEED) -> object:
    return answer({"code": "0", "data": {"secret": seal(key, secret), "secretEndTime": str(int(until * 1000))}})


async def test_a_question_to_the_line_carries_its_four_fields(context, platform):
    platform.answers = [gj(GJ_USER)]
    principal = await PERSONS_OF_THE_LINE.make(context).verify(TOKEN)
    fields = platform.calls[0]["fields"]
    assert fields["gjzwfwpt_rid"] == "rid-1"
    assert fields["gjzwfwpt_sid"] == "s_2"
    assert fields["gjzwfwpt_rtime"] == "1700000000000"
    assert fields["gjzwfwpt_sign"] == sign_line("s_2", "rid-1", "1700000000000", SECRET)
    assert json.loads(platform.calls[0]["body"]) == {"token": "token-1"}
    assert (principal.version, principal.level) == (7, "四级")


async def test_the_exchange_platforms_secret_is_fetched_opened_used_and_renewed(context, platform, clock):
    part = PERSONS_OF_THE_LINE.make(context, **EXCHANGE)
    platform.answers = [fetched("first secret", NOW + 600), gj(GJ_USER), gj(GJ_USER), fetched("second", NOW + 1200)]
    platform.answers.append(gj(GJ_USER))
    assert await part.verify(TOKEN)
    assert await part.verify(TOKEN)
    clock.advance(541)  # a minute before its end
    assert await part.verify(TOKEN)
    signs = [call["fields"]["gjgxjhpt_sign"] for call in platform.calls]
    times = [call["fields"]["gjgxjhpt_rtime"] for call in platform.calls]
    services = [call["fields"]["gjgxjhpt_sid"] for call in platform.calls]
    assert services == ["s_0", "s_2", "s_2", "s_0", "s_2"]
    keys = ["k" * 32, "first secret", "first secret", "k" * 32, "second"]
    assert signs == [sign_line(sid, "rid-1", at, key) for sid, at, key in zip(services, times, keys, strict=True)]


async def test_many_questions_fetch_one_secret(context, platform):
    part = PERSONS_OF_THE_LINE.make(context, **EXCHANGE)
    platform.answers = [fetched("a secret", NOW + 600), gj(GJ_USER)]
    assert all(await asyncio.gather(*(part.verify(TOKEN) for _ in range(20))))
    assert [call["fields"]["gjgxjhpt_sid"] for call in platform.calls].count("s_0") == 1


async def test_a_secret_that_cannot_be_renewed_is_used_to_its_end_and_not_longer(context, platform, clock):
    part = PERSONS_OF_THE_LINE.make(context, **EXCHANGE)
    platform.answers = [fetched("a secret", NOW + 600), gj(GJ_USER), OSError("down"), gj(GJ_USER), OSError("down")]
    assert await part.verify(TOKEN)
    clock.advance(550)
    assert await part.verify(TOKEN)
    clock.advance(60)
    with pytest.raises(VerifierUnavailable):
        await part.verify(TOKEN)


NO_SECRETS = {
    "refused": answer({"code": "-1", "data": "", "message": "接口调用失败"}),
    "over already": fetched("a secret", NOW - 1),
    "sealed with another key": fetched("a secret", NOW + 600, b"f" * 16),
    "empty": fetched("", NOW + 600),
    "without an end": answer({"code": "0", "data": {"secret": "x"}}),
    "with a strange end": answer({"code": "0", "data": {"secret": "x", "secretEndTime": "tomorrow"}}),
    "down": OSError("down"),
}


@pytest.mark.parametrize("said", NO_SECRETS.values(), ids=NO_SECRETS.keys())
async def test_without_a_secret_nobody_is_asked(said, context, platform):
    part = PERSONS_OF_THE_LINE.make(context, **EXCHANGE)
    platform.answers = [said]
    with pytest.raises(VerifierUnavailable):
        await part.verify(TOKEN)
    assert len(platform.calls) == 1


async def test_a_fetch_under_way_ends_with_the_part(context, platform):
    part = PERSONS_OF_THE_LINE.make(context, **EXCHANGE)
    platform.hold(fetched("a secret", NOW + 600))
    asking = asyncio.create_task(part.verify(TOKEN))
    await platform.asked.wait()
    await part.stop()
    with pytest.raises(VerifierUnavailable):
        await asking


async def test_a_key_may_be_used_as_it_is(context, platform):
    part = PERSONS_OF_THE_LINE.make(context, **EXCHANGE, key_derivation="raw")
    platform.answers = [fetched("a secret", NOW + 600, b"k" * 32), gj(GJ_USER)]
    assert await part.verify(TOKEN)


async def test_a_line_without_a_login_page_only_recognises_its_tokens(context, platform):
    part = PERSONS_OF_THE_LINE.make(context, login_path=None, ticket_service="")
    with pytest.raises(SignInMalformed):
        part.login_address(login())
    assert part.logout_address(None, "https://gw/") is None
    platform.answers = [gj(GJ_USER)]
    assert await part.verify(TOKEN)


@pytest.mark.parametrize(
    "wrong", [{"secret": None}, {"version": "exchange"}, {"ticket_service": ""}, {**EXCHANGE, "secret_service": ""}]
)
def test_a_line_that_lacks_what_it_signs_with_is_refused(wrong, context):
    with pytest.raises(ValidationError):
        PERSONS_OF_THE_LINE.make(context, **wrong)


async def test_a_newer_profile_has_a_higher_version(context, platform):
    part = PERSONS_OF_GUANGDONG.make(context)
    for version, counted in (("3.0", 3), ("12", 12), (4, 4), (5.0, 5), ("3.1", 0), ("x", 0), (True, 0), (None, 0)):
        platform.answers = [envelope(GD_USER | {"uversion": version})]
        assert (await part.verify(Credential("web", "a@node1"))).version == counted


async def test_an_answer_dated_by_the_platform_is_no_reason_to_refuse(context, platform):
    platform.answers = [msgspec.structs.replace(gj(GJ_USER), date=NOW - 3600)]
    part = PERSONS_OF_THE_LINE.make(context)
    assert await part.verify(TOKEN)
    assert part.status()["clock_offsets"] == {"id.example.gov.cn": -3600}
