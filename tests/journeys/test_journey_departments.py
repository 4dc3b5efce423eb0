"""Two departments and the province: one login, a token carried over, one logout (the paper's example)."""

import asyncio
import time

import jwt
import pytest
from sandbox_world import connected_ports
from sign_in_world import BOOKING, CONTRIBUTIONS, SETTLEMENT, VISITS, within

A, B = "edge", "medical-edge"
REVOKED = (401, "token-revoked")
UNIT = "91350100M000100Y43"


async def test_a_page_that_needs_a_login_leads_there_and_back(people):
    """Back to the page with its query, and the code nowhere in sight."""
    person = people.person()
    page = await person.open(A, f"{CONTRIBUTIONS}?from=202601")
    assert page.url.origin() == page.url.with_port(people.places.ports["province"]).origin()
    page = await person.browser.press(page, user="citizen-1")
    assert str(page.url) == person.url(A, f"{CONTRIBUTIONS}?from=202601")
    assert '"insured": "8f2c61d0b7e94a53c1d6"' in page.text
    assert "code" not in page.url.query


async def test_a_token_of_one_department_is_good_at_the_other_which_asks_the_province(sandbox, people):
    """A2: B asks the province, the province asks A, B is told; no packet between A and B."""
    person = people.person()
    await person.sign_in(A)
    token = await person.token_of(A)
    assert token.endswith("@hrss")
    before = len(await people.province("/sandbox/routed"))
    records = {A: len(await people.records(A)), B: len(await people.records(B))}
    assert await person.with_token(B, VISITS, token) == (200, "")
    assert (await people.province("/sandbox/routed"))[before:] == [
        {"asked_by": "dept-medical", "asked": "dept-hrss", "outcome": "active"}
    ]
    # All that either was asked meanwhile: A by the province, which alone has the secret for it; B by the visitor.
    assert await people.routes_since(A, records[A]) == ["/sso/introspect"]
    assert await people.routes_since(B, records[B]) == [VISITS]
    ports, pids = people.places.ports, sandbox.children()
    assert not connected_ports(pids[A]) & {ports[B], ports["medical-management"]}
    assert not connected_ports(pids[B]) & {ports[A], ports["management"]}
    assert ports[A] in connected_ports(pids["province"])


async def test_neither_department_is_configured_with_the_others_address(people):
    """They could not meet if they wanted to."""
    places = people.places
    for folder, other in ((places.edge, B), (places.medical, A)):
        texts = [path.read_text() for path in folder.rglob("*.yaml")]
        assert texts
        assert not [text for text in texts if f":{places.ports[other]}" in text]


async def test_the_other_department_asks_once_and_remembers(people):
    """A verified token costs no network while the verdict is remembered."""
    person = people.person()
    await person.sign_in(A)
    token = await person.token_of(A)
    before = len(await people.province("/sandbox/routed"))
    answers = await asyncio.gather(*(person.with_token(B, VISITS, token) for _ in range(20)))
    assert set(answers) == {(200, "")}
    assert len(await people.province("/sandbox/routed")) == before + 1


async def test_a_token_brought_back_to_its_own_department_needs_nobody(people):
    """A judges its own, and the province is not asked."""
    person = people.person()
    await person.sign_in(A)
    token = await person.token_of(A)
    before = len(await people.province("/sandbox/routed"))
    assert await person.with_token(A, CONTRIBUTIONS, token) == (200, "")
    assert len(await people.province("/sandbox/routed")) == before


@pytest.mark.parametrize("token", ["a" * 43 + "@hrss", "a" * 43 + "@nowhere", "a" * 43 + "@medical"])
async def test_a_token_that_nobody_gave_out_is_refused(people, token):
    """Whoever's it claims to be."""
    assert await people.person().with_token(B, VISITS, token) == (401, "token-invalid")


async def signed_in_everywhere(people, user="citizen-1"):
    """A person with a session at both departments, a token of A at B, and a JWT of the same login."""
    person = people.person()
    await person.sign_in(A, user=user)
    await person.sign_in(B)
    token = await person.token_of(A)
    login = [one for one in await people.province("/sandbox/sessions") if one["user"] == user][-1]
    signed = (
        await people.province("/sandbox/token", user=user, client="dept-medical", format="jwt", sid=login["sid"])
    )["token"]
    assert jwt.decode(signed, options={"verify_signature": False})["sid"] == login["sid"]
    for held in (token, signed):
        assert await person.with_token(B, VISITS, held) == (200, "")
    assert await person.with_session(A, CONTRIBUTIONS) == (200, "")
    assert await person.with_session(B, VISITS) == (200, "")
    return person, login["sid"], token, signed


