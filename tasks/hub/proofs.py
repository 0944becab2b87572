"""Holds the hub against itself: levels, event numbers, payments, orders, lines. Reads only.

Layaways, backorders and their pick-ups have proofs of their own in `tasks.hub.order_proofs`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, and_, func, or_, select

from data_contracts.amounts import show_money, show_units
from data_contracts.codes import RmsCodes
from data_contracts.documents import TICKET
from tasks.hub.order_proofs import PICKUP, prove_orders
from tasks.hub.schema import (
    HUB_STORE,
    document_revisions,
    documents,
    events,
    order_lines,
    orders,
    payments,
    stock_levels,
    stock_movements,
    stores,
)


def prove(connection: Connection, store: str, codes: RmsCodes | None = None) -> list[str]:
    """What does not add up inside the hub: levels, events, payments, orders, lines. Empty if all does.

    `codes` are those of the store, the usual ones if left out.
    """
    return [
        *_prove_levels(connection),
        *_prove_events(connection, store),
        *_prove_events(connection, HUB_STORE),
        *_prove_payments(connection, store),
        *_prove_orders(connection, store),
        *_prove_lines(connection, store),
        *_prove_movements(connection, store),
        *prove_orders(connection, store, codes or RmsCodes()),
    ]


def _prove_levels(connection: Connection) -> list[str]:
    m, s = stock_movements.c, stock_levels.c
    moved = {
        (warehouse, sku): (physical, reserved)
        for warehouse, sku, physical, reserved in connection.execute(
            select(m.warehouse, m.sku, func.sum(m.physical_delta), func.sum(m.reserved_delta)).group_by(
                m.warehouse, m.sku
            )
        )
    }
    levels = {
        (warehouse, sku): (physical, reserved)
        for warehouse, sku, physical, reserved in connection.execute(
            select(s.warehouse, s.sku, s.physical, s.reserved)
        )
    }
    broken: list[str] = []
    for key in sorted(set(moved) | set(levels)):
        shown, proven = levels.get(key, (0, 0)), moved.get(key, (0, 0))
        if shown != proven:
            broken.append(
                f"The level of `{key[1]}` in {key[0]} shows {show_units(shown[0])} physical and "
                f"{show_units(shown[1])} reserved, its movements come to {show_units(proven[0])} and "
                f"{show_units(proven[1])}."
            )
    return broken


def _prove_events(connection: Connection, store: str) -> list[str]:
    e = events.c
    count, last = connection.execute(
        select(func.count(), func.coalesce(func.max(e.number), 0)).where(e.store == store)
    ).one()
    following = connection.execute(
        select(stores.c.next_event).where(stores.c.code == store)
    ).scalar_one_or_none()
    if count == last == (following or 1) - 1:
        return []
    return [f"Store {store} has {count} events, the newest has number {last}: there is a gap."]


def _prove_payments(connection: Connection, store: str) -> list[str]:
    o, p = orders.c, payments.c
    paid = func.coalesce(func.sum(p.amount), 0)
    differing: Select[Any] = (
        select(o.order_id, o.paid, func.sum(p.amount))
        .outerjoin(payments, p.order_id == o.order_id)
        .where(o.store == store)
        .group_by(o.order_id, o.paid)
        .having(paid != o.paid)
        .order_by(o.order_id)
    )
    return [
        f"Order {order} shows {show_money(shown)} paid, its payments come to {show_money(found or 0)}."
        for order, shown, found in connection.execute(differing)
    ]


def _prove_orders(connection: Connection, store: str) -> list[str]:
    """Every booked ticket but pick-ups has its order with its figures, and there is no order besides."""
    d, r, o = documents.c, document_revisions.c, orders.c
    unlike = or_(o.total != r.total, o.tax != r.tax, and_(o.kind != "void", o.paid != o.total))
    booked = (
        select(d.document, o.order_id, o.total, o.tax, o.paid, r.total, r.tax)
        .join(document_revisions, (r.document == d.document) & (r.revision == d.revision))
        .outerjoin(orders, o.order_id == d.order_id)
        .where(d.store == store, d.source == TICKET, d.kind != PICKUP, d.state == "accepted")
        .where(or_(o.order_id.is_(None), unlike))
        .order_by(d.document)
    )
    broken: list[str] = []
    for document, order, total, tax, paid, ticket_total, ticket_tax in connection.execute(booked):
        if order is None:
            broken.append(f"Ticket {document} counts as booked, but has no order.")
            continue
        broken.append(
            f"Order {order} shows {show_money(total)} with {show_money(tax)} tax and {show_money(paid)} "
            f"paid, its ticket {show_money(ticket_total)} with {show_money(ticket_tax)} tax."
        )
    besides = (
        select(o.order_id)
        .outerjoin(documents, (d.order_id == o.order_id) & (d.document == o.order_id))
        .where(o.store == store, or_(d.document.is_(None), d.state != "accepted"))
        .order_by(o.order_id)
    )
    broken += [f"Order {order} has no booked document." for (order,) in connection.execute(besides)]
    return broken


def _prove_lines(connection: Connection, store: str) -> list[str]:
    """The lines of a ticket's order are those of the ticket."""
    d, r, lines = documents.c, document_revisions.c, order_lines.c
    units = func.coalesce(func.sum(lines.quantity), 0)
    differing = (
        select(d.document, r.lines, r.units, func.count(lines.line), func.sum(lines.quantity))
        .join(document_revisions, (r.document == d.document) & (r.revision == d.revision))
        .outerjoin(order_lines, lines.order_id == d.order_id)
        .where(d.store == store, d.source == TICKET, d.kind != PICKUP, d.state == "accepted")
        .group_by(d.document, r.lines, r.units)
        .having(or_(func.count(lines.line) != r.lines, units != r.units))
        .order_by(d.document)
    )
    return [
        f"Order {document} has {found} lines with {show_units(moved or 0)} units, its ticket {said} with "
        f"{show_units(of_ticket)}."
        for document, said, of_ticket, found, moved in connection.execute(differing)
    ]


def _prove_movements(connection: Connection, store: str) -> list[str]:
    """What a ticket moved is what its lines say, or nothing where an item has no stock.

    Voids are left out: they move what the ticket they name had moved.
    """
    m, o, lines = stock_movements.c, orders.c, order_lines.c
    moved = (
        select(m.origin, m.line, func.sum(m.physical_delta).label("moved"))
        .join(orders, o.order_id == m.origin)
        .where(o.store == store, o.kind.in_(("sale", "return", "exchange")))
        .group_by(m.origin, m.line)
        .subquery()
    )
    both = moved.c.moved + lines.quantity
    differing = (
        select(moved.c.origin, moved.c.line, moved.c.moved, lines.quantity)
        .outerjoin(order_lines, (lines.order_id == moved.c.origin) & (lines.line == moved.c.line))
        .where(moved.c.moved != 0, or_(lines.line.is_(None), both != 0))
        .order_by(moved.c.origin, moved.c.line)
    )
    return [
        f"Line {line} of order {order} has {show_units(quantity or 0)} units, its movements come to "
        f"{show_units(of_ledger)}."
        for order, line, of_ledger, quantity in connection.execute(differing)
    ]
