"""Sending again: what was lost arrives, what was right stays as it is, and the export notices nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import delete, update

from data_contracts.errors import ConfigurationError, ContractBroken, CursorWentBack, NotBaselined
from data_contracts.manifest import Manifest
from deployments.cli import cli
from tasks import faults
from tasks.exchange import batches
from tasks.rms import tables
from tasks.use_cases import exporting
from tasks.use_cases.resending import ResendReport, resend
from tests.use_cases.store_fixtures import Shop, copy_shop, shop, small_shop

__all__ = ["shop", "small_shop"]


class Killed(BaseException):
    """As if the process had ended here."""


def send_again(shop: Shop, **selection: Any) -> ResendReport:
    return resend(shop.settings, "S1", now=shop.now, **selection)


def numbers_of(shop: Shop, manifest: Manifest) -> list[int]:
    return [int(number) for number in shop.read(manifest)["tickets"]["number"]]


def spoil(shop: Shop, manifest: Manifest, role: str = "tickets") -> None:
    path = shop.folder.root / "S1" / "orders" / manifest.file(role).name
    path.write_bytes(path.read_bytes()[:-20])


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute)  # noqa: DTZ001 - RMS keeps local times


def test_a_batch_is_sent_again_whole_and_says_what_it_replaces(shop: Shop) -> None:
    shop.till.ring(1)
    shop.baseline()
    shop.till.ring(2)
    shop.till.ring(3, lines=[(1, 2.0, "10.00"), (2, 1.0, "5.00")])
    shop.export()
    shop.till.ring(4)
    shop.export()
    first, second = shop.manifests()

    report = send_again(shop, batch=1)

    again = shop.manifests()[-1]
    assert (again.sequence, again.replaces, report.replaces) == (3, 1, 1)
    assert report.batches == (again.path,)
    assert (report.tickets, report.lines, report.units, report.money) == (2, 3, 40_000, 350_000)
    assert (again.documents, again.units, again.money) == (first.documents, first.units, first.money)
    for role, frame in shop.read(first).items():
        assert shop.read(again)[role].equals(frame), role
    assert second.replaces is None


@pytest.mark.parametrize("role", ["tickets", "ticket_lines", "tenders"])
def test_a_batch_with_a_spoiled_file_is_sent_again_whole(small_shop: Shop, role: str) -> None:
    """Its tickets are known by the files that are left, or by the range of rowversions it says it covers."""
    small_shop.baseline()
    small_shop.till.ring(1)
    small_shop.export()
    small_shop.till.ring(3)
    small_shop.till.ring(2, lines=[], total="0.00")
    small_shop.export()
    small_shop.till.ring(4)
    small_shop.export()
    spoil(small_shop, small_shop.manifests()[1], role)

    report = send_again(small_shop, batch=2)

    assert numbers_of(small_shop, small_shop.manifests()[-1]) == [2, 3]
    assert (report.tickets, report.absent, report.left_to_export) == (2, 0, 0)


def test_an_archived_batch_whose_files_are_gone_is_sent_again(small_shop: Shop) -> None:
    small_shop.baseline()
    small_shop.till.ring(1)
    small_shop.till.ring(2)
    small_shop.export()
    (manifest,) = small_shop.manifests()
    batches.archive(small_shop.folder, manifest)
    for entry in manifest.files:
        (small_shop.folder.root / "S1/orders/archive" / entry.name).unlink()

    send_again(small_shop, batch=1)

    assert numbers_of(small_shop, small_shop.manifests()[-1]) == [1, 2]


def test_what_was_sent_again_and_spoiled_can_be_sent_again(small_shop: Shop) -> None:
    small_shop.baseline()
    for number in (1, 2, 3):
        small_shop.till.ring(number)
    small_shop.export()
    send_again(small_shop, numbers=(2, 2))
    spoil(small_shop, small_shop.manifests()[-1])
    (small_shop.folder.root / "S1/orders" / small_shop.manifests()[-1].file("tenders").name).unlink()
    (small_shop.folder.root / "S1/orders" / small_shop.manifests()[-1].file("ticket_lines").name).unlink()

    report = send_again(small_shop, batch=2)

    again = small_shop.manifests()[-1]
    assert (report.tickets, again.sequence, again.replaces) == (1, 3, 2)
    assert numbers_of(small_shop, again) == [2]


def test_both_batches_of_a_fork_are_sent_again(small_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    small_shop.baseline()
    small_shop.till.ring(1)

    def meanwhile(name: str) -> None:
        if name == "batch.publish_files":
            monkeypatch.setattr(faults, "hook", None)
            small_shop.till.ring(2)
            small_shop.export()

    monkeypatch.setattr(faults, "hook", meanwhile)
    small_shop.export()
    assert [m.sequence for m in small_shop.manifests()] == [1, 1]

    send_again(small_shop, batch=1)

    assert numbers_of(small_shop, small_shop.manifests()[-1]) == [1, 2]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({"numbers": (102, 104)}, [102, 104]),
        ({"numbers": (101, 101)}, [101]),
        ({"dates": (date(2026, 11, 20), date(2026, 11, 20))}, [101, 102]),
        ({"dates": (date(2026, 11, 21), date(2026, 11, 30))}, [104]),
    ],
)
def test_numbers_and_dates_choose_what_lies_between_both_ends_included(
    shop: Shop, selection: dict[str, Any], expected: list[int]
) -> None:
    shop.baseline()
    for number, time in ((101, at(20, 0)), (102, at(20, 23, 59)), (104, at(21, 0))):
        shop.till.ring(number, time=time)
    shop.export()

    report = send_again(shop, **selection)

    again = shop.manifests()[-1]
    assert numbers_of(shop, again) == expected
    assert (report.tickets, again.replaces) == (len(expected), None)
    assert report.absent == (1 if selection == {"numbers": (102, 104)} else 0)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        # A Z batch opened on the 22nd counts all it holds for that day.
        ({"business_date": "z_batch"}, [1, 2, 3]),
        ({"business_date": "calendar"}, [1]),
        ({"business_date": "day_start", "day_start": "04:00"}, [1, 2]),
        # Dates are the shop's: London's 00:30 UTC is still the day before in Boston.
        ({"business_date": "calendar", "time_zone": "America/New_York"}, [1]),
    ],
)
def test_dates_are_business_dates_by_the_rule_of_the_store(
    small_shop: Shop, rule: dict[str, Any], expected: list[int]
) -> None:
    small_shop.configure(**rule)
    small_shop.baseline()
    for number, time in ((1, at(22, 23, 30)), (2, at(23, 3, 59)), (3, at(29, 12))):
        small_shop.till.ring(number, time=time)
    small_shop.export()

    send_again(small_shop, dates=(date(2026, 11, 22), date(2026, 11, 22)))

    assert numbers_of(small_shop, small_shop.manifests()[-1]) == expected


@pytest.mark.parametrize("dates", [(date.min, date.max), (date(2026, 11, 23), date(2026, 11, 23))])
def test_the_dates_of_all_time_are_dates(small_shop: Shop, dates: tuple[date, date]) -> None:
    small_shop.baseline()
    small_shop.till.ring(1)
    small_shop.export()

    assert send_again(small_shop, dates=dates).tickets == 1


def test_the_position_stays_and_the_export_finds_what_it_would_have_found(shop: Shop) -> None:
    shop.configure(number_lookback=2)
    shop.baseline()
    shop.till.ring(10)
    shop.export()
    shop.till.ring(20)
    with shop.till.writing() as connection:
        shop.till.header(connection, 21, "10.00")
    shop.export()
    shop.till.ring(22)
    shop.till.touch(10, Comment="edited")  # beyond the lookback: the sweep's
    shop.till.ring(5)  # so is its header, but its line is new
    before = shop.head()

    for selection in (
        {"batch": 1},
        {"numbers": (1, 99)},
        {"dates": (date(2026, 11, 23), date(2026, 11, 23))},
    ):
        send_again(shop, **selection)

    assert shop.head().position == before.position
    assert shop.head().sequence == before.sequence + 3
    assert [m.position for m in shop.manifests()[-3:]] == [before.position] * 3
    with shop.till.writing() as connection:
        shop.till.lines(connection, 21, [(1, 1.0, "10.00")])
        shop.till.tender(connection, 21, "10.00")
    assert shop.export().tickets == 3
    assert numbers_of(shop, shop.manifests()[-1]) == [5, 21, 22]
    shop.export(sweep=True)
    assert numbers_of(shop, shop.manifests()[-1]) == [5, 10, 20, 21, 22]


def test_what_rms_is_still_writing_is_left_to_the_export(small_shop: Shop) -> None:
    small_shop.baseline()
    small_shop.till.ring(1)
    small_shop.export()
    with small_shop.till.writing() as connection:
        small_shop.till.header(connection, 2, "10.00")

    report = send_again(small_shop, numbers=(1, 2))
    assert (report.tickets, report.left_to_export) == (1, 1)

    small_shop.export()
    small_shop.wait(20)
    report = send_again(small_shop, numbers=(2, 2))
    assert (report.tickets, report.left_to_export, report.batches) == (0, 1, ())
    assert small_shop.export().unsettled == 1, "the export still has it on its list"


def test_a_ticket_that_travelled_unsettled_travels_so_again(small_shop: Shop) -> None:
    """The export does not come back to it: a rejected batch would have lost it for good."""
    small_shop.baseline()
    with small_shop.till.writing() as connection:
        small_shop.till.header(connection, 1, "10.00")
    small_shop.export()
    small_shop.wait(10)
    assert small_shop.export().unsettled == 1

    report = send_again(small_shop, batch=1)

    again = small_shop.read(small_shop.manifests()[-1])["tickets"]
    assert (report.tickets, report.unsettled, report.left_to_export) == (1, 1, 0)
    assert again["flags"].tolist() == ["unsettled"]
    assert len(set(small_shop.published()[1])) == 1


def test_history_never_travels_and_numbers_without_a_ticket_are_counted(small_shop: Shop) -> None:
    for number in (1, 2, 3):
        small_shop.till.ring(number)
    small_shop.baseline()
    small_shop.till.ring(5)
    small_shop.export()
    small_shop.till.touch(2, Comment="edited")

    report = send_again(small_shop, numbers=(2, 8))

    assert numbers_of(small_shop, small_shop.manifests()[-1]) == [5]
    assert (report.tickets, report.before_baseline, report.absent) == (1, 2, 4)


def test_a_ticket_deleted_in_rms_is_counted_as_absent(small_shop: Shop) -> None:
    small_shop.baseline()
    for number in (1, 2):
        small_shop.till.ring(number)
    small_shop.export()
    with small_shop.till.writing() as connection:
        connection.execute(delete(tables.transaction).where(tables.transaction.c.TransactionNumber == 1))

    report = send_again(small_shop, batch=1)

    assert numbers_of(small_shop, small_shop.manifests()[-1]) == [2]
    assert (report.tickets, report.absent) == (1, 1)


@pytest.mark.parametrize(
    "selection", [{"numbers": (50, 60)}, {"dates": (date(2020, 1, 1), date(2020, 1, 2))}]
)
def test_where_nothing_is_found_nothing_is_published(small_shop: Shop, selection: dict[str, Any]) -> None:
    small_shop.baseline()
    small_shop.till.ring(1)
    small_shop.export()
    before = small_shop.head()

    report = send_again(small_shop, **selection)

    assert (report.tickets, report.batches) == (0, ())
    assert (small_shop.head(), len(small_shop.manifests())) == (before, 1)


def test_a_dry_run_publishes_nothing_and_says_the_same(small_shop: Shop) -> None:
    small_shop.baseline()
    small_shop.till.ring(1)
    small_shop.export()
    before = small_shop.head()

    dry = send_again(small_shop, numbers=(1, 9), dry_run=True)

    assert (small_shop.head(), len(small_shop.manifests())) == (before, 1)
    real = send_again(small_shop, numbers=(1, 9))
    assert (dry.tickets, dry.lines, dry.units, dry.money, dry.absent) == (1, 1, 10_000, 100_000, 8)
    assert (real.tickets, real.lines, real.units, real.money, real.absent) == (1, 1, 10_000, 100_000, 8)


def test_a_long_range_is_cut_at_the_line_limit_with_documents_whole(
    small_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_shop.baseline()
    for number, count in ((1, 3), (2, 3), (3, 2)):
        small_shop.till.ring(number, lines=[(1, 1.0, "1.00")] * count, total=f"{count}.00")
    small_shop.export()
    monkeypatch.setattr(exporting, "MAX_BATCH_LINES", 5)

    report = send_again(small_shop, batch=1)

    _, first, second = small_shop.manifests()
    assert [numbers_of(small_shop, m) for m in (first, second)] == [[1], [2, 3]]
    assert [m.replaces for m in (first, second)] == [None, 1]
    assert report.batches == (first.path, second.path)


@pytest.mark.slow
def test_sending_again_interrupted_anywhere_is_put_right_by_running_it_again(
    small_shop: Shop, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "MAX_BATCH_LINES", 2)
    small_shop.baseline()
    for number in (1, 2, 3):
        small_shop.till.ring(number)
    small_shop.export()
    spoil(small_shop, small_shop.manifests()[0])
    small_shop.till.ring(4)
    position = small_shop.head().position
    copies = tmp_path_factory.mktemp("copies")
    passes: list[str] = []
    monkeypatch.setattr(faults, "hook", passes.append)
    send_again(copy_shop(small_shop.settings.folder, copies / "undisturbed"), batch=1)
    assert {name for name in passes if name.startswith("resend.")} == {
        name for name in faults.NAMES if name.startswith("resend.")
    }
    for place, name in enumerate(passes):
        interrupted = copy_shop(small_shop.settings.folder, copies / str(place))
        monkeypatch.setattr(faults, "hook", _stop_at(place))
        with pytest.raises(Killed, match=name):
            send_again(interrupted, batch=1)
        monkeypatch.setattr(faults, "hook", None)
        assert interrupted.head().position == position, name

        send_again(interrupted, batch=1)

        assert interrupted.head().position == position, name
        revisions: dict[int, set[str]] = {}
        for manifest in interrupted.manifests():
            if manifest.sequence > 2:
                tickets = interrupted.read(manifest)["tickets"]
                for number, revision in zip(tickets["number"], tickets["revision"], strict=True):
                    revisions.setdefault(int(number), set()).add(revision)
        # Ticket 3 was in the next batch, but has a row in the range of the spoiled one.
        assert sorted(revisions) == [1, 2, 3], name
        assert all(len(found) == 1 for found in revisions.values()), name
        assert interrupted.manifests()[-1].replaces == 1, name
        assert interrupted.export().tickets == 1, name


def _stop_at(place: int) -> Callable[[str], None]:
    left = place

    def stop(reached: str) -> None:
        nonlocal left
        if left == 0:
            raise Killed(reached)
        left -= 1

    return stop


def test_a_change_that_is_exported_meanwhile_is_not_followed_by_the_older_state(
    small_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest batch wins in the hub: after an export in between, the part is read and sent once more."""
    small_shop.baseline()
    small_shop.till.ring(1)
    small_shop.export()

    def meanwhile(name: str) -> None:
        if name == "resend.documents_read":
            monkeypatch.setattr(faults, "hook", None)
            with small_shop.till.writing() as connection:
                connection.execute(update(tables.transaction_entry).values(ItemID=3))
            small_shop.export()

    monkeypatch.setattr(faults, "hook", meanwhile)
    report = send_again(small_shop, numbers=(1, 1))

    old, new, stale, newest = small_shop.published()[1]
    assert (stale, newest) == (old, new)
    assert (report.tickets, len(report.batches)) == (1, 2)


