"""What the desk and the request path share about one request, in this process: how it was refused, what was found out.

host.py makes a `Call` for each request that it carries to the desk; application.py lays it before the handlers.
"""

from aiohttp import web

from gateway.errors import GatewayError
from gateway.model import Account, Principal


class Call:
    """One request to the desk.

    Attributes:
        account: the request's account; None where nobody keeps one.
        refusal: how the desk refused it; None when it did not.
    """

    __slots__ = ("account", "refusal")

    def __init__(self, account: Account | None = None) -> None:
        self.account = account
        self.refusal: GatewayError | None = None


CALL: web.RequestKey[Call] = web.RequestKey("call", Call)


def note(request: web.Request, part: str, verdict: str, principal: Principal | None = None) -> None:
    """Have the record say what a part said, and of whom.

    Args:
        request: to the desk.
        part: name of a platform, a channel, a peer; or `session`.
        verdict: in a word or two; it stands in the record's `chain`.
        principal: whom the record names; None leaves it as it is.
    """
    account = request[CALL].account
    if account is not None:
        account.note(part, verdict)
    if principal is not None:
        name_principal(request, principal)


def name_principal(request: web.Request, principal: Principal) -> None:
    """Have the record name somebody: whose session it is, or who has just signed in."""
    account = request[CALL].account
    if account is not None:
        account.principal = principal
