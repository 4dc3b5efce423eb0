"""Draws the throughput table as an SVG that reads well on a light and on a dark page."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from bench.results import Row, Section

_WIDTH = 800
_LABELS = 340
_BAR = 360
_STEP = 26
_TOP = 44

_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-weight: 600; font-size: 15px; }
  .work { fill: #59636e; font-size: 11px; }
  .bar { fill: #8c959f; }
  .ours { fill: #0969da; }
  .spread { stroke: #1f2328; stroke-width: 1.5; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .work { fill: #9198a1; }
    .bar { fill: #656c76; }
    .ours { fill: #4493f8; }
    .spread { stroke: #e6edf3; }
  }
"""


def draw(section: Section, key: str, title: str, ours: str = "tongguan") -> str:
    """Draw one bar for each sound row, longest first, with a whisker from the lowest to the highest round.

    Args:
        section: the measure whose rows are drawn.
        key: the figure that gives a bar its length.
        title: what the bars show, unit included.
        ours: the row that stands out.
    """
    rows = sorted((row for row in section.rows if not row.flaw), key=lambda row: -row.figures[key].median)
    height = _TOP + _STEP * len(rows) + 10
    longest = max((row.figures[key].high for row in rows), default=1.0)
    bars = [_bar(row, key, _TOP + _STEP * number, _BAR / longest, ours) for number, row in enumerate(rows)]
    return _document(height, title, bars)


def _document(height: int, title: str, bars: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(title, {chr(34): "&quot;"})}">\n'
        f"<style>{_STYLE}</style>\n"
        f'<text class="title" x="10" y="24">{escape(title)}</text>\n' + "\n".join(bars) + "\n</svg>\n"
    )


def _bar(row: Row, key: str, top: int, scale: float, ours: str) -> str:
    spread = row.figures[key]
    length, low, high = (value * scale for value in (spread.median, spread.low, spread.high))
    kind, middle = ("bar ours" if row.name == ours else "bar"), top + 9
    return (
        f'<text x="10" y="{top + 14}">{escape(row.name)} <tspan class="work">{escape(row.work)}</tspan></text>'
        f'<rect class="{kind}" x="{_LABELS}" y="{top}" width="{length:.1f}" height="18" rx="2"/>'
        f'<line class="spread" x1="{_LABELS + low:.1f}" y1="{middle}" x2="{_LABELS + high:.1f}" y2="{middle}"/>'
        f'<text x="{_LABELS + max(length, high) + 8:.1f}" y="{top + 14}">{spread.median:,.0f}</text>'
    )
