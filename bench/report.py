"""Prints a report: for the terminal, as JSON for machines, as Markdown for ``docs/performance.md``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from bench.results import Column, Comparison, Report, Row, Section
from bench.statistics import Spread

_VERDICTS = {True: "reached", False: "not reached", None: ""}


def to_json(report: Report) -> str:
    """Give everything, spreads included."""
    return json.dumps(asdict(report), ensure_ascii=False, indent=2) + "\n"


def to_markdown(report: Report) -> str:
    """Give the tables and what belongs to them, as one snippet without a heading of the first two levels."""
    return "\n".join(_markdown_lines(report)) + "\n"


def _markdown_lines(report: Report) -> Iterator[str]:
    yield ", ".join(f"{name}: {value}" for name, value in {**report.machine, **report.options}.items()) + "."
    for warning in report.warnings:
        yield f"\n**{warning}**"
    for section in report.sections:
        yield f"\n### {section.question}\n"
        yield from _markdown_table(heads(section), [cells(row, section.columns) for row in section.rows])
        if section.comparisons:
            yield ""
            yield from _markdown_table(COMPARISON_HEADS, [comparison_cells(one) for one in section.comparisons])
        for remark in remarks(section):
            yield f"\n{remark}"
    if report.left_out:
        yield "\nLeft out:\n"
        yield from (f"- {name}: {reason}" for name, reason in report.left_out.items())


def _markdown_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for line in (titles, ["---"] * len(titles), *rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |"


def show(report: Report, console: Console) -> None:
    """Print the tables to a terminal or a plain stream."""
    for section in report.sections:
        _show_table(console, heads(section), [cells(row, section.columns) for row in section.rows], section.question)
        if section.comparisons:
            _show_table(console, COMPARISON_HEADS, [comparison_cells(one) for one in section.comparisons])
        for remark in remarks(section):
            console.print(remark, style="dim", markup=False)
    for name, reason in report.left_out.items():
        console.print(f"left out: {name}: {reason}", style="yellow", markup=False)
    for warning in report.warnings:
        console.print(f"doubtful: {warning}", style="bold red", markup=False)


def _show_table(
    console: Console, titles: Sequence[str], rows: Sequence[Sequence[str]], caption: str | None = None
) -> None:
    table = Table(title=caption, title_justify="left")
    for number, title in enumerate(titles):
        # Figures are folded where a terminal is too narrow for them, never cut off.
        table.add_column(title, justify="left" if number < 2 else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)


COMPARISON_HEADS = ("compared", "median", "lowest to highest", "goal", "")


def heads(section: Section) -> list[str]:
    """Name the columns of a section's table."""
    return ["contestant", "work", *(column.title for column in section.columns)]


def cells(row: Row, columns: Sequence[Column]) -> list[str]:
    """Print one row: medians, with the spread where more than one round was measured."""
    name = f"{row.name} {row.version}".strip()
    if row.flaw:
        return [name, row.work, "invalid", *[""] * (len(columns) - 1)]
    return [name, row.work, *(_spread(row.figures[column.key], column.digits) for column in columns)]


def remarks(section: Section) -> list[str]:
    """Say what the table cannot: why rows are invalid, then the measure's own notes."""
    return [*(f"{row.name} is invalid: {row.flaw}" for row in section.rows if row.flaw), *section.notes]


def comparison_cells(one: Comparison) -> list[str]:
    """Print one comparison with its goal and whether it was reached."""
    digits = 0 if one.unit == "µs" else 2
    unit = one.unit if one.unit == "×" else f" {one.unit}"
    goal = "" if one.reach is None else f"{one.sense} {one.reach:g}{unit}"
    span = (
        "one round"
        if one.spread.rounds == 1
        else f"{_number(one.spread.low, digits)} – {_number(one.spread.high, digits)}"
    )
    return [one.text, f"{_number(one.spread.median, digits)}{unit}", span, goal, _VERDICTS[one.reached]]


def _spread(spread: Spread, digits: int) -> str:
    middle = _number(spread.median, digits)
    low, high = _number(spread.low, digits), _number(spread.high, digits)
    return middle if low == high else f"{middle} ({low}–{high})"


def _number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}"
