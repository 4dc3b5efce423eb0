"""The department's internal business systems, behind the gatekeeper: social insurance, medical insurance, pension.

Only the gatekeeper's inner unit calls them. Each checks the signed identity that comes with a request, and answers
with what it received; the department's staff get plain records of units (`sandbox.units`).
"""

import argparse
import hashlib
import json
import sys
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import jwt
from aiohttp import web

from sandbox.arrival import describe_request
from sandbox.faults import BUSINESS_FAULTS, FaultBoard
from sandbox.operations import SYSTEMS, Declarations, Operation, operations_of
from sandbox.serving import add_listen_options, json_response, run
from sandbox.units import UNIT_RECORDS, UnitFile

IDENTITY_HEADER = "Tongguan-Identity"
IDENTITY_TYPE = "tongguan-identity+jwt"
IDENTITY_ALGORITHMS = ("EdDSA", "ES256")
IDENTITY_CLAIMS = ("iss", "aud", "iat", "exp", "jti", "route", "method", "body_sha256", "sub")
# The gateway's clock and ours may differ by this many seconds.
CLOCK_LEEWAY = 5
# Deliveries are counted per request id for at most this many ids, so that a load test does not fill the memory.
MOST_DELIVERIES = 100_000
LARGEST_BODY = 64 * 1024 * 1024


def verify_identity(
    token: str, keys: Mapping[str, jwt.PyJWK], *, system: str, issuer: str, route: str, method: str, body: bytes
) -> dict[str, Any]:
    """Tell for whom a request comes, from the identity that the gateway signed for this very request.

    An example to copy: a business system needs no more than this, PyJWT and the gateway's published keys.

    Args:
        token: value of the header `Tongguan-Identity`, a compact JWS (RFC 7515).
        keys: the gateway's public keys by key id.
        system: our own name, which `aud` must be.
        issuer: the department whose gateway we trust, which `iss` must be.
        route: what the called operation is named in the gateway's configuration.
        method: method of the request.
        body: the request's whole body, b"" when it has none.

    Returns:
        The claims: `sub` is the citizen or unit, `act` its operator, `assurance` the level of the login (0 to 4).

    Raises:
        jwt.InvalidTokenError: the text says what does not hold; answer 403 and do nothing.
    """
    header = jwt.get_unverified_header(token)
    key = keys.get(header.get("kid", ""))
    if header.get("typ") != IDENTITY_TYPE or key is None or key.algorithm_name not in IDENTITY_ALGORITHMS:
        raise jwt.InvalidTokenError("not an identity signed with a key of the gateway")
    claims: dict[str, Any] = jwt.decode(
        token,
        key.key,
        algorithms=[key.algorithm_name],
        audience=system,
        issuer=issuer,
        leeway=CLOCK_LEEWAY,
        options={"require": list(IDENTITY_CLAIMS)},
    )
    this_request = {"method": method, "route": route, "body_sha256": hashlib.sha256(body).hexdigest()}
    for name, value in this_request.items():
        if claims[name] != value:
            raise jwt.InvalidTokenError(f"signed for another {name}")
    return claims


