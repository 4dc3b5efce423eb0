"""docs/configuration.md and config/ show every key there is, and no other."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from gateway.configuration.loading import load
from gateway.configuration.settings_table import keys_of_all, markdown_of

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
SHIPPED = [ROOT / "config" / name for name in ("gateway.yaml", "policy.yaml", "items/social-insurance.yaml")]


def test_the_documentation_shows_the_settings_as_they_are():
    """Renew it: `tongguan schema --format markdown` between the two marks of docs/configuration.md."""
    shown = DOCUMENT.partition("<!-- every key: begin -->\n")[2].partition("<!-- every key: end -->")[0]

    assert markdown_of() == shown


def test_every_key_has_a_meaning():
    without = [line for line in markdown_of().splitlines() if line.endswith("|  |")]

    assert without == []


def test_the_example_is_good_and_needs_no_advice(shipped_secrets):
    loaded = load(SHIPPED[0])

    assert tuple(loaded.advise()) == ()
    assert list(loaded.files) == SHIPPED


def test_every_key_appears_in_the_example():
    shown = {key for path in SHIPPED for key in keys_in(yaml.safe_load(path.read_bytes()))}

    assert set() == set(keys_of_all()) - shown
    assert set() == {key for key in shown - set(keys_of_all()) if ".config." not in key}


def keys_in(value, prefix=""):
    """Keys as the documentation writes them."""
    for key, inner in value.items():
        path = f"{prefix}{key}"
        yield path
        if isinstance(inner, dict) and not any(name.startswith("$") for name in inner):
            yield from keys_in(inner, f"{path}.")
        elif isinstance(inner, list):
            for entry in inner:
                if isinstance(entry, dict) and not any(name.startswith("$") for name in entry):
                    yield from keys_in(entry, f"{path}[{entry['via']}]." if path == "systems" else f"{path}[].")


def test_the_secrets_of_the_example_are_those_that_the_comments_make(shipped_secrets):
    text = "".join(path.read_text(encoding="utf-8") for path in SHIPPED)
    referenced = set(re.findall(r"\{\$env: (TONGGUAN_\w+)\}", text))

    assert referenced == set(re.findall(r"#   export (TONGGUAN_\w+)=", text))
    assert referenced == set(re.findall(r"^export (TONGGUAN_\w+)=", DOCUMENT, re.MULTILINE))


def test_the_rules_of_the_audit_are_documented():
    rules = set(
        re.findall(r'"(TG\d\d)"', (ROOT / "gateway" / "configuration" / "audit.py").read_text(encoding="utf-8"))
    )

    assert rules == set(re.findall(r"^\| (TG\d\d) \|", DOCUMENT, re.MULTILINE))


@pytest.mark.parametrize("line", re.findall(r"^\$ (tongguan .+?)(?: > .+)?$", DOCUMENT, re.MULTILINE))
def test_commands_of_the_documentation_are_commands(line):
    from gateway.cli import COMMANDS

    assert COMMANDS.keys() & set(shlex.split(line))
