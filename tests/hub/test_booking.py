"""Each booking rule with exact values, as the reporting views show it."""

from __future__ import annotations

import pytest

from data_contracts.errors import ConfigurationError, NotYetArrived
from data_contracts.manifest import EpochStart
from tasks.hub.database import Hub
from tests.documents import make_ticket
from tests.hub.world import World

ORDER = "SELECT {} FROM reporting_orders WHERE order_id = :order_id"


def order(world: World, number: int, columns: str, epoch: int = 1, store: str = "S1") -> tuple[object, ...]:
    rows = world.rows(ORDER.format(columns), order_id=f"{store}/{epoch}/ticket/{number}")
    assert len(rows) == 1
    return rows[0]


def statuses(world: World, number: int) -> tuple[object, ...]:
    return order(world, number, "order_status, payment_status, shipping_status, total, refunded")


def test_sale_is_completed_charged_and_fully_shipped(world: World) -> None:
    outcome = world.orders(
        make_ticket(10452, [("SKU-1", 2, "10.00"), ("SKU-2", "0.5", "4.00")], tax_rate="0.1")
    )

    assert (outcome.state, outcome.documents, outcome.accepted) == ("accepted", 1, 1)
    assert order(world, 10452, "*") == (
        "S1/1/ticket/10452", "S1", 1, "sale", "10452", "[]", "RMS", "retail",
        "Completed", "Charged", "FullyShipped",
        "2026-11-23T12:00:00.000Z", "2026-11-23T12:00:00.000Z", "2026-11-23",
        "RMSWalkinCustomer@Sellercloud.com", "W1", "22.00", "2.20", "24.20", "24.20", "0.00",
    )  # fmt: skip
    head = ("S1/1/ticket/10452", "S1", 1, "sale", "10452")
    assert world.rows("SELECT * FROM reporting_order_lines ORDER BY line") == [
        (*head, 1, "SKU-1", "SKU-1", "2.00", "0.00", "0.00", "2.00", "0.00", "10.00", "2.00", "W1"),
        (*head, 2, "SKU-2", "SKU-2", "0.50", "0.00", "0.00", "0.50", "0.00", "4.00", "0.20", "W1"),
    ]  # fmt: skip
    assert world.stock() == {("W1", "SKU-1"): "-2.00", ("W1", "SKU-2"): "-0.50"}
    assert world.rows("SELECT method, type, status, amount FROM payments") in (
        [(4, 2, 0, 242000)],
        [(4, 2, 0, "24.20")],
    )
    assert world.rows("SELECT cause, document, warehouse_rule FROM stock_movements") == [
        ("sale", "S1/1/ticket/10452", "store mapping"),
        ("sale", "S1/1/ticket/10452", "store mapping"),
    ]


def test_ticket_view_shows_the_tickets_figures_and_tenders(world: World) -> None:
    world.orders(make_ticket(1, [("SKU-1", 1, "10.00")], tax_rate="0.2", tenders=[("CARD", 5), ("CASH", 7)]))

    ((*ticket, batch),) = world.rows("SELECT * FROM reporting_tickets")
    assert ticket == [
        "S1", 1, 1, "sale", "S1/1/ticket/1", "2026-11-23", 1, 1, 1, "1.00", "10.00", "2.00", "12.00",
        "accepted",
    ]  # fmt: skip
    assert str(batch).startswith("S1/orders/000001-")
    assert world.rows("SELECT * FROM reporting_tenders ORDER BY tender_code") == [
        ("S1", 1, 1, "CARD", "5.00", "2026-11-23", 1),
        ("S1", 1, 1, "CASH", "7.00", "2026-11-23", 1),
    ]


