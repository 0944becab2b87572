"""Events, triggers and alerts against a real server; prints as JSON what came of them.

Run as `python -m tests.flows.chain FOLDER` with the variables of a running server on which prefect.yaml is
deployed for store S1. No worker runs: what a trigger starts stays scheduled, and is counted.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from click.testing import CliRunner
from prefect import task
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.responses import SetStateStatus
from prefect.events import emit_event
from prefect.events.filters import EventFilter, EventNameFilter, EventOrder
from prefect.events.worker import EventsWorker
from prefect.states import Failed, Pending, Running
from sqlalchemy import select

from data_contracts.errors import ConfigurationError
from data_contracts.parameters import CatalogScope, ExportScope, ReceiptScope, StatementScope
from deployments.automations import apply_automations, remove_automations
from deployments.cli import cli
from deployments.unblocking import unblock
from flows.advance_layaways import advance_layaways
from flows.export_orders import export_orders
from flows.import_catalog import import_catalog
from flows.import_orders import import_orders
from flows.publish_statement import publish_statement
from flows.receive_stock import receive_stock
from flows.reconcile import reconcile
from tasks import steps
from tasks.settings import CONFIG_VARIABLE, AlertSettings, Settings, load_settings
from tasks.use_cases.importing import import_waiting

SECRET = "CANARYTOKEN"
"""A secret of the notification block."""
SOON = 0.2
"""Minutes: Prefect's shortest wait is 10 s."""
PATIENCE = 90

said: dict[str, Any] = {}
played: dict[str, str] = {}
"""Flow run -> what was played."""
told: list[dict[str, str]] = []
"""What the notification block has sent."""
paths: set[str] = set()
"""The addresses it was sent to."""


class Listener(BaseHTTPRequestHandler):
    """Takes what the notification block sends."""

    def do_POST(self) -> None:
        paths.add(self.path)
        told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def wait_for(what: Callable[[], bool]) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + PATIENCE
    while not what() and time.monotonic() < deadline:
        time.sleep(0.5)
    return what()


def play(name: str, flow: Any, *arguments: Any) -> None:
    """Run a flow and remember which run it was."""
    state: State[Any] = flow(*arguments, return_state=True)
    played[str(state.state_details.flow_run_id)] = name
    said[name] = {"state": state.type.value, "events": []}


def read_events(client: SyncPrefectClient) -> None:
    """Every event of ours goes to the run that has sent it."""
    EventsWorker.drain_all()
    time.sleep(6)  # the server writes them down every five seconds
    ours = EventFilter(event=EventNameFilter(prefix=["tillbridge."]), order=EventOrder.ASC)
    page = client.read_events(ours, limit=50)
    events = page.events
    while page.next_page:
        page = client.read_events_page(str(page.next_page))
        events += page.events
    said["events"] = Counter(event.event for event in events)
    said["events of S1"] = Counter(event.event for event in events if event.resource.name == "S1")
    for event in events:
        run = event.resource_in_role["flow-run"].id.removeprefix("prefect.flow-run.")
        if run in played:
            labels = {key: value for key, value in event.resource.root.items() if key == "tillbridge.kind"}
            said[played[run]]["events"].append([event.event, event.resource.name, labels, event.payload])


def read_triggered(client: SyncPrefectClient) -> None:
    """Deployment -> runs that automations have scheduled, and with which parameters."""
    names = {deployment.id: deployment.name for deployment in client.read_deployments()}
    runs = client.read_flow_runs(flow_run_filter=FlowRunFilter(), limit=200)
    chained = [run for run in runs if run.created_by is not None and run.created_by.type == "AUTOMATION"]
    said["triggered"] = Counter(names[cast(UUID, run.deployment_id)] for run in chained)
    said["parameters"] = {names[cast(UUID, run.deployment_id)]: run.parameters for run in chained}


def notification_block(port: int) -> None:
    """The operator's block: a webhook with a secret in its address."""
    CustomWebhookNotificationBlock(
        name="ops",
        url=f"http://127.0.0.1:{port}/{{{{token}}}}",
        json_data={"subject": "{{subject}}", "body": "{{body}}"},
        secrets={"token": SECRET},
    ).save("ops")


def start(client: SyncPrefectClient, deployment: str, *states: State[Any]) -> FlowRun:
    """A run of a deployment that goes through some states, or is cancelled on its way.

    A server on SQLite that is busy may leave a run in the state in which it is.
    """
    found = next(d for d in client.read_deployments() if d.name == deployment)
    run = client.create_flow_run_from_deployment(found.id)
    for state in states:
        wait_for(
            lambda state=state: (  # type: ignore[misc]
                client.set_flow_run_state(run.id, state).status is not SetStateStatus.ABORT
            )
        )
    return client.read_flow_run(run.id)


