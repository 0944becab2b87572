"""The statement: what the store has, as of one bound, in the words of the export."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import insert

from data_contracts.errors import NotBaselined
from tasks.rms import tables
from tasks.use_cases import stating, store_session
from tasks.use_cases.stating import StatementReport, publish_statement
from tests.rms_database import BACKORDER, QUOTE
from tests.use_cases.store_fixtures import Shop, shop, small_shop

__all__ = ["shop", "small_shop"]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def state(shop: Shop, days: int | None = 35, dry_run: bool = False) -> StatementReport:
    return publish_statement(shop.settings, "S1", days=days, dry_run=dry_run, now=shop.now)


def test_days_and_tenders_are_the_sums_of_what_was_exported(shop: Shop) -> None:
    shop.till.ring(1)
    shop.baseline()
    shop.till.ring(2, time=at("2026-11-22T09:00:00"), price="7.50")
    shop.till.ring(3, time=at("2026-11-22T10:00:00"), quantity=0.3, price="10.00", total="3.00")
    shop.till.ring(4, time=at("2026-11-23T10:00:00"), lines=[(1, 2.0, "5.00"), (2, -1.0, "1.00")])
    with shop.till.writing() as connection:
        shop.till.header(connection, 5, "20.00", time=at("2026-11-23T11:00:00"), BatchNumber=9)
        shop.till.lines(connection, 5, [(1, 1.0, "20.00")])
        shop.till.tender(connection, 5, "15.00")
        shop.till.tender(connection, 5, "5.00", tender_id=2)
    exported = shop.export()

    report = state(shop)

    (manifest,) = shop.manifests("statement")
    frames = shop.read(manifest)
    assert frames["days"].drop(columns="store").to_dict("records") == [
        {
            "business_date": "2026-11-22",
            "z_batch": 7,
            "register": 3,
            "tickets": 2,
            "lines": 2,
            "units": 13_000,
            "tax": 0,
            "total": 105_000,
        },
        {
            "business_date": "2026-11-23",
            "z_batch": 7,
            "register": 3,
            "tickets": 1,
            "lines": 2,
            "units": 10_000,
            "tax": 0,
            "total": 90_000,
        },
        {
            "business_date": "2026-11-23",
            "z_batch": 9,
            "register": 0,
            "tickets": 1,
            "lines": 1,
            "units": 10_000,
            "tax": 0,
            "total": 200_000,
        },
    ]
    tenders = frames["day_tenders"]
    assert tenders[["business_date", "z_batch", "tender_code", "amount"]].values.tolist() == [
        ["2026-11-22", 7, "CASH", 105_000],
        ["2026-11-23", 7, "CASH", 90_000],
        ["2026-11-23", 9, "CASH", 150_000],
        ["2026-11-23", 9, "Card", 50_000],
    ]
    assert (report.tickets, report.lines, report.units, report.money) == (
        exported.tickets,
        exported.lines,
        exported.units,
        exported.money,
    )
    assert (report.first_date, report.last_date, report.batch) == ("2026-11-22", "2026-11-23", manifest.path)
    assert (manifest.documents, manifest.money) == (4, 395_000)
    assert manifest.bound == shop.head().position.resume.rowversion + 1


def test_every_number_since_the_start_mark_is_present_absent_or_waiting(shop: Shop) -> None:
    shop.till.ring(10)
    shop.till.ring(12)
    shop.baseline()
    for number in (13, 14, 17, 20):
        shop.till.ring(number)
    shop.till.ring(11, time=at("2026-11-01T09:00:00"))
    with shop.till.writing() as connection:
        shop.till.header(connection, 18, "5.00")
    shop.export()

    report = state(shop)

    numbers = shop.read(shop.manifests("statement")[0])["numbers"]
    assert numbers[["epoch", "source", "first_number", "last_number", "state"]].values.tolist() == [
        [1, "ticket", 11, 11, "present"],
        [1, "ticket", 13, 14, "present"],
        [1, "ticket", 15, 16, "absent"],
        [1, "ticket", 17, 17, "present"],
        [1, "ticket", 18, 18, "waiting"],
        [1, "ticket", 19, 19, "absent"],
        [1, "ticket", 20, 20, "present"],
    ]
    assert (report.waiting, report.absent, report.tickets) == (1, 3, 5)


def test_a_ticket_that_no_export_has_seen_settled_is_waiting_here_as_well(small_shop: Shop) -> None:
    small_shop.baseline()
    with small_shop.till.writing() as connection:
        small_shop.till.header(connection, 1, "5.00")

    report = state(small_shop)

    assert (report.waiting, report.tickets) == (1, 0)


def test_what_was_published_flagged_is_stated_because_the_hub_has_it(small_shop: Shop) -> None:
    small_shop.baseline()
    with small_shop.till.writing() as connection:
        small_shop.till.header(connection, 1, "5.00")
    small_shop.export()
    small_shop.wait(10)
    assert small_shop.export().unsettled == 1

    report = state(small_shop)

    assert (report.waiting, report.tickets, report.money) == (0, 1, 50_000)


def test_a_statement_covers_days_back_from_the_newest_and_a_wrong_clock_does_not_move_it(shop: Shop) -> None:
    shop.baseline()
    for number, day in enumerate(("10-01", "11-20", "11-21", "11-22"), start=1):
        shop.till.ring(number, time=at(f"2026-{day}T09:00:00"))
    shop.till.ring(5, time=at("2031-01-01T09:00:00"))

    report = state(shop, days=2)
    assert (report.first_date, report.last_date, report.tickets) == ("2026-11-21", "2031-01-01", 3)

    everything = state(shop, days=None)
    assert (everything.first_date, everything.tickets) == ("2026-10-01", 5)
    assert [m.sequence for m in shop.manifests("statement")] == [1, 2]


def test_history_is_not_stated(small_shop: Shop) -> None:
    small_shop.till.ring(1)
    small_shop.baseline()
    small_shop.till.touch(1, Comment="edited")

    report = state(small_shop)

    assert (report.tickets, report.absent, report.waiting) == (0, 0, 0)
    frames = small_shop.read(small_shop.manifests("statement")[0])
    assert {role: len(frame) for role, frame in frames.items()} == dict.fromkeys(frames, 0)


def test_a_z_batch_that_opened_long_before_keeps_its_tickets_in_the_period(small_shop: Shop) -> None:
    small_shop.configure(business_date="z_batch")
    with small_shop.till.writing() as connection:
        connection.execute(
            insert(tables.batch).values(
                BatchNumber=8, StoreID=1, RegisterID=4, OpeningTime=at("2026-11-23T08:00:00")
            )
        )
    small_shop.baseline()
    small_shop.till.ring(1, time=at("2026-11-23T00:30:00"))  # Z batch 7, opened on the 22nd
    with small_shop.till.writing() as connection:
        small_shop.till.header(connection, 2, "10.00", time=at("2026-11-22T23:59:00"), BatchNumber=8)
        small_shop.till.lines(connection, 2, [(1, 1.0, "10.00")])
        small_shop.till.tender(connection, 2, "10.00")

    state(small_shop, days=1)

    days = small_shop.read(small_shop.manifests("statement")[0])["days"]
    assert days[["business_date", "z_batch", "tickets"]].values.tolist() == [["2026-11-23", 8, 1]]


def test_a_z_batch_that_stayed_open_for_long_is_stated_whole_or_not_at_all(small_shop: Shop) -> None:
    """Only its newer tickets used to be read and stated as all of its day."""
    small_shop.configure(business_date="z_batch", time_zone="UTC")
    with small_shop.till.writing() as connection:
        connection.execute(
            insert(tables.batch).values(
                BatchNumber=8, StoreID=1, RegisterID=4, OpeningTime=at("2027-01-08T08:00:00")
            )
        )
    small_shop.baseline()
    small_shop.till.ring(1, time=at("2026-11-23T12:00:00"))
    small_shop.till.ring(2, time=at("2027-01-10T12:00:00"))
    small_shop.clock = datetime(2027, 1, 10, 13, tzinfo=UTC)
    small_shop.export()

    state(small_shop, days=35)
    small_shop.till.ring(3, time=at("2027-01-10T12:30:00"), BatchNumber=8)
    state(small_shop, days=35)

    stated = [small_shop.read(m)["days"] for m in small_shop.manifests("statement")]
    columns = ["business_date", "z_batch", "tickets"]
    assert [days[columns].values.tolist() for days in stated] == [
        [["2026-11-22", 7, 2]],
        [["2027-01-08", 8, 1]],
    ]


def test_tickets_held_back_by_an_open_transaction_are_waiting(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They used to be stated nowhere, and the gaps among them as proven absent."""
    shop.baseline()
    shop.till.ring(1)
    shop.export()
    if shop.till.engine.dialect.name == "sqlite":  # as if a writer were open that began before ticket 3
        bound = shop.head().position.resume.rowversion + 1
        monkeypatch.setattr(store_session, "read_bound", lambda connection: bound)
    with shop.till.engine.connect() as forgotten:
        if shop.till.engine.dialect.name != "sqlite":
            shop.till.header(forgotten, 2, "10.00")
        shop.till.ring(3)
        shop.till.ring(5)
        report = state(shop)
        forgotten.rollback()

    numbers = shop.read(shop.manifests("statement")[0])["numbers"]
    assert numbers[["first_number", "last_number", "state"]].values.tolist() == [
        [1, 1, "present"],
        [2, 5, "waiting"],
    ]
    assert (report.tickets, report.held_back, report.waiting, report.absent) == (1, 2, 4, 0)
    assert "S1/statement: 2 tickets are held back, the oldest is 3" in caplog.text


