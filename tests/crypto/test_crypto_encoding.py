"""Keys and signatures as they are written, and everything that only looks like one."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.crypto import CryptoError, vectors
from gateway.crypto.der import Reader, element
from gateway.crypto.encoding import (
    private_key_info,
    private_key_pem,
    public_key_info,
    public_key_pem,
    read_private_key,
    read_public_key,
    read_public_key_info,
    signature_from_der,
    signature_to_der,
)

PUBLIC, PRIVATE, SIGNATURE = vectors.SM2_PUBLIC, vectors.SM2_PRIVATE, vectors.SM2_SIGNATURE

OPENSSL_PUBLIC = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoEcz1UBgi0DQgAECfnfMR5UIaFQ3X0WHkvFxnIXn60Y
M/wHa7CP81bzUCDM6kkM4md1pS3G6nGMwapgCu0F+/NeCEpmMvYHLamtEw==
-----END PUBLIC KEY-----
"""


def test_a_public_key_is_written_as_openssl_writes_it():
    assert public_key_info(PUBLIC).hex().startswith("3059301306072a8648ce3d020106082a811ccf5501822d03420004")
    assert public_key_pem(PUBLIC) == OPENSSL_PUBLIC


@pytest.mark.parametrize(
    "text",
    [
        OPENSSL_PUBLIC,
        "\n  " + OPENSSL_PUBLIC + "\n",
        OPENSSL_PUBLIC.replace("\n", "\r\n"),
        PUBLIC.hex(),
        PUBLIC.hex().upper(),
        f" {PUBLIC.hex()}\n",
    ],
)
def test_a_public_key_is_read_from_pem_and_from_digits(text):
    assert read_public_key(text) == PUBLIC


def pem(label: str, der: bytes) -> str:
    return f"-----BEGIN {label}-----\n{base64.b64encode(der).decode()}\n-----END {label}-----\n"


EC, SM2, P256 = "2a8648ce3d0201", "2a811ccf5501822d", "2a8648ce3d030107"


def info(algorithm: str, curve: str, point: bytes = PUBLIC, unused: int = 0, after: bytes = b"") -> bytes:
    named = element(0x30, element(6, bytes.fromhex(algorithm)) + element(6, bytes.fromhex(curve)))
    return element(0x30, named + element(3, bytes([unused]) + point) + after)


BAD_PUBLIC = {
    "nothing": "",
    "130 digits, compressed": "02" + PUBLIC.hex()[2:],
    "130 digits that are none": "04" + "g" * 128,
    "full-width digits": "０４" + PUBLIC.hex()[2:],
    "128 digits": PUBLIC.hex()[2:],
    "131 digits": PUBLIC.hex() + "0",
    "digits with colons": ":".join(PUBLIC.hex()[i : i + 2] for i in range(0, 130, 2)),
    "a private key": private_key_pem(PRIVATE),
    "a certificate's label": OPENSSL_PUBLIC.replace("PUBLIC KEY", "CERTIFICATE"),
    "two of them": OPENSSL_PUBLIC + OPENSSL_PUBLIC,
    "base64 that is none": OPENSSL_PUBLIC.replace("MFkw", "MF=w"),
    "labels that do not match": OPENSSL_PUBLIC.replace("END PUBLIC", "END PRIVATE"),
    "of P-256": pem("PUBLIC KEY", info(EC, P256)),
    "RSA": pem("PUBLIC KEY", info("2a864886f70d010101", SM2)),
    "unused bits": pem("PUBLIC KEY", info(EC, SM2, unused=1)),
    "a point beside the curve": pem("PUBLIC KEY", info(EC, SM2, PUBLIC[:-1] + b"\0")),
    "a compressed point": pem("PUBLIC KEY", info(EC, SM2, b"\x02" + PUBLIC[1:33])),
    "something inside behind it": pem("PUBLIC KEY", info(EC, SM2, after=b"\x05\0")),
    "something behind it": pem("PUBLIC KEY", info(EC, SM2) + b"\0"),
    "cut off": pem("PUBLIC KEY", info(EC, SM2)[:-1]),
}


@pytest.mark.parametrize("text", BAD_PUBLIC.values(), ids=BAD_PUBLIC.keys())
def test_a_public_key_that_is_not_written_so_is_refused(text):
    with pytest.raises(CryptoError):
        read_public_key(text)


def sec1(number: bytes = PRIVATE, curve: str = SM2, version: int = 1, point: bytes = PUBLIC) -> bytes:
    named = element(0xA0, element(6, bytes.fromhex(curve)))
    public = element(0xA1, element(3, b"\0" + point))
    return element(0x30, element(2, bytes([version])) + element(4, number) + named + public)