def state_of(client: SyncPrefectClient, run: FlowRun) -> str:
    """How a run stands."""
    return str(client.read_flow_run(run.id).state_name)


def messages(subject: str) -> list[str]:
    """What was told under a subject."""
    return [message["body"] for message in told if message["subject"] == f"tillbridge: {subject}"]


def register(settings: Settings, port: int) -> None:
    """All alerts, twice; with other hours; and with a block that is not there."""
    nameless = settings.model_copy(
        update={"prefect": settings.prefect.model_copy(update={"notification_block": "custom-webhook/none"})}
    )
    try:
        apply_automations(nameless)
    except ConfigurationError as error:
        said["unknown block"] = str(error)
    notification_block(port)
    for name in ("first", "second"):
        done = apply_automations(settings)
        said[f"{name} registration"] = {
            "created": sorted(done.created),
            "updated": sorted(done.updated),
            "unchanged": len(done.unchanged),
        }


def command(*arguments: str) -> str:
    """What `tillbridge` prints, without the width of a terminal."""
    done = CliRunner().invoke(cli, list(arguments))
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


def register_less(client: SyncPrefectClient, settings: Settings) -> None:
    """One alert switched off in the UI, other hours, one store fewer; then none at all."""
    failed = client.read_automations_by_name("tillbridge: run failed")[0]
    client.pause_automation(failed.id)
    fewer = settings.model_copy(
        update={
            "alerts": settings.alerts.model_copy(update={"repeat_hours": 9, "overdue_minutes": 0}),
            "stores": {"S1": settings.stores["S1"]},
        }
    )
    done = apply_automations(fewer)
    failed = client.read_automations_by_name("tillbridge: run failed")[0]
    said["fewer"] = {
        "updated": sorted(done.updated),
        "removed": sorted(done.removed),
        "switched on": failed.enabled,
        "hours": cast(Any, failed.trigger).within / timedelta(hours=1),
    }
    said["taken away"] = len(remove_automations())
    start(client, "advance-layaways", Pending())
    said["commands"] = [
        command("unblock", "advance-layaways", "--dry-run"),
        command("alerts"),
        command("alerts", "--remove"),
    ]
    said["left"] = [a.name for a in client.read_automations() if "tillbridge-alert" in a.tags]


def trade(folder: Path, settings: Settings) -> None:
    """A day on which tickets, orders, goods, products and batches that go wrong come and go."""
    from deployments.sample_store.store import SampleStore
    from tasks.rms.tables import item

    scope, url = ExportScope(store="S1"), settings.rms_url("S1")
    play("tickets", export_orders, scope)
    play("no tickets", export_orders, scope)
    play("a rehearsal", export_orders, ExportScope(store="S2"), True)
    play("an import", import_orders)
    play("an import of nothing", import_orders)

    with SampleStore.open(url) as shop:
        with shop.engine.connect() as connection:
            goods = select(item.c.ItemLookupCode).where(item.c.ItemType == 0)
            sku = connection.execute(goods.order_by(item.c.Quantity.desc()).limit(1)).scalar_one()
        layaway = shop.open_layaway([(sku, 2)])
        play("a layaway", export_orders, scope)
        play("its import", import_orders)
        shop.cancel_order(layaway)
    play("a cancelled layaway", export_orders, scope)
    play("an import of a cancelled layaway", import_orders)
    play("the layaway advances", advance_layaways)
    play("no layaway advances", advance_layaways)
    look_again(settings, sku)

    (folder / "goods.csv").write_text(f"warehouse,sku,quantity\nS1,{sku},3\n", encoding="utf-8")
    play("goods arrive", receive_stock, ReceiptScope(file="goods.csv", reference="DN-7"))
    play("the same goods", receive_stock, ReceiptScope(file="goods.csv", reference="DN-7"))
    (folder / "more.csv").write_text("ProductID,ProductName,SitePrice\nNEW-1,New,1.00\n", encoding="utf-8")
    play("the catalogue changes", import_catalog, CatalogScope(file="more.csv"))
    play("the same catalogue", import_catalog, CatalogScope(file="more.csv"))

    orders = folder / "exchange" / "S1" / "orders"
    with SampleStore.open(url) as shop:
        said["lost ticket"], _ = shop.ring_unknown_item()
        play("a batch that is lost", export_orders, scope)
        for file in orders.glob("0*"):
            file.unlink()
        said["unknown item"], _ = shop.ring_unknown_item()
        play("the next batch", export_orders, scope)
        play("an import after a lost batch", import_orders)
        shop.ring_unknown_item()
        play("a batch that is spoiled", export_orders, scope)
    (spoiled,) = orders.glob("0*ticket_lines.csv")
    spoiled.write_bytes(spoiled.read_bytes()[:-20])
    play("a statement", publish_statement, StatementScope(store="S1", days=None))
    play("an import of a spoiled batch", import_orders)
    play("a comparison", reconcile)


