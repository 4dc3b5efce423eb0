"""What every command shares: the configuration's place, tables for people, JSON for machines."""

import json
import stat
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import structlog

USUAL_PLACES = (Path("config/gateway.yaml"), Path("/etc/tongguan/gateway.yaml"))

as_text_or_json = click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="For whom."
)


def log_of_commands() -> Any:
    """Where parts say what they have to say while a command uses them: standard error, so that answers stay alone."""
    return structlog.wrap_logger(structlog.PrintLogger(sys.stderr))


def config_path(ctx: click.Context) -> Path:
    """The gateway.yaml that was asked for, or the first of the usual places that is there."""
    asked: str | None = ctx.find_root().obj
    if asked:
        return Path(asked)
    found = next((path for path in USUAL_PLACES if _may_be_there(path)), None)
    if found is None:
        places = ", ".join(map(str, USUAL_PLACES))
        raise click.UsageError(
            f"no configuration: neither --config nor $TONGGUAN_CONFIG, and none of {places} is there"
        )
    return found


def _may_be_there(path: Path) -> bool:
    """Behind a folder that this user may not enter nobody can tell: then reading it will say so."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError as exc:
        return isinstance(exc, PermissionError)


def print_json(data: object) -> None:
    """Print plain data for a machine."""
    click.echo(json.dumps(data, ensure_ascii=False, indent=2, default=str))


_UNLIMITED = 1_000_000
"""Columns where no terminal is: a file or another program wants whole lines."""


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows for a person, nothing cut off; colour only on a terminal, and none with NO_COLOR."""
    from rich import box  # noqa: PLC0415 - commands that print no table need not wait for it
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else _UNLIMITED)
    console.print(table)
