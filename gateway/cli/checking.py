"""Commands that judge configurations offline: check and diff."""

import asyncio
import sys
from pathlib import Path

import click

from gateway.building import Build, PartBroken
from gateway.cli.output import as_text_or_json, config_path, log_of_commands, print_json
from gateway.configuration.differences import Difference, compare
from gateway.configuration.loading import Loaded, load, policy_from
from gateway.errors import ConfigurationError
from gateway.fetch import HttpFetch
from gateway.lending import lend


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@as_text_or_json
@click.pass_context
def check(ctx: click.Context, file: Path | None, form: str) -> None:
    """Say everything that is wrong with gateway.yaml and all it names. 检查配置.

    Exit code 0 when it can be used (advice does not change that), 2 when it cannot.
    """
    path = file or config_path(ctx)
    try:
        loaded = load(path)
        asyncio.run(_make(loaded))
    except ConfigurationError as error:
        if form == "json":
            print_json({"ok": False, "file": str(path), "problems": error.problems})
        else:
            click.echo("\n".join(error.problems), err=True)
            click.secho(f"{path}: cannot be used, {_count(len(error.problems), 'problem')}", err=True, fg="red")
        sys.exit(2)
    _tell_good(path, loaded, form)


async def _make(loaded: Loaded) -> None:
    """Make every part, and start none: a constructor that fails is found here and not by the workers.

    Raises:
        ConfigurationError: one of them cannot be made.
    """
    fetch = HttpFetch()
    try:
        Build(lend(loaded.settings, fetch, log_of_commands(), alone=True), policy_from(loaded.policy), 1, None)
    except PartBroken as error:
        where = loaded.parts.get((error.key, error.name))
        raise ConfigurationError([f"{where}: {text}" if where else text for text in error.problems]) from error
    finally:
        await fetch.close()


def _tell_good(path: Path, loaded: Loaded, form: str) -> None:
    items = len(policy_from(loaded.policy).items)
    if form == "json":
        advice = [dict(one._asdict()) for one in loaded.advise()]
        print_json({"ok": True, "file": str(path), "revision": loaded.revision, "items": items, "advice": advice})
        return
    for one in loaded.advise():
        click.echo(f"{one.rule} {one.severity}: {one.text}")
    good = f"{path}: good, {_count(items, 'item')}, {_count(len(loaded.files), 'file')}, revision {loaded.revision}"
    click.secho(good, fg="green")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@click.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@as_text_or_json
def diff(old: Path, new: Path, form: str) -> None:
    """Compare two configurations by meaning: gateway.yaml files, policy.yaml files, or their folders. 比较两份配置.

    References are compared as they are written, so no secret is needed. Exit code 0 same, 1 different, 2 unreadable.
    """
    differences = compare(old, new)
    if form == "json":
        print_json([one._asdict() for one in differences])
    else:
        for one in differences:
            _print_difference(one)
    sys.exit(1 if differences else 0)


_COLOURS = {"added": "green", "removed": "red", "changed": "yellow"}
_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def _print_difference(one: Difference) -> None:
    where = f"{one.what} {one.key}".rstrip()
    values = f": {one.old} → {one.new}" if one.kind == "changed" else ""
    click.secho(f"{_SIGNS[one.kind]} {where}{values}", fg=_COLOURS[one.kind])
