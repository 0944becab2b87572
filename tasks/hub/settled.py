"""Which batches the hub is done with, and since when: what a cleaning of the exchange folder asks it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from data_contracts.documents import ORDER, STREAM_PRODUCTS
from data_contracts.manifest import EpochStart, Manifest
from tasks.hub.schema import batches, document_revisions, documents, product_batches


class Settled(NamedTuple):
    """A batch whose verdict the hub holds; of products, one whose answer it has booked or given up."""

    sequence: int
    batch_id: str
    epoch: int
    accepted: bool
    settled_utc: str

    @property
    def key(self) -> tuple[int, str]:
        """Sequence and batch id."""
        return self.sequence, self.batch_id


def settled_batches(connection: Connection, store: str, stream: str, *, first: int) -> list[Settled]:
    """Those of a stream from the sequence `first` on, ascending."""
    if stream == STREAM_PRODUCTS:
        p = product_batches.c
        since = func.coalesce(p.answered_utc, p.noted_utc)
        query = select(p.sequence, p.batch_id, 1, p.state == "answered", since).where(
            p.store == store, p.sequence >= first, p.state.in_(("answered", "rejected", "lost"))
        )
        return sorted(Settled(*row) for row in connection.execute(query))
    b = batches.c
    found = select(b.sequence, b.batch_id, b.epoch, b.state == "accepted", b.imported_utc).where(
        b.store == store, b.stream == stream, b.sequence >= first
    )
    return sorted(Settled(*row) for row in connection.execute(found))


def manifests_of(connection: Connection, paths: Iterable[str]) -> Iterator[tuple[str, Manifest]]:
    """Path and manifest as the hub took it in, of those batches that had one which could be read."""
    b = batches.c
    for path in paths:
        text = connection.execute(select(b.manifest).where(b.path == path)).scalar_one_or_none()
        if text:
            yield path, Manifest.from_json(text.encode(), path)


def highest_order(connection: Connection, store: str, sequence: int, epochs: Sequence[EpochStart]) -> int:
    """The highest number of an order that came up to a sequence and that counts by these epochs; else 0."""
    d, r = documents.c, document_revisions.c
    highest = 0
    for at, epoch in enumerate(epochs):
        query = (
            select(func.max(d.number))
            .join(document_revisions, r.document == d.document)
            .where(d.store == store, d.source == ORDER, d.epoch == epoch.epoch, r.sequence <= sequence)
        )
        if at + 1 < len(epochs):
            # What lies above was lost when the database was restored; its numbers are given out again.
            query = query.where(d.number <= min(later.after_order for later in epochs[at + 1 :]))
        highest = max(highest, connection.execute(query).scalar_one() or 0)
    return highest
