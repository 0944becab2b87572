"""Reading RMS: which tickets changed, and each of them whole, exact and only what is allowed."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import insert, update
from sqlalchemy.dialects import mssql

from data_contracts.documents import TENDERS, TICKET_LINES, TICKETS
from data_contracts.manifest import Mark
from tasks.rms import reader, rows, tables, tickets
from tasks.rms.dialects import read_bound
from tasks.rms.schema_guard import REQUIRED
from tests.rms_database import NOON, Till, recorded

READING = reader.StoreReading(
    store="S1",
    store_id=1,
    epoch_of=lambda number: 1,
    epoch_of_order=lambda number: 1,
    zone="Europe/London",
    rule="calendar",
    day_start="00:00",
    prices_include_tax=False,
    recall_order=4,
    tolerance=100,
    single_store=False,
)
EVERYTHING = 2**60


def changed(till: Till, above: Mark, lookback: int | None = None, bound: int = EVERYTHING) -> list[int]:
    with till.engine.connect() as connection:
        return sorted(reader.find_changed_tickets(connection, 1, above, bound, lookback))


def mark(till: Till) -> Mark:
    with till.engine.connect() as connection:
        return Mark(rowversion=read_bound(connection) - 1, ticket_number=0)


def read(till: Till, numbers: list[int], **options: Any) -> tickets.TicketFrames:
    with till.engine.connect() as connection:
        return tickets.read_tickets(connection, READING, numbers)


def test_a_line_or_a_tender_alone_makes_a_ticket_changed(till: Till) -> None:
    for number in (1, 2, 3):
        till.ring(number)
    since = mark(till)
    assert changed(till, since) == []

    with till.writing() as connection:
        till.lines(connection, 1, [(1, 1.0, "1.00")])
    with till.writing() as connection:
        till.tender(connection, 3, "1.00")

    assert changed(till, since) == [1, 3]
    assert changed(till, since, bound=since.rowversion + 1) == []
    entry, tender = since.model_copy(update={"entry_id": 13}), since.model_copy(update={"tender_entry_id": 8})
    assert changed(till, entry, lookback=2) == [1, 3]
    assert changed(till, entry.model_copy(update={"entry_id": 14}), lookback=2) == [3]
    assert changed(till, tender, lookback=1) == [1, 3]
    assert changed(till, tender.model_copy(update={"tender_entry_id": 9}), lookback=1) == [1]


def test_the_greatest_changed_rowversion_of_a_ticket_is_that_of_its_newest_row(till: Till) -> None:
    till.ring(1)
    after_one = mark(till).rowversion
    till.ring(2)
    with till.engine.connect() as connection:
        found = reader.find_changed_tickets(connection, 1, Mark(), EVERYTHING, None)

    assert found == {
        1: reader.Changed(after_one, entries=(1, 1), tenders=(1, 1)),
        2: reader.Changed(mark(till).rowversion, entries=(2, 2), tenders=(2, 2)),
    }


def test_frames_have_the_columns_of_the_contract_and_dense_and_sparse_numbers_read_alike(till: Till) -> None:
    for number in range(1, 30):
        till.ring(number, item_id=1 + number % 5)

    dense = read(till, list(range(1, 30)))
    sparse = read(till, [1, 29, 15])

    assert list(dense.tickets) == list(TICKETS)
    assert list(dense.lines) == list(TICKET_LINES)
    assert list(dense.tenders) == list(TENDERS)
    assert dense.tickets["number"].tolist() == list(range(1, 30))
    assert sparse.tickets["number"].tolist() == [1, 15, 29]
    expected = dense.only({1, 15, 29})
    assert sparse.tickets.equals(expected.tickets)
    assert sparse.lines.equals(expected.lines)
    assert sparse.tenders.equals(expected.tenders)
    assert dense.unsettled == frozenset()


@pytest.mark.parametrize("table", ["TransactionEntry", "TenderEntry"])
def test_an_ordinary_search_reads_a_range_of_the_primary_key_and_no_whole_table(
    tmp_path: Any, table: str
) -> None:
    """It used to scan all lines and tenders of the shop's life in each cycle."""
    till = Till(f"sqlite:///{tmp_path / 'rms.db'}")
    till.create()
    above = Mark(rowversion=5, ticket_number=9_000, entry_id=90_000, tender_entry_id=50_000)
    with till.engine.connect() as connection, recorded(connection) as sent:
        reader.find_changed_tickets(connection, 1, above, 99, lookback=100)
        (statement,) = [s for s in sent if f'FROM "{table}"' in s]
        values = (1, 5, 99, 1, 0)
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
    assert plan[0][3] == f"SEARCH {table} USING INTEGER PRIMARY KEY (rowid>?)"


