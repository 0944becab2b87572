"""A restored database: what both sides know keeps its place in the hub, the rest is new, nothing twice."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import delete, update

from data_contracts.errors import ConfigurationError, CursorWentBack
from data_contracts.manifest import EpochStart, Position
from tasks import faults
from tasks.rms import tables
from tasks.use_cases.baseline_batches import BaselineReport
from tasks.use_cases.baselining import baseline_store
from tasks.use_cases.resending import resend
from tasks.use_cases.stating import publish_statement
from tests.rms_database import NOON, RMS_VARIABLE, Till, rms_url
from tests.use_cases.store_fixtures import Shop, copy_shop, open_shop, small_shop

__all__ = ["small_shop"]


class Killed(BaseException):
    """As if the process had ended here."""


@dataclass
class Lives:
    """A shop, and the backup of its database: both hold what `together` did."""

    shop: Shop
    backup: Till

    def together(self, *acts: Callable[[Till], None]) -> None:
        """What happened before the backup was made."""
        for till in (self.shop.till, self.backup):
            for act in acts:
                act(till)

    def restore(self) -> None:
        self.shop.configure(rms_url=SecretStr(self.backup.url))
        self.shop.till = self.backup


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def lives(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lives]:
    """Ticket 1 and order 71 are history; 2 and 3, 70 and 72 were exported before the backup."""
    with ExitStack() as stack:
        urls = []
        for name in ("shop", "backup"):
            (tmp_path / name).mkdir()
            urls.append(stack.enter_context(rms_url(request.param, tmp_path / name)))
        if urls[0] is None or urls[1] is None:
            pytest.skip(f"{RMS_VARIABLE} names no server")
        made = Lives(open_shop(urls[0], tmp_path), Till(urls[1]))
        made.together(
            Till.create,
            lambda till: till.ring(1),
            lambda till: till.place_order(70, deposit="5.00"),
            lambda till: till.place_order(71),
            lambda till: till.cancel_order(71),
        )
        made.shop.baseline()
        made.together(
            lambda till: till.ring(2, time=at(1)),
            lambda till: till.ring(3, time=at(2)),
            lambda till: till.place_order(72, deposit="7.00", time=at(2)),
        )
        made.shop.export()
        yield made


def at(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes, seconds=minutes)


def take_over(shop: Shop) -> BaselineReport:
    return baseline_store(shop.settings, "S1", again=True, now=shop.now)


def published(shop: Shop, *roles: str) -> dict[tuple[int, int], list[str]]:
    """(epoch, number) of tickets or orders -> their revisions, each once, in the order of their batches."""
    found: dict[tuple[int, int], dict[str, None]] = {}
    for manifest in shop.manifests():
        frames = shop.read(manifest)
        for rows in (frames[role] for role in roles):
            for epoch, number, revision in zip(rows["epoch"], rows["number"], rows["revision"], strict=True):
                found.setdefault((epoch, number), {})[revision] = None
    return {key: list(revisions) for key, revisions in found.items()}


def closed_orders(shop: Shop) -> dict[tuple[int, int], str]:
    """(epoch, number) of orders published as closed -> the flags of their newest snapshot."""
    found: dict[tuple[int, int], str] = {}
    for manifest in shop.manifests():
        rows = shop.read(manifest)["orders"]
        for key, closed, flags in zip(
            zip(rows["epoch"], rows["number"], strict=True), rows["closed"], rows["flags"], strict=True
        ):
            found.pop(key, None)
            if closed:
                found[key] = flags
    return found


def test_numbers_below_the_backup_keep_their_epoch_and_those_above_begin_a_new_one(lives: Lives) -> None:
    shop = lives.shop
    shop.till.ring(4, time=at(3))
    shop.till.ring(5, time=at(4))
    shop.till.place_order(73, deposit="3.00", time=at(4))
    shop.till.pick_up(72, 6, used="7.00", time=at(5))
    shop.export()
    before = shop.head()
    lives.restore()
    for number in (4, 5, 6, 7):
        shop.till.ring(number, price="4.00", time=at(60 + number))
    shop.till.place_order(73, [(2, 1.0, "8.00")], time=at(70))
    with pytest.raises(CursorWentBack) as caught:
        shop.export()
    assert "tillbridge baseline S1 --again" in caught.value.next_step
    assert shop.head() == before

    report = take_over(shop)
    exported = shop.export()

    assert (report.epoch, report.after_number, report.after_order) == (2, 3, 72)
    assert (report.gone_orders, report.open_orders, report.proven) == (1, 3, True)
    assert (exported.tickets, exported.orders) == (6, 3)
    tickets = published(shop, "tickets")
    assert sorted(tickets) == [(1, 2), (1, 3), (1, 4), (1, 5), (1, 6), (2, 4), (2, 5), (2, 6), (2, 7)]
    assert {len(revisions) for revisions in tickets.values()} == {1}
    orders = published(shop, "orders")
    assert sorted(orders) == [(1, 70), (1, 72), (1, 73), (2, 73)]
    assert len(orders[1, 70]) == 1
    assert closed_orders(shop) == {(1, 73): "deleted"}
    assert shop.head().position.open_orders == (70, 72, 73)
    assert shop.export().tickets == 0
    assert shop.export(sweep=True).batches != ()
    assert published(shop, "tickets") == tickets


def test_the_second_baseline_keeps_start_mark_history_and_stock(lives: Lives) -> None:
    shop = lives.shop
    before = shop.head().position
    shop.till.ring(4, time=at(3))
    shop.export()
    lives.restore()

    take_over(shop)

    first, second = shop.manifests("baseline")
    assert (second.sequence, second.epoch) == (2, 2)
    assert second.position == shop.head().position
    assert second.position.start == first.position.start
    assert second.position.history == before.history == ((1, 1),)
    assert second.position.closed_orders == before.closed_orders == ((71, 71),)
    assert second.position.epochs == (
        EpochStart(epoch=1),
        EpochStart(epoch=2, after_number=3, after_order=72),
    )
    frames = shop.read(second)
    assert len(frames["opening_stock"]) == 0
    assert frames["history_ranges"].equals(shop.read(first)["history_ranges"])
    assert shop.head().position.last_ticket is not None
    assert shop.head().sequence == shop.manifests()[-1].sequence


def test_the_database_read_before_is_not_taken_over(lives: Lives) -> None:
    before = lives.shop.head()

    with pytest.raises(ConfigurationError, match="is the one read before"):
        take_over(lives.shop)
    assert lives.shop.head() == before
    assert len(lives.shop.manifests("baseline")) == 1


def test_a_store_without_a_position_is_sent_to_a_plain_baseline(small_shop: Shop) -> None:
    small_shop.baseline()
    (small_shop.folder.root / "S1/orders/head.json").unlink()

    with pytest.raises(ConfigurationError, match="nothing to take over again") as caught:
        take_over(small_shop)
    assert caught.value.next_step == "run `tillbridge baseline S1` without --again"


def test_stock_is_not_taken_a_second_time(small_shop: Shop) -> None:
    small_shop.baseline()

    with pytest.raises(ConfigurationError, match="the hub's own stands") as caught:
        small_shop.baseline(again=True, stock_from_rms=True)
    assert "without --stock-from-rms" in caught.value.next_step


def test_a_backup_of_before_the_baseline_is_refused(small_shop: Shop) -> None:
    """What is rung next in it would have the numbers of history, and never travel."""
    for number in (1, 2, 3):
        small_shop.till.ring(number)
    small_shop.baseline()
    with small_shop.till.writing() as connection:
        for table in (tables.transaction, tables.transaction_entry, tables.tender_entry):
            connection.execute(delete(table).where(table.c.TransactionNumber > 1))

    with pytest.raises(CursorWentBack):
        small_shop.export()
    with pytest.raises(ConfigurationError, match="its highest ticket is 1, the baseline's 3"):
        take_over(small_shop)


def test_the_same_goods_rung_again_under_the_same_number_are_another_ticket(lives: Lives) -> None:
    """By its content alone ticket 4 would pass for the one published, and never reach the hub."""
    shop = lives.shop
    shop.till.ring(4, time=at(3))
    shop.till.ring(5, time=at(4))
    shop.export()
    lives.restore()
    shop.till.ring(4, time=at(90))

    report = take_over(shop)
    shop.export()

    tickets = published(shop, "tickets")
    assert report.after_number == 3
    assert tickets[1, 4] == tickets[2, 4]


def test_what_was_corrected_after_the_backup_stays_the_same_ticket_and_order(lives: Lives) -> None:
    """They would be booked a second time, under the new epoch."""
    shop = lives.shop
    shop.till.touch(3, Comment="edited", SalesTax=100, Total=100_100)
    shop.till.pay_deposit(72, "1.00")
    shop.export()
    shop.till.ring(4, time=at(3))
    shop.export()
    lives.restore()
    entry = tables.transaction_entry
    with shop.till.writing() as connection:
        connection.execute(update(entry).where(entry.c.TransactionNumber == 3).values(SalesTax=1))
    shop.till.pay_deposit(72, "2.00")

    report = take_over(shop)
    exported = shop.export()

    assert (report.after_number, report.after_order, report.gone_orders) == (3, 72, 0)
    assert (exported.tickets, exported.orders) == (2, 2)
    assert len(published(shop, "tickets")[1, 3]) == 3
    assert len(published(shop, "orders")[1, 72]) == 3


def test_another_zone_in_the_settings_does_not_make_everything_new(lives: Lives) -> None:
    shop = lives.shop
    shop.till.ring(4, time=at(3))
    shop.export()
    lives.restore()
    shop.configure(time_zone="Asia/Kathmandu")

    report = take_over(shop)

    assert (report.after_number, report.after_order, report.proven) == (3, 72, True)


def test_without_a_readable_batch_nothing_is_taken_over(lives: Lives) -> None:
    """All since the baseline would be booked twice."""
    shop = lives.shop
    shop.till.ring(4, time=at(3))
    shop.export()
    for file in (shop.folder.root / "S1/orders").glob("*.csv"):
        file.unlink()
    lives.restore()
    before = shop.head()

    with pytest.raises(ConfigurationError, match="would be booked twice"):
        take_over(shop)

    assert shop.head() == before


def test_without_anything_in_common_all_since_the_start_mark_is_new_and_the_report_says_so(
    lives: Lives, caplog: pytest.LogCaptureFixture
) -> None:
    shop = lives.shop
    shop.till.ring(4, time=at(3))
    shop.export()
    lives.restore()
    with shop.till.writing() as connection:
        connection.execute(delete(tables.transaction).where(tables.transaction.c.TransactionNumber > 1))
        connection.execute(delete(tables.order).where(tables.order.c.ID > 71))

    report = take_over(shop)

    assert (report.epoch, report.after_number, report.after_order) == (2, 1, 71)
    assert (report.proven, report.gone_orders) == (False, 1)
    assert "no published ticket was found in the database; all since ticket 1 counts as new" in caplog.text
    assert shop.head().position.last_ticket is None


def test_a_second_restore_goes_back_behind_the_first(lives: Lives) -> None:
    shop = lives.shop
    shop.till.ring(4, time=at(3))
    shop.export()
    lives.restore()
    take_over(shop)
    shop.till.ring(4, time=at(60))
    shop.till.ring(5, time=at(61))
    shop.export()
    with shop.till.writing() as connection:  # back to where ticket 2 was the last, and another 3 since
        for table in (tables.transaction, tables.transaction_entry, tables.tender_entry):
            connection.execute(delete(table).where(table.c.TransactionNumber > 2))
    shop.till.ring(3, time=at(80))

    report = take_over(shop)
    shop.export()

    assert (report.epoch, report.after_number) == (3, 2)
    assert sorted(published(shop, "tickets")) == [(1, 2), (1, 3), (1, 4), (2, 4), (2, 5), (3, 3)]


def test_the_statement_names_each_number_under_the_epoch_it_has_now(lives: Lives) -> None:
    shop = lives.shop
    shop.till.ring(4, time=at(3))
    shop.export()
    lives.restore()
    shop.till.ring(4, time=at(60))
    shop.till.ring(6, time=at(61))
    shop.till.place_order(73)
    take_over(shop)
    exported = shop.export()

    report = publish_statement(shop.settings, "S1", now=shop.now)

    (statement,) = shop.manifests("statement")
    frames = shop.read(statement)
    columns = ["epoch", "source", "first_number", "last_number", "state"]
    assert frames["numbers"][columns].values.tolist() == [
        [1, "ticket", 2, 3, "present"],
        [2, "ticket", 4, 4, "present"],
        [2, "ticket", 5, 5, "absent"],
        [2, "ticket", 6, 6, "present"],
    ]
    assert frames["open_orders"][["epoch", "number"]].values.tolist() == [[1, 70], [1, 72], [2, 73]]
    assert (report.tickets, report.money) == (exported.tickets, exported.money)
    assert (statement.epoch, statement.position.epochs) == (2, shop.head().position.epochs)


@pytest.mark.parametrize("rung", [0, 1, 3], ids=["at once", "after one ticket", "after as many tickets"])
def test_the_database_that_was_replaced_is_refused_when_it_is_put_back(lives: Lives, rung: int) -> None:
    """Its tickets 4 and 5 were exported once more, as those of the new epoch: sold twice."""
    shop, original = lives.shop, lives.shop.till
    for number in (4, 5):
        original.ring(number, time=at(number))
    original.place_order(73, time=at(5))
    shop.export()
    lives.restore()
    take_over(shop)
    for number in range(4, 4 + rung):
        shop.till.ring(number, time=at(60 + number))
    shop.export()
    before, tickets, orders = shop.head(), published(shop, "tickets"), published(shop, "orders")
    shop.configure(rms_url=SecretStr(original.url))
    original.ring(6, time=at(90))

    with pytest.raises(CursorWentBack) as stopped:
        shop.export()
    with pytest.raises(
        ConfigurationError, match="is one that was replaced before: it has ticket 5"
    ) as refused:
        take_over(shop)

    assert ("it has ticket 5" in stopped.value.message) == (rung == 0)
    assert "set rms_url of [stores.S1] to the database that was taken over last" in refused.value.next_step
    assert (shop.head(), published(shop, "tickets"), published(shop, "orders")) == (before, tickets, orders)
    lives.restore()
    shop.till.ring(7, time=at(95))
    assert shop.export().tickets == 1


def test_a_younger_backup_of_the_database_that_was_replaced_is_refused_as_well(lives: Lives) -> None:
    """It has ticket 4 of the first epoch, but not the last one that was published from it."""
    shop, original = lives.shop, lives.shop.till
    for number in (4, 5):
        original.ring(number, time=at(number))
        shop.export()
    lives.restore()
    take_over(shop)
    shop.configure(rms_url=SecretStr(original.url))
    with original.writing() as connection:
        for table in (tables.transaction, tables.transaction_entry, tables.tender_entry):
            connection.execute(delete(table).where(table.c.TransactionNumber > 4))

    with pytest.raises(CursorWentBack, match="is one that was replaced: it has ticket 4, which was lost"):
        shop.export()
    with pytest.raises(CursorWentBack, match="is one that was replaced: it has ticket 4, which was lost"):
        resend(shop.settings, "S1", numbers=(4, 4))
    with pytest.raises(CursorWentBack, match="is one that was replaced: it has ticket 4, which was lost"):
        publish_statement(shop.settings, "S1")
    assert shop.manifests("statement") == []


# -- interrupted ------------------------------------------------------------------------------------
@pytest.fixture
def restored(small_shop: Shop, tmp_path: Path) -> Path:
    """A shop whose database file was put back after tickets 3 and 4 and order 71 were exported."""
    file = tmp_path / "rms.db"
    small_shop.till.ring(1)
    small_shop.till.place_order(70, deposit="5.00")
    small_shop.baseline()
    small_shop.till.ring(2, time=at(1))
    small_shop.export()
    shutil.copy(file, tmp_path / "backup.db")
    small_shop.till.ring(3, time=at(2))
    small_shop.till.ring(4, time=at(3))
    small_shop.till.place_order(71, time=at(3))
    small_shop.export()
    shutil.copy(tmp_path / "backup.db", file)
    small_shop.till.ring(3, price="4.00", time=at(60))
    template = tmp_path / "template"
    template.mkdir()
    shutil.copy(file, template)
    shutil.copytree(tmp_path / "exchange", template / "exchange")
    return template


def points_of(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    passed: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(faults, "hook", passed.append)
        take_over(shop)
    return [name for name in passed if of_batches(name)]


def of_batches(name: str) -> bool:
    """Between two of its files a batch does not exist yet: those points belong to the folder's own tests."""
    return not name.startswith("exchange.")


