"""What SQL Server is asked stands in `golden/`, parses as T-SQL, and is what a 2008 R2 server takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from sqlalchemy.dialects.mssql import base
from sqlglot import exp

from tasks.rms.tables import metadata
from tests.rms.catalogue import GOLDEN, collect, read, render

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs" / "sql-server.md"

STATEMENTS = [
    pytest.param(file.stem, function, statement, id=f"{file.stem}.{function}-{place}")
    for file in sorted(GOLDEN.glob("*.sql"))
    for function, statements in read(file).items()
    for place, statement in enumerate(statements)
    if not statement.startswith("SET ")  # the session's settings
]

TOO_NEW = re.compile(
    r"\b(IIF|CHOOSE|CONCAT|FORMAT|THROW|TRY_\w+|PARSE|STRING_SPLIT|STRING_AGG|EOMONTH|LAG|LEAD|\w+FROMPARTS)\s*\(|"
    r"\b(OFFSET|FETCH|MERGE|OUTPUT|RETURNING|SEQUENCE|NOLOCK|READPAST|READUNCOMMITTED|DATETIME2|WITH)\b",
    re.IGNORECASE,
)
"""What came after 2008, what a shop's triggers refuse (OUTPUT), and what loses or doubles rows."""

ITEMS = ("items", "item_filing", "item_plan", "item_writing")
"""Modules that look for items, of which a database has one set for all its stores."""

LOCKED = "WITH (UPDLOCK, HOLDLOCK)"
"""So that nobody takes a code between the look whether it is free and its use; for items alone."""

TICKETS = {"Transaction": "TransactionNumber", "TransactionEntry": "ID", "TenderEntry": "ID"}
"""Big tables of a shop -> their primary key."""

WHOLE_TABLE = {
    "reader.existing_numbers": "every ticket number: statements and baselines",
    "reader.find_store_id": "which StoreIDs there are: without `store_id`, before the first ticket",
    "reader.highest_entry_ids": "where lines and tenders end: at a baseline",
    "reader.highest_ticket": "the greatest key",
    "reader.holds_one_store": "at a baseline with stock",
    "reader.newest_counted": "the newest business date: with a statement",
    "reader.numbers_counted_since": "tickets of some business dates: statements, re-sends",
    "reader.numbers_since": "statements",
    "reader.written_since": "whether the tills rested: at a baseline with stock",
    "deposits.deposits_since": "tenders of deposits: statements",
}
"""Functions that look at more of a big table than a range of its key, and when."""

SCANS = {"reader.find_changed_orders", "reader.deletions_logged", "reader.open_order_numbers"}
"""What every ordinary export scans by rowversion or state, since RMS has no index there: small tables."""


def parsed(statement: str) -> Any:
    return sqlglot.parse_one(statement, read="tsql")


def in_text(statement: str) -> str:
    """A statement without its quoted names and texts."""
    return re.sub(r"\[[^]]*\]|'[^']*'", "", statement)


def test_the_golden_files_are_what_the_program_asks(tmp_path: Path) -> None:
    """Renewed by `make golden`; read the difference before it is committed."""
    asked = {name: render(functions) for name, functions in collect(tmp_path).items()}

    assert {file.stem: file.read_text(encoding="utf-8") for file in GOLDEN.glob("*.sql")} == asked


@pytest.mark.parametrize(("file", "function", "statement"), STATEMENTS)
def test_a_statement_is_t_sql_that_an_old_server_takes(file: str, function: str, statement: str) -> None:
    if file in ITEMS:
        statement = statement.replace(LOCKED, "")
    tree = parsed(statement)

    assert not isinstance(tree, exp.Command)
    assert TOO_NEW.findall(in_text(statement)) == []
    assert not list(tree.find_all(exp.Offset, exp.Fetch, exp.Merge, exp.Returning, exp.WithTableHint))
    for values in tree.find_all(exp.Values):
        assert len(values.expressions) == 1
    unquoted = {name.name.lower() for name in tree.find_all(exp.Identifier) if not name.quoted}
    assert unquoted & base.RESERVED_WORDS == set()
    if file == "item_writing":
        assert isinstance(tree, exp.Select | exp.Insert | exp.Update), "nothing is deleted"
    elif not file.startswith("sample_store"):
        assert isinstance(tree, exp.Select), "the shop's tables are only read"


@pytest.mark.parametrize(("file", "function", "statement"), STATEMENTS)
def test_tickets_are_read_by_a_range_of_their_key(file: str, function: str, statement: str) -> None:
    """Their rowversions have no index; what reads more of them is named with its reason."""
    tree = parsed(statement)
    begins = tree.args.get("from_")
    table = begins.this.name if begins else ""
    if file.startswith("sample_store") or table not in TICKETS or f"{file}.{function}" in WHOLE_TABLE:
        return
    where = tree.args["where"].this
    by_key = [
        condition
        for condition in where.flatten()
        if isinstance(condition, exp.Between | exp.In | exp.GT | exp.EQ)
        and condition.this.name in (TICKETS[table], "TransactionNumber")
    ]

    assert by_key != []
    assert "StoreID" in {column.name for column in where.find_all(exp.Column)} or "DISTINCT" in statement


def test_every_read_of_a_store_s_rows_says_whose() -> None:
    """A head office's database holds many stores."""
    without = {
        f"{param.values[0]}.{param.values[1]}"
        for param in STATEMENTS
        if not str(param.values[0]).startswith(("sample_store", *ITEMS))
        and " FROM [" in str(param.values[2]).replace("\n", " ")
        and "[StoreID] = " not in str(param.values[2])
    }

    assert without == {
        "reader.find_store_id",
        "reader.has_one_store_s_batches",
        "reader.holds_one_store",
        "reader.prices_include_tax",
        "reader.stock_on_hand",
        "reader.written_since",
    }


def test_what_is_scanned_stands_in_the_papers() -> None:
    page = DOCS.read_text(encoding="utf-8")
    known = {f"{param.values[0]}.{param.values[1]}" for param in STATEMENTS}

    assert {name for name in (*WHOLE_TABLE, *SCANS) if f"`{name}`" not in page} == set()
    assert (WHOLE_TABLE.keys() | SCANS) - known == set()


def test_the_optional_indexes_are_t_sql_on_columns_that_rms_has() -> None:
    script = (ROOT / "deployments" / "rms_indexes.sql").read_text(encoding="utf-8")
    code = re.sub(r"--.*|^GO$", "", script, flags=re.MULTILINE)
    indexes = [one.strip() for one in code.split(";") if one.strip().startswith("CREATE INDEX")]

    assert len(indexes) == code.count("CREATE") == 10
    for index in indexes:
        tree = parsed(index)
        columns = {name for names in re.findall(r"\(([^)]*)\)", index) for name in re.findall(r"\w+", names)}

        assert (type(tree), tree.kind) == (exp.Create, "INDEX")
        assert columns
        assert columns <= set(metadata.tables[tree.find(exp.Table).name].c.keys())
