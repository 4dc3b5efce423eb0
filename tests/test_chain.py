"""The chains: what each outcome of a link means, what is remembered, and what doubt does."""

import asyncio
import gc

import pytest
from path_world import NOW, Clock, FakeReauthorizer, FakeVerifier, chain, eventually, exchange, principal, visit

from gateway.chain import ReauthorizerChain, VerdictMemory, VerifierChain
from gateway.errors import (
    CannotDecide,
    Conflict,
    CredentialRejected,
    Forbidden,
    InternalError,
    IssuerUnknown,
    StepUpRequired,
    TokenMissing,
    TokenRevoked,
    VerifierUnavailable,
)
from gateway.identity.revocations import Revocations
from gateway.model import Allow, Credential, Deny, Kind, StepUp
from gateway.withdrawals import Withdrawal

WHO = principal()
TOKEN = Credential("web", "token")


async def ask(chained, token="token", account=None):
    return await chained.verify(Credential("web", token), account or exchange())


# ── verifiers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("first", "second", "outcome", "asked"), [
    (None, WHO, WHO, [1, 1]),
    (WHO, principal(subject="u-2"), WHO, [1, 0]),
    (CredentialRejected("bad"), WHO, CredentialRejected, [1, 0]),
    (TokenRevoked("gone"), WHO, TokenRevoked, [1, 0]),
    (VerifierUnavailable("down"), WHO, VerifierUnavailable, [1, 0]),
    (None, None, IssuerUnknown, [1, 1]),
    (RuntimeError("a bug"), WHO, InternalError, [1, 0]),
    (True, WHO, InternalError, [1, 0]),
    ("u-1", WHO, InternalError, [1, 0]),
    (principal(subject=""), WHO, InternalError, [1, 0]),
    (principal(subject=None), WHO, InternalError, [1, 0]),
    (principal(kind="natural"), WHO, InternalError, [1, 0]),
    (principal(kind=Kind.ANYONE), WHO, InternalError, [1, 0]),
    (principal(assurance=9), WHO, InternalError, [1, 0]),
    (principal(assurance="3"), WHO, InternalError, [1, 0]),
    (principal(expires_at=None), WHO, InternalError, [1, 0]),
])  # fmt: skip
async def test_the_chain_ends_at_the_first_link_that_knows(first, second, outcome, asked):
    links = FakeVerifier("one", token=first), FakeVerifier("two", token=second)
    if outcome is WHO:
        assert await ask(chain(*links)) == WHO
    else:
        with pytest.raises(outcome):
            await ask(chain(*links))
    assert [link.asked for link in links] == asked


async def test_a_principal_that_is_none_says_what_is_wrong_with_it():
    account = exchange()
    with pytest.raises(InternalError, match="one answered the assurance 9, which is none of 0 to 4"):
        await ask(chain(FakeVerifier("one", token=principal(assurance=9))), account=account)
    assert account.verdicts == [("one", "broke")]


async def test_a_verifier_that_does_not_answer_within_the_items_time_cannot_tell():
    """Who asked is answered; the question goes on, and its verdict is there for whoever asks next."""
    link, account = FakeVerifier("slow", token=WHO), exchange()
    link.gate = asyncio.Event()
    chained = chain(FakeVerifier("first"), link)
    with pytest.raises(VerifierUnavailable, match=r"nothing from slow in 0.01 s, the item's time"):
        await chained.verify(TOKEN, account, 0.01)
    assert account.verdicts == [("first", "not mine")]
    link.gate.set()
    assert (await ask(chained), link.asked) == (WHO, 1)


async def test_a_question_that_is_never_answered_ends():
    """Tokens are free to make up: each may hold one question, and none for ever."""
    link = FakeVerifier("slow", token=WHO)
    link.gate = asyncio.Event()
    chained = VerifierChain([link], VerdictMemory(), Revocations(clock=lambda: NOW), lambda: NOW, longest=0.01)
    with pytest.raises(VerifierUnavailable, match=r"no verdict in 0.01 s"):
        await ask(chained)
    assert chained._asking == {}


async def test_a_timeout_of_the_verifiers_own_is_its_defect():
    with pytest.raises(InternalError, match="one: TimeoutError"):
        await ask(chain(FakeVerifier("one", token=TimeoutError())))


