"""Sealing: opens for the entry, purpose and key it was sealed with, and for nothing else; says nothing by itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ConfigurationError
from gateway.identity.sealing import Sealing
from tests.identity.session_world import KEYS, secrets

SEALING = Sealing(secrets(*KEYS), "session")


@given(entry=st.binary(min_size=1, max_size=80), plain=st.binary(max_size=400))
def test_what_was_sealed_opens(entry, plain):
    assert SEALING.open(entry, SEALING.seal(entry, plain)) == plain


@given(data=st.data(), plain=st.binary(max_size=100))
def test_any_changed_bit_closes_it(data, plain):
    sealed = bytearray(SEALING.seal(b"entry", plain))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= 1 << data.draw(st.integers(0, 7))
    assert SEALING.open(b"entry", bytes(sealed)) is None


@given(plain=st.binary(max_size=100), data=st.data())
def test_a_piece_of_it_does_not_open(plain, data):
    sealed = SEALING.seal(b"entry", plain)
    assert SEALING.open(b"entry", sealed[: data.draw(st.integers(0, len(sealed) - 1))]) is None


@given(noise=st.binary(max_size=200))
def test_noise_does_not_open(noise):
    assert SEALING.open(b"entry", noise) is None


def test_it_opens_for_its_own_entry_only():
    assert SEALING.open(b"entry-2", SEALING.seal(b"entry-1", b"plain")) is None


def test_it_opens_for_its_own_purpose_only():
    assert Sealing(secrets(*KEYS), "login").open(b"entry", SEALING.seal(b"entry", b"plain")) is None


def test_nothing_of_the_value_can_be_read_and_no_two_are_alike():
    value = b"440101199001011234"
    first, second = (SEALING.seal(b"entry", value * 3) for _ in range(2))
    assert value[:8] not in first
    assert first != second


def test_keys_are_changed_in_two_steps():
    """A new key is put in front; the old one goes when nothing sealed with it is left."""
    old, both, new = (Sealing(secrets(*keys), "session") for keys in (KEYS[:1], KEYS[::-1], KEYS[1:]))
    sealed = old.seal(b"entry", b"plain")
    assert both.open(b"entry", sealed) == b"plain"
    assert new.open(b"entry", sealed) is None
    assert new.open(b"entry", both.seal(b"entry", b"plain")) == b"plain"


def test_names_tell_nothing_and_are_found_after_a_change_of_keys():
    old, both = (Sealing(secrets(*keys), "session") for keys in (KEYS[:1], KEYS[::-1]))
    subject = b"subject-of-one-person"
    (name,) = old.names(subject)
    assert name in both.names(subject)
    assert name != both.names(subject)[0]
    assert name not in Sealing(secrets(*KEYS), "login").names(subject)
    assert subject not in name


def test_every_key_that_is_too_short_is_named_and_none_is_shown():
    with pytest.raises(ConfigurationError) as caught:
        Sealing(secrets(KEYS[0], "short", "x" * 31), "session")
    assert [line.split(":")[0] for line in caught.value.problems] == ["sessions.keys[1]", "sessions.keys[2]"]
    assert "short" not in str(caught.value).replace("shorter", "")


def test_there_has_to_be_a_key():
    with pytest.raises(ConfigurationError):
        Sealing([], "session")
