"""Broken input on its way to the hub: what an operator reads, and that the neighbours are booked."""

from __future__ import annotations

import csv
import hashlib
import io
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from data_contracts.amounts import from_decimal
from data_contracts.manifest import Manifest
from tasks.rms import tables
from tasks.use_cases.catalog import import_catalog
from tests.scenarios.spoiling import Bridge, build, open_bridge

Rows = list[list[str]]

LONG = "X" * 26


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Path:
    """Two batches wait; the shop and the hub stand still."""
    folder = tmp_path_factory.mktemp("bridge")
    build(folder, migrated_file)
    return folder


@pytest.fixture
def bridge(template: Path, tmp_path: Path) -> Bridge:
    """A copy of it to be spoiled."""
    return open_bridge(Path(shutil.copytree(template, tmp_path / "bridge")))


# -- what RMS itself holds ----------------------------------------------------------------------------
def test_what_rms_holds_travels_unharmed_or_waits_with_a_sentence(bridge: Bridge) -> None:
    bridge.take_in()
    till = bridge.shop.till
    described = 'Crème "brûlée",\n2 pièces'
    items: list[tuple[int, str, str]] = [
        (10, "two\nlines", "Item"),
        (11, "   ", "Item"),
        (12, "NULL", "Item"),
        (13, "=1+1", "Item"),
        (14, LONG, "Item"),
        (15, "É-15", described),
        (16, "SIXTEEN", "@SUM(A1)"),
    ]
    with till.writing() as connection:
        for number, sku, description in items:
            till.add_item(connection, number, ItemLookupCode=sku, Description=description)
        connection.execute(insert(tables.tender).values(ID=3, Code="CA\nSH", Description=""))
    with (bridge.settings.folder / "more.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sku", "name", "upc", "price", "item_type", "active"])
        for sku in ("SKU-1", "SKU-2", "NULL", "=1+1", "É-15", "SIXTEEN"):
            writer.writerow([sku, "Item", "", "9.99", "0", "true"])
    import_catalog(bridge.settings, bridge.settings.folder / "more.csv")
    for number, _, _ in items:
        till.ring(number, item_id=number)
    till.ring(17, time=datetime(2026, 11, 23, 16, 0))  # noqa: DTZ001 - RMS keeps local times
    till.ring(18, total="99.00")
    till.ring(19)
    with till.writing() as connection:
        of_19 = tables.tender_entry.c.TransactionNumber == 19
        connection.execute(update(tables.tender_entry).where(of_19).values(TenderID=3))
    assert bridge.shop.export().waiting == 1
    bridge.shop.wait(10)
    assert bridge.shop.export().unsettled == 1

    first, last = bridge.import_waiting().batches

    assert (first.state, first.accepted, first.quarantined) == ("accepted", 6, 3)
    assert (last.state, last.accepted, last.quarantined) == ("accepted", 0, 1)
    assert bridge.ask(
        "SELECT document, rule, message FROM reporting_quarantine WHERE state = 'open' ORDER BY document"
    ) == [
        (
            "S1/1/ticket/10",
            "sku_unprintable",
            "Ticket 10, line 1: its SKU `two lines` holds a line break or another control character.",
        ),
        (
            "S1/1/ticket/11",
            "sku_blank",
            "Ticket 11, line 1: it has no SKU; the item 11 has probably been deleted in RMS.",
        ),
        ("S1/1/ticket/14", "sku_too_long", "Ticket 14, line 1: `sku` has 26 characters; 25 are allowed."),
        (
            "S1/1/ticket/18",
            "total_mismatch",
            "Ticket 18: the lines add up to 10.00 but the ticket says 99.00 (89.00 apart). "
            "Ticket 18: RMS had not finished writing it when it was exported.",
        ),
    ]
    assert [(warning.document, warning.message) for warning in first.warnings] == [
        (
            "S1/1/ticket/12",
            "Ticket 12, line 1: its SKU is the text `NULL`, which programs write where nothing is; it is "
            "taken as it is.",
        ),
        (
            "S1/1/ticket/13",
            "Ticket 13, line 1: its SKU `=1+1` begins like a formula; it is taken as the text it is.",
        ),
        (
            "S1/1/ticket/16",
            "Ticket 16, line 1: the description of SIXTEEN begins like a formula; it is taken as the text it "
            "is.",
        ),
        (
            "S1/1/ticket/17",
            "Ticket 17: it was rung at 2026-11-23T16:00:00.000Z, 180 minutes after it was exported; it is "
            "booked all the same.",
        ),
        (
            "S1/1/ticket/19",
            "Ticket 19: the code `CA SH` of the tender 3 holds a line break or another control character.",
        ),
    ]
    assert bridge.sold() == {"SKU-1": 4, "SKU-2": 2, "NULL": 11, "=1+1": 11, "É-15": 11, "SIXTEEN": 11}
    (lines,) = (bridge.stream / "archive").glob("000003-*.ticket_lines.csv")
    with lines.open(encoding="utf-8", newline="") as file:
        assert [row["description"] for row in csv.DictReader(file) if row["sku"] == "É-15"] == [described]


