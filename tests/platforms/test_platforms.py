"""What holds of every dialect whose login page sends the browser back with a ticket, in one table."""

import asyncio
import contextlib
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from gateway import (
    SESSION_MARK,
    Credential,
    CredentialRejected,
    HttpAnswer,
    Kind,
    SignInMalformed,
    SignInRefused,
    VerifierUnavailable,
)
from tests.platforms.platform_world import CALLBACK, CASES, ISSUER, SECRET, login
from tests.plugin_world import NOW, Signer, answer

each = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
exchanged = pytest.mark.parametrize(
    "case",
    [case for case in CASES.values() if case.refused is not None],
    ids=[name for name, case in CASES.items() if case.refused is not None],
)

NO_ANSWERS = {
    "not reachable": OSError("refused"),
    "too slow": TimeoutError(),
    "larger than allowed": OSError("the answer is larger than 65536 bytes"),
    "500": answer({"success": True, "code": 200, "result": "0"}, 500),
    "a redirect": answer(b"", 302),
    "a page": HttpAnswer(200, "text/html", b"<html>busy</html>"),
    "nothing": answer(b""),
    "a list": answer([]),
    "null": answer(None),
    "no object inside": answer({"success": True, "code": 200, "retcode": "000000", "data": [1], "b_content": 1}),
    "an empty object": answer({}),
    "a member twice": answer(b'{"result":"1","result":"0"}'),
    "not UTF-8": answer(b'{"result":"\xff"}'),
    "NaN": answer(b'{"result":NaN}'),
    "deep": answer(b'{"a":' * 40 + b"1" + b"}" * 40),
    "the code is a list": answer({"result": ["0"], "code": [200], "success": [True], "retcode": {}, "errcode": []}),
}


@each
async def test_a_ticket_becomes_a_sign_in(case, context, platform):
    platform.answers = [*case.good]
    signed_in = await case.make(context).redeem(case.back, login(case.kind))
    who = signed_in.principal
    assert (who.subject, who.kind, who.level, who.assurance, who.operator) == case.person
    assert (who.issuer, who.verifier) == (ISSUER, "part")
    assert who.expires_at > NOW
    assert len(platform.calls) == len(case.good)
    assert signed_in.token == case.token
    assert signed_in.ticket in case.back.values()
    assert signed_in.profile.name == ("样例甲" if case.kind is Kind.NATURAL else "样例一有限公司")
    assert (signed_in.person is None) is (case.kind is Kind.NATURAL), "a unit comes with the person who acts"


@each
async def test_its_tokens_are_judged_by_asking(case, context, platform):
    platform.answers = [case.good[-1]]
    principal = await case.make(context).verify(Credential("web", case.token))
    assert principal is not None
    assert (principal.subject, principal.kind, principal.level, principal.assurance, principal.operator) == case.person


@each
async def test_a_dead_token_is_rejected_and_not_a_refused_sign_in(case, context, platform):
    platform.answers = [case.dead]
    with pytest.raises(CredentialRejected) as caught:
        await case.make(context).verify(Credential("web", case.token))
    assert caught.value.code == "token-invalid"
    assert case.token not in str(caught.value)


@each
@pytest.mark.parametrize("said", NO_ANSWERS.values(), ids=NO_ANSWERS.keys())
async def test_what_is_neither_yes_nor_no_is_no_verdict(case, said, context, platform):
    platform.answers = [said]
    with pytest.raises(VerifierUnavailable) as caught:
        await case.make(context).verify(Credential("web", case.token))
    assert caught.value.retry_after


@each
@pytest.mark.parametrize("said", NO_ANSWERS.values(), ids=NO_ANSWERS.keys())
async def test_no_step_of_an_exchange_is_repeated(case, said, context, platform):
    """Whichever step gets no answer: each question went out once, and the same callback asks nobody again."""
    for step in range(len(case.good)):
        platform.answers = [*case.good[:step], said]
        platform.calls.clear()
        part = case.make(msgspec.structs.replace(context, name=f"part-{step}"))
        with pytest.raises(VerifierUnavailable):
            await part.redeem(case.back, login(case.kind))
        assert len(platform.calls) == step + 1
        with pytest.raises(SignInRefused):
            await part.redeem(case.back, login(case.kind))
        assert len(platform.calls) == step + 1


@each
async def test_a_failure_that_is_not_the_visitors_is_no_no(case, context, platform):
    platform.answers = [case.fault]
    part = case.make(context, failures=1)
    with pytest.raises(VerifierUnavailable):
        await part.verify(Credential("web", case.token))
    assert part.calls.breaker.state == "open"


