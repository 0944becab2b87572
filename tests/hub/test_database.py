from __future__ import annotations

import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from data_contracts.errors import ConfigurationError, HubUnavailable, SchemaMismatch
from tasks.hub.database import Hub, migrate, open_hub, schema_version
from tasks.hub.schema import metadata


def test_migrated_schema_is_the_one_the_program_works_with(hub: Hub) -> None:
    with hub.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})

        assert compare_metadata(context, metadata) == []


def test_migrating_twice_changes_nothing(hub_url: str) -> None:
    assert schema_version(hub_url) is None
    assert migrate(hub_url) == "0001"
    assert migrate(hub_url) == "0001"
    assert schema_version(hub_url) == "0001"


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
