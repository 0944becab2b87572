"""Brings the Prefect server to what prefect.yaml and tillbridge.toml say; may run any number of times.

What a person paused stays paused, what is as it should be is left alone. Deployments are never deleted
unless that is asked for; flow runs and their history stay.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from data_contracts.errors import ConfigurationError
from deployments.templates import TAG, Cron, Planned, offer_stores, plan, queues
from tasks.settings import Settings

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.responses import DeploymentResponse

POLLED = "polled"
"""Slug of a schedule that rests because `up --every` runs the flow itself, and that nobody paused."""

SCHEDULED = "schedule"

TRIGGERS = "tillbridge: "
"""How the names of the automations behind our triggers begin; a person's own are left alone."""


@dataclass(frozen=True)
class Registered:
    """What a registration did, or would do."""

    ids: Mapping[str, UUID]
    """Deployment -> its id; without those that a dry run would create."""
    created: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    paused: tuple[str, ...] = ()
    """Deployments whose schedule a person paused; it stays so."""
    gone: tuple[str, ...] = ()
    """Deployments of ours that are not planned any more: of a removed store, or of another version."""
    pruned: bool = False
    """Whether those were deleted."""
    pools: tuple[str, ...] = ()
    """Work pools that were created."""


def register(
    client: SyncPrefectClient,
    planned: Sequence[Planned],
    *,
    pools: bool,
    polled: Collection[str] = (),
    prune: bool = False,
    dry_run: bool = False,
) -> Registered:
    """Create and update what is planned: on work pools, or (`pools` false) for a runner that serves it.

    Deployments named in `polled` keep an inactive schedule and no triggers: this process runs them itself.
    """
    there = {deployment.name: deployment for deployment in our_deployments(client)}
    made = make_pools(client, planned, dry_run=dry_run) if pools else ()
    ids: dict[str, UUID] = {}
    kinds: dict[str, list[str]] = {"created": [], "changed": [], "unchanged": [], "paused": []}
    for entry in planned:
        before = there.get(entry.name)
        flow = load_flow(entry)
        paused = before is not None and _is_paused(before)
        wanted = _wanted(entry, flow, pools=pools, polled=entry.name in polled, paused=paused)
        same = before is not None and _same(before, wanted)
        kinds["created" if before is None else "unchanged" if same else "changed"].append(entry.name)
        if before is not None and (paused or before.paused):
            kinds["paused"].append(entry.name)
        if not (same or dry_run):
            ids[entry.name] = _write(client, flow, wanted)
        elif before is not None:
            ids[entry.name] = before.id
        if not dry_run:
            _apply_triggers(client, entry, ids[entry.name], wanted=entry.name not in polled)
    names = {entry.name for entry in planned}
    gone = tuple(sorted(name for name in there if name not in names))
    if prune and not dry_run:
        for name in gone:
            _delete(client, there[name].id)
    return Registered(
        ids=ids,
        gone=gone,
        pruned=prune and not dry_run,
        pools=made,
        **{kind: tuple(found) for kind, found in kinds.items()},
    )


def deploy(
    settings: Settings,
    *,
    prune: bool = False,
    dry_run: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Registered:
    """Register everything on work pools and become the registrar of this Prefect server.

    `FinalError` while `tillbridge up` serves there; `ConfigurationError` or `TransientError` as `connected`.
    """
    from deployments.prefect_api import connected
    from deployments.registrar import Claim

    planned = plan(settings)
    with connected() as client:
        claim = Claim(client, "deploy")
        if dry_run:
            claim.look(say=say)
        else:
            claim.take(say=say)
        return register(client, planned, pools=True, prune=prune, dry_run=dry_run)


def remove(*, dry_run: bool = False) -> tuple[str, ...]:
    """Delete our deployments on work pools, so that `tillbridge up` may serve; returns their names.

    Pools, queues and the history of runs stay. Errors as in `connected`.
    """
    from deployments.prefect_api import connected
    from deployments.registrar import release_deploy

    with connected() as client:
        found = [deployment for deployment in our_deployments(client) if deployment.work_pool_name]
        if not dry_run:
            for deployment in found:
                _delete(client, deployment.id)
            release_deploy(client)
        return tuple(sorted(deployment.name for deployment in found))


def our_deployments(client: SyncPrefectClient) -> list[DeploymentResponse]:
    """All deployments with our tag."""
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags

    ours = DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG]))
    found: list[DeploymentResponse] = []
    while page := client.read_deployments(deployment_filter=ours, limit=200, offset=len(found)):
        found += page
    return found


def make_pools(
    client: SyncPrefectClient, planned: Sequence[Planned], *, dry_run: bool = False
) -> tuple[str, ...]:
    """The process pools of these deployments with a queue for each priority; returns the pools that are new.

    `ConfigurationError` if a pool is there with another type: its worker could not run them.
    """
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectNotFound

    made = []
    for name in sorted({entry.work_pool for entry in planned}):
        try:
            pool = client.read_work_pool(name)
        except ObjectNotFound:
            made.append(name)
            if dry_run:
                continue
            pool = client.create_work_pool(
                WorkPoolCreate(name=name, type="process", description="Runs the flows of tillbridge.")
            )
        if pool.type != "process":
            raise ConfigurationError(
                f"The work pool `{name}` is of type {pool.type}; the flows run in processes.",
                next_step="name another pool: work_pool in [prefect] or [stores.CODE] of tillbridge.toml",
            )
        if not dry_run:
            _make_queues(client, name)
    return tuple(made)


