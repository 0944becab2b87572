"""What of a store should not wait for long, in a few small queries: for alerts and the flows that follow."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from data_contracts.codes import BACKORDER, LAYAWAY
from data_contracts.waiting import WAITING_RULES
from tasks.hub.outstanding import MissingBatches, outstanding
from tasks.hub.schema import quarantine
from tasks.hub.to_advance import orders_to_advance


@dataclass(frozen=True)
class WatchedStore:
    """What waits of one store."""

    store: str
    layaways: int = 0
    """Layaways of which a snapshot or a pick-up waits to be applied."""
    backorders: int = 0
    """The same of backorders."""
    quarantined: int = 0
    """Documents that wait for a person."""
    oldest_utc: str | None = None
    """Since when the oldest of them waits."""
    missing: tuple[MissingBatches, ...] = ()
    """Sequences of tickets and orders that never came and that nothing has replaced."""


def watch_store(connection: Connection, store: str) -> WatchedStore:
    """What waits of a store right now."""
    q = quarantine.c
    count, oldest = connection.execute(
        select(func.count(), func.min(q.first_seen_utc)).where(
            q.store == store, q.state == "open", q.rule.not_in(WAITING_RULES)
        )
    ).one()
    return WatchedStore(
        store,
        layaways=len(orders_to_advance(connection, store, LAYAWAY)),
        backorders=len(orders_to_advance(connection, store, BACKORDER)),
        quarantined=count,
        oldest_utc=oldest,
        missing=outstanding(connection, store).missing,
    )
