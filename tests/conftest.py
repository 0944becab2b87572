"""Fixtures shared by all tests: a fresh hub on SQLite and, where a server is named, on PostgreSQL."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from sqlalchemy import create_engine, text

from tasks.hub.database import Hub, migrate, open_hub
from tests.databases import Server
from tests.hub.world import make_ready

HUB_VARIABLE = "TILLBRIDGE_TEST_HUB_URL"
NO_SKIPS_VARIABLE = "TILLBRIDGE_TEST_NO_SKIPS"

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where everything is there (CI), a test that was skipped is a test that was not run: a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:  # a worker of several: the first process counts
        return
    skipped = reporter.stats.get("skipped", [])
    if os.environ.get(NO_SKIPS_VARIABLE) and skipped:
        reporter.write_line(f"{NO_SKIPS_VARIABLE} is set and {len(skipped)} tests were skipped", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What runs on both databases is a slow test on PostgreSQL; what is for PostgreSQL alone is not."""
    for item in items:
        given = getattr(item, "callspec", None)
        chosen = any(mark.args[0] == "hub_url" for mark in item.iter_markers("parametrize"))
        if given is not None and given.params.get("hub_url") == "postgresql" and not chosen:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """The PostgreSQL server of the tests; skips where none is named."""
    url = os.environ.get(HUB_VARIABLE)
    if not url:
        pytest.skip(f"{HUB_VARIABLE} names no PostgreSQL server")
    server = Server(url)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def hub_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database of this test alone: filled as the test's `hub` or `world` needs it, else empty."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'hub.db'}"
        return
    server: Server = request.getfixturevalue("postgres_server")
    fills: dict[str, Callable[[str], object]] = {"world": make_ready, "hub": migrate}
    kind = next((name for name in fills if name in request.fixturenames), None)
    if kind is not None:
        with server.copy_of(kind, fills[kind]) as copied:
            yield copied
    else:
        with server.schema() as empty:
            yield empty


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
    with open_hub(hub_url) as opened:
        yield opened