def test_deposits_and_open_orders_are_those_that_were_exported(shop: Shop) -> None:
    shop.till.place_order(70, deposit="50.00")
    shop.till.place_order(71, deposit="4.00")
    shop.till.cancel_order(71, refund="4.00")
    shop.baseline()
    shop.till.ring(1)
    shop.till.pay_deposit(70, "10.00")
    shop.till.place_order(72, [(1, 3.0, "10.00")], deposit="5.00")
    shop.till.place_order(73, order_type=QUOTE, deposit="9.00")
    shop.till.place_order(74, order_type=BACKORDER)
    shop.till.pick_up(72, 2, 1.0, used="2.50", time=at("2026-11-24T09:00:00"))
    shop.till.place_order(75, deposit="1.00")
    shop.till.cancel_order(75, refund="1.00")
    exported = shop.export()

    report = state(shop)

    frames = shop.read(shop.manifests("statement")[0])
    assert frames["deposits"].drop(columns="store").values.tolist() == [
        ["2026-11-23", 7, 4, 150_000, 150_000],
        ["2026-11-24", 7, 1, -25_000, 0],
    ]
    assert (report.deposits, report.open_orders, report.waiting) == (125_000, 3, 0)
    assert exported.deposits == report.deposits + 500_000  # what order 70 held before the baseline
    stated = frames["open_orders"]
    columns = ["number", "order_type", "on_order", "taken", "deposit"]
    assert stated[columns].values.tolist() == [
        [70, 5, 10_000, 0, 600_000],
        [72, 5, 20_000, 10_000, 25_000],
        [74, 4, 10_000, 0, 0],
    ]
    published = shop.read(shop.manifests()[-1])["orders"].set_index("number")
    same = ["epoch", "source", "revision", "rowversion"]
    assert published.loc[[70, 72, 74], same].values.tolist() == stated[same].values.tolist()


