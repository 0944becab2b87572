"""Compares open layaways and backorders, and the deposits of all, with a store's statement. Reads only."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, Select, Subquery, and_, func, or_, select
from sqlalchemy.engine import RowMapping

from data_contracts.amounts import parse_amount
from data_contracts.documents import ORDER
from data_contracts.reconciling import DepositDay, DepositFigures, NumberRange, OrderDifference
from tasks.hub.schema import (
    batches,
    deposits,
    document_revisions,
    documents,
    life_cycles,
    order_lines,
    order_snapshots,
    orders,
    statement_days,
    statement_deposits,
    statement_numbers,
    statement_open_orders,
)
from tasks.hub.stated import is_stated, stated_revisions


@dataclass(frozen=True)
class OrderComparison:
    """What statement and hub say of the orders of a store; fields as in `ReconcileReport`."""

    days: tuple[DepositDay, ...]
    differences: tuple[OrderDifference, ...]
    waiting: tuple[NumberRange, ...]
    open: int
    reserved: int
    deposits_held: int


def compare_orders(
    connection: Connection, statement: RowMapping, home_order_types: Collection[int]
) -> OrderComparison:
    """The orders of a statement against the hub.

    `statement` has its row, `epoch` of its batch and `start_history_entry` of its store.
    """
    said, store = statement_open_orders.c, statement["store"]
    waiting = _waiting(connection, statement)
    stated = connection.execute(select(func.count()).where(said.batch == statement["batch"])).scalar_one()
    lines, o, c = order_lines.c, orders.c, life_cycles.c
    reserved = select(func.coalesce(func.sum(lines.reserved_quantity), 0))
    reserved = reserved.join(orders, o.order_id == lines.order_id).where(o.store == store)
    held = select(func.coalesce(func.sum(c.deposit), 0)).where(c.store == store)
    return OrderComparison(
        days=tuple(_days(connection, statement, home_order_types)),
        differences=(
            *_not_in_hub(connection, statement),
            *_not_at_store(connection, statement, waiting, home_order_types),
        ),
        waiting=waiting,
        open=stated,
        reserved=connection.execute(reserved).scalar_one(),
        deposits_held=connection.execute(held).scalar_one(),
    )


def _waiting(connection: Connection, statement: RowMapping) -> tuple[NumberRange, ...]:
    n = statement_numbers.c
    rows = connection.execute(
        select(n.epoch, n.first_number, n.last_number)
        .where(n.batch == statement["batch"], n.source == ORDER, n.state == "waiting")
        .order_by(n.epoch, n.first_number)
    )
    return tuple(NumberRange(*row) for row in rows)


# -- open orders ---------------------------------------------------------------------------------------
def _not_in_hub(connection: Connection, statement: RowMapping) -> Iterator[OrderDifference]:
    """Stated orders of which the hub's newest snapshot is another one, applied or waiting, or has none.

    One of which something younger than the statement is here has changed since, maybe before it was
    published.
    """
    latest = _newest_revisions(statement)
    said, newest, e = statement_open_orders.c, latest.c, deposits.c
    held = select(func.sum(e.amount)).where(e.document == newest.document, e.entry > 0).scalar_subquery()
    rows = connection.execute(
        select(
            *(said.epoch, said.number, newest.document, newest.batch_epoch, newest.manifest),
            *(said.deposit, func.coalesce(held, 0).label("held")),
        )
        .outerjoin(
            latest,
            and_(newest.epoch == said.epoch, newest.number == said.number, newest.rank == 1),
        )
        .where(
            said.batch == statement["batch"],
            or_(newest.document.is_(None), newest.revision != said.revision),
            or_(newest.document.is_(None), newest.document.not_in(_changed_above(statement))),
        )
        .order_by(said.epoch, said.number)
    )
    for row in rows:
        if row.document is None or not _read_later(statement, row.batch_epoch, row.manifest):
            what: Literal["missing", "changed"] = "missing" if row.document is None else "changed"
            yield OrderDifference(row.epoch, row.number, what, row.deposit - row.held)


def _not_at_store(
    connection: Connection,
    statement: RowMapping,
    waiting: Sequence[NumberRange],
    home_order_types: Collection[int],
) -> Iterator[OrderDifference]:
    """Orders that were open in the hub at the bound, and that the store does not state.

    One that has come again since may have been closed in between.
    """
    seen, said, s = stated_revisions(statement, ORDER).c, statement_open_orders.c, order_snapshots.c
    b = batches.c
    rows = connection.execute(
        select(seen.epoch, seen.number, s.rows, b.epoch, b.manifest)
        .join(order_snapshots, and_(s.document == seen.document, s.revision == seen.revision))
        .join(batches, b.path == seen.batch)
        .outerjoin(
            statement_open_orders,
            and_(said.batch == statement["batch"], said.epoch == seen.epoch, said.number == seen.number),
        )
        .where(seen.rank == 1, s.closed.is_(False), said.number.is_(None))
        .order_by(seen.epoch, seen.number)
    )
    for epoch, number, exported, batch_epoch, manifest in rows:
        written = any(part.epoch == epoch and part.first <= number <= part.last for part in waiting)
        home = _order_type(exported) in home_order_types
        if not written and not home and not _read_later(statement, batch_epoch, manifest):
            yield OrderDifference(epoch, number, "extra")


def _newest_revisions(statement: RowMapping) -> Subquery:
    """Every order's revisions with the batch in which each came last; the newest has rank 1."""
    r, d, b = document_revisions.c, documents.c, batches.c
    rank = func.row_number().over(partition_by=r.document, order_by=(r.sequence.desc(), r.batch_id.desc()))
    return (
        select(
            *(r.document, r.revision, d.epoch, d.number, rank.label("rank")),
            *(b.epoch.label("batch_epoch"), b.manifest),
        )
        .join(documents, d.document == r.document)
        .join(batches, b.path == r.batch)
        .where(d.store == statement["store"], d.source == ORDER)
        .subquery()
    )


