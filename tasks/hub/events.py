"""The hub's event rows: every change of an order or a level, numbered without gaps per store.

Numbers come from the store's own row, which the writer holds locked until its transaction ends.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, select, update

from tasks.hub.bulk import load
from tasks.hub.schema import events, stores

COLUMNS = (
    "store",
    "number",
    "type",
    "at_utc",
    "batch",
    "document",
    "order_id",
    "warehouse",
    "sku",
    "payload",
)


class EventLog:
    """Collects the events of one transaction on one store; `write` numbers and stores them."""

    def __init__(self, store: str, now: str, batch: str | None) -> None:
        self.store, self.now, self.batch = store, now, batch
        self._waiting: list[tuple[Any, ...]] = []

    def add(
        self,
        kind: str,
        *,
        document: str | None = None,
        order_id: str | None = None,
        warehouse: str | None = None,
        sku: str | None = None,
        **payload: Any,
    ) -> None:
        """Note an event; the payload is kept as JSON, amounts in it as text with four decimals."""
        text = json.dumps(payload, ensure_ascii=False)
        self._waiting.append((kind, document, order_id, warehouse, sku, text))

    def write(self, connection: Connection) -> int:
        """Number and store what was noted; returns how many. The caller holds the store's lock."""
        if not self._waiting:
            return 0
        first = connection.execute(
            select(stores.c.next_event).where(stores.c.code == self.store)
        ).scalar_one()
        rows = [
            (self.store, first + at, kind, self.now, self.batch, *rest)
            for at, (kind, *rest) in enumerate(self._waiting)
        ]
        load(connection, events, COLUMNS, rows)
        connection.execute(
            update(stores).where(stores.c.code == self.store).values(next_event=first + len(rows))
        )
        written, self._waiting = len(rows), []
        return written
