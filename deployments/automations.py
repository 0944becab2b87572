"""Alerts: what Prefect watches for by itself, whom it tells, and with which words.

They are registered by name, so that it may be done again at any time: what is as it should be is left alone
(a counter that is running goes on), what an operator has switched off in the UI stays off, and alerts of
stores that are gone are removed. Nothing but Prefect's own API is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from data_contracts.errors import ConfigurationError
from deployments.prefect_api import connected
from tasks.settings import Settings

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.events.schemas.automations import Automation, AutomationCore

TAG = "tillbridge-alert"
"""Marks the automations that are ours to change and to remove."""

MARK = "tillbridge: "
"""How the message of a state begins that an alert or `tillbridge unblock` has set."""

PAGE = 200
"""Automations read at once."""

_RUNS = {"prefect.resource.id": "prefect.flow-run.*"}
_OURS = {"prefect.resource.role": "tag", "prefect.resource.id": "prefect.tag.tillbridge"}
_DEPLOYED = {"prefect.resource.role": "deployment", "prefect.resource.id": "prefect.deployment.*"}
_RUN, _DEPLOYMENT = "prefect.resource.id", "related:deployment:prefect.resource.id"
_QUEUE = "related:work-queue:prefect.resource.id"

_WHEN = "{% if event %}{{ event.occurred.strftime('%Y-%m-%d %H:%M') }} UTC{% endif %}"
_ROLE = "event.resource_in_role"
_WHO = f"{{{{ {_ROLE}['deployment'].name or {_ROLE}['flow'].name if event else '' }}}}"
"""The deployment of a run; signs of life name the flow only."""


@dataclass(frozen=True)
class Alert:
    """One automation of ours."""

    name: str
    trigger: dict[str, Any]
    body: str
    """What happened, since when, what to do; a template of Prefect's."""
    crashes: str = ""
    """Why the run it is about is marked as crashed; empty: nothing is done but to tell."""

    @property
    def manual(self) -> str:
        """The entry of the operator's page."""
        return (
            f"docs/operations.md, section Alerts, `{self.name.removeprefix('tillbridge: ').split(' (')[0]}`"
        )


@dataclass(frozen=True)
class AppliedAlerts:
    """What a registration changed, by name."""

    created: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    notifies: str = ""
    """The block by which people are told; empty if alerts only show in the UI."""

    @property
    def count(self) -> int:
        """Alerts that are registered."""
        return len(self.created) + len(self.updated) + len(self.unchanged)


def alerts(settings: Settings, *, each_run: bool = True) -> list[Alert]:
    """The alerts of an installation; those whose time is 0 are left out.

    `each_run`: with those that watch every single run from its start to its end.
    """
    times = settings.alerts
    chosen = list(_silent_stores(settings))
    chosen += [_gap(times.repeat_hours), _rejected(), _unexplained(times.repeat_hours)]
    chosen.append(_failed(times.repeat_hours))
    if times.quarantine_hours:
        chosen.append(_quarantine(times.quarantine_hours, times.repeat_hours))
    if times.overdue_minutes:
        chosen.append(_overdue(times.overdue_minutes))
    if times.blocked_minutes:
        chosen.append(_blocked(times.blocked_minutes))
    if each_run and times.pending_minutes:
        chosen.append(_stuck(times.pending_minutes))
    if each_run and times.unresponsive_minutes:
        chosen.append(_unresponsive(times.unresponsive_minutes))
    return chosen


def apply_automations(settings: Settings, *, each_run: bool = True) -> AppliedAlerts:
    """Register all alerts with the Prefect server of this process; may be done at any time.

    `each_run` as in `alerts`.

    Raises `ConfigurationError` (no server is named, the notification block is not there), `TransientError`
    (the server does not answer).
    """
    with connected() as client:
        block = find_block(client, settings.prefect.notification_block)
        wanted = {alert.name: _automation(alert, block) for alert in alerts(settings, each_run=each_run)}
        known = {found.name: found for found in _registered(client)}
        created, updated, unchanged = [], [], []
        for name, automation in wanted.items():
            found = known.get(name)
            if found is None:
                client.create_automation(automation)
                created.append(name)
                continue
            automation.enabled = found.enabled
            if found.model_dump(exclude={"id"}) == automation.model_dump():
                unchanged.append(name)
            else:
                client.update_automation(found.id, automation)
                updated.append(name)
        removed = _remove(client, [found for name, found in known.items() if name not in wanted])
    return AppliedAlerts(
        tuple(created), tuple(updated), tuple(unchanged), removed, settings.prefect.notification_block
    )


def remove_automations() -> tuple[str, ...]:
    """Take all alerts from the Prefect server of this process; returns their names. Raises as above."""
    with connected() as client:
        return _remove(client, _registered(client))