def test_return_gives_back_on_the_sale_it_names(world: World) -> None:
    world.orders(
        make_ticket(1, [("SKU-1", 1, "10.00"), ("SKU-1", 2, "10.00")]),
        make_ticket(2, [("SKU-1", -2, "10.00")], recall_type=1, recall_id=1),
    )

    assert statuses(world, 1) == ("Completed", "PartiallyRefund", "FullyShipped", "30.00", "20.00")
    assert statuses(world, 2) == ("Completed", "Charged", "FullyShipped", "-20.00", "0.00")
    assert world.rows(
        "SELECT line, returned_quantity FROM reporting_order_lines WHERE source_order_id = '1' ORDER BY line"
    ) == [(1, "1.00"), (2, "1.00")]
    assert world.stock() == {("W1", "SKU-1"): "-1.00"}


def test_full_return_makes_a_full_refund(world: World) -> None:
    world.orders(make_ticket(1, [("SKU-1", 2, "10.00")]))
    world.orders(make_ticket(2, [("SKU-1", -2, "10.00")], recall_type=1, recall_id=1), sequence=2)

    assert statuses(world, 1) == ("Completed", "FullRefund", "FullyShipped", "20.00", "20.00")


def test_return_before_its_sale_is_linked_when_the_sale_arrives(world: World) -> None:
    world.orders(make_ticket(2, [("SKU-1", -1, "10.00")], recall_type=1, recall_id=1))
    assert world.stock() == {("W1", "SKU-1"): "1.00"}

    world.orders(make_ticket(1, [("SKU-1", 2, "10.00")]), sequence=2)

    assert statuses(world, 1) == ("Completed", "PartiallyRefund", "FullyShipped", "20.00", "10.00")


def test_goods_come_back_to_the_returns_warehouse(hub: Hub, tmp_path: object) -> None:
    world = World(hub, tmp_path, stores={"S1": {"warehouse": "W1", "returns_warehouse": "BACK"}, "S2": {}})  # type: ignore[arg-type]
    world.ready()

    world.orders(make_ticket(1, [("SKU-1", -1, "10.00"), ("SKU-2", 1, "10.00")]))

    assert world.rows("SELECT * FROM reporting_stock ORDER BY warehouse") == [
        ("BACK", "SKU-1", "1.00", "0.00", "0.00"),
        ("W1", "SKU-2", "-1.00", "0.00", "-1.00"),
    ]
    assert world.rows("SELECT DISTINCT warehouse, warehouse_rule FROM stock_movements ORDER BY 1") == [
        ("BACK", "returns warehouse"),
        ("W1", "store mapping"),
    ]


def test_exchange_pays_the_net_and_refunds_its_negative_lines(world: World) -> None:
    world.orders(
        make_ticket(1, [("SKU-1", 2, "10.00")]),
        make_ticket(2, [("SKU-1", -1, "10.00"), ("SKU-2", 1, "12.50")], recall_type=1, recall_id=1),
    )

    assert order(world, 2, "kind, total, paid, payment_status") == ("exchange", "2.50", "2.50", "Charged")
    assert statuses(world, 1) == ("Completed", "PartiallyRefund", "FullyShipped", "20.00", "10.00")
    assert world.stock() == {("W1", "SKU-1"): "-1.00", ("W1", "SKU-2"): "-1.00"}


def test_void_reverses_a_sale_and_both_rows_say_so(world: World) -> None:
    world.orders(make_ticket(1, [("SKU-1", 2, "10.00")]))
    world.orders(
        make_ticket(2, [("SKU-1", -2, "10.00")], recall_type=3, recall_id=1, business_date="2026-11-24"),
        sequence=2,
    )

    assert statuses(world, 1) == ("Void", "FullRefund", "Unshipped", "20.00", "20.00")
    assert order(world, 2, "kind, order_status, total, paid, business_date") == (
        "void", "Void", "-20.00", "-20.00", "2026-11-24",
    )  # fmt: skip
    assert world.stock() == {("W1", "SKU-1"): "0.00"}
    assert world.rows("SELECT shipped_quantity FROM reporting_order_lines") == [("0.00",), ("0.00",)]
    assert world.rows("SELECT cause, warehouse_rule FROM stock_movements ORDER BY cause") == [
        ("sale", "store mapping"),
        ("void", "as posted"),
    ]


