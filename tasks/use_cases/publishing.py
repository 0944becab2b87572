"""Publishes read tickets and orders as a batch; the same for export and sending again, so that both agree."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from data_contracts.documents import FILES, ORDER_ROLES, STREAM_ORDERS, TICKET_ROLES
from data_contracts.manifest import Manifest, Mark, Position
from tasks.exchange import batches
from tasks.exchange.folder import Folder
from tasks.rms import reader
from tasks.use_cases.store_session import StoreSession, program_version

if TYPE_CHECKING:
    import pandas as pd

    from tasks.rms.orders import OrderFrames
    from tasks.rms.tickets import TicketFrames

UNSETTLED = "unsettled"

Progress = Callable[[int, int], object]
"""Told how many of how many documents are done, where they take several batches."""


def tell_nobody(_done: int, _of: int) -> None:
    """Where nobody wants to know of the progress."""


def last_ticket_changed(session: StoreSession, reading: reader.StoreReading, position: Position) -> bool:
    """Whether the newest ticket published has another content by now, perhaps without a newer rowversion.

    A deleted line or tender leaves none behind. A newer form of the hash says nothing about the content.
    """
    from tasks.rms.tickets import read_tickets

    last = position.last_ticket
    if last is None:
        return False
    now = read_tickets(session.connection, reading, [last.number]).tickets["revision"].tolist()
    return any(
        revision != last.revision and revision.split("-")[0] == last.revision.split("-")[0]
        for revision in now
    )


def seen_mark(position: Position, number: int, lookback: int) -> Mark:
    """The mark up to which the exports have seen the changes of a ticket."""
    # Below the lookback only a sweep has seen changes.
    return position.resume if number > position.resume.ticket_number - lookback else position.swept


def flag(frames: TicketFrames, numbers: set[int]) -> TicketFrames:
    """The same tickets, those numbers flagged as unsettled."""
    return replace(frames, tickets=_flagged(frames.tickets, numbers))


def flag_orders(frames: OrderFrames, numbers: set[int]) -> OrderFrames:
    """The same orders, those numbers flagged as unsettled."""
    return replace(frames, orders=_flagged(frames.orders, numbers))


def _flagged(headers: pd.DataFrame, numbers: set[int]) -> pd.DataFrame:
    if not numbers:
        return headers
    flags = [
        ";".join(filter(None, (flags, UNSETTLED))) if number in numbers else flags
        for number, flags in zip(headers["number"].tolist(), headers["flags"].tolist(), strict=True)
    ]
    return headers.assign(flags=flags).astype({"flags": "str"})


class Sums(NamedTuple):
    """What some documents come to; units and money in ten-thousandths."""

    tickets: int = 0
    lines: int = 0
    units: int = 0
    money: int = 0
    """Lines, units and money of the tickets."""
    orders: int = 0
    deposits: int = 0
    """DeltaDeposit of the orders, raw."""
    unsettled: int = 0
    """Tickets and orders flagged as unsettled."""


def sums(tickets: TicketFrames | None, orders: OrderFrames | None) -> Sums:
    """What documents come to that travel together."""
    said = Sums()
    # Python's integers: numpy's would leave 64 bits without a word.
    if tickets is not None:
        said = said._replace(
            tickets=len(tickets.tickets),
            lines=len(tickets.lines),
            units=sum(tickets.tickets["units"].tolist()),
            money=sum(tickets.tickets["total"].tolist()),
            unsettled=_count_flagged(tickets.tickets),
        )
    if orders is not None:
        said = said._replace(
            orders=len(orders.orders),
            deposits=sum(orders.orders["deposit_changes"].tolist()),
            unsettled=said.unsettled + _count_flagged(orders.orders),
        )
    return said


def _count_flagged(headers: pd.DataFrame) -> int:
    return sum(UNSETTLED in flags.split(";") for flags in headers["flags"].tolist())


def recalled_by(
    tickets: TicketFrames, reading: reader.StoreReading, home_types: Sequence[int], published: Collection[int]
) -> set[int]:
    """Numbers of the orders that pick-up tickets took from: not those that stay in the store.

    Unless such an order was published as open (`published`) before it became one that stays.
    """
    headers = tickets.tickets
    return {
        order
        for recall_type, order, order_type in zip(
            headers["recall_type"].tolist(),
            headers["recall_id"].tolist(),
            headers["recalled_order_type"].tolist(),
            strict=True,
        )
        if recall_type == reading.recall_order and (order_type not in home_types or order in published)
    }


def travelling(orders: OrderFrames, home_types: Sequence[int], published: Collection[int]) -> OrderFrames:
    """Orders without those that stay in the store, unless published as open before they became such."""
    types = zip(orders.numbers, orders.orders["order_type"].tolist(), strict=True)
    return orders.only(number for number, kind in types if kind not in home_types or number in published)


def publish_documents(
    folder: Folder,
    store: str,
    tickets: TicketFrames | None,
    orders: OrderFrames | None,
    position: Position,
    *,
    created_utc: str,
    bound: int,
    range_from: Mark,
    range_to: Mark,
    before_baseline: int = 0,
    replaces: int | None = None,
) -> Manifest:
    """Publish documents as the next batch of the orders stream, which then stands at `position`."""
    from data_contracts.frames import no_rows, write_csv

    tables = {role: no_rows(columns) for role, columns in FILES[STREAM_ORDERS].items()}
    if tickets is not None:
        tables |= zip(TICKET_ROLES, (tickets.tickets, tickets.lines, tickets.tenders), strict=True)
    if orders is not None:
        parts = (orders.orders, orders.lines, orders.history, orders.tenders)
        tables |= zip(ORDER_ROLES, parts, strict=True)
    said = sums(tickets, orders)
    return batches.publish_batch(
        folder,
        batches.Draft(
            program_version=program_version(),
            store=store,
            epoch=position.epochs[-1].epoch,
            stream=STREAM_ORDERS,
            created_utc=created_utc,
            documents=said.tickets + said.orders,
            units=said.units,
            money=said.money,
            orders=said.orders,
            deposits=said.deposits,
            bound=bound,
            range_from=range_from,
            range_to=range_to,
            position=position,
            before_baseline=before_baseline,
            replaces=replaces,
        ),
        {
            role: batches.Content(write_csv(tables[role], columns), len(tables[role]))
            for role, columns in FILES[STREAM_ORDERS].items()
        },
    )
