"""Publishes a range of a store's tickets once more: a rejected batch, some numbers, some business dates.

The way forward for what the hub has refused or lost. It never moves the position, so the ordinary export
finds afterwards what it would have found; and what the hub has already, it knows by its hash.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING

from data_contracts.documents import STREAM_ORDERS
from data_contracts.manifest import Mark, Position
from tasks import faults
from tasks.exchange import batches
from tasks.exchange.folder import Folder, open_folder
from tasks.rms import reader
from tasks.rms.dialects import read_bound
from tasks.settings import Settings
from tasks.use_cases import selecting
from tasks.use_cases.exporting import cut
from tasks.use_cases.publishing import flag, publish_tickets, seen_mark, sums
from tasks.use_cases.store_session import (
    StoreSession,
    check_same_database,
    open_store,
    position_of,
    store_reading,
    utc_now,
    utc_text,
)

if TYPE_CHECKING:
    from tasks.rms.tickets import TicketFrames

logger = logging.getLogger(__name__)

faults.declare("resend.tickets_read", "resend.batch_published")


@dataclass(frozen=True)
class ResendReport:
    """What was sent again. Units and money in ten-thousandths."""

    store: str
    replaces: int | None = None
    """Sequence of the batch that was sent again, where one was named."""
    dry_run: bool = False
    batches: tuple[str, ...] = ()
    """Batches published, as `S1/orders/000413-9f2c51d07ab3`; none in a dry run."""
    tickets: int = 0
    lines: int = 0
    units: int = 0
    money: int = 0
    unsettled: int = 0
    """Tickets among them that never settled: flagged, as they were when first published."""
    left_to_export: int = 0
    """Tickets that RMS is still writing: the ordinary export publishes them once they stand."""
    before_baseline: int = 0
    """Tickets that RMS held at the baseline; they never travel."""
    absent: int = 0
    """Numbers under which RMS holds no ticket of this store."""


def resend(
    settings: Settings,
    store: str,
    *,
    batch: int | None = None,
    numbers: tuple[int, int] | None = None,
    dates: tuple[date, date] | None = None,
    dry_run: bool = False,
    now: Callable[[], datetime] = utc_now,
) -> ResendReport:
    """Read tickets again and publish them as new batches of the orders stream.

    Exactly one selection: `batch` (sequence of an orders batch, waiting or archived; the new ones say
    that they replace it), `numbers` (TransactionNumbers, first and last included) or `dates` (business
    dates by the store's rule, first and last included). Tickets travel as RMS has them now. Sending again
    what the hub has changes nothing there, and so does running this twice.

    Raises `ConfigurationError` (not one selection, no such batch), `ContractBroken` (the manifest of the
    batch cannot be read), and whatever `exporting.export_orders` raises; batches published until then stay.
    """
    selecting.check_selection(store, batch, numbers, dates)
    folder = open_folder(settings.exchange_url)
    position = position_of(folder, store).position
    replaced = selecting.find_manifests(folder, store, batch) if batch is not None else []
    with open_store(settings, store) as session:
        check_same_database(session, position)
        reading = store_reading(settings, session, position)
        if dates is not None:
            chosen = selecting.by_date(session, reading, position, *dates)
        elif numbers is not None:
            chosen = selecting.by_number(session, reading, position, *numbers)
        else:
            chosen = selecting.of_batches(session, position, folder, replaced)
        work = _Resend(settings, session, reading, folder, position, chosen, batch, dry_run, now())
        if chosen.numbers:
            work.publish()
    report = work.report
    if not report.tickets:
        logger.info("%s/orders: nothing to send again", store)
    return report


class _Resend:
    """One sending again: reads and publishes part by part, and leaves the position where it is."""

    def __init__(
        self,
        settings: Settings,
        session: StoreSession,
        reading: reader.StoreReading,
        folder: Folder,
        position: Position,
        chosen: selecting.Chosen,
        replaces: int | None,
        dry_run: bool,
        now: datetime,
    ) -> None:
        self.session = session
        self.folder = folder
        self.position = position
        self.chosen = chosen
        self.dry_run = dry_run
        self.now = now
        self.lookback = settings.store(session.store).number_lookback
        self.reading = reading
        self.report = ResendReport(
            session.store,
            replaces=replaces,
            dry_run=dry_run,
            before_baseline=chosen.before_baseline,
            absent=chosen.absent,
        )

    def publish(self) -> None:
        """Read and publish all that was chosen."""
        session, numbers = self.session, self.chosen.numbers
        counts = reader.count_lines(session.connection, session.store_id, numbers)
        for part in cut(numbers, counts):
            while not self._send(part):
                logger.info("%s/orders: another export published meanwhile; reading again", session.store)

    def _send(self, part: Sequence[int]) -> bool:
        """Whether this part went out with nothing published since before it was read.

        Otherwise a newer revision may stand before ours, which the hub would take for the newest: only
        tickets that were read after it put that right.
        """
        from tasks.rms.tickets import read_tickets

        newest = batches.newest_sequence(self.folder, self.session.store, STREAM_ORDERS)
        position = position_of(self.folder, self.session.store).position
        bound = read_bound(self.session.connection)
        read = read_tickets(self.session.connection, self.reading, part)
        faults.point("resend.tickets_read")
        inside = _dated(read, self.chosen.dates)
        ready, flagged = self._settled(inside, position, bound)
        frames = flag(inside.only(ready), flagged)
        if ready and not self.dry_run:
            range_from, range_to = _range(frames)
            manifest = publish_tickets(
                self.folder,
                self.session.store,
                frames,
                position,
                created_utc=utc_text(self.now),
                bound=bound,
                range_from=range_from,
                range_to=range_to,
                replaces=self.report.replaces,
            )
            faults.point("resend.batch_published")
            self.report = replace(self.report, batches=(*self.report.batches, manifest.path))
            same = batches.find_batches(self.folder, self.session.store, STREAM_ORDERS, manifest.sequence)
            if manifest.sequence != newest + 1 or len(same) > 1:
                return False
        units, money = sums(frames)
        self.report = replace(
            self.report,
            tickets=self.report.tickets + len(frames.tickets),
            lines=self.report.lines + len(frames.lines),
            units=self.report.units + units,
            money=self.report.money + money,
            unsettled=self.report.unsettled + len(flagged),
            left_to_export=self.report.left_to_export + len(inside.tickets) - len(ready),
            absent=self.report.absent + len(part) - len(read.tickets),
        )
        return True

    def _settled(self, frames: TicketFrames, position: Position, bound: int) -> tuple[set[int], set[int]]:
        """(numbers to publish, those of them that are flagged); the export has the others before it."""
        waiting = {entry.number for entry in position.waiting}
        ready: set[int] = set()
        flagged: set[int] = set()
        for number, rowversion in zip(
            frames.tickets["number"].tolist(), frames.tickets["rowversion"].tolist(), strict=True
        ):
            if number in frames.moved or rowversion >= bound:
                continue
            if number in frames.incomplete:
                seen = seen_mark(position, number, self.lookback)
                if number in waiting or rowversion > seen.rowversion:
                    continue
                # Below the mark the export has published it as it is, and does not come back to it.
                if number not in frames.untendered:
                    flagged.add(number)
            ready.add(number)
        return ready, flagged


def _dated(frames: TicketFrames, dates: tuple[str, str] | None) -> TicketFrames:
    if dates is None:
        return frames
    first, last = dates
    tickets = frames.tickets
    return frames.only(tickets["number"][tickets["business_date"].between(first, last)].tolist())


def _range(frames: TicketFrames) -> tuple[Mark, Mark]:
    """What a batch of these tickets covers, so that it can itself be sent again."""
    rowversions, numbers = frames.tickets["rowversion"], frames.tickets["number"]
    return (
        Mark(rowversion=int(rowversions.min()) - 1, ticket_number=int(numbers.min()) - 1),
        Mark(rowversion=int(rowversions.max()), ticket_number=int(numbers.max())),
    )
