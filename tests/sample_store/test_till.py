from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import create_engine, select

from data_contracts.errors import ConfigurationError
from deployments.sample_store.build import build_store
from deployments.sample_store.store import Rung, SampleStore
from deployments.sample_store.tickets import Invoice
from deployments.sample_store.till import run_till, tickets_among
from tasks.rms import tables as rms


def test_till_rings_sales_returns_and_voids_as_of_now_in_the_stores_zone(
    shop_url: str, short_invoices: list[Invoice]
) -> None:
    build_store(shop_url, store_id=1, invoices=short_invoices[:50], seed=1)
    rungs: list[Rung] = []

    counts = run_till(
        shop_url, 100_000, 1, max_tickets=60, time_zone="Pacific/Auckland", on_ticket=rungs.append
    )

    assert counts.total() == len(rungs)
    assert tickets_among(counts) == 60
    assert {"sale", "return", "void"} <= set(counts)
    assert [rung.number for rung in rungs if rung.is_ticket] == list(range(1, 61))
    now = datetime.now(ZoneInfo("Pacific/Auckland")).replace(tzinfo=None)
    engine = create_engine(shop_url)
    with engine.connect() as connection:
        times = connection.execute(select(rms.transaction.c.Time)).scalars().all()
    engine.dispose()
    assert all(timedelta(minutes=-1) < now - time < timedelta(minutes=1) for time in times)


def test_till_opens_orders_and_lets_its_own_run_their_course(
    any_url: str, short_invoices: list[Invoice]
) -> None:
    build_store(any_url, store_id=1, invoices=short_invoices[:50], seed=1)

    counts = run_till(any_url, 1_000_000, 3, max_tickets=250)

    assert {"layaway", "backorder", "deposit", "pickup", "cancelled"} <= set(counts)
    with SampleStore.open(any_url) as store:
        still_open = store.open_orders()
        assert still_open == [order for order in still_open if any(line.on_order for line in order.lines)]
        closed = counts["layaway"] + counts["backorder"] - len(still_open)
        assert 0 < closed <= counts["pickup"] + counts["cancelled"]


def test_till_keeps_its_rate_and_stops_when_told(shop_url: str, short_invoices: list[Invoice]) -> None:
    build_store(shop_url, store_id=1, invoices=short_invoices[:20], seed=1)
    rungs: list[Rung] = []

    counts = run_till(shop_url, 1_200, 1, stop=lambda: len(rungs) == 4, on_ticket=rungs.append)

    assert counts.total() == 4


@pytest.mark.parametrize(("rate", "max_tickets"), [(0, 1), (-1, 1), (1, None)])
def test_till_without_rate_or_end_is_refused(rate: float, max_tickets: int | None) -> None:
    with pytest.raises(ConfigurationError, match="cannot run"):
        run_till("sqlite://", rate, 1, max_tickets=max_tickets)