def _changed_above(statement: RowMapping) -> Select[tuple[str]]:
    """Orders with a revision above the bound."""
    r, d = document_revisions.c, documents.c
    return (
        select(r.document)
        .join(documents, d.document == r.document)
        .join(batches, batches.c.path == r.batch)
        .where(d.store == statement["store"], d.source == ORDER, ~is_stated(statement, ORDER))
        .distinct()
        .correlate(None)
    )


def _read_later(statement: RowMapping, epoch: int, manifest: str) -> bool:
    """Whether a batch was read after the statement.

    An order that went back to what it was before has the rowversion of its first time: only its batch tells
    that it is younger.
    """
    bound = int(json.loads(manifest).get("bound", 0))
    return (epoch, bound) > (int(statement["epoch"]), int(statement["bound"]))


def _order_type(exported: str) -> int:
    """[Order].Type of a snapshot's rows as exported."""
    return int(json.loads(exported)["orders"][0]["order_type"])


def _is_gone(exported: str) -> bool:
    """Whether a snapshot says that RMS no longer has the order."""
    return "deleted" in json.loads(exported)["orders"][0]["flags"].split(";")


# -- deposits ------------------------------------------------------------------------------------------
_Key = tuple[str, int]
"""Business date and Z batch."""
_Entries = dict[int, tuple[_Key, DepositFigures]]
"""OrderHistory.ID -> its day and figures."""


def _days(
    connection: Connection, statement: RowMapping, home_order_types: Collection[int]
) -> Iterator[DepositDay]:
    said = statement_deposits.c
    at_store = {
        (date, z): DepositFigures(entries, amount, tendered)
        for date, z, entries, amount, tendered in connection.execute(
            select(said.business_date, said.z_batch, said.entries, said.amount, said.tendered).where(
                said.batch == statement["batch"]
            )
        )
    }
    day = statement_days.c
    ticketed = select(func.min(day.business_date)).where(day.batch == statement["batch"])
    dates = [connection.execute(ticketed).scalar(), *(date for date, _ in at_store)]
    first = min((date for date in dates if date is not None), default=None)
    if first is None:
        return
    later = _changed_since(connection, statement)
    in_hub, unsure = _in_hub(connection, statement, first, later)
    keys = set(at_store) | set(in_hub)
    apart = {key for key in keys if at_store.get(key, DepositFigures()) != in_hub.get(key, DepositFigures())}
    if apart:
        types = home_order_types
        for key, figures in _stayed_home(connection, statement, apart, later, types).items():
            in_hub[key] = in_hub.get(key, DepositFigures()) - figures
    for key in sorted(keys):
        stated, ours = at_store.get(key, DepositFigures()), in_hub.get(key, DepositFigures())
        yield DepositDay(*key, stated, _with_unsure(stated, ours, unsure.get(key, ())))


def _with_unsure(
    stated: DepositFigures, ours: DepositFigures, unsure: Sequence[DepositFigures]
) -> DepositFigures:
    """The hub's figures with as many of the unsure entries, oldest first, as make them what is stated."""
    reached = ours
    for figures in (DepositFigures(), *unsure):
        reached = reached + figures
        if reached == stated:
            return reached
    return ours