def look_again(settings: Settings, sku: str) -> None:
    """While one cancelled layaway is applied, the next one is imported; nobody starts a second run."""
    from deployments.sample_store.store import SampleStore

    scope, patient, looks = ExportScope(store="S1"), steps.advance_store, []
    with SampleStore.open(settings.rms_url("S1")) as shop:
        first, second = shop.open_layaway([(sku, 1)]), shop.open_layaway([(sku, 1)])
        export_orders(scope)
        import_orders()
        shop.cancel_order(first)
        export_orders(scope)
        import_orders()
        shop.cancel_order(second)
        export_orders(scope)

    @task(name="advance", cache_policy=NO_CACHE)
    def advance_store(settings: Settings, store: str, kind: str, dry_run: bool) -> Any:
        done = patient.fn(settings, store, kind, dry_run)
        if store == "S1":
            looks.append(done.applied)
            if len(looks) == 1:
                import_waiting(settings)
        return done

    steps.advance_store = advance_store
    report = advance_layaways()
    steps.advance_store = patient
    said["looks"], said["applied in all"] = looks, [store.applied for store in report.stores]


def stand_still(client: SyncPrefectClient) -> None:
    """Runs that are stuck, dead, failed or blocked, each of a deployment of its own."""
    stuck = start(client, "export-products", Pending())
    dead = start(client, "advance-backorders", Pending(), Running())
    emit_event(
        "prefect.flow-run.heartbeat",
        resource={"prefect.resource.id": f"prefect.flow-run.{dead.id}", "prefect.resource.name": dead.name},
        related=[
            {"prefect.resource.id": "prefect.tag.tillbridge", "prefect.resource.role": "tag"},
            {
                "prefect.resource.id": f"prefect.flow.{dead.flow_id}",
                "prefect.resource.role": "flow",
                "prefect.resource.name": "advance-backorders",
            },
        ],
    )
    EventsWorker.drain_all()
    start(client, "import-catalog", Pending(), Running(), Failed(message="The hub does not answer."))
    holder = start(client, "reconcile", Pending(), Running())
    said["second run"] = state_of(client, start(client, "reconcile", Pending()))

    expected = (
        "run stuck",
        "run unresponsive",
        "slot blocked",
        "run failed",
        "run overdue",
        "store silent (S1)",
    )
    wait_for(lambda: all(messages(subject) for subject in expected))
    said["stuck"], said["dead"] = state_of(client, stuck), state_of(client, dead)
    said["after the stuck one"] = state_of(client, start(client, "export-products", Pending()))

    times = AlertSettings(pending_minutes=0.0001)
    said["left alone"] = [(slot.deployment, slot.freed) for slot in unblock(["reconcile"], times)]
    said["rehearsed"] = [(slot.deployment, slot.freed) for slot in unblock([], times, dry_run=True)]
    said["freed"] = sorted((slot.deployment, slot.freed) for slot in unblock([], times, every=True))
    said["holder"] = state_of(client, holder)
    leaked = start(client, "reconcile", Pending())
    limit = client.read_deployment(cast(UUID, leaked.deployment_id)).global_concurrency_limit
    assert limit is not None
    client.delete_flow_run(leaked.id)
    take_slot(client, limit.name)
    said["while nobody holds it"] = state_of(client, start(client, "reconcile", Pending()))
    said["leaked"] = [(slot.run, slot.freed) for slot in unblock(["reconcile"], times)]
    said["after that"] = state_of(client, start(client, "reconcile", Pending()))
    try:
        unblock(["recncile"], times)
    except ConfigurationError as error:
        said["misspelled"] = str(error)


def take_slot(client: SyncPrefectClient, name: str) -> None:
    """A slot that a server has forgotten about when it was started anew."""
    from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate

    client.update_global_concurrency_limit(name, GlobalConcurrencyLimitUpdate(active_slots=1))


def main(folder: Path) -> None:
    """Play it all; the installation in `folder` is live and has rung tickets."""
    os.environ[CONFIG_VARIABLE] = str(folder / "tillbridge.toml")
    settings = load_settings()
    listener = HTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    register(settings, listener.server_port)
    with get_client(sync_client=True) as client:
        time.sleep(6)  # automations are loaded by the server every few seconds
        trade(folder, settings)
        stand_still(client)
        read_events(client)
        read_triggered(client)
        said["told"], said["paths"] = told, sorted(paths)
        register_less(client, settings)
    (folder / "said.json").write_text(json.dumps(said), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
