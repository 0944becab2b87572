"""The operator's desk in a real browser: a run by hand, a wrong value, a failure and its retry, a report."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tasks.use_cases.arrivals import find_waiting
from tasks.use_cases.exporting import export_orders
from tasks.use_cases.importing import import_waiting
from tasks.use_cases.stating import publish_statement
from tests.browser.desk import Desk, open_desk
from tests.scenarios.installation import Installation, install

pytestmark = [pytest.mark.slow, pytest.mark.prefect_server]


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Two live shops with tickets that nobody has exported; one of S2 holds an unknown item."""
    installed = install(tmp_path_factory.mktemp("shops"), "sqlite:///hub.db", invoices=14, history=4)
    installed.go_live()
    installed.ring_all(8)
    with installed.shop("S2") as shop:
        shop.ring_unknown_item()
    return installed


@pytest.fixture(scope="module")
def desk(shops: Installation) -> Iterator[Desk]:
    """The UI in chromium; skips where there is none."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("chromium is not installed")
    with open_desk(shops.folder, chromium) as opened:
        yield opened


def test_forms_offer_the_stores_of_the_installation(desk: Desk) -> None:
    desk.open_form("export-orders-S1")
    expect(desk.page.get_by_role("button", name="Select Store")).to_have_text("S1")
    assert desk.offered("Select Store") == ["S1"]

    desk.open_form("import-orders")
    assert desk.offered("Select Stores") == ["S1", "S2"]


def test_a_wrong_value_is_refused_before_a_run_starts(desk: Desk) -> None:
    """A period without its first day, in the form; a store that is none, by any other way in."""
    before = desk.runs()
    desk.open_form("resend-period-S1")

    last = desk.field("Last Date")
    last.get_by_role("tab", name="date").click()
    last.get_by_role("button", name="Pick a date").click()
    desk.page.get_by_role("gridcell").get_by_role("button", name="15").click()
    desk.page.keyboard.press("Escape")
    desk.page.get_by_role("button", name="Submit").click()

    expect(desk.field("First Date").get_by_text("None is not of type 'string'")).to_be_visible()
    assert desk.page.url.partition("?")[0].endswith("/run")
    assert desk.start("export-orders-S1", scope={"store": "S9"}) == 409
    assert desk.runs() == before


def test_a_run_by_hand_publishes_what_its_rehearsal_has_told(desk: Desk, shops: Installation) -> None:
    desk.open_form("export-orders-S1")
    expect(desk.page.get_by_text("Also find changes of old tickets")).to_be_visible()
    desk.page.get_by_role("switch", name="dry_run").click()
    desk.picture("form")
    assert desk.state(desk.submit()) == "COMPLETED"
    assert find_waiting(shops.settings) == {}
    told = desk.open_artifact("export-orders-s1")
    expect(told).to_contain_text("Export of S1 (dry run: nothing was published)")

    desk.open_form("export-orders-S1")
    expect(desk.page.get_by_role("switch", name="dry_run")).not_to_be_checked()
    assert desk.state(desk.submit()) == "COMPLETED"

    (batch,) = find_waiting(shops.settings)["S1"]
    expect(desk.open_artifact("export-orders-s1")).to_contain_text(batch.path)


def test_a_failed_run_is_retried_from_its_page_and_goes_on_where_it_stood(
    desk: Desk, shops: Installation
) -> None:
    """One store's batch cannot be read: a folder has the name of one of its files."""
    for code in ("S1", "S2"):
        export_orders(shops.settings, code)
    (batch,) = find_waiting(shops.settings)["S2"]
    unreadable = shops.folder / "exchange" / f"{batch.path}.tickets.csv"
    kept = unreadable.rename(unreadable.with_name("kept"))
    unreadable.mkdir()

    desk.open_form("import-orders")
    run = desk.submit()

    assert desk.state(run) == "FAILED"
    expect(desk.page.get_by_text("give this account the right to read and write").first).to_be_visible()
    imported = dict(shops.ask("SELECT path, imported_utc FROM batches WHERE stream = 'orders'"))
    assert {path[:2] for path in imported} == {"S1"}
    desk.page.get_by_role("tab", name="Task Runs").click()
    expect(desk.page.get_by_role("link", name=re.compile("import-S1")).first).to_be_visible()
    desk.picture("failed-run")

    unreadable.rmdir()
    kept.rename(unreadable)
    desk.page.get_by_role("button", name="Open menu").click()
    desk.page.get_by_role("menuitem", name="Retry").click()
    with desk.page.expect_response(re.compile("set_state")):
        desk.page.get_by_role("alertdialog").get_by_role("button", name="Retry").click()

    assert desk.state(run) == "COMPLETED"
    after = dict(shops.ask("SELECT path, imported_utc FROM batches WHERE stream = 'orders'"))
    assert {path: after[path] for path in imported} == imported
    assert {path[:2] for path in after} == {"S1", "S2"}
    assert find_waiting(shops.settings) == {}


def test_a_reconciliation_is_drawn_and_names_what_is_missing(desk: Desk, shops: Installation) -> None:
    for code in ("S1", "S2"):
        export_orders(shops.settings, code)
    with shops.shop("S1") as shop:
        number, _ = shop.ring_unknown_item()  # stated, but never exported
    for code in ("S1", "S2"):
        publish_statement(shops.settings, code, days=None)
    import_waiting(shops.settings)

    desk.open_form("reconcile")
    assert desk.state(desk.submit()) == "FAILED"

    artifact = desk.open_artifact("reconcile")
    drawing = artifact.locator("svg[id*=mermaid]")
    for place in ("booked", "quarantined", "missing"):
        expect(drawing.get_by_text(place, exact=True)).to_be_visible()
    expect(artifact).to_contain_text(f"S1: ticket {number} missing")
    desk.picture("reconcile", height=740)


def test_what_is_in_quarantine_leads_to_a_form_that_is_filled_in(desk: Desk, shops: Installation) -> None:
    with shops.shop("S2") as shop:
        number, _ = shop.ring_unknown_item()
    export_orders(shops.settings, "S2")
    desk.open_form("import-orders")
    assert desk.state(desk.submit()) == "COMPLETED"

    artifact = desk.open_artifact("import-orders-s2")
    artifact.get_by_role("link", name="fill in the form").click()

    document = desk.page.get_by_text(f"S2/1/ticket/{number}", exact=True)
    expect(document).to_be_visible()
    expect(desk.page.get_by_role("switch", name="dry_run")).to_be_checked()
