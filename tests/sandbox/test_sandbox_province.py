"""The simulated province: what it issues verifies as a relying party would verify it, and its switches work."""

import asyncio
import time

import aiohttp
import jwt
import pytest

from sandbox.accounts import SAMPLE_ACCOUNTS
from sandbox.province import Client, create_province

ISSUER = "https://id.province.example"


def basic(client_id, secret):
    return {"Authorization": aiohttp.encode_basic_auth(client_id, secret)}


BASIC = basic("dept-hrss", "sandbox-client-secret")


class Clock:
    def __init__(self):
        self.now = time.time()

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def province(aiohttp_client, clock):
    return await aiohttp_client(create_province(issuer=ISSUER, clock=clock))


async def token_for(province, user="citizen-1", **query):
    async with province.get("/sandbox/token", params={"user": user, **query}) as answer:
        assert answer.status == 200, await answer.text()
        return (await answer.json())["token"]


async def introspect(province, token):
    async with province.post("/introspect", data={"token": token}, headers=BASIC) as answer:
        assert answer.status == 200
        return await answer.json()


async def published(province):
    async with province.get("/jwks") as answer:
        return await answer.json()


async def post(province, path, **body):
    async with province.post(path, json=body) as answer:
        return answer.status, await answer.json()


def verify(token, jwks):
    """Verify as a relying party does: key by kid, exact issuer and audience."""
    header = jwt.get_unverified_header(token)
    assert header["typ"] == "at+jwt"
    keys = {key["kid"]: key for key in jwks["keys"]}
    if header["kid"] not in keys:
        raise jwt.InvalidKeyError(header["kid"])
    key = jwt.PyJWK(keys[header["kid"]])
    return jwt.decode(token, key.key, algorithms=[header["alg"]], issuer=ISSUER, audience="dept-hrss")


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
async def test_a_jwt_verifies_with_the_published_keys(province, alg):
    """RFC 9068: typ, kid, and every claim that the verifiers need."""
    token = await token_for(province, alg=alg)
    claims = verify(token, await published(province))
    assert claims["sub"] == SAMPLE_ACCOUNTS["citizen-1"].sub
    assert (claims["acr"], claims["subject_type"], claims["client_id"]) == ("3", "natural", "dept-hrss")
    assert claims["exp"] - claims["iat"] == 600
    assert claims["jti"] != claims["sid"]
    assert "act" not in claims


async def test_a_unit_is_named_by_its_credit_code_and_its_acting_operator(province):
    """Legal logins yield two identities: the unit in `sub`, the operator in `act`."""
    claims = verify(await token_for(province, "unit-1"), await published(province))
    assert claims["sub"] == "91350100M000100Y43"
    assert claims["act"] == {"sub": "operator-1"}
    assert claims["subject_type"] == "legal"


@pytest.mark.parametrize("form", ["jwt", "opaque"])
@pytest.mark.parametrize("asked", [{"user": "unit-1", "operator": "operator-1b"}, {"user": "operator-1b"}])
async def test_a_token_may_be_of_another_operator_of_the_unit(province, form, asked):
    """Named beside the unit, or as the one who logs in."""
    verdict = await introspect(province, await token_for(province, format=form, **asked))
    assert (verdict["sub"], verdict["act"]) == ("91350100M000100Y43", {"sub": "operator-1b"})


async def test_a_units_main_account_acts_under_its_own_name(province):
    """The legal representative's login is one like the operators'."""
    claims = verify(await token_for(province, "unit-3", operator="unit-3-main"), await published(province))
    assert (claims["sub"], claims["act"]) == ("12350100MB0030007Q", {"sub": "unit-3-main"})


async def test_an_operator_of_another_unit_gets_no_token(province):
    """Told what there is."""
    async with province.get("/sandbox/token?user=unit-1&operator=operator-2") as answer:
        assert (answer.status, "one of that unit's" in await answer.text()) == (400, True)


async def test_published_keys_are_public_and_strong_enough(province):
    """RFC 7517: no private member, RSA of 2048 bits."""
    keys = (await published(province))["keys"]
    assert {key["alg"] for key in keys} == {"RS256", "ES256", "EdDSA"}
    for key in keys:
        assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & set(key)
        assert key["use"] == "sig"
    assert jwt.PyJWK(keys[0]).key.key_size == 2048