def test_the_range_that_an_ordinary_search_reads_is_a_plain_comparison_on_sql_server() -> None:
    statements: list[Any] = []

    class Server:
        dialect = mssql.dialect()  # type: ignore[no-untyped-call]

        def execute(self, query: Any) -> list[Any]:
            statements.append(query.compile(dialect=self.dialect))
            return []

    above = Mark(rowversion=5, ticket_number=9_000, entry_id=90_000, tender_entry_id=50_000)
    reader.find_changed_tickets(Server(), 1, above, 99, lookback=100)  # type: ignore[arg-type]

    header, line, tender = statements
    assert "[Transaction].[TransactionNumber] > :TransactionNumber_1" in str(header)
    assert "[TransactionEntry].[ID] > :ID_1" in str(line)
    assert "[TenderEntry].[ID] > :ID_1" in str(tender)
    assert [header.params["TransactionNumber_1"], line.params["ID_1"], tender.params["ID_1"]] == [
        8_900,
        89_500,
        49_500,
    ]

    statements.clear()
    reader.find_changed_tickets(Server(), 1, above, 99, lookback=None)  # type: ignore[arg-type]
    assert [s.params.get("ID_1", 0) for s in statements] == [0, 0, 0]


def test_a_ticket_reads_whole_with_its_raw_codes(till: Till) -> None:
    with till.writing() as connection:
        till.header(connection, 1, "19.98", tax="1.98", RecallType=1, RecallID=99)
        till.lines(connection, 1, [(2, 3.0, "6.00"), (2, 0.0, "5.00")], SalesTax=19800, ItemType=2)
        till.tender(connection, 1, "19.98", tender_id=2)
    with till.engine.connect() as connection:
        newest = read_bound(connection) - 1

    frames = read(till, [1])

    ticket = frames.tickets.iloc[0].to_dict()
    assert {name: ticket[name] for name in TICKETS if name != "revision"} == {
        "store": "S1",
        "epoch": 1,
        "source": "ticket",
        "number": 1,
        "rowversion": newest,
        "occurred_at": "2026-11-23T12:00:00.000Z",
        "business_date": "2026-11-23",
        "z_batch": 7,
        "register": 3,
        "recall_type": 1,
        "recall_id": 99,
        "recalled_order_type": 0,
        "line_count": 2,
        "tender_count": 1,
        "units": 30_000,
        "tax": 19_800,
        "total": 199_800,
        "prices_include_tax": False,
        "flags": "",
    }
    assert re.fullmatch(r"1-[0-9a-f]{32}", ticket["revision"])
    assert frames.lines[
        ["line", "item_id", "sku", "description", "item_type", "quantity"]
    ].values.tolist() == [
        [1, 2, "SKU-2", "Item 2", 2, 30_000],
        [2, 2, "SKU-2", "Item 2", 2, 0],
    ]
    assert frames.tenders[["tender_id", "tender_code", "amount"]].values.tolist() == [[2, "Card", 199_800]]


def test_texts_that_no_file_can_carry_are_cleaned(tmp_path: Any) -> None:
    till = Till(f"sqlite:///{tmp_path / 'rms.db'}")
    till.create()
    with till.writing() as connection:
        connection.execute(
            update(tables.item)
            .where(tables.item.c.ID == 1)
            .values(ItemLookupCode="AB\0C  ", Description='5" pipe,\nlong \r\n')
        )
    till.ring(1)

    line = read(till, [1]).lines.iloc[0]

    assert (line["sku"], line["description"]) == ("ABC", '5" pipe,\nlong')


def test_texts_of_columns_that_a_vendor_has_widened_are_cut_as_rms_has_them(tmp_path: Any) -> None:
    """One long description used to put every ticket of the item into quarantine."""
    till = Till(f"sqlite:///{tmp_path / 'rms.db'}")
    till.create()
    with till.writing() as connection:
        connection.execute(
            update(tables.item).values(ItemLookupCode="S" * 26, Description="D" * 29 + " 2345")
        )
        connection.execute(update(tables.tender).values(Code="", Description="T" * 26))
    till.ring(1)

    frames = read(till, [1])

    assert frames.lines[["sku", "description"]].values.tolist() == [["S" * 26, "D" * 29]]
    assert frames.tenders["tender_code"].tolist() == ["T" * 25]


def test_half_a_character_of_two_is_replaced() -> None:
    """Half surrogates, which SQL Server holds and no UTF-8 file can."""
    assert rows.texts(["caf\ud83d", "\udcffx\0"]) == ["caf?", "?x"]


