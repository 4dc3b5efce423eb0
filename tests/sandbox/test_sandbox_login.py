"""The simulated province's logins: pages, codes, ID tokens, user info, logout, and what it tells the departments."""

import hashlib
import re
import time
from base64 import urlsafe_b64encode
from urllib.parse import parse_qsl, urlencode, urlsplit

import aiohttp
import jwt
import pytest
from aiohttp import web
from yarl import URL

from sandbox.province import Client, create_province

ISSUER = "https://id.province.example"
CALLBACK = "http://127.0.0.1:1/sso/callback/province"
SIGNED_OUT = "http://127.0.0.1:1/sso/"
SECRET = "s" * 20
VERIFIER = "v" * 43
CHALLENGE = urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


class Department:
    """A department as the province sees it: takes notices, answers for its tokens.

    Attributes:
        notices: path, form or body, and header fields of each.
        tokens: what it says of its own tokens.
        asked: fields of each question.
    """

    def __init__(self):
        self.notices = []
        self.tokens = {}
        self.asked = []
        self.status = 200

    def application(self):
        app = web.Application()
        app.add_routes([web.post("/sso/notices/{form}", self._notice), web.post("/sso/introspect", self._introspect)])
        return app

    async def _notice(self, request):
        body = await request.read()
        self.notices.append((request.match_info["form"], body, dict(request.headers)))
        return web.Response(status=self.status)

    async def _introspect(self, request):
        self.asked.append(dict(request.headers))
        token = (await request.post())["token"]
        return web.json_response(self.tokens.get(token, {"active": False}), status=self.status)