async def test_the_metadata_name_what_there_is(province):
    """Discovery tells issuer, keys and introspection."""
    async with province.get("/.well-known/openid-configuration") as answer:
        metadata = await answer.json()
    assert metadata["issuer"] == ISSUER
    assert metadata["jwks_uri"] == f"{ISSUER}/jwks"
    assert metadata["introspection_endpoint"] == f"{ISSUER}/introspect"


@pytest.mark.parametrize("form", ["jwt", "opaque"])
async def test_introspection_tells_whose_a_token_is(province, form):
    """RFC 7662 §2.2, for both forms of token."""
    verdict = await introspect(province, await token_for(province, "unit-1", format=form, level="2"))
    assert verdict["active"] is True
    assert verdict["token_type"] == "Bearer"
    assert verdict["acr"] == "2"
    assert verdict["act"] == {"sub": "operator-1"}
    assert {"sub", "iss", "aud", "exp", "iat", "sid", "jti", "auth_time", "subject_type", "client_id"} <= set(verdict)


async def test_an_opaque_token_ends_with_the_node_that_issued_it(province):
    """As Guangdong's platform does it."""
    assert (await token_for(province, format="opaque")).endswith("@node1")


async def test_an_unknown_expired_or_altered_token_is_inactive_and_nothing_else(province, clock):
    """RFC 7662 §2.2: no reason is given."""
    token = await token_for(province, ttl="600")
    assert await introspect(province, "never-issued@node1") == {"active": False}
    assert await introspect(province, token[:-2]) == {"active": False}
    clock.now += 601
    assert await introspect(province, token) == {"active": False}


async def test_a_negative_ttl_gives_a_token_that_has_ended(province):
    """For trying out what the gateway says to an expired token."""
    token = await token_for(province, ttl="-60")
    keys = await published(province)
    with pytest.raises(jwt.ExpiredSignatureError):
        verify(token, keys)


@pytest.mark.parametrize(
    "auth", [{}, basic("dept-hrss", "wrong"), basic("other", "sandbox-client-secret"), {"Authorization": "Basic \xe9"}]
)
async def test_introspection_is_for_registered_clients_only(province, auth):
    """RFC 7662 §2.3: 401 without client authentication."""
    async with province.post("/introspect", data={"token": "x"}, headers=auth) as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic")


async def test_introspection_refuses_credentials_that_are_not_basic(province):
    """A header that cannot be decoded is no authentication either."""
    for value in ("Bearer x", "Basic %%%", "Basic"):
        async with province.post("/introspect", data={"token": "x"}, headers={"Authorization": value}) as answer:
            assert answer.status == 401


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("", "application/x-www-form-urlencoded"),
        ("token=", "application/x-www-form-urlencoded"),
        ("token=a&token=b", "application/x-www-form-urlencoded"),
        ("token=a", "application/x-www-form-urlencoded; charset=no-such"),
        ('{"token": "a"}', "application/json"),
    ],
)
async def test_introspection_wants_a_form_with_one_token(province, body, content_type):
    """RFC 7662 §2.1."""
    headers = {"Content-Type": content_type}
    async with province.post("/introspect", data=body, headers=BASIC | headers) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"user": "nobody"}, "user"),
        ({}, "user"),
        ({"user": "citizen-1", "format": "saml"}, "format"),
        ({"user": "citizen-1", "level": "5"}, "level"),
        ({"user": "citizen-1", "level": "-1"}, "level"),
        ({"user": "citizen-1", "level": "three"}, "level"),
        ({"user": "citizen-1", "alg": "none"}, "alg"),
        ({"user": "citizen-1", "ttl": "9999999"}, "ttl"),
    ],
)
async def test_a_token_asked_for_wrongly_is_400_with_a_sentence(province, query, named):
    """The sentence names what is wrong."""
    async with province.get("/sandbox/token", params=query) as answer:
        assert answer.status == 400
        assert (await answer.json())["error_description"].startswith(f"{named} must be")


