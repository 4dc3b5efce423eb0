"""What the ledger hands out. Who somebody is, here or at a channel, is personal data and stays out of every `repr`."""

import msgspec


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
        action: `channel-link.created`, `channel-link.removed`, `device.enrolled` or `device.removed`.
        entry: id of what was changed.
    """

    at: float
    by: Person
    action: str
    entry: str