def test_an_order_that_no_export_has_published_or_that_moved_since_is_waiting(
    small_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (70, 71, 72, 73):
        small_shop.till.place_order(number, deposit="1.00")
    small_shop.baseline()
    before = state(small_shop)
    small_shop.export()
    small_shop.till.ring(1)
    small_shop.till.pay_deposit(73, "3.00")
    small_shop.export()

    def read_and_change(session: store_session.StoreSession) -> tuple[int, int]:
        bounds = store_session.read_bounds(session)
        small_shop.till.pay_deposit(71, "2.00")
        small_shop.till.cancel_order(72)
        return bounds

    monkeypatch.setattr(stating, "read_bounds", read_and_change)
    report = state(small_shop)

    assert (before.open_orders, before.waiting) == (0, 4)
    frames = small_shop.read(small_shop.manifests("statement")[-1])
    assert frames["open_orders"]["number"].tolist() == [70, 73]
    waiting = frames["numbers"][frames["numbers"]["source"] == "order"]
    assert waiting[["first_number", "last_number", "state"]].values.tolist() == [
        [71, 71, "waiting"],
        [72, 72, "waiting"],
    ]
    assert (report.open_orders, report.waiting, report.deposits) == (2, 2, 30_000)


def test_deposits_are_cut_to_the_days_of_the_tickets(shop: Shop) -> None:
    shop.baseline()
    shop.till.place_order(70)
    for number, day in enumerate(("10-01", "11-21", "11-22"), start=1):
        shop.till.ring(number, time=at(f"2026-{day}T09:00:00"))
    for day in ("10-01", "11-20", "11-21"):
        shop.till.pay_deposit(70, "1.00", time=at(f"2026-{day}T09:00:00"))
    shop.export()

    report = state(shop, days=2)

    deposits = shop.read(shop.manifests("statement")[0])["deposits"]
    assert deposits["business_date"].tolist() == ["2026-11-21"]
    assert (report.deposits, report.tickets, report.open_orders) == (10_000, 2, 1)
    assert state(shop, days=None).deposits == 30_000


def test_a_deposit_counts_for_the_opening_of_its_z_batch_where_tickets_do(shop: Shop) -> None:
    shop.configure(business_date="z_batch")
    shop.baseline()
    shop.till.ring(1)
    shop.till.place_order(70)
    shop.till.pay_deposit(70, "1.00", time=at("2026-12-30T09:00:00"))  # Z batch 7, opened on the 22nd
    shop.export()

    state(shop, days=1)

    deposits = shop.read(shop.manifests("statement")[0])["deposits"]
    assert deposits["business_date"].tolist() == ["2026-11-22"]


def test_a_dry_run_publishes_nothing(small_shop: Shop) -> None:
    small_shop.baseline()
    small_shop.till.ring(1)

    report = state(small_shop, dry_run=True)

    assert (report.batch, report.tickets) == (None, 1)
    assert small_shop.folder.list("S1/statement") == []


def test_a_store_without_a_baseline_has_nothing_to_state(small_shop: Shop) -> None:
    with pytest.raises(NotBaselined):
        state(small_shop)