def test_a_sku_that_was_corrected_in_rms_is_booked_when_its_ticket_is_sent_again(bridge: Bridge) -> None:
    """What the sentence about it says to do; the ticket's revision stays the same."""
    bridge.take_in()
    till = bridge.shop.till
    with till.writing() as connection:
        till.add_item(connection, 10, ItemLookupCode="SKU\n-1")
    till.ring(10, item_id=10)
    bridge.shop.export()
    bridge.take_in()
    ((fix,),) = bridge.ask("SELECT fix FROM quarantine WHERE state = 'open'")
    assert fix == (
        "Correct the item's lookup code in RMS, then run `tillbridge resend STORE --numbers NUMBER` at the "
        "store."
    )
    with till.writing() as connection:
        connection.execute(update(tables.item).where(tables.item.c.ID == 10).values(ItemLookupCode="SKU-1"))

    bridge.resend(numbers=(10, 10))

    assert bridge.take_in() == [(4, "accepted")]
    assert bridge.ask("SELECT count(*) FROM reporting_quarantine WHERE state = 'open'") == [(0,)]
    assert bridge.sold() == {"SKU-1": 3, "SKU-2": 2}


# -- what a hand has done to a file -------------------------------------------------------------------
def rewrite(bridge: Bridge, role: str, change: Callable[[Rows], None]) -> str:
    """Change the rows of a file of batch 1, its header among them, and make its manifest true again."""
    manifest_file = bridge.file(1, "manifest")
    manifest = Manifest.from_json(manifest_file.read_bytes(), "manifest")
    file = bridge.file(1, role)
    rows = list(csv.reader(io.StringIO(file.read_text(encoding="utf-8"))))
    change(rows)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    data = text.getvalue().encode()
    file.write_bytes(data)
    files = tuple(
        entry.model_copy(
            update={"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "rows": len(rows) - 1}
        )
        if entry.role == role
        else entry
        for entry in manifest.files
    )
    changed: dict[str, object] = {"files": files}
    if role == "tickets" and {"total", "units"} <= set(rows[0]):
        changed["documents"] = len(rows) - 1
        for name, column in (("money", "total"), ("units", "units")):
            at = rows[0].index(column)
            changed[name] = sum(from_decimal(row[at]) for row in rows[1:])
    manifest_file.write_bytes(manifest.model_copy(update=changed).to_json())
    return manifest.path


def cell(column: str, text: str) -> Callable[[Rows], None]:
    """Put a text into the first row of a file."""

    def change(rows: Rows) -> None:
        rows[1][rows[0].index(column)] = text

    return change


def twice(rows: Rows) -> None:
    """The first row stands in the file twice."""
    rows.append(list(rows[1]))


def rounded(rows: Rows) -> None:
    """A spreadsheet has saved the file: two decimals are left."""
    for row in rows[1:]:
        for name in ("quantity", "unit_price", "tax"):
            at = rows[0].index(name)
            row[at] = row[at][:-2]


@pytest.mark.parametrize(
    ("role", "change", "rule", "sentence"),
    [
        (
            "ticket_lines",
            cell("quantity", "one"),
            "type",
            "Ticket 1: `quantity` in row 1 of `ticket_lines` is not an amount with four decimals.",
        ),
        pytest.param(
            "ticket_lines",
            cell("quantity", "1,0000"),
            "type",
            "Ticket 1: `quantity` in row 1 of `ticket_lines` is not an amount with four decimals.",
            marks=pytest.mark.slow,
        ),
        (
            "tickets",
            cell("occurred_at", "2150-01-01T00:00:00.000Z"),
            "occurred_at_out_of_range",
            "Ticket 1: `occurred_at` is 2150-01-01T00:00:00.000Z; it has to be at least 2000-01-01T00:00:00Z "
            "and before 2100-01-01T00:00:00Z.",
        ),
        pytest.param(
            "tickets",
            cell("business_date", "1899-12-30"),
            "business_date_out_of_range",
            "Ticket 1: `business_date` is 1899-12-30; it has to be at least 2000-01-01 and before "
            "2100-01-01.",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "tickets",
            cell("business_date", "2026-02-30"),
            "type",
            "Ticket 1: `business_date` in row 1 of `tickets` is not a date such as 2026-11-23.",
            marks=pytest.mark.slow,
        ),
        (
            "ticket_lines",
            twice,
            "duplicate_line",
            "Ticket 1: line 1 stands in it more than once.",
        ),
        pytest.param(
            "tickets",
            twice,
            "duplicate_document",
            "Ticket 1: it stands 2 times in the batch.",
            marks=pytest.mark.slow,
        ),
        (
            "tickets",
            cell("total", "15.0000"),
            "total_mismatch",
            "Ticket 1: the lines add up to 10.00 but the ticket says 15.00 (5.00 apart).",
        ),
        pytest.param(
            "tenders",
            cell("tender_code", "C" * 26),
            "tender_code_too_long",
            "Ticket 1, tender 1: `tender_code` has 26 characters; 25 are allowed.",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_broken_ticket_waits_with_its_sentence_and_its_neighbours_are_booked(
    role: str, change: Callable[[Rows], None], rule: str, sentence: str, bridge: Bridge
) -> None:
    rewrite(bridge, role, change)

    assert bridge.take_in() == [(1, "accepted"), (2, "accepted")]

    assert bridge.ask("SELECT document, rule, message FROM reporting_quarantine WHERE state = 'open'") == [
        ("S1/1/ticket/1", rule, sentence)
    ]
    assert (bridge.tickets(), bridge.sold()) == ([2, 3], {"SKU-1": 1, "SKU-2": 2})
    # The way out that every sentence leads to.
    bridge.resend(numbers=(1, 1))
    assert bridge.take_in() == [(3, "accepted")]
    assert bridge.ask("SELECT count(*) FROM reporting_quarantine WHERE state = 'open'") == [(0,)]
    assert (bridge.tickets(), bridge.sold()) == ([1, 2, 3], {"SKU-1": 2, "SKU-2": 2})


def renamed(rows: Rows) -> None:
    rows[0][rows[0].index("total")] = "Total"


def dropped(rows: Rows) -> None:
    at = rows[0].index("sku")
    for row in rows:
        del row[at]


def added(rows: Rows) -> None:
    for at, row in enumerate(rows):
        row.append("colour" if at == 0 else "blue")


def reordered(rows: Rows) -> None:
    for row in rows:
        row[-1], row[-2] = row[-2], row[-1]


@pytest.mark.parametrize(
    ("role", "change", "what"),
    [
        ("tickets", renamed, "its header lacks `total`; has the unknown `Total`"),
        ("ticket_lines", dropped, "its header lacks `sku`"),
        pytest.param("tenders", added, "its header has the unknown `colour`", marks=pytest.mark.slow),
        pytest.param(
            "tenders", reordered, "its header has the columns in another order", marks=pytest.mark.slow
        ),
    ],
)
def test_another_schema_rejects_the_batch_and_names_the_columns(
    role: str, change: Callable[[Rows], None], what: str, bridge: Bridge
) -> None:
    path = rewrite(bridge, role, change)
    name = bridge.file(1, role).name

    rejected, accepted = bridge.import_waiting().batches

    assert (rejected.state, accepted.state) == ("rejected", "accepted")
    (reason,) = rejected.reasons
    assert reason.rule == "structure"
    assert reason.message == (
        f"{name} does not have the form of its contract: {what}. Retrying cannot clear this."
    )
    assert reason.fix == "run `tillbridge resend S1 --batch 1` at the store"
    assert bridge.acks() == {1: "rejected", 2: "accepted"}
    assert [rule for rule, _ in bridge.outstanding()] == ["structure"]
    assert path in bridge.ask("SELECT path FROM batches WHERE state = 'rejected'")[0]
    bridge.resend(batch=1)
    assert bridge.take_in() == [(3, "accepted")]
    assert (bridge.tickets(), bridge.outstanding()) == ([1, 2, 3], [])


def test_amounts_that_lost_their_decimals_are_no_amounts(bridge: Bridge) -> None:
    """Both tickets: few documents, so that the batch as a whole is not doubted."""
    rewrite(bridge, "ticket_lines", rounded)

    assert bridge.take_in() == [(1, "accepted"), (2, "accepted")]

    assert bridge.ask(
        "SELECT document, rule FROM reporting_quarantine WHERE state = 'open' ORDER BY document"
    ) == [("S1/1/ticket/1", "type"), ("S1/1/ticket/2", "type")]
    assert bridge.tickets() == [3]
