"""Commands about keys: what the gateway signs with, in the form in which others check it (RFC 7517)."""

from typing import Any

import click

from gateway.building import signer_of
from gateway.cli.output import config_path, print_json
from gateway.configuration.loading import load_static


@click.group()
def keys() -> None:
    """The keys by which business systems know the gateway. 查看密钥."""


@keys.command()
@click.pass_context
def show(ctx: click.Context) -> None:
    """Print the public key set that business systems verify identities with; give it to them. 导出公钥集."""
    print_json(_published(ctx))


def _published(ctx: click.Context) -> dict[str, Any]:
    return signer_of(load_static(config_path(ctx))).public_jwks()
