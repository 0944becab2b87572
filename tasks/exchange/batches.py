"""Both sides of the exchange protocol: batches, heads and acknowledgements on a `Folder`.

A batch is committed by its manifest: files first, then the manifest, then the publisher's head. What
has no manifest does not exist. Nothing here looks into the files.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from data_contracts.documents import STREAM_ORDERS
from data_contracts.errors import BatchAltered, ContractBroken, NotBaselined, TransferInterrupted
from data_contracts.manifest import (
    ACK_SUFFIX,
    ACKS_FOLDER,
    ARCHIVE_FOLDER,
    HEAD_NAME,
    MANIFEST_SUFFIX,
    OUTSTANDING_NAME,
    Acknowledgement,
    BatchFile,
    Head,
    Manifest,
    Mark,
    Outstanding,
    Position,
    batch_name,
    parse_batch_name,
)
from data_contracts.sending_again import send_again
from tasks import faults
from tasks.exchange.folder import Folder
from tasks.logs import about

logger = logging.getLogger(__name__)

PATIENCE = timedelta(hours=1)
"""How long the files of a batch may come after its manifest."""

faults.declare(
    "batch.publish_files",
    "batch.publish_manifest",
    "batch.manifest_published",
    "batch.replace_head",
    "batch.head_replaced",
    "batch.acknowledge",
    "batch.acknowledged",
    "batch.archive",
    "batch.archived",
    "batch.archive_aside",
    "batch.archived_aside",
    "batch.acknowledge_lacking",
    "batch.acknowledged_lacking",
)


class Content(NamedTuple):
    """One file of a batch to be published."""

    data: bytes
    rows: int


class Draft(BaseModel):
    """What a manifest says before its batch has a sequence, an id and files; fields as in `Manifest`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    program_version: str
    store: str
    epoch: int
    stream: str
    created_utc: str
    documents: int = 0
    units: int = 0
    money: int = 0
    orders: int = 0
    deposits: int = 0
    bound: int = 0
    range_from: Mark = Mark()
    range_to: Mark = Mark()
    position: Position = Position()
    before_baseline: int = 0
    replaces: int | None = None


def newest_position(folder: Folder, store: str, stream: str) -> Head | None:
    """Where the publisher of a stream stands: the greater of `head.json` and the newest manifest.

    None if the stream has neither. Every manifest's position is safe to go on from (at worst it reads
    again what was read), so that one that cannot be read gives way to the next older one.
    Raises `NotBaselined` if something is there and nothing of it can be read.
    """
    head, spoiled = _read_head(folder, store, stream)
    names = _all_manifests(folder, store, stream)
    unreadable = [HEAD_NAME] if spoiled else []
    for sequence, batch_id in sorted(names, reverse=True):
        if head is not None and head.sequence >= sequence:
            break
        try:
            manifest = fetch_manifest(folder, store, stream, sequence, batch_id)
        except (ContractBroken, BatchAltered) as error:
            unreadable.append(batch_name(sequence, batch_id) + MANIFEST_SUFFIX)
            logger.warning("%s/%s: %s", store, stream, error)
            continue
        return Head(
            store=store,
            stream=stream,
            sequence=sequence,
            batch_id=batch_id,
            position=manifest.position,
            checked_utc=manifest.created_utc,
        )
    if head is None and unreadable:
        raise NotBaselined(
            f"Neither the head nor any manifest of {store}/{stream} can be read "
            f"({', '.join(unreadable[:3])}), so nothing says where reading goes on. "
            "Retrying cannot clear this.",
            next_step=f"bring back {store}/{stream}/{HEAD_NAME} from a backup of the exchange folder, "
            f"or run `tillbridge baseline {store}`",
            store=store,
            stream=stream,
        )
    return head


def newest_sequence(folder: Folder, store: str, stream: str) -> int:
    """The highest sequence that a stream has given out, archived batches included; 0 if none."""
    head, _ = _read_head(folder, store, stream)
    taken = [sequence for sequence, _ in _all_manifests(folder, store, stream)]
    return max([*taken, head.sequence if head else 0])


def replace_head(folder: Folder, head: Head) -> None:
    """Write where the publisher stands."""
    faults.point("batch.replace_head")
    folder.replace(f"{head.store}/{head.stream}/{HEAD_NAME}", head.to_json())
    faults.point("batch.head_replaced")