EC_PARAMETERS = pem("EC PARAMETERS", element(6, bytes.fromhex(SM2)))

PRIVATE_TEXTS = {
    "digits": PRIVATE.hex(),
    "PKCS#8": private_key_pem(PRIVATE),
    "SEC1": pem("EC PRIVATE KEY", sec1()),
    "SEC1 behind its parameters": EC_PARAMETERS + pem("EC PRIVATE KEY", sec1()),
    "PKCS#8 with the public key": pem(
        "PRIVATE KEY",
        element(
            0x30,
            element(2, b"\0")
            + element(0x30, element(6, bytes.fromhex(EC)) + element(6, bytes.fromhex(SM2)))
            + element(4, sec1()),
        ),
    ),
}


@pytest.mark.parametrize("text", PRIVATE_TEXTS.values(), ids=PRIVATE_TEXTS.keys())
def test_a_private_key_is_read_in_every_usual_form(text):
    assert read_private_key(text) == PRIVATE


BAD_PRIVATE = {
    "nothing": "",
    "63 digits": PRIVATE.hex()[1:],
    "zero": "0" * 64,
    "n-1": "fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54122",
    "a public key": OPENSSL_PUBLIC,
    "encrypted": pem("ENCRYPTED PRIVATE KEY", private_key_info(PRIVATE)),
    "SEC1 of P-256": pem("EC PRIVATE KEY", sec1(curve=P256)),
    "SEC1 of another version": pem("EC PRIVATE KEY", sec1(version=2)),
    "SEC1 without its curve": pem("EC PRIVATE KEY", element(0x30, element(2, b"\1") + element(4, PRIVATE))),
    "SEC1 of 31 bytes": pem("EC PRIVATE KEY", sec1(PRIVATE[1:])),
    "PKCS#8 of another version": pem("PRIVATE KEY", private_key_info(PRIVATE).replace(b"\2\1\0", b"\2\1\1", 1)),
}


@pytest.mark.parametrize("text", BAD_PRIVATE.values(), ids=BAD_PRIVATE.keys())
def test_a_private_key_that_is_not_written_so_is_refused_and_not_repeated(text):
    with pytest.raises(CryptoError) as caught:
        read_private_key(text)
    assert PRIVATE.hex()[:16] not in str(caught.value)


def test_a_signature_is_written_with_the_shortest_numbers():
    """GM/T 0009 §7.3: a zero byte before a number whose first bit is set, none before another."""
    assert signature_to_der(SIGNATURE).hex() == (
        "3046022100f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
        "022100b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
    )
    assert signature_to_der(bytes(31) + b"\1" + bytes(31) + b"\x80").hex() == "300702010102020080"


@given(st.binary(min_size=64, max_size=64))
def test_every_signature_comes_back(signature):
    assert signature_from_der(signature_to_der(signature)) == signature


BAD_DER = {
    "nothing": "",
    "no sequence": "020101",
    "one number": "3003020101",
    "three numbers": "3009020101020101020101",
    "something behind": "300602010102010100",
    "something inside behind": "3008020101020101" + "0500",
    "a number with a zero too many": "300702020001020101",
    "a negative number": "3006020181020101",
    "an empty number": "30050200020101",
    "33 bytes": "3026" + "0221" + "01" * 33 + "020101",
    "a long form where the short one fits": "308106020101020101",
    "a long form with a leading zero": "30820006020101020101",
    "an indefinite length": "30800201010201010000",
    "a length of three bytes": "3083000006020101020101",
    "a length beyond the end": "3007020101020101",
    "cut off inside a length": "3081",
    "BER: a constructed number": "3006220101020101",
    "raw r and s": SIGNATURE.hex(),
}


@pytest.mark.parametrize("der", BAD_DER.values(), ids=BAD_DER.keys())
def test_a_signature_that_is_not_der_is_refused(der):
    with pytest.raises(CryptoError):
        signature_from_der(bytes.fromhex(der))


@given(st.binary(max_size=80))
def test_no_bytes_at_all_break_the_readers_and_no_two_are_one_signature(data):
    """Whatever comes is one signature written in its one way, or a CryptoError."""
    try:
        signature = signature_from_der(data)
    except CryptoError:
        pass
    else:
        assert signature_to_der(signature) == data
    with pytest.raises(CryptoError):
        read_public_key_info(data)


@given(st.text(max_size=200))
def test_no_text_at_all_breaks_the_readers(text):
    for read in (read_public_key, read_private_key):
        with pytest.raises(CryptoError):
            read(text)


def test_an_element_longer_than_a_byte_can_say_is_written_in_the_long_form():
    long = element(4, b"x" * 300)
    assert long[:4].hex() == "0482012c"
    assert Reader(long).take(4) == b"x" * 300
