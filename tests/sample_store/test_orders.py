"""Layaways, backorders, work orders and quotes: the rows that each event leaves in RMS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Table, create_engine, func, select

from data_contracts.errors import ConfigurationError
from deployments.sample_store import ring
from deployments.sample_store.build import build_store
from deployments.sample_store.store import Rung, SampleStore
from deployments.sample_store.tickets import Invoice, InvoiceLine
from tasks import faults
from tasks.rms import tables as rms
from tests.sample_store.conftest import RungShop

AT = datetime(2010, 12, 1, 9, 30)  # noqa: DTZ001 - RMS times have no zone
LATER = AT + timedelta(hours=1)
GOODS = (
    InvoiceLine("LAMP", "LAMP", 10_000, 200_000),
    InvoiceLine("MUG", "MUG", 10_000, 25_000),
    InvoiceLine("POST", "POSTAGE", 10_000, 180_000),
)
LAMP, MUG, POST = 1, 2, 3
"""Ids of the items: they are built in the order of their SKUs."""

CASH, CARD = 1, 2

MakeShop = Callable[..., "Shop"]


class Shop:
    """A sample store and what stands in its tables."""

    def __init__(self, url: str) -> None:
        self.engine = create_engine(url)
        self.store = SampleStore.open(url)

    def rows(self, table: Table, *columns: str) -> list[tuple[Any, ...]]:
        key = next(iter(table.c))
        with self.engine.connect() as connection:
            found = connection.execute(select(*(table.c[name] for name in columns)).order_by(key)).all()
        return [tuple(row) for row in found]

    def stock(self) -> dict[str, tuple[float, float]]:
        """SKU -> on hand, committed."""
        found = self.rows(rms.item, "ItemLookupCode", "Quantity", "QuantityCommitted")
        return {sku: (quantity, committed) for sku, quantity, committed in found}

    def order(self, *columns: str) -> tuple[Any, ...]:
        """Columns of the only order."""
        (row,) = self.rows(rms.order, *columns)
        return row

    def entries(self) -> list[tuple[Any, ...]]:
        """Item, on order, handed over of every order line."""
        return self.rows(rms.order_entry, "ItemID", "QuantityOnOrder", "QuantityRTD")

    def history(self) -> list[tuple[Any, ...]]:
        """Order, change of the deposit, ticket."""
        return self.rows(rms.order_history, "OrderID", "DeltaDeposit", "TransactionNumber")

    def tenders(self) -> list[tuple[Any, ...]]:
        """Ticket, entry in an order's history, tender, amount."""
        return self.rows(rms.tender_entry, "TransactionNumber", "OrderHistoryID", "TenderID", "Amount")


@pytest.fixture
def make_shop(any_url: str) -> Iterator[MakeShop]:
    made: list[Shop] = []

    def make(tax_system: int = ring.VAT, tax_basis_points: int = 2_000) -> Shop:
        build_store(
            any_url,
            store_id=4,
            invoices=[Invoice("1", AT, GOODS)],
            seed=1,
            tax_system=tax_system,
            tax_basis_points=tax_basis_points,
            orders=False,
        )
        made.append(Shop(any_url))
        return made[-1]

    yield make
    for shop in made:
        shop.store.close()
        shop.engine.dispose()


