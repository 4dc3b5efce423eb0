"""A platform that signs in whoever a code names: logins cost it nothing, so a bench can open sessions as people do.

bench/visitors.py walks through them; everything on this side of the platform is the product's own.
"""

import math
from collections.abc import Mapping
from urllib.parse import urlencode

from gateway.contracts import PartContext, Settings
from gateway.errors import SignInRefused
from gateway.model import Credential, Principal
from gateway.signin import Login, Platform, SignIn

_ASSURANCE = 3


class ReceptionConfig(Settings):
    """Whose persons they are.

    Attributes:
        issuer: who they say they were signed in by.
    """

    issuer: str


class Reception(Platform[ReceptionConfig]):
    """Believes everything. It has no tokens of its own."""

    Config = ReceptionConfig

    def __init__(self, config: ReceptionConfig, context: PartContext) -> None:
        super().__init__(config, context)
        self.issuers = (config.issuer,)

    def login_address(self, login: Login) -> str:
        """Where a browser would be sent; nobody listens there."""
        return f"https://reception.example/?{urlencode({'redirect_uri': login.callback, 'state': login.state})}"

    async def redeem(self, answer: Mapping[str, str], login: Login) -> SignIn:
        """The person that the code names.

        Raises:
            SignInRefused: there is no code.
        """
        code = answer.get("code")
        if not code:
            raise SignInRefused("there is no code")
        now = self.context.clock()
        return SignIn(Principal(self.config.issuer, code, login.kind, _ASSURANCE, math.inf, authenticated_at=now))

    async def verify(self, credential: Credential) -> Principal | None:
        """None: no token is its own."""
        return None
