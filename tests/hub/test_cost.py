"""What an import costs does not grow with what the hub holds: no table of history is looked through."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event, text

from tasks.hub.database import Hub
from tests.documents import Ticket, make_ticket
from tests.hub.world import World

HISTORY = {
    *("documents", "document_revisions", "tenders", "orders", "order_lines", "payments", "stock_movements"),
    *("events", "batches", "verdicts", "quarantine", "stock_levels", "other"),  # `other` is orders again
}
EXPLAIN = {
    "sqlite": ("EXPLAIN QUERY PLAN ", re.compile(r"^SCAN (\w+)")),
    "postgresql": ("EXPLAIN ", re.compile(r"Seq Scan on (\w+)")),
}


@contextmanager
def watched(hub: Hub) -> Iterator[tuple[list[str], set[str]]]:
    """The statements that follow, and what their plans look through from end to end."""
    dialect = hub.engine.dialect.name
    explain, looks_through = EXPLAIN[dialect]
    statements: list[str] = []
    through: set[str] = set()

    def before(connection: Any, _c: Any, statement: str, parameters: Any, _x: Any, many: bool) -> None:
        if explain in statement or statement.split()[0] not in ("SELECT", "INSERT", "UPDATE", "DELETE"):
            return
        statements.append(statement)
        cursor = connection.connection.cursor()
        if (
            dialect == "postgresql"
        ):  # a few hundred rows are read fastest from end to end: ask for the other way
            cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(explain + statement, parameters[0] if many else parameters)
        for row in cursor.fetchall():
            found = looks_through.search(row[-1])
            if found and found[1] in HISTORY:
                through.add(f"{found[1]}: {statement}")
        cursor.close()

    event.listen(hub.engine, "before_cursor_execute", before)
    try:
        yield statements, through
    finally:
        event.remove(hub.engine, "before_cursor_execute", before)


def every_kind(first: int) -> list[Ticket]:
    """A return, an exchange, a void, a void that waits, a ticket in quarantine and sales."""
    line = ("SKU-1", 1, "10.00")
    back = ("SKU-1", -1, "10.00")
    return [
        make_ticket(first, [back], recall_type=1, recall_id=1),
        make_ticket(first + 1, [back, ("SKU-2", 1, "12.00")], recall_type=1, recall_id=2),
        make_ticket(first + 2, [back], recall_type=3, recall_id=first + 6),
        make_ticket(first + 3, [back], recall_type=3, recall_id=9_999),
        make_ticket(first + 4, [("NOPE", 1, "1.00")]),
        make_ticket(3, [("SKU-1", first, "10.00")]),
        *(make_ticket(first + n, [line]) for n in range(6, 12)),
    ]


def test_import_looks_through_no_history(world: World) -> None:
    """Four statements of an import read all lines, orders, payments or movements there were, on SQLite."""
    world.orders(*(make_ticket(n) for n in range(1, 60)))

    with watched(world.hub) as (statements, through):
        world.orders(*every_kind(100), sequence=2)
        world.orders(make_ticket(106, [("SKU-1", 2, "10.00")]), sequence=3)

    assert len(statements) > 20
    assert through == set()


def test_number_of_statements_does_not_grow_with_history(world: World) -> None:
    world.orders(*(make_ticket(n) for n in range(1, 20)))
    with watched(world.hub) as (few, _):
        world.orders(*every_kind(100), sequence=2)
    world.orders(*(make_ticket(n) for n in range(1_000, 1_300)), sequence=3)
    with watched(world.hub) as (many, _):
        world.orders(*every_kind(200), sequence=4)

    assert len(many) == len(few)


def test_what_waits_for_something_else_is_not_read_again(world: World) -> None:
    """A store whose voids waited for ever paid for all of them with each batch."""
    world.orders(
        *(make_ticket(n, [("SKU-1", -1, "1.00")], recall_type=3, recall_id=5_000 + n) for n in range(1, 30))
    )
    with world.hub.writing() as connection:
        connection.execute(text("UPDATE quarantine SET message = 'not judged again'"))

    world.orders(make_ticket(100), make_ticket(5_007, [("SKU-1", 1, "1.00")]), sequence=2)

    query = "SELECT message, state, COUNT(*) FROM quarantine GROUP BY message, state ORDER BY state"
    assert world.rows(query) == [("not judged again", "cleared", 1), ("not judged again", "open", 28)]
