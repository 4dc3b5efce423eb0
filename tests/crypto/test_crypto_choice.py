"""Which back end is used, and that none is that fails the official examples."""

import sys

import pytest

from gateway.crypto import CryptoError, chosen_provider, vectors
from gateway.crypto.aside import aside
from gateway.crypto.choice import ORDER, choose
from gateway.crypto.libcrypto import Libcrypto
from gateway.crypto.selftest import hold


class CipherMachine(Libcrypto):
    """Stands in for a provider that drives a cipher machine: its private keys have labels."""

    name = "machine"
    quick = False

    def sm2_sign(self, private_key, message, user_id=b"1234567812345678"):
        if private_key != b"signing-1":
            raise CryptoError("no key of this label")
        return super().sm2_sign(vectors.SM2_PRIVATE, message, user_id)


class Broken(Libcrypto):
    def sm3(self, data):
        return bytes(32)


class Absent:
    def __init__(self) -> None:
        raise OSError("/dev/sdf0: no such device")


HERE = __name__


def test_the_first_choice_is_the_first_that_passes():
    assert choose().name == choose("auto").name == chosen_provider().name
    assert choose().name in ORDER


@pytest.mark.parametrize("name", ORDER)
def test_a_back_end_can_be_named(name):
    assert choose(name).name == name


def test_a_provider_is_made_once():
    assert choose("libcrypto") is choose("libcrypto")
    assert choose("gmalg") is not choose("libcrypto")


def test_a_cipher_machines_provider_is_named_by_its_class():
    """It passes without signing with a key that it cannot know."""
    machine = choose(f"{HERE}:CipherMachine")
    assert machine.name == "machine"
    assert machine.sm2_verify(vectors.SM2_PUBLIC, b"m", machine.sm2_sign(b"signing-1", b"m"))


@pytest.mark.parametrize(
    ("name", "because"),
    [
        ("openssl", "no back end 'openssl'; there are auto, libcrypto, tongsuo, gmalg"),
        (f"{HERE}:Broken", "SM3: wrong"),
        (f"{HERE}:Absent", "/dev/sdf0: no such device"),
        (f"{HERE}:Nobody", "cannot be made: AttributeError"),
        ("no.such.module:Provider", "cannot be made: ModuleNotFoundError"),
        ("builtins:object", "SM3: AttributeError"),
    ],
)
def test_a_choice_that_cannot_be_used_says_why(name, because):
    with pytest.raises(CryptoError, match=None) as caught:
        choose(name)
    assert because in str(caught.value)


def fails(*_, **__):
    raise OSError("the device does not answer")


real = Libcrypto()
FAULTS = {
    "SM3 of zeros": ("sm3", lambda data: bytes(32), "SM3"),
    "a device that does not answer": ("sm3", fails, "SM3"),
    "HMAC is a plain digest": ("hmac_sm3", lambda key, data: real.sm3(key + data), "HMAC-SM3"),
    "SM4 that does nothing": ("sm4_encrypt", lambda key, data, *_: data + bytes(16), "SM4 encryption"),
    "SM4 that never chains": (
        "sm4_encrypt",
        lambda key, data, mode="cbc", iv=b"": real.sm4_encrypt(key, data, "ecb"),
        "SM4 decryption",
    ),
    "everything verifies": ("sm2_verify", lambda *_: True, "SM2 verification of changed signatures"),
    "nothing verifies": ("sm2_verify", lambda *_: False, "SM2 verification of the official signature"),
    "a number instead of a verdict": ("sm2_verify", lambda *_: 1, "SM2 verification of the official signature"),
    "the identity is not looked at": (
        "sm2_verify",
        lambda key, message, signature, _=b"": real.sm2_verify(key, message, signature),
        "SM2 verification of changed signatures",
    ),
    "signatures in DER": ("sm2_sign", lambda *_: b"\x30" * 70, "SM2 signing"),
    "signatures that do not hold": ("sm2_sign", lambda *_: vectors.SM2_SIGNATURE, "SM2 signing"),
    "signs without the identity": ("sm2_sign", lambda key, message, _=b"": real.sm2_sign(key, message), "SM2 signing"),
}


@pytest.mark.parametrize(("method", "answer", "what"), FAULTS.values(), ids=FAULTS.keys())
def test_a_provider_that_is_wrong_in_one_thing_is_not_relied_on(method, answer, what):
    provider = Libcrypto()
    setattr(provider, method, answer)
    with pytest.raises(CryptoError, match=f"^{what}: "):
        hold(provider)


def test_a_provider_that_is_right_passes():
    hold(Libcrypto())


def test_where_no_library_can_be_loaded_the_reason_is_told():
    """The next one of the order is then tried; see gateway.crypto.choice."""
    with pytest.raises(CryptoError, match="no libcrypto with SM2: /dev/null: "):
        Libcrypto(["/dev/null"])


def test_a_package_that_is_not_installed_is_no_crash():
    held = {name: sys.modules[name] for name in list(sys.modules) if name.startswith("tongsuopy")}
    with pytest.MonkeyPatch.context() as patch:
        for name in held or ["tongsuopy"]:
            patch.setitem(sys.modules, name, None)
        patch.setitem(sys.modules, "tongsuopy.crypto.asymciphers", None)
        from gateway.crypto.tongsuo import Tongsuo

        with pytest.raises(CryptoError, match="tongsuopy cannot be imported"):
            Tongsuo()


async def test_a_slow_providers_work_is_done_in_a_thread():
    import threading

    here = threading.get_ident()
    assert await aside(Libcrypto(), threading.get_ident) == here
    assert await aside(CipherMachine(), threading.get_ident) != here
