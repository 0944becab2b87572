"""Takes waiting batches into the hub: fetch, validate, import; nothing touches stock before validation.

The three steps are separate and each may be repeated: a fetched batch is checked against its manifest
whenever it is read, a verdict is stored before the import, and the import of a batch that is already in
the hub only acknowledges it again. Between the steps only `BatchRef`s travel.

Nothing here imports pandas before a batch really waits.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from data_contracts.documents import MAX_BATCH_LINES, STREAMS
from data_contracts.errors import (
    BatchAltered,
    ContractBroken,
    NotYetArrived,
    TillbridgeError,
    TransferInterrupted,
)
from data_contracts.manifest import Acknowledgement, Manifest, Reason, batch_name
from tasks.exchange import batches
from tasks.exchange.folder import Folder, open_folder
from tasks.hub import inbox as hub_inbox
from tasks.hub.database import Hub, open_hub
from tasks.settings import Settings

if TYPE_CHECKING:
    from data_contracts.quarantine import BatchRows

log = logging.getLogger(__name__)

ROUND_BATCHES = 20
"""Batches of one store taken in one round, so that a long backlog shows progress."""


@dataclass(frozen=True, order=True)
class BatchRef:
    """A batch by name; small enough to cross a task's border."""

    store: str
    stream: str
    sequence: int
    batch_id: str

    @property
    def path(self) -> str:
        """`S1/orders/000412-9f2c51d07ab3`."""
        return f"{self.store}/{self.stream}/{batch_name(self.sequence, self.batch_id)}"


@dataclass(frozen=True)
class ImportedBatch:
    """What became of one batch."""

    path: str
    state: str
    """accepted, rejected or known (was in the hub already, acknowledged again)."""
    documents: int = 0
    accepted: int = 0
    quarantined: int = 0
    pending: int = 0
    seen_before: int = 0
    units: int = 0
    money: int = 0
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class ImportSummary:
    """What one run took in."""

    batches: tuple[ImportedBatch, ...] = ()
    checked: tuple[ImportedBatch, ...] = ()
    """With a dry run: what validation said; nothing was imported."""
    failures: dict[str, str] = field(default_factory=dict)
    """Store -> the error that stopped it; the other stores went on."""

    @property
    def accepted(self) -> int:
        """Documents booked."""
        return sum(b.accepted for b in self.batches)

    @property
    def quarantined(self) -> int:
        """Documents in quarantine."""
        return sum(b.quarantined for b in self.batches)

    @property
    def pending(self) -> int:
        """Documents that wait for another one."""
        return sum(b.pending for b in self.batches)


def find_waiting(settings: Settings, stores: Sequence[str] = ()) -> dict[str, list[BatchRef]]:
    """Batches in the exchange folder that are not archived yet, per store in the order of import."""
    codes = [code for code in (stores or sorted(settings.stores)) if settings.store(code)]
    waiting: dict[str, list[BatchRef]] = {}
    folder = open_folder(settings.exchange_url)
    for code in codes:
        refs = [
            BatchRef(code, stream, sequence, batch_id)
            for stream in STREAMS
            for sequence, batch_id in batches.waiting_batches(folder, code, stream)
        ]
        if refs:
            waiting[code] = refs[:ROUND_BATCHES]
    return waiting


def fetch_batches(settings: Settings, refs: Sequence[BatchRef]) -> tuple[list[BatchRef], list[ImportedBatch]]:
    """Copy batches into the inbox, checked against their manifests.

    Returns those that are ready to be validated, and those that are finished here: known to the hub
    (acknowledged again) or not what their manifest says (rejected). Raises `TransferInterrupted`.
    """
    ready: list[BatchRef] = []
    finished: list[ImportedBatch] = []
    folder = open_folder(settings.exchange_url)
    with open_hub(settings.hub_url) as hub:
        for ref in refs:
            manifest: Manifest | None = None
            try:
                manifest = batches.fetch_manifest(folder, ref.store, ref.stream, ref.sequence, ref.batch_id)
                if hub_inbox.find_batch(hub, manifest) is not None:
                    finished.append(_finish_known(folder, hub, manifest))
                    _forget(settings, ref)
                    continue
                files = batches.fetch_files(folder, manifest)
            except (BatchAltered, ContractBroken) as error:
                finished.append(_reject(folder, hub, ref, manifest, error))
                continue
            _write_inbox(settings, ref, manifest, files)
            ready.append(ref)
            log.info("fetched %s: %d files", ref.path, len(manifest.files))
    return ready, finished


