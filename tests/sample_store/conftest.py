"""A shop of short real invoices, its script rung to the end once for all tests that only look at it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine

from deployments.sample_store.build import BuildReport, build_store
from deployments.sample_store.store import Rung, SampleStore
from deployments.sample_store.tickets import Invoice, read_invoices
from tests.rms_database import RMS_VARIABLE, rms_url


@pytest.fixture(scope="session")
def invoices() -> list[Invoice]:
    """The shipped slice."""
    return read_invoices()


@pytest.fixture(scope="session")
def short_invoices(invoices: list[Invoice]) -> list[Invoice]:
    """Its invoices of at most six lines: quick to ring, all kinds among them."""
    return [invoice for invoice in invoices if len(invoice.lines) <= 6]


@dataclass(frozen=True)
class RungShop:
    url: str
    report: BuildReport
    rungs: list[Rung]
    engine: Engine


@pytest.fixture(scope="session")
def rung_shop(tmp_path_factory: pytest.TempPathFactory, short_invoices: list[Invoice]) -> Iterator[RungShop]:
    """A shop with its script rung to the end. For reading only."""
    url = f"sqlite:///{tmp_path_factory.mktemp('shop') / 'rms.db'}"
    report = build_store(url, store_id=4, invoices=short_invoices, seed=1)
    with SampleStore.open(url) as store:
        rungs = store.ring_day(store.days()[-1])
    engine = create_engine(url)
    yield RungShop(url, report, rungs, engine)
    engine.dispose()


@pytest.fixture
def rms_rows(rung_shop: RungShop) -> Iterator[Connection]:
    """A connection to the rung shop."""
    with rung_shop.engine.connect() as connection:
        yield connection


@pytest.fixture
def shop_url(tmp_path: Path) -> str:
    """URL of an SQLite database that is not there yet."""
    return f"sqlite:///{tmp_path / 'rms.db'}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def any_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of an empty database: SQLite, and the server that is named."""
    with rms_url(request.param, tmp_path) as url:
        if url is None:
            pytest.skip(f"{RMS_VARIABLE} names no server")
        yield url