def _make_queues(client: SyncPrefectClient, pool: str) -> None:
    there = {queue.name: queue for queue in client.read_work_queues(work_pool_name=pool)}
    for name, priority in queues().items():
        queue = there.get(name)
        if queue is None:
            client.create_work_queue(name=name, work_pool_name=pool, priority=priority)
        elif queue.priority != priority:
            client.update_work_queue(queue.id, priority=priority)


def load_flow(entry: Planned) -> Any:
    """The flow object of a deployment."""
    return getattr(importlib.import_module(entry.module), entry.function)


def _wanted(entry: Planned, flow: Any, *, pools: bool, polled: bool, paused: bool) -> dict[str, Any]:
    """The deployment as the server shall hold it, in the server's own words."""
    from prefect.utilities.callables import parameter_schema

    schema = parameter_schema(flow).model_dump(mode="json", exclude_unset=True)
    wanted: dict[str, Any] = {
        "name": entry.name,
        "description": entry.description,
        "tags": list(entry.tags),
        "parameters": dict(entry.parameters),
        "entrypoint": entry.entrypoint,
        "enforce_parameter_schema": True,
        "parameter_openapi_schema": offer_stores(schema, entry.choices),
        "concurrency_limit": entry.limit,
        "concurrency_options": {"collision_strategy": entry.collision} if entry.collision else None,
        "pull_steps": [dict(step) for step in entry.pull] if pools else [],
        "schedules": [
            _schedule(cron, index, polled=polled, paused=paused)
            for index, cron in enumerate(entry.schedules, start=1)
        ],
    }
    if pools:
        wanted |= {"work_pool_name": entry.work_pool, "work_queue_name": entry.work_queue}
    return wanted


def _schedule(cron: Cron, index: int, *, polled: bool, paused: bool) -> dict[str, Any]:
    slug = POLLED if polled and not paused else SCHEDULED
    return {
        "cron": cron.cron,
        "time_zone": cron.time_zone,
        "active": not (polled or paused),
        "slug": f"{slug}-{index}",
    }


def _is_paused(before: DeploymentResponse) -> bool:
    """Whether a person paused it; a schedule that was put to rest for `up --every` is not paused."""
    return any(not s.active and not (s.slug or "").startswith(POLLED) for s in before.schedules)


def _same(before: DeploymentResponse, wanted: Mapping[str, Any]) -> bool:
    """Whether the server holds it already; an unchanged deployment keeps its scheduled runs."""
    limit = before.global_concurrency_limit
    options = before.concurrency_options
    there: dict[str, Any] = {
        "name": before.name,
        "description": before.description,
        "tags": before.tags,
        "parameters": before.parameters,
        "entrypoint": before.entrypoint,
        "enforce_parameter_schema": before.enforce_parameter_schema,
        "parameter_openapi_schema": before.parameter_openapi_schema,
        "concurrency_limit": limit.limit if limit else None,
        "concurrency_options": {"collision_strategy": options.collision_strategy.value} if options else None,
        "pull_steps": before.pull_steps or [],
        "schedules": [
            {
                "cron": getattr(s.schedule, "cron", None),
                "time_zone": getattr(s.schedule, "timezone", None),
                "active": s.active,
                "slug": s.slug,
            }
            for s in sorted(before.schedules, key=lambda s: s.slug or "")
        ],
    }
    if "work_pool_name" in wanted:
        there |= {"work_pool_name": before.work_pool_name, "work_queue_name": before.work_queue_name}
    return there == wanted


def _write(client: SyncPrefectClient, flow: Any, wanted: Mapping[str, Any]) -> UUID:
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.objects import ConcurrencyOptions
    from prefect.client.schemas.schedules import CronSchedule

    options = wanted["concurrency_options"]
    return client.create_deployment(
        **{
            **wanted,
            "flow_id": client.create_flow_from_name(flow.name),
            "concurrency_options": ConcurrencyOptions.model_validate(options) if options else None,
            "schedules": [
                DeploymentScheduleCreate(
                    schedule=CronSchedule(cron=entry["cron"], timezone=entry["time_zone"]),
                    active=entry["active"],
                    slug=entry["slug"],
                )
                for entry in wanted["schedules"]
            ],
        }
    )


def _apply_triggers(client: SyncPrefectClient, entry: Planned, deployment: UUID, *, wanted: bool) -> None:
    """Bring the automations behind a template's `triggers` to what it says; those that are so are left alone.

    One that a person switched off stays off, also while it is not `wanted`.
    """
    from prefect.events import DeploymentTriggerTypes
    from prefect.events.schemas.automations import AutomationCore
    from pydantic import TypeAdapter

    related = client.read_resource_related_automations(f"prefect.deployment.{deployment}")
    there = {found.name: found for found in related if found.name.startswith(TRIGGERS)}
    adapter: TypeAdapter[Any] = TypeAdapter(DeploymentTriggerTypes)
    for spec in entry.triggers if wanted else ():
        trigger = adapter.validate_python(spec)
        trigger.set_deployment_id(deployment)
        automation = trigger.as_automation()
        found = there.pop(automation.name, None)
        if found is None:
            client.create_automation(automation)
            continue
        automation.enabled = found.enabled
        # The server is told the owner once, and never says it.
        ours = automation.model_dump(exclude={"owner_resource"})
        if found.model_dump(exclude={"id", "owner_resource"}) != ours:
            client.update_automation(found.id, AutomationCore.model_validate(ours))
    for found in there.values():
        if wanted or found.enabled:
            client.delete_automation(found.id)


def _delete(client: SyncPrefectClient, deployment: UUID) -> None:
    """A deployment and its triggers, which would go on firing for one that is not there."""
    client.delete_resource_owned_automations(f"prefect.deployment.{deployment}")
    client.delete_deployment(deployment)
