"""Fixtures shared by all tests: a fresh hub on SQLite and, where a server is named, on PostgreSQL."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, make_url, text

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
    """URL of a database of this test alone: empty, or on PostgreSQL a copy of what `hub` or `world` need."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'hub.db'}"
        return
    if not os.environ.get(HUB_VARIABLE):
        pytest.skip(f"{HUB_VARIABLE} names no PostgreSQL server")
    template = None
    for fixture, of_fixture in (("world", "ready_database"), ("hub", "migrated_database")):
        if template is None and fixture in request.fixturenames:
            template = request.getfixturevalue(of_fixture)
    with postgresql_database(template) as url:
        yield url


@contextmanager
def postgresql_database(template: str | None = None) -> Iterator[str]:
    """URL of a database that is dropped again; copying one (a URL) takes a tenth of migrating it."""
    server = make_url(os.environ[HUB_VARIABLE])
    name = f"tb_{uuid.uuid4().hex[:12]}"
    copied = f"TEMPLATE {make_url(template).database}" if template is not None else ""
    engine = create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} {copied}"))
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def migrated_database() -> Iterator[str]:
    """A migrated hub on PostgreSQL, to be copied; nothing may be connected to it."""
    with postgresql_database() as url:
        migrate(url)
        yield url


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
def hub(hub_url: str, request: pytest.FixtureRequest) -> Iterator[Hub]:
    """A migrated, empty hub."""
    if hub_url.startswith("sqlite"):
        shutil.copy(request.getfixturevalue("migrated_file"), hub_url.removeprefix("sqlite:///"))
    with open_hub(hub_url) as opened:
        yield opened
