"""A ticket that changes: only the difference is posted, both revisions are kept."""

from __future__ import annotations

from copy import deepcopy

from sqlalchemy import text

from tests.documents import make_ticket
from tests.hub.world import World


def revisions(world: World) -> list[tuple[object, ...]]:
    return world.rows("SELECT sequence, state FROM document_revisions ORDER BY sequence")


def test_changed_ticket_posts_the_difference_and_raises_an_event(world: World) -> None:
    world.orders(make_ticket(1, [("SKU-1", 2, "10.00"), ("SKU-2", 1, "5.00")]))
    outcome = world.orders(make_ticket(1, [("SKU-1", 3, "10.00"), ("SKU-3", 1, "5.00")]), sequence=2)

    assert outcome.accepted == 1
    assert world.rows(
        "SELECT sku, physical_delta FROM reporting_stock_movements WHERE document = 'S1/1/ticket/1' "
        "ORDER BY physical_delta, sku"
    ) == [("SKU-1", "-2.00"), ("SKU-1", "-1.00"), ("SKU-2", "-1.00"), ("SKU-3", "-1.00"), ("SKU-2", "1.00")]
    assert world.rows("SELECT total, paid FROM reporting_orders") == [("35.00", "35.00")]
    assert len(world.rows("SELECT * FROM payments")) == 2
    assert world.rows("SELECT sku, quantity FROM reporting_order_lines ORDER BY line") == [
        ("SKU-1", "3.00"),
        ("SKU-3", "1.00"),
    ]
    assert revisions(world) == [(1, "replaced"), (2, "accepted")]
    assert world.rows("SELECT order_id FROM events WHERE type = 'ticket_revised'") == [("S1/1/ticket/1",)]


def test_same_content_again_changes_nothing(world: World) -> None:
    ticket = make_ticket(1, [("SKU-1", 2, "10.00")])
    world.orders(ticket)
    before = world.rows("SELECT * FROM stock_movements")

    outcome = world.orders(ticket, sequence=2)

    assert (outcome.accepted, outcome.seen_before) == (0, 1)
    assert world.rows("SELECT * FROM stock_movements") == before
    assert revisions(world) == [(2, "accepted")]


def test_same_batch_again_is_answered_from_the_book(world: World) -> None:
    first = world.orders(make_ticket(1), make_ticket(2, [("NOPE", 1, "1.00")]))
    again = world.orders(make_ticket(1), make_ticket(2, [("NOPE", 1, "1.00")]))

    assert not first.already
    assert again.already
    assert (again.accepted, again.quarantined, again.reasons) == (1, 1, first.reasons)
    assert world.rows("SELECT COUNT(*) FROM events WHERE type = 'batch_imported' AND store = 'S1'") == [(2,)]


def test_late_older_revision_has_no_effect_but_is_remembered(world: World) -> None:
    world.orders(make_ticket(1, [("SKU-1", 3, "10.00")]), sequence=2)
    outcome = world.orders(make_ticket(1, [("SKU-1", 2, "10.00")]), sequence=1)

    assert outcome.superseded == 1
    assert world.stock() == {("W1", "SKU-1"): "-3.00"}
    assert revisions(world) == [(1, "superseded"), (2, "accepted")]


def test_content_that_returns_to_an_older_form_is_posted_again(world: World) -> None:
    for sequence, quantity in enumerate((2, 3, 2), start=1):
        world.orders(make_ticket(1, [("SKU-1", quantity, "10.00")]), sequence=sequence)

    assert world.stock() == {("W1", "SKU-1"): "-2.00"}
    assert revisions(world) == [(2, "replaced"), (3, "accepted")]


def test_bad_newer_revision_waits_and_the_booked_one_stays(world: World) -> None:
    world.orders(make_ticket(1, [("SKU-1", 2, "10.00")]))
    world.orders(make_ticket(1, [("NOPE", 2, "10.00")]), sequence=2)
    assert world.rows("SELECT state, units FROM reporting_tickets") == [("accepted", "2.00")]
    assert world.rows("SELECT rule, state FROM reporting_quarantine") == [("unknown_sku", "open")]

    world.orders(make_ticket(1, [("SKU-1", 1, "10.00")]), sequence=3)

    assert world.stock() == {("W1", "SKU-1"): "-1.00"}
    assert world.rows("SELECT state FROM reporting_quarantine") == [("superseded",)]


def test_revised_ticket_that_was_voided_stays_voided_to_the_last_unit(world: World) -> None:
    world.orders(make_ticket(1, [("SKU-1", 2, "10.00")]))
    world.orders(make_ticket(2, [("SKU-1", -2, "10.00")], recall_type=3, recall_id=1), sequence=2)
    world.orders(make_ticket(1, [("SKU-1", 3, "10.00")]), sequence=3)

    assert world.stock() == {("W1", "SKU-1"): "0.00"}
    assert world.rows("SELECT order_status, paid FROM reporting_orders ORDER BY order_id") == [
        ("Void", "30.00"),
        ("Void", "-30.00"),
    ]


