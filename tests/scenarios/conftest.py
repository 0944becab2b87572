from __future__ import annotations

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole days on PostgreSQL are slow tests; on SQLite everybody runs them."""
    for item in items:
        here = item.path.is_relative_to(Path(__file__).parent)
        if here and item.get_closest_marker("postgres") is not None:
            item.add_marker(pytest.mark.slow)
