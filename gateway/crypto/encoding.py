"""How SM2 keys and signatures are written: PEM, DER and hexadecimal digits, read in one way only (GM/T 0009, RFC 5480).

Providers take bare points, numbers and r‖s (gateway.crypto); der.py reads the structures.
"""

import base64
import binascii
import re
from typing import Literal

from gateway.crypto import CryptoError
from gateway.crypto.curve import NUMBER, POINT, check_point, check_private_number
from gateway.crypto.der import BIT_STRING, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, Reader, element

EC_PUBLIC_KEY = bytes.fromhex("2a8648ce3d0201")
"""id-ecPublicKey, 1.2.840.10045.2.1."""
SM2_CURVE = bytes.fromhex("2a811ccf5501822d")
"""sm2p256v1, 1.2.156.10197.1.301."""

RSA_BITS = range(2048, 8193)
"""Of a modulus that is accepted anywhere: shorter ones do not hold, longer ones cost whoever checks."""

SignatureEncoding = Literal["raw", "der"]
"""How an SM2 signature is written: r‖s of 64 bytes, or ASN.1 DER."""

_CURVE_PARAMETERS = 0xA0
_PUBLIC_KEY_OF_PRIVATE = 0xA1
_ALGORITHM = element(SEQUENCE, element(OBJECT_IDENTIFIER, EC_PUBLIC_KEY) + element(OBJECT_IDENTIFIER, SM2_CURVE))
_HEX = re.compile(r"[0-9A-Fa-f]+")
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\s+([A-Za-z0-9+/=\s]+)-----END \1-----")


# ── signatures ────────────────────────────────────────────────────────────────────────────────────────────────────


def signature_to_der(signature: bytes) -> bytes:
    """Write r‖s as `SEQUENCE {INTEGER r, INTEGER s}` (GM/T 0009 §7.3).

    Raises:
        CryptoError: not 64 bytes.
    """
    if len(signature) != 2 * NUMBER:
        raise CryptoError("SM2 signature: not 64 bytes")
    halves = (signature[:NUMBER], signature[NUMBER:])
    return element(SEQUENCE, b"".join(element(INTEGER, _shortest(half)) for half in halves))


def _shortest(number: bytes) -> bytes:
    digits = number.lstrip(b"\0") or b"\0"
    return b"\0" + digits if digits[0] & 0x80 else digits


def signature_from_der(der: bytes) -> bytes:
    """Read `SEQUENCE {INTEGER r, INTEGER s}` in its one DER form, and nothing after it, as r‖s.

    Raises:
        CryptoError: it is not so, or a number is negative or longer than 32 bytes.
    """
    outer = Reader(der)
    both = outer.enter(SEQUENCE)
    outer.end()
    r, s = both.natural_number(NUMBER), both.natural_number(NUMBER)
    both.end()
    return r + s


def bare_signature(signature: bytes, encoding: SignatureEncoding) -> bytes | None:
    """An SM2 signature as r‖s; None where it is not written in the encoding that was agreed."""
    if encoding == "raw":
        return signature if len(signature) == 2 * NUMBER else None
    try:
        return signature_from_der(signature)
    except CryptoError:
        return None


# ── public keys ───────────────────────────────────────────────────────────────────────────────────────────────────


def public_key_info(point: bytes) -> bytes:
    """Write an uncompressed point as SubjectPublicKeyInfo in DER (RFC 5480 §2)."""
    return element(SEQUENCE, _ALGORITHM + element(BIT_STRING, b"\0" + point))


def read_public_key_info(der: bytes) -> bytes:
    """Read the point out of SubjectPublicKeyInfo in DER, as it also stands in certificates.

    Raises:
        CryptoError: it is not one of the SM2 curve, its point is compressed or not on the curve.
    """
    outer = Reader(der)
    info = outer.enter(SEQUENCE)
    outer.end()
    _require_sm2(info.enter(SEQUENCE))
    point = _bits(info.take(BIT_STRING))
    info.end()
    check_point(point)
    return point


def read_public_key(text: str) -> bytes:
    """Read an SM2 public key: PEM (`PUBLIC KEY`), or its point in 130 hexadecimal digits that begin with 04.

    Returns:
        The uncompressed point, 65 bytes.

    Raises:
        CryptoError: neither of them. The text repeats nothing of the key.
    """
    written = text.strip()
    if _is_hex(written, POINT):
        point = bytes.fromhex(written)
        check_point(point)
        return point
    return read_public_key_info(_pem(written, "PUBLIC KEY"))