def ends(shop: Shop) -> tuple[Position, dict[str, int], dict[tuple[int, int], list[str]]]:
    """What must be the same however often it was interrupted."""
    shop.export()
    batches = {stream: len(shop.manifests(stream)) for stream in ("baseline", "orders")}
    return shop.head().position, batches, published(shop, "orders", "tickets")


@pytest.mark.slow
def test_interrupted_at_any_point_and_repeated_it_ends_the_same(
    restored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = copy_shop(restored, tmp_path / "whole")
    points = points_of(whole, monkeypatch)
    expected_at = whole.head().position
    expected = ends(whole)
    assert {"takeover.read", "takeover.orders_closed", "takeover.batch_published"} <= set(points)
    assert expected[1] == {"baseline": 2, "orders": 4}

    for at_point in range(len(points)):
        shop = copy_shop(restored, tmp_path / f"killed-{at_point}")
        left = [at_point]

        def kill(name: str, left: list[int] = left) -> None:
            left[0] -= of_batches(name)
            if left[0] < 0:
                raise Killed

        with monkeypatch.context() as patched:
            patched.setattr(faults, "hook", kill)
            with pytest.raises(Killed):
                take_over(shop)
        if shop.head().position == expected_at:  # it was killed after the last write
            with pytest.raises(ConfigurationError, match="is the one read before"):
                take_over(shop)
        else:
            assert take_over(shop).epoch == 2

        assert ends(shop) == expected, points[at_point]


def test_what_is_rung_between_two_tries_belongs_to_the_new_epoch(
    restored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = copy_shop(restored, tmp_path / "shop")

    def kill(name: str) -> None:
        if name == "takeover.batch_published":
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(faults, "hook", kill)
        with pytest.raises(Killed):
            take_over(shop)
    with pytest.raises(CursorWentBack):
        shop.export()
    shop.till.ring(4, time=at(70))
    shop.till.place_order(71, [(2, 1.0, "1.00")])

    report = take_over(shop)
    exported = shop.export()

    assert (report.completed, report.proven, report.after_number) == (True, True, 2)
    assert (exported.tickets, exported.orders) == (3, 2)
    assert sorted(published(shop, "tickets")) == [(1, 2), (1, 3), (1, 4), (2, 3), (2, 4)]
    assert sorted(published(shop, "orders")) == [(1, 70), (1, 71), (2, 71)]
