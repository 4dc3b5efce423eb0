"""The back end of the bulk measure: gives as many bytes as its second argument says, takes as many as it is sent.

Neither way copies a byte in this process (sendfile(2); MSG_TRUNC, tcp(7)), so that the load core is not the limit.
"""

from __future__ import annotations

import os
import re
import socket
import socketserver
import sys
import tempfile

_ROOM = bytearray(4 << 20)


class Bulk(socketserver.BaseRequestHandler):
    """One connection, one request after the other; the bodies need a Content-Length."""

    request: socket.socket
    size = 0

    def handle(self) -> None:
        """Answer until the connection is closed."""
        while head := self._head():
            if head.startswith(b"PUT "):
                self._take(head)
            else:
                self._give()

    def _head(self) -> bytes:
        """Read up to the empty line and not one byte of the body; empty when there is no further request."""
        waiting = b""
        while b"\r\n\r\n" not in waiting:
            seen = self.request.recv(65536, socket.MSG_PEEK)
            if len(seen) <= len(waiting):
                return b""
            waiting = seen
        return self.request.recv(waiting.index(b"\r\n\r\n") + 4)

    def _take(self, head: bytes) -> None:
        found = re.search(rb"\r\ncontent-length: *(\d+)\r\n", head, re.IGNORECASE)
        if found is None:
            self.request.sendall(b"HTTP/1.1 411 Length Required\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            return
        left = length = int(found[1])
        while left and (count := self.request.recv_into(_ROOM, min(left, len(_ROOM)), socket.MSG_TRUNC)):
            left -= count
        body = b'{"received": %d}' % (length - left)
        self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    def _give(self) -> None:
        self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % self.size)
        with tempfile.TemporaryFile() as hole:
            os.truncate(hole.fileno(), self.size)
            self.request.sendfile(hole)


class Server(socketserver.ThreadingTCPServer):
    """Listens on loopback only."""

    allow_reuse_address = True
    daemon_threads = True


def main() -> None:
    """Serve on the port given first; downloads have the size in bytes given second."""
    port, Bulk.size = map(int, sys.argv[1:3])
    with Server(("127.0.0.1", port), Bulk) as server:
        server.serve_forever()


main()
