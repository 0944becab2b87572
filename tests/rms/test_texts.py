"""What RMS holds in its texts arrives in the hub's frame as it is, through the file between them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from data_contracts.documents import TENDERS, TICKET_LINES
from data_contracts.frames import read_rows, typed, write_csv
from tasks.rms import tables
from tasks.rms.tickets import read_tickets
from tests.rms.test_reader import READING
from tests.rms_database import RMS_VARIABLE, Till, rms_url

NASTY = [
    "",
    " ",
    "   ",
    "NULL",
    "null",
    "é",
    "Crème brûlée",
    '5" pipe',
    "a,b",
    "two\nlines",
    "a\r\nb",
    "=1+1",
    "@x",
    "-1",
    "+44",
    "007",
    "1e5",
    "nan",
    "\t",
    "\\",
    "'",
    "日本",
    "\u2028",
    "\ufeff",
    " lead",
    "trail  ",
]
DELETED = 999
"""An item or tender that RMS does not have any more."""

TEXTS = st.one_of(
    st.none(),
    st.sampled_from(NASTY),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def till(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Till]:
    """A store with one ticket, whose texts change with every example."""
    folder: Path = tmp_path_factory.mktemp("texts")
    with rms_url(request.param, folder) as url:
        if url is None:
            pytest.skip(f"{RMS_VARIABLE} names no PostgreSQL server")
        opened = Till(url)
        opened.create()
        opened.ring(1)
        yield opened


@given(sku=TEXTS, description=TEXTS, code=TEXTS)
@example(sku=None, description=None, code=None)
@example(sku="  ", description="", code="   ")
@example(sku="NULL", description='Crème "brûlée",\n2 Stück', code="é")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_texts_of_rms_come_out_of_the_file_as_they_are_but_for_blanks_at_their_end(
    till: Till, sku: str | None, description: str | None, code: str | None
) -> None:
    """The empty text, blanks and the NULL of a deleted item are the same; the text `NULL` is a text."""
    entry, tender_entry = tables.transaction_entry, tables.tender_entry
    with till.writing() as connection:
        connection.execute(update(entry).values(ItemID=DELETED if sku is None else 1))
        connection.execute(update(tender_entry).values(TenderID=DELETED if code is None else 1))
        connection.execute(
            update(tables.item)
            .where(tables.item.c.ID == 1)
            .values(ItemLookupCode=sku or "", Description=description or "")
        )
        connection.execute(update(tables.tender).values(Code=code or "", Description="Fallback"))

    with till.engine.connect() as connection:
        frames = read_tickets(connection, READING, [1])
    lines, faults = typed(
        read_rows(write_csv(frames.lines, TICKET_LINES), TICKET_LINES, "lines"), TICKET_LINES
    )
    tenders, more = typed(read_rows(write_csv(frames.tenders, TENDERS), TENDERS, "tenders"), TENDERS)

    assert faults.empty
    assert more.empty
    described = "" if sku is None else (description or "").rstrip()
    assert lines[["sku", "description"]].values.tolist() == [[(sku or "").rstrip(), described]]
    named = "" if code is None else code.rstrip() or "Fallback"
    assert tenders["tender_code"].tolist() == [named]
