"""What the hub lacks of a store's batches: rejected or missing, until something stands for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text

from data_contracts.manifest import Reason
from tasks.hub import database, inbox, outstanding
from tasks.hub.database import migrate
from tests.documents import make_batch, make_ticket
from tests.hub.world import NOW, World, make_manifest

ALTERED = Reason(rule="altered", message="A file was cut.")
LATER = "2026-11-25T06:00:00.000Z"


def reject(world: World, sequence: int, stream: str = "orders", **fields: Any) -> str:
    manifest = make_manifest(make_batch([make_ticket(sequence)]), "orders", sequence, **fields)
    manifest = manifest.model_copy(update={"stream": stream})
    inbox.reject_batch(world.hub, manifest, (ALTERED,), now=NOW)
    return manifest.path


def lacking(world: World) -> list[str]:
    """Rejected sequences, then missing ranges."""
    found = outstanding.of_store(world.hub, "S1")
    return [f"{batch.sequence}" for batch in found.rejected] + [f"{g.first}-{g.last}" for g in found.missing]


def test_a_rejected_batch_counts_until_an_accepted_one_replaces_it(world: World) -> None:
    path = reject(world, 1)
    (found,) = outstanding.of_store(world.hub, "S1").rejected
    assert (found.path, found.rule, found.message) == (path, "altered", "A file was cut.")
    assert (found.documents, found.rejected_utc) == (1, NOW)
    assert found.fix == "run `tillbridge resend S1 --batch 1` at the store"

    world.orders(make_ticket(1), sequence=2)
    assert lacking(world) == ["1"]
    reject(world, 3, replaces=1)
    assert lacking(world) == ["1", "3"]
    world.orders(make_ticket(2), sequence=4, replaces=3)
    assert lacking(world) == []
    assert outstanding.of_store(world.hub, "S2") == outstanding.Outstanding()


def test_missing_sequences_are_ranges_with_their_age_and_shrink_as_batches_arrive(world: World) -> None:
    world.orders(make_ticket(3), sequence=3)
    world.orders(make_ticket(9), sequence=9)

    found = outstanding.of_store(world.hub, "S1").missing

    assert [(gap.first, gap.last, gap.since_utc) for gap in found] == [(1, 2, NOW), (4, 8, NOW)]
    assert found[1].sentence == "S1: batches 4 to 8 are missing since 2026-11-24 06:00 UTC."
    assert found[1].fix == (
        "if it is not only late, run `tillbridge resend S1 --batch 4` at the store; then the others up to 8 "
        "likewise"
    )
    world.orders(make_ticket(6), sequence=6)
    reject(world, 1)
    assert lacking(world) == ["1", "2-2", "4-5", "7-8"]
    world.orders(make_ticket(10), sequence=10, replaces=7)
    world.orders(make_ticket(11), sequence=11, replaces=2)
    assert lacking(world) == ["1", "4-5", "8-8"]


def test_a_manifest_that_cannot_be_read_is_a_rejected_batch_but_makes_no_gap_of_what_its_name_says(
    world: World,
) -> None:
    inbox.reject_unreadable(world.hub, "S1", "orders", 999_999, "a" * 12, ALTERED)
    inbox.reject_unreadable(world.hub, "S1", "orders", 1, "b" * 12, ALTERED)
    world.orders(make_ticket(2), sequence=2)

    assert lacking(world) == ["1", "999999"]
    assert world.rows("SELECT type FROM events WHERE type LIKE 'sequence%'") == []


def test_of_statements_the_newest_counts(world: World) -> None:
    reject(world, 1, stream="statement")
    assert lacking(world) == ["1"]
    with world.hub.writing() as connection:
        manifest = make_manifest(make_batch([]), "orders", 2).model_copy(update={"stream": "statement"})
        inbox.record(connection, manifest, inbox.BatchOutcome("accepted"), LATER)

    assert lacking(world) == []


def test_what_batches_replace_is_taken_over_from_manifests_of_earlier_versions(hub_url: str) -> None:
    folder = str(Path(database.__file__).parent / "migrations")
    config = Config()
    config.set_main_option("script_location", folder)
    config.set_main_option("path_separator", "os")
    engine = create_engine(hub_url)
    columns = (
        "path, store, stream, sequence, batch_id, epoch, state, manifest, documents, accepted, quarantined, "
        "pending, seen_before, superseded, reasons, imported_utc"
    )
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
        for sequence, replaces in ((1, None), (2, 1)):
            manifest = json.dumps({"sequence": sequence, "replaces": replaces}, separators=(",", ":"))
            connection.execute(
                text(
                    f"INSERT INTO batches ({columns}) VALUES (:path, 'S1', 'orders', :sequence, 'x', 1, "
                    "'accepted', :manifest, 0, 0, 0, 0, 0, 0, '[]', '')"
                ),
                {"path": f"S1/orders/{sequence}", "sequence": sequence, "manifest": manifest},
            )

    migrate(hub_url)

    with engine.connect() as connection:
        found = connection.execute(text("SELECT sequence, replaces FROM batches ORDER BY sequence")).all()
    engine.dispose()
    assert [tuple(row) for row in found] == [(1, None), (2, 1)]