def test_void_of_a_return_restores_the_sale(world: World) -> None:
    world.orders(
        make_ticket(1, [("SKU-1", 2, "10.00")]),
        make_ticket(2, [("SKU-1", -1, "10.00")], recall_type=1, recall_id=1),
        make_ticket(3, [("SKU-1", 1, "10.00")], recall_type=3, recall_id=2),
    )

    assert statuses(world, 1) == ("Completed", "Charged", "FullyShipped", "20.00", "0.00")
    assert statuses(world, 2) == ("Void", "FullRefund", "Unshipped", "-10.00", "-10.00")
    assert world.rows("SELECT returned_quantity FROM reporting_order_lines WHERE source_order_id = '1'") == [
        ("0.00",)
    ]
    assert world.stock() == {("W1", "SKU-1"): "-2.00"}


def test_void_waits_for_its_ticket_and_clears_itself(world: World) -> None:
    outcome = world.orders(make_ticket(2, [("SKU-1", -1, "10.00")], recall_type=3, recall_id=1))
    assert (outcome.accepted, outcome.quarantined, outcome.pending) == (0, 0, 1)
    assert world.rows("SELECT transaction_number, state, order_id FROM reporting_tickets") == [
        (2, "pending", None)
    ]
    assert world.rows("SELECT document, rule, state FROM reporting_quarantine") == [
        ("S1/1/ticket/2", "waiting_for_ticket", "pending")
    ]

    world.orders(make_ticket(1, [("SKU-1", 1, "10.00")]), sequence=2)

    assert statuses(world, 1)[0] == statuses(world, 2)[0] == "Void"
    assert world.rows("SELECT state FROM reporting_quarantine") == [("cleared",)]
    assert world.stock() == {("W1", "SKU-1"): "0.00"}


def test_void_of_history_is_posted_from_its_own_lines_and_flagged(hub: Hub, tmp_path: object) -> None:
    world = World(hub, tmp_path).ready(history=(1, 100))  # type: ignore[arg-type]

    world.orders(make_ticket(101, [("SKU-1", -1, "10.00")], recall_type=3, recall_id=50))

    assert order(world, 101, "kind, order_status, total") == ("void", "Void", "-10.00")
    assert world.stock() == {("W1", "SKU-1"): "1.00"}
    assert world.rows("SELECT order_id FROM events WHERE type = 'before_baseline'") == [("S1/1/ticket/101",)]


def test_void_that_does_not_mirror_its_ticket_goes_to_quarantine(world: World) -> None:
    world.orders(
        make_ticket(1, [("SKU-1", 2, "10.00")]),
        make_ticket(2, [("SKU-1", -1, "10.00")], recall_type=3, recall_id=1),
        make_ticket(3, [("SKU-2", -2, "10.00")], recall_type=3, recall_id=1),
    )

    assert world.rows("SELECT document, rule FROM reporting_quarantine ORDER BY document") == [
        ("S1/1/ticket/2", "void_mismatch"),
        ("S1/1/ticket/3", "void_mismatch"),
    ]
    assert statuses(world, 1)[0] == "Completed"


def test_ticket_is_voided_once(world: World) -> None:
    world.orders(
        make_ticket(1, [("SKU-1", 1, "10.00")]),
        make_ticket(2, [("SKU-1", -1, "10.00")], recall_type=3, recall_id=1),
        make_ticket(3, [("SKU-1", -1, "10.00")], recall_type=3, recall_id=1),
        make_ticket(4, [("SKU-1", 1, "10.00")], recall_type=3, recall_id=2),
    )

    assert world.rows("SELECT document, rule FROM reporting_quarantine ORDER BY document") == [
        ("S1/1/ticket/3", "already_voided"),
        ("S1/1/ticket/4", "void_of_void"),
    ]
    assert world.stock() == {("W1", "SKU-1"): "0.00"}


