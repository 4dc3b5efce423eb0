"""The SM2 curve (GB/T 32918.5-2017): which points, private numbers and signatures can exist at all.

Every back end asks here first (software.py), so that all of them accept the same.
"""

from collections.abc import Callable

from gateway.crypto import CryptoError

P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
A = P - 3
B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
GX = 0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7
GY = 0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0

NUMBER = 32
"""Bytes of a coordinate, of a private number, of half a signature."""
POINT = 65
"""Bytes of an uncompressed point."""
LONGEST_USER_ID = 4095
"""Bytes. Their number of bits is written with 16 (GB/T 32918.2 §5.5), of which one back end uses 15."""


def check_point(point: bytes) -> None:
    """Refuse what is no public key. The curve has cofactor 1, so that every point of it is in the right group.

    Args:
        point: see CryptoProvider.sm2_verify.

    Raises:
        CryptoError: not uncompressed, or not on the curve.
    """
    if len(point) != POINT or point[0] != 4:
        raise CryptoError("SM2 public key: not an uncompressed point of 65 bytes")
    x, y = int.from_bytes(point[1:33]), int.from_bytes(point[33:])
    if x >= P or y >= P or (y * y - (x * x + A) * x - B) % P:
        raise CryptoError("SM2 public key: not on the curve")


def check_private_number(number: bytes) -> None:
    """Refuse what is no private key: d has to be from 1 to n-2, as 1+d must have an inverse (GB/T 32918.1 §6.1).

    Raises:
        CryptoError: it is not so.
    """
    if len(number) != NUMBER or not 1 <= int.from_bytes(number) <= N - 2:
        raise CryptoError("SM2 private key: not a number of 32 bytes from 1 to n-2")


def may_be_signature(signature: bytes) -> bool:
    """Tell whether r and s are from 1 to n-1 and do not add up to n (GB/T 32918.2 §7.1)."""
    if len(signature) != 2 * NUMBER:
        return False
    r, s = int.from_bytes(signature[:NUMBER]), int.from_bytes(signature[NUMBER:])
    return 1 <= r < N and 1 <= s < N and r + s != N


def check_user_id(user_id: bytes) -> None:
    """Refuse an identity that cannot be written before the message.

    Raises:
        CryptoError: empty or too long.
    """
    if not 1 <= len(user_id) <= LONGEST_USER_ID:
        raise CryptoError(f"SM2 user id: not of 1 to {LONGEST_USER_ID} bytes")


def signed_digest(sm3: Callable[[bytes], bytes], point: bytes, message: bytes, user_id: bytes) -> bytes:
    """The digest e that is signed: SM3(ZA ‖ M), with ZA of the signer's identity and key (GB/T 32918.2 §5.5, §6.1)."""
    bits = (8 * len(user_id)).to_bytes(2)
    curve = b"".join(number.to_bytes(NUMBER) for number in (A, B, GX, GY))
    return sm3(sm3(bits + user_id + curve + point[1:]) + message)
