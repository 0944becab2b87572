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


_UNDESCRIBED = """
import importlib, json
from pathlib import Path
from prefect import Flow
from prefect.utilities.callables import parameter_schema

fields, undescribed = 0, []
for file in sorted(Path("flows").glob("*.py")):
    flow = getattr(importlib.import_module(f"flows.{file.stem}"), file.stem, None)
    if not isinstance(flow, Flow):
        continue
    schema = parameter_schema(flow)
    form = {name: value for name, value in schema.properties.items() if "$ref" not in value}
    for definition in schema.definitions.values():
        form |= definition["properties"]
    fields += len(form)
    undescribed += [f"{flow.name}: {name}" for name, value in form.items() if not value.get("description")]
print(json.dumps([fields, undescribed]))
"""


def test_every_field_of_every_form_says_what_it_is(run_python: RunPython) -> None:
    """Prefect drops the description of a parameter's own `Field`: dry_run had none in any of 12 forms."""
    fields, undescribed = json.loads(run_python("-c", _UNDESCRIBED).stdout.strip().splitlines()[-1])

    assert undescribed == []
    assert fields > 40