# -- what is watched --------------------------------------------------------------------------------
def _silent_stores(settings: Settings) -> Iterator[Alert]:
    for code, store in sorted(settings.stores.items()):
        minutes = settings.alerts.silent_minutes if store.silent_minutes is None else store.silent_minutes
        if minutes:
            yield Alert(
                f"tillbridge: store silent ({code})",
                # A store counts from its first export on: one that is not live yet is not silent.
                _absence(
                    {"tillbridge.store.seen"},
                    {"tillbridge.store.seen"},
                    minutes,
                    _RUN,
                    match={"prefect.resource.id": f"tillbridge.store.{code}"},
                ),
                f"Store {code} has completed no export for {_span(minutes)}, the last one at {_WHEN}. Its "
                "tickets wait in RMS, nothing is lost. What to do: look whether the store's PC is on and its "
                "Prefect worker runs, then at the last runs of export-orders.",
            )


def _gap(repeat_hours: float) -> Alert:
    return Alert(
        "tillbridge: batch missing",
        _presence({"tillbridge.sequence.gap"}, repeat_hours, for_each=_RUN),
        "{{ event.payload.what }} {{ event.payload.batches }} missing in all. The batches after it are "
        "imported. What to do: {{ event.payload.fix }}.",
    )


def _rejected() -> Alert:
    return Alert(
        "tillbridge: batch rejected",
        _presence({"tillbridge.batch.rejected"}, 0),
        f"A batch was rejected at {_WHEN}: {{{{ event.payload.why }}}} Nothing of it was booked, the batches "
        "after it are imported. What to do: {{ event.payload.fix }}",
    )


def _unexplained(repeat_hours: float) -> Alert:
    return Alert(
        "tillbridge: reconcile unexplained",
        _presence({"tillbridge.reconcile.unexplained"}, repeat_hours, for_each=_RUN),
        "{{ event.resource.name }}: {{ event.payload.unexplained }} unexplained, first seen by the "
        f"comparison of {_WHEN}.\n"
        "{% for finding in event.payload.findings %}- {{ finding }}\n{% endfor %}"
        "What to do: wait for the next comparison if batches are still on their way, else do as each line "
        "says; `tillbridge reconcile` shows all of them.",
    )


def _quarantine(hours: float, repeat_hours: float) -> Alert:
    return Alert(
        "tillbridge: quarantine not empty",
        _presence({"tillbridge.quarantine.waiting"}, repeat_hours, for_each=_RUN),
        "{{ event.resource.name }}: {{ event.payload.documents }} in quarantine, the oldest since "
        "{{ event.payload.oldest_utc[:16]|replace('T', ' ') }} UTC, which is more than "
        f"{hours:g} hours. What to do: `tillbridge quarantine` says why and what helps.",
    )


def _failed(repeat_hours: float) -> Alert:
    return Alert(
        "tillbridge: run failed",
        _presence(
            {"prefect.flow-run.Failed", "prefect.flow-run.Crashed", "prefect.flow-run.TimedOut"},
            repeat_hours,
            for_each=_DEPLOYMENT,
            # What an alert or `tillbridge unblock` has marked as crashed is told by them.
            match={**_RUNS, "prefect.state-message": f"!{MARK}*"},
            match_related=[_OURS],
        ),
        f"Run {{{{ event.resource.name }}}} of {_WHO} is {{{{ event.resource['prefect.state-name'] }}}} "
        f"since {_WHEN}: {{{{ event.resource['prefect.state-message'] }}}} What to do: as the message says; "
        "the next scheduled run goes on where this one stood. {{ flow_run|ui_url }}",
    )


def _overdue(minutes: float) -> Alert:
    return Alert(
        "tillbridge: run overdue",
        _absence(
            {"prefect.flow-run.Late"},
            {"prefect.flow-run.Pending", "prefect.flow-run.Running"},
            minutes,
            _QUEUE,
            match=_RUNS,
            match_related=[_OURS],
        ),
        f"Runs do not start: one of {_WHO} is late since {_WHEN}, and no run of its work queue "
        "{{ event.resource_in_role['work-queue'].name }} has started for "
        f"{_span(minutes)}. What to do: start the Prefect worker of that pool, or what serves the flows "
        "where there is none; the next run takes what has waited.",
    )


def _blocked(minutes: float) -> Alert:
    return Alert(
        "tillbridge: slot blocked",
        _absence(
            {"prefect.flow-run.Cancelled"},
            {"prefect.flow-run.Completed", "prefect.flow-run.Failed", "prefect.flow-run.Crashed"},
            minutes,
            _DEPLOYMENT,
            match=_RUNS,
            match_related=[_OURS, _DEPLOYED],
        ),
        f"A run of {_WHO} was cancelled at {_WHEN} ({{{{ event.resource['prefect.state-message'] }}}}), and "
        f"no run of it has come to an end for {_span(minutes)}: either one is at work for as long, or a dead "
        "one holds its slot. What to do: look at its runs in the UI; if none is at work, "
        "`tillbridge unblock`.",
    )


