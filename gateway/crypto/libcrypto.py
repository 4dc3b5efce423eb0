"""SM2 by the OpenSSL (3.0 or later) that is on this machine, called with ctypes, which lets go of the GIL meanwhile.

The fastest back end that needs nothing installed. Missing where OpenSSL was built without SM2 (`no-sm2`, as by some
distributions): tongsuo.py or gmalg.py then takes its place.
"""

import contextlib
import ctypes
import ctypes.util
import functools
import importlib
from collections.abc import Iterable, Iterator
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_void_p
from pathlib import Path
from typing import Any

from gateway.crypto import CryptoError
from gateway.crypto.encoding import private_key_info, public_key_info, signature_from_der, signature_to_der
from gateway.crypto.software import SoftwareProvider

LONGEST_DER = 72
"""Bytes of a signature in DER at most."""
MOST_KEYS = 256
"""Keys that are held ready, of either kind."""

# Restype and argument types of what is called; without them ctypes would cut pointers down to 32 bits.
_SIGNATURES = {
    "EVP_sm3": (c_void_p, ()),
    "d2i_PUBKEY": (c_void_p, (c_void_p, POINTER(c_char_p), ctypes.c_long)),
    "d2i_AutoPrivateKey": (c_void_p, (c_void_p, POINTER(c_char_p), ctypes.c_long)),
    "EVP_PKEY_free": (None, (c_void_p,)),
    "EVP_PKEY_CTX_new": (c_void_p, (c_void_p, c_void_p)),
    "EVP_PKEY_CTX_free": (None, (c_void_p,)),
    "EVP_PKEY_CTX_set1_id": (c_int, (c_void_p, c_char_p, c_int)),
    "EVP_MD_CTX_new": (c_void_p, ()),
    "EVP_MD_CTX_free": (None, (c_void_p,)),
    "EVP_MD_CTX_set_pkey_ctx": (None, (c_void_p, c_void_p)),
    "EVP_DigestVerifyInit": (c_int, (c_void_p, c_void_p, c_void_p, c_void_p, c_void_p)),
    "EVP_DigestVerify": (c_int, (c_void_p, c_char_p, c_size_t, c_char_p, c_size_t)),
    "EVP_DigestSignInit": (c_int, (c_void_p, c_void_p, c_void_p, c_void_p, c_void_p)),
    "EVP_DigestSign": (c_int, (c_void_p, c_char_p, POINTER(c_size_t), c_char_p, c_size_t)),
    "ERR_clear_error": (None, ()),
}


class Libcrypto(SoftwareProvider):
    """The back end `libcrypto`.

    Args:
        places: files that may be it, the first that fits is taken; None looks where it usually is.

    Raises:
        CryptoError: there is no OpenSSL here that could do it.
    """

    name = "libcrypto"

    def __init__(self, places: Iterable[str] | None = None) -> None:
        self._library = _load(_places() if places is None else places)
        self._sm3 = _pointer(self._library.EVP_sm3(), "EVP_sm3")
        # Reading a key costs nearly as much as using it, and there are few keys.
        self._public = functools.lru_cache(MOST_KEYS)(self._read_public)
        self._private = functools.lru_cache(MOST_KEYS)(self._read_private)

    def _verify(self, public_key: bytes, message: bytes, signature: bytes, user_id: bytes) -> bool:
        library, der = self._library, signature_to_der(signature)
        with self._context(self._public(public_key), user_id) as (context, key):
            _done(library.EVP_DigestVerifyInit(context, None, self._sm3, None, key), "EVP_DigestVerifyInit")
            return bool(library.EVP_DigestVerify(context, der, len(der), message, len(message)) == 1)

    def _sign(self, private_key: bytes, message: bytes, user_id: bytes) -> bytes:
        library, made, length = self._library, ctypes.create_string_buffer(LONGEST_DER), c_size_t(LONGEST_DER)
        with self._context(self._private(private_key), user_id) as (context, key):
            _done(library.EVP_DigestSignInit(context, None, self._sm3, None, key), "EVP_DigestSignInit")
            _done(library.EVP_DigestSign(context, made, byref(length), message, len(message)), "EVP_DigestSign")
        return signature_from_der(made.raw[: length.value])

    @contextlib.contextmanager
    def _context(self, key: "_Key", user_id: bytes) -> Iterator[tuple[int, Any]]:
        """A digest context that knows the signer's identity, and the key; what is made is freed on every way out."""
        library = self._library
        with contextlib.ExitStack() as stack:
            stack.callback(library.ERR_clear_error)  # this thread's queue, which ssl reads as well
            identity = _pointer(library.EVP_PKEY_CTX_new(key.pointer, None), "EVP_PKEY_CTX_new")
            stack.callback(library.EVP_PKEY_CTX_free, identity)
            _done(library.EVP_PKEY_CTX_set1_id(identity, user_id, len(user_id)), "EVP_PKEY_CTX_set1_id")
            context = _pointer(library.EVP_MD_CTX_new(), "EVP_MD_CTX_new")
            stack.callback(library.EVP_MD_CTX_free, context)
            library.EVP_MD_CTX_set_pkey_ctx(context, identity)
            yield context, key.pointer

    def _read_public(self, point: bytes) -> "_Key":
        return _Key(self._library, self._library.d2i_PUBKEY, public_key_info(point))

    def _read_private(self, number: bytes) -> "_Key":
        return _Key(self._library, self._library.d2i_AutoPrivateKey, private_key_info(number))


class _Key:
    """A key as OpenSSL holds it; freed with the last one who uses it."""

    def __init__(self, library: ctypes.CDLL, read: Any, der: bytes) -> None:
        self._free = library.EVP_PKEY_free
        self.pointer = read(None, byref(c_char_p(der)), len(der))
        library.ERR_clear_error()
        _pointer(self.pointer, "the key")

    def __del__(self) -> None:
        self._free(self.pointer)  # nothing happens where there is none


def _pointer(found: int | None, call: str) -> int:
    if not found:
        raise CryptoError(f"libcrypto: {call} gave nothing")
    return found


def _done(status: int, call: str) -> None:
    if status != 1:
        raise CryptoError(f"libcrypto: {call} failed")


def _load(places: Iterable[str]) -> ctypes.CDLL:
    refused = []
    for place in places:
        try:
            return _declare(ctypes.CDLL(place))
        except (OSError, AttributeError) as error:
            refused.append(f"{place}: {error}")
    raise CryptoError(f"no libcrypto with SM2: {'; '.join(refused) or 'none found'}")


def _declare(library: ctypes.CDLL) -> ctypes.CDLL:
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _places() -> Iterator[str]:
    """Where libcrypto may be: what Python itself has loaded, its usual name, and what the linker knows of.

    The same library under the same name is loaded once, so that no second OpenSSL comes into the process.
    """
    yield from _loaded()
    yield "libcrypto.so.3"
    found = ctypes.util.find_library("crypto")  # starts other programs, so it is asked last
    if found is not None:
        yield found


def _loaded() -> list[str]:
    try:
        importlib.import_module("_hashlib")
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape")
    except (ImportError, OSError):
        return []
    paths = {line.split(maxsplit=5)[5] for line in maps.splitlines() if "/libcrypto" in line}
    return sorted(path for path in paths if not path.endswith("(deleted)"))