async def test_an_empty_chain_lets_nobody_in():
    with pytest.raises(IssuerUnknown):
        await ask(chain())


async def test_without_a_token_nobody_is_asked():
    link = FakeVerifier(token=WHO)
    with pytest.raises(TokenMissing):
        await ask(chain(link), None)
    assert link.asked == 0


async def test_a_link_of_other_issuers_is_not_asked():
    link = FakeVerifier(token=WHO)
    link.issuers = ("https://elsewhere.example",)
    with pytest.raises(IssuerUnknown):
        await ask(chain(link))
    assert link.asked == 0


async def test_a_verdict_is_remembered_until_its_end():
    clock, link = Clock(), FakeVerifier(token=principal(expires_at=NOW + 10))
    chained = chain(link, clock=clock)
    for _ in range(3):
        await ask(chained)
    assert link.asked == 1
    clock.now += 10
    await ask(chained)
    assert link.asked == 2


async def test_a_verdict_is_remembered_no_longer_than_its_verifier_says():
    clock, link = Clock(), FakeVerifier(token=WHO)
    link.remember = 5.0
    chained = chain(link, clock=clock)
    await ask(chained)
    clock.now += 5
    await ask(chained)
    assert link.asked == 2


async def test_a_new_epoch_voids_what_was_said():
    link = FakeVerifier(token=WHO)
    chained = chain(link)
    await ask(chained)
    link.epoch += 1
    await ask(chained)
    assert link.asked == 2


async def test_an_epoch_that_changes_during_the_question_voids_its_verdict():
    link = FakeVerifier(token=WHO)
    link.gate = asyncio.Event()
    chained = chain(link)
    asking = asyncio.create_task(ask(chained))
    await eventually(lambda: link.asked)
    link.epoch += 1
    link.gate.set()
    await asking
    await ask(chained)
    assert link.asked == 2


@pytest.mark.parametrize(("kind", "value"), [("sid", "s-1"), ("jti", "t-1"), ("sub", "u-1")])
async def test_the_deny_set_is_asked_before_any_memory(kind, value):
    revocations = Revocations(clock=lambda: NOW)
    link = FakeVerifier(token=principal(session="s-1", token_id="t-1", issued_at=NOW - 5))
    chained = chain(link, revocations=revocations)
    await ask(chained)
    revocations.add(Withdrawal(kind, value, NOW, NOW + 600))
    with pytest.raises(TokenRevoked):
        await ask(chained)
    assert link.asked == 1


async def test_a_fresh_verdict_on_something_withdrawn_does_not_pass():
    revocations = Revocations(clock=lambda: NOW)
    revocations.add(Withdrawal("sid", "s-1", NOW, NOW + 600))
    with pytest.raises(TokenRevoked):
        await ask(chain(FakeVerifier(token=principal(session="s-1")), revocations=revocations))


async def test_a_rejection_is_remembered_for_a_while_as_it_was():
    clock = Clock()
    link = FakeVerifier(token=TokenRevoked("gone", code="token-gone", title=("一", "one")))
    chained = chain(link, clock=clock)
    for _ in range(3):
        with pytest.raises(TokenRevoked) as caught:
            await ask(chained)
        assert (caught.value.code, caught.value.title, caught.value.detail) == ("token-gone", ("一", "one"), "gone")
    assert link.asked == 1
    clock.now += 5.0
    with pytest.raises(TokenRevoked):
        await ask(chained)
    assert link.asked == 2


@pytest.mark.parametrize("said", [VerifierUnavailable("down"), RuntimeError("a bug"), None])
async def test_what_is_no_verdict_is_not_remembered(said):
    link = FakeVerifier(token=said)
    chained = chain(link)
    for _ in range(2):
        with pytest.raises((VerifierUnavailable, InternalError, IssuerUnknown)):
            await ask(chained)
    assert link.asked == 2


async def test_the_memory_holds_no_token():
    memory = VerdictMemory()
    chained = chain(FakeVerifier(**{"secret-good": WHO, "secret-bad": CredentialRejected("bad")}), memory=memory)
    await ask(chained, "secret-good")
    with pytest.raises(CredentialRejected):
        await ask(chained, "secret-bad")
    gc.collect()
    [remembered] = memory._bad.values()
    assert remembered.error.__traceback__ is None
    assert "secret" not in repr([*memory._good.items(), *memory._bad.items()])


