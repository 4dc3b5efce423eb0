"""Which back end is used: the one that is asked for, or the first of `ORDER` that passes its self-test here.

selftest.py is the test; `crypto.backend` of gateway.yaml is the question (docs/cryptography.md).
"""

import functools
from collections.abc import Callable
from importlib import import_module

from gateway.crypto import CryptoError, CryptoProvider
from gateway.crypto.selftest import hold

ORDER = {
    "libcrypto": "gateway.crypto.libcrypto:Libcrypto",
    "tongsuo": "gateway.crypto.tongsuo:Tongsuo",
    "gmalg": "gateway.crypto.gmalg:Gmalg",
}
"""The back ends of our own, fastest first."""


@functools.cache
def choose(name: str = "auto") -> CryptoProvider:
    """Make and test a provider; once per name, since a process keeps one.

    Args:
        name: `auto`, a name of `ORDER`, or `package.module:Class` of a cipher machine's provider, whose class is
            called without arguments.

    Raises:
        CryptoError: it is not there, or does not pass; for `auto`: none does. The text says why.
    """
    if name == "auto":
        return _first_of_order()
    place = ORDER.get(name, name)
    if ":" not in place:
        raise CryptoError(f"no back end {name!r}; there are auto, {', '.join(ORDER)}, or package.module:Class")
    return _tested(place)


def _first_of_order() -> CryptoProvider:
    refused = []
    for name in ORDER:
        try:
            return choose(name)
        except CryptoError as error:
            refused.append(f"{name}: {error}")
    raise CryptoError(f"no back end for SM2, SM3 and SM4: {'; '.join(refused)}")


def _tested(place: str) -> CryptoProvider:
    provider = _made(place)
    hold(provider, keeps_keys=place not in ORDER.values())
    return provider


def _made(place: str) -> CryptoProvider:
    module, _, attribute = place.partition(":")
    try:
        make: Callable[[], CryptoProvider] = getattr(import_module(module), attribute)
        return make()
    except CryptoError:
        raise
    except Exception as error:  # a driver may fail in every way there is
        raise CryptoError(f"{place} cannot be made: {type(error).__name__}: {error}") from error
