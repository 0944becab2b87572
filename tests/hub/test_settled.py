"""What a cleaning of the exchange folder asks the hub."""

from __future__ import annotations

from data_contracts.manifest import EpochStart, Reason
from tasks.hub.inbox import reject_batch
from tasks.hub.schema import product_batches
from tasks.hub.settled import Settled, highest_order, manifests_of, settled_batches
from tests.documents import make_batch, make_order, make_ticket
from tests.hub.world import NOW, World, make_manifest

LINES = [("SKU-1", 1, "10.00")]


def test_taken_in_and_rejected_batches_are_settled_from_a_sequence_on(world: World) -> None:
    for sequence in (1, 2):
        world.orders(make_ticket(sequence), sequence=sequence)
    refused = make_manifest(make_batch([make_ticket(3)]), "orders", 3)
    reject_batch(world.hub, refused, [Reason(rule="altered", message="Cut.")], now=NOW)

    with world.hub.reading() as connection:
        found = settled_batches(connection, "S1", "orders", first=2)
        manifests = dict(manifests_of(connection, [refused.path, "S1/orders/000009-00000000000f"]))

    assert [(batch.sequence, batch.accepted, batch.settled_utc) for batch in found] == [
        (2, True, NOW),
        (3, False, NOW),
    ]
    assert manifests == {refused.path: refused}


def test_batch_of_products_is_settled_once_it_is_answered_or_given_up(world: World) -> None:
    rows = [
        ("a" * 12, 1, "answered", "2026-01-01", "2026-01-02"),
        ("b" * 12, 2, "rejected", "2026-01-03", "2026-01-04"),
        ("c" * 12, 3, "lost", "2026-01-05", None),
        ("d" * 12, 4, "published", "2026-01-06", None),
        ("e" * 12, None, "lost", "2026-01-07", None),
    ]
    names = ("batch_id", "sequence", "state", "noted_utc", "answered_utc")
    counts = {"store": "S1", "products": 1, "at_till": 0, "refused": 0}
    with world.hub.writing() as connection:
        connection.execute(
            product_batches.insert(), [dict(zip(names, row, strict=True)) | counts for row in rows]
        )
    with world.hub.reading() as connection:
        found = settled_batches(connection, "S1", "products", first=1)

    assert found == [
        Settled(1, "a" * 12, 1, True, "2026-01-02"),
        Settled(2, "b" * 12, 1, False, "2026-01-04"),
        Settled(3, "c" * 12, 1, False, "2026-01-05"),
    ]


def test_highest_order_counts_by_the_epochs_of_today(world: World) -> None:
    """Order 500 was lost when the database was restored; its number will be given out again."""
    before, after = EpochStart(epoch=1), EpochStart(epoch=2, after_number=10, after_order=400)
    world.orders(make_order(70, LINES), make_order(500, LINES), sequence=1)
    world.baseline(sequence=2, epochs=(before, after))
    world.orders(make_order(420, LINES, epoch=2), sequence=2, epoch=2)
    world.orders(make_order(430, LINES, epoch=2), sequence=3, epoch=2)

    with world.hub.reading() as connection:
        up_to = {at: highest_order(connection, "S1", at, (before, after)) for at in (1, 2, 3)}
        assert highest_order(connection, "S1", 3, (before,)) == 500

    assert up_to == {1: 70, 2: 420, 3: 430}
