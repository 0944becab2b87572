"""Publishes read tickets as a batch; the same for the export and for sending again, so that both agree."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from data_contracts.documents import FILES, STREAM_ORDERS
from data_contracts.manifest import Manifest, Mark, Position
from tasks.exchange import batches
from tasks.exchange.folder import Folder
from tasks.rms import reader
from tasks.use_cases.store_session import StoreSession, program_version, went_back

if TYPE_CHECKING:
    from tasks.rms.tickets import TicketFrames

UNSETTLED = "unsettled"


def check_last_ticket(
    session: StoreSession, reading: reader.StoreReading, position: Position, lookback: int
) -> None:
    """`CursorWentBack` if other tickets stand under the numbers that we know, as in a restored database."""
    from tasks.rms.tickets import read_tickets

    last = position.last_ticket
    if last is None or last.number in {entry.number for entry in position.waiting}:
        return
    known = read_tickets(session.connection, reading, [last.number])
    if last.number in known.moved:
        return
    seen = seen_mark(position, last.number, lookback)
    for revision, rowversion in zip(
        known.tickets["revision"].tolist(), known.tickets["rowversion"].tolist(), strict=True
    ):
        # A newer form of the hash says nothing about the content.
        comparable = revision.split("-")[0] == last.revision.split("-")[0]
        if comparable and revision != last.revision and rowversion <= seen.rowversion:
            raise went_back(session.store, f"ticket {last.number} is another one than the one published")


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
    return int(frames.tickets["units"].sum()), int(frames.tickets["total"].sum())


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
