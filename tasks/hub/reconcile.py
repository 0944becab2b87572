"""Compares the hub with a store's newest statement, and the hub with itself. Reads only.

Of every document counts the newest revision that the store could already have had when it made its
statement: one whose rows lie below the statement's bound.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from sqlalchemy import ColumnElement, Connection, Subquery, and_, case, func, or_, select
from sqlalchemy.engine import RowMapping

from data_contracts.codes import RmsCodes
from data_contracts.documents import TICKET
from data_contracts.errors import NotYetArrived
from data_contracts.manifest import EpochStart
from data_contracts.reconciling import (
    Day,
    EditedDocument,
    Figures,
    NumberRange,
    OpenDocument,
    ReconcileReport,
    TenderDifference,
    extra_numbers,
    missing_numbers,
)
from data_contracts.waiting import WAITING_RULES
from tasks.hub.database import Hub
from tasks.hub.decisions import Decision, read_standings
from tasks.hub.epochs import read_epochs
from tasks.hub.proofs import prove
from tasks.hub.reconcile_edits import explain_edits
from tasks.hub.reconcile_orders import compare_orders
from tasks.hub.schema import (
    batches,
    documents,
    quarantine,
    statement_days,
    statement_numbers,
    statement_tenders,
    statements,
    stores,
    tenders,
)
from tasks.hub.stated import stated_revisions


def reconcile(hub: Hub, store: str, *, codes: RmsCodes | None = None) -> ReconcileReport:
    """The newest statement of a store against the hub; `NotYetArrived` if there is none yet.

    `codes` are those of the store, the usual ones if left out.
    """
    codes = codes or RmsCodes()
    with hub.reading() as connection:
        statement = (
            connection.execute(
                select(statements, batches.c.epoch, stores.c.epochs, stores.c.start_history_entry)
                .join(batches, batches.c.path == statements.c.batch)
                .join(stores, stores.c.code == statements.c.store)
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
        seen = _seen(statement)
        missing, extra, waiting, lost = _numbers(connection, statement, seen)
        days, extra_money, edited = _days(connection, statement, seen, extra, (*waiting, *lost))
        orders = compare_orders(connection, statement, codes.home_order_types)
        return ReconcileReport(
            store=store,
            statement=statement["batch"],
            bound=statement["bound"],
            created_utc=statement["created_utc"],
            days=days,
            missing=missing,
            extra=extra,
            extra_money=extra_money,
            waiting=waiting,
            lost=lost,
            newer=_newer(connection, store, seen),
            deposit_days=orders.days,
            orders=orders.differences,
            waiting_orders=orders.waiting,
            open_orders=orders.open,
            reserved=orders.reserved,
            deposits_held=orders.deposits_held,
            open=_open(connection, store),
            edited=edited,
            broken_proofs=tuple(prove(connection, store, codes)),
        )


def _seen(statement: RowMapping) -> Subquery:
    """Per ticket of the store its newest revision below the bound, with `shown`: its state there."""
    ranked = stated_revisions(statement, TICKET)
    not_booked = case((ranked.c.standing == "accepted", "quarantined"), else_=ranked.c.standing)
    shown = case((ranked.c.state == "quarantined", not_booked), else_="accepted").label("shown")
    return select(ranked, shown).where(ranked.c.rank == 1).subquery()


_Numbers = tuple[NumberRange, ...]
_Key = tuple[str, int]
"""Business date and Z batch."""
_InHub = tuple[dict[_Key, dict[str, Figures]], dict[tuple[str, int, str], int]]
"""Figures by state, and sums by tender code."""

RANGES_AT_ONCE = 200
"""Ranges of numbers in one condition."""


def _days(
    connection: Connection, statement: RowMapping, seen: Subquery, extra: _Numbers, unstated: _Numbers
) -> tuple[tuple[Day, ...], int, tuple[EditedDocument, ...]]:
    """The days, the money of the extra tickets, and the tickets that differ because people edited them.

    Extra tickets are named by number, `unstated` ones stand in no total of the store: neither counts here.
    """
    said, batch = statement_days.c, statement["batch"]
    columns = [func.sum(said[name]).label(name) for name in ("tickets", "lines", "units", "tax", "total")]
    at_store: dict[_Key, Figures] = {}
    for row in connection.execute(
        select(said.business_date, said.z_batch, *columns)
        .where(said.batch == batch)
        .group_by(said.business_date, said.z_batch)
    ).mappings():
        at_store[row["business_date"], row["z_batch"]] = _figures(row)
    first = min((date for date, _ in at_store), default=None)
    in_hub, tendered = _in_hub(connection, seen, first)
    for condition in _conditions(seen, (*extra, *unstated)):
        figures, sums = _in_hub(connection, seen, first, condition)
        for key, by_state in figures.items():
            for state, left_out in by_state.items():
                in_hub[key][state] = in_hub[key][state] - left_out
        for tender, amount in sums.items():
            tendered[tender] -= amount
    aside = (*extra, *unstated)
    store = statement["store"]
    edits = explain_edits(connection, store, seen, first, lambda *number: not _among(aside, *number))
    for tender, amount in edits.tenders.items():
        tendered[tender] += amount
    differing = _tenders(connection, batch, tendered)
    apart = {key for key, figures in edits.days.items() if figures}
    held = {key for key in in_hub if any(in_hub[key].values())}
    keys = sorted(set(at_store) | held | set(differing) | apart)
    days = tuple(
        Day(
            key[0],
            key[1],
            at_store.get(key, Figures()),
            **in_hub[key],
            edited=edits.days[key],
            tenders=tuple(differing[key]),
        )
        for key in keys
    )
    positive = case((seen.c.total < 0, -seen.c.total), else_=seen.c.total)
    money = 0
    for condition in _conditions(seen, extra):
        money += connection.execute(select(func.sum(positive)).where(condition)).scalar_one() or 0
    return days, money, tuple(edits.documents)


def _among(numbers: _Numbers, epoch: int, number: int) -> bool:
    return any(part.epoch == epoch and part.first <= number <= part.last for part in numbers)


def _conditions(seen: Subquery, numbers: _Numbers) -> Iterator[ColumnElement[bool]]:
    """That a ticket has one of these numbers, some ranges at a time."""
    s = seen.c
    for at in range(0, len(numbers), RANGES_AT_ONCE):
        yield or_(
            *(
                and_(s.epoch == part.epoch, s.number.between(part.first, part.last))
                for part in numbers[at : at + RANGES_AT_ONCE]
            )
        )


def _in_hub(
    connection: Connection, seen: Subquery, first: str | None, *conditions: ColumnElement[bool]
) -> _InHub:
    """What the hub has from the date `first` on; nothing where the store states no day."""
    figures: dict[_Key, dict[str, Figures]] = defaultdict(dict)
    tendered: dict[tuple[str, int, str], int] = defaultdict(int)
    if first is None:
        return figures, tendered
    s, t = seen.c, tenders.c
    sums = [func.sum(s[name]).label(name) for name in ("lines", "units", "tax", "total")]
    for row in connection.execute(
        select(s.business_date, s.z_batch, s.shown, func.count().label("tickets"), *sums)
        .where(s.business_date >= first, *conditions)
        .group_by(s.business_date, s.z_batch, s.shown)
    ).mappings():
        figures[row["business_date"], row["z_batch"] or 0][row["shown"]] = _figures(row)
    for date, z, code, amount in connection.execute(
        select(s.business_date, s.z_batch, t.tender_code, func.sum(t.amount))
        .join(tenders, (t.document == s.document) & (t.revision == s.revision))
        .where(s.business_date >= first, *conditions)
        .group_by(s.business_date, s.z_batch, t.tender_code)
    ):
        tendered[date, z or 0, code] += amount
    return figures, tendered


def _tenders(
    connection: Connection, batch: str, in_hub: dict[tuple[str, int, str], int]
) -> dict[_Key, list[TenderDifference]]:
    said = statement_tenders.c
    at_store: dict[tuple[str, int, str], int] = {}
    for date, z, code, amount in connection.execute(
        select(said.business_date, said.z_batch, said.tender_code, said.amount).where(said.batch == batch)
    ):
        at_store[date, z, code] = amount
    found: dict[_Key, list[TenderDifference]] = defaultdict(list)
    for date, z, code in sorted(set(at_store) | set(in_hub)):
        ours, theirs = in_hub.get((date, z, code), 0), at_store.get((date, z, code), 0)
        if ours != theirs:
            found[date, z].append(TenderDifference(code, theirs, ours))
    return found


def _figures(row: RowMapping) -> Figures:
    names = ("tickets", "lines", "units", "tax", "total")
    return Figures(*(int(row[name] or 0) for name in names))


def _numbers(
    connection: Connection, statement: RowMapping, seen: Subquery
) -> tuple[_Numbers, _Numbers, _Numbers, _Numbers]:
    """Missing, extra, waiting and lost numbers."""
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
    lost: list[NumberRange] = []
    ends = _ends(read_epochs(statement["epochs"]), statement["epoch"])
    for epoch in sorted(set(said) | set(below)):
        states = said[epoch]
        # A ticket of which only a newer revision is here is not missing, only newer than the statement.
        missing += [NumberRange(epoch, *r) for r in missing_numbers(states["present"], every[epoch])]
        known = [*states["present"], *states["waiting"]]
        end = ends.get(epoch)
        kept = [number for number in below[epoch] if end is None or number <= end]
        extra += [NumberRange(epoch, *r) for r in extra_numbers(known, kept)]
        lost += [NumberRange(epoch, *r) for r in extra_numbers((), below[epoch][len(kept) :])]
        waiting += [NumberRange(epoch, *r) for r in sorted(states["waiting"])]
    return tuple(missing), tuple(extra), tuple(waiting), tuple(lost)


def _ends(epochs: Sequence[EpochStart], newest: int) -> dict[int, int]:
    """Epoch -> the last ticket number that outlived it: what lies above was lost with its database."""
    ends: dict[int, int] = {}
    for start in epochs:
        if start.epoch <= newest:
            for earlier in (e.epoch for e in epochs if e.epoch < start.epoch):
                ends[earlier] = min(ends.get(earlier, start.after_number), start.after_number)
    return ends


def _newer(connection: Connection, store: str, seen: Subquery) -> int:
    d = documents.c
    all_of = select(func.count()).where(d.store == store, d.source == TICKET)
    total = connection.execute(all_of.select_from(documents)).scalar_one()
    return int(total) - int(connection.execute(select(func.count()).select_from(seen)).scalar_one())


def _open(connection: Connection, store: str) -> tuple[OpenDocument, ...]:
    q, d = quarantine.c, documents.c
    waits = case(
        (q.state == "discarded", "discarded"), (q.rule.in_(WAITING_RULES), "pending"), else_="quarantined"
    ).label("shown")
    rows = connection.execute(
        select(q.document, q.revision, waits, q.rule, q.message, q.business_date, q.units, q.total)
        .outerjoin(documents, d.document == q.document)
        .where(q.store == store, q.state.in_(("open", "discarded")))
        .order_by(case((d.document.is_(None), 1), else_=0), d.epoch, d.number, q.document)
    )
    found = rows.all()
    names = {row.document for row in found if row.shown == "discarded"}
    put_aside = {key: standing.discarded for key, standing in read_standings(connection, names).items()}
    return tuple(
        OpenDocument(
            row.document,
            row.shown,
            row.rule,
            row.message,
            row.business_date,
            row.units or 0,
            row.total or 0,
            _decision(put_aside.get((row.document, row.revision))),
        )
        for row in found
    )


def _decision(decision: Decision | None) -> str:
    if decision is None:
        return ""
    return f"discarded by {decision.by} on {decision.at_utc[:10]}: {decision.why}"