async def ended_everywhere(person, token, signed):
    """Every credential of the login is refused, at once."""
    for held in (token, signed):
        await within(lambda held=held: person.with_token(B, VISITS, held), REVOKED)
    for edge, path in ((A, CONTRIBUTIONS), (B, VISITS)):
        assert not (await person.session(edge))["signed_in"]
        assert (await person.with_session(edge, path))[0] == 401


@pytest.mark.parametrize("edge", [A, B])
async def test_logging_out_at_one_department_ends_the_login_everywhere(people, edge):
    """A3: sessions, the token that was carried over, and a JWT that carries its own proof, within a second."""
    person, sid, token, signed = await signed_in_everywhere(people, "citizen-1" if edge == A else "citizen-2")
    kept = dict(person.browser.cookies)
    page = await person.sign_out(edge)
    person.browser.cookies = kept  # whoever has stolen the cookies has nothing either
    assert str(page.url) == person.url(edge, "/sso/")
    await ended_everywhere(person, token, signed)
    assert [one["ended"] for one in await people.province("/sandbox/sessions") if one["sid"] == sid] == [True]


@pytest.mark.parametrize("form", ["backchannel", "cas", "signed"])
async def test_logging_out_at_the_province_reaches_both_in_whatever_form_they_take(people, form):
    """OIDC Back-Channel Logout, CAS-style, signed JSON."""
    usual = {"dept-hrss": "backchannel", "dept-medical": "signed"}
    for department in usual:
        await people.province("/sandbox/notices", "POST", client=department, form=form)
    try:
        person, sid, token, signed = await signed_in_everywhere(people)
        assert await people.province("/sandbox/logout", "POST", sid=sid) == {"ended": 1}
        if form == "cas":  # it names a login, not the province's session: what was carried over lives until it is asked
            for edge in (A, B):
                await within(lambda edge=edge: person.with_session(edge, "/sso/session"), (200, ""))
                assert not (await person.session(edge))["signed_in"]
        else:
            await ended_everywhere(person, token, signed)
    finally:
        for department, its in usual.items():
            await people.province("/sandbox/notices", "POST", client=department, form=its)
    told = [one for one in await people.province("/sandbox/notices") if one["sid"] == sid]
    assert {(one["client"], one["form"], one["status"]) for one in told} == {
        ("dept-hrss", form, 200),
        ("dept-medical", form, 200),
    }
    assert all(one["ms"] < 1000 for one in told)


async def test_the_logout_of_one_login_leaves_another_of_the_same_person_alone(people):
    """At home and at work are two logins; a notice that names the session ends one."""
    home, work = people.person(), people.person()
    await home.sign_in(A, user="citizen-2")
    await work.sign_in(A, user="citizen-2")
    began = int(time.time())
    while int(time.time()) == began:  # noqa: ASYNC110 - notices tell whole seconds: it has to be a later one
        await asyncio.sleep(0.05)
    await home.sign_out(A)
    assert await work.with_session(A, CONTRIBUTIONS) == (200, "")


async def test_a_stronger_login_is_fetched_when_a_page_needs_it_and_the_page_follows(people):
    """RFC 9470 as a browser sees it; the session's id changes, an API caller gets the challenge instead."""
    person = people.person()
    await person.sign_in(A)
    before = person.browser.cookies["__Host-sid"]
    assert await person.with_session(A, SETTLEMENT) == (401, "assurance-too-low")
    page = await person.open(A, SETTLEMENT)
    assert "实人核验" in page.text
    page = await person.browser.press(page)
    assert str(page.url) == person.url(A, SETTLEMENT)
    assert page.status == 200
    assert person.browser.cookies["__Host-sid"] != before


