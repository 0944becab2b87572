"""`tillbridge up --demo` as a shop starts it: a real server, real flows, real signals."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.deployments.desk import ask, command, deployments, environment, kind_of, run, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.prefect_server]


STARTED: list[subprocess.Popen[bytes]] = []
"""To be stopped at the end, also where a test failed before."""


class Up:
    """A running `tillbridge up --demo` in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "up.log"
        self._from = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command("up", "--demo", "--every", "5"),
                cwd=folder,
                env=environment(PREFECT_HOME=str(folder / "prefect")),
                stdout=log,
                stderr=log,
            )
        STARTED.append(self.process)
        told = wait_until(lambda: self.output().partition("The Prefect UI: ")[2].split(" ")[0], 180)
        self.api = f"{told}/api"

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8")[self._from :]

    def runs(self, name: str, kind: str) -> list[dict[str, str]]:
        """Runs of a deployment in a state, newest first."""
        body = {
            "deployments": {"name": {"any_": [name]}},
            "flow_runs": {"state": {"type": {"any_": [kind]}}},
            "sort": "START_TIME_DESC",
        }
        found: list[dict[str, str]] = ask(self.api, "POST", "/flow_runs/filter", body)
        return found

    def booked(self, store: str) -> set[int]:
        """Tickets of a store that are in the hub."""
        with closing(sqlite3.connect(self.folder / ".up" / "hub.db", timeout=30)) as hub:
            query = "SELECT number FROM documents WHERE source = 'ticket' AND store = ?"
            return {row[0] for row in hub.execute(query, (store,))}


def answers(api: str) -> bool:
    try:
        return ask(api, "GET", "/health") is True
    except OSError:
        return False


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield tmp_path_factory.mktemp("shop")
    for process in STARTED:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def up(folder: Path) -> Up:
    return Up(folder)


def test_a_ticket_that_is_rung_is_in_the_hub_and_its_run_on_the_page_of_its_deployment(up: Up) -> None:
    wait_until(lambda: up.booked("LONDON") and up.booked("BOSTON"))

    done = wait_until(lambda: up.runs("import-orders", "COMPLETED"))
    there = deployments(up.api)
    assert {found["deployment_id"] for found in done} == {there["import-orders"]["id"]}
    # This process looks itself: the schedules of what it runs rest, the others do not.
    assert {name for name, found in there.items() if any(s["active"] for s in found["schedules"])} == {
        "clean-exchange",
        "publish-statement-BOSTON",
        "publish-statement-LONDON",
        "reconcile",
        "sweep-orders-BOSTON",
        "sweep-orders-LONDON",
    }


def test_it_watches_no_single_run_for_its_own_server_could_not_keep_up(up: Up) -> None:
    found = {alert["name"] for alert in ask(up.api, "POST", "/automations/filter", {"limit": 200})}

    assert {"tillbridge: run failed", "tillbridge: store silent (LONDON)"} <= found
    assert not {"tillbridge: run stuck", "tillbridge: run unresponsive"} & found


def test_a_run_by_hand_is_served_by_the_same_command(up: Up) -> None:
    chosen = deployments(up.api)["publish-statement-BOSTON"]["id"]
    created = ask(up.api, "POST", f"/deployments/{chosen}/create_flow_run", {})
    assert isinstance(created, dict), created

    assert wait_until(lambda: kind_of(up.api, created["id"]) == "COMPLETED")


def test_no_second_registrar_starts_while_it_serves(up: Up) -> None:
    config = str(up.folder / ".up" / "tillbridge.toml")

    served = run("--config", config, "deploy", folder=up.folder, PREFECT_API_URL=up.api)
    rehearsed = run("--config", config, "deploy", "--dry-run", folder=up.folder, PREFECT_API_URL=up.api)
    again = run("up", "--demo", folder=up.folder)

    assert (served.returncode, rehearsed.returncode, again.returncode) == (3, 3, 3)
    for refused in (served, rehearsed):
        assert f"(process {up.process.pid}) serves the flows of this Prefect server" in refused.stderr
        assert "Looking whether `tillbridge up`" in refused.stdout
    assert "`tillbridge up` runs already" in again.stderr


def test_a_flow_that_cannot_be_run_ends_no_lane(up: Up) -> None:
    ask(up.api, "DELETE", f"/deployments/{deployments(up.api)['export-orders-BOSTON']['id']}")
    before = up.booked("LONDON")

    wait_until(lambda: up.output().count("export-orders-BOSTON could not be run") >= 2)
    assert wait_until(lambda: up.booked("LONDON") - before)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
def test_killed_it_goes_on_when_started_again_and_stops_on_a_signal_with_nothing_left_behind(
    up: Up, folder: Path
) -> None:
    booked = up.booked("LONDON")
    # A run is at work, and holds the slot of its deployment: nobody gives it back.
    path = f"/deployments/{deployments(up.api)['export-orders-LONDON']['id']}/create_flow_run"
    pending = {"state": {"type": "PENDING"}}
    wait_until(lambda: ask(up.api, "POST", path, pending)["state"]["type"] == "PENDING")
    up.process.kill()
    up.process.wait()
    wait_until(lambda: not answers(up.api), 60)

    again = Up(folder)
    try:
        wait_until(lambda: again.booked("LONDON") - booked)
        chosen = deployments(again.api)["reconcile"]["id"]
        created = ask(again.api, "POST", f"/deployments/{chosen}/create_flow_run", {})
        wait_until(lambda: kind_of(again.api, created["id"]) != "SCHEDULED")
        # The server, and the run by hand.
        family = wait_until(lambda: len(found := processes_of(again.process.pid)) >= 2 and found)
    finally:
        again.process.send_signal(signal.SIGTERM)
        status = again.process.wait(90)

    assert status == 0
    wait_until(lambda: not any(alive(pid) for pid in family), 30)
    assert not answers(again.api)
    assert again.output().endswith("Stopping ...\nStopped.\n")


def processes_of(pid: int) -> set[int]:
    """The processes below one, itself left out."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [line.split() for line in listed.splitlines()]
    parents = {int(child): int(parent) for child, parent in pairs}
    found: set[int] = set()
    while more := {child for child, parent in parents.items() if parent in found | {pid}} - found:
        found |= more
    return found


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
