"""Listening sockets: bound once by the supervisor, with a sentence that helps where it fails. See also workers.py."""

import errno
import os
import socket
import stat
from pathlib import Path

from gateway.errors import ConfigurationError
from gateway.units import Address

BACKLOG = 1024
"""Connections the kernel keeps for us while every worker is busy or being replaced."""

_REMEDIES = {
    errno.EADDRINUSE: "is in use; stop the program that listens there or configure another address",
    errno.EADDRNOTAVAIL: "is not an address of this machine; configure one that is",
    errno.EACCES: "may not be used; give the permission for it, or configure a port from 1024 on or another folder",
    errno.ENOENT: "is in a folder that does not exist; make the folder first",
}


class Listener:
    """A listening socket.

    Attributes:
        socket: handed to whoever accepts.
        address: where it listens, with the port that the system chose for port 0.
    """

    def __init__(self, bound: socket.socket) -> None:
        self.socket = bound
        name = bound.getsockname()
        self.address = Address(path=name) if isinstance(name, str) else Address(host=name[0], port=name[1])
        self._released = False

    def release(self) -> None:
        """Close our copy and remove its file. Once only: afterwards the file may be another's."""
        if not self._released:
            self._released = True
            self.socket.close()
            if self.address.path:
                Path(self.address.path).unlink(missing_ok=True)


def bind(key: str, address: Address, *, mode: int = 0o660) -> Listener:
    """Listen on an address. Not SO_REUSEPORT: one queue for all workers, so that a dead worker's queue is not lost.

    Args:
        key: the configuration key of the address, for the error.
        address: TCP or Unix socket; a socket file that nobody listens on any more is replaced.
        mode: permissions of a Unix socket.

    Raises:
        ConfigurationError: the address cannot be used; says what to do.
    """
    try:
        bound = _bind_unix(Path(address.path), mode) if address.path else _bind_tcp(address)
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, f"cannot be used: {error.strerror or error}")
        raise ConfigurationError([f"{key}: {address} {remedy}"]) from None
    bound.setblocking(False)
    return Listener(bound)


def require_loopback(key: str, address: Address) -> None:
    """Refuse an address that other machines can reach.

    Raises:
        ConfigurationError: neither loopback nor a Unix socket.
    """
    if address.is_local:
        return
    remedy = "use 127.0.0.1, [::1] or unix:/path, and let a proxy on this machine publish what others may see"
    raise ConfigurationError([f"{key}: {address} is open to other machines, and nobody signs in there; {remedy}"])


def _bind_tcp(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    return socket.create_server((address.host, address.port), family=family, backlog=BACKLOG)


def _bind_unix(path: Path, mode: int) -> socket.socket:
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o777 & ~mode)  # the file is born with its mode; chmod afterwards would leave a gap
    try:
        listener.bind(str(path))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    return listener


def _remove_stale(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(0, "a file is there that is not a socket; remove it or configure another path")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
    raise OSError(errno.EADDRINUSE, "in use")
