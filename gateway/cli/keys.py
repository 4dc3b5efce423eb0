"""Commands about keys: what the gateway signs with (RFC 7517), and what it checks others' tokens with."""

import sys
from collections.abc import Iterator
from typing import Any

import click

from gateway.cli.managing import ask, expect, management_address, to_management
from gateway.cli.output import as_text_or_json, config_path, print_json, print_table
from gateway.configuration.loading import load_static
from gateway.lending import signer_of


@click.group()
def keys() -> None:
    """The keys by which business systems know the gateway, and those by which it knows issuers. 查看密钥."""


@keys.command()
@click.option("--issuers", is_flag=True, help="Of a running gateway: the keys that every verifier holds now.")
@to_management
@as_text_or_json
@click.pass_context
def show(ctx: click.Context, issuers: bool, address: str | None, form: str) -> None:
    """Print our public key set. 导出公钥集.

    Business systems verify identities with it: give it to them. With --issuers: the verifiers' keys by `kid`, with
    algorithm and age, as the workers hold them.
    """
    if not issuers:
        print_json(_published(ctx))
        return
    code, answer = ask(management_address(ctx, address), "GET", "/status")
    expect(code == 200, answer)
    rows = list(_held(answer))
    if form == "json":
        print_json(rows)
    else:
        print_table(("worker", "verifier", "kid", "alg", "age"), [_row(one) for one in rows])


def _published(ctx: click.Context) -> dict[str, Any]:
    return signer_of(load_static(config_path(ctx))).public_jwks()


def _held(status: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One entry of each worker's each verifier's each key; one without `kid` where a verifier has none."""
    for worker in status.get("workers", []):
        for name, said in sorted(worker.get("parts", {}).items()):
            if "keys" in said or "key_age" in said:
                which = {"worker": worker.get("number"), "verifier": name, "age": said.get("key_age")}
                yield from ({**which, **key} for key in said.get("keys") or [{}])


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    age = "" if one["age"] is None else f"{one['age']:.0f} s"
    return one["worker"], one["verifier"], one.get("kid", "none"), one.get("alg", ""), age


@keys.command()
@click.argument("verifier", required=False)
@to_management
@as_text_or_json
@click.pass_context
def refresh(ctx: click.Context, verifier: str | None, address: str | None, form: str) -> None:
    """Have a running gateway fetch issuers' keys now. 立即更新公钥.

    Those of all issuers, or of VERIFIER's. Exit code 1 when one could not be fetched, or was fetched like this less
    than `min_refetch` ago.
    """
    asked = {} if verifier is None else {"verifier": verifier}
    code, answer = ask(management_address(ctx, address), "POST", "/keys/refresh", asked)
    expect("workers" in answer, answer)
    if form == "json":
        print_json(answer)
    else:
        rows = [(worker, *told) for worker, outcome in answer["workers"].items() for told in sorted(outcome.items())]
        print_table(("worker", "verifier", "outcome"), rows)
    good = code == 200 and all(one == "fetched" for told in answer["workers"].values() for one in told.values())
    sys.exit(0 if good else 1)
