"""The departments that have registered with the province: OAuth 2.0 clients, each with a node of its own.

`sandbox.furnishing` writes the file that `read_clients` reads.
"""

import hmac
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from urllib.parse import unquote_plus

import msgspec

NoticeForm = Literal["backchannel", "cas", "signed"]
"""How a department wants to be told of a logout: OIDC Back-Channel Logout 1.0, CAS-style form, signed JSON."""


@dataclass(frozen=True, slots=True)
class Client:
    """One department.

    Attributes:
        id: client identifier.
        secret: client secret.
        audience: the `aud` of tokens issued for it.
        node: the mark behind the `@` of tokens that it gives out itself; None when it gives none.
        redirect_uris: where the browser may be sent after a login; compared character by character.
        signed_out_uris: where it may be sent after a logout.
        introspection: where the department answers for its own tokens (RFC 7662); None when it does not.
        introspection_secret: what the province, whose client id there is `province`, shares with it.
        notice_form: which logout notices it takes.
        notices: where; an address for each form lies under it. None when it takes none.
        notice_secret: signs the signed JSON notices (HMAC-SHA256, key id `province`).
    """

    id: str = "dept-hrss"
    secret: str = field(default="sandbox-client-secret", repr=False)
    audience: str = "dept-hrss"
    node: str | None = None
    redirect_uris: tuple[str, ...] = ()
    signed_out_uris: tuple[str, ...] = ()
    introspection: str | None = None
    introspection_secret: str = field(default="", repr=False)
    notice_form: NoticeForm = "backchannel"
    notices: str | None = None
    notice_secret: str = field(default="", repr=False)

    @property
    def notice_uri(self) -> str | None:
        """Where the notices go that it wants."""
        return None if self.notices is None else f"{self.notices}/{self.notice_form}"


class Clients:
    """Everybody who has registered.

    Attributes:
        first: the one that tokens are for where nobody says otherwise.
    """

    def __init__(self, clients: Sequence[Client]) -> None:
        self.first = clients[0]
        self._by_id = {client.id: client for client in clients}
        self._by_node = {client.node: client for client in clients if client.node is not None}

    def __iter__(self) -> Iterator[Client]:
        return iter(self._by_id.values())

    def find(self, id: str | None) -> Client | None:  # noqa: A002 - the protocol's word
        """The client of this id."""
        return self._by_id.get(id or "")

    def change_notices(self, id_: str, form: NoticeForm) -> None:
        """Let a department have notices of another form from now on. Raises KeyError for nobody."""
        changed = replace(self._by_id[id_], notice_form=form)
        self._by_id[id_] = changed
        if changed.node is not None:
            self._by_node[changed.node] = changed

    def of_node(self, node: str) -> Client | None:
        """The client whose tokens end with `@node`."""
        return self._by_node.get(node)

    def authenticate(self, authorization: str, form: Mapping[str, object]) -> Client | None:
        """Who calls, by HTTP Basic (RFC 6749 §2.3.1) or by `client_id` and `client_secret` in the form; None: nobody.

        Args:
            authorization: value of the header field, empty when it is missing.
            form: the request's form.
        """
        id_, secret = _read_basic(authorization) or (str(form.get("client_id")), str(form.get("client_secret")))
        client = self.find(id_)
        same = client is not None and hmac.compare_digest(_bytes(secret), _bytes(client.secret))
        return client if same else None


def _read_basic(authorization: str) -> tuple[str, str] | None:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        id_, colon, secret = b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return None
    return (unquote_plus(id_), unquote_plus(secret)) if colon else None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def read_clients(path: Path) -> tuple[Client, ...]:
    """Read departments from a JSON file: a list of objects with the attributes of `Client`.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not such a list, or the list is empty.
    """
    clients = msgspec.json.decode(path.read_bytes(), type=tuple[Client, ...])
    if not clients:
        raise ValueError("there must be one client at least")
    return clients
