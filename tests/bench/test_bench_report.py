"""bench/report.py and bench/chart.py: what readers and machines get to see."""

import io
import json
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from bench import chart, report
from bench.results import Column, Comparison, Report, Row, Section
from bench.statistics import Spread

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def section() -> Section:
    return Section(
        "throughput",
        "How many requests a second does one core carry?",
        (Column("rate", "requests/s"), Column("p99_ms", "p99 ms", 2)),
        [
            Row("nginx", "forwards", "1.22", {"rate": Spread(50000, 48000, 51000, 3), "p99_ms": Spread(2, 2, 2, 3)}),
            Row("tongguan", "all", "0.1", {"rate": Spread(22000, 21000, 23000, 3), "p99_ms": Spread(2.5, 2, 3, 3)}),
            Row("<odd> | one", "forwards", "9", {}, "7 answers were not 2xx"),
        ],
        [
            Comparison("tongguan / nginx", Spread(0.44, 0.43, 0.45, 3), "×", 0.4, "≥"),
            Comparison("tongguan / envoy", Spread(0.9, 0.8, 1.1, 3), "×", 1.0, "≥"),
        ],
    )


@pytest.fixture
def finished(section) -> Report:
    return Report({"cpu": "some"}, {"rounds": 3}, [section], {"caddy": "caddy is not installed"}, ["Only one core"])


def test_markdown_tells_medians_with_their_spread(finished):
    text = report.to_markdown(finished)

    assert "| nginx 1.22 | forwards | 50,000 (48,000–51,000) | 2.00 |" in text.splitlines()


def test_markdown_says_which_goals_were_not_reached(finished):
    text = report.to_markdown(finished)

    assert "| tongguan / nginx | 0.44× | 0.43 – 0.45 | ≥ 0.4× | reached |" in text.splitlines()
    assert "| tongguan / envoy | 0.90× | 0.80 – 1.10 | ≥ 1× | not reached |" in text.splitlines()


@pytest.mark.parametrize(
    "sentence",
    ["<odd> | one is invalid: 7 answers were not 2xx", "- caddy: caddy is not installed", "**Only one core**"],
)
def test_markdown_hides_neither_flaws_nor_gaps_nor_doubts(finished, sentence):
    assert sentence in report.to_markdown(finished)


def test_a_bar_in_a_name_does_not_break_the_markdown_table(finished):
    assert r"| <odd> \| one 9 | forwards | invalid |  |" in report.to_markdown(finished).splitlines()


def test_the_terminal_shows_the_same_as_the_markdown(finished):
    console = Console(width=160, record=True, file=io.StringIO())
    report.show(finished, console)

    text = console.export_text()
    assert all(part in text for part in ("50,000 (48,000–51,000)", "not reached", "caddy is not installed", "invalid"))


def test_json_keeps_every_figure_of_every_row(finished):
    told = json.loads(report.to_json(finished))

    row = told["sections"][0]["rows"][1]
    assert row["figures"]["rate"] == {"median": 22000, "low": 21000, "high": 23000, "rounds": 3}
    assert told["left_out"] == {"caddy": "caddy is not installed"}


def test_a_single_round_claims_no_spread():
    cells = report.comparison_cells(Comparison("a / b", Spread(1.5, 1.5, 1.5, 1)))

    assert cells == ["a / b", "1.50×", "one round", "", ""]


def test_the_chart_draws_sound_rows_only_longest_first_and_ours_apart(section):
    drawing = ET.fromstring(chart.draw(section, "rate", "Requests & more"))

    bars = [bar.get("class") for bar in drawing.iter(f"{SVG}rect")]
    lengths = [float(bar.get("width", "0")) for bar in drawing.iter(f"{SVG}rect")]
    assert bars == ["bar", "bar ours"]
    assert sorted(lengths, reverse=True) == lengths


def test_the_chart_has_colours_for_light_and_dark_pages(section):
    assert "prefers-color-scheme: dark" in chart.draw(section, "rate", "Requests")
