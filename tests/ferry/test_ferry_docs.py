"""docs/ferry.md says what is so: its code runs, its files load, its tables are complete."""

import hashlib
import re
import time
from pathlib import Path

import jwt
import pytest
import yaml
from ferry_world import PRINCIPAL, declaration, outer_settings, signer

from gateway.ferry.carriers import MemoryCarrier
from gateway.ferry.envelope import Answer, Hello, Refusal, Request
from gateway.ferry.inner_settings import GatekeeperSettings, load_gatekeeper
from gateway.ferry.inspection import ContentSettings
from gateway.forward.ferry import _ERRORS, FerryForwarder
from gateway.settings import FerrySettings

TEXT = (Path(__file__).parents[2] / "docs" / "ferry.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", TEXT, re.DOTALL)
[EDGE, INNER] = [block for kind, block in BLOCKS if kind == "yaml"]
[PYTHON] = [block for kind, block in BLOCKS if kind == "python"]


def who_asks(token, **changed):
    scope: dict = {}
    exec(PYTHON, scope)
    given = {"system": "medical", "issuer": "dept-hrss", "method": "POST", "route": "declare", "body": b"{}"}
    return scope["who_asks"](token, KEYS.public_jwks(), **(given | changed))


KEYS = signer()


def identity() -> str:
    return KEYS.request_identity(
        declaration().visit, PRINCIPAL, "medical", hashlib.sha256(b"{}").hexdigest(), time.time() + 5
    )


def test_the_example_tells_who_asks():
    assert who_asks(identity())["sub"] == "citizen-1"


@pytest.mark.parametrize(
    "changed", [{"system": "pension"}, {"issuer": "x"}, {"method": "PUT"}, {"route": "x"}, {"body": b"x"}]
)
def test_the_example_refuses_an_identity_for_anything_else(changed):
    with pytest.raises(jwt.InvalidTokenError):
        who_asks(identity(), **changed)


def test_the_example_refuses_an_assertion():
    with pytest.raises(jwt.InvalidTokenError):
        who_asks(KEYS.assertion(PRINCIPAL, "medical").decode())


def test_every_claim_is_in_the_table():
    claims = jwt.decode(identity(), options={"verify_signature": False})
    rows = "".join(re.findall(r"^\| `.*", TEXT, re.MULTILINE))
    assert all(f"`{name}`" in rows for name in [*claims, "act"])


def test_the_gatekeepers_file_loads_and_shows_every_key(tmp_path, monkeypatch):
    monkeypatch.setenv("TONGGUAN_FERRY_KEY", "k" * 32)
    path = tmp_path / "gatekeeper.yaml"
    path.write_text(INNER, encoding="utf-8")
    settings = load_gatekeeper(path)
    shown = set(re.findall(r"(\w+):", INNER))
    for model in (GatekeeperSettings, type(settings.systems[0]), type(settings.routes[0]), ContentSettings):
        assert {field.alias or name for name, field in model.model_fields.items()} <= shown


def test_the_edges_part_loads_and_shows_every_key():
    [system] = yaml.safe_load(EDGE)["systems"]
    assert set(system) == set(FerrySettings.model_fields)
    assert system["key"] == {"$env": "TONGGUAN_FERRY_KEY"}
    FerrySettings.model_validate(system | {"key": "k" * 32})


def test_every_field_of_the_messages_is_listed():
    for message in (Hello, Request, Answer, Refusal):
        assert f"`{' '.join(message.__struct_fields__)}`" in TEXT


def test_every_refusal_is_in_the_table_with_its_answer():
    executed = {"refused": ("no",), "unknown": ("unknown", "not again"), "delivered": ("yes",)}
    for refusal, (error, outcome) in _ERRORS.items():
        [row] = [line for line in TEXT.splitlines() if line.startswith("|") and f"`{refusal}`" in line.split("|")[1]]
        assert f"{error.status} `{error.code}`" in row
        assert row.split("|")[3].strip() in executed[outcome]


def test_every_figure_of_the_status_is_listed():
    status = FerryForwarder(outer_settings(), MemoryCarrier(), KEYS).status()
    [listed] = re.findall(r"status\(\)` tells `(.*?)`", TEXT, re.DOTALL)
    assert listed.split() == list(status)
