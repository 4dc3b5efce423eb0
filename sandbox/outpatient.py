"""The second department's business system, in its external zone: outpatient visits and appointments (门诊).

Its gateway reaches it through the direct forwarder. It checks the signed assertion of who asks, and offers a form that
needs a strong login.
"""

import argparse
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import jwt
from aiohttp import web

from sandbox.business import CLOCK_LEEWAY, IDENTITY_ALGORITHMS, IDENTITY_HEADER, read_identity_keys
from sandbox.pages import page
from sandbox.serving import add_listen_options, json_response, run

ASSERTION_TYPE = "tongguan-assertion+jwt"

Operation = Callable[[web.Request, Mapping[str, Any]], Awaitable[web.Response]]


def verify_assertion(
    token: str, keys: Mapping[str, jwt.PyJWK], *, system: str = "outpatient", issuer: str = "dept-medical"
) -> dict[str, Any]:
    """Tell for whom a request comes, from the assertion that the gateway signed for this system.

    Args:
        token: value of the header `Tongguan-Identity`, a compact JWS (RFC 7515).
        keys: the gateway's public keys by key id.
        system: our own name, which `aud` must be.
        issuer: the department whose gateway we trust, which `iss` must be.

    Raises:
        jwt.InvalidTokenError: the text says what does not hold; answer 403 and do nothing.
    """
    header = jwt.get_unverified_header(token)
    key = keys.get(header.get("kid", ""))
    if header.get("typ") != ASSERTION_TYPE or key is None or key.algorithm_name not in IDENTITY_ALGORITHMS:
        raise jwt.InvalidTokenError("not an assertion signed with a key of the gateway")
    claims: dict[str, Any] = jwt.decode(
        token,
        key.key,
        algorithms=[key.algorithm_name],
        audience=system,
        issuer=issuer,
        leeway=CLOCK_LEEWAY,
        options={"require": ["iss", "aud", "iat", "exp", "sub"]},
    )
    return claims


class Outpatient:
    """The system's endpoints."""

    def __init__(self, keys: Mapping[str, jwt.PyJWK]) -> None:
        self._keys = keys
        self._appointments: list[dict[str, Any]] = []

    def application(self) -> web.Application:
        """Put the system on its routes."""
        app = web.Application(client_max_size=64 * 1024)
        app.add_routes(
            [
                web.get("/outpatient/visits", self._identified(self.visits)),
                web.get("/outpatient/booking", self._identified(self.booking)),
                web.post("/outpatient/appointments", self._identified(self.appoint)),
            ]
        )
        return app

    def _identified(self, operation: Operation) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            tokens = request.headers.getall(IDENTITY_HEADER, [])
            try:
                identity = verify_assertion(tokens[0] if len(tokens) == 1 else "", self._keys)
            except jwt.InvalidTokenError as error:
                return json_response({"system": "outpatient", "error": str(error)}, status=403)
            return await operation(request, identity)

        return handle

    async def visits(self, request: web.Request, identity: Mapping[str, Any]) -> web.Response:
        """`GET /outpatient/visits`: the person's visits, and who we were told asks."""
        visits = [{"date": "20260918", "department": "内科 internal medicine", "own_share": "23.50"}]
        arrived = sorted(name.lower() for name in request.headers)
        return json_response({"system": "outpatient", "identity": identity, "headers": arrived, "visits": visits})

    async def booking(self, request: web.Request, identity: Mapping[str, Any]) -> web.Response:
        """`GET /outpatient/booking`: a page with a form, which needs the session's synchronizer token."""
        answer = page("booking")
        # The page asks the gateway for its token, so it has a script, and may ask nobody else.
        answer.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"
        )
        return answer

    async def appoint(self, request: web.Request, identity: Mapping[str, Any]) -> web.Response:
        """`POST /outpatient/appointments`: make an appointment."""
        form = await request.post()
        made = {"number": len(self._appointments) + 1, "person": identity["sub"], "day": str(form.get("day", ""))}
        self._appointments.append(made)
        if "text/html" not in request.headers.get("Accept", ""):
            return json_response({"system": "outpatient", "identity": identity, "appointment": made}, status=201)
        told = {"chinese": f"预约成功：{made['day']}。", "english": f"You are booked for {made['day']}."}
        return page("notice", status=201, platform="门诊 Outpatient", action=None, **told)


def main(arguments: list[str] | None = None) -> int:
    """Run the system as a process; see `--help`."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.outpatient", description=__doc__)
    add_listen_options(parser)
    parser.add_argument("--identity-jwks", required=True, type=Path, help="file with the gateway's public keys")
    options = parser.parse_args(arguments)
    try:
        keys = read_identity_keys(options.identity_jwks)
    except (OSError, ValueError, jwt.PyJWTError) as error:
        parser.error(f"--identity-jwks {options.identity_jwks}: {error}")
    return run(Outpatient(keys).application(), "outpatient", options)


if __name__ == "__main__":
    sys.exit(main())