async def test_a_newer_profile_voids_what_was_remembered_of_the_older_one():
    """A person whose profile has changed is known anew; what still speaks of the old profile is believed no more."""
    old, new = principal(version=3), principal(version=4)
    link = FakeVerifier(first=old, second=new)
    chained = chain(link)
    assert await ask(chained, "first") == old
    assert await ask(chained, "second") == new
    with pytest.raises(TokenRevoked):
        await ask(chained, "first")
    assert await ask(chained, "second") == new


async def test_versions_of_one_person_say_nothing_about_another():
    link = FakeVerifier(first=principal(version=9), second=principal(subject="u-2", version=1), third=principal())
    chained = chain(link)
    for token in ("first", "second", "first", "second"):
        await ask(chained, token)
    assert link.asked == 2


async def test_what_is_known_about_versions_is_bounded():
    memory = VerdictMemory(capacity=2)
    for number in range(9):
        memory.note_version(principal(subject=f"u-{number}", version=2))
    outdated = [memory.is_outdated(principal(subject=f"u-{number}", version=1)) for number in range(9)]
    assert outdated == [False] * 7 + [True] * 2


def test_who_is_spoken_of_again_displaces_nobody():
    memory = VerdictMemory(capacity=2)
    for who, version in (("u-1", 2), ("u-2", 2), ("u-2", 3)):
        memory.note_version(principal(subject=who, version=version))
    assert memory.is_outdated(principal(subject="u-1", version=1))


async def test_the_memory_is_bounded_and_bad_tokens_do_not_push_out_good_ones():
    memory = VerdictMemory(capacity=20)
    good = FakeVerifier(**{f"good-{number}": WHO for number in range(30)})
    chained = chain(good, memory=memory)
    good.verdicts |= {f"bad-{number}": CredentialRejected("bad") for number in range(200)}
    for number in range(30):
        await ask(chained, f"good-{number}")
    for number in range(200):
        with pytest.raises(CredentialRejected):
            await ask(chained, f"bad-{number}")
    assert len(memory) == 20
    assert len(memory._bad) == 2
    asked = good.asked
    await ask(chained, "good-29")
    assert good.asked == asked


async def test_chains_of_the_same_links_share_what_they_know():
    """A reload makes new chains of the parts that stayed."""
    memory, link = VerdictMemory(), FakeVerifier(token=WHO)
    await ask(chain(link, memory=memory))
    await ask(chain(link, memory=memory))
    assert link.asked == 1


async def test_another_chain_does_not_believe_a_later_link():
    """Where an earlier link would have rejected the token, a verdict of the later one does not help it in."""
    memory, strict, loose = (
        VerdictMemory(),
        FakeVerifier("strict", token=CredentialRejected("bad")),
        FakeVerifier("loose", token=WHO),
    )
    assert await ask(chain(loose, memory=memory)) == WHO
    with pytest.raises(CredentialRejected):
        await ask(chain(strict, loose, memory=memory))
    assert await ask(chain(loose, memory=memory)) == WHO
    assert (strict.asked, loose.asked) == (1, 1)


async def test_a_replaced_verifier_of_the_same_name_is_asked_anew():
    memory = VerdictMemory()
    await ask(chain(FakeVerifier("one", token=WHO), memory=memory))
    with pytest.raises(CredentialRejected):
        await ask(chain(FakeVerifier("one", token=CredentialRejected("bad")), memory=memory))


async def test_many_requests_with_one_token_make_one_question():
    link = FakeVerifier(token=WHO)
    link.gate = asyncio.Event()
    chained = chain(link)
    asking = [asyncio.create_task(ask(chained)) for _ in range(20)]
    await eventually(lambda: link.asked)
    link.gate.set()
    assert await asyncio.gather(*asking) == [WHO] * 20
    assert (link.asked, chained._asking) == (1, {})


async def test_a_client_that_leaves_does_not_take_the_question_along():
    link = FakeVerifier(token=WHO)
    link.gate = asyncio.Event()
    chained = chain(link)
    first, second = (asyncio.create_task(ask(chained)) for _ in range(2))
    await eventually(lambda: link.asked)
    first.cancel()
    link.gate.set()
    assert await second == WHO
    assert first.cancelled()


