"""Publishes what a store says it has, as of one bound, for the hub to compare with what it got.

Read by the same code as the export, so that both agree by construction. Days never close: a late ticket
re-opens its day in the next statement.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from data_contracts.documents import FILES, ORDER, STREAM_STATEMENT, TICKET
from data_contracts.manifest import Mark, Position
from tasks import faults
from tasks.exchange import batches
from tasks.exchange.folder import Folder, open_folder
from tasks.rms import reader
from tasks.rms.deposits import Deposits, deposits_since
from tasks.settings import Settings
from tasks.use_cases.store_session import (
    NumberRanges,
    StoreSession,
    begins_epoch,
    check_same_database,
    open_store,
    parted,
    position_of,
    program_version,
    read_bounds,
    store_reading,
    utc_now,
    utc_text,
    warn_of_held_back,
)

if TYPE_CHECKING:
    import pandas as pd

    from tasks.rms.orders import OrderFrames
    from tasks.rms.tickets import TicketFrames

faults.declare("statement.read", "statement.published")

DAY_KEYS = ["business_date", "z_batch", "register"]
DAY_SUMS = ["tickets", "lines", "units", "tax", "total"]
TENDER_KEYS = ["business_date", "z_batch", "tender_code"]
DEPOSIT_KEYS = ["business_date", "z_batch"]
DEPOSIT_SUMS = ["entries", "amount", "tendered"]

MARGIN = timedelta(days=2)
"""How far what a ticket counts for may lie from its business date: days begin late, clocks are set."""


@dataclass(frozen=True)
class StatementReport:
    """What a statement says. Units and money in ten-thousandths."""

    store: str
    batch: str | None
    """The batch published, None in a dry run."""
    first_date: str
    last_date: str
    """Business dates covered; empty if there is no ticket."""
    days: int
    """Rows: a business date, Z batch and register each."""
    tickets: int
    lines: int
    units: int
    money: int
    deposits: int
    """Sum of the changes of deposit, raw."""
    open_orders: int
    """Layaways and backorders that are open."""
    waiting: int
    """Tickets and orders that RMS is still writing, or that no export has published yet."""
    absent: int
    """Numbers that RMS never filled."""
    held_back: int = 0
    """Tickets, waiting among the numbers, that a transaction open in RMS keeps from being read."""


def publish_statement(
    settings: Settings,
    store: str,
    *,
    days: int | None = 35,
    dry_run: bool = False,
    now: Callable[[], datetime] = utc_now,
) -> StatementReport:
    """Publish control totals of the last `days` business dates (None: all since the baseline).

    Numbers are stated since the baseline, whatever `days` is. Tickets that RMS is still writing stand
    among the numbers as waiting and in no total. Orders stand one by one while they are open; one that
    was written since the bound, closed perhaps, or that is not published yet, stands among the numbers as
    waiting. Errors as in `exporting.export_orders`.
    """
    with open_folder(settings) as folder:
        return _state(settings, folder, store, days, dry_run, now())


def _state(
    settings: Settings, folder: Folder, store: str, days: int | None, dry_run: bool, moment: datetime
) -> StatementReport:
    position = position_of(folder, store).position
    with open_store(settings, store) as session:
        given_out, bound = read_bounds(session)
        check_same_database(session, position)
        history = NumberRanges(position.history)
        found = reader.numbers_since(session.connection, session.store_id, position.start)
        written = {number: at for number, at in found.items() if number not in history}
        held_back = {number for number, at in written.items() if bound <= at <= given_out}
        waiting = {number for number, at in written.items() if at >= bound}
        waiting |= position.waiting_numbers(TICKET).keys() & written.keys()
        local = moment.astimezone(ZoneInfo(settings.store(store).time_zone)).replace(tzinfo=None)
        reading = store_reading(settings, session, position)
        home_types = settings.store(store).codes.home_order_types
        open_orders = reader.open_order_numbers(session.connection, session.store_id, home_types)
        if begins_epoch(position, written, open_orders):
            from tasks.use_cases.common_documents import refuse_former_database

            refuse_former_database(session, reading, folder, position)
        since = _since(session, reading, position, days, local)
        inside = reader.numbers_counted_since(session.connection, reading, position.start, since)
        inside &= written.keys()
        totals = _Totals()
        for part in parted(sorted(inside - waiting), reader.RANGE_KEYS):
            from tasks.rms.tickets import read_tickets

            frames = read_tickets(session.connection, reading, part)
            waiting |= _still_written(frames.tickets, frames.unsettled, position, bound)
            totals.add(frames.only(set(part) - waiting))
        orders = _read_orders(session, reading, position, bound, since, home_types, open_orders)
    faults.point("statement.read")
    tables = {**totals.tables(days, local.date(), orders.deposits), "open_orders": orders.open}
    warn_of_held_back(store, STREAM_STATEMENT, held_back)
    newest = max((number for number, at in written.items() if at < bound), default=0)
    numbers = [
        (epoch, TICKET, first, last, state)
        for epoch, first, last, state in _number_ranges(
            position, written.keys(), waiting, newest, max(held_back, default=0)
        )
    ]
    numbers += [(position.epoch_of_order(n), ORDER, n, n, "waiting") for n in sorted(orders.waiting)]
    tables["numbers"] = _number_frame(store, numbers)
    for role in ("days", "day_tenders", "deposits"):
        tables[role].insert(0, "store", store)
    report = replace(_report(store, tables, numbers), held_back=len(held_back))
    if dry_run:
        return report
    batch = _publish(folder, position, tables, report, bound, newest, utc_text(moment))
    faults.point("statement.published")
    return replace(report, batch=batch)


def _since(
    session: StoreSession,
    reading: reader.StoreReading,
    position: Position,
    days: int | None,
    local: datetime,
) -> datetime | None:
    """A local time before all that can fall into the period; None if that is everything.

    A till whose clock runs ahead does not move it.
    """
    if days is None:
        return None
    tomorrow = datetime.combine(local.date() + timedelta(days=1), time.min)
    newest = reader.newest_counted(session.connection, reading, position.start, tomorrow)
    if newest is None:
        return None
    return datetime.combine(newest.date() - timedelta(days=days - 1) - MARGIN, time.min)


def _still_written(
    headers: pd.DataFrame, unsettled: Collection[int], position: Position, bound: int
) -> set[int]:
    """Documents of which the export has not published, or will not have published, what was read here."""
    rows = zip(headers["number"].tolist(), headers["rowversion"].tolist(), strict=True)
    # What did not settle but lies below the mark was published flagged, and is stated.
    return {
        number
        for number, rowversion in rows
        if rowversion >= bound or (number in unsettled and rowversion > position.resume.rowversion)
    }


@dataclass(frozen=True)
class _Orders:
    """What the store says of its layaways and backorders."""

    open: pd.DataFrame
    """The file `open_orders`."""
    deposits: list[pd.DataFrame]
    """Parts of the file `deposits`, without the store."""
    waiting: set[int]
    """Numbers of orders that are open here or in the hub, of which the state cannot be told yet."""


def _read_orders(
    session: StoreSession,
    reading: reader.StoreReading,
    position: Position,
    bound: int,
    since: datetime | None,
    home_types: Sequence[int],
    open_orders: Collection[int],
) -> _Orders:
    """Open orders as of the bound, and the deposits written until then and counted since a local time.

    A deposit is left out by its own row: what lies below the bound was published, whatever became of the
    order later.
    """
    import pandas as pd

    from tasks.rms.orders import read_orders

    connection, store_id = session.connection, session.store_id
    closed = NumberRanges(position.closed_orders)
    still_open = {number for number in open_orders if number not in closed}
    deposits = deposits_since(connection, reading, position.start, bound, since)
    types = reader.order_types(connection, store_id, set(deposits.orders.values()))
    wanted = still_open | {n for n, kind in types.items() if kind not in home_types and n not in closed}
    waiting = still_open & position.waiting_numbers(ORDER).keys()
    stated: list[pd.DataFrame] = []
    sums: list[pd.DataFrame] = []
    for part in parted(sorted(wanted), reader.RANGE_KEYS):
        frames = read_orders(connection, reading, part)
        waiting |= still_open & _still_written(frames.orders, frames.unsettled, position, bound)
        headers = frames.orders
        stated.append(headers[headers["number"].isin(still_open - waiting)])
        sums.append(_deposit_sums(frames, deposits))
    later = reader.find_changed_orders(connection, store_id, Mark(rowversion=bound - 1), _NO_BOUND, None)
    waiting |= later.keys() & position.open_orders
    columns = list(FILES[STREAM_STATEMENT]["open_orders"])
    as_stated = pd.concat(stated, ignore_index=True)[columns] if stated else pd.DataFrame(columns=columns)
    return _Orders(as_stated, sums, waiting)


_NO_BOUND = 2**63 - 1
"""Above every rowversion."""


def _deposit_sums(frames: OrderFrames, deposits: Deposits) -> pd.DataFrame:
    history = frames.history[frames.history["entry_id"].isin(deposits.orders)]
    tenders = frames.tenders[~frames.tenders["entry_id"].isin(deposits.late_tenders)]
    tendered = tenders.groupby("history_id")["amount"].sum()
    rows = history.assign(
        entries=1,
        amount=history["delta_deposit"],
        tendered=history["entry_id"].map(tendered).fillna(0).astype("int64"),
    )
    return rows.groupby(DEPOSIT_KEYS, as_index=False)[DEPOSIT_SUMS].sum()


class _Totals:
    """Sums of tickets per day and of tenders per day, gathered part by part."""

    def __init__(self) -> None:
        self.days: list[pd.DataFrame] = []
        self.tenders: list[pd.DataFrame] = []

    def add(self, frames: TicketFrames) -> None:
        """Count some tickets."""
        tickets = frames.tickets.assign(tickets=1, lines=frames.tickets["line_count"])
        self.days.append(tickets.groupby(DAY_KEYS, as_index=False)[DAY_SUMS].sum())
        tenders = frames.tenders.merge(frames.tickets[["number", "business_date", "z_batch"]], on="number")
        self.tenders.append(tenders.groupby(TENDER_KEYS, as_index=False)[["amount"]].sum())

    def tables(self, days: int | None, today: date, deposits: list[pd.DataFrame]) -> dict[str, pd.DataFrame]:
        """The files `days`, `day_tenders` and `deposits`, cut to the period, which tickets tell."""
        tables = {
            "days": _summed(self.days, DAY_KEYS, DAY_SUMS),
            "day_tenders": _summed(self.tenders, TENDER_KEYS, ["amount"]),
            "deposits": _summed(deposits, DEPOSIT_KEYS, DEPOSIT_SUMS),
        }
        dates = tables["days"]["business_date"].tolist()
        if days is None or not dates:
            return tables
        newest = max((day for day in dates if day <= today.isoformat()), default=max(dates))
        first = (date.fromisoformat(newest) - timedelta(days=days - 1)).isoformat()
        return {
            role: table[table["business_date"] >= first].reset_index(drop=True)
            for role, table in tables.items()
        }


def _summed(parts: list[pd.DataFrame], keys: list[str], sums: list[str]) -> pd.DataFrame:
    import pandas as pd

    if not parts:
        return pd.DataFrame(columns=[*keys, *sums])
    return pd.concat(parts, ignore_index=True).groupby(keys, as_index=False)[sums].sum()


NumberRange = tuple[int, int, int, str]
"""(epoch, first, last, state)"""


def _number_ranges(
    position: Position, present: Collection[int], waiting: set[int], newest: int, held_back: int
) -> list[NumberRange]:
    """States of all numbers up to the newest ticket; gaps count as absent above the start mark.

    From there up to the newest ticket that is held back all wait: what is open may yet fill the gaps.
    """
    ranges: list[NumberRange] = []

    def state(first: int, last: int, of: str) -> None:
        for epoch, low, high in _by_epoch(position, first, last):
            before = ranges[-1] if ranges else None
            if before is not None and (before[0], before[2] + 1, before[3]) == (epoch, low, of):
                ranges[-1] = (epoch, before[1], high, of)
            else:
                ranges.append((epoch, low, high, of))

    expected = position.start.ticket_number + 1
    for number in sorted(n for n in present if n <= newest):
        if number > expected:
            state(expected, number - 1, "absent")
        state(number, number, "waiting" if number in waiting else "present")
        expected = max(expected, number + 1)
    if held_back >= expected:
        state(expected, held_back, "waiting")
    return ranges


def _by_epoch(position: Position, first: int, last: int) -> Iterable[tuple[int, int, int]]:
    """(epoch, first, last) of the parts of a range, cut where an epoch starts."""
    cuts = sorted({e.after_number for e in position.epochs if first <= e.after_number < last})
    for low, high in zip([first, *(cut + 1 for cut in cuts)], [*cuts, last], strict=True):
        yield position.epoch_of(low), low, high


StatedRange = tuple[int, str, int, int, str]
"""(epoch, source, first, last, state)"""


def _number_frame(store: str, ranges: list[StatedRange]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        [(store, *of) for of in ranges],
        columns=list(FILES[STREAM_STATEMENT]["numbers"]),
    )


def _report(store: str, tables: dict[str, pd.DataFrame], numbers: list[StatedRange]) -> StatementReport:
    days = tables["days"]
    dates = days["business_date"].tolist()

    def count(wanted: str) -> int:
        return sum(last - first + 1 for *_, first, last, state in numbers if state == wanted)

    return StatementReport(
        store=store,
        batch=None,
        first_date=min(dates, default=""),
        last_date=max(dates, default=""),
        days=len(days),
        tickets=int(days["tickets"].sum()),
        lines=int(days["lines"].sum()),
        units=sum(days["units"].tolist()),
        money=sum(days["total"].tolist()),
        deposits=sum(tables["deposits"]["amount"].tolist()),
        open_orders=len(tables["open_orders"]),
        waiting=count("waiting"),
        absent=count("absent"),
    )


def _publish(
    folder: Folder,
    position: Position,
    tables: dict[str, pd.DataFrame],
    report: StatementReport,
    bound: int,
    newest: int,
    created_utc: str,
) -> str:
    from data_contracts.frames import write_csv

    read_to = Mark(rowversion=bound - 1, ticket_number=newest)
    manifest = batches.publish_batch(
        folder,
        batches.Draft(
            program_version=program_version(),
            store=report.store,
            epoch=position.epochs[-1].epoch,
            stream=STREAM_STATEMENT,
            created_utc=created_utc,
            documents=report.tickets,
            units=report.units,
            money=report.money,
            bound=bound,
            range_from=position.start,
            range_to=read_to,
            position=Position(resume=read_to, swept=read_to, start=position.start, epochs=position.epochs),
        ),
        {
            role: batches.Content(write_csv(tables[role], columns), len(tables[role]))
            for role, columns in FILES[STREAM_STATEMENT].items()
        },
    )
    return manifest.path
