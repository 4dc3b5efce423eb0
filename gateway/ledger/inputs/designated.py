"""Which computers are designated for a unit, by staff or from the computer itself. designated.py keeps them."""

from typing import Literal

from pydantic import Field

from gateway.contracts import Settings
from gateway.ledger.inputs.lines import Line


class DeviceInput(Settings):
    """A computer that staff designate for a unit; passkeys are proposed from the computer itself."""

    kind: Literal["certificate", "network"] = Field(description="客户端证书或网段 · client certificate or network")
    value: Line = Field(
        min_length=1, max_length=200, description="证书 SHA-256 指纹或 CIDR · SHA-256 fingerprint, or CIDR"
    )
    name: Line = Field(min_length=1, max_length=64, description="设备名称 · what people call it")
    items: tuple[Line, ...] = Field(
        (), max_length=50, description="限定事项编码，空为全部 · codes of the items it is for; empty: all"
    )


class PasskeyInput(Settings):
    """A passkey that was just made on the computer, after its registration was checked (WebAuthn Level 2 §7.1)."""

    credential_id: bytes = Field(min_length=1, max_length=1023, description="as the authenticator made it")
    public_key: bytes = Field(min_length=1, max_length=2048, description="COSE_Key (RFC 9052 §7)")
    sign_count: int = Field(ge=0, le=2**32 - 1, description="counter of the registration")
    name: Line = Field(min_length=1, max_length=64, description="设备名称 · what people call it")
