"""Imports go down only. The layers are the architecture; this reads them out of the source with `ast`."""

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.parsing import parsed

ROOT = Path(__file__).parents[2]

LAYERS = (
    {"beijing"},
    {"errors", "units", "templates", "crypto", "heap", "codes", "corking"},
    {"model"},
    {"facts", "withdrawals"},
    {"contracts", "exchange", "fields", "breaker", "expiry", "windows"},
    {"signin", "signin_settings", "office_settings", "signatures", "reauthorization", "openapi"},
    {"settings"},
    # What the steps stand on; blind to each other.
    {"tokens", "identity", "fetch", "state", "throttle", "inward", "records", "ledger"},
    # What dialects of identity platforms and channels share; their plugins get it through the gateway package.
    {"platforms"},
    # The steps, and what is beside the path.
    {"inbound", "answers", "cors", "chain", "items", "policy", "configuration", "processes", "forward", "ferry"},
    {"pipeline"},
    {"edge", "lending"},
    {"desk"},
    {"building"},
    # The back office, a process of its own with a listener of its own.
    {"console"},
    {"app", "explain"},
    {"cli"},
)

SIDEWAYS = {
    # The path is put together bottom up: a policy holds items, items hold chains.
    ("items", "chain"),
    ("policy", "items"),
    ("policy", "cors"),
    # A session is a token of its own kind, and peers sign as the app channel's callers do.
    ("identity", "tokens"),
    # The two units of the ferry meet in its envelopes; the inner one calls systems as `direct` does.
    ("forward", "ferry"),
    ("ferry", "forward"),
    # The inner unit is a process with a configuration file of its own.
    ("ferry", "configuration"),
    ("ferry", "processes"),
}
"""Neighbours that may know each other, and why."""

ONLY_HERE = {
    "aiohttp": {"edge", "inbound", "fetch", "app", "explain", "processes", "desk", "identity", "console"},
    "aiohttp_session": {"desk", "identity", "console"},
    "jinja2": {"desk", "console"},
    "redis": {"state"},
    "sqlalchemy": {"ledger"},
    "alembic": {"ledger"},
    "aiosqlite": {"ledger"},
    "argon2": {"ledger"},
    "pyotp": {"ledger"},
    "segno": {"console"},
    "httptools": {"forward"},
    "limits": {"throttle", "windows"},
    "prometheus_client": {"records", "processes"},
    "yaml": {"configuration"},
    "webauthn": {"desk"},
    "click": {"cli"},
    "rich": {"cli"},
}
"""Libraries that few may know."""


@cache
def imports_of(path: Path) -> frozenset[str]:
    names: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def part_of(path: Path) -> str:
    return path.relative_to(ROOT / "gateway").parts[0].removesuffix(".py")


SOURCES = [path for path in sorted((ROOT / "gateway").rglob("*.py")) if path != ROOT / "gateway" / "__init__.py"]
RANK = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}


def test_every_part_of_the_gateway_has_its_layer():
    assert {part_of(path) for path in SOURCES} == set(RANK)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_only(path):
    part = part_of(path)
    known = {name.split(".")[1] for name in imports_of(path) if name.startswith("gateway.")} - {part}
    wrong = {other for other in known if RANK[other] >= RANK[part] and (part, other) not in SIDEWAYS}
    assert not wrong, f"{path.name} is in {part} and reaches up or sideways to {sorted(wrong)}"


def test_no_permission_to_look_sideways_is_left_over():
    used = {
        (part_of(path), name.split(".")[1])
        for path in SOURCES
        for name in imports_of(path)
        if name.startswith("gateway.")
    }
    assert used >= SIDEWAYS


@pytest.mark.parametrize("library", sorted(ONLY_HERE))
def test_few_parts_know_the_library(library):
    users = {part_of(path) for path in SOURCES if any(name.split(".")[0] == library for name in imports_of(path))}
    assert users <= ONLY_HERE[library]


@pytest.mark.parametrize("path", sorted((ROOT / "plugins").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_plugin_imports_only_what_the_gateway_package_hands_out(path):
    tree = parsed(path)
    modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    assert not [module for module in modules if module.startswith("gateway.")]


def test_the_outer_world_is_not_imported_by_the_gateway():
    """The sandbox and the benchmark use the product; the product knows neither. `tongguan sandbox` names it as text."""
    for path in SOURCES:
        assert not {name for name in imports_of(path) if name.split(".")[0] in {"sandbox", "bench", "tests"}}, path
