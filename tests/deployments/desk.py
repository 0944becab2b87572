"""The command line as a real process, and a Prefect server's interface asked directly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def environment(**variables: str) -> dict[str, str]:
    """Of this process, without what a developer's own Prefect or installation has set."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "TILLB"))}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        **variables,
    }


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "deployments.cli", *arguments]


def run(*arguments: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `tillbridge ...` in a folder to its end."""
    return subprocess.run(
        command(*arguments),
        cwd=folder,
        env=environment(PREFECT_HOME=str(folder / "prefect"), **variables),
        capture_output=True,
        text=True,
        timeout=180,
    )


BUSY = 503
"""What a server on SQLite says when it is too busy: ask again."""


def ask(api: str, method: str, path: str, body: Any = None) -> Any:
    """The answer to a request as JSON, or the status of a refusal."""
    for _ in range(30):
        if (answer := _ask(api, method, path, body)) != BUSY:
            return answer
        time.sleep(1)
    return BUSY


def _ask(api: str, method: str, path: str, body: Any) -> Any:
    request = urllib.request.Request(  # noqa: S310 - loopback
        api + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
            text = answer.read()
    except urllib.error.HTTPError as error:
        return error.code
    except TimeoutError:
        if method == "GET" or path.endswith("/filter"):
            return BUSY
        raise
    return json.loads(text) if text else None


def deployments(api: str) -> dict[str, Any]:
    """All deployments by name."""
    return {found["name"]: found for found in ask(api, "POST", "/deployments/filter", {"limit": 200})}


def kind_of(api: str, run: str) -> str:
    """The type of a flow run's state."""
    return str(ask(api, "GET", f"/flow_runs/{run}")["state"]["type"])


def wait_until(true: Callable[[], Any], seconds: float = 120) -> Any:
    """What `true` returns once it is true; fails the test if it never is."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := true():
            return found
        time.sleep(0.5)
    raise AssertionError(f"waited {seconds} s in vain")