async def test_a_form_that_needs_a_stronger_login_is_offered_again_and_goes_through_once(people):
    """Nothing that was filled in is lost; nothing is sent twice."""
    person = people.person()
    page = await person.sign_in(B, BOOKING)
    form = page.form("/outpatient/appointments")
    token = (await person.session(B))["csrf_token"]
    page = await person.browser.press(page, form, csrf_token=token, day="2026-12-03")
    assert "实人核验" in page.text
    page = await person.browser.press(page)
    assert page.url.path.startswith("/sso/continue/")
    offered = page
    page = await person.browser.press(offered)
    assert (page.status, page.url.path) == (201, "/outpatient/appointments")
    assert "2026-12-03" in page.text
    assert (await person.browser.press(offered)).status == 400


async def test_another_sites_page_cannot_use_the_session(people):
    """Whatever it says of itself."""
    person = people.person()
    await person.sign_in(A)
    url = person.url(A, "/sso/token")
    for fields in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://evil"}, {}):
        assert (await person.browser.ask("POST", url, headers=fields)).status == 403
    assert (await person.browser.ask("POST", url, headers={"Sec-Fetch-Site": "same-origin"})).status == 403


async def test_a_person_acts_for_her_unit_and_as_herself_again(people):
    """A5: one login, two identities; what is only for units opens and closes with it."""
    person = people.person()
    await person.sign_in(A)
    form = {"person": "样例"}
    status, answer = await person.post(A, "/pension/retirement-declarations", json=form)
    assert (status, answer["code"]) == (403, "audience-not-allowed")
    assert (await person.post(A, "/sso/identity", json={"unit": UNIT}))[0] == 200
    status, answer = await person.post(A, "/pension/retirement-declarations", json=form)
    assert status == 201
    assert (answer["result"]["unit"], answer["result"]["operator"]) == (UNIT, "8f2c61d0b7e94a53c1d6")
    assert (await person.post(A, "/sso/identity", json={"self": "1"}))[0] == 200
    assert await person.with_session(A, CONTRIBUTIONS) == (200, "")
    assert (await person.post(A, "/sso/identity", json={"unit": "91350100M0009000XP"}))[0] == 403


async def test_a_unit_signs_in_by_itself(people):
    """With its operator, at the entrance for units."""
    person = people.person()
    await person.sign_in(A, user="unit-1", kind="legal")
    assert (await person.session(A))["kind"] == "legal"


async def test_a_token_signed_with_sm2_is_as_good_as_another(people):
    """国密: SM2 with SM3; one changed character, and it is none."""
    token = (await people.province("/sandbox/token", user="citizen-1", alg="SGD_SM3_SM2"))["token"]
    person = people.person()
    assert await within(lambda: person.with_token(A, CONTRIBUTIONS, token), (200, ""), 5.0) < 5.0
    changed = token[:-10] + ("A" if token[-10] != "A" else "B") + token[-9:]
    assert await person.with_token(A, CONTRIBUTIONS, changed) == (401, "token-invalid")


@pytest.mark.parametrize("return_to", ["//evil.example", "https://evil.example/", "/\\evil", "/a/../b", "javascript:x"])
async def test_nobody_is_sent_off_this_host(people, return_to):
    """`return_to` is a path of our own, or the login does not begin."""
    person = people.person()
    page = await person.sign_in(A, return_to)
    assert (page.status, page.url.origin()) == (400, page.url.with_port(people.places.ports[A]).origin())


async def test_a_callback_that_another_browser_brings_signs_nobody_in_and_is_exchanged_once(people):
    """Whoever sends it fifty times at once has one session, and the province one question (RFC 6749 §4.1.2)."""
    person, other = people.person(), people.person()
    page = await person.open(A, "/sso/login?return_to=/sso/&as=natural")
    form = page.form()
    answer = await person.browser.ask(
        "POST", page.url.join(page.url.with_path("/login")), data=form.fields | {"user": "citizen-1"}
    )
    callback = answer.fields["Location"]
    assert (await other.browser.open(callback)).status == 400
    before = (await people.province("/sandbox/counters"))["exchange"]
    answers = await asyncio.gather(*(person.browser.ask("GET", callback) for _ in range(50)))
    assert {answer.status for answer in answers} == {303}
    assert len({answer.fields["Set-Cookie"] for answer in answers}) == 1
    assert (await people.province("/sandbox/counters"))["exchange"] == before + 1
    assert (await other.browser.open(callback)).status == 400
    assert (await person.session(A))["signed_in"]
