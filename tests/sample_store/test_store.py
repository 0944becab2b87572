from __future__ import annotations

from collections import Counter
from datetime import date

import pytest
from sqlalchemy import Connection, func, select

from data_contracts.errors import ConfigurationError
from deployments.sample_store.build import build_store
from deployments.sample_store.store import SampleStore
from deployments.sample_store.tickets import Invoice, sum_of_lines
from tasks import faults
from tasks.rms import tables as rms
from tests.sample_store.conftest import RungShop

ticket, entry, tender = rms.transaction.c, rms.transaction_entry.c, rms.tender_entry.c
history = rms.order_history.c


def test_script_rings_every_kind_of_ticket_and_every_event_of_orders(
    rung_shop: RungShop, rms_rows: Connection
) -> None:
    kinds = Counter(rung.kind for rung in rung_shop.rungs)

    assert set(kinds) == {
        *("sale", "return", "exchange", "void", "pickup", "gap"),
        *("layaway", "backorder", "work_order", "quote"),
        *("deposit", "changed", "cancelled", "expired", "received"),
    }
    tickets = rms_rows.execute(select(func.count()).select_from(rms.transaction)).scalar_one()
    assert sum(rung.is_ticket for rung in rung_shop.rungs) == tickets
    assert sum(rung.late for rung in rung_shop.rungs) > 0
    assert len(rung_shop.rungs) == rung_shop.report.script


def test_money_of_all_tickets_is_that_of_the_invoices_and_of_what_was_mixed_in(
    rung_shop: RungShop, rms_rows: Connection, short_invoices: list[Invoice]
) -> None:
    mixed_in = {r.number for r in rung_shop.rungs if r.kind in ("void", "exchange")}
    recalled = select(ticket.TransactionNumber).where(ticket.RecallType.in_([1, 4]))
    mixed_in |= set(rms_rows.execute(recalled).scalars())

    totals = dict(rms_rows.execute(select(ticket.TransactionNumber, ticket.Total)).tuples().all())

    assert len(totals) - len(mixed_in) == len(short_invoices)
    assert sum(total for number, total in totals.items() if number not in mixed_in) == sum_of_lines(
        short_invoices
    )


def test_every_ticket_adds_up(rms_rows: Connection) -> None:
    """Prices include the tax: total = lines = tenders and deposit used, its tax is that of its lines."""
    headers = rms_rows.execute(select(ticket.TransactionNumber, ticket.Total, ticket.SalesTax)).all()
    lines: Counter[int] = Counter()
    taxes: Counter[int] = Counter()
    for number, quantity, price, tax in rms_rows.execute(
        select(entry.TransactionNumber, entry.Quantity, entry.Price, entry.SalesTax)
    ):
        lines[number] += int(quantity) * price
        taxes[number] += tax
    paid: Counter[int] = Counter()
    for number, amount in rms_rows.execute(select(tender.TransactionNumber, tender.Amount)):
        paid[number] += amount
    for number, delta in rms_rows.execute(select(history.TransactionNumber, history.DeltaDeposit)):
        paid[number] -= delta
    tax_entries = dict(
        rms_rows.execute(
            select(rms.tax_entry.c.TransactionNumber, func.sum(rms.tax_entry.c.Tax)).group_by(
                rms.tax_entry.c.TransactionNumber
            )
        )
        .tuples()
        .all()
    )

    for number, total, tax in headers:
        assert (lines[number], paid[number], taxes[number], tax_entries[number]) == (total, total, tax, tax)


def test_voids_mirror_the_ticket_they_name(rms_rows: Connection) -> None:
    voids = rms_rows.execute(
        select(ticket.TransactionNumber, ticket.RecallID).where(ticket.RecallType == 3)
    ).all()
    columns = select(entry.ItemID, entry.Quantity, entry.Price, entry.SalesTax).order_by(entry.ID)

    assert len(voids) > 3
    for number, voided in voids:
        mirror = rms_rows.execute(columns.where(entry.TransactionNumber == number)).all()
        original = rms_rows.execute(columns.where(entry.TransactionNumber == voided)).all()
        assert [(i, -q, p, -t) for i, q, p, t in mirror] == [tuple(row) for row in original]
        assert number > voided


