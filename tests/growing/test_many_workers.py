"""Twenty stores, two servers, two workers, one of which dies in the middle of its work."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import create_engine, text

from tasks.use_cases.arrivals import find_waiting
from tasks.use_cases.exporting import export_orders
from tasks.use_cases.reconciling import reconcile_stores
from tasks.use_cases.stating import publish_statement
from tests.databases import Server
from tests.growing.estate import Estate, running_estate, wait_for
from tests.scenarios.installation import Installation, in_hub, install, on_hand

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.prefect_server]

REDIS_VARIABLE = "TILLBRIDGE_TEST_REDIS_URL"
CODES = tuple(f"S{number:02}" for number in range(1, 21))
TICKETS = 3
"""Entries of its script that each store rings."""


@pytest.fixture
def redis_url() -> Iterator[str]:
    """The database of a Redis server, empty before and after; one that holds anything is left alone."""
    url = os.environ.get(REDIS_VARIABLE)
    if not url:
        pytest.skip(f"{REDIS_VARIABLE} names no Redis server")
    with Redis.from_url(url) as redis:
        assert redis.dbsize() == 0, f"{REDIS_VARIABLE} names a database that is not empty"
        try:
            yield url
        finally:
            redis.flushdb()


@pytest.fixture
def shops(tmp_path: Path, postgres_server: Server) -> Iterator[Installation]:
    """Twenty stores that are live and have published tickets and a statement; the hub on PostgreSQL."""
    with postgres_server.database() as hub_url:
        chain = install(tmp_path, hub_url, invoices=100, history=2, codes=CODES)
        chain.go_live()
        chain.ring_all(TICKETS)
        for code in CODES:
            export_orders(chain.settings, code)
            publish_statement(chain.settings, code, days=None)
        yield chain


@pytest.fixture
def estate(shops: Installation, postgres_server: Server, redis_url: str, tmp_path: Path) -> Iterator[Estate]:
    """Two servers on a database of their own, with a pool and a deployment of the import for each worker."""
    with (
        postgres_server.database() as database,
        running_estate(tmp_path / "estate", tmp_path / "tillbridge.toml", database, redis_url) as running,
    ):
        running.run("-m", "tests.growing.register")
        yield running


def test_a_worker_that_dies_mid_import_costs_nothing_and_twenty_stores_end_imported_once(
    shops: Installation, estate: Estate
) -> None:
    """The runs of the dead worker are never heard of again; the next run imports what they left."""
    rung = {code: _rung(shops, code) for code in CODES}
    waiting = find_waiting(shops.settings)
    batches = sorted(ref.path for refs in waiting.values() for ref in refs)
    assert len(batches) == 2 * len(CODES)

    # While this lock is held no import can commit; those of the south are killed before it goes.
    with _holding_up_imports(shops) as blocked:
        lasting = estate.start_imports("north", CODES[::2], server=0)
        dying = estate.start_imports("south", CODES[1::2], server=1)
        estate.start_worker("north", server=0)
        estate.start_worker("south", server=1)
        wait_for(lambda: "south" in blocked(), 300)
        # The worker and what it started: at least one run, all done but the last statement and the commit.
        assert estate.kill("worker-south") >= 2
    wait_for(lambda: estate.states(lasting) == {"COMPLETED"}, 900)

    # One run for all, asked for at the other server, takes what the dead worker left.
    assert find_waiting(shops.settings).keys() == set(CODES[1::2])
    assert "COMPLETED" not in estate.states(dying)
    last = estate.start_imports("north", (), server=1)
    wait_for(lambda: estate.states(last) == {"COMPLETED"}, 300)

    assert find_waiting(shops.settings) == {}
    imported = shops.ask("SELECT path, state FROM batches WHERE stream <> 'baseline' ORDER BY path")
    assert imported == [(path, "accepted") for path in batches]
    booked = dict(shops.ask("SELECT store, count(*) FROM reporting_tickets GROUP BY store"))
    assert booked == rung
    assert all(in_hub(shops, code) == on_hand(shops, code) for code in CODES)
    gaps = "SELECT store FROM events GROUP BY store HAVING count(*) <> max(number)"
    assert shops.ask(gaps) == []
    proven = reconcile_stores(shops.settings)
    assert proven.sentence.startswith(f"0 unexplained: {sum(rung.values())} tickets, ")

    # What a worker told one server went through Redis to the services, and the other server knows it.
    wait_for(lambda: {*lasting, *last} <= estate.heard_of(server=1), 60)


def _rung(shops: Installation, code: str) -> int:
    ((count,),) = shops.ask_rms(code, 'SELECT count(*) FROM "Transaction" WHERE TransactionNumber > 2')
    return int(count)


@contextlib.contextmanager
def _holding_up_imports(shops: Installation) -> Iterator[Callable[[], set[str]]]:
    """No batch can be recorded meanwhile; yields a question for the names of who waits to do so."""
    waiting = text(
        "SELECT application_name FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
        "AND datname = current_database()"
    )
    engine = create_engine(shops.settings.hub_url)
    try:
        with engine.connect() as holding, engine.connect() as asking:
            # Within one transaction the answer would stay what it was.
            asking = asking.execution_options(isolation_level="AUTOCOMMIT")
            holding.execute(text("LOCK TABLE batches IN SHARE MODE"))
            yield lambda: set(asking.execute(waiting).scalars())
    finally:
        engine.dispose()