def moved(shop: Shop, before: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """By how much stock on hand and committed stock changed, where they did."""
    return {
        sku: change
        for sku, (quantity, committed) in shop.stock().items()
        if (change := (quantity - before[sku][0], committed - before[sku][1])) != (0, 0)
    }


# -- opening ----------------------------------------------------------------------------------------
def test_layaway_with_a_deposit_sets_goods_aside_without_a_ticket(make_shop: MakeShop) -> None:
    shop = make_shop()
    before = shop.stock()

    number = shop.store.open_layaway([("LAMP", 2), ("MUG", 3), ("POST", 1)], deposit=100_000, at=AT)

    assert number == 1
    columns: tuple[str, ...] = ("StoreID", "Type", "Closed", "Time", "LastUpdated", "Deposit", "Tax", "Total")
    assert shop.order(*columns) == (4, 5, False, AT, AT, 100_000, 109_167, 655_000)
    assert shop.order("ExpirationOrDueDate") == (datetime(2099, 12, 31),)  # noqa: DTZ001
    columns = ("StoreID", "OrderID", "ItemID", "Price", "FullPrice", "QuantityOnOrder", "QuantityRTD")
    assert shop.rows(rms.order_entry, *columns) == [
        (4, 1, LAMP, 200_000, 200_000, 2.0, 0.0),
        (4, 1, MUG, 25_000, 25_000, 3.0, 0.0),
        (4, 1, POST, 180_000, 180_000, 1.0, 0.0),
    ]
    assert shop.rows(rms.order_entry, "Description", "Taxable", "TransactionTime")[0] == ("LAMP", 1, AT)
    columns = ("StoreID", "BatchNumber", "OrderID", "TransactionNumber", "Date", "DeltaDeposit")
    assert shop.rows(rms.order_history, *columns) == [(4, 1, 1, 0, AT, 100_000)]
    assert shop.tenders() == [(0, 1, CASH, 100_000)]
    assert shop.rows(rms.transaction, "Total") == shop.rows(rms.tax_entry, "Tax") == []
    # Postage is no stock: RMS commits none of it.
    assert moved(shop, before) == {"LAMP": (0, 2), "MUG": (0, 3)}
    columns = ("CustomerDepositMade", "TotalTendered", "ClosingTotal", "SalesPlusTax", "CustomerCount")
    assert shop.rows(rms.batch, *columns) == [(100_000, 100_000, ring.OPENING_FLOAT + 100_000, 0, 0)]


def test_order_total_has_the_tax_on_top_where_prices_do_not_include_it(make_shop: MakeShop) -> None:
    shop = make_shop(0, 625)

    shop.store.open_layaway([("LAMP", 2), ("MUG", 1)], at=AT)

    # 40.00 x 6.25 % = 2.50; 2.50 x 6.25 % = 0.15625 -> 0.16
    assert shop.order("Total", "Tax", "Deposit") == (451_600, 26_600, 0)
    assert shop.history() == shop.tenders() == []


@pytest.mark.parametrize(
    ("opening", "order_type", "committed"),
    [("open_layaway", 5, 2), ("open_work_order", 2, 2), ("open_backorder", 4, 0), ("open_quote", 3, 0)],
)
def test_layaways_and_work_orders_set_stock_aside_backorders_and_quotes_do_not(
    make_shop: MakeShop, opening: str, order_type: int, committed: int
) -> None:
    shop = make_shop()
    before = shop.stock()

    number = getattr(shop.store, opening)([("LAMP", 2)], at=AT)

    assert (shop.order("Type"), shop.store.read_order(number).closed) == ((order_type,), False)
    assert moved(shop, before) == ({"LAMP": (0, committed)} if committed else {})
    shop.store.cancel_order(number)
    assert moved(shop, before) == {}


# -- while it is open -------------------------------------------------------------------------------
def test_instalment_adds_to_the_deposit_and_carries_its_own_tender(make_shop: MakeShop) -> None:
    shop = make_shop()
    number = shop.store.open_layaway([("LAMP", 1)], deposit=50_000, at=AT)

    rung = shop.store.pay_deposit(number, 70_000, at=LATER, tender="CARD")

    assert rung == (number, "deposit", False)
    assert not rung.is_ticket
    assert shop.order("Deposit", "LastUpdated", "Total") == (120_000, LATER, 200_000)
    assert shop.history() == [(1, 50_000, 0), (1, 70_000, 0)]
    assert shop.tenders() == [(0, 1, CASH, 50_000), (0, 2, CARD, 70_000)]
    assert shop.rows(rms.batch, "CustomerDepositMade", "CustomerCount") == [(120_000, 0)]


def test_changed_order_has_new_lines_quantities_and_totals(make_shop: MakeShop) -> None:
    shop = make_shop()
    before = shop.stock()
    number = shop.store.open_layaway([("LAMP", 2)], at=AT)

    shop.store.change_order(number, [("LAMP", 3), ("MUG", 4)], at=LATER)
    shop.store.add_line(number, "LAMP", 1)

    assert shop.entries() == [(LAMP, 3.0, 0.0), (MUG, 4.0, 0.0), (LAMP, 1.0, 0.0)]
    assert shop.order("Total") == (900_000,)
    assert moved(shop, before) == {"LAMP": (0, 4), "MUG": (0, 4)}
    assert shop.rows(rms.record_deleted_log, "TableName") == []


@pytest.mark.parametrize("logged", [True, False])
def test_removed_line_is_gone_and_may_stand_in_the_log_of_deleted_rows(
    make_shop: MakeShop, logged: bool
) -> None:
    shop = make_shop()
    before = shop.stock()
    number = shop.store.open_layaway([("LAMP", 2), ("MUG", 1)], at=AT)
    mugs = shop.store.read_order(number).lines[1].entry

    shop.store.remove_line(number, mugs, logged=logged, at=LATER)

    assert shop.entries() == [(LAMP, 2.0, 0.0)]
    assert shop.order("Total", "LastUpdated") == (400_000, LATER)
    assert moved(shop, before) == {"LAMP": (0, 2)}
    columns = ("TableName", "IDFieldName", "RecordID", "StoreID", "WhenDeleted")
    assert shop.rows(rms.record_deleted_log, *columns) == (
        [("OrderEntry", "ID", mugs, 4, LATER)] if logged else []
    )


def test_expiry_is_a_date_that_passes_and_nothing_else(make_shop: MakeShop) -> None:
    shop = make_shop()
    number = shop.store.open_layaway([("LAMP", 2)], deposit=1_000, at=AT, expires_on=date(2011, 3, 1))
    assert shop.order("ExpirationOrDueDate") == (datetime(2011, 3, 1),)  # noqa: DTZ001
    stock, history = shop.stock(), shop.history()

    shop.store.expire(number, at=LATER)

    yesterday = datetime(2010, 11, 30)  # noqa: DTZ001
    assert shop.order("ExpirationOrDueDate", "Closed", "Deposit") == (yesterday, False, 1_000)
    assert (shop.stock(), shop.history(), shop.entries()) == (stock, history, [(LAMP, 2.0, 0.0)])


# -- picked up --------------------------------------------------------------------------------------
def test_picked_up_layaway_is_a_ticket_that_the_deposit_helps_to_pay(make_shop: MakeShop) -> None:
    shop = make_shop()
    before = shop.stock()
    number = shop.store.open_layaway([("LAMP", 2), ("MUG", 3)], deposit=100_000, at=AT)

    rung = shop.store.pick_up(number, at=LATER, tender="CARD")

    assert rung == (1, "pickup", False)
    assert rung.is_ticket
    columns: tuple[str, ...] = ("TransactionNumber", "RecallType", "RecallID", "Time", "Total", "SalesTax")
    assert shop.rows(rms.transaction, *columns) == [(1, 4, number, LATER, 475_000, 79_167)]
    assert shop.rows(rms.transaction_entry, "ItemID", "Quantity", "Price", "SalesTax") == [
        (LAMP, 2.0, 200_000, 66_667),
        (MUG, 3.0, 25_000, 12_500),
    ]
    assert shop.tenders() == [(0, 1, CASH, 100_000), (1, 0, CARD, 375_000)]
    assert shop.history() == [(number, 100_000, 0), (number, -100_000, 1)]
    assert shop.entries() == [(LAMP, 0.0, 2.0), (MUG, 0.0, 3.0)]
    assert shop.order("Closed", "Deposit", "Total") == (True, 0, 475_000)
    assert moved(shop, before) == {"LAMP": (-2, 0), "MUG": (-3, 0)}
    columns = ("CustomerDepositMade", "CustomerDepositRedeemed", "SalesPlusTax", "TotalTendered")
    assert shop.rows(rms.batch, *columns) == [(100_000, 100_000, 475_000, 475_000)]


def test_pick_up_in_two_parts_shares_the_deposit_out(make_shop: MakeShop) -> None:
    shop = make_shop()
    before = shop.stock()
    number = shop.store.open_layaway([("LAMP", 2), ("MUG", 4)], deposit=100_000, at=AT)

    first = shop.store.pick_up(number, [("lamp", 1), ("MUG", 2)])

    # 25.00 of 50.00 are taken: half of the deposit pays.
    assert shop.history()[1:] == [(number, -50_000, first.number)]
    assert shop.tenders()[1:] == [(first.number, 0, CASH, 200_000)]
    assert shop.entries() == [(LAMP, 1.0, 1.0), (MUG, 2.0, 2.0)]
    assert shop.order("Closed", "Deposit", "Total") == (False, 50_000, 500_000)
    assert moved(shop, before) == {"LAMP": (-1, 1), "MUG": (-2, 2)}

    second = shop.store.pick_up(number)

    assert shop.rows(rms.transaction, "RecallType", "RecallID", "Total") == [(4, 1, 250_000)] * 2
    assert shop.history()[2:] == [(number, -50_000, second.number)]
    assert shop.order("Closed", "Deposit") == (True, 0)
    assert moved(shop, before) == {"LAMP": (-2, 0), "MUG": (-4, 0)}


def test_same_item_twice_on_an_order_is_taken_line_by_line(make_shop: MakeShop) -> None:
    shop = make_shop()
    number = shop.store.open_layaway([("MUG", 2), ("LAMP", 1), ("MUG", 2)], at=AT)

    shop.store.pick_up(number, [("MUG", 3)])

    assert shop.entries() == [(MUG, 0.0, 2.0), (LAMP, 1.0, 0.0), (MUG, 1.0, 1.0)]
    assert shop.rows(rms.transaction_entry, "ItemID", "Quantity") == [(MUG, 2.0), (MUG, 1.0)]
    # Nothing was paid down; the entry that links order and ticket is there all the same.
    assert shop.history() == [(number, 0, 1)]


def test_deposit_beyond_what_is_taken_at_last_is_given_back(make_shop: MakeShop) -> None:
    shop = make_shop()
    number = shop.store.open_layaway([("LAMP", 1), ("MUG", 2)], deposit=225_000, at=AT)
    shop.store.remove_line(number, shop.store.read_order(number).lines[0].entry)

    rung = shop.store.pick_up(number)

    assert shop.history()[1:] == [(number, -50_000, rung.number), (number, -175_000, 0)]
    assert shop.tenders() == [(0, 1, CASH, 225_000), (0, 3, CASH, -175_000)]
    assert shop.order("Closed", "Deposit") == (True, 0)


def test_pick_up_of_a_quote_or_work_order_is_a_sale_by_recall(make_shop: MakeShop) -> None:
    shop = make_shop()
    before = shop.stock()
    quote = shop.store.open_quote([("LAMP", 1)], at=AT)
    work_order = shop.store.open_work_order([("MUG", 2)], deposit=10_000)

    assert shop.store.pick_up(quote) == (1, "sale", False)
    assert shop.store.pick_up(work_order) == (2, "sale", False)

    assert shop.rows(rms.transaction, "RecallType", "RecallID") == [(4, quote), (4, work_order)]
    assert shop.rows(rms.order, "Type", "Closed") == [(3, True), (2, True)]
    assert moved(shop, before) == {"LAMP": (-1, 0), "MUG": (-2, 0)}


# -- given up ---------------------------------------------------------------------------------------
def test_cancelled_layaway_gives_stock_and_deposit_back(make_shop: MakeShop) -> None:
    shop = make_shop()
    before = shop.stock()
    number = shop.store.open_layaway([("LAMP", 2)], deposit=100_000, at=AT)

    rung = shop.store.cancel_order(number, at=LATER, tender="CARD")

    assert rung == (number, "cancelled", False)
    assert shop.entries() == [(LAMP, 0.0, 0.0)]
    assert shop.order("Closed", "Deposit", "LastUpdated") == (True, 0, LATER)
    assert shop.history() == [(number, 100_000, 0), (number, -100_000, 0)]
    assert shop.tenders() == [(0, 1, CASH, 100_000), (0, 2, CARD, -100_000)]
    assert shop.rows(rms.transaction, "Total") == []
    assert moved(shop, before) == {}
    assert shop.rows(rms.batch, "CustomerDepositMade", "TotalTendered") == [(0, 0)]


def test_part_of_a_deposit_may_be_kept(make_shop: MakeShop) -> None:
    shop = make_shop()
    number = shop.store.open_layaway([("LAMP", 2)], deposit=100_000, at=AT)

    with pytest.raises(ConfigurationError, match="holds less"):
        shop.store.cancel_order(number, keep=100_001)
    shop.store.cancel_order(number, keep=30_000)

    assert shop.history() == [(number, 100_000, 0), (number, -70_000, 0)]
    assert shop.order("Closed", "Deposit") == (True, 30_000)


def test_rest_of_a_partly_picked_up_layaway_is_cancelled(make_shop: MakeShop) -> None:
    shop = make_shop()
    before = shop.stock()
    number = shop.store.open_layaway([("LAMP", 3)], deposit=60_000, at=AT)
    shop.store.pick_up(number, [("LAMP", 1)])

    shop.store.cancel_order(number)

    assert shop.entries() == [(LAMP, 0.0, 1.0)]
    assert shop.order("Closed", "Deposit") == (True, 0)
    assert [delta for _, delta, _ in shop.history()] == [60_000, -20_000, -40_000]
    assert moved(shop, before) == {"LAMP": (-1, 0)}


@pytest.mark.parametrize("logged", [True, False])
def test_deleted_order_leaves_its_history_and_gives_its_stock_free(make_shop: MakeShop, logged: bool) -> None:
    shop = make_shop()
    before = shop.stock()
    number = shop.store.open_layaway([("LAMP", 2), ("MUG", 1)], deposit=10_000, at=AT)

    shop.store.delete_order(number, logged=logged)

    assert shop.rows(rms.order, "ID") == shop.entries() == []
    assert shop.history() == [(number, 10_000, 0)]
    assert moved(shop, before) == {}
    assert [row[0] for row in shop.rows(rms.record_deleted_log, "TableName")] == (
        ["OrderEntry", "OrderEntry", "Order"] if logged else []
    )


# -- undone -----------------------------------------------------------------------------------------
def test_voided_pick_up_goes_back_on_its_order(make_shop: MakeShop) -> None:
    shop = make_shop()
    before = shop.stock()
    number = shop.store.open_layaway([("LAMP", 2), ("MUG", 2)], deposit=100_000, at=AT)
    picked_up = shop.store.pick_up(number)

    void = shop.store.ring_void(picked_up.number)

    assert void == (2, "void", False)
    assert shop.rows(rms.transaction, "RecallType", "RecallID", "Total") == [
        (4, number, 450_000),
        (3, picked_up.number, -450_000),
    ]
    assert shop.tenders()[1:] == [(1, 0, CASH, 350_000), (2, 0, CASH, -350_000)]
    assert shop.history()[1:] == [(number, -100_000, 1), (number, 100_000, 2)]
    assert shop.entries() == [(LAMP, 2.0, 0.0), (MUG, 2.0, 0.0)]
    assert shop.order("Closed", "Deposit") == (False, 100_000)
    assert moved(shop, before) == {"LAMP": (0, 2), "MUG": (0, 2)}
    assert shop.rows(rms.batch, "CustomerDepositRedeemed", "SalesPlusTax") == [(0, 0)]

    again = shop.store.pick_up(number)

    assert (again.kind, shop.order("Closed", "Deposit")) == ("pickup", (True, 0))
    assert moved(shop, before) == {"LAMP": (-2, 0), "MUG": (-2, 0)}


def test_voiding_one_of_two_pick_ups_opens_the_order_for_what_it_took(make_shop: MakeShop) -> None:
    shop = make_shop()
    before = shop.stock()
    number = shop.store.open_layaway([("MUG", 3), ("MUG", 1)], at=AT)
    first = shop.store.pick_up(number, [("MUG", 2)])
    shop.store.pick_up(number)

    shop.store.ring_void(first.number)

    assert shop.entries() == [(MUG, 2.0, 1.0), (MUG, 0.0, 1.0)]
    assert shop.order("Closed") == (False,)
    assert moved(shop, before) == {"MUG": (-2, 2)}


def test_return_of_a_picked_up_layaway_leaves_the_order_as_it_is(make_shop: MakeShop) -> None:
    shop = make_shop()
    before = shop.stock()
    number = shop.store.open_layaway([("LAMP", 2)], deposit=100_000, at=AT)
    picked_up = shop.store.pick_up(number)

    part = shop.store.ring_return(picked_up.number, part=True)

    assert part.kind == "return"
    assert shop.rows(rms.transaction, "RecallType", "RecallID", "Total")[1:] == [(1, 1, -200_000)]
    assert shop.entries() == [(LAMP, 0.0, 2.0)]
    assert shop.order("Closed", "Deposit") == (True, 0)
    assert moved(shop, before) == {"LAMP": (-1, 0)}


# -- goods come in ----------------------------------------------------------------------------------
def test_receipt_moves_stock_and_leaves_waiting_backorders_alone(make_shop: MakeShop) -> None:
    shop = make_shop()
    number = shop.store.open_backorder([("LAMP", 5)], deposit=1_000_000, at=AT)
    before, order = shop.stock(), shop.store.read_order(number)

    received = shop.store.receive("LAMP", 7, at=LATER)

    assert received == (1, "received", False)
    assert moved(shop, before) == {"LAMP": (7, 0)}
    columns = ("ItemID", "StoreID", "ReferenceID", "Quantity", "Cost", "DateTransferred")
    assert shop.rows(rms.inventory_transfer_log, *columns) == [(LAMP, 4, 1, 7.0, 80_000, LATER)]
    assert shop.rows(rms.item, "LastReceived")[0] == (LATER,)
    assert shop.store.read_order(number) == order
    assert shop.store.receive("MUG", 1).number == 2
    assert shop.store.receipts(after=1) == [(2, "MUG", 10_000)]

    # Paid in full before: the pick-up has no tender.
    picked_up = shop.store.pick_up(number)
    assert shop.tenders() == [(0, 1, CASH, 1_000_000)]
    assert shop.history()[1:] == [(number, -1_000_000, picked_up.number)]


# -- what is refused --------------------------------------------------------------------------------
def test_what_cannot_be_is_refused_and_nothing_is_written(make_shop: MakeShop) -> None:
    shop = make_shop()
    number = shop.store.open_layaway([("LAMP", 2)], at=AT)
    for refused, said in (
        (lambda: shop.store.open_layaway([]), "at least one line"),
        (lambda: shop.store.open_quote([("LAMP", -1)]), "at least one line"),
        (lambda: shop.store.pick_up(9), "no order 9"),
        (lambda: shop.store.pick_up(number, [("LAMP", 3)]), "not so many of `LAMP`"),
        (lambda: shop.store.pick_up(number, [("MUG", 1)]), "not so many of `MUG`"),
        (lambda: shop.store.pick_up(number, [("LAMP", 0)]), "not so many of `LAMP`"),
        (lambda: shop.store.change_order(number, [("LAMP", -1)]), "less than nothing"),
        (lambda: shop.store.remove_line(number, 99), "no line 99"),
        (lambda: shop.store.receive("LAMP", 0), "above 0"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            refused()

    shop.store.cancel_order(number)

    for refused in (
        lambda: shop.store.pick_up(number),
        lambda: shop.store.pay_deposit(number, 1),
        lambda: shop.store.cancel_order(number),
        lambda: shop.store.expire(number),
        lambda: shop.store.add_line(number, "MUG", 1),
    ):
        with pytest.raises(ConfigurationError, match=f"Order {number} .* is closed"):
            refused()
    assert shop.rows(rms.order, "ID") == [(number,)]
    assert shop.rows(rms.transaction, "Total") == shop.history() == []


def test_event_cut_off_before_its_commit_leaves_nothing(
    make_shop: MakeShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop()
    number = shop.store.open_layaway([("LAMP", 2)], deposit=10_000, at=AT)
    before = shop.stock(), shop.entries(), shop.history(), shop.tenders()

    def cut(name: str) -> None:
        if name in ("sample.order_written", "sample.stock_received"):
            raise ConnectionAbortedError

    monkeypatch.setattr(faults, "hook", cut)
    events: list[Callable[[], object]] = [
        lambda: shop.store.pick_up(number),
        lambda: shop.store.cancel_order(number),
        lambda: shop.store.pay_deposit(number, 1_000),
        lambda: shop.store.receive("LAMP", 1),
    ]
    for event in events:
        with pytest.raises(ConnectionAbortedError):
            event()
    monkeypatch.setattr(faults, "hook", None)

    assert (shop.stock(), shop.entries(), shop.history(), shop.tenders()) == before
    assert shop.order("Closed", "Deposit") == (False, 10_000)
    assert shop.store.pick_up(number).kind == "pickup"


def test_z_batch_is_closed_after_its_last_deposit(make_shop: MakeShop) -> None:
    shop = make_shop()
    evening = AT.replace(hour=18)
    shop.store.ring_sale([("MUG", 1)], at=AT)
    shop.store.open_layaway([("LAMP", 1)], deposit=1_000, at=evening)

    shop.store.ring_sale([("MUG", 1)], at=AT + timedelta(days=1))

    assert shop.rows(rms.batch, "ClosingTime") == [(evening + timedelta(minutes=5),), (None,)]


# -- the whole script -------------------------------------------------------------------------------
head, line, history = rms.order.c, rms.order_entry.c, rms.order_history.c


def test_committed_stock_is_what_open_layaways_and_work_orders_have_on_order(rms_rows: Connection) -> None:
    item = rms.item.c
    on_order = dict(
        rms_rows.execute(
            select(line.ItemID, func.sum(line.QuantityOnOrder))
            .join_from(rms.order_entry, rms.order, line.OrderID == head.ID)
            .join(rms.item, line.ItemID == item.ID)
            .where(head.Closed.is_(False), head.Type.in_([5, 2]), item.ItemType == 0)
            .group_by(line.ItemID)
        )
        .tuples()
        .all()
    )
    committed = rms_rows.execute(
        select(item.ID, item.QuantityCommitted).where(item.QuantityCommitted != 0)
    ).tuples()

    assert dict(committed.all()) == {item_id: units for item_id, units in on_order.items() if units}
    assert on_order


def test_deposits_of_closed_orders_come_to_nothing_but_what_was_kept(
    rung_shop: RungShop, rms_rows: Connection
) -> None:
    held: Counter[int] = Counter()
    for order, delta in rms_rows.execute(select(history.OrderID, history.DeltaDeposit)):
        held[order] += delta
    orders = rms_rows.execute(select(head.ID, head.Closed, head.Deposit)).all()
    cancelled = {rung.number for rung in rung_shop.rungs if rung.kind == "cancelled"}

    assert all(held[number] == deposit for number, _, deposit in orders)
    kept = {number for number, closed, deposit in orders if closed and deposit}
    assert kept
    assert kept < cancelled


def test_tenders_of_deposits_are_those_of_the_history_entries_without_a_ticket(rms_rows: Connection) -> None:
    tender = rms.tender_entry.c
    paid: Counter[int] = Counter()
    for entry, number, amount in rms_rows.execute(
        select(tender.OrderHistoryID, tender.TransactionNumber, tender.Amount)
    ):
        assert (entry == 0) != (number == 0)
        if entry:
            paid[entry] += amount
    entries = rms_rows.execute(select(history.ID, history.TransactionNumber, history.DeltaDeposit)).all()

    assert {entry: delta for entry, number, delta in entries if number == 0} == paid
    made, redeemed = rms_rows.execute(
        select(func.sum(rms.batch.c.CustomerDepositMade), func.sum(rms.batch.c.CustomerDepositRedeemed))
    ).one()
    assert made == paid.total()
    assert redeemed == -sum(delta for _, number, delta in entries if number)


def test_what_was_handed_over_is_what_the_tickets_of_an_order_took(rms_rows: Connection) -> None:
    """Pick-ups less voided ones, by order and item; an order is closed when nothing is left on it."""
    ticket, sold = rms.transaction.c, rms.transaction_entry.c
    headers = rms_rows.execute(select(ticket.TransactionNumber, ticket.RecallType, ticket.RecallID)).all()
    order_of = {number: order for number, recall, order in headers if recall == 4}
    order_of |= {n: order_of[of] for n, recall, of in headers if recall == 3 and of in order_of}
    taken: Counter[tuple[int, int]] = Counter()
    for number, item, quantity in rms_rows.execute(
        select(sold.TransactionNumber, sold.ItemID, sold.Quantity)
    ):
        if number in order_of:
            taken[order_of[number], item] += quantity
    handed_over: Counter[tuple[int, int]] = Counter()
    for order, item, quantity in rms_rows.execute(select(line.OrderID, line.ItemID, line.QuantityRTD)):
        handed_over[order, item] += quantity
    left = rms_rows.execute(
        select(head.ID, head.Closed, func.sum(line.QuantityOnOrder))
        .join_from(rms.order, rms.order_entry, line.OrderID == head.ID)
        .group_by(head.ID, head.Closed)
    ).all()

    assert +taken == +handed_over
    assert all(closed == (units == 0) for _, closed, units in left)
    assert {closed for _, closed, _ in left} == {True, False}


def test_waiting_backorders_are_picked_up_after_their_goods_came_in(
    rung_shop: RungShop, rms_rows: Connection
) -> None:
    opened = {rung.number for rung in rung_shop.rungs if rung.kind == "backorder"}
    closed = set(rms_rows.execute(select(head.ID).where(head.Type == 4, head.Closed.is_(True))).scalars())
    received = [rung for rung in rung_shop.rungs if rung.kind == "received"]

    assert closed < opened
    assert [rung.number for rung in received] == list(range(1, len(received) + 1))
    log = rms.inventory_transfer_log.c
    assert rms_rows.execute(select(func.min(log.Quantity))).scalar_one() >= 1


def test_rungs_of_orders_name_rows_that_are_there(rung_shop: RungShop, rms_rows: Connection) -> None:
    orders = dict(rms_rows.execute(select(head.ID, head.Type)).tuples().all())
    kinds = {"layaway": 5, "backorder": 4, "work_order": 2, "quote": 3}

    opened = {rung.number: kinds[rung.kind] for rung in rung_shop.rungs if rung.kind in kinds}
    assert opened == orders
    changing: list[Rung] = [
        rung for rung in rung_shop.rungs if rung.kind in ("deposit", "changed", "cancelled", "expired")
    ]
    assert {rung.number for rung in changing} <= set(orders)
    assert not any(rung.is_ticket for rung in changing)
