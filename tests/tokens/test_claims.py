"""Claims: each rule broken alone, with whether it is the claims' fault (malformed) or the token's (rejected)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Kind
from gateway.tokens.claims import ClaimsError, ClaimSettings, MalformedClaimsError, read_principal
from tests.plugin_world import AUDIENCE, ISSUER, NOW

SETTINGS = ClaimSettings(issuer=ISSUER, audience=AUDIENCE, assurance={"3": 3, "L3": 4})
GOOD = {"iss": ISSUER, "aud": AUDIENCE, "sub": "u-1", "exp": NOW + 600, "subject_type": "natural"}


def read(settings: ClaimSettings = SETTINGS, **changed: object):
    claims = {name: value for name, value in (GOOD | changed).items() if value is not ...}
    return read_principal(claims, settings, NOW, "province")


def test_a_natural_person_is_read():
    said = {"acr": "3", "iat": NOW - 5, "auth_time": NOW - 60, "sid": "s", "jti": "t"}
    principal = read(**said)
    assert (principal.subject, principal.kind, principal.assurance) == ("u-1", Kind.NATURAL, 3)
    assert (principal.issuer, principal.verifier, principal.operator) == (ISSUER, "province", None)
    assert (principal.expires_at, principal.issued_at, principal.authenticated_at) == (NOW + 600, NOW - 5, NOW - 60)
    assert (principal.session, principal.token_id) == ("s", "t")


def test_a_legal_person_is_read_with_its_operator():
    principal = read(subject_type="legal", sub="91350100M000100Y43", act={"sub": "operator-1", "act": {"sub": "older"}})
    assert (principal.kind, principal.operator) == (Kind.LEGAL, "operator-1")


REJECTED = {
    "another issuer": {"iss": ISSUER + "/"},
    "an issuer that begins alike": {"iss": ISSUER[:-1]},
    "issuer in a list": {"iss": [ISSUER]},
    "no issuer": {"iss": ...},
    "another audience": {"aud": "dept-tax"},
    "an audience that contains ours": {"aud": AUDIENCE + "2"},
    "other audiences": {"aud": ["a", "b"]},
    "no audiences": {"aud": []},
    "expired this moment": {"exp": NOW},
    "expired": {"exp": NOW - 1},
    "not yet": {"nbf": NOW + 61},
    "issued in the future": {"iat": NOW + 61},
}


@pytest.mark.parametrize("changed", REJECTED.values(), ids=REJECTED.keys())
def test_claims_that_do_not_hold_are_rejected(changed):
    with pytest.raises(ClaimsError) as caught:
        read(**changed)
    assert type(caught.value) is ClaimsError


MALFORMED = {
    "no exp": {"exp": ...},
    "exp is null": {"exp": None},
    "exp is a text": {"exp": str(NOW + 600)},
    "exp is a truth value": {"exp": True},
    "exp is not a number": {"exp": float("nan")},
    "exp never comes": {"exp": float("inf")},
    "exp has 400 digits": {"exp": 10**400},
    "exp is negative": {"exp": -1},
    "nbf is a text": {"nbf": "0"},
    "iat is a truth value": {"iat": False},
    "auth_time is a list": {"auth_time": []},
    "aud is missing": {"aud": ...},
    "aud is a number": {"aud": 1},
    "aud lists a number": {"aud": [AUDIENCE, 1]},
    "no sub": {"sub": ...},
    "sub is empty": {"sub": ""},
    "sub is a number": {"sub": 1},
    "sub with a line feed": {"sub": "a\nb"},
    "sub with a NUL": {"sub": "a\x00"},
    "sub with DEL": {"sub": "a\x7f"},
    "sub with half a surrogate pair": {"sub": "a\ud800"},
    "sub of 129 characters": {"sub": "x" * 129},
    "jti is a number": {"jti": 1},
    "sid is empty": {"sid": ""},
    "another kind": {"subject_type": "robot"},
    "kind is a list": {"subject_type": ["natural"]},
    "no kind": {"subject_type": ...},
    "act for a natural person": {"act": {"sub": "x"}},
    "act is a text": {"subject_type": "legal", "act": "x"},
    "act without sub": {"subject_type": "legal", "act": {}},
}


@pytest.mark.parametrize("changed", MALFORMED.values(), ids=MALFORMED.keys())
def test_claims_that_cannot_be_understood_are_malformed(changed):
    with pytest.raises(MalformedClaimsError):
        read(**changed)


@pytest.mark.parametrize(
    "changed",
    [{"nbf": NOW + 60}, {"iat": NOW + 60}, {"aud": ["other", AUDIENCE]}, {"sub": "x" * 128}, {"sub": "样例甲"}],
)
def test_claims_on_the_edge_of_what_is_allowed_hold(changed):
    assert read(**changed)


@pytest.mark.parametrize(
    ("acr", "level"),
    [("3", 3), (3, 3), ("L3", 4), ("4", 0), ("", 0), (..., 0), (None, 0), (True, 0), (3.0, 0), (["3"], 0), (" 3", 0)],
)
def test_a_level_that_is_not_in_the_table_is_none_at_all(acr, level):
    assert read(acr=acr).assurance == level


def test_a_missing_kind_can_have_a_default_and_an_unknown_one_cannot():
    settings = SETTINGS.model_copy(update={"default_kind": Kind.LEGAL})
    assert read(settings, subject_type=...).kind is Kind.LEGAL
    with pytest.raises(MalformedClaimsError):
        read(settings, subject_type="robot")


def test_claims_have_the_names_that_are_configured():
    settings = ClaimSettings(
        issuer=ISSUER, kind_claim="usertype", kinds={"2": "legal"}, assurance_claim="level", assurance={"L3": 3}
    )
    principal = read(settings, aud=..., usertype="2", level="L3")
    assert (principal.kind, principal.assurance) == (Kind.LEGAL, 3)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from([*GOOD, "acr", "act", "nbf", "iat", "auth_time", "sid", "jti"]), ANYTHING))
def test_no_claims_at_all_break_the_reader(changed):
    """Whatever the claims are, the outcome is a principal that has not expired, or a ClaimsError."""
    try:
        principal = read(**changed)
    except ClaimsError:
        return
    assert principal.expires_at > NOW
    assert principal.assurance in range(5)
    assert principal.subject.encode()
