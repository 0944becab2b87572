"""Fixtures shared by all tests: a fresh hub on SQLite and, where a server is named, on PostgreSQL."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tasks.hub.database import Hub, migrate, open_hub

HUB_VARIABLE = "TILLBRIDGE_TEST_HUB_URL"
NO_SKIPS_VARIABLE = "TILLBRIDGE_TEST_NO_SKIPS"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where everything is there (CI), a test that was skipped is a test that was not run: a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:  # a worker of several: the first process counts
        return
    skipped = reporter.stats.get("skipped", [])
    if os.environ.get(NO_SKIPS_VARIABLE) and skipped:
        reporter.write_line(f"{NO_SKIPS_VARIABLE} is set and {len(skipped)} tests were skipped", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def hub_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of an empty database of this test alone."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'hub.db'}"
        return
    server = os.environ.get(HUB_VARIABLE)
    if not server:
        pytest.skip(f"{HUB_VARIABLE} names no PostgreSQL server")
    schema = f"tb_{uuid.uuid4().hex[:12]}"
    engine = create_engine(server)
    try:
        with engine.begin() as connection:
            connection.execute(text(f"CREATE SCHEMA {schema}"))
        joint = "&" if "?" in server else "?"
        yield f"{server}{joint}options=-csearch_path%3D{schema}"
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"DROP SCHEMA IF EXISTS {schema} CASCADE"))
        engine.dispose()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite hub to be copied: much faster than migrating for every test."""
    file = tmp_path_factory.mktemp("hub") / "hub.db"
    migrate(f"sqlite:///{file}")
    engine = create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    engine.dispose()
    return file


@pytest.fixture
def hub(hub_url: str, migrated_file: Path) -> Iterator[Hub]:
    """A migrated, empty hub."""
    if hub_url.startswith("sqlite"):
        shutil.copy(migrated_file, hub_url.removeprefix("sqlite:///"))
    else:
        migrate(hub_url)
    with open_hub(hub_url) as opened:
        yield opened