def test_revision_is_posted_where_the_ticket_was_posted_first(world: World) -> None:
    world.orders(make_ticket(1, [("SKU-1", 2, "10.00")]))
    moved = World(world.hub, world.folder, stores={"S1": {}, "S2": {}})

    moved.orders(make_ticket(1, [("SKU-1", 3, "10.00")]), make_ticket(2), sequence=2)

    assert moved.stock() == {("W1", "SKU-1"): "-3.00", ("MAIN", "SKU-1"): "-1.00"}


def test_sku_corrected_in_rms_and_sent_again_leaves_quarantine(world: World) -> None:
    """The hash holds no SKU: the corrected ticket was taken for the same one and stayed in quarantine."""
    world.orders(make_ticket(1, [("MISSPELT", 2, "10.00", {"item_id": 7})]))

    outcome = world.orders(make_ticket(1, [("SKU-1", 2, "10.00", {"item_id": 7})]), sequence=2)

    assert (outcome.accepted, outcome.seen_before) == (1, 0)
    assert world.rows("SELECT rule, state FROM reporting_quarantine") == [("unknown_sku", "cleared")]
    assert world.rows("SELECT sku, source_sku FROM reporting_order_lines") == [("SKU-1", "SKU-1")]
    assert world.stock() == {("W1", "SKU-1"): "-2.00"}


def test_tax_setting_corrected_and_ticket_sent_again_is_booked(world: World) -> None:
    """What the fix of `totals_differ` advises has no effect on the hash; it had none on the hub either."""
    right = make_ticket(1, [("SKU-1", 1, "12.00")], tax_rate="0.2", prices_include_tax=True)
    wrong = deepcopy(right)
    wrong["tickets"][0]["prices_include_tax"] = False
    world.orders(wrong)
    assert world.rows("SELECT rule FROM reporting_quarantine") == [("totals_differ",)]

    assert world.orders(right, sequence=2).accepted == 1

    assert world.rows("SELECT total, tax, paid FROM reporting_orders") == [("12.00", "2.00", "12.00")]


def test_ticket_that_is_still_wrong_when_sent_again_keeps_its_newest_rows_and_one_event(world: World) -> None:
    world.orders(make_ticket(1, [("NEW-1", 1, "3.00", {"item_id": 7, "description": "old"})]))
    outcome = world.orders(
        make_ticket(1, [("NEW-1", 1, "3.00", {"item_id": 7, "description": "new"})]), sequence=2
    )

    assert (outcome.quarantined, outcome.seen_before) == (1, 0)
    ((rows, state),) = world.rows("SELECT rows, state FROM quarantine")
    assert '"description": "new"' in str(rows)
    assert state == "open"
    assert len(world.rows("SELECT * FROM events WHERE type = 'document_quarantined'")) == 1


def test_discarded_ticket_stays_discarded_when_sent_again(world: World) -> None:
    world.orders(make_ticket(1, [("NOPE", 1, "3.00")]))
    with world.hub.writing() as connection:
        connection.execute(text("UPDATE quarantine SET state = 'discarded'"))
        connection.execute(text("UPDATE documents SET state = 'discarded'"))

    outcome = world.orders(make_ticket(1, [("NOPE", 1, "3.00")]), sequence=2)

    assert outcome.seen_before == 1
    assert world.rows("SELECT state FROM reporting_tickets") == [("discarded",)]


DATES = (
    "SELECT o.business_date, t.business_date, o.ordered_at_utc, o.shipped_at_utc "
    "FROM reporting_orders o JOIN reporting_tickets t ON t.order_id = o.order_id"
)


def test_date_and_tender_code_of_the_newest_export_count_in_every_view(world: World) -> None:
    """They are outside the hash: the tickets' view moved to the new date, the orders' kept the old one."""
    old = make_ticket(1, tenders=[("VISA", "10.00")])
    new = make_ticket(1, tenders=[("VISA", "10.00")], business_date="2026-11-24")
    new["tenders"][0]["tender_code"] = "Visa card"
    world.orders(old)
    outcome = world.orders(new, sequence=3)

    assert (outcome.accepted, outcome.seen_before) == (0, 1)
    newest = ("2026-11-24", "2026-11-24", "2026-11-24T12:00:00.000Z", "2026-11-24T12:00:00.000Z")
    assert world.rows(DATES) == [newest]
    assert world.rows("SELECT tender_code FROM reporting_tenders") == [("Visa card",)]
    assert world.rows("SELECT order_id FROM events WHERE type = 'order_changed'") == [("S1/1/ticket/1",)]
    assert len(world.rows("SELECT * FROM payments")) == len(world.rows("SELECT * FROM stock_movements")) == 1

    world.orders(old, sequence=2)

    assert world.rows(DATES) == [newest]
    assert world.rows("SELECT tender_code FROM reporting_tenders") == [("Visa card",)]