def publish_batch(
    folder: Folder,
    draft: Draft,
    files: Mapping[str, Content],
    *,
    batch_id: str | None = None,
    above: int = 0,
) -> Manifest:
    """Publish a batch under the next sequence: its files, then its manifest, then the head.

    `files` maps roles to their CSV; the sequence is above `above`, also in a new folder. Returns the
    manifest as published. Whatever stops it before the manifest leaves no batch; after it,
    `newest_position` finds the manifest without the head.
    """
    store, stream = draft.store, draft.stream
    sequence = max(newest_sequence(folder, store, stream), above) + 1
    batch_id = batch_id or secrets.token_hex(6)
    name = batch_name(sequence, batch_id)
    manifest = Manifest.model_validate(
        {
            **draft.model_dump(),
            "sequence": sequence,
            "batch_id": batch_id,
            "files": tuple(
                BatchFile(
                    role=role,
                    name=_file_name(name, role),
                    rows=content.rows,
                    bytes=len(content.data),
                    sha256=hashlib.sha256(content.data).hexdigest(),
                )
                for role, content in files.items()
            ),
        }
    )
    faults.point("batch.publish_files")
    for entry in manifest.files:
        folder.publish(f"{store}/{stream}/{entry.name}", files[entry.role].data)
    faults.point("batch.publish_manifest")
    folder.publish(f"{store}/{stream}/{name}{MANIFEST_SUFFIX}", manifest.to_json())
    faults.point("batch.manifest_published")
    replace_head(
        folder,
        Head(
            store=store,
            stream=stream,
            sequence=sequence,
            batch_id=batch_id,
            position=manifest.position,
            checked_utc=manifest.created_utc,
        ),
    )
    with about(store=store, stream=stream, sequence=sequence, batch_id=batch_id):
        logger.info("published %s: %d documents in %d files", manifest.path, manifest.documents, len(files))
    return manifest


def waiting_batches(folder: Folder, store: str, stream: str) -> list[tuple[int, str]]:
    """(sequence, batch id) of every batch that has a manifest and is not archived, ascending."""
    return sorted(_manifests_in(folder, f"{store}/{stream}"))


def fetch_manifest(folder: Folder, store: str, stream: str, sequence: int, batch_id: str) -> Manifest:
    """A batch's manifest, archived or not.

    Raises `ContractBroken` if it is not a manifest, `BatchAltered` if it is gone or another batch's.
    """
    name = batch_name(sequence, batch_id)
    path = f"{store}/{stream}/{name}"
    data = _read_anywhere(folder, store, stream, name + MANIFEST_SUFFIX)
    if data is None:
        raise _altered(path, "its manifest is not there")
    manifest = Manifest.from_json(data, f"The manifest of {path}")
    if manifest.path != path:
        raise _altered(path, f"its manifest says that it is {manifest.path}")
    for entry in manifest.files:
        if entry.name != _file_name(name, entry.role):
            raise _altered(path, f"its manifest names the file {entry.name!r}, which is not of this batch")
    return manifest


def every_batch(folder: Folder, store: str, stream: str) -> list[tuple[int, str]]:
    """(sequence, batch id) of every batch that has a manifest, archived or not, ascending."""
    return sorted(_all_manifests(folder, store, stream))


def find_batches(folder: Folder, store: str, stream: str, sequence: int) -> list[tuple[int, str]]:
    """(sequence, batch id) of every batch with that sequence, archived or not: several if it is a fork."""
    return sorted(name for name in _all_manifests(folder, store, stream) if name[0] == sequence)


def fetch_files(folder: Folder, manifest: Manifest, *, now: datetime | None = None) -> dict[str, bytes]:
    """role -> content of a batch's files, checked by size and SHA-256.

    `BatchAltered` says what differs. A file that is not there may only be late (a share that is still
    being synchronised): within an hour of the manifest that is `TransferInterrupted`.
    """
    found: dict[str, bytes] = {}
    for entry in manifest.files:
        data = _read_anywhere(folder, manifest.store, manifest.stream, entry.name)
        if data is None:
            if abs((now or datetime.now(UTC)) - datetime.fromisoformat(manifest.created_utc)) < PATIENCE:
                raise TransferInterrupted(
                    f"{manifest.path} is not complete yet: {entry.name} is not there. Nothing was imported; "
                    "retrying may clear this.",
                    next_step="wait for the file; an hour after its manifest the batch is rejected",
                    batch=manifest.path,
                )
            raise _altered(manifest.path, f"{entry.name} is not there")
        found[entry.role] = data
    verify_files(manifest, found)
    return found


