"""Writing items into RMS: what never is written, who stands in the way, and the statements themselves."""

from __future__ import annotations

import re
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import event, insert, text, update
from sqlalchemy.dialects import mssql

from data_contracts.errors import SchemaMismatch, StoreUnavailable
from data_contracts.products import FIELDS
from tasks import faults
from tasks.rms import connection as rms_connection
from tasks.rms import tables
from tasks.rms.dialects import Money
from tasks.rms.item_writing import (
    WRITABLE,
    ItemWriter,
    insert_row,
    now_in_rms,
    open_items,
    try_rights,
    update_row,
)
from tasks.rms.items import HOLD, REQUIRED, aliases, lookup_codes, take_lock
from tasks.rms.tables import READABLE
from tests.hub_products import product
from tests.rms.counter import CLOCK, Counter, counter, small_counter, stocked_file
from tests.rms_database import Till, stock_up

__all__ = ["counter", "small_counter", "stocked_file"]


TRIGGERS = {
    "sqlite": (
        'CREATE TRIGGER shop BEFORE {event} ON "Item" WHEN NEW."ItemLookupCode" = \'{code}\' '
        "BEGIN SELECT RAISE(ABORT, 'the period is closed for {code}'); END",
    ),
    "postgresql": (
        "CREATE FUNCTION shop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF NEW.\"ItemLookupCode\" = '{code}' THEN "
        "RAISE EXCEPTION 'the period is closed for {code}'; END IF; RETURN NEW; END $$",
        'CREATE TRIGGER shop BEFORE {event} ON "Item" FOR EACH ROW EXECUTE FUNCTION shop()',
    ),
}


@pytest.mark.parametrize(("event", "code"), [("INSERT", "BAD"), ("UPDATE", "SKU-2")])
def test_a_trigger_of_the_shop_that_refuses_a_row_stops_that_product_alone(
    counter: Counter, event: str, code: str
) -> None:
    for statement in TRIGGERS[counter.till.engine.dialect.name]:
        counter.write(text(statement.format(event=event, code=code)))
    before = counter.rows()

    answers = counter.send(
        product(code, "111", department_code="NEW", price="2.00"), product("GOOD", "222", price="3.00")
    )

    refused = answers[code]
    assert (refused.state, refused.rule) == ("refused", "refused_by_rms")
    assert "Nothing of it was written" in refused.message
    assert "period" not in refused.message
    assert answers["GOOD"].state == "created"
    after = counter.rows()
    assert after["Department"] == before["Department"]
    assert [row["Alias"] for row in after["Alias"].values()] == ["222"]
    assert {key: after["Item"][key] for key in before["Item"]} == before["Item"]


def test_only_allow_listed_columns_are_ever_written(counter: Counter) -> None:
    """Everything at once, on rows of which every other column holds something of the shop's own."""
    own: dict[str, Any] = {}
    for column in tables.item.c:
        if column.name not in (*WRITABLE["Item"], "ID", "HQID", "DBTimeStamp"):
            kind = int if isinstance(column.type, Money) else column.type.python_type
            own[column.name] = {str: "own", int: 3, float: 3.5, bool: True, datetime: CLOCK}[kind]
    counter.write(update(tables.item).values(**own))
    counter.policy(
        create_suppliers=True,
        owners=dict.fromkeys(("DepartmentID", "CategoryID", "SupplierID", "TaxID", "Taxable", "Cost"), "hub"),
    )
    before = counter.rows()

    counter.send(
        *(
            product(
                code,
                f"code of {code}",
                name="New name",
                price="9.99",
                cost="5.00",
                department_code="NEW",
                category_code="NEW",
                supplier_code="NEW",
                taxable=False,
                active=code != "SKU-3",
            )
            for code in ("SKU-1", "SKU-2", "SKU-3", "NEW-1")
        )
    )

    after = counter.rows()
    touched = {
        (table, name)
        for table, rows in after.items()
        for row_id, row in rows.items()
        for name, value in row.items()
        if row_id in before[table] and before[table][row_id][name] != value and name != "DBTimeStamp"
    }
    assert touched <= {(table, name) for table, names in WRITABLE.items() for name in names}
    assert ("Item", "Description") in touched
    assert {table for table in after if len(after[table]) > len(before[table])} <= set(WRITABLE)
    assert all(set(before[table]) <= set(after[table]) for table in before)
    (new,) = (row for row in after["Item"].values() if row["ItemLookupCode"] == "NEW-1")
    for name in own:
        assert new[name] in (None, 0, "", False), name


