"""What a chain of shops runs, started for real: two Prefect servers, their services, two workers.

The servers share one PostgreSQL database and talk through Redis. Every process is a session of its own and is
ended by its id, with the processes it has started.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import make_url

from deployments.prefect_server import HOST, environment
from tasks.settings import CONFIG_VARIABLE
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
POOLS = ("north", "south")


def shared_settings(database: str, redis: str) -> dict[str, str]:
    """What several servers need to be one: PostgreSQL, Redis, and a database that is migrated once."""
    return {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": make_url(database)
        .set(drivername="postgresql+asyncpg")
        .render_as_string(hide_password=False),
        "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "false",
        "PREFECT_MESSAGING_BROKER": "prefect_redis.messaging",
        "PREFECT_MESSAGING_CACHE": "prefect_redis.messaging",
        "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": "prefect_redis.ordering",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect_redis.lease_storage",
        "PREFECT_SERVER_DOCKET_URL": redis,
        "PREFECT_REDIS_MESSAGING_URL": redis,
    }


@dataclass
class Estate:
    """The processes that run, and what ties another one to them."""

    folder: Path
    settings_file: Path
    shared: dict[str, str]
    ports: tuple[int, int]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def variables(self, server: int) -> dict[str, str]:
        """The environment of a process that uses one of the two servers."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        tied = environment(self.folder / "prefect", self.ports[server])
        config = {CONFIG_VARIABLE: str(self.settings_file), "TILLBRIDGE_HOME": str(ROOT)}
        return {**own, **tied, **self.shared, **config}

    def address(self, server: int) -> str:
        """Of the API of a server."""
        return f"http://{HOST}:{self.ports[server]}/api"

    def start(self, name: str, *arguments: str, server: int = 0, **variables: str) -> None:
        """Start `prefect ...` and keep what it says in a file of its name."""
        with (self.folder / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", "prefect", *arguments],
                cwd=ROOT,
                env={**self.variables(server), **variables},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start_worker(self, pool: str, *, server: int) -> None:
        """A process worker; the database sees its runs under the pool's name."""
        self.start(
            f"worker-{pool}",
            *("worker", "start", "--pool", pool, "--limit", "2"),
            server=server,
            PGAPPNAME=pool,
            PREFECT_WORKER_QUERY_SECONDS="2",
        )

    def answers(self, server: int) -> bool:
        """Whether a server is up; one that has ended fails the test with what it said last."""
        ended = self.running[f"server-{server}"].poll() is not None
        assert not ended, (self.folder / f"server-{server}.log").read_text(encoding="utf-8")[-2000:]
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.address(server)}/health", timeout=2).is_success
        return False

    def ask(self, path: str, *, server: int = 0, **body: Any) -> Any:
        """What a server's API answers to a POST."""
        answer = httpx.post(f"{self.address(server)}/{path}", json=body, timeout=60)
        return answer.raise_for_status().json()

    def start_imports(self, pool: str, stores: Sequence[str], *, server: int = 0) -> list[str]:
        """A run of the import for each store on a pool, without stores one for all; their ids."""
        (deployment,) = self.ask("deployments/filter", server=server, deployments={"name": {"any_": [pool]}})
        path = f"deployments/{deployment['id']}/create_flow_run"
        scopes = [[store] for store in stores] or [[]]
        return [
            str(self.ask(path, server=server, parameters={"scope": {"stores": scope}})["id"])
            for scope in scopes
        ]

    def states(self, runs: Sequence[str]) -> set[str]:
        """The types of the states of some runs."""
        found = self.ask("flow_runs/filter", flow_runs={"id": {"any_": list(runs)}})
        assert len(found) == len(runs)
        return {run["state"]["type"] for run in found}

    def heard_of(self, *, server: int) -> set[str]:
        """Runs of which a server has an event that they completed."""
        wanted = {"event": {"name": ["prefect.flow-run.Completed"]}}
        events = self.ask("events/filter", server=server, filter=wanted, limit=50)["events"]
        return {event["resource"]["prefect.resource.id"].rpartition(".")[2] for event in events}

    def run(self, *arguments: str, server: int = 0) -> str:
        """Run Python to its end; what it printed."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.variables(server),
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def kill(self, name: str) -> int:
        """End a process and all it has started with SIGKILL, as a power cut would; how many they were."""
        process = self.running.pop(name)
        family = [process.pid, *_descendants(process.pid)]
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        return len(family)

    def stop(self) -> None:
        """End what still runs, the servers last."""
        for name in reversed(list(self.running)):
            self.kill(name)


@contextlib.contextmanager
def running_estate(folder: Path, settings_file: Path, database: str, redis: str) -> Iterator[Estate]:
    """Migrate once, then start both servers and their services apart."""
    (folder / "prefect").mkdir(parents=True)
    estate = Estate(folder, settings_file, shared_settings(database, redis), (free_port(), free_port()))
    try:
        estate.run("-m", "prefect", "server", "database", "upgrade", "--yes")
        for server in (0, 1):
            port = str(estate.ports[server])
            estate.start(
                f"server-{server}",
                *("server", "start", "--no-services", "--host", HOST, "--port", port),
                server=server,
            )
            # One after the other: on an empty database both would register the same blocks, and one fails.
            wait_for(lambda server=server: estate.answers(server), 120)  # type: ignore[misc]
        estate.start("services", "server", "services", "start")
        yield estate
    finally:
        estate.stop()


def wait_for(there: Callable[[], object], seconds: float) -> None:
    """Until something is there; a test that waits in vain fails."""
    deadline = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(0.5)


def _descendants(pid: int) -> Sequence[int]:
    """Processes that a process has started, and those that they have."""
    listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    children: dict[int, list[int]] = {}
    for line in listed.stdout.splitlines():
        child, parent = map(int, line.split())
        children.setdefault(parent, []).append(child)
    found, look = [], [pid]
    while look:
        new = children.get(look.pop(), [])
        found += new
        look += new
    return found