def test_a_restored_database_stops_the_sending_again(small_shop: Shop) -> None:
    small_shop.baseline()
    small_shop.till.ring(1)
    small_shop.export()
    small_shop.till.touch(1, Time=datetime(2026, 11, 23, 12, 1))  # noqa: DTZ001

    with pytest.raises(CursorWentBack, match="ticket 1 was rung at 2026-11-23T12:01:00"):
        send_again(small_shop, batch=1)
    assert len(small_shop.manifests()) == 1


def test_a_store_without_a_baseline_has_nothing_to_send_again(small_shop: Shop) -> None:
    with pytest.raises(NotBaselined, match="tillbridge baseline S1"):
        send_again(small_shop, batch=1)


def test_a_batch_that_was_never_given_out_leads_to_the_numbers(small_shop: Shop) -> None:
    small_shop.baseline()
    small_shop.till.ring(1)
    small_shop.export()

    with pytest.raises(ConfigurationError, match=r"S1/orders has no batch 7: its newest is 1\.") as unknown:
        send_again(small_shop, batch=7)

    assert "`tillbridge resend S1 --numbers FIRST-LAST`" in unknown.value.next_step


# -- batches that are lost ----------------------------------------------------------------------------
def lose(shop: Shop, sequence: int, *, manifest_only: bool = False) -> None:
    """Remove a batch from the exchange, or spoil its manifest."""
    for file in (shop.folder.root / "S1/orders").rglob(f"{sequence:06d}-*"):
        if file.name.endswith(".manifest.json") and manifest_only:
            file.write_bytes(b"{")
        elif not manifest_only:
            file.unlink()


