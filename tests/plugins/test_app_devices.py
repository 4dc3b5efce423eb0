"""The app channel and the devices of people: each key with its own algorithm, removed ones never again."""

import hashlib
from base64 import urlsafe_b64encode

import msgspec
import pytest
from pydantic import ValidationError

from gateway import CannotDecide, ChannelRejected, ClockSkew, Device, Replayed
from plugins.channels.app import App, AppConfig
from tests.plugin_world import ISSUER, NOW, inbound
from tests.plugins.signing import DEVICE_ALGORITHMS, P256_ORDER, SIGNERS, as_der, other_half

each_algorithm = pytest.mark.parametrize("algorithm", DEVICE_ALGORITHMS)


class Devices:
    """Stands in for the ledger."""

    def __init__(self) -> None:
        self.there = {
            one: Device(one, one, SIGNERS[one].raw, ISSUER, "8f2c61d0b7e94a53c1d6") for one in DEVICE_ALGORITHMS
        }
        self.down = False

    async def find(self, id):  # noqa: A002 - as in the contract
        if self.down:
            raise CannotDecide("ledger: SQLITE_BUSY")
        return self.there.get(id)


@pytest.fixture
def devices() -> Devices:
    return Devices()


@pytest.fixture
def app(context, devices) -> App:
    context = msgspec.structs.replace(context, devices=devices)
    return App(AppConfig.model_validate({"devices": True, "keys": [{"id": "ak", "secret": "demo-sk"}]}), context)


def text_of(device, nonce="n-1", at=NOW, method="GET", path="/guides/1", body=b""):
    lines = [method, path, "", f"x-ak:dev.{device}", f"x-nonce:{nonce}", f"x-timestamp:{at:.0f}"]
    return "\n".join([*lines, hashlib.sha256(body).hexdigest()]).encode()


def request(device, signature: bytes, nonce="n-1", at=NOW, body=None, **fields):
    text = urlsafe_b64encode(signature).rstrip(b"=").decode()
    said = {"x-ak": f"dev.{device}", "x-nonce": nonce, "x-timestamp": f"{at:.0f}", "x-signature": text}
    return inbound(fields=said | fields, body=body)


def signed(device, **said):
    return request(device, SIGNERS[device].sign(text_of(device, **said)), **said)


@each_algorithm
async def test_a_device_signs_with_the_algorithm_of_its_enrolment(app, algorithm):
    credential = await app.identify(signed(algorithm))
    assert (credential.client, credential.owner) == (algorithm, (ISSUER, "8f2c61d0b7e94a53c1d6"))
    assert app.status() == {}, "there are too many devices to have a metric each"


async def test_the_token_comes_along(app):
    signature = SIGNERS["ed25519"].sign(text_of("ed25519"))
    assert (await app.identify(request("ed25519", signature, authorization="Bearer abc"))).token == "abc"


@each_algorithm
@pytest.mark.parametrize("other", DEVICE_ALGORITHMS)
async def test_no_device_can_sign_for_another(app, algorithm, other):
    if other == algorithm:
        return
    with pytest.raises(ChannelRejected):
        await app.identify(request(algorithm, SIGNERS[other].sign(text_of(algorithm))))


async def test_an_enrolled_device_whose_algorithm_is_another_is_not_believed(app, devices):
    """The same 65 bytes may be a point of one curve only; what was enrolled decides."""
    devices.there["sm2"] = msgspec.structs.replace(devices.there["sm2"], algorithm="ecdsa-p256")
    with pytest.raises(ChannelRejected):
        await app.identify(signed("sm2"))


@each_algorithm
async def test_a_removed_device_is_rejected_before_its_body_is_read(app, devices, algorithm):
    await app.identify(signed(algorithm))
    del devices.there[algorithm]
    again = request(algorithm, SIGNERS[algorithm].sign(text_of(algorithm, nonce="n-2")), nonce="n-2", body=b"x")
    with pytest.raises(ChannelRejected) as caught:
        await app.identify(again)
    assert (caught.value.code, caught.value.client) == ("channel-signature", f"dev.{algorithm}")
    assert again.body.read == 0


