"""The exchange protocol: the manifest is the commit, the greater of head and manifest counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data_contracts.errors import BatchAltered, ContractBroken, NotBaselined, TransferInterrupted
from data_contracts.manifest import Acknowledgement, Head, Manifest, Mark, Position
from tasks import faults
from tasks.exchange import batches
from tasks.exchange.batches import Content, Draft
from tasks.exchange.local import LocalFolder

AN_HOUR_LATER = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


class Killed(BaseException):
    """As if the process had ended here."""


@pytest.fixture
def folder(tmp_path: Path) -> LocalFolder:
    return LocalFolder(tmp_path / "exchange")


def draft(rowversion: int = 10, stream: str = "orders") -> Draft:
    return Draft(
        program_version="0.1.0",
        store="S1",
        epoch=1,
        stream=stream,
        created_utc="2026-11-23T08:15:30.123Z",
        documents=2,
        position=Position(resume=Mark(rowversion=rowversion, ticket_number=7)),
    )


FILES = {"tickets": Content(b"a\n1\n2\n", 2), "tenders": Content(b"b\n", 0)}


def publish(folder: LocalFolder, rowversion: int = 10, batch_id: str | None = None) -> Manifest:
    return batches.publish_batch(folder, draft(rowversion), FILES, batch_id=batch_id)


def test_a_stream_that_nobody_published_has_no_position(folder: LocalFolder) -> None:
    assert batches.newest_position(folder, "S1", "orders") is None
    assert batches.waiting_batches(folder, "S1", "orders") == []


def test_a_published_batch_waits_and_reads_back(folder: LocalFolder) -> None:
    manifest = publish(folder, batch_id="0123456789ab")

    assert manifest.path == "S1/orders/000001-0123456789ab"
    assert folder.list("S1/orders") == [
        "000001-0123456789ab.manifest.json",
        "000001-0123456789ab.tenders.csv",
        "000001-0123456789ab.tickets.csv",
        "head.json",
    ]
    assert batches.waiting_batches(folder, "S1", "orders") == [(1, "0123456789ab")]
    assert batches.fetch_manifest(folder, "S1", "orders", 1, "0123456789ab") == manifest
    assert batches.fetch_files(folder, manifest) == {"tickets": b"a\n1\n2\n", "tenders": b"b\n"}
    assert [(f.role, f.rows, f.bytes) for f in manifest.files] == [("tickets", 2, 6), ("tenders", 0, 2)]


def test_sequences_go_on_over_archived_batches_and_the_head(folder: LocalFolder) -> None:
    first = publish(folder)
    batches.archive(folder, first)
    assert publish(folder).sequence == 2

    batches.replace_head(folder, Head(store="S1", stream="orders", sequence=40, batch_id="0" * 12))
    assert publish(folder).sequence == 41


def test_the_manifest_counts_when_the_head_was_not_replaced(
    folder: LocalFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(folder, 10)

    def hook(point: str) -> None:
        if point == "batch.manifest_published":
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(faults, "hook", hook)
        with pytest.raises(Killed):
            publish(folder, 20)

    head = batches.newest_position(folder, "S1", "orders")
    assert head is not None
    assert (head.sequence, head.position.resume.rowversion) == (2, 20)


def test_a_head_that_moved_on_without_a_batch_counts_over_its_manifest(folder: LocalFolder) -> None:
    manifest = publish(folder, 10)
    moved = Head(
        store="S1",
        stream="orders",
        sequence=1,
        batch_id=manifest.batch_id,
        position=Position(resume=Mark(rowversion=99)),
    )
    batches.replace_head(folder, moved)

    assert batches.newest_position(folder, "S1", "orders") == moved


def test_a_spoiled_head_gives_way_to_the_newest_manifest_even_an_archived_one(folder: LocalFolder) -> None:
    publish(folder, 10)
    batches.archive(folder, publish(folder, 20))
    (folder.root / "S1/orders/head.json").write_bytes(b'{"store": "S1"')

    head = batches.newest_position(folder, "S1", "orders")
    assert head is not None
    assert (head.sequence, head.position.resume.rowversion) == (2, 20)


def test_a_spoiled_head_and_manifest_give_way_to_the_one_before(folder: LocalFolder) -> None:
    publish(folder, 10)
    second = publish(folder, 20)
    (folder.root / "S1/orders/head.json").write_bytes(b"")
    (folder.root / f"S1/orders/{second.name}.manifest.json").write_bytes(b"{}")

    head = batches.newest_position(folder, "S1", "orders")
    assert head is not None
    assert (head.sequence, head.position.resume.rowversion) == (1, 10)
    assert publish(folder).sequence == 3


def test_with_nothing_readable_the_export_is_told_how_to_baseline(folder: LocalFolder) -> None:
    manifest = publish(folder)
    (folder.root / "S1/orders/head.json").write_bytes(b"")
    (folder.root / f"S1/orders/{manifest.name}.manifest.json").write_bytes(b"{}")

    with pytest.raises(NotBaselined, match=r"tillbridge baseline S1"):
        batches.newest_position(folder, "S1", "orders")


def test_two_manifests_with_one_sequence_are_a_fork_and_both_wait(
    folder: LocalFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two exporters that chose their sequence before either had published."""
    other: list[Manifest] = []

    def hook(point: str) -> None:
        if point == "batch.publish_files" and not other:
            monkeypatch.setattr(faults, "hook", None)
            other.append(publish(folder, 10, batch_id="aaaaaaaaaaaa"))

    monkeypatch.setattr(faults, "hook", hook)
    publish(folder, 20, batch_id="bbbbbbbbbbbb")

    assert batches.waiting_batches(folder, "S1", "orders") == [(1, "aaaaaaaaaaaa"), (1, "bbbbbbbbbbbb")]
    assert publish(folder).sequence == 2


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.write_bytes(b"a\n1\n"), "tickets.csv has 4 bytes, its manifest says 6"),
        (lambda path: path.write_bytes(b"a\n1\n3\n"), "tickets.csv does not have the SHA-256"),
        (lambda path: path.unlink(), "tickets.csv is not there"),
    ],
)
def test_an_altered_file_is_named(folder: LocalFolder, spoil, said: str) -> None:  # type: ignore[no-untyped-def]
    manifest = publish(folder)
    spoil(folder.root / f"S1/orders/{manifest.name}.tickets.csv")

    with pytest.raises(BatchAltered, match=said):
        batches.fetch_files(folder, manifest, now=AN_HOUR_LATER)