@pytest.mark.parametrize("manifest_only", [False, True])
@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_lost_batch_is_sent_again_by_what_its_neighbours_say(
    small_shop: Shop, lost: int, manifest_only: bool
) -> None:
    small_shop.till.ring(1)
    small_shop.baseline()
    for number in (2, 3, 4):
        small_shop.till.ring(number)
        small_shop.till.place_order(70 + number)
        small_shop.export()
    lose(small_shop, lost, manifest_only=manifest_only)

    report = send_again(small_shop, batch=lost)

    again = small_shop.manifests()[-1] if not manifest_only else readable(small_shop)[-1]
    assert (again.sequence, again.replaces, report.replaces) == (4, lost, lost)
    # The neighbour's position tells what came up to its own end: too much does no harm.
    assert numbers_of(small_shop, again) == [lost + 1, lost + 2][: 4 - lost]
    # Whether an open order was in it nobody can say: all that were open then go.
    assert lost + 71 in orders_of(small_shop, again)
    assert small_shop.export().batches == ()


def readable(shop: Shop) -> list[Manifest]:
    names = batches.waiting_batches(shop.folder, "S1", "orders")
    found = []
    for name in names:
        with suppress(ContractBroken):
            found.append(batches.fetch_manifest(shop.folder, "S1", "orders", *name))
    return found


