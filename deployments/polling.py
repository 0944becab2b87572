"""One long-lived process: flows that look for something new run in here, each time as a real flow run.

A run in a process of its own costs a Python start, each time; here only the work is left. A lane (a thread)
per store and one for the hub, so that a store that does not answer holds up no other. A run that fails never
ends its lane.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from data_contracts.codes import BACKORDER, LAYAWAY
from data_contracts.errors import TillbridgeError
from deployments.prefect_api import without_password
from deployments.registering import load_flow
from deployments.templates import Planned
from tasks.settings import Settings

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

log = logging.getLogger(__name__)

OF_STORE = ("export-orders", "apply-products")
OF_HUB = ("import-orders", "advance-layaways", "advance-backorders", "export-products")
"""Templates whose flows run in here, in the order of a cycle."""

REST_SECONDS = 300.0
"""At the latest after so long a flow runs that is otherwise run only when there is something to do."""


def is_polled(entry: Planned) -> bool:
    """Whether a deployment's flow is one of those that run in here."""
    return entry.template in OF_STORE + OF_HUB


class Polling:
    """The lanes of an installation."""

    def __init__(
        self, settings: Settings, planned: Sequence[Planned], ids: Mapping[str, UUID], every: float
    ) -> None:
        self._settings = settings
        self._entries = {entry.name: entry for entry in planned if is_polled(entry)}
        self._ids = ids
        self._every = every
        self._ended = threading.Event()
        self._arrived = threading.Event()
        self._ran: dict[str, float] = {}
        stores = sorted({entry.store for entry in self._entries.values() if entry.store is not None})
        lanes: list[tuple[str, Callable[[], None]]] = [
            (f"store {code}", self._store_lane(code)) for code in stores
        ]
        if any(entry.store is None for entry in self._entries.values()):
            lanes.append(("hub", self._hub_cycle))
        self._lanes = [
            threading.Thread(target=self._run_lane, args=(cycle, name == "hub"), name=name, daemon=True)
            for name, cycle in lanes
        ]

    def start(self) -> None:
        """Begin with the first cycle of every lane."""
        for lane in self._lanes:
            lane.start()

    def stop(self, seconds: float) -> list[str]:
        """Let the runs at work end; returns the lanes that have not after so many seconds."""
        self._ended.set()
        self._arrived.set()
        deadline = time.monotonic() + seconds
        for lane in self._lanes:
            lane.join(max(0.0, deadline - time.monotonic()))
        return [lane.name for lane in self._lanes if lane.is_alive()]

    def _run_lane(self, cycle: Callable[[], None], woken: bool) -> None:
        while not self._ended.is_set():
            began = time.monotonic()
            if woken:
                self._arrived.clear()
            try:
                cycle()
            except BaseException as error:  # noqa: BLE001 - Prefect breaks a run off with some that are no Exception
                log.warning("%s was broken off: %s", threading.current_thread().name, without_password(error))
            rest = max(0.0, began + self._every - time.monotonic())
            (self._arrived if woken else self._ended).wait(rest)

    def _store_lane(self, code: str) -> Callable[[], None]:
        def cycle() -> None:
            report = self._run(f"export-orders-{code}")
            if report is not None and report.batches:
                self._arrived.set()
            if self._is_due(f"apply-products-{code}"):
                self._run(f"apply-products-{code}")

        return cycle

    def _hub_cycle(self) -> None:
        booked = None
        if self._is_due("import-orders") or self._waits():
            booked = self._run("import-orders")
        for name, kind in (("advance-layaways", LAYAWAY), ("advance-backorders", BACKORDER)):
            if self._is_due(name) or (booked is not None and booked.batches and self._is_to_advance(kind)):
                self._run(name)
        if self._is_due("export-products"):
            self._run("export-products")

    def _waits(self) -> bool:
        """Whether a batch waits; what prevents a look is for the run to say."""
        from tasks.use_cases.arrivals import find_waiting

        try:
            return any(find_waiting(self._settings).values())
        except TillbridgeError:
            return True

    def _is_to_advance(self, kind: str) -> bool:
        from tasks.hub.database import open_hub
        from tasks.hub.to_advance import something_to_advance

        try:
            with open_hub(self._settings.hub_url) as hub:
                return any(
                    something_to_advance(hub, self._settings, code, kind) for code in self._settings.stores
                )
        except TillbridgeError:
            return True

    def _is_due(self, name: str) -> bool:
        ran = self._ran.get(name)
        return name in self._entries and (ran is None or time.monotonic() - ran >= REST_SECONDS)

    def _run(self, name: str) -> Any:
        """Run a deployment's flow; what it returns, or None if it failed or another run is at work."""
        entry = self._entries.get(name)
        if entry is None or self._ended.is_set():
            return None
        self._ran[name] = time.monotonic()
        try:
            state = run_here(self._ids[name], load_flow(entry))
            if state.is_completed():
                return state.result()
            if not state.is_cancelled():
                log.warning("%s: %s", name, state.message)
        except Exception as error:  # noqa: BLE001 - the border: a run that fails never ends its lane
            log.warning("%s could not be run: %s", name, without_password(error))
        return None


def run_here(deployment: UUID, flow: Any) -> State[Any]:
    """A flow run of a deployment, in this thread; its last state.

    It is born Pending: no runner and no worker picks it up, and it takes the deployment's concurrency slot
    like any other run.
    """
    from prefect.client.orchestration import get_client
    from prefect.flow_engine import run_flow
    from prefect.states import Cancelled, Pending

    with get_client(sync_client=True) as client:
        run = client.create_flow_run_from_deployment(deployment, state=Pending())
    if run.state is not None and not run.state.is_pending():
        return run.state
    state = cast("State[Any]", run_flow(flow, flow_run=run, return_type="state"))
    if not state.is_cancelling():
        return state
    # A thread cannot be broken off, and no runner knows the run, so that nobody else would say it.
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run.id, Cancelled(message="Cancelled; it had come to its end."))
        return cast("State[Any]", client.read_flow_run(run.id).state)
