"""prefect.yaml against a real server: what it registers is really scheduled."""

from __future__ import annotations

import json

import pytest

from tests.flows.conftest import RunPython

pytestmark = pytest.mark.prefect_server

_COUNT_SCHEDULED = """
import json, time
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter

with get_client(sync_client=True) as client:
    deployments = client.read_deployments()
    names = {d.id: d.name for d in deployments}
    waited_for = {d.name for d in deployments if d.schedules}
    deadline = time.monotonic() + 90
    found = set()
    while time.monotonic() < deadline and found < waited_for:
        runs = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(state={"type": {"any_": ["SCHEDULED"]}}), limit=200
        )
        found = {names[run.deployment_id] for run in runs if run.deployment_id}
        time.sleep(1)
    print(json.dumps({"deployed": sorted(names.values()), "scheduled": sorted(found)}))
"""


def test_every_deployment_with_a_schedule_gets_scheduled_runs(run_python: RunPython) -> None:
    """A wrong SQLAlchemy pin stops the scheduler without a word: runs by hand work, no cron ever fires."""
    prefect = ("-m", "prefect")
    run_python(*prefect, "work-pool", "create", "tillbridge", "--type", "process")
    run_python(
        *prefect,
        "--no-prompt",
        "deploy",
        "--prefect-file",
        "deployments/prefect.yaml",
        "--all",
        TILLBRIDGE_STORE="S1",
    )

    answer = run_python("-c", _COUNT_SCHEDULED).stdout.strip().splitlines()[-1]

    scheduled = [
        "advance-backorders",
        "advance-layaways",
        "apply-products",
        "clean-exchange",
        "export-orders",
        "export-products",
        "import-catalog",
        "import-orders",
        "publish-statement",
        "reconcile",
        "sweep-orders",
    ]
    by_hand = ["receive-stock", "release-quarantine", "resend-period"]
    assert json.loads(answer) == {"deployed": sorted(scheduled + by_hand), "scheduled": scheduled}