def _in_hub(
    connection: Connection, statement: RowMapping, first: str, later: Mapping[str, str | None]
) -> tuple[dict[_Key, DepositFigures], dict[_Key, list[DepositFigures]]]:
    """Per day the deposits that lie below the bound, and those of which nobody can tell, oldest first.

    The hub keeps the deposits of an order as its newest snapshot has them. If that lies above the bound, an
    older snapshot tells what was there before; what came between the two may lie on either side.
    """
    e = deposits.c
    start = statement["start_history_entry"]
    sums = (func.count(), func.sum(e.raw), func.sum(e.tendered))
    counts = (e.store == statement["store"], e.entry > 0, e.entry > start, e.business_date >= first)
    in_hub: dict[_Key, DepositFigures] = defaultdict(DepositFigures)
    query = select(e.business_date, e.z_batch, *sums).where(*counts)
    for date, z, entries, raw, tendered in connection.execute(query.group_by(e.business_date, e.z_batch)):
        in_hub[date, z] = DepositFigures(entries, raw, tendered)
    newest: dict[str, _Entries] = defaultdict(dict)
    for part in _parted(sorted(later)):
        rows = connection.execute(
            select(e.document, e.entry, e.business_date, e.z_batch, e.raw, e.tendered).where(
                *counts, e.document.in_(part)
            )
        )
        for document, entry, date, z, raw, tendered in rows:
            newest[document][entry] = ((date, z), DepositFigures(1, raw, tendered))
    unsure: dict[int, tuple[_Key, DepositFigures]] = {}
    for document, exported in later.items():
        then = _entries(exported, first, start) if exported is not None else {}
        for entry, (key, figures) in newest[document].items():
            in_hub[key] = in_hub[key] - figures
            if entry not in then:
                unsure[entry] = (key, figures)
        for key, figures in then.values():
            in_hub[key] = in_hub[key] + figures
    by_day: dict[_Key, list[DepositFigures]] = defaultdict(list)
    for _, (key, figures) in sorted(unsure.items()):
        by_day[key].append(figures)
    return in_hub, by_day


def _changed_since(connection: Connection, statement: RowMapping) -> dict[str, str | None]:
    """Orders whose newest revision lies above the bound -> rows of their newest snapshot below it, if any."""
    s = order_snapshots.c
    later = connection.execute(_changed_above(statement)).scalars()
    found: dict[str, str | None] = dict.fromkeys(later)
    seen = stated_revisions(statement, ORDER).c
    for part in _parted(sorted(found)):
        rows = connection.execute(
            select(seen.document, s.rows)
            .join(order_snapshots, and_(s.document == seen.document, s.revision == seen.revision))
            .where(seen.document.in_(part))
            .order_by(seen.rank.desc())
        )
        found.update((document, exported) for document, exported in rows)
    return found


def _entries(exported: str, first: str, start: int) -> _Entries:
    """Changes of deposits in a snapshot's rows as exported, from the date `first` and after `start` on."""
    rows: dict[str, list[dict[str, str]]] = json.loads(exported)
    tendered: dict[int, int] = defaultdict(int)
    for tender in rows["deposit_tenders"]:
        tendered[int(tender["history_id"])] += parse_amount(tender["amount"])
    found: _Entries = {}
    for row in rows["order_history"]:
        entry = int(row["entry_id"])
        if entry > start and row["business_date"] >= first:
            figures = DepositFigures(1, parse_amount(row["delta_deposit"]), tendered[entry])
            found[entry] = ((row["business_date"], int(row["z_batch"])), figures)
    return found


def _stayed_home(
    connection: Connection,
    statement: RowMapping,
    days: Collection[_Key],
    later: Collection[str],
    home_order_types: Collection[int],
) -> dict[_Key, DepositFigures]:
    """Deposits, on days that differ, of orders that became work orders or quotes or that RMS no longer has.

    No store states them. Those that have changed since the bound (`later`) are left out: they may have
    done so then.
    """
    e, s, r = deposits.c, order_snapshots.c, document_revisions.c
    found: dict[_Key, DepositFigures] = defaultdict(DepositFigures)
    of: dict[str, list[tuple[_Key, DepositFigures]]] = defaultdict(list)
    rows = connection.execute(
        select(e.document, e.business_date, e.z_batch, e.raw, e.tendered).where(
            e.store == statement["store"],
            e.entry > statement["start_history_entry"],
            e.business_date.in_(sorted({date for date, _ in days})),
        )
    )
    for document, date, z, raw, tendered in rows:
        if (date, z) in days and document not in later:
            of[document].append(((date, z), DepositFigures(1, raw, tendered)))
    left: dict[str, bool] = {}
    for part in _parted(sorted(of)):
        snapshots = connection.execute(
            select(s.document, s.rows)
            .join(document_revisions, and_(r.document == s.document, r.revision == s.revision))
            .where(s.document.in_(part))
            .order_by(r.sequence, r.batch_id)
        )
        for document, exported in snapshots:
            left[document] = _order_type(exported) in home_order_types or _is_gone(exported)
    for document, entries in of.items():
        if left.get(document):
            for key, figures in entries:
                found[key] = found[key] + figures
    return found


NAMES_AT_ONCE = 500
"""Documents in one condition."""


def _parted(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(names), NAMES_AT_ONCE):
        yield names[at : at + NAMES_AT_ONCE]
