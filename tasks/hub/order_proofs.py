"""Holds layaways and backorders against what they were made of: snapshots, tickets, ledger, deposits.

Reads only.
"""

from __future__ import annotations

import json
from collections import defaultdict

from sqlalchemy import Connection, and_, func, or_, select

from data_contracts.amounts import parse_amount, show_money, show_units
from data_contracts.codes import ORDER_KINDS, RmsCodes
from data_contracts.documents import ORDER
from data_contracts.life_cycle import OPEN_STATES, State
from tasks.hub.schema import (
    deposits,
    document_revisions,
    documents,
    life_cycles,
    order_aliases,
    order_lines,
    order_snapshots,
    orders,
    payments,
    pickup_lines,
    quarantine,
    stock_movements,
)

PICKUP = "pickup"
_OPEN = tuple(state.value for state in OPEN_STATES)


def prove_orders(connection: Connection, store: str, codes: RmsCodes) -> list[str]:
    """What does not add up of a store's layaways and backorders and of their pick-ups. Empty if all does."""
    return [
        *_prove_documents(connection, store),
        *_prove_newest(connection, store),
        *_prove_reservations(connection, store),
        *_prove_held(connection, store, codes),
        *_prove_shipped(connection, store),
        *_prove_pickups(connection, store),
        *_prove_deposits(connection, store),
        *_prove_numbers(connection, store),
    ]


def _prove_documents(connection: Connection, store: str) -> list[str]:
    """Every applied order has its order and its life cycle, of the same snapshot."""
    d, o, c = documents.c, orders.c, life_cycles.c
    rows = connection.execute(
        select(d.document, o.order_id, c.order_id)
        .outerjoin(orders, o.order_id == d.document)
        .outerjoin(life_cycles, c.order_id == d.document)
        .where(d.store == store, d.source == ORDER, d.state == "accepted")
        .where(or_(o.order_id.is_(None), c.order_id.is_(None), c.revision != d.revision))
        .order_by(d.document)
    )
    broken = []
    for document, order, life in rows:
        if order is None or life is None:
            lacks = "order" if order is None else "life cycle"
            broken.append(f"Order document {document} counts as applied, but has no {lacks}.")
        else:
            broken.append(
                f"The life cycle of order {document} is not of the snapshot that counts as applied."
            )
    return broken


def _prove_newest(connection: Connection, store: str) -> list[str]:
    """The newest snapshot of an order is the one that counts, or stands in quarantine."""
    d, r, q = documents.c, document_revisions.c, quarantine.c
    rank = func.row_number().over(partition_by=r.document, order_by=(r.sequence.desc(), r.batch_id.desc()))
    ranked = (
        select(d.document, d.revision.label("counts"), r.revision, rank.label("rank"))
        .join(document_revisions, r.document == d.document)
        .where(d.store == store, d.source == ORDER)
        .subquery()
    )
    newest = ranked.c
    aside = q.state.in_(("open", "discarded"))
    rows = connection.execute(
        select(newest.document)
        .outerjoin(quarantine, and_(q.document == newest.document, q.revision == newest.revision, aside))
        .where(newest.rank == 1, newest.revision != newest.counts, q.document.is_(None))
        .order_by(newest.document)
    )
    return [
        f"The newest snapshot of order {document} is neither applied nor in quarantine."
        for (document,) in rows
    ]


def _prove_reservations(connection: Connection, store: str) -> list[str]:
    """The ledger holds for each line what the line says, and moves no goods for an order."""
    m, d, lines = stock_movements.c, documents.c, order_lines.c
    moved: dict[tuple[str, int], tuple[int, int]] = {
        (origin, line): (reserved, physical)
        for origin, line, reserved, physical in connection.execute(
            select(m.origin, m.line, func.sum(m.reserved_delta), func.sum(m.physical_delta))
            .join(documents, d.document == m.origin)
            .where(d.store == store, d.source == ORDER)
            .group_by(m.origin, m.line)
        )
    }
    shown: dict[tuple[str, int], int] = {
        (order, line): reserved
        for order, line, reserved in connection.execute(
            select(lines.order_id, lines.line, lines.reserved_quantity)
            .join(orders, orders.c.order_id == lines.order_id)
            .where(orders.c.store == store, orders.c.kind.in_(ORDER_KINDS))
        )
    }
    broken = []
    for order, line in sorted(set(moved) | set(shown)):
        reserved, physical = moved.get((order, line), (0, 0))
        if reserved != shown.get((order, line), 0):
            broken.append(
                f"Line {line} of order {order} shows {show_units(shown.get((order, line), 0))} reserved, its "
                f"movements come to {show_units(reserved)}."
            )
        if physical:
            broken.append(f"Line {line} of order {order} has moved {show_units(physical)} units by itself.")
    return broken


