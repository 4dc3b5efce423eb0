"""`python -m sandbox.province`: the platform as a process."""

import argparse
import sys
from pathlib import Path

import msgspec

from sandbox.province import Client, create_province, read_clients
from sandbox.serving import add_listen_options, run


def main(arguments: list[str] | None = None) -> int:
    """Run the platform as a process; see `--help`."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if not options.issuer and not options.port:
        parser.error("--issuer is needed where the port is not fixed")
    issuer = options.issuer or f"http://{options.host}:{options.port}"
    return run(create_province(issuer=issuer, clients=_clients(parser, options)), "province", options)


def _parser() -> argparse.ArgumentParser:
    usual = Client()
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.province", description="The province's unified identity platform, simulated."
    )
    add_listen_options(parser)
    parser.add_argument("--issuer", help="address in tokens and metadata (default: http://HOST:PORT)")
    parser.add_argument("--audience", default=usual.audience, help="aud of tokens (default: %(default)s)")
    parser.add_argument("--client-id", default=usual.id, help="who may introspect (default: %(default)s)")
    parser.add_argument("--client-secret-file", type=Path, help="file that holds the client's secret")
    parser.add_argument("--clients", type=Path, help="JSON file with several departments, in place of that one")
    return parser


def _clients(parser: argparse.ArgumentParser, options: argparse.Namespace) -> tuple[Client, ...]:
    if options.clients:
        try:
            return read_clients(options.clients)
        except (OSError, ValueError, msgspec.ValidationError) as error:
            parser.error(f"--clients: {error}")
    if not options.client_secret_file:
        return (Client(options.client_id, audience=options.audience),)
    try:
        secret = options.client_secret_file.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        parser.error(f"--client-secret-file: {error}")
    return (Client(options.client_id, secret, options.audience),)


if __name__ == "__main__":
    sys.exit(main())
