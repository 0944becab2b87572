"""Asks Prefect, in a process of its own: `python -m tests.growing.desk WHAT ...`; answers in JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.deployments import run_deployment
from prefect.events.filters import EventFilter, EventNameFilter

from tests.growing.estate import POOLS

FLOW = "import-orders"
ROOT = Path(__file__).resolve().parents[2]


def register() -> None:
    """A pool and a deployment of the import for each worker."""
    with get_client(sync_client=True) as client:
        for pool in POOLS:
            client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
    for pool in POOLS:
        flow = cast(
            Flow[..., Any],
            Flow.from_source(source=str(ROOT), entrypoint="flows/import_orders.py:import_orders"),
        )
        flow.deploy(name=pool, work_pool_name=pool, print_next_steps=False)


def start(pool: str, *stores: str) -> None:
    """A run for each store on a pool; without stores one run for all. Prints their ids."""
    scopes = [[store] for store in stores] or [[]]
    runs = [
        run_deployment(f"{FLOW}/{pool}", parameters={"scope": {"stores": scope}}, timeout=0)
        for scope in scopes
    ]
    sys.stdout.write(json.dumps([str(cast(Any, run).id) for run in runs]))


def states(*ids: str) -> None:
    """Run -> the type of its state."""
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=cast(Any, list(ids)))), limit=200
        )
        found = {str(run.id): run.state.type.value for run in runs if run.state is not None}
    sys.stdout.write(json.dumps(found))


def completed() -> None:
    """Runs of which the servers have an event that they completed."""
    wanted = EventFilter(event=EventNameFilter(name=["prefect.flow-run.Completed"]))
    with get_client(sync_client=True) as client:
        answer = client.request(
            "POST", "/events/filter", json={"filter": wanted.model_dump(mode="json"), "limit": 50}
        )
        events = answer.json()["events"]
    sys.stdout.write(
        json.dumps([event["resource"]["prefect.resource.id"].split(".")[-1] for event in events])
    )


if __name__ == "__main__":
    asked: dict[str, Callable[..., None]] = {
        "register": register,
        "start": start,
        "states": states,
        "completed": completed,
    }
    asked[sys.argv[1]](*sys.argv[2:])