@each_algorithm
async def test_the_same_request_twice_is_a_replay(app, algorithm):
    again = signed(algorithm)
    await app.identify(again)
    with pytest.raises(Replayed):
        await app.identify(again)


async def test_the_other_half_of_an_ecdsa_signature_is_the_same_request(app):
    """From r and s anybody can make r and n - s, which holds as well."""
    signature = SIGNERS["ecdsa-p256"].sign(text_of("ecdsa-p256"))
    await app.identify(request("ecdsa-p256", signature))
    with pytest.raises(Replayed):
        await app.identify(request("ecdsa-p256", other_half(signature)))


@each_algorithm
@pytest.mark.parametrize("changed", [{"nonce": "n-2"}, {"at": NOW + 1}, {"body": b"x"}])
async def test_whatever_is_changed_the_signature_covers_it(app, algorithm, changed):
    with pytest.raises(ChannelRejected):
        await app.identify(request(algorithm, SIGNERS[algorithm].sign(text_of(algorithm)), **changed))


GOOD = b"\1" * 64
BAD = {
    "zeros": b"\0" * 64,
    "s is zero": GOOD[:32] + b"\0" * 32,
    "r is zero": b"\0" * 32 + GOOD[32:],
    "s is the order": GOOD[:32] + P256_ORDER.to_bytes(32),
    "all bits": b"\xff" * 64,
    "DER": as_der(GOOD),
    "too short": GOOD[:63],
    "too long": GOOD + b"\1",
    "nothing": b"",
}


@each_algorithm
@pytest.mark.parametrize("signature", BAD.values(), ids=BAD.keys())
async def test_a_signature_that_is_none_is_rejected(app, algorithm, signature):
    with pytest.raises(ChannelRejected):
        await app.identify(request(algorithm, signature))


@pytest.mark.parametrize(
    "text",
    ["0" * 64, "A" * 85 + "B", "A" * 86 + "==", "A" * 85 + "+", "A" * 85 + "\xe9", "A" * 85 + "\n"],
    ids=["hexadecimal", "stray bits", "padded", "standard base64", "not ASCII", "line feed"],
)
async def test_a_signature_in_another_spelling_is_rejected(app, text):
    fields = {"x-ak": "dev.ed25519", "x-nonce": "n", "x-timestamp": f"{NOW:.0f}", "x-signature": text}
    with pytest.raises(ChannelRejected):
        await app.identify(inbound(fields=fields))


@pytest.mark.parametrize("device", ["nobody", "", "-", "ed25519x"])
async def test_a_device_that_nobody_enrolled_is_rejected(app, device):
    with pytest.raises(ChannelRejected):
        await app.identify(request(device, GOOD))


async def test_a_ledger_that_cannot_tell_lets_nobody_pass(app, devices):
    devices.down = True
    with pytest.raises(CannotDecide):
        await app.identify(signed("ed25519"))


async def test_old_requests_are_skewed(app):
    with pytest.raises(ClockSkew):
        await app.identify(signed("ed25519", at=NOW - 301))


async def test_where_devices_are_not_wanted_none_is_believed(context, devices):
    context = msgspec.structs.replace(context, devices=devices)
    app = App(AppConfig.model_validate({"keys": [{"id": "ak", "secret": "demo-sk"}]}), context)
    with pytest.raises(ChannelRejected):
        await app.identify(signed("ed25519"))


def test_devices_without_a_ledger_are_refused_at_the_start(context):
    with pytest.raises(ValueError, match="sessions"):
        App(AppConfig.model_validate({"devices": True}), context)


def test_a_channel_that_nobody_could_call_is_refused():
    with pytest.raises(ValidationError):
        AppConfig.model_validate({"devices": False})