def test_a_lost_batch_that_had_waited_for_its_lines_is_sent_again(small_shop: Shop) -> None:
    """The rowversion of a ticket that waits lies below the range of the batch that carries it."""
    small_shop.baseline()
    with small_shop.till.writing() as connection:
        small_shop.till.header(connection, 1, "10.00", RecallType=0)
        small_shop.till.tender(connection, 1, "10.00")
    small_shop.till.ring(2)
    small_shop.export()
    small_shop.wait(10)
    assert small_shop.export().unsettled == 1
    lose(small_shop, 2)

    report = send_again(small_shop, batch=2)

    assert (report.tickets, report.unsettled) == (1, 1)
    assert numbers_of(small_shop, small_shop.manifests()[-1]) == [1]


def test_a_lost_sweep_is_sent_again_with_the_old_numbers_it_found(small_shop: Shop) -> None:
    small_shop.configure(number_lookback=2)
    small_shop.baseline()
    for number in (2, 50):
        small_shop.till.ring(number)
    small_shop.export()
    small_shop.till.ring(1)
    small_shop.till.place_order(7)
    small_shop.export()
    assert small_shop.export(sweep=True).tickets == 3
    lose(small_shop, 3)

    send_again(small_shop, batch=3)

    again = small_shop.manifests()[-1]
    assert (numbers_of(small_shop, again), orders_of(small_shop, again)) == ([1, 2, 50], [7])


