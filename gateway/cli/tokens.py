"""Commands about a person's token: what it is and says, who would judge it. gateway.explain.token finds that out."""

import asyncio
import sys
import time
from pathlib import Path

import click
import msgspec

from gateway.chain import AnyVerifier
from gateway.cli.output import as_text_or_json, config_path, log_of_commands, print_json, print_table
from gateway.configuration.loading import Loaded, load, policy_from
from gateway.crypto import CryptoError, chosen_provider
from gateway.explain.token import Inspection, check_signature, configured_verifiers, inspect, judge
from gateway.fetch import HttpFetch
from gateway.lending import Lent, lend
from gateway.tokens.jose import JoseError


@click.group()
def token() -> None:
    """A person's token: look into it. 查看令牌."""


@token.command(name="inspect")
@click.argument("token", metavar="[TOKEN|-]", default="-")
@click.option(
    "--keys",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Hold the signature against the JWK set in this file.",
)
@click.option(
    "--online", is_flag=True, help="Have the configured verifiers judge it: they fetch keys, ask the province."
)
@click.option("--personal", is_flag=True, help="Show personal claims as they are; else they are masked.")
@click.option("--no-config", is_flag=True, help="Look into the token alone, and read no configuration.")
@as_text_or_json
@click.pass_context
def inspect_command(
    ctx: click.Context, token: str, keys: Path | None, online: bool, personal: bool, no_config: bool, form: str
) -> None:
    """Look into a token, and say who would judge it. 解析令牌.

    Shown are its form, header, claims and times. Without TOKEN, or with -, it is read from standard input, which keeps
    it out of the shell's history. The signature is never printed. Exit code 0 when nothing speaks against it, 1 when
    something does, 2 for a broken configuration.
    """
    if online and no_config:
        raise click.UsageError("--online asks the configured verifiers; --no-config has none")
    given = (sys.stdin.read() if token == "-" else token).strip()  # noqa: S105 - the usual word for standard input
    if not given:
        raise click.UsageError("no token: write it as the argument, or pipe it in")
    loaded = None if no_config else _configuration(ctx, needed=online)
    document = None if keys is None else keys.read_bytes()
    try:
        found = asyncio.run(_inspect(given.removeprefix("Bearer "), loaded, document, online=online, personal=personal))
    except (JoseError, CryptoError) as error:
        raise click.UsageError(f"--keys {keys}: {error}") from error
    if form == "json":
        print_json(msgspec.to_builtins(found))
    else:
        _show(found)
    sys.exit(1 if found.against else 0)


def _configuration(ctx: click.Context, *, needed: bool) -> Loaded | None:
    """What is configured; None where nothing is and nobody asked for it: a token can be looked into anywhere."""
    try:
        path = config_path(ctx)
    except click.UsageError:
        if needed:
            raise
        return None
    return load(path)


async def _inspect(
    given: str, loaded: Loaded | None, document: bytes | None, *, online: bool, personal: bool
) -> Inspection:
    fetch = HttpFetch()
    try:
        lent = None if loaded is None else lend(loaded.settings, fetch, log_of_commands(), alone=True)
        verifiers = _verifiers(lent, loaded)
        found = inspect(given, verifiers, time.time(), personal=personal)
        if document is not None:
            crypto = chosen_provider() if lent is None else lent.context.crypto
            await check_signature(found, given, document, verifiers or [], crypto)
        if online and verifiers is not None:
            await judge(found, given, verifiers)
        return found
    finally:
        await fetch.close()


def _verifiers(lent: Lent | None, loaded: Loaded | None) -> list[AnyVerifier] | None:
    if lent is None or loaded is None:
        return None
    return configured_verifiers(lent, policy_from(loaded.policy))


def _show(found: Inspection) -> None:
    sizes = ", ".join(f"{name} {size}" for name, size in found.sizes.items())
    print_table(("token", ""), [("form", found.form), ("sizes", sizes), ("signature", found.signature)])
    if found.header:
        print_table(("header", ""), found.header.items())
    if found.claims:
        print_table(("claim", ""), found.claims.items())
    if found.times:
        print_table(("time", "at", ""), [(one.claim, one.at, one.said) for one in found.times])
    if found.judges:
        rows = [(one.name, "yes" if one.asked else "no", one.reason, one.said) for one in found.judges]
        print_table(("verifier", "asked", "why", "said"), rows)
    for reason in found.against:
        click.secho(f"against it: {reason}", fg="red")
    if not found.against:
        click.secho("nothing speaks against it", fg="green")