def test_late_tickets_have_an_old_number_and_time_and_a_new_rowversion(
    rung_shop: RungShop, rms_rows: Connection
) -> None:
    for late in (rung for rung in rung_shop.rungs if rung.late):
        time, rowversion = rms_rows.execute(
            select(ticket.Time, ticket.DBTimeStamp).where(ticket.TransactionNumber == late.number)
        ).one()
        newer = rms_rows.execute(
            select(func.count(), func.max(ticket.Time)).where(
                ticket.TransactionNumber > late.number, ticket.DBTimeStamp < rowversion
            )
        ).one()

        assert newer[0] > 0
        assert newer[1] >= time


def test_gaps_that_nothing_fills_stay_empty(rung_shop: RungShop, rms_rows: Connection) -> None:
    burned = {number for number, kind, _ in rung_shop.rungs if kind == "gap"}
    filled = {rung.number for rung in rung_shop.rungs if rung.late}
    numbers = set(rms_rows.execute(select(ticket.TransactionNumber)).scalars())

    assert filled < burned
    assert burned & numbers == filled
    assert numbers | burned == set(range(1, max(numbers | burned) + 1))


def test_z_batches_hold_the_totals_of_their_tickets(rms_rows: Connection) -> None:
    batch = rms.batch.c
    sums = rms_rows.execute(
        select(ticket.BatchNumber, func.count(), func.sum(ticket.Total), func.sum(ticket.SalesTax)).group_by(
            ticket.BatchNumber
        )
    ).all()
    totals = rms_rows.execute(
        select(batch.BatchNumber, batch.CustomerCount, batch.SalesPlusTax, batch.Tax).where(
            batch.CustomerCount > 0
        )
    ).all()

    assert sorted(map(tuple, sums)) == sorted(map(tuple, totals))
    registers_and_days = rms_rows.execute(
        select(batch.RegisterID, func.date(batch.OpeningTime)).distinct()
    ).all()
    assert len(registers_and_days) == len(rms_rows.execute(select(batch.BatchNumber)).all())


def test_stock_is_what_it_was_less_what_was_sold_and_what_came_in(
    shop_url: str, short_invoices: list[Invoice]
) -> None:
    build_store(shop_url, store_id=1, invoices=short_invoices, seed=3)
    item = rms.item.c
    with SampleStore.open(shop_url) as store:
        with store.engine.connect() as connection:
            before = dict(connection.execute(select(item.ID, item.Quantity)).tuples().all())
        store.ring_day(store.days()[-1])
        with store.engine.connect() as connection:
            after = dict(connection.execute(select(item.ID, item.Quantity)).tuples().all())
            for item_id, kind, sold in connection.execute(
                select(entry.ItemID, entry.ItemType, func.sum(entry.Quantity)).group_by(
                    entry.ItemID, entry.ItemType
                )
            ):
                before[item_id] -= 0 if kind == 7 else sold
            received = rms.inventory_transfer_log.c
            for item_id, units in connection.execute(select(received.ItemID, received.Quantity)):
                before[item_id] += units

    assert after == before


def test_days_are_rung_one_after_the_other(shop_url: str, short_invoices: list[Invoice]) -> None:
    build_store(shop_url, store_id=1, invoices=short_invoices[:150], seed=3)
    with SampleStore.open(shop_url) as store:
        days = store.days()
        assert days[0] == date(2010, 12, 1)
        assert len(days) > 1

        store.ring_next(2)
        assert store.days() == days
        store.ring_day(days[0])

        assert store.days() == days[1:]
        assert store.ring_day(days[0]) == []
        with store.engine.connect() as connection:
            assert connection.execute(select(func.max(ticket.Time))).scalar_one().date() == days[0]