def test_unknown_sku_holds_the_whole_ticket_until_the_product_arrives(world: World) -> None:
    outcome = world.orders(
        make_ticket(1, [("SKU-1", 1, "10.00"), ("NEW-1", 1, "3.00"), ("NEW-2", 1, "1.00")])
    )
    assert outcome.quarantined == 1
    assert "`NEW-1`, `NEW-2`" in outcome.reasons[0].message
    assert world.rows("SELECT document, rule, units, total, state FROM reporting_quarantine") == [
        ("S1/1/ticket/1", "unknown_sku", "3.00", "14.00", "open")
    ]
    assert world.stock() == {}

    assert world.catalog([*("SKU-1", "SKU-2", "SKU-3"), "NEW-1"]) == 0
    assert world.catalog(["NEW-2"]) == 1

    assert statuses(world, 1)[:2] == ("Completed", "Charged")
    assert world.rows("SELECT state FROM reporting_quarantine") == [("cleared",)]
    query = "SELECT type FROM events WHERE type LIKE '%quarantine%' ORDER BY number"
    assert world.rows(query) == [
        ("document_quarantined",), ("quarantine_cleared",),
    ]  # fmt: skip


def test_sku_is_found_in_any_case_and_by_upc(world: World) -> None:
    file = world.folder / "upc.csv"
    file.write_text("sku,name,upc,price,item_type,active\nSKU-9,Nine,501234,1.00,0,true\n", encoding="utf-8")
    from tasks.hub.products import import_catalog

    import_catalog(world.hub, world.settings, file)

    world.orders(make_ticket(1, [("sku-1  ", 1, "1.00"), ("501234", 1, "1.00")]))

    assert world.rows("SELECT sku, source_sku FROM reporting_order_lines ORDER BY line") == [
        ("SKU-1", "sku-1  "),
        ("SKU-9", "501234"),
    ]


def test_items_without_stock_carry_money_only(world: World) -> None:
    world.orders(make_ticket(1, [("SKU-1", 1, "10.00"), ("GIFTCARD", 1, "25.00", {"item_type": 9})]))

    assert statuses(world, 1)[3] == "35.00"
    assert world.stock() == {("W1", "SKU-1"): "-1.00"}


@pytest.mark.parametrize(
    ("ticket", "rule", "state"),
    [
        (make_ticket(1, recall_type=4, recall_id=7, recalled_order_type=5), "waiting_for_order", "pending"),
        (make_ticket(1, recall_type=2), "unknown_recall_type", "quarantined"),
        (make_ticket(1, flags="unsettled"), "unsettled", "quarantined"),
    ],
)
def test_ticket_that_cannot_be_booked_says_why(world: World, ticket: dict, rule: str, state: str) -> None:  # type: ignore[type-arg]
    world.orders(ticket)

    assert world.rows("SELECT rule FROM reporting_quarantine") == [(rule,)]
    assert world.rows("SELECT state FROM reporting_tickets") == [(state,)]
    assert world.rows("SELECT * FROM reporting_orders") == []
    assert world.stock() == {}


def test_picked_up_work_order_is_a_sale(world: World) -> None:
    world.orders(make_ticket(1, recall_type=4, recall_id=7, recalled_order_type=2))

    assert order(world, 1, "kind") == ("sale",)


def test_rounding_is_booked_with_the_headers_total(world: World) -> None:
    world.orders(
        make_ticket(1, [("SKU-1", "0.333", "9.99")], total=33300, tenders=[("CASH", "3.33")]),
        make_ticket(2, [("SKU-1", 1, "9.99")], total=101000, tenders=[("CASH", "10.10")]),
    )

    assert statuses(world, 1)[3] == "3.33"
    assert world.rows("SELECT order_id, payload FROM events WHERE type = 'rounding_accepted'") == [
        ("S1/1/ticket/1", '{"amount": "0.0033"}')
    ]
    assert world.rows("SELECT document, rule FROM reporting_quarantine") == [
        ("S1/1/ticket/2", "totals_differ")
    ]


