from __future__ import annotations

import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, make_url, text

from data_contracts.errors import ConfigurationError, ContractBroken, HubUnavailable, SchemaMismatch
from tasks import faults
from tasks.hub.bulk import load
from tasks.hub.database import SCHEMA_REVISION, Hub, migrate, open_hub, schema_version
from tasks.hub.schema import metadata, products
from tests.documents import make_ticket
from tests.hub.servers import only_on_postgresql
from tests.hub.world import World


def test_migrated_schema_is_the_one_the_program_works_with(hub: Hub) -> None:
    with hub.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})

        assert compare_metadata(context, metadata) == []


def test_migrating_twice_changes_nothing(hub_url: str) -> None:
    assert schema_version(hub_url) is None
    assert migrate(hub_url) == SCHEMA_REVISION
    assert migrate(hub_url) == SCHEMA_REVISION
    assert schema_version(hub_url) == SCHEMA_REVISION


def test_hub_without_tables_is_refused_and_the_command_named(hub_url: str) -> None:
    with pytest.raises(SchemaMismatch, match="has no tables yet") as caught:
        open_hub(hub_url)

    assert caught.value.next_step == "run `tillbridge migrate`"


@pytest.mark.parametrize(("found", "message"), [("0000", "older than"), ("0999", "newer than")])
def test_older_and_newer_hubs_are_told_apart(hub: Hub, hub_url: str, found: str, message: str) -> None:
    with hub.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :v"), {"v": found})

    with pytest.raises(SchemaMismatch, match=message):
        open_hub(hub_url)


def test_newer_hub_is_never_migrated(hub: Hub, hub_url: str) -> None:
    with hub.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))

    with pytest.raises(SchemaMismatch, match="newer than"):
        migrate(hub_url)


def test_unreachable_hub_is_transient_and_names_no_password() -> None:
    with pytest.raises(HubUnavailable) as caught:
        open_hub("postgresql+psycopg://u:sesame@127.0.0.1:1/hub?connect_timeout=2")

    assert caught.value.transient
    assert "sesame" not in f"{caught.value!s}{caught.value.__cause__!s}"


def test_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("Not a hub. " * 500, encoding="utf-8")

    with pytest.raises(SchemaMismatch, match=r"notes\.txt is no SQLite database"):
        open_hub(f"sqlite:///{tmp_path / 'notes.txt'}")


@only_on_postgresql
def test_value_that_no_column_holds_is_refused_without_showing_it(hub: Hub) -> None:
    columns = ("sku_key", "sku", "name", "upc", "price", "item_type", "active")

    with pytest.raises(ContractBroken, match="cannot hold a value") as caught, hub.writing() as connection:
        load(connection, products, columns, [("A", "A", "", "", 10**25, 0, True)])
    assert "1000000" not in str(caught.value)


def test_other_databases_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="mssql"):
        open_hub("mssql+pyodbc://u:p@host/hub")


def test_sqlite_hub_that_another_program_holds_is_transient(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/hub.db"
    migrate(url)
    monkeypatch.setattr("tasks.hub.database.BUSY_SECONDS", 0)
    holder = create_engine(url)
    with holder.connect() as connection, open_hub(url) as hub:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

        with pytest.raises(HubUnavailable), hub.writing():
            pass
        connection.rollback()
    holder.dispose()
    assert threading.active_count() >= 1


@only_on_postgresql
@pytest.mark.parametrize("wrong", ["nobody:sesame@{host}/{database}", "{user}@{host}/no_such_database"])
def test_server_that_refuses_the_connection_is_no_matter_of_migrations(hub_url: str, wrong: str) -> None:
    """Both were told to run `tillbridge migrate`."""
    url = make_url(hub_url)
    place = f"{url.host}:{url.port or 5432}"
    target = wrong.format(user=url.username, host=place, database=url.database)

    with pytest.raises(ConfigurationError, match="refuses the connection") as caught:
        open_hub(f"postgresql+psycopg://{target}")
    assert "sesame" not in str(caught.value)


@only_on_postgresql
@pytest.mark.parametrize("name", ["hub.ledger.movements", "hub.import.booked", "hub.import.before_commit"])
def test_connection_lost_on_the_way_is_transient_and_leaves_nothing(
    world: World, hub_url: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within COPY the driver's own error came through, which nobody took for one to try again."""
    seen: list[int] = []

    def cut(point: str) -> None:
        if point == name and not seen:
            with open_hub(hub_url) as other, other.reading() as connection:
                busy = text(
                    "SELECT pg_terminate_backend(l.pid) FROM pg_locks l WHERE l.pid <> pg_backend_pid() "
                    "AND l.relation = 'stores'::regclass AND l.mode = 'RowShareLock'"
                )
                seen.append(len(connection.execute(busy).all()))

    monkeypatch.setattr(faults, "hook", cut)
    with pytest.raises(HubUnavailable):
        world.orders(make_ticket(1))
    assert seen == [1]

    outcome = world.orders(make_ticket(1))

    assert (outcome.accepted, outcome.already) == (1, False)
    assert world.stock() == {("W1", "SKU-1"): "-1.00"}


def test_two_programs_may_migrate_at_once(hub_url: str) -> None:
    failed: list[BaseException] = []

    def run() -> None:
        try:
            migrate(hub_url)
        except BaseException as error:  # noqa: BLE001 - a thread's failure is told by the test
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    assert schema_version(hub_url) == SCHEMA_REVISION
