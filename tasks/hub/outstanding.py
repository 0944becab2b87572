"""What the hub still lacks of a store's batches: rejected or missing ones that nothing has replaced yet.

A batch of tickets and orders is replaced by an accepted one whose manifest says so, at any remove: a
replacement that was itself rejected counts once its own replacement was accepted. Of a sending again that
needs several batches the last says what they replace, so that all of them were published by then; one of
the others that is rejected stands here by itself. Of statements and baselines the newest one counts, and
an accepted one replaces what came before it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from data_contracts.documents import STREAM_ORDERS
from data_contracts.manifest import Reason
from data_contracts.sending_again import send_again, send_sequence_again
from tasks.hub.database import Hub
from tasks.hub.schema import batches, streams


@dataclass(frozen=True)
class RejectedBatch:
    """A batch that was refused whole and has no replacement yet."""

    path: str
    stream: str
    sequence: int
    batch_id: str
    documents: int
    rejected_utc: str
    rule: str
    message: str
    """Why, of the first reason."""

    @property
    def fix(self) -> str:
        """The next step, with its command."""
        return send_again(self.path)

    @property
    def sentence(self) -> str:
        """`S1/orders/000007-... was rejected on 2026-11-24 06:00 UTC: ...`"""
        return f"{self.path} was rejected on {_minute(self.rejected_utc)} UTC: {self.message}"


@dataclass(frozen=True)
class MissingBatches:
    """Sequences of tickets and orders of which no batch ever came, first and last included."""

    store: str
    first: int
    last: int
    since_utc: str
    """When the first batch after them was imported."""

    @property
    def fix(self) -> str:
        """The next step, with its command."""
        more = f"; then the others up to {self.last} likewise" if self.last > self.first else ""
        return f"if it is not only late, {send_sequence_again(self.store, self.first)}{more}"

    @property
    def sentence(self) -> str:
        """`S1: batch 7 is missing since 2026-11-24 06:00 UTC.`"""
        one = self.first == self.last
        which = f"batch {self.first} is" if one else f"batches {self.first} to {self.last} are"
        return f"{self.store}: {which} missing since {_minute(self.since_utc)} UTC."


@dataclass(frozen=True)
class Outstanding:
    """All that is lacking of a store's batches."""

    rejected: tuple[RejectedBatch, ...] = ()
    missing: tuple[MissingBatches, ...] = ()

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """One for each, with what to do."""
        return (
            *(Reason(rule=batch.rule, message=batch.sentence, fix=batch.fix) for batch in self.rejected),
            *(Reason(rule="missing", message=gap.sentence, fix=gap.fix) for gap in self.missing),
        )


def of_store(hub: Hub, store: str) -> Outstanding:
    """What the hub lacks of a store."""
    with hub.reading() as connection:
        return outstanding(connection, store)


def outstanding(connection: Connection, store: str) -> Outstanding:
    """`of_store` within a transaction."""
    replaced = _replaced(connection, store)
    return Outstanding(
        tuple(_rejected(connection, store, replaced)), tuple(_missing(connection, store, replaced))
    )


def _replaced(connection: Connection, store: str) -> set[int]:
    """Sequences of the orders stream for which an accepted batch stands, at any remove."""
    b = batches.c
    rows = connection.execute(
        select(b.sequence, b.state, b.replaces)
        .where(b.store == store, b.stream == STREAM_ORDERS, b.replaces.is_not(None))
        .order_by(b.sequence.desc())
    )
    replaced: set[int] = set()
    for sequence, state, replaces in rows:  # a replacement has the higher sequence
        if state == "accepted" or sequence in replaced:
            replaced.add(replaces)
    return replaced


def _rejected(connection: Connection, store: str, replaced: set[int]) -> Iterator[RejectedBatch]:
    b = batches.c
    accepted = dict(
        connection.execute(
            select(b.stream, func.max(b.sequence))
            .where(b.store == store, b.stream != STREAM_ORDERS, b.state == "accepted")
            .group_by(b.stream)
        )
        .tuples()
        .all()
    )
    rows = connection.execute(
        select(batches)
        .where(b.store == store, b.state == "rejected")
        .order_by(b.stream, b.sequence, b.batch_id)
    ).mappings()
    for row in rows:
        if row["stream"] == STREAM_ORDERS:
            done = row["sequence"] in replaced
        else:
            done = row["sequence"] < accepted.get(row["stream"], 0)
        if done:
            continue
        reasons = [Reason.model_validate(reason) for reason in json.loads(row["reasons"])]
        yield RejectedBatch(
            path=row["path"],
            stream=row["stream"],
            sequence=row["sequence"],
            batch_id=row["batch_id"],
            documents=row["documents"],
            rejected_utc=row["imported_utc"],
            rule=reasons[0].rule if reasons else "",
            message=reasons[0].message if reasons else "",
        )


def _missing(connection: Connection, store: str, replaced: set[int]) -> Iterator[MissingBatches]:
    b = batches.c
    of_stream = (b.store == store, b.stream == STREAM_ORDERS)
    newest = select(func.coalesce(func.max(streams.c.last_sequence), 0)).where(
        streams.c.store == store, streams.c.stream == STREAM_ORDERS
    )
    came = select(b.sequence).where(*of_stream, b.sequence <= newest.scalar_subquery()).distinct().subquery()
    before = func.coalesce(func.lag(came.c.sequence).over(order_by=came.c.sequence), 0).label("before")
    steps = select(came.c.sequence, before).subquery()
    gaps = connection.execute(
        select(steps.c.before + 1, steps.c.sequence - 1)
        .where(steps.c.sequence > steps.c.before + 1)
        .order_by(steps.c.sequence)
    ).all()
    for first, last in gaps:
        since = connection.execute(
            select(func.min(b.imported_utc)).where(*of_stream, b.sequence > last)
        ).scalar_one()
        for begin, end in _without(first, last, replaced):
            yield MissingBatches(store, begin, end, since)


def _without(first: int, last: int, replaced: set[int]) -> Iterator[tuple[int, int]]:
    """The parts of a range that are left without some numbers."""
    for number in sorted(number for number in replaced if first <= number <= last):
        if first < number:
            yield first, number - 1
        first = number + 1
    if first <= last:
        yield first, last


def _minute(utc: str) -> str:
    return utc[:16].replace("T", " ")
