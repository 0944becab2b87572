"""The hub's local copy of fetched batches, between fetching and importing. Safe to delete at any time.

A batch is checked against its manifest whenever it is read from here, so a copy that was cut short or
touched is fetched again, never imported.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from data_contracts.documents import FILES
from data_contracts.errors import BatchAltered, TransferInterrupted
from data_contracts.manifest import SCHEMA_VERSION, Manifest, batch_name, batch_of_file
from tasks.exchange import batches
from tasks.settings import Settings

if TYPE_CHECKING:
    from data_contracts.quarantine import BatchRows


class BatchRef(NamedTuple):
    """A batch by name; small enough to cross a task's border."""

    store: str
    stream: str
    sequence: int
    batch_id: str

    @property
    def path(self) -> str:
        """`S1/orders/000412-9f2c51d07ab3`."""
        return f"{self.store}/{self.stream}/{batch_name(self.sequence, self.batch_id)}"


def _folder_of(settings: Settings, ref: BatchRef) -> Path:
    return settings.inbox / ref.path


def write_batch(settings: Settings, ref: BatchRef, manifest: Manifest, files: dict[str, bytes]) -> None:
    """Keep a fetched batch, its manifest last; raises `TransferInterrupted` (disk full, no rights)."""
    target = _folder_of(settings, ref)
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


def read_manifest(settings: Settings, ref: BatchRef) -> Manifest:
    """The manifest of a fetched batch; `TransferInterrupted` if it is not there."""
    source = _folder_of(settings, ref)
    try:
        return Manifest.from_json((source / "manifest.json").read_bytes(), f"{ref.path} in the inbox")
    except OSError as error:
        raise _not_in_inbox(ref, str(error.strerror)) from error


def read_rows_of(settings: Settings, ref: BatchRef, manifest: Manifest) -> BatchRows:
    """The rows of a fetched batch as text, by role.

    Raises `TransferInterrupted` if the copy is not complete, `ContractBroken` if a file has another form.
    """
    from data_contracts.frames import no_rows, read_rows
    from data_contracts.quarantine import BatchRows

    source = _folder_of(settings, ref)
    try:
        files = {entry.role: (source / entry.name).read_bytes() for entry in manifest.files}
    except OSError as error:
        raise _not_in_inbox(ref, str(error.strerror)) from error
    try:
        batches.verify_files(manifest, files)
    except BatchAltered as error:
        raise _not_in_inbox(ref, "it is not what was fetched") from error
    rows = {}
    for role, columns in FILES[ref.stream].items():
        if manifest.schema_version < SCHEMA_VERSION and role not in files:
            rows[role] = no_rows(columns)
            continue
        rows[role] = read_rows(files[role], columns, manifest.file(role).name)
    epochs = frozenset({manifest.epoch, *(start.epoch for start in manifest.position.epochs)})
    return BatchRows(ref.stream, manifest.path, manifest.store, epochs, rows, manifest.created_utc)


def _not_in_inbox(ref: BatchRef, why: str) -> TransferInterrupted:
    return TransferInterrupted(
        f"{ref.path} is not complete in the inbox: {why}. Nothing was imported.",
        next_step="run the import again: it fetches the batch anew",
        batch=ref.path,
    )


def held(settings: Settings, store: str) -> list[BatchRef]:
    """The batches of a store of which anything is in the inbox; none if it cannot be read."""
    found = []
    with contextlib.suppress(OSError):
        for place in sorted((settings.inbox / store).glob("*/*")):
            key = batch_of_file(place.name)
            if key is not None and place.parent.name in FILES:
                found.append(BatchRef(store, place.parent.name, *key))
    return found


def forget(settings: Settings, ref: BatchRef) -> None:
    """Remove a batch from the inbox; what stays behind is overwritten or removed next time."""
    with contextlib.suppress(OSError):
        shutil.rmtree(_folder_of(settings, ref))