def test_a_batch_of_which_nothing_is_left_is_replaced_by_an_empty_one(small_shop: Shop) -> None:
    """Otherwise the hub would count it among the rejected ones for ever."""
    small_shop.baseline()
    small_shop.till.ring(1)
    small_shop.till.ring(2)
    small_shop.export()
    with small_shop.till.writing() as connection:
        for table in (tables.tender_entry, tables.transaction_entry, tables.transaction):
            connection.execute(delete(table).where(table.c.TransactionNumber == 1))
    send_again(small_shop, numbers=(2, 2))
    lose(small_shop, 1)
    with small_shop.till.writing() as connection:
        for table in (tables.tender_entry, tables.transaction_entry, tables.transaction):
            connection.execute(update(table).values(StoreID=table.c.StoreID))

    dry = send_again(small_shop, batch=1, dry_run=True)
    report = send_again(small_shop, batch=1)

    again = small_shop.manifests()[-1]
    assert (dry.batches, report.batches, report.tickets) == ((), (again.path,), 0)
    assert (again.replaces, again.documents) == (1, 0)


@pytest.mark.parametrize(
    "selection",
    [
        {},
        {"batch": 1, "numbers": (1, 2)},
        {"numbers": (2, 1)},
        {"orders": (2, 1)},
        {"orders": (1, 2), "numbers": (1, 2)},
        {"dates": (date(2026, 11, 2), date(2026, 11, 1))},
    ],
)
def test_anything_but_one_selection_is_refused(small_shop: Shop, selection: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="takes one batch, one range"):
        send_again(small_shop, **selection)


