"""Which documents a sending again is about: those of a batch, of some numbers, of some business dates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from data_contracts.documents import FILES, ORDER, ORDER_ROLES, STREAM_ORDERS, TICKET
from data_contracts.errors import BatchAltered, ConfigurationError, ContractBroken
from data_contracts.manifest import Cleaned, Manifest, Mark, Position
from tasks.exchange import batches
from tasks.exchange.cleaning import read_cleaned
from tasks.exchange.folder import Folder
from tasks.rms import reader
from tasks.rms.dialects import read_bound
from tasks.use_cases.stating import MARGIN
from tasks.use_cases.store_session import NumberRanges, StoreSession

FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(9000, 1, 1)
"""RMS holds no time outside of these, and a margin added to one is still a date."""


@dataclass(frozen=True)
class Chosen:
    """What a selection comes to: tickets and orders to read, ascending, and what it leaves out.

    The orders that chosen pick-ups took from go with them.
    """

    tickets: Sequence[int] = ()
    orders: Sequence[int] = ()
    carried_orders: frozenset[int] = frozenset()
    """Those of the orders that were published: if RMS no longer has one, it travels as deleted."""
    dates: tuple[str, str] | None = None
    """Business dates to keep, which are known once a ticket is read."""
    before_baseline: int = 0
    absent: int = 0


def check_selection(
    store: str,
    batch: int | None,
    numbers: tuple[int, int] | None,
    orders: tuple[int, int] | None,
    dates: tuple[date, date] | None,
) -> None:
    """`ConfigurationError` unless there is exactly one selection, in the right order."""
    given = sum(selection is not None for selection in (batch, numbers, orders, dates))
    ranges = [ends for ends in (numbers, orders) if ends is not None]
    backwards = any(first > last for first, last in ranges) or (dates and dates[0] > dates[1])
    if given == 1 and not backwards:
        return
    raise ConfigurationError(
        f"What is to be sent again of store `{store}` is not clear: it takes one batch, one range of ticket "
        "numbers, of order numbers or of business dates, the first not after the last. Nothing was read.",
        next_step=f"run `tillbridge resend {store} --batch 412`, with --numbers 10452-10455, "
        "with --orders 77-80 or with --dates 2010-12-01..2010-12-03",
        store=store,
    )


class Around(NamedTuple):
    """What the neighbours of a lost batch say of it."""

    before: Position
    """Where the stream stood before the batch."""
    after: Position
    """Where it stood later."""
    bound: int | None
    """Nothing in the batch was written at or above this; None where no later manifest says so."""


def find_manifests(folder: Folder, store: str, sequence: int) -> tuple[list[Manifest], Around | None]:
    """The readable manifests of a sequence; if one is lost or cannot be read, what its neighbours say.

    Raises `ConfigurationError` for a sequence that was never given out, or was cleaned away, and
    `ContractBroken` where neither the manifest nor a neighbour of it can be read.
    """
    names = batches.find_batches(folder, store, STREAM_ORDERS, sequence)
    if not names and sequence > batches.newest_sequence(folder, store, STREAM_ORDERS):
        raise ConfigurationError(
            f"{store}/{STREAM_ORDERS} has no batch {sequence}: its newest is "
            f"{batches.newest_sequence(folder, store, STREAM_ORDERS)}. Nothing was read; retrying cannot "
            "clear this.",
            next_step=_by_number_instead(store),
            store=store,
            sequence=sequence,
        )
    manifests = [found for name in names if (found := _readable(folder, store, name)) is not None]
    if names and len(manifests) == len(names):
        return manifests, None
    cleaned = read_cleaned(folder, store, STREAM_ORDERS)
    if cleaned is not None and sequence <= cleaned.sequence:
        raise ConfigurationError(
            f"Batch {sequence} of {store}/{STREAM_ORDERS} was taken in by the hub and has been cleaned away "
            "since, with those around it: nothing says any more which tickets were in it. Nothing was read; "
            "retrying cannot clear this.",
            next_step=_by_number_instead(store),
            store=store,
            sequence=sequence,
        )
    return manifests, _around(folder, store, sequence, cleaned)


def _readable(folder: Folder, store: str, name: tuple[int, str]) -> Manifest | None:
    with suppress(ContractBroken, BatchAltered):
        return batches.fetch_manifest(folder, store, STREAM_ORDERS, *name)
    return None


def _around(folder: Folder, store: str, sequence: int, cleaned: Cleaned | None) -> Around:
    """From the nearest readable manifests; before the first stands what was cleaned, or the start mark."""
    every = batches.every_batch(folder, store, STREAM_ORDERS)
    older = (_readable(folder, store, name) for name in reversed(every) if name[0] < sequence)
    newer = (_readable(folder, store, name) for name in every if name[0] > sequence)
    before = next((manifest for manifest in older if manifest is not None), None)
    after = next((manifest for manifest in newer if manifest is not None), None)
    head = batches.newest_position(folder, store, STREAM_ORDERS)
    stood = after.position if after is not None else head.position if head is not None else None
    if stood is None:
        raise ContractBroken(
            f"The manifest of batch {sequence} of {store}/{STREAM_ORDERS} cannot be read, nor one of those "
            "around it, so nothing says which tickets were in it. Nothing was read; retrying cannot clear "
            "this.",
            next_step=_by_number_instead(store),
            store=store,
            sequence=sequence,
        )
    begin = cleaned.position if cleaned is not None else Position(resume=stood.start, swept=stood.start)
    return Around(before.position if before else begin, stood, after.bound if after else None)


def _by_number_instead(store: str) -> str:
    return (
        f"let `tillbridge reconcile {store}` name the tickets that are missing in the hub, then run "
        f"`tillbridge resend {store} --numbers FIRST-LAST` at the store"
    )


def of_batches(
    session: StoreSession,
    position: Position,
    folder: Folder,
    manifests: Iterable[Manifest],
    around: Around | None,
    home_types: Sequence[int],
) -> Chosen:
    """Documents that batches carried: by the list in their files, else by the range they say they cover.

    Of a lost batch by what its neighbours say (`around`). What has changed since lies above its range: the
    export publishes it or has done so.
    """
    found: set[int] = set()
    carried: set[int] = set()
    changed: set[int] = set()
    for manifest in manifests:
        listed: set[str] = set()
        for role, data in batches.fetch_intact_files(folder, manifest).items():
            # As the store wrote it, but perhaps in the form of another version.
            with suppress(ContractBroken):
                numbers = _numbers_in(data, role, manifest.file(role).name)
                listed.add(role)
                if role in ORDER_ROLES:
                    carried |= numbers
                else:
                    found |= numbers
        above, upto = manifest.range_from.rowversion, manifest.range_to.rowversion
        if "tickets" not in listed:
            found |= _changed_tickets(session, above, upto)
        if manifest.orders and "orders" not in listed:
            # An export publishes orders first: theirs may be newer than its mark, which waits for tickets.
            exported = manifest.range_to in (manifest.position.resume, manifest.position.swept)
            changed |= _changed_orders(session, above, manifest.bound - 1 if exported else upto)
            # A batch may carry open orders of which nothing had changed.
            carried.update(position.open_orders)
    if around is not None:
        before, after, bound = around
        upto = read_bound(session.connection) - 1 if bound is None else bound - 1
        found |= before.waiting_numbers(TICKET).keys() | after.waiting_numbers(TICKET).keys()
        found |= _changed_tickets(session, before.resume.rowversion, after.resume.rowversion)
        found |= _changed_tickets(session, before.swept.rowversion, after.swept.rowversion)
        changed |= before.waiting_numbers(ORDER).keys()
        changed |= _changed_orders(session, before.resume.rowversion, upto)
        if before.swept != after.swept:
            changed |= _changed_orders(session, before.swept.rowversion, upto)
        carried.update(before.open_orders, after.open_orders)
    history, closed = NumberRanges(position.history), NumberRanges(position.closed_orders)
    old = {number for number in found if number in history}
    types = reader.order_types(session.connection, session.store_id, changed - carried)
    orders = carried | {number for number, kind in types.items() if kind not in home_types}
    old_orders = {number for number in orders if number in closed}
    return Chosen(
        sorted(found - old),
        sorted(orders - old_orders),
        carried_orders=frozenset(carried - old_orders),
        before_baseline=len(old) + len(old_orders),
    )


def _changed_tickets(session: StoreSession, above: int, upto: int) -> set[int]:
    """Numbers of tickets with a row whose rowversion lies above one mark and not above another."""
    mark = Mark(rowversion=above)
    return set(
        reader.find_changed_tickets(session.connection, session.store_id, mark, upto + 1, lookback=None)
    )


def _changed_orders(session: StoreSession, above: int, upto: int) -> set[int]:
    """Numbers of orders, likewise."""
    mark = Mark(rowversion=above)
    return set(
        reader.find_changed_orders(session.connection, session.store_id, mark, upto + 1, lookback=None)
    )


def _numbers_in(data: bytes, role: str, name: str) -> set[int]:
    from data_contracts.frames import read_rows, typed

    columns = FILES[STREAM_ORDERS][role]
    rows, _ = typed(read_rows(data, columns, name), columns)
    return set(rows["number"].tolist())


def by_number(
    session: StoreSession, reading: reader.StoreReading, position: Position, first: int, last: int
) -> Chosen:
    """Tickets with a number from `first` to `last`."""
    there = _exported(session, reading, position, None)
    found = sorted(number for number in there if first <= number <= last)
    old = sum(max(0, min(last, high) - max(first, low) + 1) for low, high in position.history)
    return Chosen(found, before_baseline=old, absent=last - first + 1 - old - len(found))


def by_order(
    session: StoreSession, position: Position, first: int, last: int, home_types: Sequence[int]
) -> Chosen:
    """Orders with a number from `first` to `last` that do not stay in the store."""
    types = reader.types_of_orders_between(session.connection, session.store_id, first, last)
    closed = NumberRanges(position.closed_orders)
    published = {number for number in position.open_orders if first <= number <= last}
    known = {number for number in types.keys() | published if number not in closed}
    old = sum(max(0, min(last, high) - max(first, low) + 1) for low, high in position.closed_orders)
    return Chosen(
        orders=sorted(n for n in known if n in published or types[n] not in home_types),
        carried_orders=frozenset(published),
        before_baseline=old,
        absent=last - first + 1 - old - len(known),
    )


def by_date(
    session: StoreSession, reading: reader.StoreReading, position: Position, first: date, last: date
) -> Chosen:
    """Tickets that count for a time near the dates; for which of them is known when they are read."""
    since = datetime.combine(max(first, FIRST_DAY), time.min) - MARGIN
    until = datetime.combine(min(last, LAST_DAY) + timedelta(days=1), time.min) + MARGIN
    found = _exported(session, reading, position, since) - _exported(session, reading, position, until)
    return Chosen(sorted(found), dates=(first.isoformat(), last.isoformat()))


def _exported(
    session: StoreSession, reading: reader.StoreReading, position: Position, since: datetime | None
) -> set[int]:
    """Numbers of tickets that are no history, counted at or after a local time where one is given."""
    history = NumberRanges(position.history)
    counted = reader.numbers_counted_since(session.connection, reading, position.start, since)
    return {number for number in counted if number not in history}
