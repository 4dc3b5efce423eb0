"""Parts that tell of their lives; their `use` is tests.building_parts:NAME."""

import asyncio
from typing import ClassVar

from gateway.contracts import Channel, PartContext, Settings, Verifier
from gateway.model import Credential, Inbound, Kind, Principal


class LabelConfig(Settings):
    label: str = "a"
    fails: str = ""


class Life:
    """What happened to the parts of one test, in order."""

    told: ClassVar[list[str]] = []


class Gate(Channel[LabelConfig]):
    """Recognises everything; fails where its configuration says so."""

    Config = LabelConfig

    def __init__(self, config: LabelConfig, context: PartContext) -> None:
        super().__init__(config, context)
        if config.fails == "made":
            raise KeyError("column")

    async def start(self) -> None:
        Life.told.append(f"start {self.config.label}")
        if self.config.fails == "start":
            raise OSError("no table")
        if self.config.fails == "hang":
            await asyncio.Event().wait()

    async def stop(self) -> None:
        Life.told.append(f"stop {self.config.label}")
        if self.config.fails == "stop":
            raise OSError("held")

    def status(self) -> dict[str, str]:
        return {"label": self.config.label}

    async def identify(self, inbound: Inbound) -> Credential | None:
        token = inbound.fields.get(b"authorization", b"").decode().removeprefix("Bearer ") or None
        return Credential(self.name, token)


class Started(Verifier[LabelConfig]):
    """Knows people from its start to its end."""

    Config = LabelConfig

    def __init__(self, config: LabelConfig, context: PartContext) -> None:
        super().__init__(config, context)
        self.running = False

    async def start(self) -> None:
        self.running = True
        Life.told.append(f"start {self.name}")

    async def stop(self) -> None:
        self.running = False
        Life.told.append(f"stop {self.name}")

    def status(self) -> dict[str, bool]:
        return {"running": self.running}

    async def verify(self, credential: Credential) -> Principal | None:
        if not self.running:
            raise RuntimeError("asked before its start")
        return Principal("desk", credential.token or "", Kind.NATURAL, 3, 4e9)