def public_key_pem(point: bytes) -> str:
    """Write an uncompressed point as PEM, as `read_public_key` and OpenSSL read it."""
    return _write_pem("PUBLIC KEY", public_key_info(point))


# ── private keys ──────────────────────────────────────────────────────────────────────────────────────────────────


def private_key_info(number: bytes) -> bytes:
    """Write a private number as PKCS#8 in DER (RFC 5208, 5915), without the public key."""
    inner = element(SEQUENCE, element(INTEGER, b"\1") + element(OCTET_STRING, number))
    return element(SEQUENCE, element(INTEGER, b"\0") + _ALGORITHM + element(OCTET_STRING, inner))


def read_private_key(text: str) -> bytes:
    """Read an SM2 private key: PEM (`PRIVATE KEY`, `EC PRIVATE KEY`), or its number in 64 hexadecimal digits.

    Returns:
        The number, 32 bytes.

    Raises:
        CryptoError: none of them, or encrypted. The text repeats nothing of the key.
    """
    written = text.strip()
    if _is_hex(written, NUMBER):
        number = bytes.fromhex(written)
    elif "BEGIN ENCRYPTED" in written:
        raise CryptoError("SM2 private key: encrypted PEM; decrypt it into a file that only the gateway may read")
    elif "BEGIN EC PRIVATE KEY" in written:
        number = _read_ec_private_key(_pem(_without_parameters(written), "EC PRIVATE KEY"), names_curve=True)
    else:
        number = _read_private_key_info(_pem(written, "PRIVATE KEY"))
    check_private_number(number)
    return number


def private_key_pem(number: bytes) -> str:
    """Write a private number as PEM (PKCS#8), as `read_private_key` and OpenSSL read it."""
    return _write_pem("PRIVATE KEY", private_key_info(number))


def _read_private_key_info(der: bytes) -> bytes:
    outer = Reader(der)
    info = outer.enter(SEQUENCE)
    outer.end()
    if info.take(INTEGER) != b"\0":
        raise CryptoError("SM2 private key: not PKCS#8 of version 1")
    _require_sm2(info.enter(SEQUENCE))
    return _read_ec_private_key(info.take(OCTET_STRING), names_curve=False)  # attributes may follow; they say nothing


def _read_ec_private_key(der: bytes, *, names_curve: bool) -> bytes:
    outer = Reader(der)
    inner = outer.enter(SEQUENCE)
    outer.end()
    if inner.take(INTEGER) != b"\1":
        raise CryptoError("SM2 private key: not of version 1")
    number = inner.take(OCTET_STRING)
    if names_curve or inner.at(_CURVE_PARAMETERS):
        parameters = inner.enter(_CURVE_PARAMETERS)
        _require_curve(parameters)
    if inner.at(_PUBLIC_KEY_OF_PRIVATE):
        inner.take(_PUBLIC_KEY_OF_PRIVATE)
    inner.end()
    return number


def _without_parameters(pem: str) -> str:
    """OpenSSL writes `EC PARAMETERS` before the key, which names the curve a second time."""
    return re.sub(r"-----BEGIN EC PARAMETERS-----[^-]*-----END EC PARAMETERS-----\s*", "", pem)


# ── what both have ────────────────────────────────────────────────────────────────────────────────────────────────


def _require_sm2(algorithm: Reader) -> None:
    if algorithm.take(OBJECT_IDENTIFIER) != EC_PUBLIC_KEY:
        raise CryptoError("key: not one of an elliptic curve")
    _require_curve(algorithm)


def _require_curve(parameters: Reader) -> None:
    if parameters.take(OBJECT_IDENTIFIER) != SM2_CURVE:
        raise CryptoError("key: not one of the SM2 curve")
    parameters.end()


def _bits(value: bytes) -> bytes:
    if value[:1] != b"\0":
        raise CryptoError("SM2 public key: not whole bytes")
    return value[1:]


def _is_hex(text: str, count: int) -> bool:
    return len(text) == 2 * count and _HEX.fullmatch(text) is not None


def _pem(text: str, label: str) -> bytes:
    found = _PEM.fullmatch(text)
    if found is None or found[1] != label:
        raise CryptoError(f"SM2 key: neither PEM of {label} nor hexadecimal digits of the right number")
    try:
        return base64.b64decode("".join(found[2].split()), validate=True)
    except binascii.Error:
        raise CryptoError("SM2 key: the PEM's base64 is broken") from None


def _write_pem(label: str, der: bytes) -> str:
    text = base64.b64encode(der).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])