def validate_batches(settings: Settings, refs: Sequence[BatchRef]) -> list[ImportedBatch]:
    """Check fetched batches against their contracts and store a verdict for each.

    Batches of one stream are validated together, up to 50,000 lines a frame. Returns a line per batch
    as a dry run shows it.
    """
    from data_contracts.quarantine import validate

    checked: list[ImportedBatch] = []
    with open_hub(settings.hub_url) as hub:
        for stream in STREAMS:
            readable: list[tuple[Manifest, BatchRows]] = []
            for ref in refs:
                if ref.stream != stream:
                    continue
                manifest = _read_manifest(settings, ref)
                try:
                    readable.append((manifest, _read_rows(settings, ref, manifest)))
                except ContractBroken as error:
                    checked.append(_store_rejection(hub, manifest, error))
            for group in _groups(readable):
                manifests = [manifest for manifest, _ in group]
                verdicts = validate(
                    stream, [rows for _, rows in group], tolerance_per_line=settings.hub.tolerance
                )
                for manifest, verdict in zip(manifests, verdicts, strict=True):
                    hub_inbox.store_verdict(hub, manifest, verdict)
                    failing = {r.document for r in verdict.reasons if r.document}
                    checked.append(
                        ImportedBatch(
                            manifest.path,
                            verdict.state,
                            documents=manifest.documents,
                            accepted=manifest.documents - len(failing) if verdict.state == "checked" else 0,
                            quarantined=len(failing),
                            units=manifest.units,
                            money=manifest.money,
                            reasons=verdict.reasons,
                        )
                    )
                    log.info(
                        "validated %s: %s, %d documents, %d to quarantine",
                        manifest.path,
                        verdict.state,
                        manifest.documents,
                        len(failing),
                    )
    return checked


def import_batches(settings: Settings, refs: Sequence[BatchRef]) -> list[ImportedBatch]:
    """Book validated batches of one store, each in one hub transaction, then acknowledge and archive.

    Raises `HubUnavailable` (another run holds the store), `NotYetArrived` (no baseline yet, no verdict).
    """
    from tasks.hub.importer import import_batch

    done: list[ImportedBatch] = []
    folder = open_folder(settings.exchange_url)
    with open_hub(settings.hub_url) as hub:
        for ref in refs:
            manifest = _read_manifest(settings, ref)
            verdict = hub_inbox.load_verdict(hub, manifest)
            if verdict.state == "rejected":
                hub_inbox.reject_batch(hub, manifest, verdict.reasons)
                _finish_known(folder, hub, manifest)
                _forget(settings, ref)
                log.error("rejected %s: %s", manifest.path, verdict.reasons[0].message)
                done.append(
                    ImportedBatch(
                        manifest.path, "rejected", documents=manifest.documents, reasons=verdict.reasons
                    )
                )
                continue
            rows = _read_rows(settings, ref, manifest)
            outcome = import_batch(hub, settings, manifest, rows.rows)
            log.info(
                "imported %s: %s, %d accepted, %d quarantined, %d pending, %d seen before",
                manifest.path,
                outcome.state,
                outcome.accepted,
                outcome.quarantined,
                outcome.pending,
                outcome.seen_before,
            )
            _finish_known(folder, hub, manifest)
            _forget(settings, ref)
            done.append(
                ImportedBatch(
                    manifest.path,
                    "known" if outcome.already else outcome.state,
                    documents=manifest.documents,
                    accepted=outcome.accepted,
                    quarantined=outcome.quarantined,
                    pending=outcome.pending,
                    seen_before=outcome.seen_before,
                    units=manifest.units,
                    money=manifest.money,
                    reasons=outcome.reasons,
                )
            )
    return done


def import_waiting(settings: Settings, stores: Sequence[str] = (), *, dry_run: bool = False) -> ImportSummary:
    """All three steps, store after store, until nothing waits: the flow without Prefect."""
    done: list[ImportedBatch] = []
    checked: list[ImportedBatch] = []
    failures: dict[str, str] = {}
    while waiting := still_waiting(find_waiting(settings, stores), failures):
        for store, refs in waiting.items():
            try:
                ready, finished = fetch_batches(settings, refs)
                done += finished
                verdicts = validate_batches(settings, ready)
                if dry_run:
                    checked += verdicts
                else:
                    done += import_batches(settings, ready)
            except TillbridgeError as error:
                failures[store] = str(error)
        if dry_run:
            break
    return ImportSummary(tuple(done), tuple(checked), failures)


def still_waiting(waiting: dict[str, list[BatchRef]], failures: dict[str, str]) -> dict[str, list[BatchRef]]:
    """What waits of the stores that have not failed in this run."""
    return {store: refs for store, refs in waiting.items() if store not in failures}


def _finish_known(folder: Folder, hub: Hub, manifest: Manifest) -> ImportedBatch:
    """Acknowledge and archive a batch whose outcome stands in the hub; any number of times."""
    record = hub_inbox.find_batch(hub, manifest)
    if record is None:
        raise NotYetArrived(f"The hub has no record of {manifest.path} yet.", batch=manifest.path)
    batches.acknowledge(
        folder,
        Acknowledgement(
            store=manifest.store,
            stream=manifest.stream,
            sequence=manifest.sequence,
            batch_id=manifest.batch_id,
            state="rejected" if record.state == "rejected" else "accepted",
            accepted=record.accepted,
            quarantined=record.quarantined + record.pending,
            seen_before=record.seen_before,
            reasons=record.reasons,
            acknowledged_utc=_now(),
        ),
    )
    batches.archive(folder, manifest)
    return ImportedBatch(manifest.path, "known", documents=manifest.documents)


