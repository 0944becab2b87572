"""Serves some flows from one process, for the tests in a browser: `python -m tests.browser.served`.

They are the flows as they stand; only what is tried again is tried at once.
"""

from __future__ import annotations

from prefect import serve
from prefect.deployments.runner import RunnerDeployment

from flows.export_orders import export_orders
from flows.import_orders import import_orders
from flows.reconcile import reconcile
from flows.release_quarantine import release_quarantine
from flows.resend_period import resend_period
from tasks import steps
from tests.flows.story import STEPS

FLOWS = (export_orders, import_orders, reconcile, release_quarantine, resend_period)

for name in STEPS:
    patient = getattr(steps, name)
    setattr(steps, name, patient.with_options(retry_delay_seconds=0, retry_jitter_factor=None))


def main() -> None:
    """Register the flows and run what is asked for, until the process is ended."""
    deployments = [
        RunnerDeployment.from_entrypoint(
            f"tests/browser/served.py:{flow.fn.__name__}",
            name=flow.name,
            description=(flow.description or "").splitlines()[0],
            tags=["tillbridge"],
        )
        for flow in FLOWS
    ]
    serve(*deployments)


if __name__ == "__main__":
    main()