# -- layaways and backorders ----------------------------------------------------------------------------
def orders_of(shop: Shop, manifest: Manifest) -> list[int]:
    return [int(number) for number in shop.read(manifest)["orders"]["number"]]


def test_a_batch_is_sent_again_with_its_orders_as_rms_has_them_now(shop: Shop) -> None:
    shop.baseline()
    shop.till.place_order(7, [(1, 2.0, "10.00")], deposit="5.00")
    shop.till.place_order(8)
    shop.till.ring(1)
    shop.export()
    shop.till.pay_deposit(7, "1.00")
    shop.export()

    report = send_again(shop, batch=1)

    again = shop.manifests()[-1]
    assert (again.replaces, again.documents, again.orders, again.deposits) == (1, 3, 2, 60_000)
    assert (report.tickets, report.orders, report.deposits) == (1, 2, 60_000)
    assert (orders_of(shop, again), numbers_of(shop, again)) == ([7, 8], [1])
    assert len({snapshot["revision"] for snapshot in shop.snapshots()[7][1:]}) == 1
    assert shop.head().position.open_orders == (7, 8)


@pytest.mark.parametrize("roles", [("orders",), ("order_lines",), ("orders", "order_lines", "order_history")])
@pytest.mark.parametrize("sweep", [False, True])
def test_a_batch_with_spoiled_files_of_orders_is_sent_again_whole(
    small_shop: Shop, roles: tuple[str, ...], sweep: bool
) -> None:
    small_shop.baseline()
    small_shop.till.place_order(6)
    small_shop.export()
    small_shop.till.place_order(7, deposit="5.00")
    small_shop.export(sweep=sweep)
    spoiled = small_shop.manifests()[1]
    for role in roles:
        spoil(small_shop, spoiled, role)

    report = send_again(small_shop, batch=2)

    assert (report.absent, report.left_to_export) == (0, 0)
    assert set(orders_of(small_shop, small_shop.manifests()[-1])) >= ({6, 7} if sweep else {7})


