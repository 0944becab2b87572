"""Takes a store over once more whose RMS database was restored from a backup or replaced by another one.

What database and published batches have in common keeps its epoch and its order in the hub; numbers above
that begin a new epoch, since RMS gives them out a second time. Nothing is ever written into RMS.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from data_contracts.documents import ORDER, STREAM_BASELINE, STREAM_ORDERS
from data_contracts.errors import (
    BatchAltered,
    ConfigurationError,
    ContractBroken,
    CursorWentBack,
    NotBaselined,
)
from data_contracts.manifest import (
    CLEANED_NAME,
    EpochStart,
    LastTicket,
    Manifest,
    Mark,
    Position,
    Waiting,
)
from tasks import faults
from tasks.exchange import batches
from tasks.exchange.cleaning import read_cleaned
from tasks.exchange.folder import Folder, open_folder
from tasks.rms import reader
from tasks.settings import Settings
from tasks.use_cases.baseline_batches import (
    BaselineReport,
    begin_orders,
    newest_baseline,
    publish_baseline,
    report_of,
)
from tasks.use_cases.publishing import publish_documents
from tasks.use_cases.store_session import (
    NumberRanges,
    StoreSession,
    check_same_database,
    open_store,
    store_reading,
    utc_now,
    utc_text,
)

if TYPE_CHECKING:
    from tasks.use_cases.common_documents import Common

logger = logging.getLogger(__name__)

faults.declare("takeover.read", "takeover.orders_closed", "takeover.batch_published")


def take_over(settings: Settings, store: str, *, now: Callable[[], datetime] = utc_now) -> BaselineReport:
    """Begin a new epoch above the last ticket and the last order common to the database and the batches.

    Three writes, in this order: orders that were published as open and that the database does not have
    are closed in the hub, under the epoch they had; a baseline batch tells the hub of the epochs; the head
    of the orders stream goes back to where everything is read again. What the hub has, it knows by its
    hash. Killed between them, the same call ends the same.

    Start mark, stock and history stand: the backup is taken to be younger than the first baseline, and a
    database that replaced the old one to have been made from it, so that numbers of history are history in
    it too. Where nothing is found in common (the backup is of the time of the baseline), all since the start
    mark counts as new, and the report says so.

    Raises `ConfigurationError` if the store has no position, if the backup is older than the batches that
    have not been cleaned away, if no published ticket can be read any more, if
    the database is the one read before, one that was replaced itself or older than the baseline, and what
    `open_store` raises.
    """
    with open_folder(settings) as folder:
        return _take_over(settings, folder, store, now)


def _take_over(settings: Settings, folder: Folder, store: str, now: Callable[[], datetime]) -> BaselineReport:
    before = _position(folder, store)
    published = newest_baseline(folder, store)
    if published is not None and published.position.epochs[-1].epoch > before.epochs[-1].epoch:
        logger.info("%s/%s: completing %s", store, STREAM_BASELINE, published.path)
        begin_orders(folder, published)
        return replace(_report(published, before), completed=True)
    from tasks.rms.orders import deleted_orders

    moment = now()
    with open_store(settings, store) as session:
        _refuse_same_database(settings, session, folder, before)
        _refuse_older_than_baseline(session, before)
        after = _after(settings, session, folder, before, utc_text(moment))
        kept = set(after.open_orders)
        gone = [number for number in before.open_orders if number not in kept]
        tombstones = deleted_orders(store_reading(settings, session, before), gone, moment)
    faults.point("takeover.read")
    if gone:
        publish_documents(
            folder,
            store,
            None,
            tombstones,
            before.model_copy(update={"open_orders": after.open_orders}),
            created_utc=utc_text(moment),
            bound=before.resume.rowversion + 1,
            range_from=before.resume,
            range_to=before.resume,
        )
        faults.point("takeover.orders_closed")
    manifest = publish_baseline(folder, store, after, [], utc_text(moment))
    faults.point("takeover.batch_published")
    begin_orders(folder, manifest)
    report = replace(_report(manifest, before), gone_orders=len(gone))
    if not report.proven:
        logger.warning(
            "%s/%s: no published ticket was found in the database; all since ticket %s counts as new",
            store,
            STREAM_ORDERS,
            report.after_number,
        )
    return report


def _position(folder: Folder, store: str) -> Position:
    try:
        head = batches.newest_position(folder, store, STREAM_ORDERS)
    except NotBaselined as error:
        raise ConfigurationError(
            f"Nothing says where store `{store}` stood before its database was replaced: {error.message} "
            "Nothing was changed.",
            next_step=error.next_step,
            store=store,
        ) from error
    if head is None:
        raise ConfigurationError(
            f"Store `{store}` has no baseline yet, so there is nothing to take over again. "
            "Nothing was changed; retrying cannot clear this.",
            next_step=f"run `tillbridge baseline {store}` without --again",
            store=store,
        )
    return head.position


def _refuse_same_database(
    settings: Settings, session: StoreSession, folder: Folder, before: Position
) -> None:
    from tasks.use_cases.common_documents import last_common

    try:
        check_same_database(session, before)
    except CursorWentBack as error:
        logger.info("%s", error.message)
        return
    if len(before.epochs) > 1:
        # Until an epoch has a ticket of its own, the database that it replaced looks the same.
        _refuse_former_database(
            session, last_common(session, store_reading(settings, session, before), folder, before)
        )
    raise ConfigurationError(
        f"The RMS database of store `{session.store}` is the one read before: a new epoch would book its "
        "tickets twice. Nothing was changed; retrying cannot clear this.",
        next_step=f"run `tillbridge export {session.store}`",
        store=session.store,
    )


def _refuse_former_database(session: StoreSession, common: Common) -> None:
    from tasks.use_cases.common_documents import BACK_TO_THE_NEWEST

    if common.former:
        raise ConfigurationError(
            f"The RMS database of store `{session.store}` is one that was replaced before: it has "
            f"{common.former}, which was lost then. A new epoch would book it twice. Nothing was changed; "
            "retrying cannot clear this.",
            next_step=BACK_TO_THE_NEWEST.format(store=session.store),
            store=session.store,
        )


def _refuse_older_than_baseline(session: StoreSession, before: Position) -> None:
    highest = reader.highest_ticket(session.connection, session.store_id)
    start = before.start.ticket_number
    if highest < start:
        raise ConfigurationError(
            f"The RMS database of store `{session.store}` is older than its baseline: its highest ticket is "
            f"{highest}, the baseline's {start}. What is rung next would count as history. Nothing was "
            "changed; retrying cannot clear this.",
            next_step="restore a younger backup, or give the store a new code in tillbridge.toml and run "
            "`tillbridge baseline` for that",
            store=session.store,
            highest=highest,
        )


def _after(
    settings: Settings, session: StoreSession, folder: Folder, before: Position, now_utc: str
) -> Position:
    """The position at which the new epoch begins."""
    from tasks.use_cases.common_documents import last_common

    reading = store_reading(settings, session, before)
    common = last_common(session, reading, folder, before)
    _refuse_former_database(session, common)
    if before.last_ticket is not None and not common.tickets_read:
        raise ConfigurationError(
            f"No batch that store `{session.store}` has published can be read any more, so nothing says "
            "which of its tickets the hub has: all of them would be booked twice. Nothing was changed; "
            "retrying cannot clear this.",
            next_step=f"bring {session.store}/{STREAM_ORDERS} with its archive back from a backup of the "
            "exchange folder",
            store=session.store,
        )
    cleaned = read_cleaned(folder, session.store, STREAM_ORDERS)
    if cleaned is not None and common.ticket <= cleaned.ticket:
        raise ConfigurationError(
            f"The RMS database of store `{session.store}` has no ticket above {cleaned.ticket} in common "
            "with the batches that are still there. Those below were cleaned away, so nothing says where the "
            "two part: tickets would be booked twice. Nothing was changed; retrying cannot clear this.",
            next_step="restore a younger backup, or bring the whole archive of "
            f"{session.store}/{STREAM_ORDERS} back from backups and delete its {CLEANED_NAME}",
            store=session.store,
        )
    newest = before.epochs[-1]
    begins = EpochStart(
        epoch=newest.epoch + 1,
        after_number=max(common.ticket, before.start.ticket_number),
        # A ticket above all that was cleaned away is in the database: so are the orders of then.
        after_order=max(
            common.order,
            _highest_order_at_start(folder, session.store, before),
            cleaned.order if cleaned is not None else 0,
        ),
    )
    home_types = settings.store(session.store).codes.home_order_types
    closed = NumberRanges(before.closed_orders)
    still_open = reader.open_order_numbers(session.connection, session.store_id, home_types)
    # From rowversion 0 on, so that all is found again.
    mark = Mark(ticket_number=begins.after_number)
    return Position(
        resume=mark,
        swept=mark,
        start=before.start,
        waiting=tuple(
            Waiting(source=ORDER, number=number, first_seen_utc=now_utc)
            for number in sorted(still_open)
            if number not in closed
        ),
        last_ticket=_last_ticket(session, reading, common.ticket) if common.ticket else None,
        epochs=(*before.epochs, begins),
        history=before.history,
        closed_orders=before.closed_orders,
        open_orders=tuple(number for number in before.open_orders if number <= begins.after_order),
    )


def _highest_order_at_start(folder: Folder, store: str, before: Position) -> int:
    """The highest number of an order that RMS held at the start mark, as far as it is known."""
    numbers = [last for _, last in before.closed_orders]
    for name in batches.every_batch(folder, store, STREAM_BASELINE):
        try:
            first = batches.fetch_manifest(folder, store, STREAM_BASELINE, *name)
        except (ContractBroken, BatchAltered) as error:
            logger.warning("%s/%s: %s", store, STREAM_BASELINE, error)
            continue
        # Those of a later baseline were open in another life of the database.
        if len(first.position.epochs) == 1:
            numbers += first.position.waiting_numbers(ORDER)
    return max(numbers, default=0)


def _last_ticket(session: StoreSession, reading: reader.StoreReading, number: int) -> LastTicket:
    from tasks.rms.tickets import read_tickets

    frames = read_tickets(session.connection, reading, [number])
    return LastTicket(
        number=number,
        revision=str(frames.tickets["revision"].iloc[0]),
        time=reader.ticket_time(session.connection, session.store_id, number) or "",
        first_entry_id=min(frames.lines["entry_id"].tolist(), default=0),
    )


def _report(manifest: Manifest, before: Position) -> BaselineReport:
    proven = manifest.position.last_ticket is not None or before.last_ticket is None
    return replace(report_of(manifest), proven=proven)