async def test_when_everybody_has_left_a_failed_question_makes_no_noise():
    errors = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    link = FakeVerifier(token=CredentialRejected("bad"))
    link.gate = asyncio.Event()
    chained = chain(link)
    asking = asyncio.create_task(ask(chained))
    await eventually(lambda: link.asked)
    asking.cancel()
    link.gate.set()
    await eventually(lambda: not chained._asking)
    del asking
    gc.collect()
    assert errors == []


async def test_a_question_that_is_given_up_is_503_and_not_silence():
    with pytest.raises(VerifierUnavailable):
        await ask(chain(FakeVerifier(token=asyncio.CancelledError())))


async def test_what_was_said_is_noted_in_order():
    account = exchange()
    chained = chain(FakeVerifier(token=WHO))
    await ask(chained, account=account)
    await ask(chained, account=account)
    assert account.verdicts == [("province", "verified"), ("province", "remembered")]


# ── re-authorizers ────────────────────────────────────────────────────────────────────────────────────────────────────


async def decide(*decisions, account=None):
    links = [FakeReauthorizer(f"link-{number}", decision) for number, decision in enumerate(decisions)]
    result = ReauthorizerChain(links).decide(WHO, visit(), account or exchange())
    return links, result


async def test_all_must_allow_and_what_they_inject_is_joined():
    account = exchange()
    _, result = await decide(Allow(((b"a", b"1"),)), Allow(), Allow(((b"b", b"2"),)), account=account)
    assert await result == ((b"a", b"1"), (b"b", b"2"))
    assert account.verdicts == [("link-0", "allow"), ("link-1", "allow"), ("link-2", "allow")]


async def test_no_link_at_all_has_no_objection():
    _, result = await decide()
    assert await result == ()


class LooksLikeAllow(Allow, frozen=True):
    """Not what was agreed."""


@pytest.mark.parametrize(("decision", "error", "code"), [
    (Deny("item-closed-by-owner", ("关", "closed"), "why"), Forbidden, "item-closed-by-owner"),
    (Deny("binding-missing", ("绑", "bind"), conflict=True), Conflict, "binding-missing"),
    (StepUp("4"), StepUpRequired, "assurance-too-low"),
    (CannotDecide("store down"), CannotDecide, "cannot-decide"),
    (None, InternalError, "internal-error"),
    (True, InternalError, "internal-error"),
    (False, InternalError, "internal-error"),
    ("allow", InternalError, "internal-error"),
    (Allow, InternalError, "internal-error"),
    (LooksLikeAllow(), InternalError, "internal-error"),
])  # fmt: skip
async def test_anything_but_allow_ends_the_request(decision, error, code):
    links, result = await decide(Allow(), decision, Allow())
    with pytest.raises(error) as caught:
        await result
    assert (type(caught.value), caught.value.code) == (error, code)
    assert [link.asked for link in links] == [1, 1, 0]


@pytest.mark.parametrize("inject", [
    (((b"a", b"1"),), ((b"a", b"2"),)),
    (((b"a", b"1"), (b"a", b"1")), ()),
    (((b"A", b"1"),), ()),
    (((b"a b", b"1"),), ()),
    (((b"", b"1"),), ()),
])  # fmt: skip
async def test_fields_that_could_be_mistaken_for_others_are_not_injected(inject):
    _, result = await decide(*(Allow(fields) for fields in inject))
    with pytest.raises(InternalError):
        await result


async def test_everything_that_verifiers_said_is_noted_also_when_the_token_is_rejected():
    """The record tells the whole chain: who did not know the token, and who rejected it."""
    account = exchange()
    with pytest.raises(CredentialRejected):
        await ask(chain(FakeVerifier("one"), FakeVerifier("two", token=CredentialRejected("bad"))), account=account)
    assert account.verdicts == [("one", "not mine"), ("two", "rejected")]


async def test_a_verifier_that_cannot_tell_is_noted():
    account = exchange()
    with pytest.raises(VerifierUnavailable):
        await ask(chain(FakeVerifier("one", token=VerifierUnavailable("down"))), account=account)
    assert account.verdicts == [("one", "cannot tell")]


async def test_a_login_level_that_would_break_the_challenge_is_no_decision():
    with pytest.raises(InternalError):
        await ReauthorizerChain([FakeReauthorizer("odd", StepUp('3", realm="x'))]).decide(WHO, visit(), exchange())
