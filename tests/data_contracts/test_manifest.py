"""Manifests, acknowledgements and heads survive their files, and say what is wrong without saying values."""

from __future__ import annotations

import json

import pytest

from data_contracts.errors import BatchAltered, ContractBroken
from data_contracts.manifest import (
    Acknowledgement,
    BatchFile,
    EpochStart,
    Head,
    LastTicket,
    Manifest,
    Mark,
    Position,
    Reason,
    Waiting,
    batch_name,
    parse_batch_name,
)

POSITION = Position(
    resume=Mark(rowversion=40_962, ticket_number=10_452, entry_id=31_007, tender_entry_id=10_999),
    swept=Mark(rowversion=39_000),
    waiting=(Waiting(source="ticket", number=10_450, first_seen_utc="2026-11-23T08:00:00Z"),),
    last_ticket=LastTicket(
        number=10_452, revision="1-" + "0" * 32, time="2026-11-23T08:15:30", first_entry_id=31_005
    ),
    epochs=(EpochStart(epoch=1), EpochStart(epoch=2, after_number=9_000)),
    history=((1, 90), (92, 100)),
)
MANIFEST = Manifest(
    program_version="0.1.0",
    store="S1",
    epoch=2,
    stream="orders",
    sequence=412,
    batch_id="9f2c51d07ab3",
    created_utc="2026-11-23T08:15:30Z",
    files=(BatchFile(role="tickets", name="x.csv", rows=3, bytes=99, sha256="ab" * 32),),
    documents=3,
    units=-2_5000,
    money=12_5000,
    position=POSITION,
)


@pytest.mark.parametrize(
    "record",
    [
        MANIFEST,
        Head(store="S1", stream="orders", sequence=412, batch_id="9f2c51d07ab3", position=POSITION),
        Acknowledgement(
            store="S1",
            stream="orders",
            sequence=412,
            batch_id="9f2c51d07ab3",
            state="rejected",
            reasons=(Reason(rule="structure", message="é is not UTF-8."),),
            acknowledged_utc="2026-11-23T09:00:00Z",
        ),
    ],
)
def test_a_record_survives_its_file(record: Manifest | Head | Acknowledgement) -> None:
    data = record.to_json()

    assert type(record).from_json(data, "x.json") == record
    assert data.endswith(b"}\n")
    assert b'"signature": null' in data


def test_a_manifest_names_its_batch_and_its_files() -> None:
    assert MANIFEST.name == "000412-9f2c51d07ab3"
    assert MANIFEST.path == "S1/orders/000412-9f2c51d07ab3"
    assert MANIFEST.file("tickets").rows == 3
    with pytest.raises(BatchAltered, match="S1/orders/000412-9f2c51d07ab3 lists no file `tenders`"):
        MANIFEST.file("tenders")


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"sequence": 0}, "sequence"),
        ({"batch_id": "SECRET"}, "batch_id"),
        ({"stream": "SECRET"}, "stream"),
        ({"more": "SECRET"}, "more"),
        ({"units": "SECRET"}, "units"),
        ({"position": {"resume": {"rowversion": "SECRET"}}}, "position.resume.rowversion"),
    ],
)
def test_a_faulty_manifest_is_refused_by_place_and_without_the_value(
    change: dict[str, object], place: str
) -> None:
    data = json.dumps(MANIFEST.model_dump() | change)

    with pytest.raises(ContractBroken) as caught:
        Manifest.from_json(data.encode(), "S1/orders/000412")

    assert caught.value.message.startswith(f"S1/orders/000412 is not a readable manifest: {place}: ")
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", MANIFEST.to_json()[:-20]])
def test_a_cut_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(ContractBroken, match=r"m\.json is not a readable manifest"):
        Manifest.from_json(data, "m.json")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("000412-9f2c51d07ab3.manifest.json", (412, "9f2c51d07ab3")),
        ("1000412-9f2c51d07ab3.ack.json", (1_000_412, "9f2c51d07ab3")),
        ("000412-9f2c51d07ab3.tickets.csv", None),
        ("412-9f2c51d07ab3.manifest.json", None),
        ("000412-9F2C51D07AB3.manifest.json", None),
        ("000412-9f2c51d07ab3.manifest.json.part", None),
        ("head.json", None),
    ],
)
def test_only_names_of_batches_are_taken_for_batches(name: str, found: tuple[int, str] | None) -> None:
    assert parse_batch_name(name) == found
    if found and name.endswith(".manifest.json"):
        assert f"{batch_name(*found)}.manifest.json" == name


def test_the_epoch_of_a_number_is_the_newest_that_starts_below_it() -> None:
    assert [POSITION.epoch_of(number) for number in (1, 9_000, 9_001, 10_452)] == [1, 1, 2, 2]
    assert Position(epochs=(EpochStart(epoch=3, after_number=50),)).epoch_of(10) == 3
