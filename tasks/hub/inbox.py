"""The hub's book of batches: verdicts before the import, outcomes after it.

An outcome is stored in the transaction of its import, so a batch seen before is answered from here.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, cast

from sqlalchemy import Connection, select
from sqlalchemy.engine import RowMapping

from data_contracts.errors import NotYetArrived
from data_contracts.manifest import Manifest, Reason
from tasks import faults
from tasks.hub.bulk import insert_one, upsert
from tasks.hub.database import Hub, lock_store
from tasks.hub.events import EventLog
from tasks.hub.schema import batches, streams, verdicts

if TYPE_CHECKING:
    from data_contracts.quarantine import Verdict

log = logging.getLogger(__name__)

faults.declare(
    "hub.verdict.before_commit",
    "hub.verdict.after_commit",
    "hub.reject.before_commit",
    "hub.reject.after_commit",
)


@dataclass(frozen=True)
class BatchOutcome:
    """What became of a batch. Documents are accepted, quarantined, pending, seen_before or superseded."""

    state: Literal["accepted", "rejected"]
    documents: int = 0
    accepted: int = 0
    quarantined: int = 0
    pending: int = 0
    seen_before: int = 0
    superseded: int = 0
    reasons: tuple[Reason, ...] = ()
    already: bool = False
    """It was in the hub before this call, which changed nothing."""


def utc_now() -> str:
    """The present as the hub writes it: `2026-11-23T08:15:30.123Z`."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def find_batch(hub: Hub, manifest: Manifest) -> BatchOutcome | None:
    """What became of a batch; None if the hub has not taken it in."""
    with hub.reading() as connection:
        return recorded(connection, manifest)


def known_batches(hub: Hub, store: str, stream: str) -> dict[str, str]:
    """Name of each batch of a stream that the hub has taken in (`000412-9f2c51d07ab3`) -> its state."""
    statement = select(batches.c.path, batches.c.state).where(
        batches.c.store == store, batches.c.stream == stream
    )
    with hub.reading() as connection:
        return {row.path.rsplit("/", 1)[1]: row.state for row in connection.execute(statement)}


def store_verdict(hub: Hub, manifest: Manifest, verdict: Verdict) -> None:
    """Keep what validation said about a batch; a later verdict replaces it."""
    with hub.writing("hub.verdict.before_commit", "hub.verdict.after_commit") as connection:
        upsert(
            connection,
            verdicts,
            ("batch", "verdict", "stored_utc"),
            [(manifest.path, verdict.model_dump_json(), utc_now())],
            update=("verdict", "stored_utc"),
        )


def load_verdict(hub: Hub, manifest: Manifest) -> Verdict:
    """The stored verdict of a batch; `NotYetArrived` if it was never validated."""
    with hub.reading() as connection:
        return stored_verdict(connection, manifest)


def reject_batch(
    hub: Hub, manifest: Manifest, reasons: Sequence[Reason], *, now: str | None = None
) -> BatchOutcome:
    """Record that a batch was refused whole; nothing of it is booked. A recorded batch stays as it is."""
    outcome = BatchOutcome("rejected", documents=manifest.documents, reasons=tuple(reasons))
    at = now or utc_now()
    with hub.writing("hub.reject.before_commit", "hub.reject.after_commit") as connection:
        lock_store(connection, manifest.store)
        found = recorded(connection, manifest)
        if found is not None:
            return found
        log_of = EventLog(manifest.store, at, manifest.path)
        note_sequence(connection, manifest, log_of, at)
        record(connection, manifest, outcome, at)
        log_of.add("batch_rejected", reasons=[reason.rule for reason in reasons])
        log_of.write(connection)
    log.warning("rejected %s: %s", manifest.path, ", ".join(sorted({reason.rule for reason in reasons})))
    return outcome


# -- inside the transaction of an import ---------------------------------------------------------------
def recorded(connection: Connection, manifest: Manifest) -> BatchOutcome | None:
    """`find_batch` within a transaction."""
    row = connection.execute(select(batches).where(batches.c.path == manifest.path)).mappings().first()
    return None if row is None else _outcome(row)


def stored_verdict(connection: Connection, manifest: Manifest) -> Verdict:
    """`load_verdict` within a transaction."""
    from data_contracts.quarantine import Verdict

    text = connection.execute(
        select(verdicts.c.verdict).where(verdicts.c.batch == manifest.path)
    ).scalar_one_or_none()
    if text is None:
        raise NotYetArrived(
            f"{manifest.path} has no stored verdict, so it was not imported. Nothing was changed; it can be "
            "imported once it has been validated.",
            next_step="validate the batch first: `tillbridge import` does both",
            batch=manifest.path,
        )
    return Verdict.model_validate_json(text)


def record(connection: Connection, manifest: Manifest, outcome: BatchOutcome, now: str) -> None:
    """Write the outcome of a batch."""
    insert_one(
        connection,
        batches,
        path=manifest.path,
        store=manifest.store,
        stream=manifest.stream,
        sequence=manifest.sequence,
        batch_id=manifest.batch_id,
        epoch=manifest.epoch,
        state=outcome.state,
        manifest=manifest.model_dump_json(),
        documents=outcome.documents,
        accepted=outcome.accepted,
        quarantined=outcome.quarantined,
        pending=outcome.pending,
        seen_before=outcome.seen_before,
        superseded=outcome.superseded,
        reasons=json.dumps([reason.model_dump() for reason in outcome.reasons], ensure_ascii=False),
        imported_utc=now,
    )


def note_sequence(connection: Connection, manifest: Manifest, log_of: EventLog, now: str) -> None:
    """Move the stream's newest sequence forward; sequences jumped over become an event."""
    row = (
        connection.execute(
            select(streams).where(streams.c.store == manifest.store, streams.c.stream == manifest.stream)
        )
        .mappings()
        .first()
    )
    last = 0 if row is None else int(row["last_sequence"])
    newer = manifest.sequence > last
    if manifest.sequence > last + 1:
        log_of.add(
            "sequence_gap", stream=manifest.stream, first_missing=last + 1, last_missing=manifest.sequence - 1
        )
        log.warning("%s skips %d to %d of its stream", manifest.path, last + 1, manifest.sequence - 1)
    newest = (
        (manifest.sequence, manifest.path, [waiting.model_dump() for waiting in manifest.position.waiting])
        if newer or row is None
        else (last, row["last_batch"], json.loads(row["waiting"]))
    )
    upsert(
        connection,
        streams,
        ("store", "stream", "last_sequence", "last_batch", "imported_utc", "waiting"),
        [(manifest.store, manifest.stream, newest[0], newest[1], now, json.dumps(newest[2]))],
        update=("last_sequence", "last_batch", "imported_utc", "waiting"),
    )


def _outcome(row: RowMapping) -> BatchOutcome:
    return BatchOutcome(
        state=cast(Literal["accepted", "rejected"], row["state"]),
        documents=row["documents"],
        accepted=row["accepted"],
        quarantined=row["quarantined"],
        pending=row["pending"],
        seen_before=row["seen_before"],
        superseded=row["superseded"],
        reasons=tuple(Reason.model_validate(reason) for reason in json.loads(row["reasons"])),
        already=True,
    )
