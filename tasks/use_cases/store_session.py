"""What every use case at a store begins with: the opened RMS database, checked to be the one we know."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from sqlalchemy import Connection

from data_contracts.errors import CursorWentBack, NotBaselined
from data_contracts.manifest import Head, LastTicket, Position
from tasks.exchange import batches
from tasks.exchange.folder import Folder
from tasks.rms import reader
from tasks.rms.connection import open_rms
from tasks.rms.dialects import current_rowversion, read_bound
from tasks.rms.schema_guard import check_schema
from tasks.settings import Settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoreSession:
    """An open RMS database and the StoreID under which the store stands in it."""

    store: str
    connection: Connection
    store_id: int


@contextmanager
def open_store(settings: Settings, store: str, *, above_number: int = 0) -> Iterator[StoreSession]:
    """Open a store's RMS database and check its schema; errors as in `open_rms` and `check_schema`.

    `above_number` limits the search for a foreign StoreID where none is configured.
    """
    with open_rms(settings.rms_url(store), store) as connection:
        check_schema(connection, store)
        configured = settings.store(store).store_id
        yield StoreSession(
            store, connection, reader.find_store_id(connection, store, configured, above_number)
        )


def store_reading(settings: Settings, session: StoreSession, position: Position) -> reader.StoreReading:
    """How this store's tickets are read."""
    configured = settings.store(session.store)
    return reader.StoreReading(
        store=session.store,
        store_id=session.store_id,
        epoch_of=position.epoch_of,
        epoch_of_order=position.epoch_of_order,
        zone=configured.time_zone,
        rule=configured.business_date,
        day_start=configured.day_start,
        prices_include_tax=reader.prices_include_tax(
            session.connection, configured.prices_include_tax, configured.vat_tax_systems
        ),
        recall_order=configured.codes.recall_order,
        tolerance=settings.hub.tolerance,
        single_store=reader.has_one_store_s_batches(session.connection),
    )


def position_of(folder: Folder, store: str) -> Head:
    """Where the store's orders stream stands; `NotBaselined` if it has never begun."""
    head = batches.newest_position(folder, store, "orders")
    if head is None:
        raise NotBaselined(
            f"Store `{store}` has no start mark in the exchange folder, so nothing says where reading "
            "begins. Retrying cannot clear this; nothing was read.",
            next_step="if this store was ever exported, bring the exchange folder back (or mount it) and do "
            "not baseline: what is not exported yet would become history; if the store is new, run "
            f"`tillbridge baseline {store}` once, at the store",
            store=store,
        )
    return head


def check_same_database(session: StoreSession, position: Position) -> None:
    """`CursorWentBack` if the database is older than, or other than, the one read before.

    Other rowversions prove nothing once the tills of a restored database have gone on. What never changes
    does: when the last ticket was rung and which lines are its own.
    """
    current = current_rowversion(session.connection)
    if current < position.resume.rowversion:
        raise _went_back(
            session.store, f"its rowversion is {current}, we had read {position.resume.rowversion}"
        )
    highest = reader.highest_ticket(session.connection, session.store_id)
    last = position.last_ticket.number if position.last_ticket else position.start.ticket_number
    if highest < last:
        raise _went_back(session.store, f"its highest ticket is {highest}, we had seen {last}")
    if position.last_ticket is not None:
        _check_last_ticket(session, position.last_ticket)


def begins_epoch(position: Position, tickets: Iterable[int], orders: Iterable[int]) -> bool:
    """Whether something is the first of an epoch: until then nothing in the position tells the database that
    was taken over from the one that it replaced."""
    begins, last = position.epochs[-1], position.last_ticket
    if len(position.epochs) == 1 or (last is not None and last.number > begins.after_number):
        return False
    return any(n > begins.after_number for n in tickets) or any(n > begins.after_order for n in orders)


def _check_last_ticket(session: StoreSession, last: LastTicket) -> None:
    rung = reader.ticket_time(session.connection, session.store_id, last.number)
    if rung is None:
        raise _went_back(session.store, f"ticket {last.number}, which was published, is gone")
    if last.time and rung != last.time:
        raise _went_back(
            session.store, f"ticket {last.number} was rung at {rung}, the one published at {last.time}"
        )
    if last.first_entry_id:
        owner = reader.ticket_of_line(session.connection, session.store_id, last.first_entry_id)
        # A line that is gone may have been deleted; one that is another ticket's was never ours.
        if owner not in (None, last.number):
            raise _went_back(
                session.store,
                f"ticket {last.number} is another one than the one published, whose line "
                f"{last.first_entry_id} is now in ticket {owner}",
            )


def _went_back(store: str, what: str) -> CursorWentBack:
    """The error for a database that is not the one read before."""
    return CursorWentBack(
        f"The RMS database of store `{store}` is not the one read before: {what}. It was restored from a "
        "backup or replaced. Retrying cannot clear this; nothing was published.",
        next_step=f"check rms_url of [stores.{store}]; if the database was really restored or replaced, run "
        f"`tillbridge baseline {store} --again` at the store",
        store=store,
    )


def read_bounds(session: StoreSession) -> tuple[int, int]:
    """(the last rowversion given out, the bound below which all that was written can be read)."""
    given_out = current_rowversion(session.connection)
    return given_out, read_bound(session.connection)


def warn_of_held_back(store: str, stream: str, numbers: Collection[int]) -> None:
    """Log that tickets cannot be read yet: if nobody notices, they wait for as long as it stays so."""
    if numbers:
        logger.warning(
            "%s/%s: %s tickets are held back, the oldest is %s: a transaction in RMS has been open since "
            "before they were rung",
            store,
            stream,
            len(numbers),
            min(numbers),
        )


class NumberRanges:
    """Membership in ranges of numbers with both ends included."""

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        ordered = sorted(ranges)
        self._firsts = [first for first, _ in ordered]
        self._lasts = [last for _, last in ordered]

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._firsts, number) - 1
        return at >= 0 and number <= self._lasts[at]


def compact(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Ranges of ascending numbers, both ends included: 1, 2, 3, 7 -> (1, 3), (7, 7)."""
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges


def parted(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Parts of at most `size` numbers."""
    for start in range(0, len(numbers), size):
        yield numbers[start : start + size]


def program_version() -> str:
    """The version of tillbridge that runs."""
    return version("tillbridge")


def utc_now() -> datetime:
    """The clock that use cases take unless a test gives another."""
    return datetime.now(UTC)


def utc_text(moment: datetime) -> str:
    """`2026-11-23T08:15:30.123Z`."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def from_utc_text(text: str) -> datetime:
    """The inverse of `utc_text`."""
    return datetime.fromisoformat(text)
