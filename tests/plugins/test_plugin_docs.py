"""docs/channels.md, identity.md and reauthorization.md show every setting of every shipped part as it is."""

import re
from pathlib import Path

import pytest

from gateway.configuration.parts import available_parts, import_part
from gateway.configuration.settings_table import markdown_of_part

DOCS = Path(__file__).parents[2] / "docs"
SHIPPED = [use for use in available_parts() if use.startswith("plugins.") and not use.startswith("plugins.example:")]
MARKED = re.compile(r"<!-- settings of (\S+): begin -->\n(.*?)<!-- settings: end -->", re.DOTALL)


def shown():
    """The tables of the documents: (part, table)."""
    return [found for document in DOCS.glob("*.md") for found in MARKED.findall(document.read_text(encoding="utf-8"))]


def test_every_shipped_part_is_documented_once():
    assert sorted(use for use, _ in shown()) == sorted(SHIPPED)


@pytest.mark.parametrize(("use", "table"), shown(), ids=[use for use, _ in shown()])
def test_the_documents_show_the_settings_of_a_part_as_they_are(use, table):
    """Renew it: `tongguan schema USE --format markdown` between the marks."""
    assert table == markdown_of_part(import_part(use).Config)
    assert "|  |" not in table, "a setting has no meaning"