async def test_the_level_is_the_accounts_own_unless_asked_otherwise(province):
    """Accounts log in as strongly as they usually do."""
    for user, level in (("citizen-1", "3"), ("citizen-2", "2"), ("citizen-3", "1")):
        assert (await introspect(province, await token_for(province, user)))["acr"] == level
    assert (await introspect(province, await token_for(province, "citizen-3", level="4")))["acr"] == "4"


async def test_rotation_signs_with_new_keys_and_keeps_the_old_ones_published(province):
    """Tokens from before and after a rotation both verify, until the old keys are withdrawn."""
    before = await token_for(province)
    await post(province, "/sandbox/keys/rotate")
    after = await token_for(province)
    keys = await published(province)
    assert jwt.get_unverified_header(before)["kid"] != jwt.get_unverified_header(after)["kid"]
    assert verify(before, keys)["jti"] != verify(after, keys)["jti"]
    await post(province, "/sandbox/keys/retire")
    keys = await published(province)
    assert verify(after, keys)
    with pytest.raises(jwt.InvalidKeyError):
        verify(before, keys)


async def test_rotation_with_retire_withdraws_every_older_key_at_once(province):
    """As after a key was stolen."""
    before = await token_for(province)
    status, answer = await post(province, "/sandbox/keys/rotate?retire=1")
    assert status == 200
    assert sorted(answer["signing"].values()) == sorted(answer["published"])
    keys = await published(province)
    with pytest.raises(jwt.InvalidKeyError):
        verify(before, keys)
    assert verify(await token_for(province), keys)


@pytest.mark.parametrize("member", ["token", "jti", "sid", "sub"])
async def test_a_revoked_token_is_inactive_and_others_are_not(province, member):
    """By token, token id, session or subject."""
    token, other = await token_for(province, format="opaque"), await token_for(province, "citizen-2")
    value = token if member == "token" else (await introspect(province, token))[member]
    assert await post(province, "/sandbox/revoke", **{member: value}) == (200, {"revoked": 1})
    assert await introspect(province, token) == {"active": False}
    assert (await introspect(province, other))["active"] is True
    assert await post(province, "/sandbox/revoke", **{member: value}) == (200, {"revoked": 0})


@pytest.mark.parametrize("body", [{}, {"jti": "a", "sid": "b"}, {"colour": "red"}])
async def test_a_revocation_names_exactly_one_thing(province, body):
    """Anything else is 400."""
    status, answer = await post(province, "/sandbox/revoke", **body)
    assert status == 400
    assert "token, jti, sid, sub" in answer["error_description"]


async def fault(province, name, endpoint="introspect", seconds=0.0):
    status, shown = await post(province, "/sandbox/faults", endpoint=endpoint, fault=name, seconds=seconds)
    assert status == 200
    return shown


@pytest.mark.parametrize(
    ("name", "status", "content_type", "start"),
    [
        ("error", 500, "application/json", b'{"error"'),
        ("html", 200, "text/html", b"<!doctype"),
        ("garbage", 200, "application/json", b'{"active": tru\xff'),
        ("empty", 200, "application/json", b'{"keys": []}'),
    ],
)
async def test_a_faulty_answer_is_not_what_the_protocol_says(province, name, status, content_type, start):
    """Each on introspection only; the keys stay as they are."""
    await fault(province, name)
    async with province.post("/introspect", data={"token": "x"}, headers=BASIC) as answer:
        assert (answer.status, answer.content_type) == (status, content_type)
        assert (await answer.read()).startswith(start)
    assert (await published(province))["keys"]


async def test_down_drops_the_connection_without_an_answer(province):
    """The call is counted all the same."""
    await fault(province, "down", "jwks")
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await province.get("/jwks")
    async with province.get("/sandbox/counters") as answer:
        assert (await answer.json())["jwks"] >= 1


async def test_slow_answers_rightly_after_the_seconds(province):
    """The delay is real, the answer good."""
    await fault(province, "slow", seconds=0.2)
    started = time.monotonic()
    assert await introspect(province, "x") == {"active": False}
    assert time.monotonic() - started >= 0.2


