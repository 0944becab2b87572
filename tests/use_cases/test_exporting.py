"""The export: nothing rung is lost, whatever the order of commits, interruptions and late arrivals."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Table, delete, insert, update

from data_contracts.documents import ORDER, TICKET
from data_contracts.errors import ConfigurationError, CursorWentBack, NotBaselined
from data_contracts.manifest import LastTicket, Mark, Position
from tasks import faults
from tasks.exchange import batches
from tasks.rms import reader, tables
from tasks.use_cases import exporting, store_session
from tests.use_cases.store_fixtures import Shop, copy_shop, shop, small_shop

__all__ = ["shop", "small_shop"]


class Killed(BaseException):
    """As if the process had ended here."""


def test_a_store_without_a_baseline_is_told_how_to_get_one(small_shop: Shop) -> None:
    with pytest.raises(NotBaselined, match="tillbridge baseline S1"):
        small_shop.export()


def test_tickets_rung_since_the_baseline_travel_with_exact_amounts(shop: Shop) -> None:
    shop.till.ring(100)
    shop.baseline()
    shop.till.ring(101, lines=[(1, 0.1 + 0.2, "9.99"), (2, -1.0, "2.50")], total="0.50")
    shop.till.ring(102, quantity=3.0, price="0.3333", total="1.00")

    report = shop.export()

    (manifest,) = shop.manifests()
    frames = shop.read(manifest)
    assert report.batches == (manifest.path,)
    assert (report.tickets, report.lines, report.before_baseline) == (2, 3, 0)
    assert frames["tickets"]["number"].tolist() == [101, 102]
    assert frames["tickets"]["units"].tolist() == [-7_000, 30_000]
    assert frames["tickets"]["occurred_at"].tolist() == ["2026-11-23T12:00:00.000Z"] * 2
    assert frames["tickets"]["register"].tolist() == [3, 3]
    assert frames["ticket_lines"]["quantity"].tolist() == [3_000, -10_000, 30_000]
    assert frames["ticket_lines"]["unit_price"].tolist() == [99_900, 25_000, 3_333]
    assert frames["ticket_lines"]["line"].tolist() == [1, 2, 1]
    assert frames["tenders"]["amount"].tolist() == [5_000, 10_000]
    assert (manifest.documents, manifest.units, manifest.money) == (2, 23_000, 15_000)
    assert (report.units, report.money) == (23_000, 15_000)
    assert b"0.3000" in batches.fetch_files(shop.folder, manifest)["ticket_lines"]


def test_a_cycle_that_finds_nothing_publishes_nothing_and_moves_the_head(shop: Shop) -> None:
    shop.baseline()
    shop.till.ring(1)
    shop.export()
    before = shop.head()
    with shop.till.writing() as connection:
        connection.execute(update(tables.item).values(Description="other"))
    shop.wait(5)

    report = shop.export()

    head = shop.head()
    assert report.batches == ()
    assert len(shop.manifests()) == 1
    assert head.position.resume.rowversion == before.position.resume.rowversion + 5
    assert head.position.swept == before.position.swept
    assert (head.sequence, head.checked_utc) == (before.sequence, "2026-11-23T13:05:00.000Z")


def test_a_dry_run_writes_nothing_and_says_the_same(shop: Shop) -> None:
    shop.baseline()
    shop.till.ring(1)
    before = shop.head()

    dry = shop.export(dry_run=True)

    assert shop.head() == before
    assert shop.manifests() == []
    real = shop.export()
    assert (dry.tickets, dry.lines, dry.units, dry.money) == (
        real.tickets,
        real.lines,
        real.units,
        real.money,
    )
    assert dry.dry_run
    assert dry.batches == ()


def test_a_header_committed_before_its_lines_waits_and_arrives_whole(shop: Shop) -> None:
    shop.baseline()
    with shop.till.writing() as connection:
        shop.till.header(connection, 1, "20.00")

    report = shop.export()
    assert (report.tickets, report.waiting) == (0, 1)
    assert [w.number for w in shop.head().position.waiting] == [1]

    with shop.till.writing() as connection:
        shop.till.lines(connection, 1, [(1, 2.0, "10.00")])
    assert shop.export().waiting == 1, "its tender is still missing"
    with shop.till.writing() as connection:
        shop.till.tender(connection, 1, "20.00")
    report = shop.export()

    assert (report.tickets, report.lines, report.waiting, report.unsettled) == (1, 1, 0, 0)
    assert shop.head().position.waiting == ()
    assert {number: len(found) for number, found in shop.published().items()} == {1: 1}


def test_a_ticket_that_does_not_settle_in_time_is_published_flagged(small_shop: Shop) -> None:
    small_shop.baseline()
    with small_shop.till.writing() as connection:
        small_shop.till.header(connection, 1, "20.00")
        small_shop.till.lines(connection, 1, [(1, 1.0, "10.00")])
        small_shop.till.tender(connection, 1, "20.00")

    assert small_shop.export().waiting == 1
    small_shop.wait(9)
    assert small_shop.export().waiting == 1
    small_shop.wait(1)
    report = small_shop.export()

    assert (report.tickets, report.unsettled, report.waiting) == (1, 1, 0)
    assert small_shop.read(small_shop.manifests()[0])["tickets"]["flags"].tolist() == ["unsettled"]
    assert small_shop.export().tickets == 0

    with small_shop.till.writing() as connection:
        small_shop.till.lines(connection, 1, [(2, 1.0, "10.00")])
    report = small_shop.export()
    assert (report.tickets, report.unsettled) == (1, 0)
    assert len(set(small_shop.published()[1])) == 2


def test_a_total_within_the_hub_s_tolerance_adds_up_here_as_well(small_shop: Shop) -> None:
    """The store used to have a tolerance of its own: a cent a line, whatever the hub was told."""
    small_shop.baseline()
    small_shop.till.ring(1, total="10.06")
    assert small_shop.export().waiting == 1
    hub = small_shop.settings.hub.model_copy(update={"tolerance_per_line": "0.03"})
    small_shop.settings = small_shop.settings.model_copy(update={"hub": hub})

    report = small_shop.export()

    assert (report.tickets, report.unsettled, report.waiting) == (1, 0, 0)


def test_a_ticket_that_lacks_nothing_but_a_tender_waits_and_is_then_published_unflagged(
    small_shop: Shop,
) -> None:
    small_shop.baseline()
    with small_shop.till.writing() as connection:
        small_shop.till.header(connection, 1, "10.00")
        small_shop.till.lines(connection, 1, [(1, 1.0, "10.00")])
    assert small_shop.export().waiting == 1
    small_shop.wait(10)

    report = small_shop.export()

    assert (report.tickets, report.unsettled, report.waiting) == (1, 0, 0)
    assert small_shop.read(small_shop.manifests()[0])["tickets"]["flags"].tolist() == [""]


@pytest.mark.parametrize("quantity", [1e10, -1e17, 1e300])
def test_an_absurd_quantity_is_published_flagged_and_stops_no_other_ticket(
    shop: Shop, quantity: float
) -> None:
    """It used to overflow in the database and stop all exports of the store."""
    shop.baseline()
    shop.till.ring(1)
    shop.till.ring(2, lines=[(1, quantity, "1.00"), (2, 3.0, "1.00")], total="3.00")
    shop.till.ring(3)

    report = shop.export()

    frames = shop.read(shop.manifests()[0])
    assert (report.tickets, report.waiting, report.unsettled, report.units) == (3, 0, 0, 50_000)
    assert frames["tickets"]["flags"].tolist() == ["", "unreadable_amount", ""]
    assert frames["ticket_lines"]["quantity"].tolist() == [10_000, 0, 30_000, 10_000]


def test_sums_in_a_manifest_do_not_wrap(small_shop: Shop) -> None:
    small_shop.baseline()
    for number in (1, 2, 3):
        small_shop.till.ring(number, lines=[(1, 1.0, "500000000000000.00")], total="500000000000000.00")

    report = small_shop.export()

    assert report.money == 3 * 5 * 10**18
    assert small_shop.manifests()[0].money == 15 * 10**18


def test_a_waiting_ticket_does_not_hold_back_the_others(small_shop: Shop) -> None:
    small_shop.baseline()
    with small_shop.till.writing() as connection:
        small_shop.till.header(connection, 1, "20.00")
    small_shop.till.ring(2)

    report = small_shop.export()

    assert (report.tickets, report.waiting) == (1, 1)
    assert small_shop.published().keys() == {2}
    assert small_shop.export().tickets == 0


def test_a_ticket_that_moves_while_it_is_read_is_not_published_torn(
    small_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second reading of rowversions sees what was written between header and lines."""
    from tasks.rms import tickets

    small_shop.baseline()
    small_shop.till.ring(1)
    lines_query = tickets._lines

    def meanwhile(*arguments):  # type: ignore[no-untyped-def]
        small_shop.till.touch(1, Total=500)
        return lines_query(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(tickets, "_lines", meanwhile)
        report = small_shop.export()

    assert (report.tickets, report.waiting) == (0, 1)


def test_a_late_old_number_is_found_within_the_lookback_and_by_the_sweep_beyond(shop: Shop) -> None:
    shop.configure(number_lookback=10)
    shop.till.ring(50)
    shop.baseline()
    shop.till.ring(1000)
    shop.export()
    assert shop.head().position.resume.ticket_number == 1000
    with shop.till.writing() as connection:
        shop.till.header(connection, 995, "0.00", time=datetime(2026, 11, 20, 9, 0))  # noqa: DTZ001
        shop.till.header(connection, 40, "0.00", time=datetime(2026, 10, 1, 9, 0))  # noqa: DTZ001

    assert shop.export().tickets == 1
    assert shop.published().keys() == {1000, 995}
    swept = shop.head().position.swept
    shop.export(sweep=True)

    assert shop.published().keys() == {1000, 995, 40}
    assert shop.head().position.swept.rowversion > swept.rowversion
    assert shop.head().position.swept == shop.head().position.resume
    assert shop.export(sweep=True).tickets == 0


def test_a_late_upload_with_an_old_number_and_new_lines_needs_no_sweep(shop: Shop) -> None:
    shop.configure(number_lookback=10)
    shop.baseline()
    shop.till.ring(1000)
    shop.export()
    shop.till.ring(40, time=datetime(2026, 10, 1, 9, 0))  # noqa: DTZ001

    assert shop.export().tickets == 1


@pytest.mark.parametrize("table", [tables.transaction_entry, tables.tender_entry], ids=["line", "tender"])
def test_a_line_or_tender_of_an_old_ticket_that_changes_later_is_found_by_the_sweep(
    small_shop: Shop, table: Table
) -> None:
    key = table.c.ID
    small_shop.configure(number_lookback=1)
    small_shop.baseline()
    for number in range(1, 8):
        small_shop.till.ring(number)
    small_shop.export()
    mark = small_shop.head().position.resume
    assert (mark.ticket_number, mark.entry_id, mark.tender_entry_id) == (7, 7, 7)
    changed = {"ItemID": 2} if "ItemID" in table.c else {"TenderID": 2}
    for number in (2, 3):
        with small_shop.till.writing() as connection:
            connection.execute(update(table).where(key == number).values(**changed))

    assert small_shop.export().tickets == 1, "3 lies within the five lines that are taken for a ticket"
    assert small_shop.export(sweep=True).tickets == 7
    assert {number: len(set(found)) for number, found in small_shop.published().items() if number < 5} == {
        1: 1,
        2: 2,
        3: 2,
        4: 1,
    }


def test_history_changed_after_the_baseline_is_counted_and_left_alone(shop: Shop) -> None:
    for number in (1, 2, 3):
        shop.till.ring(number)
    shop.baseline()
    shop.till.touch(2, Comment="edited")
    shop.till.ring(4)

    report = shop.export()

    assert (report.tickets, report.before_baseline) == (1, 1)
    assert shop.manifests()[0].before_baseline == 1
    assert shop.published().keys() == {4}


def test_a_changed_ticket_travels_again_under_a_new_revision(shop: Shop) -> None:
    shop.baseline()
    shop.till.ring(1)
    shop.till.ring(2)
    shop.export()
    shop.till.touch(1, ReferenceNumber="no business content")
    shop.export()
    with shop.till.writing() as connection:
        connection.execute(
            update(tables.transaction_entry)
            .where(tables.transaction_entry.c.TransactionNumber == 2)
            .values(ItemID=3)
        )
    shop.export()

    revisions = shop.published()
    assert len(revisions[1]) == 2
    assert len(set(revisions[1])) == 1
    assert len(set(revisions[2])) == 2


def test_batches_are_cut_at_the_line_limit_with_documents_whole(
    small_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "MAX_BATCH_LINES", 5)
    small_shop.baseline()
    for number, count in ((1, 3), (2, 3), (3, 2), (4, 9), (5, 1)):
        small_shop.till.ring(number, lines=[(1, 1.0, "1.00")] * count, total=f"{count}.00")

    report = small_shop.export()

    manifests = small_shop.manifests()
    tickets = [small_shop.read(manifest)["tickets"]["number"].tolist() for manifest in manifests]
    assert tickets == [[1], [2, 3], [4], [5]]
    assert [manifest.sequence for manifest in manifests] == [1, 2, 3, 4]
    marks = [manifest.position.resume.rowversion for manifest in manifests]
    assert marks == sorted(set(marks))
    assert manifests[-1].position.resume.rowversion == manifests[-1].bound - 1
    assert (report.tickets, report.lines) == (5, 18)


@pytest.mark.slow
@pytest.mark.parametrize("sweep", [False, True])
def test_an_export_interrupted_anywhere_loses_nothing_when_it_runs_again(
    small_shop: Shop, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, sweep: bool
) -> None:
    """Every pass of every fault point, over an export of two batches and a waiting ticket."""
    monkeypatch.setattr(exporting, "MAX_BATCH_LINES", 3)
    monkeypatch.setattr(reader, "ENTRIES_PER_TICKET", 1)
    small_shop.configure(number_lookback=2)
    small_shop.baseline()
    for number in (3, 5, 1, 4, 2):
        small_shop.till.ring(number)
    with small_shop.till.writing() as connection:
        small_shop.till.header(connection, 6, "10.00")
    for table in (tables.transaction_entry, tables.tender_entry):  # the oldest ids are read last
        with small_shop.till.writing() as connection:
            connection.execute(update(table).where(table.c.TransactionNumber == 3).values(ID=table.c.ID))
    copies = tmp_path_factory.mktemp("copies")

    def copied(name: str) -> Shop:
        shop = copy_shop(small_shop.settings.folder, copies / name)
        shop.configure(number_lookback=2)
        return shop

    passes: list[str] = []
    monkeypatch.setattr(faults, "hook", passes.append)
    copied("undisturbed").export(sweep=sweep)
    of_an_export = {name for name in faults.NAMES if name.startswith(("export.", "batch.", "exchange."))}
    assert set(passes) == {
        name
        for name in of_an_export
        if not name.startswith(
            (
                *("export.orders", "exchange.mark", "exchange.mov", "batch.acknowledge", "batch.archive"),
                *("exchange.remove", "batch.clean", "batch.note_cleaned"),
            )
        )
    }
    for at, name in enumerate(passes):
        interrupted = copied(str(at))
        left = at

        def stop(reached: str) -> None:
            nonlocal left
            if left == 0:
                raise Killed(reached)
            left -= 1

        monkeypatch.setattr(faults, "hook", stop)
        with pytest.raises(Killed, match=name):
            interrupted.export(sweep=sweep)
        monkeypatch.setattr(faults, "hook", None)
        with interrupted.till.writing() as connection:
            interrupted.till.lines(connection, 6, [(1, 1.0, "10.00")])
            interrupted.till.tender(connection, 6, "10.00")
        interrupted.export(sweep=sweep)

        revisions = interrupted.published()
        assert sorted(revisions) == [1, 2, 3, 4, 5, 6], name
        assert all(len(set(found)) == 1 for found in revisions.values()), name
        position = interrupted.head().position
        assert position.waiting == (), name
        assert position.resume.ticket_number == 6, name
        assert (position.resume.entry_id, position.resume.tender_entry_id) == (6, 6), name
        assert interrupted.export(sweep=sweep).tickets == 0, name


def test_two_exporters_at_once_lose_nothing(small_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    small_shop.baseline()
    small_shop.till.ring(1)

    def meanwhile(name: str) -> None:
        if name == "batch.publish_files":
            monkeypatch.setattr(faults, "hook", None)
            small_shop.till.ring(2)
            small_shop.export()

    monkeypatch.setattr(faults, "hook", meanwhile)
    small_shop.export()
    small_shop.till.ring(3)
    small_shop.export()

    assert [m.sequence for m in small_shop.manifests()] == [1, 1, 2]
    revisions = small_shop.published()
    assert sorted(revisions) == [1, 2, 3]
    assert all(len(set(found)) == 1 for found in revisions.values())


def test_a_database_with_a_lower_rowversion_stops_the_export(small_shop: Shop) -> None:
    small_shop.baseline()
    small_shop.till.ring(1)
    small_shop.export()
    before = small_shop.head()
    with small_shop.till.writing() as connection:
        connection.exec_driver_sql("UPDATE tillbridge_rowversion SET value = value - 1")

    with pytest.raises(CursorWentBack, match="its rowversion is"):
        small_shop.export()
    assert small_shop.head() == before


def test_a_database_without_the_last_ticket_stops_the_export(small_shop: Shop) -> None:
    small_shop.baseline()
    small_shop.till.ring(1)
    small_shop.till.ring(2)
    small_shop.export()
    with small_shop.till.writing() as connection:
        connection.execute(delete(tables.transaction).where(tables.transaction.c.TransactionNumber == 2))

    with pytest.raises(CursorWentBack, match="its highest ticket is 1, we had seen 2"):
        small_shop.export()
    small_shop.till.ring(3)
    with pytest.raises(CursorWentBack, match="ticket 2, which was published, is gone"):
        small_shop.export()


def test_a_restored_database_whose_tills_went_on_past_all_marks_stops_the_export(small_shop: Shop) -> None:
    """Rowversions and numbers are greater than ours again: it used to publish other tickets as changes."""
    folder = small_shop.settings.folder
    small_shop.till.ring(1)
    small_shop.baseline()
    shutil.copy(folder / "rms.db", folder / "backup.db")
    for number in range(2, 6):
        small_shop.till.ring(number, time=datetime(2026, 11, 23, 12, number))  # noqa: DTZ001
    small_shop.export()
    before = small_shop.head()

    shutil.copy(folder / "backup.db", folder / "rms.db")
    for number in range(2, 8):
        small_shop.till.ring(number, price="7.00", time=datetime(2026, 11, 23, 14, number))  # noqa: DTZ001

    said = "ticket 5 was rung at 2026-11-23T14:05:00, the one published at 2026-11-23T12:05:00"
    for sweep in (False, True):
        with pytest.raises(CursorWentBack, match=said):
            small_shop.export(sweep=sweep)
    assert small_shop.head() == before


def test_a_restored_database_in_which_our_line_is_another_ticket_s_stops_the_export(small_shop: Shop) -> None:
    small_shop.baseline()
    small_shop.till.ring(1, lines=[(1, 1.0, "5.00"), (2, 1.0, "5.00")])
    small_shop.till.ring(2)
    small_shop.export()
    assert small_shop.head().position.last_ticket == LastTicket(
        number=2, revision=small_shop.published()[2][0], time="2026-11-23T12:00:00", first_entry_id=3
    )
    with small_shop.till.writing() as connection:
        line = tables.transaction_entry
        connection.execute(update(line).where(line.c.ID == 3).values(TransactionNumber=1))

    with pytest.raises(CursorWentBack, match=r"ticket 2 is another one .* line 3 is now in ticket 1"):
        small_shop.export()


@pytest.mark.parametrize("first_line", [False, True])
def test_a_row_deleted_from_the_last_ticket_is_a_change_and_no_restored_database(
    small_shop: Shop, first_line: bool
) -> None:
    """It leaves no rowversion behind. The export used to stop for good."""
    small_shop.baseline()
    small_shop.till.ring(1, lines=[(1, 1.0, "0.00"), (2, 1.0, "10.00")])
    with small_shop.till.writing() as connection:
        small_shop.till.tender(connection, 1, "0")
    small_shop.export()
    line, tender = tables.transaction_entry, tables.tender_entry
    with small_shop.till.writing() as connection:
        if first_line:
            connection.execute(delete(line).where(line.c.ID == 1))
        else:
            connection.execute(delete(tender).where(tender.c.Amount == 0))
    assert small_shop.export().tickets == 0, "nothing has moved: it is seen with the next ticket"
    small_shop.till.ring(2)

    assert small_shop.export().tickets == 2
    assert {number: len(set(found)) for number, found in small_shop.published().items()} == {1: 2, 2: 1}
    assert small_shop.export().tickets == 0


def test_a_last_ticket_that_lost_a_row_is_published_once_while_it_stays_the_last(small_shop: Shop) -> None:
    small_shop.baseline()
    small_shop.till.ring(5)
    with small_shop.till.writing() as connection:
        small_shop.till.tender(connection, 5, "0")
    small_shop.export()
    with small_shop.till.writing() as connection:
        connection.execute(delete(tables.tender_entry).where(tables.tender_entry.c.Amount == 0))
    for number in (1, 2):
        small_shop.till.ring(number)
        small_shop.export()

    assert {number: len(found) for number, found in small_shop.published().items()} == {5: 2, 1: 1, 2: 1}


def test_a_newer_form_of_the_revision_is_no_restored_database(small_shop: Shop) -> None:
    small_shop.baseline()
    small_shop.till.ring(1)
    small_shop.export()
    head = small_shop.head()
    older = LastTicket(number=1, revision="0-" + "0" * 32)
    batches.replace_head(
        small_shop.folder,
        head.model_copy(update={"position": head.position.model_copy(update={"last_ticket": older})}),
    )
    small_shop.till.ring(2)

    assert small_shop.export().tickets == 1


def test_a_late_change_of_the_last_ticket_is_no_restored_database(small_shop: Shop) -> None:
    small_shop.configure(number_lookback=0)
    small_shop.baseline()
    small_shop.till.ring(1)
    small_shop.export()
    with small_shop.till.writing() as connection:
        small_shop.till.lines(connection, 1, [(2, 1.0, "0.00")])
    small_shop.export()  # beyond the lookback: only the sweep sees it
    small_shop.till.ring(2)
    small_shop.export()
    small_shop.export(sweep=True)

    assert len(set(small_shop.published()[1])) == 2


def test_a_last_ticket_that_became_unsettled_is_no_restored_database(small_shop: Shop) -> None:
    small_shop.baseline()
    small_shop.till.ring(1)
    small_shop.export()
    with small_shop.till.writing() as connection:
        small_shop.till.lines(connection, 1, [(2, 1.0, "5.00")])
    assert small_shop.export().waiting == 1
    assert small_shop.export().waiting == 1
    small_shop.wait(10)
    assert small_shop.export().unsettled == 1
    small_shop.till.ring(2)
    assert small_shop.export().tickets == 1


def test_a_spoiled_head_with_a_readable_manifest_goes_on(small_shop: Shop) -> None:
    small_shop.baseline()
    small_shop.till.ring(1)
    small_shop.export()
    (small_shop.folder.root / "S1/orders/head.json").write_bytes(b"\0\0\0")
    small_shop.till.ring(2)

    assert small_shop.export().tickets == 1
    assert small_shop.head().sequence == 2


def test_two_stores_in_one_database_are_kept_apart(shop: Shop) -> None:
    shop.till.ring(1, store_id=1)
    shop.till.ring(2, store_id=0)
    with pytest.raises(ConfigurationError, match=r"several StoreIDs: 0, 1"):
        shop.baseline()

    shop.configure(store_id=0)
    shop.baseline()
    shop.till.ring(3, store_id=1)
    shop.till.ring(4, store_id=0)
    with shop.till.writing() as connection:  # at Headquarters numbers repeat between stores
        shop.till.lines(connection, 4, [(5, 9.0, "9.00")], store_id=1)
        shop.till.tender(connection, 4, "81.00", store_id=1)
    shop.export()

    frames = shop.read(shop.manifests()[0])
    assert frames["tickets"]["number"].tolist() == [4]
    assert len(frames["ticket_lines"]) == 1
    assert frames["tenders"]["amount"].tolist() == [100_000]


def test_a_second_store_id_that_appears_later_stops_the_export(small_shop: Shop) -> None:
    small_shop.till.ring(1)
    small_shop.baseline()
    small_shop.till.ring(2, store_id=5)

    with pytest.raises(ConfigurationError, match=r"several StoreIDs: 1, 5"):
        small_shop.export()


def test_no_card_customer_or_comment_reaches_the_exchange(shop: Shop) -> None:
    canaries = ("4111111111111111", "CANARY-COMMENT", "CANARY-HOLDER", "CANARY-REF", "987654321")
    shop.baseline(stock_from_rms=True)
    with shop.till.writing() as connection:
        connection.execute(insert(tables.customer).values(ID=9, LastName="CANARY-HOLDER"))
        shop.till.header(
            connection,
            1,
            "10.00",
            Comment="CANARY-COMMENT",
            ReferenceNumber="CANARY-REF",
            CustomerID=987654321,
        )
        shop.till.lines(connection, 1, [(1, 1.0, "10.00")], Comment="CANARY-COMMENT")
        shop.till.tender(
            connection, 1, "10.00", CreditCardNumber="4111111111111111", AccountHolder="CANARY-HOLDER"
        )

    assert shop.export().tickets == 1

    files = [path for path in shop.folder.root.rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        content = path.read_bytes().decode()
        assert not [canary for canary in canaries if canary in content], path.name


def test_an_empty_cycle_does_not_load_pandas(small_shop: Shop) -> None:
    small_shop.baseline()
    store = small_shop.settings.stores["S1"]
    assert store.rms_url is not None
    (small_shop.settings.folder / "tillbridge.toml").write_text(
        f'[stores.S1]\nrms_url = "{store.rms_url.get_secret_value()}"\n'
    )
    code = (
        "import sys; from tasks.settings import load_settings; "
        "from tasks.use_cases import baselining, exporting, stating; "
        "assert exporting.export_orders(load_settings(sys.argv[1]), 'S1').tickets == 0; "
        "print(sorted({'pandas', 'great_expectations', 'prefect', 'pyodbc', 'psycopg'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(small_shop.settings.folder / "tillbridge.toml")],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(exporting.__file__).parents[2],
    )

    assert done.stdout.strip() == "[]"


def test_a_ticket_committed_out_of_order_is_not_skipped(shop: Shop) -> None:
    """Its rowversion is lower than that of a ticket which committed before it."""
    shop.baseline()
    if shop.till.engine.dialect.name == "sqlite":
        shop.till.ring(2)
        shop.export()
        shop.till.ring(1)
        assert shop.export().tickets == 1
        return
    with shop.till.engine.connect() as slow:
        shop.till.header(slow, 1, "10.00")
        shop.till.lines(slow, 1, [(1, 1.0, "10.00")])
        shop.till.ring(2)
        shop.export()
        shop.till.tender(slow, 1, "10.00")
        slow.commit()
    shop.export()

    assert shop.published().keys() == {1, 2}


def test_tickets_held_back_by_an_open_transaction_are_counted_and_warned_of(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A forgotten transaction used to look like a shop that sells nothing."""
    shop.baseline()
    shop.till.ring(1)
    shop.export()
    if shop.till.engine.dialect.name == "sqlite":  # as if a writer were open that began before ticket 2
        bound = shop.head().position.resume.rowversion + 1
        monkeypatch.setattr(store_session, "read_bound", lambda connection: bound)
    with shop.till.engine.connect() as forgotten:
        if shop.till.engine.dialect.name != "sqlite":
            shop.till.header(forgotten, 9, "10.00")
        for number in (2, 3):
            shop.till.ring(number)
        with caplog.at_level(logging.WARNING):
            dry = shop.export(dry_run=True)
            report = shop.export()
            swept = shop.export(sweep=True)
        forgotten.rollback()

    assert [(r.tickets, r.held_back) for r in (dry, report, swept)] == [(0, 2), (0, 2), (1, 2)]
    assert shop.head().held_back == 2
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert (
        warnings
        == [
            "S1/orders: 2 tickets are held back, the oldest is 2: a transaction in RMS has been open since "
            "before they were rung"
        ]
        * 3
    )
    monkeypatch.undo()
    report = shop.export()
    assert (report.tickets, report.held_back, shop.head().held_back) == (2, 0, 0)


def test_tickets_of_the_same_tick_all_travel(shop: Shop) -> None:
    shop.baseline()
    moment = datetime(2026, 11, 23, 12, 0, 0, 3333)  # noqa: DTZ001
    for number in range(1, 6):
        shop.till.ring(number, time=moment)
        shop.export()

    assert sorted(shop.published()) == [1, 2, 3, 4, 5]
    frames = shop.read(shop.manifests()[0])
    assert frames["tickets"]["occurred_at"].tolist() == ["2026-11-23T12:00:00.003Z"]


def test_the_position_of_an_interrupted_export_lies_below_the_lowest_unpublished_number() -> None:
    export = exporting._Export.__new__(exporting._Export)
    before = Mark(rowversion=100, ticket_number=50, entry_id=500, tender_entry_id=400)
    export.before = export.position = Position(resume=before)
    export.bound, export.sweep, export.lookback, export.waiting = 200, False, 10, {}
    export.highest = before
    pending = {
        (TICKET, 60): reader.Changed(150, entries=(470, 900)),
        (TICKET, 90): reader.Changed(120, entries=(901, 990), tenders=(700, 700)),
        (TICKET, 45): reader.Changed(130, entries=(20, 490), tenders=(420, 430)),
        (ORDER, 44): reader.Changed(125, tenders=(405, 405)),
    }
    export.saw(pending.values())
    export.highest = export.highest.model_copy(update={"ticket_number": 90})

    export._move(pending, [(ORDER, 44), (TICKET, 60), (TICKET, 45)])
    assert export.position.resume == Mark(rowversion=124, ticket_number=54, entry_id=519, tender_entry_id=454)

    export._move(pending, [(TICKET, 60), (TICKET, 45)])
    assert export.position.resume == Mark(rowversion=129, ticket_number=54, entry_id=519, tender_entry_id=469)

    export._move(pending, [])
    assert export.position.resume == Mark(rowversion=199, ticket_number=90, entry_id=990, tender_entry_id=700)


def test_a_pick_up_needs_no_tender_and_says_which_kind_of_order_it_took(small_shop: Shop) -> None:
    with small_shop.till.writing() as connection:
        connection.execute(insert(tables.order).values(ID=8, StoreID=1, Type=5, Closed=True))
        connection.execute(insert(tables.order).values(ID=9, StoreID=1, Type=2, Closed=True))
    small_shop.baseline()
    with small_shop.till.writing() as connection:
        for number, recall_type in ((1, 4), (2, 0)):
            small_shop.till.header(connection, number, "10.00", RecallType=recall_type, RecallID=8)
            small_shop.till.lines(connection, number, [(1, 1.0, "10.00")])
        small_shop.till.tender(connection, 2, "10.00", tender_id=2)

    assert small_shop.export().tickets == 2

    frames = small_shop.read(small_shop.manifests()[0])
    assert frames["tickets"]["recalled_order_type"].tolist() == [5, 0]
    assert frames["tickets"]["tender_count"].tolist() == [0, 1]
    assert frames["tenders"]["tender_code"].tolist() == ["Card"]


def test_a_deleted_item_leaves_an_empty_sku_for_the_hub_to_quarantine(small_shop: Shop) -> None:
    small_shop.baseline()
    small_shop.till.ring(1, item_id=77)

    small_shop.export()

    assert small_shop.read(small_shop.manifests()[0])["ticket_lines"]["sku"].tolist() == [""]


def test_prices_with_tax_and_without_add_up_by_the_store_s_tax_system(small_shop: Shop) -> None:
    small_shop.baseline()
    with small_shop.till.writing() as connection:
        small_shop.till.header(connection, 1, "12.00", tax="2.00")
        small_shop.till.lines(connection, 1, [(1, 1.0, "10.00")])
        small_shop.till.tender(connection, 1, "12.00")
    assert small_shop.export().tickets == 1
    with small_shop.till.writing() as connection:
        connection.execute(update(tables.configuration).values(TaxSystem=1))
        small_shop.till.header(connection, 2, "12.00", tax="2.00")
        small_shop.till.lines(connection, 2, [(1, 1.0, "12.00")])
        small_shop.till.tender(connection, 2, "12.00")
    assert small_shop.export().tickets == 1

    flags = [small_shop.read(m)["tickets"]["prices_include_tax"].tolist() for m in small_shop.manifests()]
    assert flags == [[False], [True]]


def test_tenders_of_deposits_are_no_tickets(small_shop: Shop) -> None:
    small_shop.till.ring(1)
    small_shop.baseline()
    with small_shop.till.writing() as connection:
        small_shop.till.tender(connection, 0, "25.00", OrderHistoryID=3)

    assert small_shop.export().tickets == 0
    assert small_shop.export(sweep=True).tickets == 0