def _reject(
    folder: Folder, hub: Hub, ref: BatchRef, manifest: Manifest | None, error: BatchAltered | ContractBroken
) -> ImportedBatch:
    """Refuse a batch whole: recorded, acknowledged with the reason and out of the way."""
    rule = "altered" if isinstance(error, BatchAltered) else "unreadable"
    reason = Reason(rule=rule, message=error.message, fix=error.next_step)
    if manifest is None:
        # Without a manifest there is no batch to record; the files stay where a person can look at them.
        raise error
    hub_inbox.reject_batch(hub, manifest, (reason,))
    _finish_known(folder, hub, manifest)
    log.error("rejected %s: %s", ref.path, error.message)
    return ImportedBatch(manifest.path, "rejected", documents=manifest.documents, reasons=(reason,))


def _inbox_folder(settings: Settings, ref: BatchRef) -> Path:
    return settings.inbox / ref.path


def _write_inbox(settings: Settings, ref: BatchRef, manifest: Manifest, files: dict[str, bytes]) -> None:
    target = _inbox_folder(settings, ref)
    try:
        target.mkdir(parents=True, exist_ok=True)
        for entry in manifest.files:
            (target / entry.name).write_bytes(files[entry.role])
        (target / "manifest.json").write_bytes(manifest.to_json())
    except OSError as error:
        raise TransferInterrupted(
            f"Fetching {ref.path} into the inbox {settings.inbox} stopped: {error.strerror}. "
            "Nothing was imported; retrying may help.",
            next_step="make room or correct the rights of the inbox folder",
            batch=ref.path,
        ) from error


def _store_rejection(hub: Hub, manifest: Manifest, error: ContractBroken) -> ImportedBatch:
    """A batch whose files do not have the form of the contract: rejected whole."""
    from data_contracts.contract import load_contract
    from data_contracts.quarantine import Verdict

    reason = Reason(rule="structure", message=error.message, fix=error.next_step)
    hub_inbox.store_verdict(
        hub,
        manifest,
        Verdict(
            batch=manifest.path,
            contract=load_contract(manifest.stream).label,
            state="rejected",
            documents=manifest.documents,
            reasons=(reason,),
        ),
    )
    return ImportedBatch(manifest.path, "rejected", documents=manifest.documents, reasons=(reason,))


def _read_manifest(settings: Settings, ref: BatchRef) -> Manifest:
    source = _inbox_folder(settings, ref)
    try:
        return Manifest.from_json((source / "manifest.json").read_bytes(), f"{ref.path} in the inbox")
    except OSError as error:
        raise _not_in_inbox(ref, error) from error


def _read_rows(settings: Settings, ref: BatchRef, manifest: Manifest) -> BatchRows:
    """The rows of a fetched batch, checked once more against its manifest."""
    from data_contracts.documents import FILES
    from data_contracts.frames import read_rows
    from data_contracts.quarantine import BatchRows

    source = _inbox_folder(settings, ref)
    try:
        files = {entry.role: (source / entry.name).read_bytes() for entry in manifest.files}
    except OSError as error:
        raise _not_in_inbox(ref, error) from error
    batches.verify_files(manifest, files)
    rows = {
        role: read_rows(files[role], columns, manifest.file(role).name)
        for role, columns in FILES[ref.stream].items()
    }
    return BatchRows(ref.stream, manifest.path, manifest.store, manifest.epoch, rows)


def _not_in_inbox(ref: BatchRef, error: OSError) -> TransferInterrupted:
    return TransferInterrupted(
        f"{ref.path} is not complete in the inbox: {error.strerror}. Nothing was imported.",
        next_step="run the import again: it fetches the batch anew",
        batch=ref.path,
    )


def _groups(
    fetched: Iterable[tuple[Manifest, BatchRows]],
) -> Iterable[list[tuple[Manifest, BatchRows]]]:
    """Consecutive batches of together at most 50,000 rows in their longest file."""
    group: list[tuple[Manifest, BatchRows]] = []
    lines = 0
    for manifest, rows in fetched:
        longest = max((entry.rows for entry in manifest.files), default=0)
        if group and lines + longest > MAX_BATCH_LINES:
            yield group
            group, lines = [], 0
        group.append((manifest, rows))
        lines += longest
    if group:
        yield group


def _forget(settings: Settings, ref: BatchRef) -> None:
    """Remove a batch from the inbox; what stays behind is overwritten or removed next time."""
    with contextlib.suppress(OSError):
        shutil.rmtree(_inbox_folder(settings, ref))


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
