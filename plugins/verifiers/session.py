"""Sessions of people who signed in here, and the tokens given out for them (`…@node`).

The chain remembers who it was for a moment; that a session ended is told to every worker at once (docs/identity.md).
"""

from msgspec.structs import replace

from gateway import Credential, PartContext, Principal, Settings, Verifier


class SessionConfig(Settings):
    """Nothing: `sessions` of gateway.yaml says it all, because the sign-in desk needs it as well."""


class Session(Verifier[SessionConfig]):
    """Judges session cookies, marked by their channel, and tokens that this department gave out itself."""

    Config = SessionConfig

    def __init__(self, config: SessionConfig, context: PartContext) -> None:
        super().__init__(config, context)
        if context.sessions is None:
            raise ValueError("`sessions:` is missing in gateway.yaml: nobody signs in here")
        self._sessions = context.sessions
        self.remember = context.sessions.remember

    async def verify(self, credential: Credential) -> Principal | None:
        """Whose session it is; None for every other token.

        Raises:
            CredentialRejected: the session has ended, or never was.
            StateUnavailable: the store that has it cannot be asked now.
        """
        principal = await self._sessions.find(credential.token or "")
        return None if principal is None else replace(principal, verifier=self.name)
