"""A real Prefect server for the whole test run, and a way to run code against it.

Flows run in a process of their own: Prefect reads its settings once, at import, and must not find the
developer's.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from deployments.prefect_server import environment, running_server

ROOT = Path(__file__).resolve().parent.parent.parent

RunPython = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def prefect_variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Variables that tie a process to a running server."""
    with server_of_its_own(tmp_path_factory.mktemp("prefect")) as variables:
        yield variables


@contextlib.contextmanager
def server_of_its_own(home: Path) -> Iterator[dict[str, str]]:
    """The same of a server that is not shared. Other tests of this process find nothing of it."""
    with contextlib.ExitStack() as running:
        with patch.dict(os.environ):
            address = running.enter_context(running_server(home))
        yield {**os.environ, **environment(home, int(address.rsplit(":", 1)[1]))}


@pytest.fixture
def run_python(prefect_variables: dict[str, str]) -> RunPython:
    """Run Python source (or a module with `-m`) against the server; fails the test on a bad exit status."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**prefect_variables, **variables},
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run
