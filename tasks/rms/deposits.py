"""Which deposits of orders a statement covers; the rows themselves are read in `orders`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from data_contracts.manifest import Mark
from tasks.rms.reader import StoreReading, in_z_batch
from tasks.rms.tables import batch, order_history, tender_entry


@dataclass(frozen=True)
class Deposits:
    """Rows of OrderHistory as of a bound."""

    orders: dict[int, int]
    """OrderHistory.ID -> OrderID."""
    late_tenders: frozenset[int]
    """Ids of tenders of such rows that were written at or above the bound."""


def deposits_since(
    connection: Connection, reading: StoreReading, start: Mark, bound: int, local: datetime | None
) -> Deposits:
    """Deposits written after a start mark and below a bound, counted at or after `local` if it is given.

    By the rule `z_batch` a deposit counts for the opening of its Z batch, as a ticket does.
    """
    h = order_history.c
    query = (
        select(h.ID, h.OrderID)
        .select_from(order_history)
        .where(h.StoreID == reading.store_id, start.order_history_id < h.ID, h.DBTimeStamp < bound)
    )
    if local is not None and reading.rule == "z_batch":
        query = query.outerjoin(batch, in_z_batch(reading, order_history)).where(
            func.coalesce(batch.c.OpeningTime, h.Date) >= local
        )
    elif local is not None:
        query = query.where(h.Date >= local)
    t = tender_entry.c
    late = select(t.ID).where(
        t.StoreID == reading.store_id,
        t.OrderHistoryID > start.order_history_id,
        t.DBTimeStamp >= bound,
    )
    return Deposits(dict(connection.execute(query).tuples().all()), frozenset(connection.scalars(late)))
