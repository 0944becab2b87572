from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import create_engine, select

from data_contracts.errors import ConfigurationError
from deployments.sample_store.build import build_store
from deployments.sample_store.store import Rung
from deployments.sample_store.tickets import Invoice
from deployments.sample_store.till import run_till
from tasks.rms import tables as rms


def test_till_rings_sales_returns_and_voids_as_of_now_in_the_stores_zone(
    shop_url: str, short_invoices: list[Invoice]
) -> None:
    build_store(shop_url, store_id=1, invoices=short_invoices[:50], seed=1)
    rungs: list[Rung] = []

    counts = run_till(
        shop_url, 100_000, 1, max_tickets=60, time_zone="Pacific/Auckland", on_ticket=rungs.append
    )

    assert counts.total() == len(rungs) == 60
    assert {"sale", "return", "void"} <= set(counts)
    assert [rung.number for rung in rungs] == list(range(1, 61))
    now = datetime.now(ZoneInfo("Pacific/Auckland")).replace(tzinfo=None)
    engine = create_engine(shop_url)
    with engine.connect() as connection:
        times = connection.execute(select(rms.transaction.c.Time)).scalars().all()
    engine.dispose()
    assert all(timedelta(minutes=-1) < now - time < timedelta(minutes=1) for time in times)


def test_till_keeps_its_rate_and_stops_when_told(shop_url: str, short_invoices: list[Invoice]) -> None:
    build_store(shop_url, store_id=1, invoices=short_invoices[:20], seed=1)
    rungs: list[Rung] = []

    counts = run_till(shop_url, 1_200, 1, stop=lambda: len(rungs) == 4, on_ticket=rungs.append)

    assert counts.total() == 4


@pytest.mark.parametrize(("rate", "max_tickets"), [(0, 1), (-1, 1), (1, None)])
def test_till_without_rate_or_end_is_refused(rate: float, max_tickets: int | None) -> None:
    with pytest.raises(ConfigurationError, match="cannot run"):
        run_till("sqlite://", rate, 1, max_tickets=max_tickets)
