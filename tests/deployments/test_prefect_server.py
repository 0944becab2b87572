"""What a Prefect server of our own is told, as Prefect understands it."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from prefect.settings import Settings

from deployments.prefect_server import BOUND, HOST, environment


def test_our_own_server_removes_old_runs_and_links_lead_into_the_ui_that_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A misspelt variable would pass without a word, and runs would stay for ever."""
    for name, value in environment(tmp_path, 4200).items():
        monkeypatch.setenv(name, value)

    settings = Settings()

    assert settings.server.services.db_vacuum.enabled_vacuum_types >= {"events", "flow_runs"}
    assert settings.ui_url == "http://127.0.0.1:4200/v2"
    assert settings.server.analytics_enabled is False


def test_a_server_whose_port_is_taken_listens_at_another(tmp_path: Path) -> None:
    """Two that start at once would else both take the usual port for free."""
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        server = subprocess.Popen(
            [sys.executable, "-m", "deployments.prefect_server", str(tmp_path), str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        with server:
            assert server.stdout is not None
            said = server.stdout.readline()
            server.kill()

    assert said.startswith(BOUND)
    assert int(said.removeprefix(BOUND)) != port
