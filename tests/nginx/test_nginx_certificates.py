"""Client certificates: what nginx says of one is what the edge takes for one, and nobody else can say it."""

import json
import re
import subprocess

import pytest
from nginx_world import NAME, SHIPPED, Recorder

from gateway.codes import read_fingerprint
from gateway.explain.question import Question, message_of
from gateway.inbound import InboundReader
from gateway.settings import LimitSettings

pytestmark = pytest.mark.needs("nginx")

FORGED = b"X-SSL-Client-Verify: SUCCESS\r\nX-SSL-Client-Cert: forged\r\nClient-Cert: :MAMCAQE=:"
NAMES = ("client-cert", "x-ssl-client-verify", "x-ssl-client-cert")


@pytest.fixture
async def behind(asking):
    """Stands behind `asking` during a test."""
    async with Recorder().at(asking.edge) as made:
        yield made


def said(recorder):
    """Fields about a certificate in the only request."""
    return {name: value for name, value in recorder.fields if name in NAMES}


def certificate_of(recorder):
    """What the edge reads from the only request."""
    fields = tuple(field for field in recorder.fields if field[0] != "host")
    reader = InboundReader([NAME], "https", ["unix"], LimitSettings())
    return reader.read(
        message_of(Question("GET", "/guides/1", fields), NAME), "0" * 32, "", reader.trusts("")
    ).certificate


def shown_by_openssl(path):
    """What the command of the documentation prints."""
    command = ["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout


@pytest.mark.needs("openssl")
async def test_the_edge_gets_the_fingerprint_that_openssl_shows(asking, behind):
    """What the client says besides changes nothing."""
    await asking.ask(b"GET /guides/1 HTTP/1.1\r\n" + FORGED, shows=asking.known)
    assert certificate_of(behind) == read_fingerprint(shown_by_openssl(asking.known))
    assert said(behind)["x-ssl-client-verify"] == "SUCCESS"


async def test_a_client_without_a_certificate_is_served_and_has_none(asking, behind):
    await asking.ask(b"GET /guides/1 HTTP/1.1\r\n" + FORGED)
    assert said(behind) == {}
    assert certificate_of(behind) is None


async def test_a_certificate_of_another_authority_is_refused_by_nginx(asking, behind):
    answer = await asking.ask(b"GET /guides/1 HTTP/1.1", shows=asking.unknown)
    assert (answer.status, json.loads(answer.body)["code"]) == (400, "request-malformed")
    assert behind.heads == []


async def test_as_shipped_nobody_is_asked_and_nobody_can_claim_one(asking, front, recorder):
    """A client that would show one is not asked, and its fields are gone."""
    await front.ask(b"GET /guides/1 HTTP/1.1\r\n" + FORGED, shows=asking.known)
    assert said(recorder) == {}


def test_every_field_about_certificates_is_set_or_cleared_in_one_place():
    text = (SHIPPED / "snippets" / "forward.conf").read_text().lower()
    assert {name for name in NAMES if re.search(rf"^proxy_set_header {name} ", text, re.MULTILINE)} == set(NAMES)