def _stuck(minutes: float) -> Alert:
    return Alert(
        "tillbridge: run stuck",
        _absence(
            {"prefect.flow-run.Pending"},
            {f"prefect.flow-run.{state}" for state in (*_ENDED, "Running", "Cancelling", "Late")},
            minutes,
            _RUN,
            match=_RUNS,
            match_related=[_OURS],
        ),
        f"Run {{{{ event.resource.name }}}} of {_WHO} was handed to a worker at {_WHEN} and has not started "
        f"for {_span(minutes)}. It was marked as crashed, which frees its slot. What to do: nothing if the "
        "next run works; else look at the worker.",
        crashes=f"did not start within {_span(minutes)} after a worker took it; its slot is free again",
    )


def _unresponsive(minutes: float) -> Alert:
    return Alert(
        "tillbridge: run unresponsive",
        _absence(
            {"prefect.flow-run.heartbeat"},
            {f"prefect.flow-run.{state}" for state in (*_ENDED, "heartbeat")},
            minutes,
            _RUN,
            match=_RUNS,
            match_related=[_OURS],
        ),
        f"Run {{{{ event.resource.name }}}} of {_WHO} has given no sign of life for {_span(minutes)}, the "
        f"last one at {_WHEN}. It was marked as crashed, which frees its slot. What to do: nothing if the "
        "next run works, which goes on where this one stood; else look at the worker's machine.",
        crashes=f"gave no sign of life for {_span(minutes)}; the next run goes on where it stood",
    )


_ENDED = ("Completed", "Failed", "Cancelled", "Crashed", "TimedOut")


def _presence(expect: set[str], hours: float, *, for_each: str = "", **match: Any) -> dict[str, Any]:
    """A trigger that fires at an event, then not again for some hours (each resource by itself)."""
    return {
        "type": "event",
        "posture": "Reactive",
        "expect": expect,
        "for_each": {for_each} if for_each else set(),
        "threshold": 1,
        "within": timedelta(hours=hours),
        **match,
    }


def _absence(
    after: set[str], expect: set[str], minutes: float, for_each: str, **match: Any
) -> dict[str, Any]:
    """A trigger that fires when, after one event, none of the others came for some minutes."""
    return {
        "type": "event",
        "posture": "Proactive",
        "after": after,
        "expect": expect,
        "for_each": {for_each},
        "threshold": 1,
        # Prefect knows no shorter one.
        "within": max(timedelta(minutes=minutes), timedelta(seconds=10)),
        **match,
    }


def _span(minutes: float) -> str:
    return f"{minutes:g} minutes" if minutes < 120 else f"{minutes / 60:g} hours"


# -- Prefect's side ---------------------------------------------------------------------------------
def _automation(alert: Alert, block: Any) -> AutomationCore:
    from prefect.events.schemas.automations import AutomationCore

    actions: list[dict[str, Any]] = []
    if alert.crashes:
        message = f"{MARK}this run {alert.crashes}."
        actions.append({"type": "change-flow-run-state", "state": "CRASHED", "message": message})
    if block is not None:
        actions.append(
            {
                "type": "send-notification",
                "block_document_id": block,
                "subject": alert.name,
                "body": f"{alert.body}\n\nMore: {alert.manual}",
            }
        )
    return AutomationCore.model_validate(
        {
            "name": alert.name,
            "description": f"See {alert.manual}.",
            "tags": ["tillbridge", TAG],
            "trigger": alert.trigger,
            # An automation has at least one action; that it fired shows on its page in any case.
            "actions": actions or [{"type": "do-nothing"}],
        }
    )


def find_block(client: SyncPrefectClient, slug: str) -> Any:
    """The id of a notification block by `type/name`; None for an empty slug."""
    from prefect.exceptions import ObjectNotFound

    if not slug:
        return None
    kind, name = slug.split("/")
    try:
        return client.read_block_document_by_name(name, kind, include_secrets=False).id
    except ObjectNotFound as error:
        raise ConfigurationError(
            f"The Prefect server has no block `{slug}`, which `notification_block` in [prefect] names.",
            next_step="create it in the UI under Blocks, or correct the name: type, slash, name of the block",
            key="prefect.notification_block",
        ) from error


def _registered(client: SyncPrefectClient) -> list[Automation]:
    """All automations of ours."""
    from prefect.events.filters import AutomationFilter, AutomationFilterTags

    ours = AutomationFilter(tags=AutomationFilterTags(all_=[TAG]))
    found: list[Automation] = []
    while page := client.read_automations(automations=ours, limit=PAGE, offset=len(found)):
        found += page
    return found


def _remove(client: SyncPrefectClient, found: list[Automation]) -> tuple[str, ...]:
    for automation in found:
        client.delete_automation(automation.id)
    return tuple(automation.name for automation in found)