def test_a_file_that_is_not_there_within_the_hour_is_only_late(folder: LocalFolder) -> None:
    """A share that is still being synchronised: the batch was rejected for good at the first look."""
    manifest = publish(folder)
    path = folder.root / f"S1/orders/{manifest.name}.tickets.csv"
    path.rename(path.with_suffix(".elsewhere"))
    soon = AN_HOUR_LATER - timedelta(minutes=30)

    with pytest.raises(TransferInterrupted, match=r"tickets.csv is not there"):
        batches.fetch_files(folder, manifest, now=soon)
    path.with_suffix(".elsewhere").rename(path)

    assert set(batches.fetch_files(folder, manifest, now=soon)) == {"tickets", "tenders"}


def test_a_batch_of_another_version_of_the_contracts_is_refused_by_name(folder: LocalFolder) -> None:
    manifest = publish(folder, batch_id="aaaaaaaaaaaa")
    path = folder.root / f"S1/orders/{manifest.name}.manifest.json"
    path.write_bytes(
        path.read_bytes().replace(b'"schema_version": 2', b'"schema_version": 99, "new_field": 1')
    )

    with pytest.raises(ContractBroken, match="follows version 99 of the contracts, this program knows"):
        batches.fetch_manifest(folder, "S1", "orders", 1, "aaaaaaaaaaaa")