@exchanged
async def test_a_refused_ticket_is_a_refused_sign_in_and_no_failure(case, context, platform):
    platform.answers = [case.refused]
    part = case.make(context, failures=1)
    with pytest.raises(SignInRefused) as caught:
        await part.redeem(case.back, login(case.kind))
    assert (caught.value.status, caught.value.code) == (401, "sign-in-refused")
    assert len(platform.calls) == 1
    assert part.calls.breaker.state == "closed"


@each
async def test_a_ticket_is_used_once_whoever_brings_it(case, context, platform):
    platform.answers = [*case.good]
    part = case.make(context)
    await part.redeem(case.back, login(case.kind))
    with pytest.raises(SignInRefused):
        await part.redeem(case.back, login(case.kind, state="state-2"))
    assert len(platform.calls) == len(case.good)


@each
@pytest.mark.parametrize("ticket", [None, "", "x" * 4097])
async def test_a_callback_without_a_usable_ticket_asks_nobody(case, ticket, context, platform):
    name = next(name for name in case.back if name != "state")
    back = {key: value for key, value in case.back.items() if key != name} | ({} if ticket is None else {name: ticket})
    with pytest.raises(SignInRefused):
        await case.make(context).redeem(back, login(case.kind))
    assert platform.calls == []


@each
async def test_an_answer_without_the_person_is_no_answer(case, context, platform):
    platform.answers = [*case.good[:-1], case.without_subject]
    with pytest.raises(VerifierUnavailable):
        await case.make(context).redeem(case.back, login(case.kind))


@each
async def test_a_level_that_nobody_knows_counts_zero(case, context, platform):
    platform.answers = [case.strange_level]
    principal = await case.make(context).verify(Credential("web", case.token))
    assert principal is not None
    assert principal.assurance == 0
    assert principal.level not in case.config.get("assurance", ())


@each
async def test_the_login_page_leads_back_with_the_state(case, context):
    address = urlsplit(case.make(context).login_address(login(case.kind)))
    asked = {name: value[0] for name, value in parse_qs(address.query, strict_parsing=True).items()}
    assert (address.scheme, address.netloc) == ("https", "id.example.gov.cn")
    assert asked.get("state") == "state-1" or f"{CALLBACK}?state=state-1" in asked.values()
    assert SECRET not in address.query


@each
async def test_pages_and_interface_may_be_in_different_networks(case, context, platform):
    addresses = {"internet": "https://i.example.gov.cn", "government": "https://g.example.gov.cn:8443/base/"}
    part = case.make(context, addresses=addresses, network="government", pages="https://www.example.gov.cn")
    assert urlsplit(part.login_address(login(case.kind))).netloc == "www.example.gov.cn"
    platform.answers = [case.good[-1]]
    await part.verify(Credential("web", case.token))
    assert platform.calls[0]["url"].startswith("https://g.example.gov.cn:8443/base/")
    assert "//" not in urlsplit(platform.calls[0]["url"]).path


@each
async def test_what_cannot_be_asked_for_is_refused_before_anybody_is_sent_away(case, context):
    part = case.make(context)
    wishes = [login(case.kind, max_age=0), login(case.kind, acr_values="3"), login(Kind.ANYONE)]
    for wish in wishes:
        with pytest.raises(SignInMalformed):
            part.login_address(wish)


@each
async def test_how_strong_a_login_was_is_left_to_the_sign_in_desk(case, context, platform):
    """It has a page for who falls short; here, a level that nobody could reach is refused before anybody leaves."""
    weak, strong = case.person[2], "strong"
    part = case.make(context, step_up=True, assurance={weak: 1, strong: 4})
    wish = login(case.kind, acr_values=strong)
    assert part.login_address(wish)
    with pytest.raises(SignInMalformed):
        part.login_address(login(case.kind, acr_values="unheard-of"))
    platform.answers = [*case.good]
    assert (await part.redeem(case.back, wish)).principal.assurance == 1


@each
async def test_an_account_that_cannot_be_used_is_refused_and_closes_the_door_to_nobody_else(case, context, platform):
    part = case.make(context, failures=2)
    for number in range(3):
        platform.answers = [*case.good[:-1], case.unusable]
        back = {name: f"{value}{number}" for name, value in case.back.items()}
        with pytest.raises(SignInRefused):
            await part.redeem(back, login(case.kind))
    platform.answers = [case.unusable]
    with pytest.raises(CredentialRejected):
        await part.verify(Credential("web", case.token))
    assert part.calls.breaker.state == "closed"
    platform.answers = [*case.good]
    assert await part.redeem(case.back, login(case.kind))


