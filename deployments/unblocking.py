"""Frees the slots of deployments that dead runs hold.

A deployment of ours runs once at a time, and a new run is cancelled while another holds the slot. A run
whose worker died, or a server that was started anew, can leave the slot taken by nobody. Marking a run as
crashed does no harm to one that is alive after all: what it does is recorded in our tables, once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from data_contracts.errors import ConfigurationError
from deployments.automations import MARK
from deployments.prefect_api import connected
from deployments.registering import our_deployments
from tasks.settings import AlertSettings

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun
    from prefect.client.schemas.responses import DeploymentResponse, OrchestrationResult

HEARTBEAT = "prefect.flow-run.heartbeat"
MOST_RUNS = 200
"""Runs of one deployment that are looked at."""


@dataclass(frozen=True)
class HeldSlot:
    """A run that holds its deployment's slot, or a slot that nobody holds any more."""

    deployment: str
    run: str
    """Its name; empty if no run holds the slot."""
    state: str
    since_utc: datetime | None
    freed: bool
    """Whether it was freed, or would be in a dry run."""
    why: str


def unblock(
    names: Sequence[str], times: AlertSettings, *, every: bool = False, dry_run: bool = False
) -> list[HeldSlot]:
    """Free the slots of the deployments with these names (none: all of ours) that dead runs hold.

    A run is dead that has not started for `pending_minutes`, or has given no sign of life for
    `unresponsive_minutes`; with `every`, whatever holds a slot is. Returns all that holds a slot. Raises
    `ConfigurationError` (an unknown name, no server), `TransientError` (the server does not answer).
    """
    found: list[HeldSlot] = []
    with connected() as client:
        for deployment in _deployments(client, names):
            if deployment.global_concurrency_limit is not None:
                found += _free(client, deployment, times, every=every, dry_run=dry_run)
    return found


def _deployments(client: SyncPrefectClient, names: Sequence[str]) -> list[DeploymentResponse]:
    known = our_deployments(client)
    unknown = set(names) - {deployment.name for deployment in known}
    if unknown:
        raise ConfigurationError(
            f"There is no deployment `{min(unknown)}` of tillbridge; there are "
            f"{', '.join(sorted({deployment.name for deployment in known})) or 'none'}.",
            next_step="name one of these, or none for all",
        )
    return [deployment for deployment in known if not names or deployment.name in names]


def _free(
    client: SyncPrefectClient,
    deployment: DeploymentResponse,
    times: AlertSettings,
    *,
    every: bool,
    dry_run: bool,
) -> Iterator[HeldSlot]:
    from prefect.client.schemas.responses import SetStateStatus
    from prefect.states import Crashed

    alive = 0
    for run in _holders(client, deployment):
        dead, why = _verdict(client, run, times)
        freed = dead or every
        if freed and not dry_run:
            done: OrchestrationResult[Any] = client.set_flow_run_state(
                run.id, Crashed(message=f"{MARK}crashed by unblock: {why}.")
            )
            if done.status is SetStateStatus.ABORT:  # it has ended meanwhile, or the server is busy
                freed, why = False, "the server did not take it; run it again"
        alive += not freed
        state = run.state
        yield HeldSlot(
            deployment.name,
            run.name,
            "" if state is None else str(state.name),
            None if state is None else state.timestamp,
            freed,
            why,
        )
    # A server that was started anew has forgotten whose slot it is, and counts it for ever.
    limit = client.read_deployment(deployment.id).global_concurrency_limit
    if limit is not None and not dry_run and limit.active_slots > alive:
        from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate

        client.update_global_concurrency_limit(
            name=limit.name, concurrency_limit=GlobalConcurrencyLimitUpdate(active_slots=alive)
        )
        yield HeldSlot(deployment.name, "", "", None, True, "a slot was taken that no run holds")


def _holders(client: SyncPrefectClient, deployment: DeploymentResponse) -> list[FlowRun]:
    from prefect.client.schemas.filters import (
        DeploymentFilter,
        DeploymentFilterId,
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateType,
    )
    from prefect.client.schemas.objects import StateType

    holding = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
    return client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id])),
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=holding))),
        limit=MOST_RUNS,
    )


def _verdict(client: SyncPrefectClient, run: FlowRun, times: AlertSettings) -> tuple[bool, str]:
    """Whether a run is dead, and why or why not."""
    state, now, usual = run.state, datetime.now(UTC), AlertSettings()  # where an alert is switched off
    if state is None or not state.is_running():
        patience = timedelta(minutes=times.pending_minutes or usual.pending_minutes)
        late = state is None or now - state.timestamp >= patience
        return late, "it does not start or end" if late else "it was handed to a worker just now"
    patience = timedelta(minutes=times.unresponsive_minutes or usual.unresponsive_minutes)
    if now - state.timestamp < patience:
        return False, "it has begun just now"
    last = _last_heartbeat(client, run)
    if last is None:
        return False, "its process sends no signs of life, so nobody can tell; --every frees it all the same"
    dead = now - last >= patience
    return dead, f"its last sign of life was at {last:%Y-%m-%d %H:%M} UTC"


def _last_heartbeat(client: SyncPrefectClient, run: FlowRun) -> datetime | None:
    from prefect.events.filters import EventFilter, EventNameFilter, EventOccurredFilter, EventResourceFilter

    page = client.read_events(
        EventFilter(
            occurred=EventOccurredFilter(since=run.start_time or run.created),
            event=EventNameFilter(name=[HEARTBEAT]),
            resource=EventResourceFilter(id=[f"prefect.flow-run.{run.id}"]),
        ),
        limit=1,
    )
    return page.events[0].occurred if page.events else None
