"""The hub's book of batches: verdicts before the import, outcomes after it.

An outcome is stored in the transaction of its import, so a batch seen before is answered from here. One
outcome is not for good: a batch that was rejected because it came spoiled is taken when it comes whole.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from sqlalchemy import Connection, exists, select
from sqlalchemy.engine import RowMapping

from data_contracts.errors import NotYetArrived
from data_contracts.manifest import Manifest, Reason, batch_name
from tasks import faults
from tasks.hub.bulk import upsert
from tasks.hub.database import Hub, lock_store
from tasks.hub.events import EventLog
from tasks.hub.schema import batches, columns_of, events, streams, verdicts

if TYPE_CHECKING:
    from data_contracts.quarantine import Verdict

log = logging.getLogger(__name__)

faults.declare(
    "hub.verdict.before_commit",
    "hub.verdict.after_commit",
    "hub.reject.before_commit",
    "hub.reject.after_commit",
    "hub.contradiction.before_commit",
    "hub.contradiction.after_commit",
)

RULE_ALTERED = "altered"
RULE_UNREADABLE = "unreadable"
_ON_THE_WAY = frozenset({RULE_ALTERED, RULE_UNREADABLE})
"""Why a batch is rejected that was spoiled on its way: nothing was wrong with it when it was published."""


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
    booked: tuple[str, ...] = ()
    """Numbers of the accepted documents, for people: `tickets 562 to 571`. Not kept: empty if `already`."""
    already: bool = False
    """It was in the hub before this call, which changed nothing."""

    @property
    def may_come_again(self) -> bool:
        """Whether it was only spoiled on its way: the same batch, once it comes whole, is taken."""
        return self.state == "rejected" and {reason.rule for reason in self.reasons} <= _ON_THE_WAY


def utc_now() -> str:
    """The present as the hub writes it: `2026-11-23T08:15:30.123Z`."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def find_batch(hub: Hub, path: str) -> BatchOutcome | None:
    """What became of a batch by its path; None if the hub has not taken it in."""
    with hub.reading() as connection:
        return recorded(connection, path)


def recorded_manifest(hub: Hub, path: str) -> Manifest | None:
    """The manifest of a batch as the hub took it in; None if there is none, or it could not be read."""
    with hub.reading() as connection:
        text = connection.execute(
            select(batches.c.manifest).where(batches.c.path == path)
        ).scalar_one_or_none()
    return Manifest.from_json(text.encode(), path) if text else None


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
    """Record that a batch was refused whole; nothing of it is booked. A recorded batch stays as it is.

    Unless it was refused for coming spoiled, came again whole, and is now refused for what is in it.
    """
    outcome = BatchOutcome("rejected", documents=manifest.documents, reasons=tuple(reasons))
    at = now or utc_now()
    with hub.writing("hub.reject.before_commit", "hub.reject.after_commit") as connection:
        lock_store(connection, manifest.store)
        found = recorded(connection, manifest.path)
        if found is not None and (outcome.may_come_again or not found.may_come_again):
            return found
        log_of = EventLog(manifest.store, at, manifest.path)
        note_sequence(connection, manifest, log_of, at)
        record(connection, manifest, outcome, at)
        log_of.add("batch_rejected", reasons=[reason.rule for reason in reasons])
        log_of.write(connection)
    log.warning("rejected %s: %s", manifest.path, ", ".join(sorted({reason.rule for reason in reasons})))
    return outcome


def reject_unreadable(
    hub: Hub, store: str, stream: str, sequence: int, batch_id: str, reason: Reason
) -> BatchOutcome:
    """Record that a batch was refused whose manifest cannot be read. A recorded batch stays as it is.

    Its sequence counts as the stream's newest only where it is the next: nothing but a file's name says so.
    """
    path, at = f"{store}/{stream}/{batch_name(sequence, batch_id)}", utc_now()
    outcome = BatchOutcome("rejected", reasons=(reason,))
    with hub.writing("hub.reject.before_commit", "hub.reject.after_commit") as connection:
        lock_store(connection, store)
        found = recorded(connection, path)
        if found is not None:
            return found
        named = {"store": store, "stream": stream, "sequence": sequence, "batch_id": batch_id, "epoch": 0}
        _record(connection, {"path": path, **named, "manifest": ""}, outcome, at)
        newest = _newest(connection, store, stream)
        if sequence == newest.sequence + 1:
            _write_newest(connection, store, stream, newest._replace(sequence=sequence, path=path), at)
        log_of = EventLog(store, at, path)
        log_of.add("batch_rejected", reasons=[reason.rule])
        log_of.write(connection)
    log.warning("rejected %s: %s", path, reason.rule)
    return outcome