@pytest.mark.parametrize(
    ("mappings", "warehouse", "rule"),
    [
        ((), "MAIN", "default warehouse"),
        (({"channel": "RMS", "warehouse": "W1"},), "W1", "channel mapping"),
        (
            ({"channel": "RMS", "warehouse": "W1"}, {"store": "S1", "warehouse": "BACK"}),
            "BACK",
            "store mapping",
        ),
        (({"company": "other", "warehouse": "W1"},), "MAIN", "default warehouse"),
    ],
)
def test_warehouse_follows_company_channel_and_store(
    hub: Hub, tmp_path: object, mappings: tuple[dict[str, str], ...], warehouse: str, rule: str
) -> None:
    world = World(hub, tmp_path, stores={"S1": {}, "S2": {}}, channel_warehouses=mappings).ready()  # type: ignore[arg-type]

    world.orders(make_ticket(1))

    assert world.rows("SELECT warehouse, warehouse_rule FROM stock_movements") == [(warehouse, rule)]


def test_same_number_in_two_stores_is_two_orders(world: World) -> None:
    world.orders(make_ticket(1))
    world.orders(make_ticket(1, store="S2"), store="S2")

    assert world.rows("SELECT order_id, warehouse FROM reporting_orders ORDER BY order_id") == [
        ("S1/1/ticket/1", "W1"),
        ("S2/1/ticket/1", "MAIN"),
    ]


def test_recalled_number_is_looked_for_in_the_epoch_it_belongs_to(hub: Hub, tmp_path: object) -> None:
    epochs = (EpochStart(epoch=1), EpochStart(epoch=2, after_number=50))
    world = World(hub, tmp_path).ready(epochs=epochs)  # type: ignore[arg-type]

    world.orders(
        make_ticket(40),
        make_ticket(60, epoch=2),
        make_ticket(61, [("SKU-1", -1, "10.00")], epoch=2, recall_type=1, recall_id=40),
        make_ticket(62, [("SKU-1", -1, "10.00")], epoch=2, recall_type=3, recall_id=60),
    )

    assert statuses(world, 40)[1] == "FullRefund"
    assert order(world, 60, "order_status", epoch=2) == ("Void",)


def test_shortfall_is_an_event_of_the_batch_that_caused_it(world: World) -> None:
    world.baseline({"SKU-1": "1"}, sequence=2)
    world.orders(make_ticket(1, [("SKU-1", 3, "1.00")]))
    world.orders(make_ticket(2, [("SKU-1", -1, "1.00")]), sequence=2)

    assert world.rows("SELECT sku, payload FROM events WHERE type = 'stock_shortfall'") == [
        (
            "SKU-1",
            '{"physical": "-2.0000", "reserved": "0.0000", "physical_delta": "-3.0000", '
            '"reserved_delta": "0.0000"}',
        )
    ]


def test_opening_stock_counts_once_and_has_no_document(world: World) -> None:
    outcome = world.baseline({"SKU-1": "5", "LATE": "2"}, sequence=2)
    assert outcome.quarantined == 1

    world.baseline({"SKU-1": "7"}, sequence=3)
    assert world.stock() == {("W1", "SKU-1"): "5.00"}
    assert world.catalog(["LATE"]) == 1

    assert world.stock() == {("W1", "SKU-1"): "5.00", ("W1", "LATE"): "2.00"}
    assert world.rows("SELECT DISTINCT cause, document, store FROM reporting_stock_movements") == [
        ("opening stock", None, "S1")
    ]


def test_store_without_baseline_waits(hub: Hub, tmp_path: object) -> None:
    world = World(hub, tmp_path)  # type: ignore[arg-type]
    world.catalog()

    with pytest.raises(NotYetArrived, match="no baseline"):
        world.orders(make_ticket(1))
    assert world.rows("SELECT * FROM batches") == []


def test_unknown_store_is_named(world: World) -> None:
    with pytest.raises(ConfigurationError, match="S9"):
        world.orders(make_ticket(1, store="S9"), store="S9")