@pytest.mark.parametrize("single_store", [True, False])
def test_a_z_batch_under_another_store_id_is_found_where_the_database_is_one_store_s(
    till: Till, single_store: bool
) -> None:
    with till.writing() as connection:
        connection.execute(update(tables.batch).values(StoreID=0))
    till.ring(1)
    with till.engine.connect() as connection:
        assert reader.has_one_store_s_batches(connection)
        reading = replace(READING, rule="z_batch", single_store=single_store)
        found = tickets.read_tickets(connection, reading, [1]).tickets

    columns = ["z_batch", "register", "business_date", "flags"]
    expected = [7, 3, "2026-11-22", ""] if single_store else [7, 0, "2026-11-23", "no_z_batch"]
    assert found[columns].values.tolist() == [expected]


def test_z_batches_of_several_stores_are_told_apart(till: Till) -> None:
    with till.writing() as connection:
        connection.execute(insert(tables.batch).values(BatchNumber=8, StoreID=2, RegisterID=9))
    with till.engine.connect() as connection:
        assert not reader.has_one_store_s_batches(connection)


@pytest.mark.parametrize(
    ("total", "lines", "tender", "complete"),
    [
        ("10.00", [(1, 1.0, "10.00")], True, True),
        ("10.02", [(1, 1.0, "10.00")], True, True),
        ("10.03", [(1, 1.0, "10.00")], True, False),
        ("10.00", [(1, 1.0, "10.00")], False, False),
        ("10.00", [], True, False),
        ("0.00", [], False, True),
        ("0.00", [(1, 1.0, "10.00"), (1, -1.0, "10.00")], False, True),
        ("-10.00", [(1, -1.0, "10.00")], True, True),
        ("99999999999.99", [(1, 9999999.0, "10000.00")], True, False),
    ],
)
def test_a_ticket_is_complete_when_lines_and_tender_make_up_its_total(
    tmp_path: Any, total: str, lines: list[Any], tender: bool, complete: bool
) -> None:
    till = Till(f"sqlite:///{tmp_path / 'rms.db'}")
    till.create()
    with till.writing() as connection:
        till.header(connection, 1, total)
        till.lines(connection, 1, lines)
        if tender:
            till.tender(connection, 1, total)

    assert (read(till, [1]).incomplete == frozenset()) is complete


def test_only_required_columns_are_selected(till: Till) -> None:
    """Whatever is sent names no column beyond those that the schema guard asks for."""
    till.ring(1)
    with till.engine.connect() as connection, recorded(connection) as sent:
        bound = read_bound(connection)
        sent.clear()
        reader.find_store_id(connection, "S1", None)
        reader.prices_include_tax(connection, None, (1,))
        reader.find_changed_tickets(connection, 1, Mark(), bound, 5)
        reader.count_lines(connection, 1, [1])
        reader.numbers_since(connection, 1, Mark())
        reader.numbers_counted_since(connection, replace(READING, rule="z_batch"), Mark(), NOON)
        reader.newest_counted(connection, READING, Mark(), NOON)
        reader.existing_numbers(connection, 1, bound)
        reader.highest_entry_ids(connection, 1, bound)
        reader.held_back(connection, 1, bound, bound, 0)
        reader.holds_one_store(connection)
        reader.has_one_store_s_batches(connection)
        reader.written_since(connection, bound)
        reader.open_orders(connection, 1, (2, 3))
        reader.stock_on_hand(connection, (7, 9))
        reader.ticket_time(connection, 1, 1)
        reader.ticket_of_line(connection, 1, 1)
        tickets.read_tickets(connection, READING, [1])

    known = {column for columns in REQUIRED.values() for column in columns} | set(REQUIRED)
    aliases = {"number", "rowversion", "opening", "time", "name", "code", *TICKETS, *TICKET_LINES, *TENDERS}
    named = {name for statement in sent for name in re.findall(r'"(\w+)"', statement)}
    assert len(sent) >= 25
    assert named <= known | aliases, named - known - aliases


def test_statements_are_plain_t_sql() -> None:
    keys = reader.Keys(frozenset(range(5)), True)
    for query in (tickets._headers, tickets._lines, tickets._tenders):
        sql = str(query(READING, keys).compile(dialect=mssql.dialect()))  # type: ignore[no-untyped-call]
        assert "CAST([" in sql
        assert not re.search(r"NOLOCK|OFFSET|TOP|::|LIMIT|BOOLEAN", sql)
    assert "[Transaction]" in str(tickets._headers(READING, keys).compile(dialect=mssql.dialect()))  # type: ignore[no-untyped-call]


def test_numbers_are_read_in_ranges_where_dense_and_in_lists_where_not() -> None:
    dense = list(reader.key_chunks(range(1, 12_001)))
    assert [(len(keys.numbers), keys.dense) for keys in dense] == [(5000, True), (5000, True), (2000, True)]
    sparse = list(reader.key_chunks(range(1, 60_000, 50)))
    assert [(len(keys.numbers), keys.dense) for keys in sparse] == [(500, False), (500, False), (200, False)]
    assert list(reader.key_chunks([])) == []