def test_ringing_a_day_rings_what_was_left_before_it(shop_url: str, short_invoices: list[Invoice]) -> None:
    build_store(shop_url, store_id=1, invoices=short_invoices[:150], seed=3)
    with SampleStore.open(shop_url) as store:
        rungs = store.ring_day(store.days()[-1])

        assert len(rungs) > 150
        assert store.days() == []


def test_history_lies_before_the_script(any_url: str, short_invoices: list[Invoice]) -> None:
    build_store(any_url, store_id=1, invoices=short_invoices[:50], seed=3)
    with SampleStore.open(any_url) as store:
        numbers = store.write_history(120)

        assert numbers == list(range(1, 121))
        assert store.open_orders() == []
        with store.engine.connect() as connection:
            latest = connection.execute(select(func.max(ticket.Time))).scalar_one()
            assert connection.execute(select(func.count(ticket.DBTimeStamp.distinct()))).scalar_one() == 120
        assert latest < short_invoices[0].time
        first = store.ring_next(1)[0]
        assert first.number == 121
        assert store.ring_void(120).kind == "void"
        with pytest.raises(ConfigurationError, match="without tickets"):
            store.write_history(5)


def test_history_may_leave_layaways_open_one_of_them_partly_picked_up(
    any_url: str, short_invoices: list[Invoice]
) -> None:
    build_store(any_url, store_id=1, invoices=short_invoices[:50], seed=3)
    with SampleStore.open(any_url) as store:
        numbers = store.write_history(120, open_orders=3)

        assert numbers == list(range(1, 121))
        left = store.open_orders()
        assert [(order.number, order.kind) for order in left] == [(n, "layaway") for n in (2, 3, 4)]
        assert [any(line.taken for line in order.lines) for order in left] == [False, True, False]
        assert all(order.deposit > 0 for order in left)
        assert store.read_order(1).closed
        with store.engine.connect() as connection:
            recalled = connection.execute(
                select(ticket.TransactionNumber, ticket.RecallID).where(ticket.RecallType == 4)
            ).all()
            counted = connection.execute(select(func.count()).select_from(rms.transaction)).scalar_one()
            first = connection.execute(
                select(func.min(ticket.Time)).where(ticket.RecallType == 0)
            ).scalar_one()
            opened = connection.execute(select(func.max(rms.order.c.LastUpdated))).scalar_one()
        assert [tuple(row) for row in recalled] == [(1, 1), (2, 3)]
        assert counted == 120
        assert opened < first
        assert store.ring_next(1)[0].number == 121


def test_history_too_short_for_the_pick_ups_of_its_orders_is_refused(
    shop_url: str, short_invoices: list[Invoice]
) -> None:
    build_store(shop_url, store_id=1, invoices=short_invoices[:20], seed=3)
    with SampleStore.open(shop_url) as store, pytest.raises(ConfigurationError, match="no room"):
        store.write_history(2, open_orders=2)


def test_ticket_cut_off_before_its_commit_leaves_nothing_and_is_rung_next_time(
    shop_url: str, short_invoices: list[Invoice], monkeypatch: pytest.MonkeyPatch
) -> None:
    build_store(shop_url, store_id=1, invoices=short_invoices[:5], seed=3)

    def cut(name: str) -> None:
        if name == "sample.ticket_written":
            raise ConnectionAbortedError

    with SampleStore.open(shop_url) as store:
        monkeypatch.setattr(faults, "hook", cut)
        with pytest.raises(ConnectionAbortedError):
            store.ring_next(1)
        with store.engine.connect() as connection:
            assert connection.execute(select(func.count()).select_from(rms.transaction)).scalar_one() == 0
        monkeypatch.setattr(faults, "hook", None)

        assert store.ring_next(1)[0].number == 1


def test_store_without_invoices_says_so(shop_url: str) -> None:
    build_store(shop_url, store_id=1, invoices=[], seed=3)
    with SampleStore.open(shop_url) as store:
        assert store.days() == []
        with pytest.raises(ConfigurationError, match="empty script"):
            store.write_history(5)