async def test_whoever_follows_a_redirect_is_counted(province):
    """307 leads to a right answer elsewhere, which a careful client does not fetch."""
    await fault(province, "redirect", "jwks")
    async with province.get("/jwks", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (307, "/sandbox/moved/jwks")
    assert (await published(province))["keys"]
    async with province.get("/sandbox/counters") as answer:
        assert (await answer.json())["moved"] == 1


async def test_huge_is_a_right_answer_that_does_not_end(province):
    """Only a limit on what is read notices; a reader may leave at any time."""
    await fault(province, "huge", "jwks")
    async with province.get("/jwks") as answer:
        assert answer.content_length is None
        assert (await answer.content.readexactly(1 << 20)).startswith(b'{"keys": [{')


async def test_flap_is_right_every_other_time(province):
    """Good, empty, good, garbage, and again."""
    await fault(province, "flap", "jwks")
    good = []
    for _ in range(8):
        async with province.get("/jwks") as answer:
            good.append(b'"kid"' in await answer.read())
    assert good == [True, False] * 4


async def test_a_fault_may_be_set_everywhere_and_taken_back(province):
    """`*` is all endpoints, `none` the end of it."""
    shown = await fault(province, "error", "*")
    assert {state["fault"] for state in shown.values()} == {"error"}
    async with province.get("/sandbox/token", params={"user": "citizen-1"}) as answer:
        assert answer.status == 500
    await fault(province, "none", "*")
    assert await token_for(province)


@pytest.mark.parametrize(
    "order",
    [
        {"fault": "gremlins"},
        {"endpoint": "teapot", "fault": "down"},
        {"fault": "slow", "seconds": -1},
        {"fault": "slow", "seconds": "long"},
        {"endpoint": "jwks"},
    ],
)
async def test_a_fault_order_that_makes_no_sense_is_400(province, order):
    """With a sentence; nothing is switched."""
    status, answer = await post(province, "/sandbox/faults", **order)
    assert status == 400
    assert answer["error"]
    async with province.get("/sandbox/faults") as shown:
        assert {state["fault"] for state in (await shown.json()).values()} == {"none"}


async def test_counters_count_calls_and_start_again(province):
    """Refused calls are calls."""
    await published(province)
    await province.post("/introspect")
    async with province.get("/sandbox/counters") as answer:
        counts = await answer.json()
    assert {name: count for name, count in counts.items() if count} == {"introspect": 1, "jwks": 1}
    assert {"token", "metadata", "moved", "authorize", "exchange"} <= set(counts)
    status, counts = await post(province, "/sandbox/counters/reset")
    assert (status, set(counts.values())) == (200, {0})


async def test_the_front_page_says_what_this_is(province):
    """In Chinese and English, with commands that name the issuer."""
    async with province.get("/") as answer:
        page = await answer.text()
    assert "沙箱" in page
    assert "sample data" in page
    assert f"{ISSUER}/sandbox/token?user=citizen-1" in page


async def test_the_sample_accounts_can_be_looked_at(province):
    """With their profiles."""
    async with province.get("/sandbox/accounts") as answer:
        accounts = await answer.json()
    assert set(accounts) == set(SAMPLE_ACCOUNTS)
    assert accounts["unit-2"]["operator"] == "operator-2"
    assert [login["id"] for login in accounts["unit-2"]["logins"]] == ["operator-2", "operator-2b", "unit-2-main"]
    assert (accounts["unit-4"]["region"], accounts["citizen-1"]["region"]) == ("350200", None)
    assert accounts["citizen-1"]["profile"]["name"]


def test_a_client_does_not_show_its_secret():
    """Not even in a traceback."""
    assert "s3cret" not in repr(Client(secret="s3cret"))


async def test_parallel_callers_each_get_their_own_token(province):
    """No two tokens, token ids or sessions are alike."""
    tokens = await asyncio.gather(*(token_for(province, format="opaque") for _ in range(20)))
    verdicts = [await introspect(province, token) for token in tokens]
    assert len({verdict["jti"] for verdict in verdicts}) == len({verdict["sid"] for verdict in verdicts}) == 20
