"""Takes old batches and answers out of the exchange folder; which of them, its caller says.

A batch goes manifest first: from then on it does not exist, and what a killed run leaves of its files is
found by their names. Heads are never touched. Nothing here looks into the files.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from data_contracts.manifest import (
    ACK_SUFFIX,
    ACKS_FOLDER,
    ARCHIVE_FOLDER,
    CLEANED_NAME,
    MANIFEST_SUFFIX,
    Cleaned,
    batch_name,
    batch_of_file,
    parse_batch_name,
)
from tasks import faults
from tasks.exchange.folder import Folder

logger = logging.getLogger(__name__)

BatchKey = tuple[int, str]
"""Sequence and batch id."""

faults.declare(
    "batch.clean",
    "batch.cleaned",
    "batch.clean_answer",
    "batch.cleaned_answer",
    "batch.note_cleaned",
    "batch.cleaned_noted",
)


@dataclass
class Lying:
    """What lies in a stream's folder, by the names of the files alone."""

    waiting: set[BatchKey] = field(default_factory=set)
    """Batches with a manifest that is not archived."""
    archived: set[BatchKey] = field(default_factory=set)
    """Batches with a manifest in the archive."""
    answered: set[BatchKey] = field(default_factory=set)
    files: dict[BatchKey, list[str]] = field(default_factory=dict)
    """Paths of a batch's files, in the archive or not, manifests among them."""
    unarchived: dict[BatchKey, list[str]] = field(default_factory=dict)
    """Those of them that are not in the archive."""

    @property
    def keys(self) -> set[BatchKey]:
        """Every batch of which anything is there."""
        return self.answered | self.files.keys()


def lying_batches(folder: Folder, store: str, stream: str) -> Lying:
    """List a stream's folder, its archive and its answers."""
    base = f"{store}/{stream}"
    lying = Lying()
    # In this order: a batch that is archived in between is then seen twice, not missed.
    for place, manifests in ((base, lying.waiting), (f"{base}/{ARCHIVE_FOLDER}", lying.archived)):
        for name in folder.list(place):
            key = batch_of_file(name)
            if key is None:
                continue
            lying.files.setdefault(key, []).append(f"{place}/{name}")
            if place == base:
                lying.unarchived.setdefault(key, []).append(f"{place}/{name}")
            if name.endswith(MANIFEST_SUFFIX):
                manifests.add(key)
    for name in folder.list(f"{base}/{ACKS_FOLDER}"):
        if name.endswith(ACK_SUFFIX) and (key := parse_batch_name(name)) is not None:
            lying.answered.add(key)
    return lying


def remove_files(folder: Folder, paths: Iterable[str]) -> None:
    """Remove the files of one batch, manifests first; done if it was done before."""
    faults.point("batch.clean")
    for path in sorted(paths, key=lambda path: not path.endswith(MANIFEST_SUFFIX)):
        folder.remove(path)
    faults.point("batch.cleaned")


def remove_answer(folder: Folder, store: str, stream: str, key: BatchKey) -> None:
    """Remove the answer to a batch; done if it was done before."""
    faults.point("batch.clean_answer")
    folder.remove(f"{store}/{stream}/{ACKS_FOLDER}/{batch_name(*key)}{ACK_SUFFIX}")
    faults.point("batch.cleaned_answer")


def read_cleaned(folder: Folder, store: str, stream: str) -> Cleaned | None:
    """How far a stream's archive was cleaned, None if never; `ContractBroken` if that cannot be read."""
    path = _cleaned_path(store, stream)
    try:
        return Cleaned.from_json(folder.read(path), path)
    except FileNotFoundError:
        return None


def note_cleaned(folder: Folder, cleaned: Cleaned) -> None:
    """Write how far a stream's archive is cleaned, before anything of it is removed."""
    faults.point("batch.note_cleaned")
    folder.replace(_cleaned_path(cleaned.store, cleaned.stream), cleaned.to_json())
    faults.point("batch.cleaned_noted")


def _cleaned_path(store: str, stream: str) -> str:
    return f"{store}/{stream}/{ARCHIVE_FOLDER}/{CLEANED_NAME}"