def test_what_the_contract_refuses_is_quarantined_with_its_rows(world: World) -> None:
    outcome = world.orders(
        make_ticket(1, units=50_000), make_ticket(2), refused={"S1/1/ticket/1": "units_add_up"}
    )

    assert (outcome.accepted, outcome.quarantined) == (1, 1)
    assert outcome.reasons[0].rule == "units_add_up"
    ((document, rows),) = world.rows("SELECT document, rows FROM quarantine")
    assert document == "S1/1/ticket/1"
    assert '"units": "5.0000"' in str(rows)
    assert world.rows("SELECT state, total FROM reporting_tickets WHERE transaction_number = 1") == [
        ("quarantined", "10.00")
    ]


def test_ticket_sent_again_after_its_contract_was_corrected_is_booked(world: World) -> None:
    world.orders(make_ticket(1), refused={"S1/1/ticket/1": "too_strict"})
    outcome = world.orders(make_ticket(1), sequence=2)

    assert outcome.accepted == 1
    assert world.rows("SELECT rule, state FROM reporting_quarantine") == [("too_strict", "cleared")]
    assert world.stock() == {("W1", "SKU-1"): "-1.00"}


def test_header_of_a_refused_ticket_may_hold_any_number(world: World) -> None:
    """A line count beyond 32 bits stopped the whole batch on PostgreSQL, for ever."""
    outcome = world.orders(
        make_ticket(1, line_count=99_999_999_999), make_ticket(2), refused={"S1/1/ticket/1": "line_missing"}
    )

    assert (outcome.accepted, outcome.quarantined) == (1, 1)
    assert world.rows("SELECT lines, state FROM reporting_tickets WHERE transaction_number = 1") == [
        (99_999_999_999, "quarantined")
    ]


def test_void_that_names_no_ticket_needs_a_person(world: World) -> None:
    world.orders(make_ticket(1, [("SKU-1", -1, "10.00")], recall_type=3, recall_id=0))

    assert world.rows("SELECT rule, state FROM reporting_quarantine") == [("void_of_nothing", "open")]
    assert world.stock() == {}


def test_return_that_names_itself_or_another_return_refunds_nothing_there(world: World) -> None:
    world.orders(
        make_ticket(1, [("SKU-1", -1, "10.00")], recall_type=1, recall_id=1),
        make_ticket(2, [("SKU-1", -1, "10.00")], recall_type=1, recall_id=1),
    )

    for number in (1, 2):
        assert statuses(world, number) == ("Completed", "Charged", "FullyShipped", "-10.00", "0.00")


def test_three_returns_beyond_the_sale_show_what_came_back(world: World) -> None:
    world.orders(
        make_ticket(1, [("SKU-1", 1, "10.00"), ("SKU-1", 1, "10.00")]),
        *(make_ticket(n, [("SKU-1", -1, "9.00")], recall_type=1, recall_id=1) for n in (2, 3)),
    )
    assert statuses(world, 1) == ("Completed", "PartiallyRefund", "FullyShipped", "20.00", "18.00")

    world.orders(make_ticket(4, [("SKU-1", -1, "9.00")], recall_type=1, recall_id=1), sequence=2)

    assert statuses(world, 1) == ("Completed", "FullRefund", "FullyShipped", "20.00", "27.00")
    lines = "SELECT line, returned_quantity FROM reporting_order_lines WHERE source_order_id = '1' ORDER BY 1"
    assert world.rows(lines) == [(1, "1.00"), (2, "2.00")]
    assert world.stock() == {("W1", "SKU-1"): "1.00"}


