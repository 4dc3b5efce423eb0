"""The end of a login everywhere (统一登出): the province forgets it, takes its tokens back, and tells who took part.

`sandbox.province.notices` carries the news; `/end_session` (OpenID Connect RP-Initiated Logout 1.0), `/revoke`
(RFC 7009) and notices of departments lead here.
"""

from collections.abc import Iterable

from sandbox.province.clients import Clients
from sandbox.province.notices import Notices
from sandbox.province.sessions import Session
from sandbox.tokens import TokenDesk


class Endings:
    """Ends sessions."""

    def __init__(self, clients: Clients, desk: TokenDesk, notices: Notices) -> None:
        self._clients = clients
        self._desk = desk
        self._notices = notices

    async def end(self, sessions: Iterable[Session]) -> int:
        """End these and tell every department that took part, also the one that said so: it may hold tokens of ours.

        Args:
            sessions: those that have ended already are left alone.

        Returns:
            How many were ended.
        """
        standing = [session for session in sessions if not session.ended]
        for session in standing:
            session.ended = True
            self._desk.revoke(member="sid", value=session.sid)
        await self._notices.tell(
            (client, session, ticket)
            for session in standing
            for id_, ticket in session.parties.items()
            if (client := self._clients.find(id_)) is not None
        )
        return len(standing)
