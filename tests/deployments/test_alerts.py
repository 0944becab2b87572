"""`tillbridge alerts` and `unblock` without a Prefect server; with one, see tests/flows/test_events.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deployments.automations import alerts
from tests.deployments.test_cli import ROOT
from tests.hub.world import make_settings


@pytest.mark.parametrize(
    ("command", "server", "status", "said"),
    [
        ("alerts", "", 3, "No Prefect server is configured"),
        (
            "unblock",
            "http://ann:CANARY@127.0.0.1:1/api",
            4,
            "The Prefect server at http://127.0.0.1:1/api does not answer",
        ),
    ],
)
def test_a_server_that_is_not_there_is_named_and_none_is_started(
    command: str, server: str, status: int, said: str, tmp_path: Path
) -> None:
    done = run(command, server, ROOT / "deployments" / "tillbridge.example.toml", tmp_path)

    assert (done.returncode, done.stdout) == (status, "")
    assert said in done.stderr
    assert "CANARY" not in done.stderr


def test_check_tries_the_prefect_server_that_is_named_here(tmp_path: Path) -> None:
    (tmp_path / "tillbridge.toml").write_text("[stores.S1]\n", encoding="utf-8")

    named = run("check", "http://ann:CANARY@127.0.0.1:1/api", tmp_path / "tillbridge.toml", tmp_path)
    none = run("check", "", tmp_path / "tillbridge.toml", tmp_path)

    assert "FAULT" in next(line for line in named.stdout.splitlines() if "Prefect" in line)
    assert "CANARY" not in named.stdout + named.stderr
    assert "Prefect" not in none.stdout


def run(command: str, server: str, config: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    variables |= {"PREFECT_HOME": str(folder), "PREFECT_PROFILES_PATH": str(folder / "profiles.toml")}
    variables |= {"PREFECT_API_URL": server} if server else {}
    return subprocess.run(
        [sys.executable, "-m", "deployments.cli", "--config", str(config), command],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_time_of_nothing_switches_an_alert_off_and_a_store_may_have_its_own() -> None:
    off = dict.fromkeys(
        ("overdue_minutes", "blocked_minutes", "pending_minutes", "unresponsive_minutes", "quarantine_hours"),
        0,
    )
    settings = make_settings(
        alerts={**off, "silent_minutes": 60},
        stores={"S1": {"silent_minutes": 840}, "S2": {}, "S3": {"silent_minutes": 0}},
    )

    registered = {alert.name.removeprefix("tillbridge: "): alert for alert in alerts(settings)}

    assert sorted(registered) == [
        "batch missing",
        "batch rejected",
        "reconcile unexplained",
        "run failed",
        "store silent (S1)",
        "store silent (S2)",
    ]
    assert "no export for 14 hours, the last one at " in registered["store silent (S1)"].body
    assert "no export for 60 minutes, the last one at " in registered["store silent (S2)"].body
