"""Finds the last ticket and the last order that a restored database shares with what was published from it.

And tells a database that was replaced before, when somebody puts it back.

Reads the batches of the orders stream, waiting and archived, from the newest back. Loads pandas: import it
where a store is taken over.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pandas as pd

from data_contracts.documents import FILES, ORDER, STREAM_ORDERS, TICKET
from data_contracts.errors import BatchAltered, ContractBroken, CursorWentBack
from data_contracts.frames import read_rows, typed
from data_contracts.manifest import Manifest, Position
from tasks.exchange import batches
from tasks.exchange.folder import Folder
from tasks.rms import reader
from tasks.rms.orders import read_orders
from tasks.rms.tickets import read_tickets
from tasks.use_cases.store_session import StoreSession

logger = logging.getLogger(__name__)

BACK_TO_THE_NEWEST = (
    "set rms_url of [stores.{store}] to the database that was taken over last; to go on with this one, give "
    "the store a new code in tillbridge.toml and run `tillbridge baseline` for that"
)

TICKET_FILES = ("tickets", "ticket_lines")
ORDER_FILES = ("orders", "order_lines")


@dataclass(frozen=True)
class Common:
    """The highest numbers that mean the same document on both sides; 0 where there is none."""

    ticket: int
    order: int
    tickets_read: int = 0
    """Published tickets that could be read, whether RMS has them or not."""
    former: str = ""
    """The highest document that an epoch took with it when it ended and that RMS has all the same, such as
    `ticket 5`: the database is the one that was replaced then, or a backup of it. Empty if there is none."""


def last_common(
    session: StoreSession, reading: reader.StoreReading, folder: Folder, position: Position
) -> Common:
    """Compare what was published with what RMS shows now; `reading` and `position` are of before.

    Only documents of the epoch that their number belongs to by then count. Batches that cannot be read any
    more are passed over.
    """
    connection = session.connection

    def tickets(numbers: list[int]) -> tuple[pd.DataFrame, pd.DataFrame]:
        frames = read_tickets(connection, reading, numbers)
        return frames.tickets, frames.lines

    def orders(numbers: list[int]) -> tuple[pd.DataFrame, pd.DataFrame]:
        frames = read_orders(connection, reading, numbers)
        return frames.orders, frames.lines

    of_tickets = _Search("occurred_at", position.epoch_of, tickets)
    of_orders = _Search("ordered_at", position.epoch_of_order, orders)
    for manifest in _newest_first(folder, session.store):
        last = manifest.position.last_ticket
        # A batch holds no ticket with a higher number than the highest published until then.
        if last is not None and last.number > of_tickets.exact:
            of_tickets.compare(_published(folder, manifest, TICKET_FILES))
        if manifest.orders:
            of_orders.compare(_published(folder, manifest, ORDER_FILES))
    former = [
        f"{word} {search.former}"
        for word, search in ((TICKET, of_tickets), (ORDER, of_orders))
        if search.former
    ]
    return Common(of_tickets.found, of_orders.found, of_tickets.read, next(iter(former), ""))


def refuse_former_database(
    session: StoreSession, reading: reader.StoreReading, folder: Folder, position: Position
) -> None:
    """`CursorWentBack` if the database is one that was replaced before the newest epoch began.

    What its tills rang above the backup was published under the epoch that ended: under the new one it would
    be booked twice.
    """
    common = last_common(session, reading, folder, position)
    if common.former:
        raise CursorWentBack(
            f"The RMS database of store `{session.store}` is one that was replaced: it has {common.former}, "
            "which was lost when another was taken over. Retrying cannot clear this; nothing was published.",
            next_step=BACK_TO_THE_NEWEST.format(store=session.store),
            store=session.store,
        )


class _Search:
    """The highest number of a source whose document is the same on both sides.

    It is the same if it is of the same time and has the same content or a line in common: a ticket that
    was corrected since, or an order that was, stays the one it is. The same content alone proves nothing:
    in a restored database the same goods may be rung again under the same number. If no time agrees at
    all, the store's zone was configured otherwise, which moves times by whole quarters of an hour: then
    the same content counts where the rest of the time agrees.
    """

    def __init__(
        self,
        time: str,
        epoch_of: Callable[[int], int],
        read: Callable[[list[int]], tuple[pd.DataFrame, pd.DataFrame]],
    ) -> None:
        self._time = time
        self._epoch_of = epoch_of
        self._read_now = read
        self.exact = 0
        self.read = 0
        self.former = 0
        self._shifted = 0

    @property
    def found(self) -> int:
        """The highest common number so far, 0 if there is none."""
        return self.exact or self._shifted

    def compare(self, published: tuple[pd.DataFrame, pd.DataFrame] | None) -> None:
        """Look at the headers and lines of a batch."""
        if published is None:
            return
        rows = list(self._rows(published[0], "epoch"))
        ours = [row[:3] for row in rows if row[0] > self.exact and row[3] == self._epoch_of(row[0])]
        lost = [row[:3] for row in rows if row[3] < self._epoch_of(row[0])]
        if not ours and not lost:
            return
        self.read += len(ours)
        headers, lines = self._read_now(sorted({number for number, *_ in (*ours, *lost)}))
        now = {number: (revision, time) for number, revision, time in self._rows(headers)}
        sharing = {number for number, *_ in _lines(published[1]) & _lines(lines)}

        def is_there(number: int, revision: str, time: str) -> bool:
            revision_now, time_now = now.get(number, ("", ""))
            return time == time_now and (revision == revision_now or number in sharing)

        self.former = max((row[0] for row in lost if is_there(*row)), default=self.former)
        for number, revision, time in ours:
            if is_there(number, revision, time):
                self.exact = max(self.exact, number)
            elif number in now and (revision, _in_quarter(time)) == (
                now[number][0],
                _in_quarter(now[number][1]),
            ):
                self._shifted = max(self._shifted, number)

    def _rows(self, headers: pd.DataFrame, *more: str) -> Iterator[tuple[Any, ...]]:
        columns = ("number", "revision", self._time, *more)
        return zip(*(headers[name].tolist() for name in columns), strict=True)


def _lines(lines: pd.DataFrame) -> set[tuple[int, int, int]]:
    columns = ("number", "entry_id", "item_id")
    return set(zip(*(lines[name].tolist() for name in columns), strict=True))


def _in_quarter(time: str) -> tuple[int, str]:
    """What no zone changes of `2026-11-23T08:19:30.123Z`: (4, ":30.123Z")."""
    return int(time[14:16]) % 15, time[16:]


def _newest_first(folder: Folder, store: str) -> Iterator[Manifest]:
    for name in reversed(batches.every_batch(folder, store, STREAM_ORDERS)):
        try:
            yield batches.fetch_manifest(folder, store, STREAM_ORDERS, *name)
        except (ContractBroken, BatchAltered) as error:
            logger.warning("%s/%s: passed over, %s", store, STREAM_ORDERS, error.message)


def _published(
    folder: Folder, manifest: Manifest, roles: Collection[str]
) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Headers and lines of a batch; None if its headers cannot be read, no lines if those cannot."""
    files = batches.fetch_intact_files(folder, manifest, roles)
    frames = []
    for role in roles:
        columns = FILES[STREAM_ORDERS][role]
        frame = pd.DataFrame(columns=list(columns))
        if role in files:
            # As the store wrote it, but perhaps in the form of another version.
            with suppress(ContractBroken):
                frame, _ = typed(read_rows(files[role], columns, manifest.file(role).name), columns)
        frames.append(frame)
    headers, lines = frames
    return None if headers.empty else (headers, lines)
