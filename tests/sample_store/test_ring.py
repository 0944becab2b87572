from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Table, create_engine, select

from data_contracts.errors import ConfigurationError
from deployments.sample_store import ring
from deployments.sample_store.build import build_store
from deployments.sample_store.store import SampleStore
from deployments.sample_store.tickets import Invoice, InvoiceLine
from tasks.rms import tables as rms

AT = datetime(2010, 12, 1, 9, 30)  # noqa: DTZ001 - RMS times have no zone
GOODS = (
    InvoiceLine("MUG", "MUG", 10_000, 25_500),
    InvoiceLine("LAMP", "LAMP", 10_000, 199_900),
    InvoiceLine("POST", "POSTAGE", 10_000, 180_000),
)


@pytest.fixture
def make_shop(shop_url: str) -> Callable[..., str]:
    def make(tax_system: int, tax_basis_points: int = 2_000) -> str:
        build_store(
            shop_url,
            store_id=4,
            invoices=[Invoice("1", AT, GOODS)],
            seed=1,
            tax_system=tax_system,
            tax_basis_points=tax_basis_points,
        )
        return shop_url

    return make


def rows(url: str, table: Table, *columns: str) -> list[tuple[Any, ...]]:
    engine = create_engine(url)
    key = next(iter(table.primary_key.columns))
    with engine.connect() as connection:
        found = connection.execute(select(*(table.c[name] for name in columns)).order_by(key)).all()
    engine.dispose()
    return [tuple(row) for row in found]


def stock(url: str) -> dict[str, float]:
    return dict(rows(url, rms.item, "ItemLookupCode", "Quantity"))


@pytest.mark.parametrize(
    ("extended", "system", "basis_points", "tax"),
    [
        (60_000, ring.VAT, 2_000, 10_000),
        (25_500, ring.VAT, 2_000, 4_250),
        (33_900, ring.VAT, 2_000, 5_650),
        (10_000, ring.VAT, 2_000, 1_667),
        (-10_000, ring.VAT, 2_000, -1_667),
        (3, ring.VAT, 2_000, 1),  # a half goes away from zero
        (-3, ring.VAT, 2_000, -1),
        (25_500, 0, 625, 1_600),  # on top: to the cent
        (0, ring.VAT, 2_000, 0),
    ],
)
def test_tax_of_a_line_is_rounded_at_the_fourth_decimal_in_prices_and_at_the_cent_on_top(
    extended: int, system: int, basis_points: int, tax: int
) -> None:
    assert ring.line_tax(extended, system, basis_points) == tax


def test_quantity_times_price_is_exact_for_whole_units_and_rounded_for_parts() -> None:
    assert ring.extend(809_950_000, 10_400) == 842_348_000
    assert ring.extend(2_500, 10_001) == 2_500  # 0.25 x 1.0001 = 0.250025
    assert ring.extend(-2_500, 10_002) == -2_501  # -0.25 x 1.0002 = -0.25005


def test_sale_where_prices_include_the_tax(make_shop: Callable[..., str]) -> None:
    url = make_shop(ring.VAT)
    before = stock(url)

    with SampleStore.open(url) as store:
        rung = store.ring_sale([("MUG", 2), ("POST", 1)], at=AT)

    assert rung == (1, "sale", False)
    assert rows(
        url, rms.transaction, "TransactionNumber", "StoreID", "RecallType", "RecallID", "Time", "Total"
    ) == [(1, 4, 0, 0, AT, 231_000)]
    assert rows(url, rms.transaction, "SalesTax", "BatchNumber", "Status") == [(38_500, 1, 0)]
    assert rows(url, rms.transaction_entry, "Quantity", "Price", "SalesTax", "ItemType") == [
        (2.0, 25_500, 8_500, 0),
        (1.0, 180_000, 30_000, 7),
    ]
    assert rows(url, rms.tax_entry, "TransactionEntryID", "Tax", "TaxableAmount") == [
        (1, 8_500, 42_500),
        (2, 30_000, 150_000),
    ]
    assert rows(url, rms.tender_entry, "TransactionNumber", "TenderID", "Description", "Amount") == [
        (1, 1, "Cash", 231_000)
    ]
    after = stock(url)
    assert after["MUG"] == before["MUG"] - 2
    assert (after["LAMP"], after["POST"]) == (before["LAMP"], before["POST"])
    assert rows(
        url, rms.batch, "RegisterID", "CustomerCount", "Sales", "Returns", "Tax", "TotalTendered"
    ) == [(1, 1, 231_000, 0, 38_500, 231_000)]


def test_sale_where_the_tax_comes_on_top(make_shop: Callable[..., str]) -> None:
    url = make_shop(0, 625)

    with SampleStore.open(url) as store:
        store.ring_sale([("MUG", 1), ("LAMP", 1)], at=AT)

    # 2.55 x 6.25 % = 0.159375 -> 0.16; 19.99 x 6.25 % = 1.249375 -> 1.25
    assert rows(url, rms.transaction, "Total", "SalesTax") == [(239_500, 14_100)]
    assert rows(url, rms.transaction_entry, "SalesTax") == [(1_600,), (12_500,)]
    assert rows(url, rms.tender_entry, "Amount") == [(239_500,)]


