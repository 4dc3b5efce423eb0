"""Commands that talk to the management listener of a running gateway (gateway.processes.management)."""

import http.client
import json
import socket
import sys
from pathlib import Path
from typing import Any

import click

from gateway.cli.output import as_text_or_json, config_path, print_json, print_table
from gateway.configuration.problems import Problems, reach
from gateway.configuration.sources import Files
from gateway.units import Address, parse_address

LONGEST_WAIT = 60.0
"""Seconds for one answer; a reload of many items takes a few."""

to_management = click.option(
    "--management", "address", metavar="ADDRESS", help="host:port or unix:/path; else the one in gateway.yaml."
)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(address: Address, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
    """Ask a management listener one thing.

    Returns:
        Status and the JSON object of the answer.

    Raises:
        click.ClickException: nothing listens there, or what answers is no gateway; exit code 1.
    """
    if address.path:
        connection: http.client.HTTPConnection = _UnixConnection(address.path, LONGEST_WAIT)
    else:
        connection = http.client.HTTPConnection(address.host, address.port, timeout=LONGEST_WAIT)
    sent = None if body is None else json.dumps(body).encode()
    try:
        connection.request(method, path, sent, {"Content-Type": "application/json"} if sent else {})
        answer = connection.getresponse()
        data = json.loads(answer.read())
    except (ConnectionRefusedError, FileNotFoundError) as exc:
        raise click.ClickException(f"nothing listens on {address}; is the gateway running?") from exc
    except PermissionError as exc:
        raise click.ClickException(f"{address} may not be opened by this user") from exc
    except (OSError, http.client.HTTPException, ValueError) as exc:
        raise click.ClickException(f"no proper answer from {address}: {type(exc).__name__} {exc}") from exc
    finally:
        connection.close()
    if not isinstance(data, dict):
        raise click.ClickException(f"no proper answer from {address}: it is no gateway")
    return answer.status, data


def management_address(ctx: click.Context, address: str | None) -> Address:
    """Where the gateway is managed: as asked, or as written in gateway.yaml, which may have mistakes elsewhere."""
    if address is None:
        return _written_in(config_path(ctx))
    try:
        return parse_address(address)
    except ValueError as exc:
        raise click.BadParameter(str(exc), param_hint="--management") from exc


def _written_in(path: Path) -> Address:
    problems = Problems()
    source = Files(path.parent, problems).mapping(path)
    try:
        return parse_address(reach(source.data, ("management",)) if source else None)
    except ValueError as exc:
        first = next(iter(problems.lines()), f"management: {exc}")
        raise click.UsageError(f"{path} does not say where to ask: {first}; write --management ADDRESS") from exc


@click.command()
@to_management
@as_text_or_json
@click.pass_context
def reload(ctx: click.Context, address: str | None, form: str) -> None:
    """Take over the changed policy now. 重新加载策略.

    Exit code 2 when it was refused: the gateway goes on with the last good one.
    """
    status, answer = ask(management_address(ctx, address), "POST", "/reload")
    refused = status != 200
    if form == "json":
        print_json(answer)
    elif refused:
        click.echo("\n".join(answer.get("problems") or [_reason(answer)]), err=True)
        click.secho("refused; the gateway goes on with the last good configuration", err=True, fg="red")
    else:
        click.secho(
            f"{answer['outcome']}: generation {answer['generation']}, revision {answer['revision']}", fg="green"
        )
        if answer.get("restart_needed"):
            click.echo("gateway.yaml changed as well: its keys wait for a restart")
    sys.exit(2 if refused else 0)


@click.command()
@to_management
@as_text_or_json
@click.pass_context
def status(ctx: click.Context, address: str | None, form: str) -> None:
    """Show how a running gateway is. 查看运行状态.

    Exit code 1 when it is not ready.
    """
    code, answer = ask(management_address(ctx, address), "GET", "/status")
    expect(code == 200, answer)
    if form == "json":
        print_json(answer)
    else:
        print_table(("what", "value"), _flat(answer))
    sys.exit(0 if answer.get("ready") is True else 1)


def _flat(value: Any, key: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        return [row for name, inner in value.items() for row in _flat(inner, f"{key}.{name}" if key else name)]
    if isinstance(value, list) and value:
        return [row for index, inner in enumerate(value) for row in _flat(inner, f"{key}[{index}]")]
    return [(key, "" if value == [] else value)]


@click.command()
@to_management
@click.pass_context
def drain(ctx: click.Context, address: str | None) -> None:
    """Take no more requests, finish those under way, stop. 平滑停止."""
    code, answer = ask(management_address(ctx, address), "POST", "/drain")
    expect(code == 202, answer)
    click.echo(f"draining; it ends within {answer['seconds']:g} s")


@click.command()
@click.option("--sid", help="A session of the issuer.")
@click.option("--jti", help="One token.")
@click.option("--sub", help="Everything of a person or unit.")
@click.option("--iss", help="Whose session, token or subject that is; anybody's when missing.")
@to_management
@click.pass_context
def revoke(ctx: click.Context, /, address: str | None, **what: str | None) -> None:
    """Make a token, a session or a person unknown on every worker at once. 吊销登录."""
    given = {key: value for key, value in what.items() if value is not None}
    if empty := [key for key, value in given.items() if not value]:
        raise click.UsageError(f"--{empty[0]} is empty; say whose or which")
    if not given.keys() & {"sid", "jti", "sub"}:
        raise click.UsageError("say what: --sid, --jti or --sub")
    code, answer = ask(management_address(ctx, address), "POST", "/revocations", given)
    expect(code == 200, answer)
    click.echo(f"revoked on {answer['workers']} worker(s)")


def expect(fine: bool, answer: dict[str, Any]) -> None:
    """End the command, with what the gateway says is wrong, unless its answer is fine."""
    if not fine:
        raise click.ClickException(_reason(answer))


def _reason(answer: dict[str, Any]) -> str:
    return str(answer.get("detail") or answer)
