"""Single logout (统一登出): a notice in, in each of its forms, and a second later no worker lets pass what has ended.

Polled on a connection to each worker: the session, a token of our own for it, a JWT of the same login that carries its
own proof, and an opaque token whose verdict is remembered.
"""

import json
import time
from urllib.parse import urlencode

import pytest

from tests.reach.reach_asking import Asking, held_by
from tests.reach.reach_channels import FORM, from_app
from tests.reach.reach_world import PASSES, REJECTED, REVOKED, WITHIN

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.needs("redis-server")]

SAML = "urn:oasis:names:tc:SAML:2.0:protocol"
EVER = ("alone", "two")


async def logout_token(reach, **about):
    """OIDC Back-Channel Logout 1.0."""
    body = urlencode({"logout_token": reach.province.logout_token(**about)}).encode()
    return await reach.ask("/sso/notices/backchannel", "POST", body, content_type=FORM)


async def signed_notice(reach, **about):
    """JSON in a signed request."""
    body = json.dumps({"event": "logout", "issued_at": int(time.time())} | about).encode()
    message = from_app("/sso/notices/signed", body, key_id="province", content_type="application/json")
    return await reach.ask(message.path, "POST", message.body, **message.fields)


async def cas_form(reach, ticket):
    """What CAS sends."""
    document = (
        f'<samlp:LogoutRequest xmlns:samlp="{SAML}" ID="LR-1" Version="2.0">'
        f"<samlp:SessionIndex>{ticket}</samlp:SessionIndex></samlp:LogoutRequest>"
    )
    body = urlencode({"logoutRequest": document}).encode()
    return await reach.ask("/sso/notices/cas", "POST", body, content_type=FORM)


async def ends_everywhere(reach, held, withdraw):
    """Fail unless all of it passes before, and nothing of it a second after the withdrawal, at any worker: 401."""
    async with Asking(reach, held).running() as asking:
        began = time.monotonic()
        assert (await withdraw()).status == 200
        await asking.until(REVOKED, REJECTED, within=2 * WITHIN)
        await asking.rounds(5)
    assert {worker for worker, _ in asking.told} == set(range(reach.workers))
    for name in held:
        ended = asking.last(name, PASSES)
        assert asking.all_told(name, until=began) == {PASSES}
        assert ended - began < WITHIN, f"{name} still passed {ended - began:.3f} s after"
        assert asking.all_told(name, since=ended + 1e-6) <= {REVOKED, REJECTED}


@pytest.fixture(params=EVER)
def reach(request):
    """One worker alone, and two with a Redis."""
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("notice", [logout_token, signed_notice])
@pytest.mark.parametrize("by", ["sid", "sub"])
async def test_a_notice_ends_everything_of_a_login_or_of_a_person_at_every_worker_within_a_second(reach, notice, by):
    """Also what was begun in the very second of the notice; and everybody else goes on."""
    person, other = await reach.sign_in(), await reach.sign_in()
    held = await held_by(reach, person)
    about = {"sid": person.sid} if by == "sid" else {"sub": person.subject}
    await ends_everywhere(reach, held, lambda: notice(reach, **about))
    for path, fields in (await held_by(reach, other)).values():
        assert await reach.told(path, **fields) == PASSES


async def test_a_cas_form_ends_the_session_of_its_ticket_and_its_tokens(reach):
    """A platform with tickets signs nothing, so there is no JWT of it."""
    person = await reach.sign_in("tickets")
    held = {name: one for name, one in (await held_by(reach, person)).items() if name in ("session", "own token")}
    await ends_everywhere(reach, held, lambda: cas_form(reach, person.code))


async def test_who_signs_in_again_after_a_notice_is_signed_in(reach):
    """What ended is the past."""
    person = await reach.sign_in()
    assert (await signed_notice(reach, sub=person.subject)).status == 200
    assert await reach.told("/all/1", **person.session) in (REVOKED, REJECTED)
    again = await reach.sign_in(subject=person.subject)
    assert await reach.told("/all/1", **again.session) == PASSES
