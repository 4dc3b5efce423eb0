"""What re-authorizers share: which login is fresh, and which would do; who is barred; address, computer and hour.

plugins/reauthorizers get it through the gateway package; facts.py says what the ledger tells them.
"""

import re
from abc import abstractmethod
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_network
from typing import Annotated

from pydantic import Field

from gateway.beijing import minute_of
from gateway.contracts import C, PartContext, Reauthorizer
from gateway.facts import Designated, Facts
from gateway.model import Decision, Deny, Inbound, Principal, StepUp, Visit
from gateway.units import lies_in, parse_span

_REMEMBERED = 4096
"""How many texts, or pairs of client and networks, are remembered as what they mean."""
_AHEAD = 60.0
"""Seconds that the platform's clock may be ahead of ours; a login still further in the future proves nothing."""
_PASSING = frozenset({"new", "applied", "reviewed", "bound"})

_BARRED = {
    "suspended": Deny(
        "unit-suspended",
        (
            "您或您所代表单位的办理资格已被暂停，请联系所属经办机构核实并申请恢复。",
            "You, or the unit that you act for, are suspended here. The agency in charge can lift this.",
        ),
        "suspended",
    ),
    "revoked": Deny(
        "unit-revoked",
        (
            "您或您所代表单位的办理资格已被撤销，如需继续办理，请到所属经办机构重新提出申请。",
            "You, or the unit that you act for, were struck off here. Apply again at the agency in charge.",
        ),
        "revoked",
    ),
}
_TOO_LOW = (
    "办理该事项需要更高等级的身份认证，您当前的登录渠道不提供该等级，请到线下窗口办理。",
    "This item needs a stronger sign-in than your platform offers. Please visit the service counter.",
)
_IN_DOUBT = Deny(
    "forbidden",
    (
        "登录身份与本机构的登记信息不一致，请联系所属经办机构核对。",
        "Your sign-in does not fit what is registered here. Please ask the agency in charge to compare.",
    ),
    "the record is of the other kind of person, or in a state that is not known",
)


def is_fresh(principal: Principal, within: float, at: float) -> bool:
    """Tell whether somebody has just signed in; who does not say when she did, has not.

    Args:
        principal: whoever it is.
        within: how long ago it may be, in seconds.
        at: Unix seconds of now.
    """
    signed_in = principal.authenticated_at
    return signed_in is not None and -_AHEAD <= at - signed_in <= within


_ACR_VALUE = r"[!#-\[\]-~]+"
AcrValue = Annotated[str, Field(pattern=f"^{_ACR_VALUE}$")]
"""What a platform calls a login of some strength (RFC 9470 §3): text that needs no escape between quotes."""
ACR_VALUES = re.compile(f"{_ACR_VALUE}(?: {_ACR_VALUE})*")
"""One of them or several, as challenges and requests for a login name them."""


def ask_for_login(
    logins: Mapping[int, str], level: int, within: float | None, detail: str, title: tuple[str, str] | None = None
) -> StepUp | Deny:
    """Ask for the weakest login that is strong enough; deny where the platform offers none.

    Args:
        logins: the platform's names of the levels that a login can reach.
        level: what it has to reach.
        within: how long ago it may be, in seconds; None when that does not matter.
        detail: why, for the record only.
        title: what the person is told; see StepUp.
    """
    wanted = min((reached for reached in logins if reached >= level), default=None)
    if wanted is None:
        return Deny("assurance-too-low", _TOO_LOW, detail)
    return StepUp(logins[wanted], None if within is None else int(within), detail, title)


class LedgerReauthorizer(Reauthorizer[C]):
    """A re-authorizer that rests on the ledger; it says in `judge` what it thinks of somebody who is not barred.

    Raises:
        ValueError: there is no ledger.
    """

    def __init__(self, config: C, context: PartContext) -> None:
        super().__init__(config, context)
        if context.ledger is None:
            raise ValueError("it needs a ledger; write `ledger: sqlite:///ledger.db` in gateway.yaml")
        self.ledger = context.ledger

    async def start(self) -> None:
        """Have the ledger read into memory.

        Raises:
            CannotDecide: it cannot be read now.
        """
        await self.ledger.follow()

    async def decide(self, principal: Principal, visit: Visit) -> Decision:
        """Deny whoever is suspended or revoked; of everybody else, say what `judge` says.

        Raises:
            StateUnavailable: nobody has heard from the ledger for too long; 503.
        """
        return self.weigh(self.ledger.facts(principal.issuer, principal.subject), principal, visit)

    def weigh(self, facts: Facts | None, principal: Principal, visit: Visit) -> Decision:
        """The same, of facts that were found already."""
        if facts is None or (facts.state in _PASSING and facts.kind == principal.kind):
            return self.judge(facts, principal, visit)
        return _BARRED.get(facts.state, _IN_DOUBT)

    @abstractmethod
    def judge(self, facts: Facts | None, principal: Principal, visit: Visit) -> Decision:
        """Decide without waiting for anything.

        Args:
            facts: what the ledger knows; None when there is no record.
            principal: who asks.
            visit: for what.
        """


@lru_cache(maxsize=_REMEMBERED)
def is_from(client: str, networks: tuple[str, ...]) -> bool:
    """Tell whether a client's address lies in one of these networks (CIDR). What is no address lies in none.

    Raises:
        ValueError: one of them is no network.
    """
    return lies_in(client, [_network(network) for network in networks])


_network = lru_cache(maxsize=_REMEMBERED)(ip_network)


def is_proven(device: Designated, principal: Principal, inbound: Inbound) -> bool:
    """Tell whether a request comes from this computer, as far as its kind can prove that.

    A certificate and a passkey are keys that the computer has; a network is only where it stands, and whoever stands
    there passes. What is of another kind proves nothing.
    """
    match device.kind:
        case "certificate":
            return inbound.certificate == device.value
        case "passkey":
            return principal.device == device.id
        case "network":
            return is_from(inbound.client, (device.value,))
    return False


def is_during(hours: tuple[str, ...], at: float) -> bool:
    """Tell whether a moment (Unix seconds) lies in one of these spans of the day (`09:00-17:00`) in 北京时间.

    Raises:
        ValueError: one of them is no span.
    """
    minute = minute_of(at)
    return any(begins <= minute < ends for begins, ends in _spans(hours))


@lru_cache(maxsize=_REMEMBERED)
def _spans(hours: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    return tuple(map(parse_span, hours))