class Business:
    """One business system: checks who stands behind a request, does it, and tells what arrived."""

    def __init__(self, system: str, keys: Mapping[str, jwt.PyJWK], issuer: str, routes: Mapping[str, str]) -> None:
        self._system = system
        self._keys = keys
        self._issuer = issuer
        self._routes = routes
        self._units = UnitFile(UNIT_RECORDS.get(system, ()))
        self._declarations = Declarations(self._units)
        self._faults = FaultBoard(BUSINESS_FAULTS, ["operations"])
        self._deliveries: OrderedDict[str, int] = OrderedDict()

    def application(self) -> web.Application:
        """Put the system on its routes."""
        app = web.Application(client_max_size=LARGEST_BODY)
        for operation in operations_of(self._system, self._declarations, self._units):
            for method in ("GET", "HEAD") if operation.method == "GET" else (operation.method,):
                app.router.add_route(method, operation.path, self._handler(operation))
        app.add_routes(
            [
                web.get("/sandbox/received", self.received),
                web.get("/sandbox/faults", self._faults.show),
                web.post("/sandbox/faults", self._faults.accept),
            ]
        )
        return app

    def _handler(self, operation: Operation) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._faults.spoil("operations", request, await self._answer(request, operation))

        return handle

    async def _answer(self, request: web.Request, operation: Operation) -> web.Response:
        try:
            account = await describe_request(request, self._system)
        except ValueError as error:
            return json_response({"system": self._system, "error": str(error)}, status=400)
        try:
            identity = await self._identify(request, operation)
        except jwt.InvalidTokenError as error:
            return json_response(account | {"identity": {"error": str(error)}, "result": None}, status=403)
        self._count(identity["jti"])
        outcome = await operation.answer(request, identity)
        result = {"identity": identity, "result": outcome.result}
        return json_response(
            account | result if operation.shows_request else outcome.result,
            status=outcome.status,
            headers={"Location": outcome.location} if outcome.location else None,
        )

    async def _identify(self, request: web.Request, operation: Operation) -> dict[str, Any]:
        tokens = request.headers.getall(IDENTITY_HEADER, [])
        if len(tokens) != 1:
            raise jwt.InvalidTokenError(f"{len(tokens)} headers {IDENTITY_HEADER} where there must be one")
        return verify_identity(
            tokens[0],
            self._keys,
            system=self._system,
            issuer=self._issuer,
            route=self._routes.get(operation.route, operation.route),
            method=request.method,
            body=await request.read(),
        )

    def _count(self, request_id: str) -> None:
        self._deliveries[request_id] = self._deliveries.get(request_id, 0) + 1
        if len(self._deliveries) > MOST_DELIVERIES:
            self._deliveries.popitem(last=False)

    async def received(self, request: web.Request) -> web.Response:
        """`GET /sandbox/received`: how often each request id was delivered, and how many declarations were accepted."""
        return json_response({"declarations": len(self._declarations), "deliveries": dict(self._deliveries)})


def create_business(
    system: str,
    identity_keys: Mapping[str, jwt.PyJWK],
    *,
    issuer: str = "dept-hrss",
    routes: Mapping[str, str] | None = None,
) -> web.Application:
    """Build one business system.

    Args:
        system: one of `SYSTEMS`; also the `aud` that identities must have.
        identity_keys: the gateway's public keys by key id.
        issuer: the department whose gateway is trusted.
        routes: other names that the gateway's configuration gives to the system's operations, by their usual name.

    Raises:
        KeyError: no such system.
    """
    return Business(system, identity_keys, issuer, routes or {}).application()


def read_identity_keys(path: Path) -> dict[str, jwt.PyJWK]:
    """Read published keys from a JWKS file (RFC 7517 §5).

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not JSON, or a key has no `kid`.
        jwt.PyJWTError: it holds no usable key.
    """
    keys = jwt.PyJWKSet.from_dict(json.loads(path.read_text(encoding="utf-8"))).keys
    if any(key.key_id is None for key in keys):
        raise ValueError("every key needs a kid")
    return {str(key.key_id): key for key in keys}


def main(arguments: list[str] | None = None) -> int:
    """Run one system as a process; see `--help`."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.business", description=__doc__)
    add_listen_options(parser)
    parser.add_argument("--system", required=True, choices=SYSTEMS)
    parser.add_argument("--identity-jwks", required=True, type=Path, help="file with the gateway's public keys")
    parser.add_argument("--issuer", default="dept-hrss", help="iss of identities (default: %(default)s)")
    parser.add_argument(
        "--route", action="append", default=[], metavar="USUAL=NAME", help="other name of an operation's route"
    )
    options = parser.parse_args(arguments)
    try:
        keys = read_identity_keys(options.identity_jwks)
    except (OSError, ValueError, jwt.PyJWTError) as error:
        parser.error(f"--identity-jwks {options.identity_jwks}: {error}")
    pairs = [pair.split("=", 1) for pair in options.route]
    if any(len(pair) != 2 for pair in pairs):
        parser.error("--route takes USUAL=NAME")
    app = create_business(options.system, keys, issuer=options.issuer, routes=dict(pairs))
    return run(app, options.system, options)


if __name__ == "__main__":
    sys.exit(main())
