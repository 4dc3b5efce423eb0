"""`sandbox.signing` signs as docs/channels.md says, so that its vectors come out."""

import subprocess
import sys

import pytest

from sandbox import signing


def test_the_published_vector_comes_out():
    """The one of docs/channels.md; the app channel's own tests hold it too."""
    body = b'{"itemCode":"11440100696927671X3442011817001"}'
    fields = signing.sign("POST", "/api/v1/items/query", body, at=1700000000, nonce="7f9c2b1e")
    assert fields["x-signature"] == "0d10db5be135a3b7683bce021c27a17fc1190bf32888bfdac0e5d9ccef01449f"


def test_sorted_parameters_are_signed_as_they_are_sent():
    """The order in the address does not matter, the bytes do."""
    fixed = {"at": 1700000000, "nonce": "n"}
    assert signing.sign("GET", "/a?b=2&a=1", **fixed) == signing.sign("GET", "/a?a=1&b=2", **fixed)
    assert signing.sign("GET", "/a?a=%31", **fixed) != signing.sign("GET", "/a?a=1", **fixed)


def test_every_call_has_a_nonce_of_its_own():
    """Two signatures of the same request differ."""
    assert signing.sign("GET", "/a", at=1)["x-signature"] != signing.sign("GET", "/a", at=1)["x-signature"]


def test_an_unknown_key_is_refused():
    """There is no secret to sign with."""
    with pytest.raises(KeyError):
        signing.sign("GET", "/a", key="nobody")


def test_on_the_command_line_it_prints_what_curl_reads():
    """Four header fields, one per line."""
    command = [sys.executable, "-m", "sandbox.signing", "GET", "/guides/retirement", "--key", "demo-sm3-ak"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    names = [line.partition(": ")[0] for line in printed.splitlines()]
    assert names == ["x-ak", "x-nonce", "x-timestamp", "x-signature"]
