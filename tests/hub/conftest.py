from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.hub.database import open_hub
from tests.hub.world import World, make_ready


@pytest.fixture(scope="session")
def ready_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite hub with catalogue and baselines, to be copied."""
    file = tmp_path_factory.mktemp("ready") / "hub.db"
    make_ready(f"sqlite:///{file}")
    return file


@pytest.fixture
def world(hub_url: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A hub with a catalogue of SKU-1 to SKU-3 and baselines of S1 and S2."""
    if hub_url.startswith("sqlite"):
        shutil.copy(request.getfixturevalue("ready_file"), hub_url.removeprefix("sqlite:///"))
    with open_hub(hub_url) as hub:
        yield World(hub, tmp_path)