def test_the_orders_of_a_batch_that_rms_no_longer_has_are_sent_again_as_deleted(small_shop: Shop) -> None:
    small_shop.baseline()
    small_shop.till.place_order(7)
    small_shop.export()
    small_shop.till.delete_order(7)
    small_shop.export()

    for batch in (1, 2):
        report = send_again(small_shop, batch=batch)
        assert (report.orders, report.absent) == (1, 0)

    flags = [snapshot["flags"] for snapshot in small_shop.snapshots()[7]]
    assert flags == ["", "deleted", "deleted", "deleted"]
    small_shop.export(sweep=True)
    assert len(small_shop.snapshots()[7]) == 4


def test_a_layaway_that_became_a_work_order_is_sent_again_as_such(small_shop: Shop) -> None:
    small_shop.baseline()
    small_shop.till.place_order(7)
    small_shop.export()
    small_shop.till.change_order(7, Type=2)
    small_shop.export()

    assert send_again(small_shop, batch=2).orders == 1
    assert send_again(small_shop, orders=(7, 7)).orders == 0


def test_a_range_of_orders_leaves_out_what_never_travels(shop: Shop) -> None:
    for number in (1, 2):
        shop.till.place_order(number)
    shop.till.cancel_order(1)
    shop.baseline()
    shop.till.place_order(3, order_type=3)
    for number in (4, 5, 7):
        shop.till.place_order(number)
    shop.till.ring(4)
    shop.export()
    shop.till.delete_order(5, logged=False)

    report = send_again(shop, orders=(1, 6))

    again = shop.manifests()[-1]
    assert (orders_of(shop, again), numbers_of(shop, again)) == ([2, 4, 5], [])
    assert (report.tickets, report.orders, report.before_baseline, report.absent) == (0, 3, 1, 1)
    assert shop.read(again)["orders"]["flags"].tolist() == ["", "", "deleted"]


@pytest.mark.parametrize(
    "selection", [{"numbers": (101, 102)}, {"dates": (date(2026, 11, 23), date(2026, 11, 23))}]
)
def test_with_a_pick_up_goes_the_order_it_took_from(small_shop: Shop, selection: dict[str, Any]) -> None:
    small_shop.baseline()
    small_shop.till.place_order(7, [(1, 2.0, "10.00")])
    small_shop.till.place_order(8, order_type=2)
    small_shop.till.place_order(9)
    small_shop.till.pick_up(7, 101, 1.0)
    small_shop.till.pick_up(8, 102)
    small_shop.export()

    report = send_again(small_shop, **selection)

    again = small_shop.manifests()[-1]
    assert (orders_of(small_shop, again), numbers_of(small_shop, again)) == ([7], [101, 102])
    assert (report.tickets, report.orders, report.absent) == (2, 1, 0)


def test_an_order_that_the_export_has_not_published_is_left_to_it(small_shop: Shop) -> None:
    """Deleted before the export saw it, it would stay open in the hub for ever."""
    small_shop.baseline()
    small_shop.till.ring(1)
    small_shop.export()
    small_shop.till.place_order(7)

    report = send_again(small_shop, orders=(7, 7))

    assert (report.orders, report.left_to_export, report.batches) == (0, 1, ())
    assert small_shop.export().orders == 1


def test_an_order_that_travelled_unsettled_travels_so_again(small_shop: Shop) -> None:
    small_shop.baseline()
    small_shop.till.place_order(7, [])
    small_shop.export()
    assert send_again(small_shop, orders=(7, 7)).left_to_export == 1
    small_shop.wait(10)
    assert small_shop.export().unsettled == 1

    report = send_again(small_shop, batch=1)

    assert (report.orders, report.unsettled) == (1, 1)
    assert [snapshot["flags"] for snapshot in small_shop.snapshots()[7]] == ["unsettled", "unsettled"]