def test_void_mirrors_lines_taxes_and_tenders_and_leaves_the_original(make_shop: Callable[..., str]) -> None:
    url = make_shop(0, 625)
    before = stock(url)
    with SampleStore.open(url) as store:
        sale = store.ring_sale([("MUG", 3), ("LAMP", 1)], at=AT)

        void = store.ring_void(sale.number)

    assert void == (2, "void", False)
    columns = ("RecallType", "RecallID", "Total", "SalesTax")
    assert rows(url, rms.transaction, *columns) == [(0, 0, 293_700, 17_300), (3, 1, -293_700, -17_300)]
    lines = rows(url, rms.transaction_entry, "TransactionNumber", "ItemID", "Quantity", "Price", "SalesTax")
    assert lines[2:] == [(2, item, -quantity, price, -tax) for _, item, quantity, price, tax in lines[:2]]
    assert rows(url, rms.tender_entry, "TransactionNumber", "Amount") == [(1, 293_700), (2, -293_700)]
    assert stock(url) == before


def test_return_by_recall_names_its_sale_in_full_and_in_part(make_shop: Callable[..., str]) -> None:
    url = make_shop(ring.VAT)
    before = stock(url)
    with SampleStore.open(url) as store:
        first = store.ring_sale([("MUG", 5), ("LAMP", 1)], at=AT).number
        second = store.ring_sale([("LAMP", 2)], at=AT).number

        part = store.ring_return(first, part=True)
        full = store.ring_return(second)

    assert (part.kind, full.kind) == ("return", "return")
    assert rows(url, rms.transaction, "RecallType", "RecallID", "Total")[2:] == [
        (1, 1, -76_500),  # three of five mugs
        (1, 2, -399_800),
    ]
    reasons = rows(url, rms.transaction_entry, "ReturnReasonCodeID")
    assert reasons == [(0,), (0,), (0,), (2,), (2,)]
    assert stock(url)["MUG"] == before["MUG"] - 2


def test_exchange_carries_both_signs_and_pays_the_net(make_shop: Callable[..., str]) -> None:
    url = make_shop(ring.VAT)
    with SampleStore.open(url) as store:
        rung = store.ring_sale([("MUG", -1), ("LAMP", 1)], at=AT)

    assert rung.kind == "exchange"
    assert rows(url, rms.transaction, "Total", "RecallType") == [(174_400, 0)]
    assert rows(url, rms.tender_entry, "Amount") == [(174_400,)]
    assert rows(url, rms.batch, "Sales", "Returns", "SalesPlusTax") == [(199_900, 25_500, 174_400)]


def test_unknown_item_is_made_at_the_till_and_sold_each_time_under_a_new_code(
    make_shop: Callable[..., str],
) -> None:
    url = make_shop(ring.VAT)
    with SampleStore.open(url) as store:
        assert store.ring_unknown_item() == (1, "TILL-NEW-1")
        assert store.ring_unknown_item() == (2, "TILL-NEW-2")

    assert stock(url)["TILL-NEW-1"] == -1.0
    assert rows(url, rms.transaction, "Total") == [(99_900,), (99_900,)]


def test_burned_numbers_are_never_given_again_unless_asked_for(any_url: str) -> None:
    build_store(any_url, store_id=1, invoices=[Invoice("1", AT, GOODS)], seed=1)
    with SampleStore.open(any_url) as store:
        with store.engine.begin() as connection:
            assert ring.skip_numbers(connection, 2) == [1, 2]
        third = store.ring_sale([("MUG", 1)]).number
        with store.engine.begin() as connection:
            assert ring.skip_numbers(connection, 1) == [4]
            item = ring.read_items(connection)["MUG"]
            line = ring.ticket_line(store.shop, item, 10_000)
            late = ring.Ticket(AT, 1, (line,), (("CASH", 25_500),))
            assert ring.ring_ticket(connection, store.shop, late, number=2) == 2
        fifth = store.ring_sale([("MUG", 1)]).number

    assert (third, fifth) == (3, 5)


def test_new_day_opens_a_new_z_batch_and_closes_the_one_before(make_shop: Callable[..., str]) -> None:
    url = make_shop(ring.VAT)
    next_day = AT.replace(day=2)
    with SampleStore.open(url) as store:
        store.ring_sale([("MUG", 1)], at=AT)
        store.ring_sale([("MUG", 1)], at=AT.replace(hour=18))
        store.ring_sale([("MUG", 1)], at=next_day)

    opened, closed = AT.replace(hour=7, minute=0), AT.replace(hour=18, minute=35)
    assert rows(url, rms.batch, "OpeningTime", "ClosingTime", "CustomerCount") == [
        (opened, closed, 2),
        (next_day.replace(hour=7, minute=0), None, 1),
    ]
    assert rows(url, rms.register, "CurrentBatchNumber")[0] == (2,)


def test_ticket_whose_tenders_do_not_add_up_is_not_written(make_shop: Callable[..., str]) -> None:
    url = make_shop(ring.VAT)
    with SampleStore.open(url) as store, store.engine.begin() as connection:
        line = ring.ticket_line(store.shop, ring.read_items(connection)["MUG"], 10_000)

        with pytest.raises(ConfigurationError, match="do not add up"):
            ring.ring_ticket(connection, store.shop, ring.Ticket(AT, 1, (line,), (("CASH", 25_499),)))

    assert rows(url, rms.transaction, "Total") == []


def test_tickets_and_items_that_are_not_there_are_named(make_shop: Callable[..., str]) -> None:
    with SampleStore.open(make_shop(ring.VAT)) as store:
        with pytest.raises(ConfigurationError, match="no ticket 9"):
            store.ring_void(9)
        with pytest.raises(ConfigurationError, match="no item `CUP`"):
            store.ring_sale([("CUP", 1)])
        number = store.ring_sale([("MUG", -1)]).number
        with pytest.raises(ConfigurationError, match="sold nothing"):
            store.ring_return(number, part=True)
