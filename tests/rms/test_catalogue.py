"""The catalogue notices what SQLite and PostgreSQL forgive."""

from __future__ import annotations

from types import ModuleType

import pytest
from sqlalchemy import create_engine, insert, select

from tasks.rms import tables
from tests.rms.catalogue import Catalogue, recording

READS_TWICE_AT_ONCE = """
def read(connection, query):
    rows = iter(connection.execute(query))
    next(rows)
    connection.execute(query)
"""


def test_a_statement_before_the_rows_of_another_are_fetched_is_an_error() -> None:
    """SQL Server: `Connection is busy with results for another command`."""
    module = ModuleType("tasks.rms.invented")
    exec(READS_TWICE_AT_ONCE, module.__dict__)  # noqa: S102
    engine = create_engine("sqlite://")
    catalogue: Catalogue = {}
    with engine.begin() as connection:
        tables.tender.create(connection)
        connection.execute(insert(tables.tender), [{"Code": "A"}, {"Code": "B"}])
        with recording(catalogue), pytest.raises(AssertionError, match="still to come"):
            module.read(connection, select(tables.tender.c.Code))
    engine.dispose()

    assert catalogue == {"invented": {"read": {"SELECT [Tender].[Code]\nFROM [Tender]"}}}
