"""Reading orders: which changed, and each of them as a snapshot of its whole present state."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import delete, insert, update
from sqlalchemy.dialects import mssql

from data_contracts.documents import DEPOSIT_TENDERS, ORDER_HISTORY, ORDER_LINES, ORDERS
from data_contracts.manifest import Mark
from tasks.rms import orders, reader, tables
from tasks.rms.dialects import read_bound
from tasks.rms.schema_guard import REQUIRED
from tests.rms.test_reader import EVERYTHING, READING, mark
from tests.rms_database import QUOTE, WORK_ORDER, Till, recorded


def changed(
    till: Till, above: Mark, lookback: int | None = None, bound: int = EVERYTHING
) -> dict[int, reader.Changed]:
    with till.engine.connect() as connection:
        return reader.find_changed_orders(connection, 1, above, bound, lookback)


def read(till: Till, *numbers: int, reading: reader.StoreReading = READING) -> orders.OrderFrames:
    with till.engine.connect() as connection:
        return orders.read_orders(connection, reading, numbers)


def revision(till: Till, number: int, reading: reader.StoreReading = READING) -> str:
    return str(read(till, number, reading=reading).orders["revision"].iloc[0])


@pytest.fixture
def small_till(tmp_path: Any) -> Till:
    """On SQLite only, where the kind of database does not matter."""
    till = Till(f"sqlite:///{tmp_path / 'rms.db'}")
    till.create()
    return till


def test_an_order_reads_whole_with_its_raw_codes(till: Till) -> None:
    lines = [(2, 3.0, "6.00"), (4, 0.5, "5.00")]
    till.place_order(7, lines, deposit="5.00", Tax=12_300, Total=205_000)
    till.pick_up(7, 101, 1.0, used="2.00")
    with till.engine.connect() as connection:
        newest = read_bound(connection) - 1

    frames = read(till, 7, 8)

    (header,) = frames.orders.to_dict("records")
    assert re.fullmatch(r"1-[0-9a-f]{32}", header.pop("revision"))
    assert header == {
        "store": "S1",
        "epoch": 1,
        "source": "order",
        "number": 7,
        "rowversion": newest,
        "ordered_at": "2026-11-23T12:00:00.000Z",
        "business_date": "2026-11-23",
        "order_type": 5,
        "closed": False,
        "expires_on": "2027-02-21",
        "line_count": 2,
        "history_count": 2,
        "tender_count": 1,
        "on_order": 20_000,
        "taken": 15_000,
        "deposit": 30_000,
        "deposit_changes": 30_000,
        "tax": 12_300,
        "total": 205_000,
        "prices_include_tax": False,
        "flags": "",
    }
    columns = ["line", "entry_id", "item_id", "sku", "description", "item_type", "on_order", "taken"]
    assert frames.lines[[*columns, "unit_price"]].values.tolist() == [
        [1, 1, 2, "SKU-2", "Item 2", 0, 20_000, 10_000, 60_000],
        [2, 2, 4, "SKU-4", "Item 4", 0, 0, 5_000, 50_000],
    ]
    columns = ["entry_id", "transaction_number", "occurred_at", "business_date", "z_batch", "delta_deposit"]
    assert frames.history[columns].values.tolist() == [
        [1, 0, "2026-11-23T12:00:00.000Z", "2026-11-23", 7, 50_000],
        [2, 101, "2026-11-23T12:00:00.000Z", "2026-11-23", 7, -20_000],
    ]
    columns = ["entry_id", "history_id", "tender_id", "tender_code", "amount"]
    assert frames.tenders[columns].values.tolist() == [[1, 1, 1, "CASH", 50_000]]
    assert frames.unsettled == frozenset()


def test_frames_have_the_columns_of_the_contract_and_dense_and_sparse_numbers_read_alike(till: Till) -> None:
    for number in range(1, 10):
        till.place_order(number, [(1 + number % 5, 1.0, "1.00")] * (1 + number % 2), deposit="1.00")

    dense = read(till, *range(1, 10))
    sparse = read(till, 1, 9, 5)
    none = read(till)

    for frames in (dense, none):
        assert list(frames.orders) == list(ORDERS)
        assert list(frames.lines) == list(ORDER_LINES)
        assert list(frames.history) == list(ORDER_HISTORY)
        assert list(frames.tenders) == list(DEPOSIT_TENDERS)
    assert none.orders.empty
    expected = dense.only({1, 5, 9})
    assert sparse.numbers == expected.numbers == [1, 5, 9]
    for part in ("orders", "lines", "history", "tenders"):
        assert getattr(sparse, part).equals(getattr(expected, part)), part


def test_a_row_of_any_of_its_tables_makes_an_order_changed(till: Till) -> None:
    for number in range(1, 6):
        till.place_order(number, deposit="1.00")
    till.ring(100)
    since = mark(till)
    assert changed(till, since) == {}

    till.change_order(1, Comment="called")
    till.change_line(till.entries(2)[0], QuantityOnOrder=2.0)
    with till.writing() as connection:
        connection.execute(
            insert(tables.order_history).values(StoreID=1, OrderID=3, DeltaDeposit=0, TransactionNumber=100)
        )
    with till.writing() as connection:
        till.tender(connection, 0, "1.00", OrderHistoryID=4)
    with till.writing() as connection:  # of a pick-up, of an account, of another store
        till.tender(connection, 100, "1.00", OrderHistoryID=5)
        till.tender(connection, 0, "1.00", PaymentID=9)
        till.tender(connection, 0, "1.00", OrderHistoryID=5, store_id=2)

    found = changed(till, since)
    first = since.rowversion + 1
    assert found == {
        1: reader.Changed(first),
        2: reader.Changed(first + 1),
        3: reader.Changed(first + 2),
        4: reader.Changed(first + 3, tenders=(7, 7)),
    }
    assert changed(till, since, bound=first + 3).keys() == {1, 2, 3}
    near = since.model_copy(update={"tender_entry_id": 11})
    assert changed(till, near, lookback=1).keys() == {1, 2, 3, 4}
    far = since.model_copy(update={"tender_entry_id": 12})
    assert changed(till, far, lookback=1).keys() == {1, 2, 3}


def test_open_and_closed_orders_are_told_apart_by_the_store_and_its_home_types(till: Till) -> None:
    for number, kind in ((1, 5), (2, 4), (3, QUOTE), (4, WORK_ORDER), (5, 9), (6, 5), (7, QUOTE)):
        till.place_order(number, order_type=kind, deposit="1.00")
    till.place_order(8, store_id=2)
    till.cancel_order(6)
    till.cancel_order(7)
    till.place_order(9)
    bound = mark(till).rowversion + 1
    till.cancel_order(9)
    with till.engine.connect() as connection:
        assert reader.open_order_numbers(connection, 1, (2, 3)) == {1, 2, 5}
        assert reader.closed_order_numbers(connection, 1, None) == {6, 7, 9}
        assert reader.closed_order_numbers(connection, 1, bound) == {6, 7}
        assert reader.highest_order_history_id(connection, 1, EVERYTHING) == 7
        assert reader.highest_order_history_id(connection, 1, 1) == 0
        assert reader.existing_orders(connection, 1, [1, 8, 77]) == {1}
        assert reader.order_types(connection, 1, [1, 3, 77]) == {1: 5, 3: QUOTE}
        assert reader.types_of_orders_between(connection, 1, 3, 5) == {3: QUOTE, 4: WORK_ORDER, 5: 9}


def test_a_deletion_counts_if_it_is_of_an_order_of_this_store_and_lies_in_the_range(till: Till) -> None:
    till.place_order(1, [(1, 1.0, "1.00"), (2, 1.0, "1.00")])
    since = mark(till).rowversion
    with till.writing() as connection:
        log = insert(tables.record_deleted_log)
        connection.execute(log.values(StoreID=1, TableName="PurchaseOrder", IDFieldName="ID"))
        connection.execute(log.values(StoreID=2, TableName="OrderEntry", IDFieldName="ID"))
    with till.engine.connect() as connection:
        assert not reader.deletions_logged(connection, 1, since, EVERYTHING)
    till.delete_line(till.entries(1)[0])
    newest = mark(till).rowversion
    with till.engine.connect() as connection:
        assert reader.deletions_logged(connection, 1, since, EVERYTHING)
        assert not reader.deletions_logged(connection, 1, since, newest)
        assert not reader.deletions_logged(connection, 1, newest, EVERYTHING)


@pytest.mark.parametrize("kind", ["header", "line", "history", "tender"])
def test_an_order_that_moves_while_it_is_read_is_torn(
    small_till: Till, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    small_till.place_order(1, [(1, 1.0, "1.00"), (2, 1.0, "1.00")], deposit="1.00")
    small_till.place_order(2, deposit="1.00")
    rowversions = orders._rowversions

    def meanwhile(*arguments: Any) -> Any:
        if kind == "header":
            small_till.change_order(1, Comment="called")
        elif kind == "line":
            small_till.delete_line(1, logged=False)
        else:
            with small_till.writing() as connection:
                if kind == "history":
                    connection.execute(insert(tables.order_history).values(StoreID=1, OrderID=1))
                else:
                    small_till.tender(connection, 0, "1.00", OrderHistoryID=1)
        return rowversions(*arguments)

    monkeypatch.setattr(orders, "_rowversions", meanwhile)
    frames = read(small_till, 1, 2)

    assert frames.moved == frames.unsettled == {1}
    assert frames.only([2]).unsettled == frozenset()


def test_an_open_order_without_a_line_is_incomplete_and_a_closed_one_is_not(small_till: Till) -> None:
    small_till.place_order(1, [])
    small_till.place_order(2, [], Closed=True)

    assert read(small_till, 1, 2).incomplete == {1}


def test_an_absurd_quantity_is_flagged_and_stops_no_other_order(till: Till) -> None:
    till.place_order(1, [(1, 1e300, "1.00"), (2, 2.0, "1.00")], Total=0)
    till.place_order(2)
    till.change_line(till.entries(2)[0], QuantityRTD=-1e17)
    till.place_order(3)

    frames = read(till, 1, 2, 3)

    assert frames.orders["flags"].tolist() == ["unreadable_amount", "unreadable_amount", ""]
    assert frames.orders[["on_order", "taken"]].values.tolist() == [[20_000, 0], [10_000, 0], [10_000, 0]]


def test_texts_of_columns_that_a_vendor_has_widened_are_cut_as_rms_has_them(small_till: Till) -> None:
    with small_till.writing() as connection:
        connection.execute(update(tables.item).values(ItemLookupCode="AB\0C  ", Description="D" * 29 + " 23"))
        connection.execute(update(tables.tender).values(Code="", Description="T" * 26))
    small_till.place_order(1, deposit="1.00")

    frames = read(small_till, 1)

    assert frames.lines[["sku", "description"]].values.tolist() == [["ABC", "D" * 29]]
    assert frames.tenders["tender_code"].tolist() == ["T" * 25]


def test_a_line_of_a_deleted_item_keeps_its_item_and_has_no_sku(small_till: Till) -> None:
    small_till.place_order(1, [(77, 1.0, "1.00")])

    line = read(small_till, 1).lines.iloc[0]

    assert (line["item_id"], line["sku"], line["item_type"]) == (77, "", 0)


@pytest.mark.parametrize(
    ("rule", "ordered_on", "paid_on", "flags"),
    [
        ({"rule": "calendar"}, "2026-11-23", "2026-11-23", ""),
        ({"rule": "day_start", "day_start": "13:00"}, "2026-11-22", "2026-11-22", ""),
        # An order has no Z batch; that of its deposit was opened the day before.
        ({"rule": "z_batch"}, "2026-11-23", "2026-11-22", ""),
        ({"rule": "calendar", "zone": "Asia/Tokyo"}, "2026-11-23", "2026-11-23", ""),
    ],
)
def test_business_dates_follow_the_rule_of_the_store(
    small_till: Till, rule: dict[str, Any], ordered_on: str, paid_on: str, flags: str
) -> None:
    small_till.place_order(1, deposit="1.00")

    frames = read(small_till, 1, reading=replace(READING, **rule))

    assert frames.orders[["business_date", "flags"]].values.tolist() == [[ordered_on, flags]]
    assert frames.history["business_date"].tolist() == [paid_on]


def test_what_is_doubtful_about_the_time_of_a_deposit_stands_with_its_order(small_till: Till) -> None:
    with small_till.writing() as connection:
        connection.execute(delete(tables.batch))
    small_till.place_order(1, deposit="1.00", time=datetime(2026, 10, 25, 1, 30))  # noqa: DTZ001

    frames = read(small_till, 1, reading=replace(READING, rule="z_batch"))

    assert frames.orders["flags"].tolist() == ["ambiguous_hour;no_z_batch"]


def test_a_revision_follows_the_content_and_nothing_else(small_till: Till) -> None:
    small_till.place_order(1, [(1, 1.0, "10.00"), (2, 1.0, "5.00")], deposit="5.00")
    before = revision(small_till, 1)

    small_till.change_order(1, Comment="called", LastUpdated=datetime(2026, 11, 24))  # noqa: DTZ001
    small_till.change_line(1, QuantityOnOrder=1.0)
    with small_till.writing() as connection:
        connection.execute(update(tables.item).values(ItemLookupCode="RENAMED", Description="other"))
    assert revision(small_till, 1) == before
    assert revision(small_till, 1, replace(READING, zone="Asia/Tokyo", rule="z_batch", store="S9")) == before

    found = [before]
    small_till.change_order(1, ExpirationOrDueDate=datetime(2027, 3, 1))  # noqa: DTZ001
    found.append(revision(small_till, 1))
    small_till.change_line(1, QuantityOnOrder=2.0)
    found.append(revision(small_till, 1))
    small_till.delete_line(2, logged=False)
    found.append(revision(small_till, 1))
    small_till.pay_deposit(1, "1.00")
    found.append(revision(small_till, 1))
    with small_till.writing() as connection:
        connection.execute(update(tables.tender_entry).values(TenderID=2))
    found.append(revision(small_till, 1))
    small_till.change_order(1, Type=4)
    found.append(revision(small_till, 1))
    small_till.cancel_order(1)
    found.append(revision(small_till, 1))
    assert len(set(found)) == 8


def test_an_order_that_is_gone_is_closed_empty_and_says_so() -> None:
    now = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)
    reading = replace(READING, zone="Asia/Tokyo", epoch_of_order=lambda number: 2 if number > 8 else 1)

    frames = orders.deleted_orders(reading, [9, 7], now)

    assert frames.orders[["epoch", "number", "closed", "flags"]].values.tolist() == [
        [1, 7, True, "deleted"],
        [2, 9, True, "deleted"],
    ]
    header = frames.orders.iloc[0]
    assert (header["ordered_at"], header["business_date"], header["expires_on"]) == (
        "2026-11-23T23:30:00.000Z",
        "2026-11-24",
        "2026-11-24",
    )
    assert (header["order_type"], header["total"], header["line_count"]) == (0, 0, 0)
    assert frames.orders["revision"].nunique() == 2
    for part in (frames.lines, frames.history, frames.tenders):
        assert part.empty
    assert list(frames.orders) == list(ORDERS)


def test_orders_of_another_store_are_not_read(till: Till) -> None:
    till.place_order(1, store_id=2)
    till.place_order(2)
    with till.writing() as connection:  # at Headquarters numbers repeat between stores
        till.order_lines(connection, 2, [(5, 9.0, "9.00")], store_id=2)

    frames = read(till, 1, 2)

    assert frames.numbers == [2]
    assert len(frames.lines) == 1
    assert changed(till, Mark()).keys() == {2}


def test_only_required_columns_are_selected(till: Till) -> None:
    till.place_order(1, deposit="1.00")
    with till.engine.connect() as connection, recorded(connection) as sent:
        reader.find_changed_orders(connection, 1, Mark(), EVERYTHING, 5)
        reader.deletions_logged(connection, 1, 0, EVERYTHING)
        reader.open_order_numbers(connection, 1, (2, 3))
        reader.closed_order_numbers(connection, 1, EVERYTHING)
        reader.highest_order_history_id(connection, 1, EVERYTHING)
        reader.existing_orders(connection, 1, [1])
        reader.types_of_orders_between(connection, 1, 1, 2)
        reader.recalled_orders(connection, 1, [1], 4)
        reader.count_order_lines(connection, 1, [1])
        orders.read_orders(connection, replace(READING, rule="z_batch"), [1])

    known = {column for columns in REQUIRED.values() for column in columns} | set(REQUIRED)
    columns = {*ORDERS, *ORDER_LINES, *ORDER_HISTORY, *DEPOSIT_TENDERS}
    aliases = {"opening", "time", "expires", "name", "code", *columns}
    named = {name for statement in sent for name in re.findall(r'"(\w+)"', statement)}
    assert len(sent) == 20
    assert named <= known | aliases, named - known - aliases


def test_statements_are_plain_t_sql() -> None:
    keys = reader.Keys(frozenset(range(5)), True)
    queries = [query(READING, keys) for query in (orders._headers, orders._lines, orders._history)]
    for query in [*queries, orders._tenders(READING, keys), *orders._rowversions(READING, keys)]:
        sql = str(query.compile(dialect=mssql.dialect()))  # type: ignore[no-untyped-call]
        assert "CAST([" in sql
        assert not re.search(r"NOLOCK|OFFSET|TOP|::|LIMIT|BOOLEAN|\bjoin\b.*\blateral\b", sql)
    assert "[Order].[ID] AS number" in str(queries[0].compile(dialect=mssql.dialect()))  # type: ignore[no-untyped-call]