def _prove_held(connection: Connection, store: str, codes: RmsCodes) -> list[str]:
    """An open order holds or waits for what its applied snapshot has on order, a closed one for nothing."""
    o, c, lines, s = orders.c, life_cycles.c, order_lines.c, order_snapshots.c
    held: dict[str, dict[int, int]] = defaultdict(dict)
    rows = connection.execute(
        select(c.order_id, c.state, lines.line, lines.reserved_quantity, lines.backorder_quantity)
        .join(order_lines, lines.order_id == c.order_id)
        .where(c.store == store)
        .where(or_(c.state.in_(_OPEN), lines.reserved_quantity != 0, lines.backorder_quantity != 0))
        .order_by(c.order_id, lines.line)
    )
    broken = []
    for order, state, line, reserved, backordered in rows:
        if state in _OPEN:
            held[order][line] = reserved + backordered
        else:
            broken.append(
                f"Line {line} of order {order} is {state} but has {show_units(reserved)} reserved and "
                f"{show_units(backordered)} waiting for stock."
            )
    applied = connection.execute(
        select(c.order_id, s.rows)
        .join(orders, o.order_id == c.order_id)
        .join(order_snapshots, and_(s.document == c.order_id, s.revision == c.revision))
        .where(c.store == store, c.state.in_(_OPEN), c.released.is_(False))
        .order_by(c.order_id)
    )
    for order, exported in applied:
        wanted = _outstanding(exported, codes)
        for line in sorted(set(wanted) | set(held[order])):
            has, asks = held[order].get(line, 0), wanted.get(line, 0)
            if has != asks:
                broken.append(
                    f"Line {line} of order {order} has {show_units(asks)} units on order, but "
                    f"{show_units(has)} reserved or waiting for stock."
                )
    return broken


def _outstanding(exported: str, codes: RmsCodes) -> dict[int, int]:
    """OrderEntry.ID -> units that a snapshot's rows have on order and that need stock."""
    wanted: dict[int, int] = {}
    for row in json.loads(exported)["order_lines"]:
        on_order, taken = parse_amount(row["on_order"]), parse_amount(row["taken"])
        outstanding = on_order if codes.on_order_is_outstanding else on_order - taken
        needs_stock = int(row["item_type"]) not in codes.without_stock_item_types
        wanted[int(row["entry_id"])] = max(0, outstanding) if needs_stock else 0
    return wanted


def _prove_shipped(connection: Connection, store: str) -> list[str]:
    """What is shipped of a line is what the pick-ups that stand have taken of it."""
    o, lines, p, void = orders.c, order_lines.c, pickup_lines.c, orders.alias("void").c
    voided = select(void.linked_document).where(void.kind == "void", void.linked_document.is_not(None))
    taken = (
        select(p.order_id, p.order_line, func.sum(p.quantity).label("units"))
        .where(p.order_line.is_not(None), p.document.not_in(voided))
        .group_by(p.order_id, p.order_line)
        .subquery()
    )
    units = func.coalesce(taken.c.units, 0)
    rows = connection.execute(
        select(lines.order_id, lines.line, lines.shipped_quantity, taken.c.units)
        .join(orders, o.order_id == lines.order_id)
        .outerjoin(taken, and_(taken.c.order_id == lines.order_id, taken.c.order_line == lines.line))
        .where(o.store == store, o.kind.in_(ORDER_KINDS), lines.shipped_quantity != units)
        .order_by(lines.order_id, lines.line)
    )
    return [
        f"Line {line} of order {order} shows {show_units(shipped)} shipped, its pick-ups come to "
        f"{show_units(found or 0)}."
        for order, line, shipped, found in rows
    ]


def _prove_pickups(connection: Connection, store: str) -> list[str]:
    """A pick-up is on its order with its lines, its money and its goods."""
    d, r, p, o = documents.c, document_revisions.c, pickup_lines.c, orders.c
    booked = (
        select(d.document, d.order_id, r.lines, r.units, r.total)
        .join(document_revisions, and_(r.document == d.document, r.revision == d.revision))
        .where(d.store == store, d.kind == PICKUP, d.state == "accepted")
        .subquery()
    )
    b = booked.c
    broken = [
        f"Pick-up {document} counts as booked, but its order {order} is not there."
        for document, order in connection.execute(
            select(b.document, b.order_id)
            .outerjoin(orders, and_(o.order_id == b.order_id, o.kind.in_(ORDER_KINDS)))
            .where(o.order_id.is_(None))
            .order_by(b.document)
        )
    ]
    found = func.coalesce(func.sum(p.quantity), 0)
    count = func.count(p.line.distinct())
    broken += [
        f"Pick-up {document} has {lines} lines with {show_units(units)} units on its order, its ticket "
        f"{said} with {show_units(of_ticket)}."
        for document, lines, units, said, of_ticket in connection.execute(
            select(b.document, count, found, b.lines, b.units)
            .outerjoin(pickup_lines, and_(p.document == b.document, p.order_id == b.order_id))
            .group_by(b.document, b.lines, b.units)
            .having(or_(count != b.lines, found != b.units))
            .order_by(b.document)
        )
    ]
    paid = func.coalesce(func.sum(payments.c.amount), 0)
    broken += [
        f"Pick-up {document} totals {show_money(total)}, its payments on order {order} come to "
        f"{show_money(amount)}."
        for document, order, total, amount in connection.execute(
            select(b.document, b.order_id, b.total, paid)
            .outerjoin(payments, and_(payments.c.document == b.document, payments.c.order_id == b.order_id))
            .group_by(b.document, b.order_id, b.total)
            .having(paid != b.total)
            .order_by(b.document)
        )
    ]
    return [*broken, *_prove_pickup_movements(connection, store)]


