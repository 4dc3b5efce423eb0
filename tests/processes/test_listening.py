"""Binding says what is wrong and what to do about it."""

import socket

import pytest

from gateway.errors import ConfigurationError
from gateway.processes.listening import bind, require_loopback
from gateway.units import parse_address


def test_a_port_in_use_is_refused_with_a_remedy():
    """The sentence names the key, the address and what to do."""
    first = bind("listen", parse_address("127.0.0.1:0"))
    try:
        with pytest.raises(ConfigurationError, match=r"^listen: 127.0.0.1:\d+ is in use; stop the program"):
            bind("listen", first.address)
    finally:
        first.release()


def test_a_socket_file_that_nobody_listens_on_is_replaced_and_a_used_one_is_not(tmp_path):
    """A crash leaves its file behind; a running gateway's file is in use."""
    address = parse_address(f"unix:{tmp_path / 'edge.sock'}")
    with socket.socket(socket.AF_UNIX) as crashed:
        crashed.bind(address.path)
    listener = bind("listen", address)
    try:
        assert (tmp_path / "edge.sock").stat().st_mode & 0o777 == 0o660
        with pytest.raises(ConfigurationError, match="is in use"):
            bind("listen", address)
    finally:
        listener.release()
    assert not (tmp_path / "edge.sock").exists()


def test_a_file_that_is_no_socket_is_never_removed(tmp_path):
    """Whatever it is, it is not ours."""
    precious = tmp_path / "precious"
    precious.write_text("keep")
    with pytest.raises(ConfigurationError, match="not a socket"):
        bind("listen", parse_address(f"unix:{precious}"))
    assert precious.read_text() == "keep"


@pytest.mark.parametrize(
    ("address", "remedy"),
    [
        ("192.0.2.1:8080", "is not an address of this machine"),
        ("unix:/no/such/folder/edge.sock", "make the folder first"),
        (f"unix:/tmp/{'x' * 120}", "AF_UNIX path too long"),
        ("no-such-host.invalid:80", "cannot be used"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_with_a_reason(address, remedy):
    """One line, no traceback."""
    with pytest.raises(ConfigurationError, match=remedy):
        bind("listen", parse_address(address))


def test_loopback_and_unix_sockets_are_good_for_management():
    """These, and nothing that others can reach."""
    for address in ("127.0.0.1:1", "127.8.0.1:1", "[::1]:1", "localhost:1", "unix:/run/x.sock"):
        require_loopback("management", parse_address(address))
    for address in ("0.0.0.0:1", "[::]:1", "example.com:1", "10.0.0.1:1"):
        with pytest.raises(ConfigurationError, match="open to other machines"):
            require_loopback("management", parse_address(address))
