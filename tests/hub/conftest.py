from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.hub.database import open_hub
from tests.conftest import postgresql_database
from tests.hub.world import World


@pytest.fixture(scope="session")
def ready_file(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite hub with catalogue and baselines, to be copied."""
    folder = tmp_path_factory.mktemp("ready")
    shutil.copy(migrated_file, folder / "hub.db")
    with open_hub(f"sqlite:///{folder / 'hub.db'}") as hub:
        World(hub, folder).ready()
    return folder / "hub.db"


@pytest.fixture(scope="session")
def ready_database(migrated_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same on PostgreSQL."""
    with postgresql_database(migrated_database) as url:
        with open_hub(url) as hub:
            World(hub, tmp_path_factory.mktemp("ready")).ready()
        yield url


@pytest.fixture
def world(hub_url: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A hub with a catalogue of SKU-1 to SKU-3 and baselines of S1 and S2."""
    if hub_url.startswith("sqlite"):
        shutil.copy(request.getfixturevalue("ready_file"), hub_url.removeprefix("sqlite:///"))
    with open_hub(hub_url) as hub:
        yield World(hub, tmp_path)