def _prove_pickup_movements(connection: Connection, store: str) -> list[str]:
    """What a pick-up moved is what its lines say, or nothing where an item has no stock."""
    m, d, p = stock_movements.c, documents.c, pickup_lines.c
    moved = (
        select(m.origin, m.line, func.sum(m.physical_delta).label("moved"))
        .join(documents, d.document == m.origin)
        .where(d.store == store, d.kind == PICKUP)
        .group_by(m.origin, m.line)
        .subquery()
    )
    taken = (
        select(p.document, p.line, func.sum(p.quantity).label("units"))
        .group_by(p.document, p.line)
        .subquery()
    )
    rows = connection.execute(
        select(moved.c.origin, moved.c.line, moved.c.moved, taken.c.units)
        .outerjoin(taken, and_(taken.c.document == moved.c.origin, taken.c.line == moved.c.line))
        .where(moved.c.moved != 0)
        .where(or_(taken.c.units.is_(None), moved.c.moved + taken.c.units != 0))
        .order_by(moved.c.origin, moved.c.line)
    )
    return [
        f"Line {line} of pick-up {document} has {show_units(units or 0)} units, its movements come to "
        f"{show_units(of_ledger)}."
        for document, line, of_ledger, units in rows
    ]


def _prove_deposits(connection: Connection, store: str) -> list[str]:
    """What is held of an order's deposits is what they come to: nothing, once it is closed."""
    c, e = life_cycles.c, deposits.c
    amounts = func.coalesce(func.sum(e.amount), 0)
    closed = c.state.not_in(_OPEN)
    rows = connection.execute(
        select(c.order_id, c.state, c.deposit, amounts)
        .outerjoin(deposits, e.order_id == c.order_id)
        .where(c.store == store)
        .group_by(c.order_id, c.state, c.deposit)
        .having(or_(amounts != c.deposit, and_(closed, amounts != 0)))
        .order_by(c.order_id)
    )
    broken = []
    for order, state, held, found in rows:
        if held != found:
            broken.append(
                f"Order {order} shows {show_money(held)} deposits held, its deposits come to "
                f"{show_money(found)}."
            )
        if found and state not in _OPEN:
            broken.append(f"Order {order} is {state}, but its deposits come to {show_money(found)}, not 0.")
    return broken


def _prove_numbers(connection: Connection, store: str) -> list[str]:
    """An order bears its own number, once picked up that of a pick-up; and every number of it finds it."""
    c, o, d, a, void = life_cycles.c, orders.c, documents.c, order_aliases.c, orders.alias("void").c
    tickets: dict[str, dict[str, bool]] = defaultdict(dict)
    voided = select(void.linked_document).where(void.kind == "void", void.linked_document.is_not(None))
    for order, number, stands in connection.execute(
        select(d.order_id, d.number, d.document.not_in(voided)).where(
            d.store == store, d.kind == PICKUP, d.state == "accepted"
        )
    ):
        tickets[order][str(number)] = bool(stands)
    aliases: dict[str, set[str]] = defaultdict(set)
    for order, number in connection.execute(
        select(a.order_id, a.source_order_id)
        .join(life_cycles, c.order_id == a.order_id)
        .where(c.store == store)
    ):
        aliases[order].add(number)
    broken = []
    for order, number, state, shown in connection.execute(
        select(c.order_id, c.number, c.state, o.source_order_id)
        .join(orders, o.order_id == c.order_id)
        .where(c.store == store)
        .order_by(c.order_id)
    ):
        of_tickets = tickets.get(order, {})
        standing = {ticket for ticket, stands in of_tickets.items() if stands}
        good = standing if state == State.PICKED_UP.value and standing else {str(number)}
        if shown not in good:
            broken.append(f"Order {order} is {state} and bears the number {shown}, which is not its own.")
        unfound = sorted({str(number), *of_tickets} - aliases[order], key=int)
        if unfound:
            broken.append(f"Order {order} is not found by its number {', '.join(unfound)}.")
    return broken
