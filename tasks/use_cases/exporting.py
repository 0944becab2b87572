"""Publishes the tickets and orders that a store's tills wrote since the last export. Never writes into RMS.

An export that is interrupted anywhere loses nothing: the position travels in the manifest that commits a
batch, and lies below everything that is not published yet. Loads no pandas while there is nothing to read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from data_contracts.documents import MAX_BATCH_LINES, ORDER, STREAM_ORDERS, TICKET
from data_contracts.manifest import Head, LastTicket, Mark, Position, Waiting
from tasks import faults
from tasks.exchange import batches
from tasks.exchange.folder import Folder, open_folder
from tasks.rms import reader
from tasks.settings import Settings
from tasks.use_cases.publishing import (
    Progress,
    flag,
    flag_orders,
    last_ticket_changed,
    publish_documents,
    recalled_by,
    sums,
    tell_nobody,
    travelling,
)
from tasks.use_cases.store_session import (
    NumberRanges,
    StoreSession,
    begins_epoch,
    check_same_database,
    from_utc_text,
    open_store,
    position_of,
    read_bounds,
    store_reading,
    utc_now,
    utc_text,
    warn_of_held_back,
)

if TYPE_CHECKING:
    from tasks.rms.orders import OrderFrames
    from tasks.rms.tickets import TicketFrames

logger = logging.getLogger(__name__)

faults.declare("export.bound_read", "export.tickets_read", "export.orders_read", "export.batch_published")

Key = tuple[str, int]
"""Source and number of a document."""
K = TypeVar("K", int, Key)


@dataclass(frozen=True)
class ExportReport:
    """What an export did. Units and money in ten-thousandths."""

    store: str
    sweep: bool = False
    dry_run: bool = False
    batches: tuple[str, ...] = ()
    """Batches published, as `S1/orders/000412-9f2c51d07ab3`; none in a dry run."""
    tickets: int = 0
    lines: int = 0
    units: int = 0
    money: int = 0
    """Lines, units and money of the tickets."""
    orders: int = 0
    """Snapshots of layaways and backorders."""
    deposits: int = 0
    """Sum of all their changes of deposit, raw."""
    waiting: int = 0
    """Tickets and orders that RMS has not finished writing; they are read again in each cycle."""
    unsettled: int = 0
    """Those published although they had not settled in time; the hub quarantines them."""
    before_baseline: int = 0
    """Changed tickets that RMS already held at the baseline; left alone."""
    held_back: int = 0
    """Tickets that a transaction open in RMS since before them keeps from being read."""


def export_orders(
    settings: Settings,
    store: str,
    *,
    sweep: bool = False,
    dry_run: bool = False,
    progress: Progress = tell_nobody,
    now: Callable[[], datetime] = utc_now,
) -> ExportReport:
    """Publish new and changed tickets and orders as batches of the orders stream.

    An ordinary cycle reads what changed since `resume`, down to `number_lookback` tickets (and five times
    as many lines and tenders) below the highest read. A sweep reads what changed since `swept` whatever
    its number, so that late uploads with old numbers arrive too, and all open orders: a line that was
    deleted leaves no trace but in them. A deletion that RMS logged makes an ordinary cycle read them too.
    With a pick-up travels the order it took from. A dry run reads the same and writes nothing.

    Raises `NotBaselined`, `CursorWentBack` (the database was restored), `StoreUnavailable`,
    `TransferInterrupted`, `SchemaMismatch` and `ConfigurationError`; batches published until then stay.
    """
    with open_folder(settings) as folder:
        return _export(settings, folder, store, sweep, dry_run, progress, now)


def _export(
    settings: Settings,
    folder: Folder,
    store: str,
    sweep: bool,
    dry_run: bool,
    progress: Progress,
    now: Callable[[], datetime],
) -> ExportReport:
    head = position_of(folder, store)
    position = head.position
    lookback = settings.store(store).number_lookback
    above_number = max(0, position.resume.ticket_number - lookback)
    with open_store(settings, store, above_number=0 if sweep else above_number) as session:
        given_out, bound = read_bounds(session)
        faults.point("export.bound_read")
        check_same_database(session, position)
        above = position.swept if sweep else position.resume
        window = None if sweep else lookback
        changed = reader.find_changed_tickets(session.connection, session.store_id, above, bound, window)
        history = NumberRanges(position.history)
        tickets = {number: found for number, found in changed.items() if number not in history}
        for number in position.waiting_numbers(TICKET):
            tickets.setdefault(number, reader.Changed())
        orders_changed = reader.find_changed_orders(
            session.connection, session.store_id, above, bound, window
        )
        home_types = settings.store(store).codes.home_order_types
        orders = _orders_to_read(session, position, orders_changed, above, bound, home_types, all_open=sweep)
        if begins_epoch(position, tickets, orders):
            from tasks.use_cases.common_documents import refuse_former_database

            refuse_former_database(session, store_reading(settings, session, position), folder, position)
        held_back = reader.held_back(session.connection, session.store_id, bound, given_out, above_number)
        held_back = [number for number in held_back if number not in history]
        warn_of_held_back(store, STREAM_ORDERS, held_back)
        export = _Export(settings, session, folder, head, bound, sweep, dry_run, now())
        export.saw(chain(changed.values(), orders_changed.values()))
        old = sum(number in history for number in changed)
        export.report = ExportReport(
            store, sweep=sweep, dry_run=dry_run, before_baseline=old, held_back=len(held_back)
        )
        if tickets or orders:
            export.publish(tickets, orders, progress)
        export.finish()
    report = export.report
    if not report.tickets and not report.orders:
        logger.info("%s/orders: nothing new below rowversion %s, %s waiting", store, bound, report.waiting)
    return report


def _orders_to_read(
    session: StoreSession,
    position: Position,
    changed: Mapping[int, reader.Changed],
    above: Mark,
    bound: int,
    home_types: Sequence[int],
    *,
    all_open: bool,
) -> dict[int, reader.Changed]:
    """Numbers of orders to read -> what changed; among them those to be found deleted.

    Of those that were closed at the start mark only what has been opened again; of those that stay in the
    store only what was published as open before it became such.
    """
    connection, store_id = session.connection, session.store_id
    waiting = position.waiting_numbers(ORDER)
    pending = {**dict.fromkeys(waiting, reader.Changed()), **changed}
    if all_open or reader.deletions_logged(connection, store_id, above.rowversion, bound):
        # Until the last of them is published no mark may pass what was logged.
        read_again = reader.Changed(above.rowversion + 1)
        open_now = reader.open_order_numbers(connection, store_id, home_types)
        for number in open_now.union(position.open_orders):
            pending.setdefault(number, read_again)
    at_start = NumberRanges(position.closed_orders)
    closed = {number for number in pending if number in at_start}
    if closed:
        closed -= reader.open_order_numbers(connection, store_id, home_types)
    kept = waiting.keys() | position.open_orders
    types = reader.order_types(connection, store_id, pending.keys() - kept)
    # Lines without a header need no reading: the header brings a rowversion of its own.
    kept |= {number for number, kind in types.items() if kind not in home_types}
    return {number: found for number, found in pending.items() if number in kept and number not in closed}


class _Export:
    """One export under one bound: reads and publishes batch by batch, and keeps the position true."""

    def __init__(
        self,
        settings: Settings,
        session: StoreSession,
        folder: Folder,
        head: Head,
        bound: int,
        sweep: bool,
        dry_run: bool,
        now: datetime,
    ) -> None:
        self.settings = settings
        self.session = session
        self.folder = folder
        self.head = head
        self.bound = bound
        self.sweep = sweep
        self.dry_run = dry_run
        self.now = now
        configured = settings.store(session.store)
        self.settle = timedelta(minutes=configured.settle_minutes)
        self.lookback = configured.number_lookback
        self.home_types = configured.codes.home_order_types
        self.before = head.position
        self.position = head.position
        self.waiting = {(entry.source, entry.number): entry for entry in head.position.waiting}
        self.highest = head.position.resume
        self.report = ExportReport(session.store)

    def saw(self, changed: Iterable[reader.Changed]) -> None:
        """Remember the highest ids of lines and tenders that were found, so that the marks reach them."""
        found = list(changed)
        highest = {
            "entry_id": max(chain.from_iterable(c.entries for c in found), default=0),
            "tender_entry_id": max(chain.from_iterable(c.tenders for c in found), default=0),
        }
        self.highest = _greater(self.highest, Mark(**highest))

    def publish(
        self, tickets: dict[int, reader.Changed], orders: Mapping[int, reader.Changed], progress: Progress
    ) -> None:
        """Read and publish tickets and orders (number -> what changed, nothing if it only waits).

        Orders come before tickets, and once more with a pick-up of them that stands in another part.
        """
        reading = store_reading(self.settings, self.session, self.before)
        if last_ticket_changed(self.session, reading, self.before) and self.before.last_ticket:
            tickets.setdefault(self.before.last_ticket.number, reader.Changed())
        pending: dict[Key, reader.Changed] = {(ORDER, number): found for number, found in orders.items()}
        pending |= {(TICKET, number): found for number, found in tickets.items()}
        ordered = sorted(pending, key=lambda key: (key[0] != ORDER, pending[key].rowversion, key[1]))
        counts = count_lines(self.session, tickets, orders, reading.recall_order)
        done = 0
        for part in told(list(cut(ordered, counts)), progress):
            done += len(part)
            read = self._read_tickets(reading, [number for source, number in part if source == TICKET])
            wanted = {number for source, number in part if source == ORDER}
            if read is not None:
                # One that was closed at the start mark has been opened again since.
                wanted |= recalled_by(read, reading, self.home_types, self.position.open_orders)
            snapshots = self._read_orders(reading, wanted)
            self._move(pending, ordered[done:])
            if read is not None or snapshots is not None:
                self._publish(read, snapshots)

    def _read_tickets(self, reading: reader.StoreReading, numbers: Sequence[int]) -> TicketFrames | None:
        """Those of the tickets that are to be published now."""
        from tasks.rms.tickets import read_tickets

        if not numbers:
            return None
        frames = read_tickets(self.session.connection, reading, numbers)
        faults.point("export.tickets_read")
        present = set(frames.tickets["number"].tolist())
        self.highest = _greater(self.highest, Mark(ticket_number=max(present, default=0)))
        held, late = self._settle(TICKET, numbers, frames.moved, frames.unsettled)
        # Without a tender, but its lines make up the total: RMS has it so, nothing is unfinished.
        return flag(frames.only(present - held), late - frames.untendered) if present - held else None

    def _read_orders(self, reading: reader.StoreReading, numbers: set[int]) -> OrderFrames | None:
        """Those of the orders that are to be published now, the deleted ones among them."""
        from tasks.rms.orders import deleted_orders, read_orders

        if not numbers:
            return None
        connection, published = self.session.connection, self.position.open_orders
        read = read_orders(connection, reading, sorted(numbers))
        faults.point("export.orders_read")
        gone = numbers.intersection(published).difference(read.numbers)
        # To close an order in the hub for good one look is not enough.
        seen_later = reader.existing_orders(connection, self.session.store_id, gone)
        gone -= seen_later
        frames = travelling(read, self.home_types, published)
        held, late = self._settle(
            ORDER,
            numbers,
            frames.moved | seen_later,
            frames.unsettled | seen_later,
            as_published=self._stayed_empty(frames),
        )
        ready = set(frames.numbers) - held
        if not ready and not gone:
            return None
        chosen = flag_orders(frames.only(ready), late)
        return chosen.with_deleted(deleted_orders(reading, gone, self.now)) if gone else chosen

    def _stayed_empty(self, frames: OrderFrames) -> set[int]:
        """Orders without a line that a sweep comes across and of which nothing was written since long."""
        if not self.sweep:
            return set()
        rowversions = zip(frames.numbers, frames.orders["rowversion"].tolist(), strict=True)
        return {
            number
            for number, rowversion in rowversions
            if number in frames.incomplete
            and number in self.position.open_orders
            and rowversion <= self.before.resume.rowversion
            and (ORDER, number) not in self.waiting
        }

    def finish(self) -> None:
        """Write where the export stands where no manifest says it."""
        self._move({}, ())
        self.report = replace(self.report, waiting=len(self.waiting))
        if self.dry_run:
            return
        checked = self.head.model_copy(
            update={
                "position": self.position,
                "checked_utc": utc_text(self.now),
                "held_back": self.report.held_back,
                "signature": None,
            }
        )
        if checked != self.head:
            batches.replace_head(self.folder, checked)

    def _settle(
        self,
        source: str,
        numbers: Iterable[int],
        moved: Collection[int],
        unsettled: Collection[int],
        *,
        as_published: Collection[int] = (),
    ) -> tuple[set[int], set[int]]:
        """(numbers that go on the waiting list, unsettled ones that are published all the same).

        Those in `as_published` have waited before.
        """
        held: set[int] = set()
        late: set[int] = set()
        for number in unsettled:
            entry = self.waiting.get((source, number)) or Waiting(
                source=source, number=number, first_seen_utc=utc_text(self.now)
            )
            waited = self.now - from_utc_text(entry.first_seen_utc)
            # What moved under our eyes may be torn: it is read again, however long it waits.
            if number not in moved and (waited >= self.settle or number in as_published):
                late.add(number)
            else:
                self.waiting[source, number] = entry
                held.add(number)
        # Lines without a header need no waiting: the header brings a rowversion of its own.
        for number in numbers:
            if number not in held:
                self.waiting.pop((source, number), None)
        return held, late

    def _move(self, pending: Mapping[Key, reader.Changed], rest: Sequence[Key]) -> None:
        """Move the marks to just below what is not published yet; past everything read if nothing is left."""
        before = self.before.resume
        # Those that only wait are read again by key and hold nothing back.
        left = {key: pending[key] for key in rest if pending[key].rowversion > 0}
        entries_back = reader.entries_back(self.lookback)
        mark = Mark(
            rowversion=min((found.rowversion for found in left.values()), default=self.bound) - 1,
            ticket_number=_reaching(
                before.ticket_number,
                self.highest.ticket_number,
                self.lookback,
                (number for source, number in left if source == TICKET),
            ),
            entry_id=_reaching(
                before.entry_id,
                self.highest.entry_id,
                entries_back,
                chain.from_iterable(found.entries for found in left.values()),
            ),
            tender_entry_id=_reaching(
                before.tender_entry_id,
                self.highest.tender_entry_id,
                entries_back,
                chain.from_iterable(found.tenders for found in left.values()),
            ),
        )
        self.position = self.position.model_copy(
            update={
                "resume": _greater(before, mark),
                "swept": _greater(self.before.swept, mark) if self.sweep else self.before.swept,
                "waiting": tuple(self.waiting[key] for key in sorted(self.waiting)),
            }
        )

    def _publish(self, tickets: TicketFrames | None, orders: OrderFrames | None) -> None:
        if tickets is not None:
            last = _last_ticket(self.session, self.position.last_ticket, tickets)
            self.position = self.position.model_copy(update={"last_ticket": last})
        if orders is not None:
            still_open = _open_orders(self.position.open_orders, orders, self.home_types)
            still_closed = _without(self.position.closed_orders, orders.numbers)
            self.position = self.position.model_copy(
                update={"open_orders": still_open, "closed_orders": still_closed}
            )
        said = sums(tickets, orders)
        published = self.report.batches
        if not self.dry_run:
            manifest = publish_documents(
                self.folder,
                self.session.store,
                tickets,
                orders,
                self.position,
                created_utc=utc_text(self.now),
                bound=self.bound,
                range_from=self.before.swept if self.sweep else self.before.resume,
                range_to=self.position.swept if self.sweep else self.position.resume,
                before_baseline=0 if published else self.report.before_baseline,
            )
            faults.point("export.batch_published")
            published = (*published, manifest.path)
            self.head = _head_of(manifest.sequence, manifest.batch_id, self.head, self.position, self.now)
        self.report = replace(
            self.report,
            batches=published,
            tickets=self.report.tickets + said.tickets,
            lines=self.report.lines + said.lines,
            units=self.report.units + said.units,
            money=self.report.money + said.money,
            orders=self.report.orders + said.orders,
            deposits=self.report.deposits + said.deposits,
            unsettled=self.report.unsettled + said.unsettled,
        )


def count_lines(
    session: StoreSession, tickets: Iterable[int], orders: Iterable[int], recall_order: int
) -> dict[Key, int]:
    """Lines of tickets and orders; a pick-up counts with those of the order that travels with it."""
    connection, store_id, numbers = session.connection, session.store_id, list(tickets)
    recalled = reader.recalled_orders(connection, store_id, numbers, recall_order)
    of_orders = reader.count_order_lines(connection, store_id, {*orders, *recalled.values()})
    counts: dict[Key, int] = {(ORDER, number): count for number, count in of_orders.items()}
    for number, count in reader.count_lines(connection, store_id, numbers).items():
        counts[TICKET, number] = count + of_orders.get(recalled.get(number, 0), 0)
    return counts


def cut(ordered: Sequence[K], counts: Mapping[K, int]) -> Iterator[list[K]]:
    """Parts of at most 50,000 lines, documents whole."""
    chunk: list[K] = []
    lines = 0
    for document in ordered:
        count = counts.get(document, 0)
        if chunk and lines + count > MAX_BATCH_LINES:
            yield chunk
            chunk, lines = [], 0
        chunk.append(document)
        lines += count
    if chunk:
        yield chunk


def told(parts: Sequence[list[K]], progress: Progress) -> Iterator[list[K]]:
    """The parts one by one; where they are several, `progress` hears before each and after the last."""
    done, of = 0, sum(len(part) for part in parts)
    several = len(parts) > 1
    for part in parts:
        if several:
            progress(done, of)
        yield part
        done += len(part)
    if several:
        progress(done, of)


def _greater(one: Mark, other: Mark) -> Mark:
    """The greater of two marks in each of their parts."""
    return Mark(**{name: max(getattr(one, name), getattr(other, name)) for name in Mark.model_fields})


def _reaching(before: int, highest: int, lookback: int, unpublished: Iterable[int]) -> int:
    """The highest number or id read, or so much less that a search from it reaches what is not published."""
    in_reach = [found for found in unpublished if found > before - lookback]
    return min([highest, *(found + lookback - 1 for found in in_reach)])


def _last_ticket(session: StoreSession, before: LastTicket | None, frames: TicketFrames) -> LastTicket:
    """The ticket with the highest number published so far, as it was published last."""
    newest = frames.tickets.iloc[-1]
    number = int(newest["number"])
    if before is not None and before.number > number:
        return before
    lines = frames.lines["entry_id"][frames.lines["number"] == number].tolist()
    return LastTicket(
        number=number,
        revision=str(newest["revision"]),
        time=reader.ticket_time(session.connection, session.store_id, number) or "",
        first_entry_id=min(lines, default=0),
    )


def _open_orders(before: Iterable[int], published: OrderFrames, home_types: Sequence[int]) -> tuple[int, ...]:
    """Orders published as open and not yet as closed, or as one that stays in the store."""
    headers = published.orders
    rows = zip(published.numbers, headers["closed"].tolist(), headers["order_type"].tolist(), strict=True)
    still_open = set(before)
    for number, closed, kind in rows:
        if closed or kind in home_types:
            still_open.discard(number)
        else:
            still_open.add(number)
    return tuple(sorted(still_open))


def _without(ranges: Sequence[tuple[int, int]], numbers: Collection[int]) -> tuple[tuple[int, int], ...]:
    """The ranges without these numbers."""
    inside = NumberRanges(ranges)
    cut = sorted(number for number in numbers if number in inside)
    if not cut:
        return tuple(ranges)
    left: list[tuple[int, int]] = []
    for first, last in ranges:
        for number in cut:
            if first <= number <= last:
                left += [(first, number - 1)] if first < number else []
                first = number + 1
        left += [(first, last)] if first <= last else []
    return tuple(left)


def _head_of(sequence: int, batch_id: str, head: Head, position: Position, now: datetime) -> Head:
    return Head(
        store=head.store,
        stream=head.stream,
        sequence=sequence,
        batch_id=batch_id,
        position=position,
        checked_utc=utc_text(now),
    )