class World:
    """The province with two departments, and a browser without scripts."""

    def __init__(self, province, departments):
        self.province = province
        self.departments = departments
        self.clock = time.time()

    async def open(self, path, **query):
        """GET a page; gives status, the address it leads to or None, and the text."""
        async with self.province.get(path, params=query, allow_redirects=False) as answer:
            return answer.status, answer.headers.get("Location"), await answer.text()

    async def press(self, text, **chosen):
        """Send the page's form."""
        action = re.search(r'action="([^"]*)"', text)[1]
        fields = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', text)) | chosen
        async with self.province.post(action, data=fields, allow_redirects=False) as answer:
            return answer.status, answer.headers.get("Location"), await answer.text()

    async def log_in(self, user="citizen-1", client="dept-hrss", **asked):
        """All the way to the code; gives the parameters of the callback."""
        status, back, text = await self.open("/authorize", **(request_of(client) | asked))
        if status == 200 and 'name="user"' in text:
            status, back, text = await self.press(text, user=user)
        if status == 200:
            status, back, text = await self.press(text)
        assert status == 303, text
        return dict(parse_qsl(urlsplit(back).query))

    async def exchange(self, code, client="dept-hrss", **replaced):
        """Exchange a code; gives status and answer."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        } | replaced
        basic = {"Authorization": aiohttp.encode_basic_auth(client, SECRET)}
        async with self.province.post("/token", data=form, headers=basic) as answer:
            return answer.status, await answer.json()

    async def tokens(self, *arguments, **asked):
        client = asked.get("client", "dept-hrss")
        status, tokens = await self.exchange((await self.log_in(*arguments, **asked))["code"], client)
        assert status == 200
        return tokens

    async def introspect(self, token, client="dept-medical", **fields):
        basic = {"Authorization": aiohttp.encode_basic_auth(client, SECRET)}
        async with self.province.post("/introspect", data={"token": token}, headers=basic | fields) as answer:
            return answer.status, await answer.json()

    async def get_json(self, path, **fields):
        async with self.province.get(path, headers=fields) as answer:
            return answer.status, await answer.json()


def request_of(client):
    return {
        "response_type": "code",
        "client_id": client,
        "redirect_uri": CALLBACK,
        "state": "state-1",
        "nonce": "nonce-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "scope": "openid",
    }


@pytest.fixture
async def world(aiohttp_client, aiohttp_server):
    departments = {"dept-hrss": Department(), "dept-medical": Department()}
    clients = []
    for (name, department), node in zip(departments.items(), ("hrss", "medical"), strict=True):
        base = str((await aiohttp_server(department.application())).make_url("/sso"))
        clients.append(
            Client(
                name,
                SECRET,
                name,
                node=node,
                redirect_uris=(CALLBACK,),
                signed_out_uris=(SIGNED_OUT,),
                introspection=f"{base}/introspect",
                introspection_secret="i" * 20,
                notices=f"{base}/notices",
                notice_secret="n" * 20,
            )
        )
    jar = aiohttp.CookieJar(unsafe=True)
    offset = [0.0]
    app = create_province(issuer=ISSUER, clients=clients, clock=lambda: time.time() + offset[0])
    made = World(await aiohttp_client(app, cookie_jar=jar), departments)
    made.offset = offset
    return made


def claims_of(token):
    return jwt.decode(token, options={"verify_signature": False})


async def test_a_login_leads_back_with_a_code_and_the_state(world):
    """RFC 6749 §4.1.2; `iss` against mix-up (RFC 9207)."""
    back = await world.log_in()
    assert (back["state"], back["iss"]) == ("state-1", ISSUER)
    assert back["code"].startswith("ST-")


async def test_a_code_gives_an_id_token_of_this_login(world):
    """Nonce, audience, strength and session are those of the login."""
    tokens = await world.tokens()
    _, keys = await world.get_json("/jwks")
    key = next(key for key in keys["keys"] if key["alg"] == "RS256")
    claims = jwt.decode(tokens["id_token"], jwt.PyJWK(key), algorithms=["RS256"], issuer=ISSUER, audience="dept-hrss")
    assert (claims["nonce"], claims["acr"], claims["subject_type"]) == ("nonce-1", "2", "natural")
    _, verdict = await world.introspect(tokens["access_token"], "dept-hrss")
    assert verdict["sid"] == claims["sid"]


async def test_a_code_is_good_once_and_its_second_use_takes_its_token_back(world):
    """RFC 6749 §4.1.2: somebody else may have it."""
    code = (await world.log_in())["code"]
    _, tokens = await world.exchange(code)
    assert await world.exchange(code) == (
        400,
        {"error": "invalid_grant", "error_description": "the code was used before"},
    )
    assert (await world.introspect(tokens["access_token"], "dept-hrss"))[1] == {"active": False}


@pytest.mark.parametrize(
    "replaced",
    [
        {"redirect_uri": f"{CALLBACK}/"},
        {"code_verifier": "w" * 43},
        {"code_verifier": "short"},
        {"code": "ST-unknown"},
        {"client": "dept-medical"},
    ],
)
async def test_a_code_of_somebody_else_or_with_another_proof_is_refused(world, replaced):
    """The address is compared character by character, the proof key as in RFC 7636 §4.6."""
    code = (await world.log_in())["code"]
    status, said = await world.exchange(**({"code": code} | replaced))
    assert (status, said["error"]) == (400, "invalid_grant")


async def test_a_code_lives_for_a_minute(world):
    code = (await world.log_in())["code"]
    world.offset[0] = 61.0
    assert (await world.exchange(code))[1]["error"] == "invalid_grant"


async def test_a_wrong_secret_gets_no_token(world):
    """401, and the code is still good for whom it belongs to."""
    code = (await world.log_in())["code"]
    basic = {"Authorization": aiohttp.encode_basic_auth("dept-hrss", "wrong")}
    async with world.province.post("/token", data={"code": code}, headers=basic) as answer:
        assert (answer.status, (await answer.json())["error"]) == (401, "invalid_client")
    assert (await world.exchange(code))[0] == 200


async def test_nobody_is_sent_to_an_address_that_is_not_registered(world):
    """A page instead of a redirect (RFC 6749 §4.1.2.1)."""
    status, back, text = await world.open("/authorize", **(request_of("dept-hrss") | {"redirect_uri": "http://evil/"}))
    assert (status, back) == (400, None)
    assert "未登记" in text


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"subject_type": "robot"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"prompt": "none"}, "login_required"),
    ],
)
async def test_what_cannot_be_had_is_told_to_the_department(world, asked, error):
    """At its callback, with its state."""
    status, back, _ = await world.open("/authorize", **(request_of("dept-hrss") | asked))
    told = dict(parse_qsl(urlsplit(back).query))
    assert (status, told["error"], told["state"]) == (303, error, "state-1")


async def test_whoever_is_logged_in_goes_straight_on_to_the_next_department(world):
    """One login; both departments take part in one session."""
    first = claims_of((await world.tokens())["id_token"])
    status, back, _ = await world.open("/authorize", **request_of("dept-medical"))
    assert status == 303
    code = dict(parse_qsl(urlsplit(back).query))["code"]
    _, tokens = await world.exchange(code, "dept-medical")
    assert claims_of(tokens["id_token"])["sid"] == first["sid"]
    _, sessions = await world.get_json("/sandbox/sessions")
    assert [session["departments"] for session in sessions] == [["dept-hrss", "dept-medical"]]


@pytest.mark.parametrize(("wanted", "level"), [("3", "3"), ("4", "4"), ("4 3", "3"), ("1", "2"), ("gold", "2")])
async def test_a_stronger_login_asks_for_a_second_factor(world, wanted, level):
    """The weakest of those that would do; unknown values are no demand."""
    tokens = await world.tokens(acr_values=wanted)
    assert claims_of(tokens["id_token"])["acr"] == level


async def test_a_step_up_keeps_the_session_and_makes_it_stronger(world):
    """The same person, straight to the second factor."""
    weak = claims_of((await world.tokens())["id_token"])
    _, _, text = await world.open("/authorize", **(request_of("dept-hrss") | {"acr_values": "3"}))
    assert "实人核验" in text
    _, back, _ = await world.press(text)
    _, tokens = await world.exchange(dict(parse_qsl(urlsplit(back).query))["code"])
    strong = claims_of(tokens["id_token"])
    assert (strong["sid"], strong["acr"]) == (weak["sid"], "3")


async def test_a_fresh_login_is_asked_for_again(world):
    """`max_age=0`, although there is a session."""
    await world.tokens()
    status, _, text = await world.open("/authorize", **(request_of("dept-hrss") | {"max_age": "0"}))
    assert (status, 'name="user"' in text) == (200, True)


async def test_an_account_that_cannot_log_in_that_strongly_is_refused(world):
    """Not proofed, so no face to check."""
    back = await world.log_in("citizen-3", acr_values="3")
    assert back["error"] == "unmet_authentication_requirements"


async def test_an_answer_may_be_posted(world):
    """`response_mode=form_post`, with a button instead of a script."""
    _, _, text = await world.open("/authorize", **(request_of("dept-hrss") | {"response_mode": "form_post"}))
    status, _, text = await world.press(text, user="citizen-1")
    assert status == 200
    assert f'action="{CALLBACK}"' in text
    assert 'name="code"' in text
    assert "<script" not in text


async def test_a_unit_logs_in_with_its_operator(world):
    """Both are named; the page offers units only."""
    tokens = await world.tokens("unit-1", subject_type="legal")
    claims = claims_of(tokens["id_token"])
    assert (claims["sub"], claims["act"]) == ("91350100M000100Y43", {"sub": "operator-1"})
    _, _, text = await world.open("/authorize", **(request_of("dept-hrss") | {"subject_type": "legal", "max_age": "0"}))
    assert "citizen-1" not in text


@pytest.mark.parametrize(
    ("login", "person"),
    [
        ("operator-1b", {"name": "样例丑", "id_type": "111", "id_number": "350100190001011023"}),
        ("unit-1-main", {"name": "样例丁"}),
    ],
)
async def test_a_unit_logs_in_with_whom_it_chooses(world, login, person):
    """Every login of every unit is on the page; user info tells who it is."""
    tokens = await world.tokens(login, subject_type="legal")
    assert claims_of(tokens["id_token"])["act"] == {"sub": login}
    status, about = await world.get_json("/userinfo", Authorization=f"Bearer {tokens['access_token']}")
    assert (status, about["act"]) == (200, {"sub": login} | person)
    assert about["profile"]["organization_name"] == "样例一有限公司"
    _, _, text = await world.open("/authorize", **(request_of("dept-hrss") | {"subject_type": "legal", "max_age": "0"}))
    assert f'value="{login}"' in text
    assert ("主账号" in text, 'value="operator-1"' in text) == (True, False)  # the unit itself is its first operator


async def test_another_operator_of_the_unit_is_somebody_else(world):
    """The first one's session ends, as another person's would."""
    first = claims_of((await world.tokens("unit-1", subject_type="legal"))["id_token"])
    again = {"subject_type": "legal", "prompt": "login"}
    same = claims_of((await world.tokens("unit-1", **again))["id_token"])
    other = claims_of((await world.tokens("operator-1b", **again))["id_token"])
    assert (same["sid"], other["act"]) == (first["sid"], {"sub": "operator-1b"})
    _, sessions = await world.get_json("/sandbox/sessions")
    told = {session["sid"]: (session["user"], session["operator"], session["ended"]) for session in sessions}
    assert told[first["sid"]] == ("unit-1", "operator-1", True)
    assert told[other["sid"]] == ("unit-1", "operator-1b", False)


async def test_user_info_has_the_profile_and_the_units_of_a_person(world):
    """GB/T 39046 table 12."""
    tokens = await world.tokens()
    status, about = await world.get_json("/userinfo", Authorization=f"Bearer {tokens['access_token']}")
    assert status == 200
    assert about["profile"]["name"] == "样例甲"
    assert about["profile"]["version"] == 1
    assert [unit["sub"] for unit in about["units"]] == ["91350100M000100Y43", "91350100M00020002M"]
    assert (await world.get_json("/userinfo", Authorization="Bearer nothing"))[0] == 401


async def test_the_province_asks_the_department_that_gave_a_token_out(world):
    """A2: the answer and the profile go back; the two departments never meet, and nobody is asked in a circle."""
    sid = claims_of((await world.tokens())["id_token"])["sid"]
    hrss, medical = world.departments.values()
    facts = {"active": True, "iss": ISSUER, "sub": "8f2c61d0b7e94a53c1d6", "sid": sid, "exp": 2**40, "acr": "2"}
    hrss.tokens["own@hrss"] = facts | {"subject_type": "natural", "act": None}
    status, verdict = await world.introspect("own@hrss")
    assert (status, verdict["aud"], verdict["iss"], verdict["sid"]) == (200, "dept-medical", ISSUER, sid)
    assert verdict["profile"]["name"] == "样例甲"
    assert "act" not in verdict
    assert hrss.asked[0]["Authorization"] == aiohttp.encode_basic_auth("province", "i" * 20)
    assert not medical.asked
    assert (await world.get_json("/sandbox/routed"))[1] == [
        {"asked_by": "dept-medical", "asked": "dept-hrss", "outcome": "active"}
    ]
    assert (await world.introspect("own@hrss", "dept-hrss"))[1] == {"active": False}
    assert (await world.introspect("own@hrss", **{hrss_hop(hrss): "1"}))[1] == {"active": False}
    assert len(hrss.asked) == 1


def hrss_hop(department):
    """The header field that says that a question was passed on."""
    return next(name for name in department.asked[0] if "Routed" in name)


async def test_the_province_vouches_for_nobody_who_logged_in_elsewhere(world):
    """Whatever the department says of another issuer's person."""
    world.departments["dept-hrss"].tokens["own@hrss"] = {"active": True, "iss": "zhejiang", "sub": "x", "exp": 2**40}
    assert (await world.introspect("own@hrss"))[1] == {"active": False}


