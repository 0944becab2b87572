"""Which database a hub test is for, where it is not for both."""

from __future__ import annotations

import pytest

only_on_postgresql = pytest.mark.parametrize(
    "hub_url", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)
"""For what SQLite does not have: servers, connections that are lost, several writers."""
only_on_sqlite = pytest.mark.parametrize("hub_url", ["sqlite"], indirect=True)
"""For stories in which the database plays no part: one is enough, the quicker one."""
