"""A verifier and a re-authorizer to begin with: complete, working, explained. docs/writing-plugins.md walks through it.

A plugin is one file: the settings that YAML may give (`Config`), and a class with one method that decides. It uses what
`gateway` re-exports, and keeps nothing between requests that a second worker would have to know.
"""

import hashlib
import hmac

from pydantic import Field, SecretStr

from gateway import (
    ALLOW,
    Credential,
    CredentialRejected,
    Decision,
    Deny,
    Kind,
    PartContext,
    Principal,
    Reauthorizer,
    Settings,
    Verifier,
    Visit,
    is_bearer_token,
)


class TicketConfig(Settings):
    """Settings of the verifier. An unknown key in YAML is an error; a secret is a `SecretStr` and never printed."""

    secret: SecretStr = Field(min_length=16, description="key of the tickets' HMAC, by reference: {$env: TICKET_KEY}")
    assurance: int = Field(2, ge=0, le=4, description="level of whoever shows a ticket")


class Ticket(Verifier[TicketConfig]):
    """Tickets of a service counter: `ticket.SUBJECT.EXPIRY.HMAC`, for a person who stood there."""

    Config = TicketConfig
    # The chain remembers a principal until its `expires_at`; this shortens it: at most so many seconds.
    remember = 60.0

    def __init__(self, config: TicketConfig, context: PartContext) -> None:
        super().__init__(config, context)
        self._key = config.secret.get_secret_value().encode()

    async def verify(self, credential: Credential) -> Principal | None:
        """Judge a ticket.

        Returns:
            Who it is for; None when it is no ticket, so that the next verifier is asked.

        Raises:
            CredentialRejected: it is a ticket, and forged or too old. The text is for the record, never for the client.
        """
        token = credential.token or ""
        parts = token.split(".")
        if len(parts) != 4 or parts[0] != "ticket" or not is_bearer_token(token):
            return None
        _, subject, expiry, signature = parts
        signed = hmac.digest(self._key, f"{subject}.{expiry}".encode(), hashlib.sha256).hex()
        if not hmac.compare_digest(signed.encode(), signature.encode()):
            raise CredentialRejected("the ticket's HMAC does not hold")
        if int(expiry) <= self.context.clock():
            raise CredentialRejected("the ticket is too old")
        return Principal(
            issuer="service-counter",
            subject=subject,
            kind=Kind.NATURAL,
            assurance=self.config.assurance,
            expires_at=float(expiry),
            verifier=self.name,
        )


class ClosedItemsConfig(Settings):
    """Settings of the re-authorizer."""

    items: frozenset[str] = Field(description="codes of items that are closed for now")


class ClosedItems(Reauthorizer[ClosedItemsConfig]):
    """Closes items for a while, for example during the yearly settlement, without taking them out of the catalogue."""

    Config = ClosedItemsConfig

    async def decide(self, principal: Principal, visit: Visit) -> Decision:
        """Allow every item but the closed ones. An exception here would be a 500, and nothing would pass."""
        if visit.item.code not in self.config.items:
            return ALLOW
        return Deny(
            code="item-closed",
            title=("该事项暂停受理。", "This item is closed for the time being."),
            detail=f"{visit.item.code} is in the configured list",
        )