def test_void_of_an_exchange_restores_the_sale_it_was_linked_to(world: World) -> None:
    world.orders(
        make_ticket(1, [("SKU-1", 2, "10.00")]),
        make_ticket(2, [("SKU-1", -1, "10.00"), ("SKU-2", 1, "12.50")], recall_type=1, recall_id=1),
    )
    world.orders(
        make_ticket(3, [("SKU-1", 1, "10.00"), ("SKU-2", -1, "12.50")], recall_type=3, recall_id=2),
        sequence=2,
    )

    assert statuses(world, 1) == ("Completed", "Charged", "FullyShipped", "20.00", "0.00")
    assert statuses(world, 2) == ("Void", "FullRefund", "Unshipped", "2.50", "2.50")
    assert world.stock() == {("W1", "SKU-1"): "-2.00", ("W1", "SKU-2"): "0.00"}


def test_void_of_a_partly_returned_sale_reverses_the_sale_and_keeps_the_return(world: World) -> None:
    world.orders(
        make_ticket(1, [("SKU-1", 2, "10.00")]),
        make_ticket(2, [("SKU-1", -1, "10.00")], recall_type=1, recall_id=1),
        make_ticket(3, [("SKU-1", -2, "10.00")], recall_type=3, recall_id=1),
    )

    assert statuses(world, 1) == ("Void", "FullRefund", "Unshipped", "20.00", "20.00")
    assert statuses(world, 2) == ("Completed", "Charged", "FullyShipped", "-10.00", "0.00")
    assert world.rows("SELECT SUM(paid), SUM(total) FROM reporting_orders") == [("-10.00", "-10.00")]
    assert world.stock() == {("W1", "SKU-1"): "1.00"}


def test_void_and_sale_in_one_batch_are_booked_whatever_their_order(world: World) -> None:
    world.orders(
        make_ticket(2, [("SKU-1", -2, "10.00")], recall_type=3, recall_id=9),
        make_ticket(9, [("SKU-1", 2, "10.00")]),
    )

    assert statuses(world, 2)[0] == statuses(world, 9)[0] == "Void"
    assert world.stock() == {("W1", "SKU-1"): "0.00"}


def test_void_of_a_quarantined_sale_clears_with_it(world: World) -> None:
    world.orders(
        make_ticket(1, [("LATE", 1, "10.00")]),
        make_ticket(2, [("LATE", -1, "10.00")], recall_type=3, recall_id=1),
    )
    assert world.stock() == {}

    assert world.catalog(["LATE"]) == 2

    assert statuses(world, 1)[0] == statuses(world, 2)[0] == "Void"
    assert world.stock() == {("W1", "LATE"): "0.00"}


def test_void_after_the_mapping_changed_reverses_where_the_sale_was_posted(world: World) -> None:
    world.orders(make_ticket(1))
    moved = World(world.hub, world.folder, stores={"S1": {"warehouse": "BACK"}, "S2": {}})

    moved.orders(make_ticket(2, [("SKU-1", -1, "10.00")], recall_type=3, recall_id=1), sequence=2)

    assert moved.stock() == {("W1", "SKU-1"): "0.00"}
    assert order(moved, 2, "warehouse") == ("W1",)


def test_opening_stock_that_comes_after_the_first_ticket_is_left_alone(world: World) -> None:
    """It holds the effect of the tickets booked by then: they would have counted twice."""
    world.orders(make_ticket(1, [("SKU-1", 2, "10.00")]))

    world.baseline({"SKU-1": "8"}, sequence=2)

    assert world.stock() == {("W1", "SKU-1"): "-2.00"}
    assert len(world.rows("SELECT * FROM events WHERE type = 'opening_stock_ignored'")) == 1


def test_a_second_baseline_with_another_start_is_refused_once_tickets_are_booked(world: World) -> None:
    """A lost exchange folder and a new baseline turned tickets never exported into history, unnamed."""
    world.baseline(history=(1, 9), sequence=2)
    world.orders(make_ticket(10))

    outcome = world.baseline(history=(1, 15), sequence=3)

    assert outcome.state == "rejected"
    assert [reason.rule for reason in outcome.reasons] == ["second_baseline"]
    assert world.rows("SELECT start_number FROM stores WHERE code = 'S1'") == [(9,)]
    assert world.rows("SELECT last_number FROM history_ranges WHERE store = 'S1'") == [(9,)]
