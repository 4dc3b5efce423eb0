"""A small sound configuration on disk, and its files broken on purpose. Line numbers in tests are of these texts."""

from pathlib import Path

import pytest

from gateway.configuration.loading import Loaded, load
from gateway.errors import ConfigurationError

GATEWAY = """\
department: dept-hrss
listen: 127.0.0.1:8080
management: 127.0.0.1:8081
hosts: [www.dept-hrss.example]
trusted_proxies: [10.0.0.0/8]
workers: 1
drain: 30s
identity:
  key: {$file: identity.pem}
  kid: "1"
records:
  pseudonym_key: {$env: TEST_PSEUDONYM_KEY}
"""

POLICY = """\
client_rate: 600/minute
channels:
  - name: web
    use: tests.configuration.config_parts:Door
    config: {window: 5m}
    cors: {origins: [https://www.dept-hrss.example]}
verifiers:
  - name: desk
    use: tests.configuration.config_parts:Desk
reauthorizers:
  - name: owner-switch
    use: tests.configuration.config_parts:Hours
    config: {opens: 8}
systems:
  - name: outside
    via: direct
    targets: [http://127.0.0.1:8110]
  - name: inside
    via: ferry
    carrier: {kind: socket, address: 127.0.0.1:8120}
    key: {$env: TEST_FERRY_KEY}
items:
  - code: guides
    name: 办事指南
    category: guides
    audience: [anyone]
    system: outside
    operations: [{method: GET, path: "/guides/{id}"}]
    channels: [web]
    reauthorize: []
  - code: settlements
    name: 住院结算
    category: medical-insurance
    audience: [natural]
    system: inside
    operations: [{id: settlement, method: GET, path: "/medical/settlements/{id}"}]
    channels: [web]
    assurance: 3
    reauthorize: [owner-switch]
    limits: {body: 64KiB, rate: 30/minute, timeout: 5s}
"""


class World:
    """A configuration in a folder of its own."""

    def __init__(self, folder: Path, identity: str) -> None:
        self.folder = folder
        self.path = folder / "gateway.yaml"
        self.path.write_text(GATEWAY, encoding="utf-8")
        (folder / "policy.yaml").write_text(POLICY, encoding="utf-8")
        self.write_secret("identity.pem", identity)

    def write(self, name: str, content: str | bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def write_secret(self, name: str, content: str | bytes, mode: int = 0o600) -> None:
        self.write(name, content)
        (self.folder / name).chmod(mode)

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text(encoding="utf-8")
        assert old in text, f"{name} has no {old!r}"
        self.write(name, text.replace(old, new, 1))

    def load(self) -> Loaded:
        return load(self.path)

    def problems(self) -> list[str]:
        """What `load` says; the test fails when it says nothing."""
        with pytest.raises(ConfigurationError) as caught:
            self.load()
        return caught.value.problems