def note_contradiction(hub: Hub, store: str, path: str, file: str, set_aside: str) -> None:
    """Raise an event, once: a file of a batch that was taken in came again with other content."""
    at = utc_now()
    with hub.writing("hub.contradiction.before_commit", "hub.contradiction.after_commit") as connection:
        lock_store(connection, store)
        e, payload = events.c, {"file": file, "set_aside": set_aside}
        same = select(e.number).where(
            e.store == store,
            e.type == "batch_contradicted",
            e.batch == path,
            e.payload == json.dumps(payload, ensure_ascii=False),
        )
        if connection.execute(same).first() is not None:
            return
        log_of = EventLog(store, at, path)
        log_of.add("batch_contradicted", **payload)
        log_of.write(connection)
    log.error("%s: %s came again with other content; it is set aside as %s", path, file, set_aside)


# -- inside the transaction of an import ---------------------------------------------------------------
def recorded(connection: Connection, path: str) -> BatchOutcome | None:
    """`find_batch` within a transaction."""
    row = connection.execute(select(batches).where(batches.c.path == path)).mappings().first()
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
    named = {
        "path": manifest.path,
        "store": manifest.store,
        "stream": manifest.stream,
        "sequence": manifest.sequence,
        "batch_id": manifest.batch_id,
        "epoch": manifest.epoch,
        "manifest": manifest.model_dump_json(),
        "replaces": manifest.replaces,
    }
    _record(connection, named, outcome, now)


def _record(connection: Connection, named: dict[str, Any], outcome: BatchOutcome, now: str) -> None:
    row: dict[str, Any] = {
        "replaces": None,
        **named,
        "state": outcome.state,
        "documents": outcome.documents,
        "accepted": outcome.accepted,
        "quarantined": outcome.quarantined,
        "pending": outcome.pending,
        "seen_before": outcome.seen_before,
        "superseded": outcome.superseded,
        "reasons": json.dumps([reason.model_dump() for reason in outcome.reasons], ensure_ascii=False),
        "imported_utc": now,
    }
    columns = columns_of(batches)
    upsert(
        connection,
        batches,
        columns,
        [tuple(row[name] for name in columns)],
        update=[name for name in columns if name != "path"],
    )


def note_sequence(connection: Connection, manifest: Manifest, log_of: EventLog, now: str) -> None:
    """Move the stream's newest sequence forward.

    Events tell of sequences that were jumped over, of one of them that arrives after all, and of a sequence
    that two batches have: two exporters at work on one store.
    """
    newest = _newest(connection, manifest.store, manifest.stream)
    last = newest.sequence
    newer = manifest.sequence > last
    if manifest.sequence > last + 1:
        log_of.add(
            "sequence_gap", stream=manifest.stream, first_missing=last + 1, last_missing=manifest.sequence - 1
        )
        log.warning("%s skips %d to %d of its stream", manifest.path, last + 1, manifest.sequence - 1)
    elif not newer and recorded(connection, manifest.path) is None:
        if _is_known(connection, manifest, manifest.sequence):
            log_of.add("sequence_fork", stream=manifest.stream, sequence=manifest.sequence)
            log.warning("%s is not the only batch of its sequence", manifest.path)
        else:
            log_of.add("sequence_gap_closed", stream=manifest.stream, sequence=manifest.sequence)
    if newer or newest.path == manifest.path:
        waiting = json.dumps([entry.model_dump() for entry in manifest.position.waiting])
        newest = _Newest(manifest.sequence, manifest.path, waiting)
    _write_newest(connection, manifest.store, manifest.stream, newest, now)


class _Newest(NamedTuple):
    """The newest batch of a stream; no path where there is none yet."""

    sequence: int
    path: str
    waiting: str
    """What its manifest said was waiting, as JSON."""


def _newest(connection: Connection, store: str, stream: str) -> _Newest:
    s = streams.c
    row = connection.execute(
        select(s.last_sequence, s.last_batch, s.waiting).where(s.store == store, s.stream == stream)
    ).first()
    return _Newest(0, "", "[]") if row is None else _Newest(*row)


def _write_newest(connection: Connection, store: str, stream: str, newest: _Newest, now: str) -> None:
    upsert(
        connection,
        streams,
        ("store", "stream", "last_sequence", "last_batch", "imported_utc", "waiting"),
        [(store, stream, newest.sequence, newest.path, now, newest.waiting)],
        update=("last_sequence", "last_batch", "imported_utc", "waiting"),
    )


def note_replacement(connection: Connection, manifest: Manifest, log_of: EventLog) -> None:
    """Events of a batch that stands for one which was rejected or never came; nothing for any other."""
    if manifest.replaces is None:
        return
    log_of.add("batch_replaced", stream=manifest.stream, sequence=manifest.replaces)
    if manifest.replaces < manifest.sequence and not _is_known(connection, manifest, manifest.replaces):
        log_of.add("sequence_gap_closed", stream=manifest.stream, sequence=manifest.replaces)


def _is_known(connection: Connection, manifest: Manifest, sequence: int) -> bool:
    """Whether the hub has a batch of that sequence of the same stream."""
    b = batches.c
    same = exists().where(b.store == manifest.store, b.stream == manifest.stream, b.sequence == sequence)
    return bool(connection.execute(select(same)).scalar_one())


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