def test_a_manifest_under_another_batch_s_name_is_refused(folder: LocalFolder) -> None:
    manifest = publish(folder, batch_id="aaaaaaaaaaaa")
    data = folder.read(f"S1/orders/{manifest.name}.manifest.json")
    folder.publish("S1/orders/000007-aaaaaaaaaaaa.manifest.json", data)

    with pytest.raises(BatchAltered, match="its manifest says that it is S1/orders/000001-aaaaaaaaaaaa"):
        batches.fetch_manifest(folder, "S1", "orders", 7, "aaaaaaaaaaaa")


def test_a_manifest_that_names_foreign_files_is_refused(folder: LocalFolder) -> None:
    manifest = publish(folder, batch_id="aaaaaaaaaaaa")
    data = folder.read(f"S1/orders/{manifest.name}.manifest.json")
    path = folder.root / f"S1/orders/{manifest.name}.manifest.json"
    path.write_bytes(data.replace(b"000001-aaaaaaaaaaaa.tickets.csv", b"../../secrets.csv"))

    with pytest.raises(BatchAltered, match="not of this batch"):
        batches.fetch_manifest(folder, "S1", "orders", 1, "aaaaaaaaaaaa")


def test_a_manifest_that_is_none_is_a_broken_contract(folder: LocalFolder) -> None:
    folder.publish("S1/orders/000001-aaaaaaaaaaaa.manifest.json", b"{")

    with pytest.raises(ContractBroken):
        batches.fetch_manifest(folder, "S1", "orders", 1, "aaaaaaaaaaaa")


def test_archiving_goes_on_where_a_killed_run_stopped(
    folder: LocalFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = publish(folder, batch_id="aaaaaaaaaaaa")
    for stop_after in range(3):
        moves: list[str] = []

        def hook(point: str, seen: list[str] = moves, limit: int = stop_after) -> None:
            if point == "exchange.moved":
                seen.append(point)
                if len(seen) > limit:
                    raise Killed

        with monkeypatch.context() as patched:
            patched.setattr(faults, "hook", hook)
            with pytest.raises(Killed):
                batches.archive(folder, manifest)
        if folder.exists(f"S1/orders/{manifest.name}.manifest.json"):
            assert batches.fetch_files(folder, manifest)["tickets"] == b"a\n1\n2\n"
            continue
        break

    batches.archive(folder, manifest)
    batches.archive(folder, manifest)

    assert folder.list("S1/orders") == ["head.json"]
    assert len(folder.list("S1/orders/archive")) == 3
    assert batches.fetch_manifest(folder, "S1", "orders", 1, "aaaaaaaaaaaa") == manifest


def test_a_batch_rejected_for_a_lost_file_can_be_archived(folder: LocalFolder) -> None:
    manifest = publish(folder)
    (folder.root / f"S1/orders/{manifest.name}.tickets.csv").unlink()

    batches.archive(folder, manifest)

    assert batches.waiting_batches(folder, "S1", "orders") == []


def test_an_acknowledgement_reads_back_and_can_be_given_again(folder: LocalFolder) -> None:
    manifest = publish(folder)
    assert batches.read_ack(folder, "S1", "orders", 1, manifest.batch_id) is None
    ack = Acknowledgement(
        store="S1",
        stream="orders",
        sequence=1,
        batch_id=manifest.batch_id,
        state="accepted",
        accepted=2,
        acknowledged_utc="2026-11-23T08:16:00.000Z",
    )

    assert batches.answered_batches(folder, "S1", "orders") == []
    batches.acknowledge(folder, ack)
    assert batches.answered_batches(folder, "S1", "orders") == [(1, manifest.batch_id)]
    again = ack.model_copy(update={"acknowledged_utc": "2026-11-23T08:17:00.000Z"})
    batches.acknowledge(folder, again)

    assert batches.read_ack(folder, "S1", "orders", 1, manifest.batch_id) == again
