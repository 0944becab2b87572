"""Publishes what a store's tills have rung and changed since the last export. Never writes into RMS.

An export that is interrupted anywhere loses nothing: the position travels in the manifest that commits a
batch, and lies below everything that is not published yet. Loads no pandas while there is nothing to read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING

from data_contracts.documents import MAX_BATCH_LINES, STREAM_ORDERS, TICKET
from data_contracts.manifest import Head, LastTicket, Mark, Position, Waiting
from tasks import faults
from tasks.exchange import batches
from tasks.exchange.folder import Folder, open_folder
from tasks.rms import reader
from tasks.settings import Settings
from tasks.use_cases.publishing import UNSETTLED, flag, last_ticket_changed, publish_tickets, sums
from tasks.use_cases.store_session import (
    NumberRanges,
    StoreSession,
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
    from tasks.rms.tickets import TicketFrames

logger = logging.getLogger(__name__)

faults.declare("export.bound_read", "export.tickets_read", "export.batch_published")


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
    waiting: int = 0
    """Tickets that RMS has not finished writing; they are read again in each cycle."""
    unsettled: int = 0
    """Tickets published although they had not settled in time; the hub quarantines them."""
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
    now: Callable[[], datetime] = utc_now,
) -> ExportReport:
    """Publish new and changed tickets as batches of the orders stream.

    An ordinary cycle reads what changed since `resume`, down to `number_lookback` tickets (and five times
    as many lines and tenders) below the highest read. A sweep reads what changed since `swept` whatever
    its number, so that late uploads with old numbers arrive too. A dry run reads the same and writes
    nothing.

    Raises `NotBaselined`, `CursorWentBack` (the database was restored), `StoreUnavailable`,
    `TransferInterrupted`, `SchemaMismatch` and `ConfigurationError`; batches published until then stay.
    """
    folder = open_folder(settings.exchange_url)
    head = position_of(folder, store)
    position = head.position
    lookback = settings.store(store).number_lookback
    above_number = max(0, position.resume.ticket_number - lookback)
    with open_store(settings, store, above_number=0 if sweep else above_number) as session:
        given_out, bound = read_bounds(session)
        faults.point("export.bound_read")
        check_same_database(session, position)
        above = position.swept if sweep else position.resume
        changed = reader.find_changed_tickets(
            session.connection, session.store_id, above, bound, None if sweep else lookback
        )
        history = NumberRanges(position.history)
        pending = {number: found for number, found in changed.items() if number not in history}
        for entry in position.waiting:
            pending.setdefault(entry.number, reader.Changed())
        held_back = reader.held_back(session.connection, session.store_id, bound, given_out, above_number)
        held_back = [number for number in held_back if number not in history]
        warn_of_held_back(store, STREAM_ORDERS, held_back)
        export = _Export(settings, session, folder, head, bound, sweep, dry_run, now())
        export.saw(changed.values())
        old = sum(number in history for number in changed)
        export.report = ExportReport(
            store, sweep=sweep, dry_run=dry_run, before_baseline=old, held_back=len(held_back)
        )
        if pending:
            export.publish(pending)
        export.finish(pending)
    report = export.report
    if not report.tickets:
        logger.info("%s/orders: nothing new below rowversion %s, %s waiting", store, bound, report.waiting)
    return report


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
        self.settle = timedelta(minutes=settings.store(session.store).settle_minutes)
        self.lookback = settings.store(session.store).number_lookback
        self.before = head.position
        self.position = head.position
        self.waiting = {entry.number: entry for entry in head.position.waiting}
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

    def publish(self, pending: dict[int, reader.Changed]) -> None:
        """Read and publish tickets (number -> what changed, nothing if it only waits)."""
        from tasks.rms.tickets import read_tickets

        reading = store_reading(self.settings, self.session, self.before)
        if last_ticket_changed(self.session, reading, self.before) and self.before.last_ticket:
            pending.setdefault(self.before.last_ticket.number, reader.Changed())
        ordered = sorted(pending, key=lambda number: (pending[number].rowversion, number))
        counts = reader.count_lines(self.session.connection, self.session.store_id, ordered)
        done = 0
        for chunk in cut(ordered, counts):
            frames = read_tickets(self.session.connection, reading, chunk)
            faults.point("export.tickets_read")
            done += len(chunk)
            ready, flagged = self._settle(chunk, frames)
            read = max(frames.tickets["number"].tolist(), default=0)
            self.highest = _greater(self.highest, Mark(ticket_number=read))
            self._move(pending, ordered[done:])
            if ready:
                self._publish(flag(frames.only(ready), flagged))

    def finish(self, pending: Mapping[int, reader.Changed]) -> None:
        """Write where the export stands where no manifest says it."""
        self._move(pending, ())
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

    def _settle(self, chunk: Sequence[int], frames: TicketFrames) -> tuple[set[int], set[int]]:
        """(numbers to publish, those of them that are flagged); the others go on the waiting list."""
        present = set(frames.tickets["number"].tolist())
        flagged: set[int] = set()
        held: set[int] = set()
        for number in frames.unsettled:
            entry = self.waiting.get(number) or Waiting(
                source=TICKET, number=number, first_seen_utc=utc_text(self.now)
            )
            waited = self.now - from_utc_text(entry.first_seen_utc)
            # What moved under our eyes may be torn: it is read again, however long it waits.
            if number not in frames.moved and waited >= self.settle:
                # Without a tender, but its lines make up the total: RMS has it so, nothing is unfinished.
                if number not in frames.untendered:
                    flagged.add(number)
            else:
                self.waiting[number] = entry
                held.add(number)
        # Lines without a header need no waiting: the header brings a rowversion of its own.
        for number in chunk:
            if number not in held:
                self.waiting.pop(number, None)
        return present - held, flagged

    def _move(self, pending: Mapping[int, reader.Changed], rest: Sequence[int]) -> None:
        """Move the marks to just below what is not published yet; past everything read if nothing is left."""
        before = self.before.resume
        # Those that only wait are read again by key and hold nothing back.
        left = {number: pending[number] for number in rest if pending[number].rowversion > 0}
        entries_back = reader.entries_back(self.lookback)
        mark = Mark(
            rowversion=min((found.rowversion for found in left.values()), default=self.bound) - 1,
            ticket_number=_reaching(before.ticket_number, self.highest.ticket_number, self.lookback, left),
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
                "waiting": tuple(self.waiting[n] for n in sorted(self.waiting)),
            }
        )

    def _publish(self, frames: TicketFrames) -> None:
        self.position = self.position.model_copy(
            update={"last_ticket": _last_ticket(self.session, self.position.last_ticket, frames)}
        )
        units, money = sums(frames)
        unsettled = int(frames.tickets["flags"].str.contains(UNSETTLED, regex=False).sum())
        published = self.report.batches
        if not self.dry_run:
            manifest = publish_tickets(
                self.folder,
                self.session.store,
                frames,
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
            tickets=self.report.tickets + len(frames.tickets),
            lines=self.report.lines + len(frames.lines),
            units=self.report.units + units,
            money=self.report.money + money,
            unsettled=self.report.unsettled + unsettled,
        )


def cut(ordered: Sequence[int], counts: Mapping[int, int]) -> Iterator[list[int]]:
    """Parts of at most 50,000 lines, documents whole."""
    chunk: list[int] = []
    lines = 0
    for number in ordered:
        count = counts.get(number, 0)
        if chunk and lines + count > MAX_BATCH_LINES:
            yield chunk
            chunk, lines = [], 0
        chunk.append(number)
        lines += count
    if chunk:
        yield chunk


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


def _head_of(sequence: int, batch_id: str, head: Head, position: Position, now: datetime) -> Head:
    return Head(
        store=head.store,
        stream=head.stream,
        sequence=sequence,
        batch_id=batch_id,
        position=position,
        checked_utc=utc_text(now),
    )
