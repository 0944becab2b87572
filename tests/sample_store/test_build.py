from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, MetaData, create_engine, inspect, select, text

from data_contracts.errors import ConfigurationError, StoreUnavailable
from deployments.sample_store.build import build_store
from deployments.sample_store.bulk import build_large
from deployments.sample_store.catalog import collect_items
from deployments.sample_store.marker import marker_metadata, sample_engine
from deployments.sample_store.store import SampleStore
from deployments.sample_store.tickets import Invoice
from deployments.sample_store.till import run_till
from tasks.rms import tables as rms


def contents(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table."""
    engine = create_engine(url)
    found = MetaData()
    with engine.connect() as connection:
        found.reflect(connection)
        rows = {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in found.sorted_tables
        }
    engine.dispose()
    return rows


@pytest.fixture
def engine(any_url: str) -> Iterator[Engine]:
    engine = create_engine(any_url)
    yield engine
    engine.dispose()


def test_built_store_is_set_up_and_has_no_ticket_yet(
    any_url: str, engine: Engine, short_invoices: list[Invoice]
) -> None:
    report = build_store(any_url, store_id=4, invoices=short_invoices, seed=1, registers=3)

    with engine.connect() as connection:
        assert connection.execute(select(rms.transaction.c.Total)).all() == []
        shop = rms.configuration.c
        assert connection.execute(select(shop.StoreID, shop.TaxSystem)).tuples().all() == [(4, 1)]
        assert connection.execute(select(rms.tender.c.Code)).scalars().all() == [
            *("CASH", "CARD", "CHECK", "VOUCHER")
        ]
        assert connection.execute(select(rms.register.c.Number)).scalars().all() == [1, 2, 3]
        assert connection.execute(select(rms.tax.c.Percentage)).scalars().all() == [20.0]
        items = connection.execute(select(rms.item.c.ID)).all()
        aliases = connection.execute(select(rms.alias.c.ItemID)).scalars().all()
        assert connection.execute(select(rms.store.c.Name)).all() == []
    assert (report.items, report.aliases, report.registers) == (len(items), len(aliases), 3)
    assert report.invoices == len(short_invoices)
    assert set(aliases) <= {row[0] for row in items}


def test_items_of_all_invoices_are_in_every_store_with_long_names_kept(
    shop_url: str, invoices: list[Invoice]
) -> None:
    build_store(shop_url, store_id=1, invoices=invoices[:5], all_invoices=invoices, seed=1)

    engine = create_engine(shop_url)
    item = rms.item.c
    with engine.connect() as connection:
        rows = connection.execute(
            select(item.ItemLookupCode, item.Description, item.ExtendedDescription, item.Price, item.Quantity)
        ).all()
    engine.dispose()
    names = {found.sku: found.name for found in collect_items(invoices)}
    assert len(rows) == 2_525
    for sku, description, extended, _, quantity in rows:
        assert description == names[sku][:30]
        assert extended == (names[sku] if len(names[sku]) > 30 else "")
        assert quantity == int(quantity) >= 0
    assert sum(bool(row.ExtendedDescription) for row in rows) > 500
    assert next(row.Price for row in rows if row.ItemLookupCode == "71053") == 33_900


def test_foreign_database_is_refused_and_left_alone(any_url: str, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text('CREATE TABLE "Transaction" (a integer)'))

    with pytest.raises(ConfigurationError, match="neither empty nor a sample store"):
        build_store(any_url, store_id=1, invoices=[], seed=1)
    with pytest.raises(ConfigurationError, match="neither empty nor a sample store"):
        build_large(any_url, lines=10, seed=1)
    with pytest.raises(ConfigurationError, match="is not a sample store"):
        SampleStore.open(any_url)
    with pytest.raises(ConfigurationError, match="is not a sample store"):
        run_till(any_url, 1, 1, max_tickets=1)

    assert inspect(engine).get_table_names() == ["Transaction"]


def test_opening_a_file_that_is_not_there_leaves_none_behind(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is not a sample store"):
        SampleStore.open(f"sqlite:///{tmp_path / 'typo.db'}")

    assert list(tmp_path.iterdir()) == []


def test_error_for_a_foreign_database_names_no_password() -> None:
    with pytest.raises(StoreUnavailable) as caught:
        build_store(
            "postgresql+psycopg://u:sesame@127.0.0.1:1/rms?connect_timeout=2",
            store_id=1,
            invoices=[],
            seed=1,
        )

    assert "sesame" not in str(caught.value)


def test_a_sample_store_on_sql_server_that_cannot_be_had_says_why() -> None:
    pytest.importorskip("pyodbc", reason="no unixODBC on this machine", exc_type=ImportError)
    away = "mssql+pyodbc://u:sesame@127.0.0.1:1/rms?driver=FreeTDS"
    kinds: dict[str, type[Exception]] = {
        away: StoreUnavailable,
        away.replace("FreeTDS", "No+Such+Driver"): ConfigurationError,
        away.partition("?")[0]: ConfigurationError,
    }
    for url, kind in kinds.items():
        with pytest.raises(kind) as caught:
            build_store(url, store_id=1, invoices=[], seed=1)
        assert "sesame" not in str(caught.value)


def test_database_of_ours_is_built_anew(any_url: str, engine: Engine, short_invoices: list[Invoice]) -> None:
    build_store(any_url, store_id=1, invoices=short_invoices, seed=1)
    with SampleStore.open(any_url) as store:
        store.ring_next(3)

    build_store(any_url, store_id=2, invoices=short_invoices[:40], seed=2)

    with engine.connect() as connection:
        assert connection.execute(select(rms.transaction.c.Total)).all() == []
        assert connection.execute(select(rms.configuration.c.StoreID)).scalars().all() == [2]
    with SampleStore.open(any_url) as store:
        assert store.ring_next(1)[0].number == 1


def test_same_seed_and_invoices_give_the_same_database_whatever_the_steps(
    tmp_path: Path, short_invoices: list[Invoice]
) -> None:
    invoices = short_invoices[:150]
    one, two, three = (f"sqlite:///{tmp_path / name}.db" for name in ("one", "two", "three"))
    for url, seed in ((one, 5), (two, 5), (three, 6)):
        build_store(url, store_id=1, invoices=invoices, seed=seed)
        with SampleStore.open(url) as store:
            store.write_history(20, open_orders=2)
            if url == two:
                store.ring_next(7)
                store.ring_next(1)
            store.ring_day(invoices[-1].time.date())
            store.ring_unknown_item()

    assert contents(one) == contents(two)
    assert contents(one) != contents(three)


def test_no_names_of_ours_collide_with_those_of_rms() -> None:
    assert not set(marker_metadata.tables) & set(rms.metadata.tables)


def test_reader_of_a_sample_file_does_not_wait_for_its_till(
    shop_url: str, short_invoices: list[Invoice]
) -> None:
    """In SQLite's default journal an open reader stops the till's commit."""
    build_store(shop_url, store_id=1, invoices=short_invoices[:20], seed=1)
    file = shop_url.removeprefix("sqlite:///")

    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as reader:
        reader.execute("BEGIN")
        before = reader.execute('SELECT count(*) FROM "Transaction"').fetchone()
        with SampleStore.open(shop_url) as store:
            store.ring_sale([(short_invoices[0].lines[0].code, 1)])

        assert reader.execute('SELECT count(*) FROM "Transaction"').fetchone() == before == (0,)


def test_sample_engine_waits_for_other_writers(shop_url: str) -> None:
    engine = sample_engine(shop_url)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 30_000
    engine.dispose()
