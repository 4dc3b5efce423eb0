"""Everything that people can see and do of their own, in one table: pages, JSON API, and its description."""

from gateway.desk import my_devices, my_items, my_operators, my_trail
from gateway.desk.my_operation import Operation, Page

OPERATIONS: tuple[Operation, ...] = (
    *my_items.OPERATIONS,
    *my_operators.OPERATIONS,
    *my_devices.OPERATIONS,
    *my_trail.OPERATIONS,
)
PAGES: tuple[Page, ...] = (*my_trail.PAGES, *my_items.PAGES, *my_operators.PAGES, *my_devices.PAGES)
