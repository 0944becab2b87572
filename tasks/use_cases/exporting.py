"""Publishes what a store's tills have rung and changed since the last export. Never writes into RMS.

An export that is interrupted anywhere loses nothing: the position travels in the manifest that commits a
batch, and lies below everything that is not published yet. Loads no pandas while there is nothing to read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from data_contracts.documents import MAX_BATCH_LINES, TICKET
from data_contracts.manifest import Head, LastTicket, Mark, Position, Waiting
from tasks import faults
from tasks.exchange import batches
from tasks.exchange.folder import Folder, open_folder
from tasks.rms import reader
from tasks.rms.dialects import read_bound
from tasks.settings import Settings
from tasks.use_cases.publishing import UNSETTLED, check_last_ticket, flag, publish_tickets, sums
from tasks.use_cases.store_session import (
    NumberRanges,
    StoreSession,
    check_same_database,
    from_utc_text,
    open_store,
    position_of,
    store_reading,
    utc_now,
    utc_text,
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


def export_orders(
    settings: Settings,
    store: str,
    *,
    sweep: bool = False,
    dry_run: bool = False,
    now: Callable[[], datetime] = utc_now,
) -> ExportReport:
    """Publish new and changed tickets as batches of the orders stream.

    An ordinary cycle reads what changed since `resume`, down to `number_lookback` below the highest
    number read. A sweep reads what changed since `swept` whatever its number, so that late uploads with
    old numbers arrive too. A dry run reads the same and writes nothing.

    Raises `NotBaselined`, `CursorWentBack` (the database was restored), `StoreUnavailable`,
    `TransferInterrupted`, `SchemaMismatch` and `ConfigurationError`; batches published until then stay.
    """
    folder = open_folder(settings.exchange_url)
    head = position_of(folder, store)
    position = head.position
    lookback = settings.store(store).number_lookback
    above_number = max(0, position.resume.ticket_number - lookback)
    with open_store(settings, store, above_number=0 if sweep else above_number) as session:
        bound = read_bound(session.connection)
        faults.point("export.bound_read")
        check_same_database(session, position)
        above = position.swept if sweep else position.resume
        changed = reader.find_changed_tickets(
            session.connection, session.store_id, above, bound, None if sweep else lookback
        )
        history = NumberRanges(position.history)
        pending = {number: at for number, at in changed.items() if number not in history}
        for entry in position.waiting:
            pending.setdefault(entry.number, 0)
        export = _Export(settings, session, folder, head, bound, sweep, dry_run, now())
        old = sum(number in history for number in changed)
        export.report = ExportReport(store, sweep=sweep, dry_run=dry_run, before_baseline=old)
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
        self.session = session
        self.folder = folder
        self.head = head
        self.bound = bound
        self.sweep = sweep
        self.dry_run = dry_run
        self.now = now
        self.settle = timedelta(minutes=settings.store(session.store).settle_minutes)
        self.lookback = settings.store(session.store).number_lookback
        self.reading = store_reading(settings, session, head.position)
        self.before = head.position
        self.position = head.position
        self.waiting = {entry.number: entry for entry in head.position.waiting}
        self.highest = head.position.resume.ticket_number
        self.report = ExportReport(session.store)

    def publish(self, pending: Mapping[int, int]) -> None:
        """Read and publish tickets (number -> greatest changed rowversion, 0 if only waiting)."""
        from tasks.rms.tickets import read_tickets

        check_last_ticket(self.session, self.reading, self.before, self.lookback)
        ordered = sorted(pending, key=lambda number: (pending[number], number))
        counts = reader.count_lines(self.session.connection, self.session.store_id, ordered)
        done = 0
        for chunk in cut(ordered, counts):
            frames = read_tickets(self.session.connection, self.reading, chunk)
            faults.point("export.tickets_read")
            done += len(chunk)
            ready, flagged = self._settle(chunk, frames)
            self.highest = max(self.highest, *frames.tickets["number"].tolist(), 0)
            self._move(pending, ordered[done:])
            if ready:
                self._publish(flag(frames.only(ready), flagged))

    def finish(self, pending: Mapping[int, int]) -> None:
        """Write where the export stands where no manifest says it."""
        self._move(pending, ())
        self.report = replace(self.report, waiting=len(self.waiting))
        if self.dry_run:
            return
        checked = self.head.model_copy(
            update={"position": self.position, "checked_utc": utc_text(self.now), "signature": None}
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
                flagged.add(number)
            else:
                self.waiting[number] = entry
                held.add(number)
        # Lines without a header need no waiting: the header brings a rowversion of its own.
        for number in chunk:
            if number not in held:
                self.waiting.pop(number, None)
        return present - held, flagged

    def _move(self, pending: Mapping[int, int], rest: Sequence[int]) -> None:
        """Move the marks to just below what is not published yet; past everything read if nothing is left."""
        before = self.before
        # Those that only wait are read again by key and hold nothing back.
        open_numbers = [number for number in rest if pending[number] > 0]
        rowversion = min((pending[number] for number in open_numbers), default=self.bound) - 1
        in_reach = [n for n in open_numbers if n > before.resume.ticket_number - self.lookback]
        number = min([self.highest, *(n + self.lookback - 1 for n in in_reach)])
        number = max(number, before.resume.ticket_number)
        resume = Mark(rowversion=max(rowversion, before.resume.rowversion), ticket_number=number)
        swept = (
            Mark(
                rowversion=max(rowversion, before.swept.rowversion),
                ticket_number=max(number, before.swept.ticket_number),
            )
            if self.sweep
            else before.swept
        )
        self.position = self.position.model_copy(
            update={
                "resume": resume,
                "swept": swept,
                "waiting": tuple(self.waiting[n] for n in sorted(self.waiting)),
            }
        )

    def _publish(self, frames: TicketFrames) -> None:
        self.position = self.position.model_copy(
            update={"last_ticket": _last_ticket(self.position.last_ticket, frames)}
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


def _last_ticket(before: LastTicket | None, frames: TicketFrames) -> LastTicket:
    """The ticket with the highest number published so far, as it was published last."""
    newest = frames.tickets.iloc[-1]
    number = int(newest["number"])
    if before is not None and before.number > number:
        return before
    return LastTicket(number=number, revision=str(newest["revision"]))


def _head_of(sequence: int, batch_id: str, head: Head, position: Position, now: datetime) -> Head:
    return Head(
        store=head.store,
        stream=head.stream,
        sequence=sequence,
        batch_id=batch_id,
        position=position,
        checked_utc=utc_text(now),
    )
