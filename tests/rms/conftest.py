"""An RMS database with a till, on SQLite and, where one is named, on a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rms_database import RMS_VARIABLE, Till, rms_url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def till(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Till]:
    """A till on an RMS database that holds no ticket yet."""
    with rms_url(request.param, tmp_path) as url:
        if url is None:
            pytest.skip(f"{RMS_VARIABLE} names no server")
        till = Till(url)
        till.create()
        yield till
