"""Which documents a sending again is about: those of a batch, of some numbers, of some business dates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from data_contracts.documents import FILES, ORDER_ROLES, STREAM_ORDERS
from data_contracts.errors import BatchAltered, ConfigurationError, ContractBroken
from data_contracts.manifest import Manifest, Position
from tasks.exchange import batches
from tasks.exchange.folder import Folder
from tasks.rms import reader
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


def find_manifests(folder: Folder, store: str, sequence: int) -> list[Manifest]:
    """The manifests of all batches with that sequence; `ContractBroken` if one of them cannot be read."""
    names = batches.find_batches(folder, store, STREAM_ORDERS, sequence)
    if not names:
        raise ConfigurationError(
            f"{store}/{STREAM_ORDERS} has no batch {sequence}, neither waiting nor archived, so nothing says "
            "which tickets were in it. Nothing was read; retrying cannot clear this.",
            next_step=_by_number_instead(store),
            store=store,
            sequence=sequence,
        )
    try:
        return [batches.fetch_manifest(folder, store, STREAM_ORDERS, *name) for name in names]
    except (ContractBroken, BatchAltered) as error:
        raise ContractBroken(
            f"The manifest of batch {sequence} of {store}/{STREAM_ORDERS} cannot be read, so nothing says "
            "which tickets were in it. Nothing was read; retrying cannot clear this.",
            next_step=_by_number_instead(store),
            store=store,
            sequence=sequence,
        ) from error


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
    home_types: Sequence[int],
) -> Chosen:
    """Documents that batches carried: by the list in their files, else by the range they say they cover."""
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
        # What has changed since lies above the range: the export publishes it or has done so.
        above, bound = manifest.range_from, manifest.range_to.rowversion + 1
        if "tickets" not in listed:
            found |= reader.find_changed_tickets(
                session.connection, session.store_id, above, bound, lookback=None
            ).keys()
        if manifest.orders and "orders" not in listed:
            changed |= reader.find_changed_orders(
                session.connection, session.store_id, above, bound, lookback=None
            ).keys()
            # A batch may carry open orders of which nothing had changed.
            carried.update(position.open_orders)
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
