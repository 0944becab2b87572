"""Finds an order by any number it has or had, and what of that number still waits. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, or_, select

from data_contracts.codes import ORDER_KINDS
from data_contracts.statuses import OrderStatus, PaymentStatus, ShippingStatus
from data_contracts.waiting import WAITING_RULES
from tasks.hub.bulk import fetch_for, stage_keys
from tasks.hub.database import Hub
from tasks.hub.schema import documents, life_cycles, order_aliases, order_lines, orders, quarantine

TRANSACTION = "transaction"
"""Kind of the number of a ticket."""


@dataclass(frozen=True)
class FoundNumber:
    """A number that finds an order."""

    number: str
    kind: str
    """layaway, backorder or transaction."""
    since_utc: str
    until_utc: str | None
    """When the order got another one; None if it is the order's own number today."""


@dataclass(frozen=True)
class FoundLine:
    """A line of an order, units and money in ten-thousandths."""

    line: int
    sku: str
    ordered: int
    reserved: int
    backordered: int
    picked_up: int
    returned: int
    unit_price: int


@dataclass(frozen=True)
class FoundOrder:
    """An order as it stands, units and money in ten-thousandths."""

    order_id: str
    store: str
    kind: str
    source_order_id: str
    numbers: tuple[FoundNumber, ...]
    """Oldest first, today's among them."""
    order_status: str
    payment_status: str
    shipping_status: str
    warehouse: str
    ordered_at_utc: str
    state: str | None
    """Of a layaway or backorder; None for any other order, as the next two."""
    expires_on: str | None
    expired: bool | None
    deposit: int
    """What is held of its deposits."""
    total: int
    paid: int
    lines: tuple[FoundLine, ...]

    @property
    def ordered(self) -> int:
        """Units of all lines, as for the next four."""
        return sum(line.ordered for line in self.lines)

    @property
    def reserved(self) -> int:
        """Units that are held for it."""
        return sum(line.reserved for line in self.lines)

    @property
    def backordered(self) -> int:
        """Units that wait for stock."""
        return sum(line.backordered for line in self.lines)

    @property
    def picked_up(self) -> int:
        """Units that left the store."""
        return sum(line.picked_up for line in self.lines)

    @property
    def returned(self) -> int:
        """Units that came back."""
        return sum(line.returned for line in self.lines)


@dataclass(frozen=True)
class FoundDocument:
    """A document of that number that is not booked, or not in its newest revision."""

    document: str
    store: str
    state: str
    """pending (it clears itself), quarantined (it waits for a person) or discarded."""
    rule: str
    message: str
    fix: str
    first_seen_utc: str


def find_orders(hub: Hub, number: str, store: str | None = None) -> list[FoundOrder]:
    """The orders that have or had this number, of one store or of all, by store and age.

    Numbers repeat between stores, between layaways and tickets, and after a database was restored.
    """
    o, alias = orders.c, order_aliases.c
    wanted = number.strip()
    by_alias = select(alias.order_id).where(alias.source_order_id == wanted)
    query = (
        select(orders)
        .where(or_(o.source_order_id == wanted, o.order_id.in_(by_alias)))
        .order_by(o.store, o.ordered_at_utc, o.order_id)
    )
    if store is not None:
        query = query.where(o.store == store)
    with hub.reading() as connection:
        found = connection.execute(query).mappings().all()
        return _described(connection, found)


def find_documents(hub: Hub, number: str, store: str | None = None) -> list[FoundDocument]:
    """Tickets and orders of this number that wait, are refused or were discarded, by name."""
    wanted = number.strip()
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) <= 18):  # no number of RMS
        return []
    d, q = documents.c, quarantine.c
    query = (
        select(d.document, d.store, q.state, q.rule, q.message, q.fix, q.first_seen_utc)
        .join(quarantine, q.document == d.document)
        .where(d.number == int(wanted), q.state.in_(("open", "discarded")))
        .order_by(d.document, q.first_seen_utc, q.sequence, q.revision)
    )
    if store is not None:
        query = query.where(d.store == store)
    with hub.reading() as connection:
        return [
            FoundDocument(
                row.document,
                row.store,
                _state(row.state, row.rule),
                row.rule,
                row.message,
                row.fix,
                row.first_seen_utc,
            )
            for row in connection.execute(query)
        ]


def _state(state: str, rule: str) -> str:
    if state != "open":
        return state
    return "pending" if rule in WAITING_RULES else "quarantined"


def _described(connection: Connection, found: Sequence[RowMapping]) -> list[FoundOrder]:
    names = [row["order_id"] for row in found]
    lives = {row["order_id"]: row for row in fetch_for(connection, life_cycles, "order_id", names)}
    lines = _lines(connection, names)
    numbers: dict[str, list[FoundNumber]] = {}
    rows = fetch_for(connection, order_aliases, "order_id", names)
    for row in sorted(rows, key=lambda row: (row["order_id"], row["position"])):
        numbers.setdefault(row["order_id"], []).append(
            FoundNumber(row["source_order_id"], row["kind"], row["valid_from_utc"], row["valid_to_utc"])
        )
    return [
        _order(row, lives.get(row["order_id"]), numbers.get(row["order_id"], []), lines[row["order_id"]])
        for row in found
    ]


def _lines(connection: Connection, names: Iterable[str]) -> dict[str, list[FoundLine]]:
    lines: dict[str, list[FoundLine]] = {name: [] for name in names}
    c = order_lines.c
    staged = stage_keys(connection, "staged_found", lines)
    query = select(order_lines).join(staged, staged.c.key == c.order_id).order_by(c.order_id, c.line)
    for row in connection.execute(query).mappings():
        lines[row["order_id"]].append(
            FoundLine(
                line=row["line"],
                sku=row["sku"],
                ordered=row["quantity"],
                reserved=row["reserved_quantity"],
                backordered=row["backorder_quantity"],
                picked_up=row["shipped_quantity"],
                returned=row["returned_quantity"],
                unit_price=row["unit_price"],
            )
        )
    return lines


def _order(
    row: RowMapping, life: dict[str, Any] | None, numbers: list[FoundNumber], lines: list[FoundLine]
) -> FoundOrder:
    own = FoundNumber(
        row["source_order_id"],
        row["kind"] if row["kind"] in ORDER_KINDS else TRANSACTION,
        row["ordered_at_utc"],
        None,
    )
    return FoundOrder(
        order_id=row["order_id"],
        store=row["store"],
        kind=row["kind"],
        source_order_id=row["source_order_id"],
        numbers=tuple(numbers or [own]),
        order_status=OrderStatus(row["order_status"]).name,
        payment_status=PaymentStatus(row["payment_status"]).name,
        shipping_status=ShippingStatus(row["shipping_status"]).name,
        warehouse=row["warehouse"],
        ordered_at_utc=row["ordered_at_utc"],
        state=life["state"] if life is not None else None,
        expires_on=life["expires_on"] if life is not None else None,
        expired=life["expired"] if life is not None else None,
        deposit=life["deposit"] if life is not None else 0,
        total=row["total"],
        paid=row["paid"],
        lines=tuple(lines),
    )
