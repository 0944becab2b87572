"""Publishes read tickets as a batch; the same for the export and for sending again, so that both agree."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from data_contracts.documents import FILES, STREAM_ORDERS
from data_contracts.manifest import Manifest, Mark, Position
from tasks.exchange import batches
from tasks.exchange.folder import Folder
from tasks.rms import reader
from tasks.use_cases.store_session import StoreSession, program_version

if TYPE_CHECKING:
    from tasks.rms.tickets import TicketFrames

UNSETTLED = "unsettled"


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
    if not numbers:
        return frames
    tickets = frames.tickets.copy()
    tickets["flags"] = [
        ";".join(filter(None, (flags, UNSETTLED))) if number in numbers else flags
        for number, flags in zip(tickets["number"].tolist(), tickets["flags"].tolist(), strict=True)
    ]
    tickets["flags"] = tickets["flags"].astype("str")
    return replace(frames, tickets=tickets)


def sums(frames: TicketFrames) -> tuple[int, int]:
    """(units, money) of some tickets in ten-thousandths."""
    # Python's integers: numpy's would leave 64 bits without a word.
    return sum(frames.tickets["units"].tolist()), sum(frames.tickets["total"].tolist())


def publish_tickets(
    folder: Folder,
    store: str,
    frames: TicketFrames,
    position: Position,
    *,
    created_utc: str,
    bound: int,
    range_from: Mark,
    range_to: Mark,
    before_baseline: int = 0,
    replaces: int | None = None,
) -> Manifest:
    """Publish tickets as the next batch of the orders stream, which then stands at `position`."""
    from data_contracts.frames import write_csv

    tables = {"tickets": frames.tickets, "ticket_lines": frames.lines, "tenders": frames.tenders}
    units, money = sums(frames)
    return batches.publish_batch(
        folder,
        batches.Draft(
            program_version=program_version(),
            store=store,
            epoch=position.epochs[-1].epoch,
            stream=STREAM_ORDERS,
            created_utc=created_utc,
            documents=len(frames.tickets),
            units=units,
            money=money,
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
