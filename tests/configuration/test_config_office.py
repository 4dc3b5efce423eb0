"""What the ledger is told of the items: whether an owner may close one, and how it stands before she says anything."""

import pytest

from gateway.configuration.office_rules import office_rules
from gateway.settings import PolicySettings

SWITCH = {"name": "owner-switch", "use": "plugins.reauthorizers.owner_switch:OwnerSwitch"}
HOURS = {
    "name": "office-hours",
    "use": "plugins.reauthorizers.office_hours:OfficeHours",
    "config": {"hours": {"monday": ["09:00-17:00"]}},
}


def item_with(*reauthorize, **switch):
    settings = {
        "channels": [{"name": "web", "use": "plugins.channels.web:Web"}],
        "verifiers": [],
        "reauthorizers": [SWITCH | {"config": switch}, HOURS],
        "systems": [{"name": "inside", "via": "direct", "targets": ["http://127.0.0.1:9"]}],
        "items": [
            {"code": "item-1", "name": "样例事项", "category": "pension", "audience": ["legal"], "system": "inside",
             "operations": [{"method": "GET", "path": "/x"}], "channels": ["web"], "reauthorize": reauthorize}
        ],
    }  # fmt: skip
    return office_rules(PolicySettings.model_validate(settings), None).items["item-1"]


@pytest.mark.parametrize(
    ("reauthorize", "switch", "closable", "closed"),
    [
        ((), {"default": "closed"}, False, False),
        (("office-hours",), {"default": "closed"}, False, False),
        (("owner-switch",), {}, True, False),
        (("office-hours", "owner-switch"), {"default": "closed"}, True, True),
        (({"name": "owner-switch", "config": {"default": "closed"}},), {}, True, True),
        (({"name": "owner-switch", "config": {"default": "open"}},), {"default": "closed"}, True, False),
    ],
)
def test_an_item_begins_as_its_owner_switch_says(reauthorize, switch, closable, closed):
    """An item may say something else than the catalogue."""
    item = item_with(*reauthorize, **switch)
    assert (item.closable, item.closed) == (closable, closed)
