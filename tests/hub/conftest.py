from __future__ import annotations

from pathlib import Path

import pytest

from tasks.hub.database import Hub
from tests.hub.world import World


@pytest.fixture
def world(hub: Hub, tmp_path: Path) -> World:
    """A hub with a catalogue of SKU-1 to SKU-3 and baselines of S1 and S2."""
    return World(hub, tmp_path).ready()
