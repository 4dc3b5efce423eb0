"""`tongguan explain`: shows what gateway.explain found out about one request."""

import sys
from typing import BinaryIO

import click
import msgspec

from gateway.cli.output import as_text_or_json, config_path, log_of_commands, print_json, print_table
from gateway.codes import read_fingerprint
from gateway.explain.paper import Explanation
from gateway.explain.paper import explain as follow
from gateway.explain.question import Question, parse_principal


@click.command()
@click.argument("method")
@click.argument("url")
@click.option("-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A header field; repeatable.")
@click.option("--token", help="A token, as if it came in Authorization; it is judged for real.")
@click.option(
    "--body",
    type=click.File("rb"),
    help="A file with the body, - for standard input; a channel's signature over it is judged.",
)
@click.option(
    "--as",
    "person",
    metavar="KEY=VALUE,…",
    help="Believe in subject=…,kind=natural,assurance=3,operator=…,issuer=…; a record is found by issuer and subject.",
)
@click.option("--client", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="The client's address.")
@click.option("--certificate", metavar="FINGERPRINT", help="The client's certificate, by its SHA-256; colons may stay.")
@as_text_or_json
@click.pass_context
def explain(
    ctx: click.Context,
    method: str,
    url: str,
    headers: tuple[str, ...],
    token: str | None,
    body: BinaryIO | None,
    person: str | None,
    client: str,
    certificate: str | None,
    form: str,
) -> None:
    """Say what would happen to a request, step by step; no business system sees it. 解释请求处理.

    Exit code 0 when it would be carried, 1 when it would be refused.
    """
    path = config_path(ctx)
    try:
        principal = None if person is None else parse_principal(person)
        content = b"" if body is None else body.read()
        shown = None if certificate is None else read_fingerprint(certificate)
        question = Question(method, url, tuple(map(_header, headers)), token, content, principal, client, shown)
        explanation = follow(path, question, log_of_commands())
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
    if form == "json":
        print_json(msgspec.to_builtins(explanation))
    else:
        _show(explanation)
    sys.exit(0 if explanation.carried else 1)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise click.BadParameter(f"{text!r} is no header field; write 'Name: value'", param_hint="-H")
    return name.strip(), value.strip()


def _show(explanation: Explanation) -> None:
    print_table(
        ("step", "verdict", "what was found"),
        [(step.stage, step.verdict, "\n".join(step.details)) for step in explanation.steps],
    )
    if explanation.route:
        print_table(("route", ""), explanation.route.items())
    if explanation.fields:
        print_table(("goes inward", ""), explanation.fields)
    if explanation.carried:
        click.secho("carried", fg="green")
    else:
        click.secho(f"refused: {explanation.status} {explanation.code}: {explanation.reason}", fg="red")
