"""Takes waiting batches into the hub: fetch, validate, import; nothing touches stock before validation.

The three steps are separate and each may be repeated: a fetched batch is checked against its manifest
whenever it is read, a verdict is stored before the import, and the import of a batch that is already in
the hub only acknowledges it again. Between the steps only `BatchRef`s travel.

Nothing here imports pandas before a batch really waits.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from data_contracts.documents import MAX_BATCH_LINES, STREAMS
from data_contracts.errors import (
    BatchAltered,
    ContractBroken,
    NotYetArrived,
    TillbridgeError,
)
from data_contracts.manifest import Acknowledgement, Manifest, Outstanding, Reason
from data_contracts.sending_again import send_again
from tasks.exchange import batches
from tasks.exchange.folder import Folder, open_folder
from tasks.hub import inbox as hub_inbox
from tasks.hub import outstanding as hub_outstanding
from tasks.hub.database import Hub, open_hub
from tasks.hub.registry import configure
from tasks.logs import about
from tasks.settings import Settings
from tasks.use_cases import inbox
from tasks.use_cases.arrivals import ImportedBatch, ImportSummary, find_waiting, still_waiting
from tasks.use_cases.inbox import BatchRef

if TYPE_CHECKING:
    from data_contracts.quarantine import BatchRows

log = logging.getLogger(__name__)


def fetch_batches(
    settings: Settings, refs: Sequence[BatchRef], *, dry_run: bool = False
) -> tuple[list[BatchRef], list[ImportedBatch]]:
    """Copy batches into the inbox, checked against their manifests.

    Returns those that are ready to be validated, and those that are finished here: known to the hub
    (acknowledged again) or not what their manifest says (rejected). A dry run only tells of these. Raises
    `TransferInterrupted`.
    """
    ready: list[BatchRef] = []
    finished: list[ImportedBatch] = []
    with open_folder(settings) as folder, open_hub(settings.hub_url) as hub:
        # A store or mapping that is new in the settings counts from this import on.
        configure(hub, settings)
        for ref in refs:
            with about(**ref._asdict()):
                done = _fetch(settings, folder, hub, ref, dry_run=dry_run)
            if done is None:
                ready.append(ref)
            else:
                finished.append(done)
        if finished and not dry_run:
            _tell_outstanding(folder, hub, refs)
    return ready, finished


def _fetch(
    settings: Settings, folder: Folder, hub: Hub, ref: BatchRef, *, dry_run: bool
) -> ImportedBatch | None:
    """Copy one batch into the inbox; a result if it is finished with that.

    What the hub has taken in is only answered again, whatever stands under its name now. A batch that was
    refused because it came spoiled is looked at anew.
    """
    known = hub_inbox.find_batch(hub, ref.path)
    if known is not None and not known.may_come_again:
        if dry_run:
            return ImportedBatch(ref.path, "known", documents=known.documents)
        inbox.forget(settings, ref)
        return _answer_again(folder, hub, ref)
    manifest: Manifest | None = None
    try:
        manifest = batches.fetch_manifest(folder, ref.store, ref.stream, ref.sequence, ref.batch_id)
        files = batches.fetch_files(folder, manifest)
    except (BatchAltered, ContractBroken) as error:
        if dry_run:
            return ImportedBatch(ref.path, "rejected", reasons=(_refusal(ref, manifest, error),))
        return _reject(folder, hub, ref, manifest, error)
    inbox.write_batch(settings, ref, manifest, files)
    log.info("fetched %s: %d files", ref.path, len(manifest.files))
    return None


def _answer_again(folder: Folder, hub: Hub, ref: BatchRef) -> ImportedBatch:
    """Acknowledge and archive a batch that the hub has taken in; what differs from that is set aside."""
    taken_in = hub_inbox.recorded_manifest(hub, ref.path)
    if taken_in is None:
        raise _no_record(ref.path)
    lies_there: Manifest | None = None
    with suppress(BatchAltered, ContractBroken):
        lies_there = batches.fetch_manifest(folder, ref.store, ref.stream, ref.sequence, ref.batch_id)
    return _finish_known(folder, hub, taken_in, foreign_manifest=lies_there != taken_in)


def validate_batches(settings: Settings, refs: Sequence[BatchRef]) -> list[ImportedBatch]:
    """Check fetched batches against their contracts and store a verdict for each.

    Batches of one stream are validated together, up to 50,000 lines a frame. Returns a line per batch
    as a dry run shows it.
    """
    from data_contracts.quarantine import check_sums, validate

    checked: list[ImportedBatch] = []
    with open_hub(settings.hub_url) as hub:
        for stream in STREAMS:
            readable: list[tuple[Manifest, BatchRows]] = []
            for ref in refs:
                if ref.stream != stream:
                    continue
                manifest = inbox.read_manifest(settings, ref)
                try:
                    rows = inbox.read_rows_of(settings, ref, manifest)
                    check_sums(manifest, rows.rows)
                    readable.append((manifest, rows))
                except (ContractBroken, BatchAltered) as error:
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
                            warnings=verdict.warnings,
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

    done: list[ImportedBatch] = []
    with open_folder(settings) as folder, open_hub(settings.hub_url) as hub:
        for ref in refs:
            with about(**ref._asdict()):
                done.append(_import(settings, folder, hub, ref))
        _tell_outstanding(folder, hub, refs)
    return done


def _import(settings: Settings, folder: Folder, hub: Hub, ref: BatchRef) -> ImportedBatch:
    """Book one batch, or record that it is rejected; then answer and clear away."""
    from tasks.hub.importer import import_batch

    manifest = inbox.read_manifest(settings, ref)
    verdict = hub_inbox.load_verdict(hub, manifest)
    if verdict.state == "rejected":
        outcome = hub_inbox.reject_batch(hub, manifest, verdict.reasons)
    else:
        outcome = import_batch(hub, settings, manifest, inbox.read_rows_of(settings, ref, manifest).rows)
    done = _finish_known(folder, hub, manifest)
    inbox.forget(settings, ref)
    return ImportedBatch(
        manifest.path,
        "known" if outcome.already else outcome.state,
        documents=manifest.documents,
        accepted=outcome.accepted,
        quarantined=outcome.quarantined,
        pending=outcome.pending,
        seen_before=outcome.seen_before,
        units=manifest.units,
        money=manifest.money,
        reasons=(*outcome.reasons, *done.reasons),
        warnings=() if outcome.already else verdict.warnings,
        booked=outcome.booked,
    )


def import_waiting(settings: Settings, stores: Sequence[str] = (), *, dry_run: bool = False) -> ImportSummary:
    """All three steps, store after store, until nothing waits: the flow without Prefect."""
    done: list[ImportedBatch] = []
    checked: list[ImportedBatch] = []
    failures: dict[str, str] = {}
    while waiting := still_waiting(find_waiting(settings, stores), failures):
        for store, refs in waiting.items():
            try:
                ready, finished = fetch_batches(settings, refs, dry_run=dry_run)
                verdicts = validate_batches(settings, ready)
                if dry_run:
                    checked += [*finished, *verdicts]
                else:
                    done += [*finished, *import_batches(settings, ready)]
            except TillbridgeError as error:
                failures[store] = str(error)
        if dry_run:
            break
    return ImportSummary(tuple(done), tuple(checked), failures)


class _Contradictions:
    """Collects what came again with other content than the hub took in, and has the hub note it."""

    def __init__(self, hub: Hub, manifest: Manifest) -> None:
        self.hub, self.manifest = hub, manifest
        self.reasons: tuple[Reason, ...] = ()

    def __call__(self, file: str, set_aside: str) -> None:
        """One file, and the name under which the archive keeps it."""
        path = self.manifest.path
        hub_inbox.note_contradiction(self.hub, self.manifest.store, path, file, set_aside)
        reason = Reason(
            rule="contradicted",
            message=f"{path} was taken in before; {file} came again with other content. It was moved to "
            f"{set_aside} and nothing was changed.",
            fix="See who else writes into this stream. If what came now is right, "
            f"{send_again(path)}: it travels in a new batch.",
        )
        self.reasons = (*self.reasons, reason)


def _finish_known(
    folder: Folder, hub: Hub, manifest: Manifest, *, foreign_manifest: bool = False
) -> ImportedBatch:
    """Acknowledge and archive a batch whose outcome stands in the hub; any number of times."""
    record = hub_inbox.find_batch(hub, manifest.path)
    if record is None:
        raise _no_record(manifest.path)
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
            acknowledged_utc=hub_inbox.utc_now(),
        ),
    )
    note = _Contradictions(hub, manifest)
    batches.archive(folder, manifest, note, foreign_manifest=foreign_manifest)
    return ImportedBatch(manifest.path, "known", documents=manifest.documents, reasons=note.reasons)


def _no_record(path: str) -> NotYetArrived:
    return NotYetArrived(f"The hub has no record of {path} yet.", batch=path)


def _tell_outstanding(folder: Folder, hub: Hub, refs: Sequence[BatchRef]) -> None:
    """Say to the stores of some batches what the hub lacks of theirs."""
    for store in sorted({ref.store for ref in refs}):
        lacking = hub_outstanding.of_store(hub, store).reasons
        batches.tell_outstanding(
            folder, Outstanding(store=store, entries=lacking, as_of_utc=hub_inbox.utc_now())
        )


def _reject(
    folder: Folder, hub: Hub, ref: BatchRef, manifest: Manifest | None, error: BatchAltered | ContractBroken
) -> ImportedBatch:
    """Refuse a batch whole: recorded, acknowledged with the reason and out of the way of the next ones."""
    log.error("rejected %s: %s", ref.path, error.message)
    reason = _refusal(ref, manifest, error)
    if manifest is None:
        hub_inbox.reject_unreadable(hub, *ref, reason)
        batches.acknowledge(
            folder,
            Acknowledgement(
                **ref._asdict(), state="rejected", reasons=(reason,), acknowledged_utc=hub_inbox.utc_now()
            ),
        )
        batches.set_aside(folder, ref.store, ref.stream, ref.sequence, ref.batch_id)
        return ImportedBatch(ref.path, "rejected", reasons=(reason,))
    hub_inbox.reject_batch(hub, manifest, (reason,))
    _finish_known(folder, hub, manifest)
    return ImportedBatch(manifest.path, "rejected", documents=manifest.documents, reasons=(reason,))


def _refusal(ref: BatchRef, manifest: Manifest | None, error: BatchAltered | ContractBroken) -> Reason:
    """Why a batch is refused whole that came spoiled."""
    rule = hub_inbox.RULE_ALTERED if isinstance(error, BatchAltered) else hub_inbox.RULE_UNREADABLE
    fix = send_again(ref.path) if manifest is None else error.next_step
    return Reason(rule=rule, message=error.message, fix=fix)


def _store_rejection(hub: Hub, manifest: Manifest, error: ContractBroken | BatchAltered) -> ImportedBatch:
    """A batch whose files do not have the form of the contract: rejected whole."""
    from data_contracts.contract import load_contract
    from data_contracts.quarantine import Verdict

    reason = Reason(rule="structure", message=error.message, fix=send_again(manifest.path))
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
