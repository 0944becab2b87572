"""Compares the hub with a store's newest statement, and the hub with itself. Reads only.

Of every ticket counts the newest revision that the store could already have had when it made its
statement: one whose rows lie below the statement's bound.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy import Connection, Select, Subquery, case, func, or_, select
from sqlalchemy.engine import RowMapping

from data_contracts.amounts import show_money, show_units
from data_contracts.documents import TICKET
from data_contracts.errors import NotYetArrived
from data_contracts.reconciling import (
    Day,
    Figures,
    NumberRange,
    OpenDocument,
    ReconcileReport,
    TenderDifference,
    extra_numbers,
    missing_numbers,
)
from tasks.hub.database import Hub
from tasks.hub.schema import (
    document_revisions,
    documents,
    events,
    orders,
    payments,
    quarantine,
    statement_days,
    statement_numbers,
    statement_tenders,
    statements,
    stock_levels,
    stock_movements,
    stores,
    tenders,
)


def reconcile(hub: Hub, store: str) -> ReconcileReport:
    """The newest statement of a store against the hub; `NotYetArrived` if there is none yet."""
    with hub.reading() as connection:
        statement = (
            connection.execute(
                select(statements)
                .where(statements.c.store == store)
                .order_by(statements.c.sequence.desc(), statements.c.batch_id.desc())
                .limit(1)
            )
            .mappings()
            .first()
        )
        if statement is None:
            raise NotYetArrived(
                f"Store {store} has sent no statement yet, so there is nothing to compare the hub with.",
                next_step=f"run publish-statement for {store} at the store, then import",
                store=store,
            )
        seen = _seen(store, int(statement["bound"]))
        missing, extra, waiting = _numbers(connection, statement, seen)
        return ReconcileReport(
            store=store,
            statement=statement["batch"],
            bound=statement["bound"],
            created_utc=statement["created_utc"],
            days=_days(connection, statement["batch"], seen),
            missing=missing,
            extra=extra,
            waiting=waiting,
            newer=_newer(connection, store, seen),
            open=_open(connection, store),
            broken_proofs=tuple(prove(connection, store)),
        )


def prove(connection: Connection, store: str) -> list[str]:
    """What does not add up inside the hub: levels, event numbers, payments. Empty if all does."""
    return [
        *_prove_levels(connection),
        *_prove_events(connection, store),
        *_prove_payments(connection, store),
    ]


def _seen(store: str, bound: int) -> Subquery:
    """Per ticket of the store its newest revision below the bound, with `shown`: its state there."""
    r, d = document_revisions.c, documents.c
    rank = func.row_number().over(partition_by=r.document, order_by=(r.sequence.desc(), r.batch_id.desc()))
    ranked = (
        select(document_revisions, d.epoch, d.number, d.state.label("standing"), rank.label("rank"))
        .join(documents, d.document == r.document)
        .where(d.store == store, d.source == TICKET, or_(r.rowversion < bound, r.rowversion.is_(None)))
        .subquery()
    )
    not_booked = case((ranked.c.standing == "accepted", "quarantined"), else_=ranked.c.standing)
    shown = case((ranked.c.state == "quarantined", not_booked), else_="accepted").label("shown")
    return select(ranked, shown).where(ranked.c.rank == 1).subquery()


def _days(connection: Connection, batch: str, seen: Subquery) -> tuple[Day, ...]:
    said = statement_days.c
    columns = [func.sum(said[name]).label(name) for name in ("tickets", "lines", "units", "tax", "total")]
    at_store: dict[tuple[str, int], Figures] = {}
    for row in connection.execute(
        select(said.business_date, said.z_batch, *columns)
        .where(said.batch == batch)
        .group_by(said.business_date, said.z_batch)
    ).mappings():
        at_store[row["business_date"], row["z_batch"]] = _figures(row)
    if not at_store:
        return ()
    first = min(date for date, _ in at_store)
    in_hub: dict[tuple[str, int], dict[str, Figures]] = defaultdict(dict)
    s = seen.c
    sums = [func.sum(s[name]).label(name) for name in ("lines", "units", "tax", "total")]
    for row in connection.execute(
        select(s.business_date, s.z_batch, s.shown, func.count().label("tickets"), *sums)
        .where(s.business_date >= first)
        .group_by(s.business_date, s.z_batch, s.shown)
    ).mappings():
        in_hub[row["business_date"], row["z_batch"] or 0][row["shown"]] = _figures(row)
    differing = _tenders(connection, batch, seen, first)
    keys = sorted(set(at_store) | set(in_hub) | set(differing))
    return tuple(
        Day(date, z, at_store.get((date, z), Figures()), **in_hub[date, z], tenders=tuple(differing[date, z]))
        for date, z in keys
    )


def _tenders(
    connection: Connection, batch: str, seen: Subquery, first: str
) -> dict[tuple[str, int], list[TenderDifference]]:
    said, s, t = statement_tenders.c, seen.c, tenders.c
    at_store: dict[tuple[str, int, str], int] = {}
    for date, z, code, amount in connection.execute(
        select(said.business_date, said.z_batch, said.tender_code, said.amount).where(said.batch == batch)
    ):
        at_store[date, z, code] = amount
    in_hub: dict[tuple[str, int, str], int] = {}
    for date, z, code, amount in connection.execute(
        select(s.business_date, s.z_batch, t.tender_code, func.sum(t.amount))
        .join(tenders, (t.document == s.document) & (t.revision == s.revision))
        .where(s.business_date >= first)
        .group_by(s.business_date, s.z_batch, t.tender_code)
    ):
        in_hub[date, z or 0, code] = amount
    found: dict[tuple[str, int], list[TenderDifference]] = defaultdict(list)
    for date, z, code in sorted(set(at_store) | set(in_hub)):
        ours, theirs = in_hub.get((date, z, code), 0), at_store.get((date, z, code), 0)
        if ours != theirs:
            found[date, z].append(TenderDifference(code, theirs, ours))
    return found


def _figures(row: RowMapping) -> Figures:
    names = ("tickets", "lines", "units", "tax", "total")
    return Figures(*(int(row[name] or 0) for name in names))


_Numbers = tuple[NumberRange, ...]


def _numbers(
    connection: Connection, statement: RowMapping, seen: Subquery
) -> tuple[_Numbers, _Numbers, _Numbers]:
    """Missing, extra and waiting numbers."""
    said: dict[int, dict[str, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
    n = statement_numbers.c
    for row in connection.execute(
        select(statement_numbers).where(n.batch == statement["batch"], n.source == TICKET)
    ).mappings():
        said[row["epoch"]][row["state"]].append((row["first_number"], row["last_number"]))
    below: dict[int, list[int]] = defaultdict(list)
    for epoch, number in connection.execute(
        select(seen.c.epoch, seen.c.number).order_by(seen.c.epoch, seen.c.number)
    ):
        below[epoch].append(number)
    every: dict[int, list[int]] = defaultdict(list)
    d = documents.c
    for epoch, number in connection.execute(
        select(d.epoch, d.number)
        .where(d.store == statement["store"], d.source == TICKET)
        .order_by(d.epoch, d.number)
    ):
        every[epoch].append(number)
    missing: list[NumberRange] = []
    extra: list[NumberRange] = []
    waiting: list[NumberRange] = []
    for epoch in sorted(set(said) | set(below)):
        states = said[epoch]
        # A ticket of which only a newer revision is here is not missing, only newer than the statement.
        missing += [NumberRange(epoch, *r) for r in missing_numbers(states["present"], every[epoch])]
        known = [*states["present"], *states["waiting"]]
        extra += [NumberRange(epoch, *r) for r in extra_numbers(known, below[epoch])]
        waiting += [NumberRange(epoch, *r) for r in sorted(states["waiting"])]
    return tuple(missing), tuple(extra), tuple(waiting)


def _newer(connection: Connection, store: str, seen: Subquery) -> int:
    d = documents.c
    all_of = select(func.count()).where(d.store == store, d.source == TICKET)
    total = connection.execute(all_of.select_from(documents)).scalar_one()
    return int(total) - int(connection.execute(select(func.count()).select_from(seen)).scalar_one())


def _open(connection: Connection, store: str) -> tuple[OpenDocument, ...]:
    q, d = quarantine.c, documents.c
    waits = case((d.state.in_(("pending", "discarded")), d.state), else_="quarantined")
    rows = connection.execute(
        select(q.document, waits, q.rule, q.message, q.business_date, q.units, q.total)
        .join(documents, d.document == q.document)
        .where(q.store == store, q.state.in_(("open", "discarded")))
        .order_by(d.epoch, d.number)
    )
    return tuple(
        OpenDocument(document, state, rule, message, date, units or 0, total or 0)
        for document, state, rule, message, date, units, total in rows
    )


# -- the hub against itself ------------------------------------------------------------------------------
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
