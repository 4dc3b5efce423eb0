"""Commands about who may sign in to the back office (gateway/ledger/staff.py), for whoever operates the machine."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import click
import msgspec

from gateway.beijing import written_time
from gateway.cli.output import as_text_or_json, config_path, log_of_commands, print_json, print_table
from gateway.configuration.loading import load_static
from gateway.errors import CannotDecide, ConfigurationError, Conflict, GatewayError, InputRefused
from gateway.ledger import open_ledger

if TYPE_CHECKING:  # SQLAlchemy is slow to import
    from gateway.ledger.staff import StaffRegister
    from gateway.ledger.staff_accounts import IssuedPassword, StaffRecord

T = TypeVar("T")

_COLUMNS = ("login", "name", "role", "region", "state", "second factor", "created")


@click.group()
def staff() -> None:
    """Who may sign in to the back office: begin, list, help. 后台工作人员账户."""


@staff.command()
@click.option("--system", required=True, metavar="LOGIN", help="Makes and disables accounts. 系统管理员")
@click.option("--security", required=True, metavar="LOGIN", help="Fills posts, unlocks, resets. 安全管理员")
@click.option("--audit", required=True, metavar="LOGIN", help="Reads the history. 审计管理员")
@click.pass_context
def init(ctx: click.Context, system: str, security: str, audit: str) -> None:
    """Make the first three administrators, for the whole country. 初始化三员账户.

    Each gets a password for one sign-in, printed here once and kept nowhere. They have to be three people.
    Exit code 1 when there are accounts already.
    """
    from gateway.ledger.inputs.checking import check_input  # noqa: PLC0415 - pydantic, which help need not wait for
    from gateway.ledger.inputs.staff import StaffInput  # noqa: PLC0415
    from gateway.ledger.powers import Role  # noqa: PLC0415

    logins = {Role.SYSTEM: system, Role.SECURITY: security, Role.AUDIT: audit}

    async def found(register: "StaffRegister") -> "list[IssuedPassword]":
        founders = {role: check_input(StaffInput, {"login": login, "name": login}) for role, login in logins.items()}
        return await register.first_administrators(founders)

    for issued in _with_register(ctx, found):
        click.echo(f"{issued.staff.role}: {issued.staff.login} {issued.password}")
    click.echo("passwords for one sign-in each; hand them over and clear this screen", err=True)


@staff.command(name="list")
@as_text_or_json
@click.pass_context
def list_command(ctx: click.Context, form: str) -> None:
    """List every account. 查看账户."""
    records = _with_register(ctx, lambda register: register.everybody())
    if form == "json":
        print_json([msgspec.to_builtins(record) for record in records])
    else:
        print_table(_COLUMNS, map(_row, records))


@staff.command()
@click.argument("login")
@click.pass_context
def reset(ctx: click.Context, login: str) -> None:
    """Give LOGIN a new one-time password and forget her second factor. 重置账户.

    For the administrator whom no other can help; the security administrator resets everybody else. Her sessions end.
    The history says that it was done at the machine. Exit code 1 when nobody has this login.
    """
    issued = _with_register(ctx, lambda register: register.reset_by_itself(login.strip().lower()))
    if issued is None:
        raise click.ClickException(f"nobody has the login {login!r}")
    click.echo(f"{issued.staff.login} {issued.password}")


def _with_register(ctx: click.Context, step: "Callable[[StaffRegister], Awaitable[T]]") -> T:
    """Take a step on the configured ledger. What is refused is a sentence and exit code 1."""
    try:
        return asyncio.run(_taken(ctx, step))
    except InputRefused as refusal:
        raise click.UsageError("; ".join(problem.title[1] for problem in refusal.problems)) from None
    except Conflict as refusal:
        raise click.ClickException(_both(refusal)) from None
    except CannotDecide as error:
        raise ConfigurationError([error.detail]) from error


async def _taken(ctx: click.Context, step: "Callable[[StaffRegister], Awaitable[T]]") -> T:
    from gateway.ledger.passwords import Passwords  # noqa: PLC0415 - with SQLAlchemy, where somebody needs it
    from gateway.ledger.staff import StaffRegister  # noqa: PLC0415

    path = config_path(ctx)
    settings = load_static(path)
    if settings.console is None or settings.ledger_url is None:
        raise ConfigurationError([f"{path}: there is no back office; write `console:` to have one"])
    keys = settings.records.digest_keys
    ledger = open_ledger(settings.ledger_url, path.parent, log=log_of_commands(), keys=keys)
    await ledger.start()
    passwords = Passwords(settings.console.password_length)
    try:
        return await step(StaffRegister(ledger.office, passwords))
    finally:
        passwords.close()
        await ledger.close()


def _both(refusal: GatewayError) -> str:
    chinese, english = refusal.title
    return f"{english} {chinese}"


def _row(record: "StaffRecord") -> tuple[object, ...]:
    state = "disabled" if record.disabled else "active"
    enrolled = "yes" if record.second_factor else "no"
    return (
        record.login,
        record.name,
        record.role or "",
        record.region or "",
        state,
        enrolled,
        written_time(record.created_at),
    )
