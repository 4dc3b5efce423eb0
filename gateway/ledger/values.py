"""What the ledger hands out. Who somebody is, here or at a channel, is personal data and stays out of every `repr`."""

from typing import Generic, TypeVar

import msgspec

from gateway.ledger.powers import Role

T = TypeVar("T")


class Person(msgspec.Struct, frozen=True):
    """Somebody an identity platform knows.

    Attributes:
        issuer: the platform, as its verifier is configured.
        subject: its id of the person.
    """

    issuer: str
    subject: str

    def __repr__(self) -> str:
        return f"Person(issuer={self.issuer!r})"


class ChannelLink(msgspec.Struct, frozen=True):
    """A channel account that signs a person in, as its owner may see it.

    Attributes:
        id: of the link, to remove it by.
        channel: name of the channel.
        application: our application there.
        created_at: Unix seconds.
        last_used_at: Unix seconds, to the hour; the same as `created_at` while nobody signed in by it.
    """

    id: str
    channel: str
    application: str
    created_at: float
    last_used_at: float


class EnrolledDevice(msgspec.Struct, frozen=True):
    """A device, as its owner may see it.

    Attributes:
        id: what it calls itself in requests.
        algorithm: of its key.
        name: what its owner calls it.
        created_at: Unix seconds.
    """

    id: str
    algorithm: str
    name: str
    created_at: float


class Change(msgspec.Struct, frozen=True):
    """An entry of the history.

    Attributes:
        at: Unix seconds.
        by: who did it.
        action: what was done, `device.removed`.
        entry: id of what was changed.
    """

    at: float
    by: Person
    action: str
    entry: str


class Officer(msgspec.Struct, frozen=True):
    """A member of the staff under the post that she holds (岗位).

    Attributes:
        staff: id of the staff member.
        login: what she signs in with.
        name: what she is called.
        post: id of the post.
        role: what the post is for.
        scope: region it covers, as a prefix of GB/T 2260 codes; empty covers all.
    """

    staff: str
    login: str
    name: str
    post: str
    role: Role
    scope: str

    def __repr__(self) -> str:
        return f"Officer(post={self.post!r}, role={self.role.value!r})"


class Owner(msgspec.Struct, frozen=True):
    """Somebody who is signed in and does something with what is hers, or her unit's.

    Attributes:
        issuer: the platform.
        subject: its id of the person, or of the unit she acts for.
        kind: `natural` or `legal`.
        operator: who acts for the unit; None for natural persons.
    """

    issuer: str
    subject: str
    kind: str
    operator: str | None = None

    @property
    def human(self) -> Person:
        """The human being who acts."""
        return Person(self.issuer, self.operator or self.subject)

    def __repr__(self) -> str:
        return f"Owner({self.kind} of {self.issuer!r})"


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A page of a list.

    Attributes:
        found: its entries.
        page: which one it is, from 1.
        more: True when there are pages behind it.
        total: entries of all pages, at most paging.MOST_COUNTED; None when they were not counted.
    """

    found: list[T]
    page: int
    more: bool
    total: int | None = None
