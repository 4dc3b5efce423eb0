"""Lists that are turned over in pages and say how long they are. values.Page is what comes of it."""

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Row, Select, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.ledger.values import Page

SIZE = 20
"""Entries of a page."""
MOST_COUNTED = 10_000
"""A longer list is said to have so many: nobody turns five hundred pages, and counting millions takes its time."""

T = TypeVar("T")


async def read_counted(
    connection: AsyncConnection, question: Select[Any], page: int, make: Callable[[Row[Any]], T]
) -> Page[T]:
    """One page of the answer to a question, and how many entries there are.

    Args:
        connection: of the ledger's database.
        question: with its order.
        page: from 1.
        make: an entry out of a row.
    """
    bounded = question.with_only_columns(literal(1).label("one"), maintain_column_froms=True).order_by(None)
    total = await connection.scalar(select(func.count()).select_from(bounded.limit(MOST_COUNTED).subquery("counted")))
    rows = (await connection.execute(question.limit(SIZE + 1).offset((page - 1) * SIZE))).all()
    return Page([make(row) for row in rows[:SIZE]], page, len(rows) > SIZE, total)
