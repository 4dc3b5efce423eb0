"""Commands about the ledger's database (gateway/ledger): how it stands, and bringing it to this version's schema."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from gateway.cli.output import as_text_or_json, config_path, print_json
from gateway.configuration.loading import load_static
from gateway.ledger import open_ledger
from gateway.settings import USUAL_LEDGER

if TYPE_CHECKING:
    from gateway.ledger.ledger import Ledger


@click.group()
def db() -> None:
    """The ledger's database. 台账数据库."""


@db.command()
@click.pass_context
def upgrade(ctx: click.Context) -> None:
    """Bring the database to this version's schema, whole or not at all. 升级台账数据库.

    Stop the gateway and copy the database before: there is no way back.
    """
    ledger = _configured(config_path(ctx))
    before, after = asyncio.run(ledger.upgrade())
    if before.current:
        click.echo(f"{ledger.name}: schema {after.found}, nothing to do")
    else:
        click.echo(f"{ledger.name}: schema {before.found or 'none'} -> {after.found}")


@db.command()
@as_text_or_json
@click.pass_context
def status(ctx: click.Context, form: str) -> None:
    """Say which schema the database has. 查看台账数据库.

    Exit code 1 when this version cannot use it as it is.
    """
    ledger = _configured(config_path(ctx))
    schema = asyncio.run(ledger.look())
    if form == "json":
        print_json({"ledger": ledger.name, **msgspec.structs.asdict(schema), "current": schema.current})
    else:
        remedy = "" if schema.current else "; run tongguan db upgrade"
        click.echo(f"{ledger.name}: schema {schema.found or 'none'}, needed is {schema.needed}{remedy}")
    sys.exit(0 if schema.current else 1)


def _configured(path: Path) -> "Ledger":
    return open_ledger(load_static(path).ledger_url or USUAL_LEDGER, path.parent)
