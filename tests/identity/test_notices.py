"""identity/notices.py: three forms of one message, and everything that is none of them."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import SignInMalformed
from gateway.identity.notices import (
    LOGOUT_EVENT,
    Notice,
    read_cas_request,
    read_logout_token,
    read_signed_notice,
)

NOW = 1_800_000_000.0
ISSUER = "https://id.province.example"
CLAIMS = {
    "iss": ISSUER, "aud": "dept-hrss", "iat": NOW - 2, "exp": NOW + 60, "jti": "n-1", "sid": "s-1", "sub": "u-1",
    "events": {LOGOUT_EVENT: {}},
}  # fmt: skip
CAS = (
    '<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="1" Version="2.0">'
    '<saml:NameID xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">@NOT_USED@</saml:NameID>'
    "<samlp:SessionIndex>ST-1-abc</samlp:SessionIndex></samlp:LogoutRequest>"
)


def read(issuer=ISSUER, **changed):
    return read_logout_token({name: one for name, one in (CLAIMS | changed).items() if one is not ...}, issuer, NOW)


# ── OIDC Back-Channel Logout 1.0 ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("changed", "session", "subject"), [
    ({}, "s-1", None),
    ({"sub": ...}, "s-1", None),
    ({"sid": ...}, None, "u-1"),
])  # fmt: skip
def test_a_logout_token_says_whose_session_has_ended(changed, session, subject):
    assert read(**changed)[0] == Notice(ISSUER, NOW, session=session, subject=subject)


TIMES = pytest.mark.parametrize(
    ("told", "until"),
    [
        (NOW, NOW),
        (NOW - 0.5, NOW),
        (NOW - 5, NOW),
        (NOW - 60, NOW),
        (NOW - 61, NOW - 1),
        (NOW - 600, NOW - 540),
        (NOW + 20, NOW + 20),
        (NOW + 300, NOW + 60),
    ],
)
"""When a notice says that it was, and up to when it ends what a subject was given."""


@TIMES
def test_a_logout_token_ends_what_began_up_to_a_minute_after_its_time_as_far_as_that_has_passed(told, until):
    """The platform's clock may be behind ours, by which sessions are dated, or ahead, and so are its tokens."""
    assert read(iat=told)[0].at == until


@TIMES
def test_so_does_a_signed_notice(told, until):
    assert read_signed_notice(notice(sub="u-1", issued_at=told), ISSUER, NOW).at == until


@pytest.mark.parametrize("changed", [
    {"events": ...},
    {"events": [LOGOUT_EVENT]},
    {"events": {}},
    {"events": {LOGOUT_EVENT: True}},
    {"events": {"http://schemas.openid.net/event/other": {}}},
    {"nonce": "n"},
    {"nonce": None},
    {"jti": ...},
    {"jti": ""},
    {"jti": 7},
    {"iat": ...},
    {"iat": "1800000000"},
    {"iat": float("nan")},
    {"iat": NOW - 601},
    {"exp": ...},
    {"exp": NOW + 3600},
    {"sid": ..., "sub": ...},
    {"sid": 5},
    {"sub": "a\nb"},
    {"sub": "x" * 129},
])  # fmt: skip
def test_what_is_no_logout_token_ends_nothing(changed):
    with pytest.raises(SignInMalformed):
        read(**changed)


def test_the_use_of_a_logout_token_is_that_of_its_id_and_issuer():
    """Whatever else it says: desk/peers.py notes it when the end has been reached."""
    _, use = read()
    assert read(sub="u-2")[1] == use
    assert read(jti="n-2")[1] != use
    assert read("https://other.example")[1] != use


# ── CAS ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_cas_request_names_the_ticket_of_the_login():
    assert read_cas_request(CAS, ISSUER, NOW) == Notice(ISSUER, NOW, ticket="ST-1-abc")


@pytest.mark.parametrize("document", [
    "",
    "no xml",
    "<LogoutRequest><SessionIndex>ST-1</SessionIndex></LogoutRequest>",
    CAS.replace("LogoutRequest", "LogoutResponse"),
    CAS.replace("<samlp:SessionIndex>ST-1-abc</samlp:SessionIndex>", ""),
    CAS.replace("ST-1-abc", " "),
    CAS.replace("ST-1-abc", "x" * 257),
    CAS.replace("</samlp:SessionIndex>", "</samlp:SessionIndex><samlp:SessionIndex>ST-2</samlp:SessionIndex>"),
    CAS.replace("<samlp:S", "<x><samlp:S").replace("</samlp:SessionIndex>", "</samlp:SessionIndex></x>"),
    '<!DOCTYPE x [<!ENTITY t "ST-1">]>' + CAS.replace("ST-1-abc", "&t;"),
    '<!DOCTYPE x SYSTEM "file:///etc/passwd">' + CAS,
    CAS + CAS,
    CAS[:-1],
    "\x00",
    "<" * 1000,
])  # fmt: skip
def test_what_is_no_cas_request_ends_nothing(document):
    with pytest.raises(SignInMalformed):
        read_cas_request(document, ISSUER, NOW)


@given(st.text(max_size=400) | st.binary(max_size=300).map(lambda data: CAS[:60] + data.decode("latin-1")))
def test_any_document_is_read_or_refused(document):
    with contextlib.suppress(SignInMalformed):
        read_cas_request(document, ISSUER, NOW)


# ── signed JSON ───────────────────────────────────────────────────────────────────────────────────────────────────────


def notice(**told):
    return json.dumps({"event": "logout", "issued_at": NOW - 1} | told).encode()


@pytest.mark.parametrize(("told", "expected"), [
    ({"sid": "s-1"}, Notice(ISSUER, NOW, session="s-1")),
    ({"sub": "u-1"}, Notice(ISSUER, NOW, subject="u-1")),
    ({"jti": "t-1", "sub": "u-1"}, Notice(ISSUER, NOW, subject="u-1", token_id="t-1")),
    ({"sub": "u-1", "sid": "s-1"}, Notice(ISSUER, NOW, session="s-1", subject="u-1")),
])  # fmt: skip
def test_a_signed_notice_says_what_ends(told, expected):
    assert read_signed_notice(notice(**told), ISSUER, NOW) == expected


@pytest.mark.parametrize("body", [
    b"",
    b"[]",
    b"\xff",
    notice(),
    notice(sid=""),
    notice(sid=5),
    notice(sub="a\nb"),
    notice(sub="u-1", event="login"),
    notice(sub="u-1", issued_at=NOW + 601),
    notice(sub="u-1", issued_at=0),
    notice(sub="u-1", more=1),
    b'{"event": "logout", "issued_at": NaN, "sub": "u-1"}',
])  # fmt: skip
def test_what_is_no_signed_notice_ends_nothing(body):
    with pytest.raises(SignInMalformed):
        read_signed_notice(body, ISSUER, NOW)
