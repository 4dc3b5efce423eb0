"""Certificates that come with a message: what leads to a root is believed. test_unionpay.py has the forgeries."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gateway.crypto import chosen_provider
from gateway.signatures.certificates import (
    LONGEST_CHAIN,
    CertificateError,
    TrustAnchors,
    common_name,
    read_certificate,
    rsa_key,
    sm2_key,
)
from tests.channel_world import SM2_AUTHORITY, SM2_ROOT, SM2_SIGNER, SM2_SINCE, Authority
from tests.plugin_world import NOW

ROOT = Authority("Root")
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SIGNER = ROOT.certify("Signer", KEY)


def anchors(roots=(ROOT.certificate,), intermediates=()):
    return TrustAnchors(roots, intermediates, chosen_provider)


def test_a_root_may_sign_directly():
    certificate = anchors().check(SIGNER.encode(), NOW)
    assert common_name(certificate.subject) == "Signer"
    assert rsa_key(certificate).public_numbers() == KEY.public_key().public_numbers()


def test_an_sm2_chain_made_by_openssl_holds():
    certificate = anchors([SM2_ROOT], [SM2_AUTHORITY]).check(SM2_SIGNER.encode(), SM2_SINCE)
    assert len(sm2_key(certificate)) == 65
    with pytest.raises(CertificateError):
        rsa_key(certificate)


def test_an_sm2_chain_needs_each_of_its_links():
    with pytest.raises(CertificateError):
        anchors([SM2_ROOT]).check(SM2_SIGNER.encode(), SM2_SINCE)
    with pytest.raises(CertificateError):
        anchors([ROOT.certificate], [SM2_AUTHORITY]).check(SM2_SIGNER.encode(), SM2_SINCE)


@pytest.mark.parametrize("at", [0.0, 5_000_000_000.0])
def test_an_sm2_chain_holds_in_its_time_alone(at):
    with pytest.raises(CertificateError):
        anchors([SM2_ROOT], [SM2_AUTHORITY]).check(SM2_SIGNER.encode(), at)


def test_an_authority_whose_key_is_elliptic_may_sign():
    with pytest.raises(CertificateError):
        sm2_key(read_certificate(SIGNER))
    certificate = read_certificate(ROOT.certify("Curve", ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(CertificateError):
        sm2_key(certificate)
    with pytest.raises(CertificateError):
        rsa_key(certificate)


def test_a_chain_has_an_end():
    levels = [ROOT]
    while len(levels) < LONGEST_CHAIN:
        levels.append(Authority(f"Level {len(levels)}", levels[-1]))
    between = [level.certificate for level in levels[1:]]
    assert anchors(intermediates=between).check(levels[-2].certify("Signer", KEY).encode(), NOW) is not None
    with pytest.raises(CertificateError):
        anchors(intermediates=between).check(levels[-1].certify("Signer", KEY).encode(), NOW)


def test_authorities_that_vouch_for_each_other_lead_nowhere():
    one, other = Authority("One"), Authority("Other")
    crossed = [one.certify("Other", other.key, ca=True), other.certify("One", one.key, ca=True)]
    with pytest.raises(CertificateError):
        anchors(intermediates=crossed).check(one.certify("Signer", KEY).encode(), NOW)


@pytest.mark.parametrize("pem", ["", "hello", SIGNER, SIGNER[:200]])
def test_what_is_no_authority_is_no_root(pem):
    with pytest.raises(CertificateError):
        anchors([pem])


def test_a_name_that_is_there_twice_is_no_name():
    name = x509.Name(
        [x509.NameAttribute(x509.NameOID.COMMON_NAME, "a"), x509.NameAttribute(x509.NameOID.COMMON_NAME, "b")]
    )
    assert common_name(name) == ""
    assert common_name(x509.Name([])) == ""
