"""What the sandbox's tests share: a gateway's signing hand, and processes that end with the test."""

import asyncio
import hashlib
import json
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm


@dataclass
class IdentitySigner:
    """Signs identities as the gateway does, or wrongly where a test says so."""

    kid: str = "gateway-1"
    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    def jwks(self) -> dict[str, Any]:
        public = OKPAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return {"keys": [public | {"kid": self.kid, "alg": "EdDSA"}]}

    def keys(self) -> dict[str, jwt.PyJWK]:
        return {self.kid: jwt.PyJWKSet.from_dict(self.jwks()).keys[0]}

    def header(self, *, body: bytes = b"", headers: dict[str, str] | None = None, **claims: object) -> dict[str, str]:
        now = int(time.time())
        usual = {
            "iss": "dept-hrss",
            "aud": "medical-insurance",
            "iat": now,
            "exp": now + 60,
            "jti": uuid.uuid4().hex,
            "route": "medical-insurance-settlement",
            "item": "11440100696927671X3442011817001",
            "method": "GET",
            "path": "/settlements/S1",
            "query": "",
            "body_sha256": hashlib.sha256(body).hexdigest(),
            "sub": "8f2c61d0b7e94a53c1d6",
            "sub_type": "natural",
            "assurance": 3,
            "channel": "web",
        }
        named = {"typ": "tongguan-identity+jwt", "kid": self.kid} | (headers or {})
        return {"Tongguan-Identity": jwt.encode(usual | claims, self.private, algorithm="EdDSA", headers=named)}


@pytest.fixture
def signer() -> IdentitySigner:
    return IdentitySigner()


@pytest.fixture
def identity_jwks(signer: IdentitySigner, tmp_path: Path) -> Path:
    path = tmp_path / "identity.jwks.json"
    path.write_text(json.dumps(signer.jwks()))
    return path


Spawn = Callable[..., Any]


@pytest.fixture
async def spawn() -> AsyncIterator[Spawn]:
    """Start `python -m MODULE ARGUMENTS` with its output piped."""
    started: list[asyncio.subprocess.Process] = []

    async def start(module: str, *arguments: str) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, *arguments, stdout=pipe, stderr=pipe
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.communicate()
