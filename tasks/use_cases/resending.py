"""Publishes some of a store's documents once more: a rejected batch, some numbers, some business dates.

The way forward for what the hub has refused or lost. It never moves the position, so the ordinary export
finds afterwards what it would have found; and what the hub has already, it knows by its hash.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from data_contracts.documents import ORDER, STREAM_ORDERS, TICKET
from data_contracts.manifest import Mark, Position
from tasks import faults
from tasks.exchange import batches
from tasks.exchange.folder import Folder, open_folder
from tasks.rms import reader
from tasks.rms.dialects import read_bound
from tasks.settings import Settings
from tasks.use_cases import selecting
from tasks.use_cases.exporting import Key, count_lines, cut, told
from tasks.use_cases.publishing import (
    Progress,
    flag,
    flag_orders,
    publish_documents,
    recalled_by,
    seen_mark,
    sums,
    tell_nobody,
    travelling,
)
from tasks.use_cases.store_session import (
    NumberRanges,
    StoreSession,
    begins_epoch,
    check_same_database,
    open_store,
    position_of,
    store_reading,
    utc_now,
    utc_text,
)

if TYPE_CHECKING:
    from tasks.rms.orders import OrderFrames
    from tasks.rms.tickets import TicketFrames

logger = logging.getLogger(__name__)

faults.declare("resend.documents_read", "resend.batch_published")


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
    """Lines, units and money of the tickets."""
    orders: int = 0
    """Snapshots of layaways and backorders: chosen, or taken from by a chosen pick-up."""
    deposits: int = 0
    """Sum of all their changes of deposit, raw."""
    unsettled: int = 0
    """Documents among them that never settled: flagged, as they were when first published."""
    left_to_export: int = 0
    """Documents that RMS is still writing: the ordinary export publishes them once they stand."""
    before_baseline: int = 0
    """Documents that RMS held at the baseline; they never travel."""
    absent: int = 0
    """Numbers under which RMS holds no such document of this store."""


def resend(
    settings: Settings,
    store: str,
    *,
    batch: int | None = None,
    numbers: tuple[int, int] | None = None,
    orders: tuple[int, int] | None = None,
    dates: tuple[date, date] | None = None,
    dry_run: bool = False,
    progress: Progress = tell_nobody,
    now: Callable[[], datetime] = utc_now,
) -> ResendReport:
    """Read documents again and publish them as new batches of the orders stream.

    Exactly one selection: `batch` (sequence of an orders batch, waiting, archived or lost; the last of the
    new ones says that it replaces it, also where nothing is left to send), `numbers` (TransactionNumbers,
    first and last included), `orders` (numbers of layaways and backorders, likewise) or `dates` (business
    dates of tickets by the store's rule, likewise). Documents travel as RMS has them now, and with a pick-up
    the order it took from. Sending again what the hub has changes nothing there, and so does running this
    twice.

    Raises `ConfigurationError` (not one selection, no such batch), `ContractBroken` (neither the manifest of
    the batch nor one around it can be read), and whatever `exporting.export_orders` raises; batches
    published until then stay.
    """
    selecting.check_selection(store, batch, numbers, orders, dates)
    with open_folder(settings) as folder:
        return _resend(settings, folder, store, batch, numbers, orders, dates, dry_run, progress, now)


def _resend(
    settings: Settings,
    folder: Folder,
    store: str,
    batch: int | None,
    numbers: tuple[int, int] | None,
    orders: tuple[int, int] | None,
    dates: tuple[date, date] | None,
    dry_run: bool,
    progress: Progress,
    now: Callable[[], datetime],
) -> ResendReport:
    position = position_of(folder, store).position
    found, around = selecting.find_manifests(folder, store, batch) if batch is not None else ([], None)
    home_types = settings.store(store).codes.home_order_types
    with open_store(settings, store) as session:
        check_same_database(session, position)
        reading = store_reading(settings, session, position)
        if dates is not None:
            chosen = selecting.by_date(session, reading, position, *dates)
        elif numbers is not None:
            chosen = selecting.by_number(session, reading, position, *numbers)
        elif orders is not None:
            chosen = selecting.by_order(session, position, *orders, home_types)
        else:
            chosen = selecting.of_batches(session, position, folder, found, around, home_types)
        if begins_epoch(position, chosen.tickets, chosen.orders):
            from tasks.use_cases.common_documents import refuse_former_database

            refuse_former_database(session, reading, folder, position)
        work = _Resend(settings, session, reading, folder, position, chosen, batch, dry_run, now())
        work.publish(progress)
    report = work.report
    if not report.tickets and not report.orders:
        logger.info("%s/orders: nothing to send again", store)
    return report


F = TypeVar("F")


class _Read(NamedTuple, Generic[F]):
    """Documents of one source, read to be sent again."""

    frames: F | None
    """What goes out; None if nothing does."""
    left: int = 0
    absent: int = 0


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
        self.home_types = settings.store(session.store).codes.home_order_types
        self.closed_orders = NumberRanges(position.closed_orders)
        self.reading = reading
        self.report = ResendReport(
            session.store,
            replaces=replaces,
            dry_run=dry_run,
            before_baseline=chosen.before_baseline,
            absent=chosen.absent,
        )

    def publish(self, progress: Progress) -> None:
        """Read and publish all that was chosen."""
        session, chosen = self.session, self.chosen
        documents: list[Key] = [(ORDER, number) for number in chosen.orders]
        documents += [(TICKET, number) for number in chosen.tickets]
        counts = count_lines(session, chosen.tickets, chosen.orders, self.reading.recall_order)
        # The last batch says what they replace, also where it has nothing else to say: by then all are out.
        parts = list(cut(documents, counts)) or [[]]
        for part in told(parts, progress):
            replaces = self.report.replaces if part is parts[-1] else None
            while not self._send(part, replaces):
                logger.info("%s/orders: another export published meanwhile; reading again", session.store)

    def _send(self, part: Sequence[Key], replaces: int | None) -> bool:
        """Whether this part went out with nothing published since before it was read.

        Otherwise a newer revision may stand before ours, which the hub would take for the newest: only
        documents that were read after it put that right.
        """
        newest = batches.newest_sequence(self.folder, self.session.store, STREAM_ORDERS)
        position = position_of(self.folder, self.session.store).position
        bound = read_bound(self.session.connection)
        tickets = self._read_tickets([n for source, n in part if source == TICKET], position, bound)
        orders = self._read_orders(
            {n for source, n in part if source == ORDER}, tickets.frames, position, bound
        )
        faults.point("resend.documents_read")
        something = tickets.frames is not None or orders.frames is not None or replaces is not None
        if something and not self.dry_run:
            range_from, range_to = _range(tickets.frames, orders.frames)
            manifest = publish_documents(
                self.folder,
                self.session.store,
                tickets.frames,
                orders.frames,
                position,
                created_utc=utc_text(self.now),
                bound=bound,
                range_from=range_from,
                range_to=range_to,
                replaces=replaces,
            )
            faults.point("resend.batch_published")
            self.report = replace(self.report, batches=(*self.report.batches, manifest.path))
            same = batches.find_batches(self.folder, self.session.store, STREAM_ORDERS, manifest.sequence)
            if manifest.sequence != newest + 1 or len(same) > 1:
                return False
        said = sums(tickets.frames, orders.frames)
        self.report = replace(
            self.report,
            tickets=self.report.tickets + said.tickets,
            lines=self.report.lines + said.lines,
            units=self.report.units + said.units,
            money=self.report.money + said.money,
            orders=self.report.orders + said.orders,
            deposits=self.report.deposits + said.deposits,
            unsettled=self.report.unsettled + said.unsettled,
            left_to_export=self.report.left_to_export + tickets.left + orders.left,
            absent=self.report.absent + tickets.absent + orders.absent,
        )
        return True

    def _read_tickets(self, numbers: Sequence[int], position: Position, bound: int) -> _Read[TicketFrames]:
        from tasks.rms.tickets import read_tickets

        if not numbers:
            return _Read(None)
        read = read_tickets(self.session.connection, self.reading, numbers)
        inside = _dated(read, self.chosen.dates)
        waiting = position.waiting_numbers(TICKET)
        ready: set[int] = set()
        late: set[int] = set()
        rows = inside.tickets[["number", "rowversion"]].itertuples(index=False, name=None)
        for number, rowversion in rows:
            if number in inside.moved or rowversion >= bound:
                continue
            if number in inside.incomplete:
                seen = seen_mark(position, number, self.lookback)
                if number in waiting or rowversion > seen.rowversion:
                    continue
                # Below the mark the export has published it as it is, and does not come back to it.
                late.add(number)
            ready.add(number)
        return _Read(
            flag(inside.only(ready), late - inside.untendered) if ready else None,
            left=len(inside.tickets) - len(ready),
            absent=len(numbers) - len(read.tickets),
        )

    def _read_orders(
        self, numbers: set[int], tickets: TicketFrames | None, position: Position, bound: int
    ) -> _Read[OrderFrames]:
        """The chosen orders, and those that the tickets took from."""
        from tasks.rms.orders import deleted_orders, read_orders

        recalled: set[int] = set()
        if tickets is not None:
            found = recalled_by(tickets, self.reading, self.home_types, position.open_orders)
            recalled = {number for number in found if number not in self.closed_orders}
        wanted = numbers | recalled
        if not wanted:
            return _Read(None)
        connection, store_id = self.session.connection, self.session.store_id
        read = read_orders(connection, self.reading, sorted(wanted))
        carried = self.chosen.carried_orders.union(position.open_orders)
        gone = wanted.intersection(carried).difference(read.numbers)
        gone -= reader.existing_orders(connection, store_id, gone)
        frames = travelling(read, self.home_types, carried)
        ready, late = self._settled(frames, position, bound)
        chosen = flag_orders(frames.only(ready), late)
        if gone:
            chosen = chosen.with_deleted(deleted_orders(self.reading, gone, self.now))
        return _Read(
            chosen if ready or gone else None,
            left=len(frames.orders) - len(ready),
            absent=len(numbers.difference(read.numbers) - gone),
        )

    def _settled(self, frames: OrderFrames, position: Position, bound: int) -> tuple[set[int], set[int]]:
        """(numbers to publish, those of them that are flagged); the export has the others before it."""
        waiting = position.waiting_numbers(ORDER)
        ready: set[int] = set()
        late: set[int] = set()
        columns = ["number", "rowversion", "closed", "order_type"]
        for number, rowversion, closed, kind in frames.orders[columns].itertuples(index=False, name=None):
            if number in frames.moved or rowversion >= bound:
                continue
            # By its list of open orders the export notices when one is deleted: it has to begin.
            if not closed and kind not in self.home_types and number not in position.open_orders:
                continue
            if number in frames.incomplete:
                if number in waiting or rowversion > position.resume.rowversion:
                    continue
                late.add(number)
            ready.add(number)
        return ready, late


def _dated(frames: TicketFrames, dates: tuple[str, str] | None) -> TicketFrames:
    if dates is None:
        return frames
    first, last = dates
    tickets = frames.tickets
    return frames.only(tickets["number"][tickets["business_date"].between(first, last)].tolist())


def _range(tickets: TicketFrames | None, orders: OrderFrames | None) -> tuple[Mark, Mark]:
    """What a batch of these documents covers, so that it can itself be sent again."""
    numbers = tickets.tickets["number"].tolist() if tickets is not None else []
    rowversions = tickets.tickets["rowversion"].tolist() if tickets is not None else []
    if orders is not None:
        rowversions += orders.orders["rowversion"].tolist()
    written = [rowversion for rowversion in rowversions if rowversion]  # a deleted order has none
    return (
        Mark(rowversion=min(written, default=1) - 1, ticket_number=min(numbers, default=1) - 1),
        Mark(rowversion=max(written, default=0), ticket_number=max(numbers, default=0)),
    )