def fetch_intact_files(
    folder: Folder, manifest: Manifest, roles: Collection[str] | None = None
) -> dict[str, bytes]:
    """role -> content of those files of a batch (of some roles) that are there and as they were published."""
    found: dict[str, bytes] = {}
    for entry in manifest.files:
        if roles is not None and entry.role not in roles:
            continue
        data = _read_anywhere(folder, manifest.store, manifest.stream, entry.name)
        if data is not None and _difference(entry, data) is None:
            found[entry.role] = data
    return found


def verify_files(manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """Raise `BatchAltered` unless the content by role is what the manifest says."""
    for entry in manifest.files:
        if (what := _difference(entry, files[entry.role])) is not None:
            raise _altered(manifest.path, what)


def _difference(entry: BatchFile, data: bytes) -> str | None:
    if len(data) != entry.bytes:
        return f"{entry.name} has {len(data):,} bytes, its manifest says {entry.bytes:,}"
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        return f"{entry.name} does not have the SHA-256 its manifest says"
    return None


def acknowledge(folder: Folder, ack: Acknowledgement) -> None:
    """Write the hub's answer to a batch; a later answer to the same batch takes its place."""
    faults.point("batch.acknowledge")
    folder.replace(_ack_path(ack.store, ack.stream, ack.sequence, ack.batch_id), ack.to_json())
    faults.point("batch.acknowledged")


def read_ack(folder: Folder, store: str, stream: str, sequence: int, batch_id: str) -> Acknowledgement | None:
    """The hub's answer to a batch, None while there is none; `ContractBroken` if it cannot be read."""
    path = _ack_path(store, stream, sequence, batch_id)
    try:
        data = folder.read(path)
    except FileNotFoundError:
        return None
    return Acknowledgement.from_json(data, path)


def answered_batches(folder: Folder, store: str, stream: str) -> list[tuple[int, str]]:
    """(sequence, batch id) of every batch that has an acknowledgement, ascending; by their names alone."""
    names = folder.list(f"{store}/{stream}/{ACKS_FOLDER}")
    return sorted(
        parsed
        for name in names
        if name.endswith(ACK_SUFFIX) and (parsed := parse_batch_name(name)) is not None
    )


def read_outstanding(folder: Folder, store: str) -> Outstanding | None:
    """What the hub said last that it lacks of a store; None if it has not said anything readable."""
    path = _outstanding_path(store)
    try:
        return Outstanding.from_json(folder.read(path), path)
    except FileNotFoundError:
        return None
    except ContractBroken as error:
        logger.warning("%s", error.message)
        return None


def tell_outstanding(folder: Folder, outstanding: Outstanding) -> None:
    """Write what the hub lacks of a store, unless that is what stands there; one read where all is well."""
    told = read_outstanding(folder, outstanding.store)
    if outstanding.entries == (() if told is None else told.entries):
        return
    faults.point("batch.acknowledge_lacking")
    folder.replace(_outstanding_path(outstanding.store), outstanding.to_json())
    faults.point("batch.acknowledged_lacking")


def archive(
    folder: Folder,
    manifest: Manifest,
    contradicted: Callable[[str, str], object] | None = None,
    *,
    foreign_manifest: bool = False,
) -> None:
    """Move a batch into the archive, its manifest last, so that a killed run leaves it waiting.

    Done if it was done before. A file that is nowhere (the batch was rejected for it) is passed over. Where
    the archive has the name with other content, what is as the manifest says gets it, and the other one
    a name of its own; if that is the one that came now, `contradicted` is called first with both names.
    With `foreign_manifest` the manifest that waits under the batch's name is known to be another one.
    """
    faults.point("batch.archive")
    base = f"{manifest.store}/{manifest.stream}"
    manifest_name = manifest.name + MANIFEST_SUFFIX
    for name in [*(entry.name for entry in manifest.files), manifest_name]:
        archived = f"{base}/{ARCHIVE_FOLDER}/{name}"
        try:
            if foreign_manifest and name == manifest_name:
                _give_way(folder, base, base, name, contradicted)
            else:
                folder.move(f"{base}/{name}", archived)
        except FileNotFoundError:
            logger.warning("%s is archived without %s, which is not there", manifest.path, name)
        except BatchAltered:
            if _belongs(manifest, name, folder.read(archived)):
                _give_way(folder, base, base, name, contradicted)
            else:
                _give_way(folder, base, f"{base}/{ARCHIVE_FOLDER}", name, None)
                folder.move(f"{base}/{name}", archived)
    faults.point("batch.archived")


def _belongs(manifest: Manifest, name: str, data: bytes) -> bool:
    """Whether content is what a batch has under one of its names."""
    for entry in manifest.files:
        if entry.name == name:
            return _difference(entry, data) is None
    try:
        return Manifest.from_json(data, name) == manifest
    except ContractBroken:
        return False


def _give_way(
    folder: Folder, base: str, place: str, name: str, contradicted: Callable[[str, str], object] | None
) -> None:
    """Move a file from its place into the archive under a name that its content makes."""
    digest = hashlib.sha256(folder.read(f"{place}/{name}")).hexdigest()[:8]
    aside = f"{ARCHIVE_FOLDER}/{name}.{digest}"
    if contradicted is not None:
        contradicted(name, aside)
    faults.point("batch.archive_aside")
    folder.move(f"{place}/{name}", f"{base}/{aside}")
    faults.point("batch.archived_aside")
    logger.warning("%s/%s is moved to %s: it is not what that name stands for", place, name, aside)


def set_aside(folder: Folder, store: str, stream: str, sequence: int, batch_id: str) -> None:
    """Take a manifest that cannot be used out of the way, into the archive; its files stay where they are.

    Under a name of its own where the archive has one of that batch already; done if it was done before.
    """
    name = batch_name(sequence, batch_id) + MANIFEST_SUFFIX
    base = f"{store}/{stream}"
    faults.point("batch.archive")
    try:
        folder.move(f"{base}/{name}", f"{base}/{ARCHIVE_FOLDER}/{name}")
    except FileNotFoundError:
        logger.warning("%s/%s is gone", base, name)
    except BatchAltered:
        _give_way(folder, base, base, name, None)
    faults.point("batch.archived")


def _read_head(folder: Folder, store: str, stream: str) -> tuple[Head | None, bool]:
    """The head and whether there is one that cannot be read."""
    path = f"{store}/{stream}/{HEAD_NAME}"
    try:
        head = Head.from_json(folder.read(path), path)
    except FileNotFoundError:
        return None, False
    except ContractBroken as error:
        logger.warning("%s; going on from the newest manifest", error.message)
        return None, True
    if (head.store, head.stream) != (store, stream):
        logger.warning("%s is the head of %s/%s; going on without it", path, head.store, head.stream)
        return None, True
    return head, False


def _all_manifests(folder: Folder, store: str, stream: str) -> set[tuple[int, str]]:
    base = f"{store}/{stream}"
    # In this order: a batch that is archived in between is then seen twice, not missed.
    return {*_manifests_in(folder, base), *_manifests_in(folder, f"{base}/{ARCHIVE_FOLDER}")}


def _manifests_in(folder: Folder, path: str) -> Iterator[tuple[int, str]]:
    for name in folder.list(path):
        if name.endswith(MANIFEST_SUFFIX) and (parsed := parse_batch_name(name)) is not None:
            yield parsed


def _read_anywhere(folder: Folder, store: str, stream: str, name: str) -> bytes | None:
    for path in (f"{store}/{stream}/{name}", f"{store}/{stream}/{ARCHIVE_FOLDER}/{name}"):
        try:
            return folder.read(path)
        except FileNotFoundError:
            continue
    return None


def _file_name(batch: str, role: str) -> str:
    return f"{batch}.{role}.csv"


def _ack_path(store: str, stream: str, sequence: int, batch_id: str) -> str:
    return f"{store}/{stream}/{ACKS_FOLDER}/{batch_name(sequence, batch_id)}{ACK_SUFFIX}"


def _outstanding_path(store: str) -> str:
    return f"{store}/{STREAM_ORDERS}/{ACKS_FOLDER}/{OUTSTANDING_NAME}"


def _altered(path: str, what: str) -> BatchAltered:
    return BatchAltered(
        f"{path} is not as it was published: {what}. Retrying cannot clear this.",
        next_step=send_again(path),
        batch=path,
    )