@each
async def test_a_person_is_no_unit(case, context, platform):
    if case.kind is Kind.NATURAL and Kind.LEGAL in case.make(context).kinds:
        platform.answers = [*case.good]
        with pytest.raises(SignInRefused):
            await case.make(context).redeem(case.back, login(Kind.LEGAL))


@each
@pytest.mark.parametrize("token", [None, "", SESSION_MARK + "AbCdEfGhIjKlMnOp", "tif:e30", "a b", "a\r\nb", "样例"])
async def test_what_is_no_token_of_a_platform_never_leaves_the_gateway(case, token, context, platform):
    assert await case.make(context).verify(Credential("web", token)) is None
    assert await case.make(context).verify(Credential("web", Signer("ES256", "k").token())) is None
    assert await case.make(context, tokens="zj-[0-9]+").verify(Credential("web", case.token)) is None
    assert platform.calls == []


@each
async def test_after_some_failures_nobody_is_asked_for_a_while(case, context, platform, clock):
    part = case.make(context, failures=3, pause="10s")
    platform.answers = [OSError("down")]
    for _ in range(10):
        with pytest.raises(VerifierUnavailable):
            await part.verify(Credential("web", case.token))
    assert (len(platform.calls), part.status()["breaker"]) == (3, "open")
    clock.advance(10)
    platform.answers = [case.good[-1]]
    assert await part.verify(Credential("web", case.token))
    assert part.status()["breaker"] == "closed"


@each
async def test_more_questions_than_allowed_are_refused_at_once(case, context, platform):
    platform.hold(case.good[-1])
    part = case.make(context, concurrency=1)
    first = asyncio.create_task(part.verify(Credential("web", case.token)))
    await platform.asked.wait()
    with pytest.raises(VerifierUnavailable):
        await part.verify(Credential("web", case.token))
    platform.gate.set()
    assert await first
    assert await part.verify(Credential("web", case.token)), "the place is free again"


@each
async def test_a_visitor_who_leaves_frees_the_place_and_tells_the_breaker_nothing(case, context, platform):
    platform.hold(case.good[-1])
    part = case.make(context, concurrency=1, failures=1)
    asking = asyncio.create_task(part.verify(Credential("web", case.token)))
    await platform.asked.wait()
    asking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asking
    platform.gate.set()
    assert part.calls.breaker.state == "closed"
    assert await part.verify(Credential("web", case.token))


@each
async def test_the_platforms_clock_is_told_to_operators(case, context, platform):
    part = case.make(context)
    assert "clock_offsets" not in part.status()
    platform.answers = [msgspec.structs.replace(case.good[-1], date=NOW + 95)]
    await part.verify(Credential("web", case.token))
    assert part.status()["clock_offsets"] == {"id.example.gov.cn": 95}
    platform.answers = [answer({}, 500)]
    with pytest.raises(VerifierUnavailable, match=r"\+95 s from ours"):
        await part.verify(Credential("web", case.token))


@each
async def test_no_secret_and_no_person_is_in_what_is_written_about_it(case, context, platform):
    platform.answers = [*case.good]
    part = case.make(context)
    signed_in = await part.redeem(case.back, login(case.kind))
    held = {name: value for name, value in vars(part).items() if name != "context"}
    written = f"{part.config!r} {part.config.model_dump_json()} {held} {signed_in!r} {signed_in.profile!r}"
    for secret in (SECRET, "SK-TEST", "0123456789abcdef", "样例", "350100", case.token, "s" * 43):
        assert secret not in written
    await part.end(signed_in)  # these platforms take no notice of an end, which is no failure


@each
@pytest.mark.parametrize(
    "wrong",
    [
        {"addresses": {}},
        {"addresses": {"a": "http://id.example.gov.cn"}},
        {"addresses": {"a": "https://a.example", "b": "https://b.example"}},
        {"network": "moon"},
        {"pages": "ftp://id.example.gov.cn"},
        {"tokens": "("},
        {"assurance": {"1": 5}},
        {"unheard": 1},
    ],
)
def test_settings_that_cannot_work_are_refused(case, wrong, context):
    with pytest.raises(ValueError, match=r"."):
        case.make(context, **wrong)