def test_an_order_that_changes_and_is_exported_meanwhile_is_read_again(
    small_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_shop.baseline()
    small_shop.till.place_order(7)
    small_shop.export()

    def meanwhile(name: str) -> None:
        if name == "resend.documents_read":
            monkeypatch.setattr(faults, "hook", None)
            small_shop.till.cancel_order(7)
            small_shop.export()

    monkeypatch.setattr(faults, "hook", meanwhile)
    send_again(small_shop, batch=1)

    assert [snapshot["closed"] for snapshot in small_shop.snapshots()[7]] == [False, True, False, True]


def test_what_was_sent_again_of_orders_and_spoiled_can_be_sent_again(small_shop: Shop) -> None:
    small_shop.baseline()
    for number in (7, 8):
        small_shop.till.place_order(number)
    small_shop.export()
    send_again(small_shop, orders=(8, 8))
    spoil(small_shop, small_shop.manifests()[-1], "orders")
    spoil(small_shop, small_shop.manifests()[-1], "order_lines")

    report = send_again(small_shop, batch=2)

    assert (report.orders, small_shop.manifests()[-1].replaces) == (2, 2)


def test_a_batch_of_the_first_version_of_the_contracts_has_no_orders(small_shop: Shop) -> None:
    small_shop.baseline()
    small_shop.till.ring(1)
    small_shop.till.place_order(7)
    small_shop.export()
    (manifest,) = small_shop.manifests()
    files = [entry for entry in manifest.files if "order" not in entry.role and "deposit" not in entry.role]
    old = manifest.model_copy(update={"schema_version": 1, "files": tuple(files), "orders": 0})
    (small_shop.folder.root / f"S1/orders/{manifest.name}.manifest.json").write_bytes(old.to_json())

    report = send_again(small_shop, batch=1)

    assert (report.tickets, report.orders) == (1, 0)


# -- the command --------------------------------------------------------------------------------------
def run(shop: Shop, *arguments: str) -> tuple[int, str]:
    url = shop.settings.rms_url("S1")
    file = Path(shop.settings.folder) / "tillbridge.toml"
    file.write_text(
        f'[exchange]\nurl = "exchange"\n[stores.S1]\nrms_url = "{url}"\ntime_zone = "Europe/London"\n',
        encoding="utf-8",
    )
    result = CliRunner().invoke(cli, ["--config", str(file), "resend", "S1", *arguments])
    return result.exit_code, result.output


def test_the_command_says_what_went_and_what_was_left_out(small_shop: Shop) -> None:
    small_shop.till.ring(1)
    small_shop.baseline()
    small_shop.till.ring(2)
    small_shop.export()

    status, said = run(small_shop, "--numbers", "1-4")

    path = small_shop.manifests()[-1].path
    assert status == 0
    assert f"Published {path}; `tillbridge import S1` takes it in." in said
    assert "Left out: 1 from before the baseline" in said
    assert "Left out: 2 numbers under which RMS holds nothing" in said
    assert run(small_shop, "--dates", "2020-01-01") == (0, "Nothing was found to be sent again.\n")


def test_the_command_prints_json_for_scripts(small_shop: Shop) -> None:
    small_shop.baseline()
    small_shop.till.ring(1)
    small_shop.export()

    status, said = run(small_shop, "--batch", "000001", "--dry-run", "--json")

    assert status == 0
    assert json.loads(said) == {
        "store": "S1",
        "replaces": 1,
        "dry_run": True,
        "batches": [],
        "tickets": 1,
        "lines": 1,
        "units": 10_000,
        "money": 100_000,
        "orders": 0,
        "deposits": 0,
        "unsettled": 0,
        "left_to_export": 0,
        "before_baseline": 0,
        "absent": 0,
    }


@pytest.mark.parametrize(
    ("arguments", "example"),
    [
        ((), "--batch 412"),
        (("--batch", "1", "--numbers", "1-2"), "--numbers 10452-10455"),
        (("--batch", "0"), "--batch"),
        (("--numbers", "12 to 14"), "10452-10455"),
        (("--numbers", "14-12"), "the lower number first"),
        (("--numbers", "14-"), "10452-10455"),
        (("--dates", "01.12.2010"), "2010-12-01..2010-12-03"),
        (("--dates", "2010-12-03..2010-12-01"), "the earlier date first"),
    ],
)
def test_a_wrong_form_is_answered_with_an_example(
    small_shop: Shop, arguments: tuple[str, ...], example: str
) -> None:
    status, said = run(small_shop, *arguments)

    assert status == 2
    assert example in " ".join(said.split())
