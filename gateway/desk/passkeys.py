"""Passkeys of designated computers (WebAuthn Level 2): what a browser is asked, and whether its answer holds.

my_devices.py walks people through; templates/passkey.js carries both between browser and desk.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import webauthn
from webauthn.helpers import base64url_to_bytes
from webauthn.helpers.structs import (
    AuthenticatorAttachment,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from gateway.errors import Forbidden
from gateway.identity.logins import CHALLENGED
from gateway.ledger.entries import PasskeyRecord

_VERIFIED = UserVerificationRequirement.REQUIRED
_TIMEOUT = int(CHALLENGED * 1000)
_REJECTED = (
    "未能验证这台电脑，请重试；如仍不成功，请联系所属经办机构。",
    "This computer could not be verified. Please try again, or ask the agency in charge.",
)


class Place(NamedTuple):
    """Where the browser is: what it signs for.

    Attributes:
        origin: scheme, host and port (RFC 6454).
        domain: the host alone; a passkey is good for one of them, the relying party id.
    """

    origin: str
    domain: str


class Enrolled(NamedTuple):
    """A new passkey, see DesignatedDevices.propose_passkey."""

    credential_id: bytes
    public_key: bytes
    sign_count: int


def place_of(origin: str) -> Place:
    """Where the browser is.

    Args:
        origin: as the gateway itself says, never the client.
    """
    return Place(origin, urlsplit(origin).hostname or "")


def ask_to_enrol(place: Place, challenge: bytes, name: str, known: Iterable[PasskeyRecord]) -> dict[str, Any]:
    """What `navigator.credentials.create` is asked: a key of this computer that its user has to unlock.

    Args:
        place: where the browser is.
        challenge: what is to be signed.
        name: what the computer is called.
        known: passkeys that are designated already, which the computer must not have.
    """
    options = webauthn.generate_registration_options(
        rp_id=place.domain,
        rp_name=place.domain,
        user_name=name,
        challenge=challenge,
        timeout=_TIMEOUT,
        exclude_credentials=_descriptors(known),
        authenticator_selection=AuthenticatorSelectionCriteria(
            authenticator_attachment=AuthenticatorAttachment.PLATFORM,
            resident_key=ResidentKeyRequirement.DISCOURAGED,
            user_verification=_VERIFIED,
        ),
    )
    return _plain(options)


def check_enrolled(place: Place, challenge: bytes, answer: Mapping[str, Any]) -> Enrolled:
    """Check what `navigator.credentials.create` made (WebAuthn Level 2 §7.1). Who made the key is not asked.

    Raises:
        Forbidden: `passkey-rejected`.
    """
    try:
        found = webauthn.verify_registration_response(
            credential=dict(answer),
            expected_challenge=challenge,
            expected_rp_id=place.domain,
            expected_origin=place.origin,
            require_user_verification=True,
        )
    except Exception as exc:  # noqa: BLE001 - it reads what a stranger made up: whatever it stumbles over proves nothing
        raise _rejected(exc) from None
    return Enrolled(found.credential_id, found.credential_public_key, found.sign_count)


def ask_to_show(place: Place, challenge: bytes, known: Sequence[PasskeyRecord]) -> dict[str, Any]:
    """What `navigator.credentials.get` is asked: one of the designated passkeys, unlocked by its user."""
    options = webauthn.generate_authentication_options(
        rp_id=place.domain,
        challenge=challenge,
        timeout=_TIMEOUT,
        allow_credentials=_descriptors(known),
        user_verification=_VERIFIED,
    )
    return _plain(options)


def check_shown(
    place: Place, challenge: bytes, answer: Mapping[str, Any], known: Iterable[PasskeyRecord]
) -> tuple[PasskeyRecord, int]:
    """Check what `navigator.credentials.get` signed (WebAuthn Level 2 §7.2).

    Returns:
        The passkey, and its counter, which DesignatedDevices.note_use compares: only what is written down in the same
        step tells a copy.

    Raises:
        Forbidden: `passkey-rejected`.
    """
    passkey = next((one for one in known if one.credential_id == _id_of(answer)), None)
    if passkey is None:
        raise _rejected("a credential that is not designated")
    try:
        found = webauthn.verify_authentication_response(
            credential=dict(answer),
            expected_challenge=challenge,
            expected_rp_id=place.domain,
            expected_origin=place.origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except Exception as exc:  # noqa: BLE001 - as above
        raise _rejected(exc) from None
    return passkey, found.new_sign_count


def _id_of(answer: Mapping[str, Any]) -> bytes | None:
    text = answer.get("id")
    try:
        return base64url_to_bytes(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _descriptors(known: Iterable[PasskeyRecord]) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=one.credential_id) for one in known]


def _plain(options: Any) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(webauthn.options_to_json(options))
    return plain


def _rejected(why: object) -> Forbidden:
    told = f"{type(why).__name__}: {why}" if isinstance(why, Exception) else str(why)
    return Forbidden(f"passkey: {told}"[:300], code="passkey-rejected", title=_REJECTED)
