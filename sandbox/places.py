"""Where everything of one sandbox is: ports, files, logs. `sandbox.launch` fills them, `sandbox.tour` visits."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

LONGEST_SOCKET_PATH = 107
"""Bytes of a Unix socket's path (unix(7))."""

BUSINESS = ("social-insurance", "medical-insurance", "pension")


@dataclass(frozen=True, slots=True)
class Places:
    """One sandbox's addresses, all on 127.0.0.1.

    Attributes:
        base: first port of its block; the others follow from it.
        directory: holds configuration, keys and logs.
    """

    USUAL_BASE: ClassVar[int] = 8080

    base: int
    directory: Path

    @property
    def ports(self) -> dict[str, int]:
        """Every TCP port by the name of who listens there, in the order of the table that visitors see."""
        base = self.base
        return {
            "edge": base,
            "management": base + 1,
            "console": base + 2,
            "medical-edge": base + 10,
            "medical-management": base + 11,
            "province": base + 20,
            "national": base + 21,
            "dialects": base + 22,
            "channels": base + 23,
            **{system: base + 30 + index for index, system in enumerate(BUSINESS)},
            "outpatient": base + 33,
            "assistant": base + 40,
        }

    def url(self, name: str) -> str:
        """Address of one of `ports`."""
        return f"http://127.0.0.1:{self.ports[name]}"

    @property
    def edge(self) -> Path:
        """Configuration and keys of the edge."""
        return self.directory / "edge"

    @property
    def medical(self) -> Path:
        """Configuration and keys of the second department's edge."""
        return self.directory / "medical"

    @property
    def gatekeeper(self) -> Path:
        """Configuration and keys of the inner unit."""
        return self.directory / "gatekeeper"

    @property
    def systems(self) -> Path:
        """What the province and the business systems are given."""
        return self.directory / "systems"

    @property
    def identity_jwks(self) -> Path:
        """The gateway's published keys, with which business systems check who asks."""
        return self.systems / "identity.jwks.json"

    @property
    def medical_jwks(self) -> Path:
        """The second gateway's published keys."""
        return self.systems / "medical.jwks.json"

    @property
    def channel_keys(self) -> Path:
        """Sample keys of the channels' platforms."""
        return self.systems / "channels"

    @property
    def clients(self) -> Path:
        """What the province knows of the departments."""
        return self.systems / "clients.json"

    @property
    def logs(self) -> Path:
        """Records, and what each process has to say."""
        return self.directory / "logs"

    @property
    def socket(self) -> Path:
        """Where the inner unit listens: no TCP port leads inward."""
        return self.directory / "gatekeeper.sock"

    @property
    def access_records(self) -> Path:
        """The edge's access records, one JSON line per request."""
        return self.logs / "access.jsonl"

    @property
    def edge_log(self) -> Path:
        """The edge's application log, where every reload stands with its problems."""
        return self.logs / "edge-application.jsonl"

    @property
    def gateway_yaml(self) -> Path:
        """The edge's configuration."""
        return self.edge / "gateway.yaml"

    @property
    def ledger(self) -> Path:
        """The edge's ledger: units, grants, bindings, staff (`sandbox.office` begins it)."""
        return self.edge / "ledger.db"

    @property
    def staff_sessions(self) -> Path:
        """Where the tour keeps the sample staff's sessions at the back office, for the next tour."""
        return self.systems / "staff-sessions.json"

    @property
    def medical_yaml(self) -> Path:
        """The second edge's configuration."""
        return self.medical / "gateway.yaml"
