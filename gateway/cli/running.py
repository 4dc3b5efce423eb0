"""Commands that run something in the foreground: gateway.processes.serve, gateway.ferry, gateway.console, sandbox."""

import importlib
import sys
from functools import partial
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import click

from gateway import heap
from gateway.cli.output import config_path

_PASSED_ON = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


@click.command()
@click.pass_context
def serve(ctx: click.Context) -> None:
    """Run the gateway in the foreground until SIGTERM; SIGHUP reloads. 启动网关."""
    heap.rest()  # until everything is loaded
    from gateway.configuration.loading import load  # noqa: PLC0415
    from gateway.processes import serve as serving  # noqa: PLC0415 - the other commands here do not need the server
    from gateway.records.metrics import exposition, merge  # noqa: PLC0415

    def expose(snapshots: list[dict[str, Any]]) -> str:
        return exposition(merge(snapshots)).decode()

    sys.exit(serving.serve(partial(load, config_path(ctx)), expose))


@click.command()
@click.argument("file", required=False)
@click.option("--check", is_flag=True, help="Say everything that is wrong with FILE, and start nothing.")
@click.pass_context
def gatekeeper(ctx: click.Context, file: str | None, *, check: bool) -> None:
    """Run the inner unit with its own configuration FILE, also written --config FILE. 启动网闸内端机."""
    named: str | None = file or ctx.find_root().obj
    if named is None:
        raise click.UsageError("name the inner unit's file: tongguan gatekeeper gatekeeper.yaml")
    if check:
        from gateway.ferry.inner_settings import load_gatekeeper  # noqa: PLC0415

        load_gatekeeper(Path(named))
        click.secho(f"{named}: good", fg="green")
    else:
        from gateway.ferry.inner_process import main_gatekeeper  # noqa: PLC0415

        sys.exit(main_gatekeeper(Path(named)))


@click.command()
@click.pass_context
def console(ctx: click.Context) -> None:
    """Run the back office for the staff in the foreground until SIGTERM. 启动后台管理."""
    from gateway.console.process import main_console  # noqa: PLC0415

    sys.exit(main_console(config_path(ctx)))


@click.command(context_settings=_PASSED_ON)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def sandbox(arguments: tuple[str, ...]) -> None:
    """Run everything in miniature; `tongguan sandbox --help` tells more. 启动演示环境."""
    sys.exit(importlib.import_module("sandbox.launch").main(list(arguments)))


@click.command(context_settings=_PASSED_ON)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def tour(arguments: tuple[str, ...]) -> None:
    """Play the sandbox's story; fails if a step is not as it should be. 演示完整流程."""
    sys.exit(importlib.import_module("sandbox.tour").main(list(arguments)))


@click.command()
def version() -> None:
    """Print the version. 显示版本."""
    click.echo(f"tongguan {installed_version('tongguan')}")
