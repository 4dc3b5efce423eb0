"""Requests that a program signs with an access key: what is signed. signatures/keys.py has the keys.

The app channel takes requests signed like this; so does the desk from platforms and departments (identity/peers.py).
docs/channels.md gives callers the canonical string, examples and test vectors.
"""

import hashlib
import re
from urllib.parse import unquote_to_bytes

KEY_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
NONCE = re.compile(rb"[A-Za-z0-9._~+/=:-]{1,128}")


class RepeatedParameterError(ValueError):
    """A query parameter is there twice: sorting hides which one comes first, and that may matter inside."""


def canonical_request(
    method: str, path: str, query: str, key_id: bytes, nonce: bytes, timestamp: bytes, body: bytes
) -> bytes:
    """What is signed. No part can hold a line feed, so no part can pass for another.

    Args:
        method: as it arrived.
        path: as it arrived, percent-encoding untouched.
        query: as `sort_query` gives it.
        key_id: value of x-ak.
        nonce: value of x-nonce.
        timestamp: value of x-timestamp.
        body: the whole body.
    """
    return b"\n".join(
        (
            method.encode(),
            path.encode(),
            query.encode(),
            b"x-ak:" + key_id,
            b"x-nonce:" + nonce,
            b"x-timestamp:" + timestamp,
            hashlib.sha256(body).hexdigest().encode(),
        )
    )


def canonical_answer(nonce: bytes, timestamp: bytes, body: bytes) -> bytes:
    """What is signed of the answer to a signed request: it belongs to this request and no other.

    Args:
        nonce: value of the request's x-nonce.
        timestamp: value of the request's x-timestamp.
        body: the answer's body.
    """
    return b"\n".join((b"answer", nonce, timestamp, hashlib.sha256(body).hexdigest().encode()))


def sort_query(query: str) -> str:
    """The pieces between `&`, percent-encoding untouched, in the order of their bytes.

    Raises:
        RepeatedParameterError: see there.
    """
    if not query:
        return ""
    pieces = query.split("&")
    names = [unquote_to_bytes(piece.partition("=")[0].replace("+", " ")) for piece in pieces]
    if len(set(names)) != len(names):
        raise RepeatedParameterError("a query parameter is there twice")
    return "&".join(sorted(pieces))
