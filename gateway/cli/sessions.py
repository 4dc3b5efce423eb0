"""Commands about sign-in sessions of a running gateway (gateway.identity.operators has the other end)."""

import sys
from typing import Any

import click

from gateway.beijing import written_time
from gateway.cli.managing import ask, expect, management_address, to_management
from gateway.cli.output import as_text_or_json, print_json, print_table

_COLUMNS = ("handle", "subject", "operator", "kind", "assurance", "channel", "began", "used", "ends")


@click.group()
def sessions() -> None:
    """Who is signed in here: list sessions, and end them. 查看与注销会话."""


@sessions.command(name="list")
@click.option("--subject", metavar="ID", help="Sessions of this person or unit, as its issuer names it.")
@click.option("--reveal", is_flag=True, help="Show subjects as they are; else the pseudonyms of the access records.")
@to_management
@as_text_or_json
@click.pass_context
def list_command(ctx: click.Context, subject: str | None, reveal: bool, address: str | None, form: str) -> None:
    """List open sessions by handle. 查看会话.

    The latest uses come first, a thousand at most. The handle is the session's public name. What opens a session, its
    id, is nowhere to be seen.
    """
    asked = ({} if subject is None else {"subject": subject}) | ({"reveal": "yes"} if reveal else {})
    answer = _ask(ctx, address, "/sessions/list", asked)
    if form == "json":
        print_json(answer)
        return
    print_table(_COLUMNS, map(_row, answer["sessions"]))
    if answer["total"] > len(answer["sessions"]):
        click.echo(f"{answer['total']} in all; --subject finds those of one person", err=True)


@sessions.command()
@click.argument("handle", required=False)
@click.option(
    "--subject", metavar="ID", help="All sessions of this person or unit, and every token given to it so far."
)
@click.option("--sid", metavar="ID", help="All sessions of this session of the issuer, and its tokens.")
@click.option("--issuer", help="Whose subject or session that is; anybody's when missing.")
@to_management
@click.pass_context
def revoke(
    ctx: click.Context,
    handle: str | None,
    subject: str | None,
    sid: str | None,
    issuer: str | None,
    address: str | None,
) -> None:
    """End the session HANDLE, or those of a person. 注销会话.

    Every worker knows at once. Exit code 1 when there was none.
    """
    given = {"handle": handle, "sub": subject, "sid": sid, "iss": issuer}
    asked = {key: value for key, value in given.items() if value is not None}
    if not asked.keys() - {"iss"}:
        raise click.UsageError("say which: HANDLE, --subject or --sid")
    if empty := [key for key, value in asked.items() if not value]:
        raise click.UsageError(f"{empty[0]} is empty; say whose or which")
    ended = _ask(ctx, address, "/sessions/end", asked)["ended"]
    click.echo(f"{ended} session(s) ended")
    sys.exit(0 if ended else 1)


def _ask(ctx: click.Context, address: str | None, path: str, asked: dict[str, str]) -> dict[str, Any]:
    code, answer = ask(management_address(ctx, address), "POST", path, asked)
    expect(code == 200, answer)
    return answer


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    times = [written_time(one[name]) for name in ("began_at", "used_at", "expires_at")]
    plain = [one[name] or "" for name in ("handle", "subject", "operator", "kind")]
    return *plain, one["assurance"], one["channel"] or "", *times