def test_what_may_be_written_may_be_read_and_is_no_quantity() -> None:
    for table, names in WRITABLE.items():
        assert set(names) <= {*READABLE[table], "LastUpdated"}, table
        assert not {"ID", "DBTimeStamp", "HQID", "Quantity", "QuantityCommitted", "LastCost"} & set(names)
    with pytest.raises(KeyError, match=r"Item\.Quantity is never written"):
        update_row("Item", 1, {"Quantity": 5.0})
    hub_fields = {entry.name for entry in FIELDS if entry.column}
    assert hub_fields | {"DateCreated", "LastUpdated"} == set(WRITABLE["Item"])


def test_every_column_that_is_needed_stands_in_the_allow_list() -> None:
    for table, names in REQUIRED.items():
        assert set(names) <= {*READABLE[table], "HQID"}, table


def test_a_dry_run_says_the_same_and_writes_nothing(counter: Counter) -> None:
    given = (
        product("NEW", "111", price="1.00", department_code="GARDEN"),
        product("SKU-1", price="2.00"),
        product("X", tax_code="NONE"),
    )
    before = counter.rows()

    said = counter.send(*given, dry_run=True)

    assert counter.rows() == before
    assert said == counter.send(*given)


def test_one_who_was_quicker_is_seen_inside_the_transaction(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between looking up and writing the till makes the item itself and gives its code to another."""

    def meanwhile(name: str) -> None:
        monkeypatch.setattr(faults, "hook", None)
        quicker = insert(tables.item).values(ID=100, ItemLookupCode="new", TaxID=1)
        counter.write(quicker)
        counter.write(insert(tables.alias).values(ItemID=1, Alias="111"))

    # The last point before the transaction of the first product, which SQLite begins with its lock.
    counter.send(product("FIRST"))
    with open_items(counter.till.url, "S1") as connection:
        writer = ItemWriter(connection, counter.settings.policy("S1"), CLOCK)
        monkeypatch.setattr(
            faults, "hook", lambda name: meanwhile(name) if name == "rms.item.committed" else None
        )
        answers = writer.apply(
            [
                product("FIRST", price="1.00"),
                product("NEW", "111", price="1.00"),
                product("OTHER", "111", price="2.00"),
            ]
        )

    assert [(answer.sku, answer.state, answer.rule) for answer in answers] == [
        ("FIRST", "updated", ""),
        ("NEW", "updated", ""),
        ("OTHER", "refused", "code_taken"),
    ]
    assert counter.item("new")["Price"] == 10_000
    assert counter.aliases("SKU-1") == ["111"]


@pytest.mark.parametrize("till", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True)
def test_one_run_at_a_time_writes_items(till: Till) -> None:
    stock_up(till)
    with (
        open_items(till.url, "S1"),
        pytest.raises(StoreUnavailable, match="Another run is applying products"),
        open_items(till.url, "S1"),
    ):
        pass
    with open_items(till.url, "S1"):
        pass


def test_a_till_that_holds_the_table_is_waited_for_and_then_given_way(
    small_counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rms_connection, "WAIT_SECONDS", 0)
    with small_counter.till.writing() as connection:
        connection.execute(update(tables.item).values(Quantity=1.0))
        with pytest.raises(StoreUnavailable, match="locked"):
            small_counter.send(product("NEW"))

    assert small_counter.send(product("NEW"))["NEW"].state == "created"


def test_rights_are_tried_on_no_row_at_all(counter: Counter) -> None:
    before = counter.rows()

    with open_items(counter.till.url, "S1") as connection:
        try_rights(connection)

    assert counter.rows() == before
    assert counter.send(product("NEW"))["NEW"].state == "created"
    assert counter.item("NEW")["ID"] == 6


def test_a_database_with_narrower_texts_is_refused_by_name(till: Till) -> None:
    if till.engine.dialect.name == "sqlite":
        with till.writing() as connection:
            connection.execute(text('DROP TABLE "Department"'))
            connection.execute(
                text('CREATE TABLE "Department" ("ID" INTEGER, "Name" VARCHAR(20), "code" VARCHAR(17))')
            )
    else:
        with till.writing() as connection:
            connection.execute(text('ALTER TABLE "Department" ALTER COLUMN "Name" TYPE VARCHAR(20)'))

    with (
        pytest.raises(SchemaMismatch, match=r"Department\.Name \(varchar\(20\)\)"),
        open_items(till.url, "S1"),
    ):
        pass


def test_rmh_is_refused_before_anything_is_read(till: Till) -> None:
    with till.writing() as connection:
        connection.execute(text('ALTER TABLE "Transaction" RENAME COLUMN "DBTimeStamp" TO "SyncGuid"'))

    with pytest.raises(SchemaMismatch, match="Retail Management Hero"), open_items(till.url, "S1"):
        pass


# -- on SQL Server, as text -------------------------------------------------------------------------------
def sql_server(statement: Any) -> str:
    compiled = statement.compile(dialect=mssql.dialect(), compile_kwargs={"render_postcompile": True})  # type: ignore[no-untyped-call]
    return " ".join(str(compiled).split())


def test_statements_for_sql_server_are_these() -> None:
    assert sql_server(lookup_codes(["a", "B"], locked=True)) == (
        "SELECT [Item].[ID], [Item].[ItemLookupCode], [Item].[ItemLookupCode] AS label "
        "FROM [Item] WITH (UPDLOCK, HOLDLOCK) "
        "WHERE [Item].[ItemLookupCode] IN (:ItemLookupCode_1_1, :ItemLookupCode_1_2) "
        "OR upper(rtrim([Item].[ItemLookupCode])) IN (:upper_1_1, :upper_1_2) ORDER BY [Item].[ID]"
    )
    assert sql_server(aliases(["a"], locked=True)) == (
        "SELECT [Alias].[ItemID], [Alias].[Alias], [Item].[ItemLookupCode] AS label "
        "FROM [Alias] WITH (UPDLOCK, HOLDLOCK) LEFT OUTER JOIN [Item] ON [Alias].[ItemID] = [Item].[ID] "
        "WHERE [Alias].[Alias] IN (:Alias_1_1) OR upper(rtrim([Alias].[Alias])) IN (:upper_1_1) "
        "ORDER BY [Alias].[ID]"
    )
    stamp = now_in_rms(cast(Any, SimpleNamespace(dialect=mssql.dialect())), CLOCK)  # type: ignore[no-untyped-call]
    assert sql_server(update_row("Item", 7, {"Price": 85_000, "LastUpdated": stamp})) == (
        "UPDATE [Item] SET [Price]=:Price, [LastUpdated]=getdate() WHERE [Item].[ID] = :ID_1"
    )
    new = insert_row("Item", {"ItemLookupCode": "X", "DateCreated": stamp, "LastUpdated": stamp})
    assert sql_server(new) == (
        "INSERT INTO [Item] ([ItemLookupCode], [DateCreated], [LastUpdated]) "
        "VALUES (:ItemLookupCode, getdate(), getdate())"
    )
    assert sql_server(insert_row("Alias", {"ItemID": 1, "Alias": "1"})) == (
        "INSERT INTO [Alias] ([ItemID], [Alias]) VALUES (:ItemID, :Alias)"
    )


def test_on_sql_server_a_lock_of_the_session_keeps_other_runs_out() -> None:
    said: list[str] = []

    def server(answer: int) -> Any:
        def execute(statement: Any) -> Any:
            said.append(str(statement))
            return SimpleNamespace(scalar_one=lambda: answer)

        return SimpleNamespace(dialect=mssql.dialect(), execute=execute)  # type: ignore[no-untyped-call]

    take_lock(server(0), "S1")
    with pytest.raises(StoreUnavailable, match="Another run is applying products to store `S1`"):
        take_lock(server(-1), "S1")

    assert set(said) == {
        "SET NOCOUNT ON; DECLARE @taken int; EXEC @taken = sp_getapplock @Resource = 'tillbridge-products', "
        "@LockMode = 'Exclusive', @LockOwner = 'Session', @LockTimeout = 0; SELECT @taken"
    }


def test_no_statement_asks_sql_server_for_what_2005_or_triggers_forbid(small_counter: Counter) -> None:
    """Every statement that a run sends, written for SQL Server."""
    small_counter.policy(create_suppliers=True)
    sent: list[str] = []

    def record(connection: Any, statement: Any, *rest: Any) -> None:
        if not isinstance(statement, str):
            sent.append(sql_server(statement))

    with open_items(small_counter.till.url, "S1") as connection:
        event.listen(connection, "before_execute", record)
        writer = ItemWriter(connection, small_counter.settings.policy("S1"), CLOCK)
        writer.apply(
            [
                product("NEW", "1", department_code="D", category_code="C", supplier_code="S"),
                product("SKU-1", "2", price="2.00"),
            ]
        )
        try_rights(connection)

    assert len(sent) > 20
    forbidden = (
        "OUTPUT",
        "MERGE",
        "OFFSET",
        "NOLOCK",
        "READPAST",
        "RETURNING",
        "DELETE",
        "CONCAT",
        "LIMIT",
        "FOR UPDATE",
    )
    assert [s for s in sent for word in forbidden if word in s.upper()] == []
    held = [s for s in sent if HOLD in s]
    assert {re.findall(r"FROM \[(\w+)\]", s)[0] for s in held} == {
        *("Item", "Alias", "Department", "Category", "Supplier")
    }