async def test_a_department_that_does_not_answer_makes_it_503(world):
    """No answer is no no."""
    world.departments["dept-hrss"].status = 500
    status, said = await world.introspect("own@hrss")
    assert (status, said["error"]) == (503, "temporarily_unavailable")


@pytest.mark.parametrize("form", ["backchannel", "cas", "signed"])
async def test_logging_out_tells_every_department_in_its_own_form(world, form):
    """With a hint at once, and back to where the department wants."""
    async with world.province.post("/sandbox/notices", params={"client": "dept-medical", "form": form}) as answer:
        assert answer.status == 200
    tokens = await world.tokens()
    ticket = (await world.log_in(client="dept-medical"))["code"]
    hint = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": SIGNED_OUT, "state": "bye"}
    status, back, _ = await world.open("/end_session", **hint)
    assert (status, back) == (303, f"{SIGNED_OUT}?state=bye")
    [[came, body, fields]] = world.departments["dept-medical"].notices
    sid = claims_of(tokens["id_token"])["sid"]
    assert came == form
    if form == "backchannel":
        claims = claims_of(dict(parse_qsl(body.decode()))["logout_token"])
        assert (claims["sid"], claims["aud"]) == (sid, "dept-medical")
        assert claims["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
    elif form == "cas":
        assert f"<samlp:SessionIndex>{ticket}</samlp:SessionIndex>" in dict(parse_qsl(body.decode()))["logoutRequest"]
    else:
        assert f'"sid": "{sid}"' in body.decode()
        assert fields["x-ak"] == "province"
    assert len(world.departments["dept-hrss"].notices) == 1
    assert (await world.introspect(tokens["access_token"], "dept-hrss"))[1] == {"active": False}
    assert (await world.open("/authorize", **request_of("dept-hrss")))[0] == 200


async def test_a_mere_link_logs_nobody_out(world):
    """Without a hint the visitor has to press the button."""
    tokens = await world.tokens()
    status, _, text = await world.open("/end_session")
    assert (status, "确定退出登录" in text) == (200, True)
    assert (await world.introspect(tokens["access_token"], "dept-hrss"))[1]["active"] is True
    status, _, text = await world.press(text)
    assert (status, "您已退出登录" in text) == (200, True)
    assert (await world.introspect(tokens["access_token"], "dept-hrss"))[1] == {"active": False}


async def test_an_address_to_go_back_to_is_registered_or_refused(world):
    tokens = await world.tokens()
    query = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": "http://evil/"}
    assert (await world.open("/end_session", **query))[0] == 400
    assert (await world.introspect(tokens["access_token"], "dept-hrss"))[1]["active"] is True


async def notify(world, client, **form):
    basic = {"Authorization": aiohttp.encode_basic_auth(client, SECRET)}
    async with world.province.post("/notices", data=form, headers=basic) as answer:
        return answer.status, await answer.json()


async def test_a_departments_notice_reaches_everybody_who_took_part(world):
    """统一登出 begun at a department, which hears of it as well: it may hold tokens of the province."""
    sid = claims_of((await world.tokens())["id_token"])["sid"]
    await world.log_in(client="dept-medical")
    assert await notify(world, "dept-hrss", sid=sid) == (200, {"ended": 1})
    assert len(world.departments["dept-medical"].notices) == 1
    assert len(world.departments["dept-hrss"].notices) == 1
    assert await notify(world, "dept-hrss", sid=sid) == (200, {"ended": 0})


async def test_a_department_ends_no_session_that_it_takes_no_part_in(world):
    sid = claims_of((await world.tokens())["id_token"])["sid"]
    assert await notify(world, "dept-medical", sid=sid) == (200, {"ended": 0})
    assert (await notify(world, "dept-medical"))[0] == 400


async def test_whoever_asked_about_a_token_hears_of_its_end(world):
    """B never saw a login, and still has to forget the verdict."""
    sid = claims_of((await world.tokens())["id_token"])["sid"]
    world.departments["dept-hrss"].tokens["own@hrss"] = {"active": True, "sub": "x", "sid": sid, "exp": 2**40}
    await world.introspect("own@hrss")
    await notify(world, "dept-hrss", sid=sid)
    assert len(world.departments["dept-medical"].notices) == 1
    assert (await world.introspect("own@hrss"))[1] == {"active": False}


async def test_a_token_given_back_ends_the_login(world):
    """RFC 7009; a token of nobody is no error."""
    tokens = await world.tokens()
    basic = {"Authorization": aiohttp.encode_basic_auth("dept-hrss", SECRET)}
    for token in (tokens["access_token"], "unknown"):
        async with world.province.post("/revoke", data={"token": token}, headers=basic) as answer:
            assert (answer.status, await answer.json()) == (200, {})
    assert (await world.introspect(tokens["access_token"], "dept-hrss"))[1] == {"active": False}


async def test_another_person_in_the_same_browser_ends_the_first_login(world):
    tokens = await world.tokens()
    await world.tokens("citizen-2", max_age="0")
    assert (await world.introspect(tokens["access_token"], "dept-hrss"))[1] == {"active": False}


async def test_the_profile_version_counts_changes(world):
    """What departments remember of an older one no longer holds."""
    async with world.province.post("/sandbox/profile", params={"user": "citizen-1"}) as answer:
        assert await answer.json() == {"user": "citizen-1", "version": 2}
    assert claims_of((await world.tokens())["id_token"])["profile_version"] == 2


async def test_pages_have_no_scripts_and_name_no_other_site(world):
    """A visitor with scripts off signs in all the same."""
    _, _, text = await world.open("/authorize", **request_of("dept-hrss"))
    assert "<script" not in text
    assert urlencode({"x": CALLBACK}) not in text
    async with world.province.get("/authorize", params=request_of("dept-hrss")) as answer:
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert URL(str(answer.url)).path == "/authorize"
