"""A work pool and a deployment of the import for each worker: `python -m tests.growing.register`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate

from tests.growing.estate import POOLS

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Register with the server that the environment names."""
    with get_client(sync_client=True) as client:
        for pool in POOLS:
            client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
    for pool in POOLS:
        flow = cast(
            Flow[..., Any],
            Flow.from_source(source=str(ROOT), entrypoint="flows/import_orders.py:import_orders"),
        )
        flow.deploy(name=pool, work_pool_name=pool, print_next_steps=False)


if __name__ == "__main__":
    main()
