"""What `tillbridge status` shows of the hub: a few small queries per store, without loading a frame."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from data_contracts.codes import LAYAWAY
from data_contracts.documents import STREAM_ORDERS, STREAM_STATEMENT
from data_contracts.life_cycle import OPEN_STATES
from data_contracts.waiting import WAITING_RULES
from tasks.hub.database import Hub
from tasks.hub.outstanding import Outstanding, outstanding
from tasks.hub.schema import (
    HUB_STORE,
    document_revisions,
    documents,
    life_cycles,
    order_lines,
    orders,
    products,
    quarantine,
    stock_levels,
    stores,
    streams,
)


@dataclass(frozen=True)
class StoreStatus:
    """Where a store stands in the hub."""

    store: str
    baselined: bool
    last_sequence: int
    """Newest sequence of its orders stream; 0 for none."""
    last_import_utc: str | None
    last_business_date: str | None
    last_ticket_utc: str | None
    """When the newest ticket in the hub was rung."""
    orders: int
    quarantined: int
    """Documents open in quarantine that are wrong, not only waiting."""
    pending: int
    outstanding: Outstanding
    """Batches that were rejected or never came, and that nothing has replaced yet."""
    last_statement_utc: str | None
    layaways: int = 0
    """Layaways that are open."""
    backorders_waiting: int = 0
    """Backorders of which some has no stock yet."""
    expired: int = 0
    """Open layaways and backorders whose date has passed, as the last advance noted."""


@dataclass(frozen=True)
class HubStatus:
    """Where the hub stands."""

    stores: tuple[StoreStatus, ...]
    products: int
    shortfalls: int
    """Levels below zero."""

    @property
    def quarantined(self) -> int:
        """Open entries of all stores."""
        return sum(store.quarantined for store in self.stores)

    @property
    def pending(self) -> int:
        """Waiting documents of all stores."""
        return sum(store.pending for store in self.stores)


def hub_status(hub: Hub) -> HubStatus:
    """The state of all stores, in the order of their codes."""
    with hub.reading() as connection:
        every = select(stores.c.code, stores.c.baseline).where(stores.c.code != HUB_STORE)
        known = connection.execute(every.order_by(stores.c.code)).all()
        short = select(func.count()).select_from(stock_levels).where(stock_levels.c.physical < 0)
        return HubStatus(
            stores=tuple(_store(connection, row.code, row.baseline is not None) for row in known),
            products=connection.execute(select(func.count()).select_from(products)).scalar_one(),
            shortfalls=connection.execute(short).scalar_one(),
        )


def _store(connection: Connection, store: str, baselined: bool) -> StoreStatus:
    newest = {row.stream: row for row in connection.execute(select(streams).where(streams.c.store == store))}
    r, d, q = document_revisions.c, documents.c, quarantine.c
    date, rung = connection.execute(
        select(func.max(r.business_date), func.max(r.occurred_at))
        .join(documents, (d.document == r.document) & (d.revision == r.revision))
        .where(d.store == store)
    ).one()
    waits = q.rule.in_(WAITING_RULES)
    open_entries = select(func.count()).select_from(quarantine).where(q.store == store, q.state == "open")
    booked = select(func.count()).select_from(orders).where(orders.c.store == store)
    c, lines = life_cycles.c, order_lines.c
    still_open = c.state.in_([state.value for state in OPEN_STATES])
    layaways, expired = connection.execute(
        select(func.count().filter(c.kind == LAYAWAY), func.count().filter(c.expired.is_(True))).where(
            c.store == store, still_open
        )
    ).one()
    waiting = (
        select(func.count(lines.order_id.distinct()))
        .join(life_cycles, c.order_id == lines.order_id)
        .where(c.store == store, still_open, lines.backorder_quantity > 0)
    )
    last, statement = newest.get(STREAM_ORDERS), newest.get(STREAM_STATEMENT)
    return StoreStatus(
        store=store,
        baselined=baselined,
        last_sequence=0 if last is None else last.last_sequence,
        last_import_utc=None if last is None else last.imported_utc,
        last_business_date=date,
        last_ticket_utc=rung,
        orders=connection.execute(booked).scalar_one(),
        quarantined=connection.execute(open_entries.where(~waits)).scalar_one(),
        pending=connection.execute(open_entries.where(waits)).scalar_one(),
        outstanding=outstanding(connection, store),
        last_statement_utc=None if statement is None else statement.imported_utc,
        layaways=layaways,
        backorders_waiting=connection.execute(waiting).scalar_one(),
        expired=expired,
    )
