"""A reason, and networks, as people enter them, in whatever form they stand."""

from ipaddress import IPv6Network, ip_network

from pydantic import Field

from gateway.codes import CodeError
from gateway.contracts import Settings
from gateway.ledger.inputs.checking import check_input
from gateway.ledger.inputs.lines import Line

_WIDEST = {4: 16, 6: 32}
"""Shortest prefix of a network, by version of the protocol."""
_IPV4_IN_IPV6 = IPv6Network("::ffff:0:0/96")


class _Reason(Settings):
    reason: Line = Field(min_length=1, max_length=400)


def read_reason(text: str) -> str:
    """A reason of 1 to 400 characters, without blanks around it.

    Raises:
        InputRefused: there is none, or it cannot be kept.
    """
    return check_input(_Reason, {"reason": text}).reason


def read_network(text: str) -> str:
    """A network in its shortest form: `10.1.2.3/24` is `10.1.2.0/24`, and an address alone is a network of one.

    Raises:
        CodeError: it is none, or wider than /16 (IPv4) or /32 (IPv6).
    """
    try:
        network = ip_network(text.strip(), strict=False)
    except ValueError:
        network = None
    if network is None or "%" in text or (isinstance(network, IPv6Network) and network.subnet_of(_IPV4_IN_IPV6)):
        raise CodeError(
            "网段应写作 10.1.2.0/24 或 2001:db8:1::/48。", "A network is written 10.1.2.0/24 or 2001:db8:1::/48."
        )
    if network.prefixlen < _WIDEST[network.version]:
        raise CodeError(
            "网段过大：IPv4 不得大于 /16，IPv6 不得大于 /32。",
            "The network is too wide: at most a /16 of IPv4 or a /32 of IPv6.",
        )
    return str(network)
