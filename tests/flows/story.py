"""The real flows in a process of their own; prints as JSON what became of each run.

Run as `python -m tests.flows.story FOLDER` with the variables of a running server. It plays runs that find
nothing, a day of trade, a layaway and a backorder, a batch that never arrives, and errors that pass and that
do not.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any, cast

from prefect.artifacts import Artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey, FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import State
from prefect.client.schemas.sorting import ArtifactSort
from prefect.exceptions import ParameterTypeError
from prefect.logging.handlers import APILogHandler
from sqlalchemy import select

from data_contracts.documents import MAX_BATCH_LINES
from data_contracts.parameters import (
    CatalogScope,
    DeskScope,
    ExportScope,
    HubScope,
    ProductScope,
    ReceiptScope,
    ResendScope,
    StatementScope,
    StoreScope,
)
from flows.advance_backorders import advance_backorders
from flows.advance_layaways import advance_layaways
from flows.apply_products import apply_products
from flows.clean_exchange import clean_exchange
from flows.export_orders import export_orders
from flows.export_products import export_products
from flows.import_catalog import import_catalog
from flows.import_orders import import_orders
from flows.publish_statement import publish_statement
from flows.receive_stock import receive_stock
from flows.reconcile import reconcile
from flows.release_quarantine import release_quarantine
from flows.resend_period import resend_period
from tasks import steps
from tasks.settings import CONFIG_VARIABLE
from tasks.use_cases import exporting

STEPS = (
    "export_store",
    "apply_products",
    "state_store",
    "resend_period",
    "find_waiting",
    "fetch_store",
    "validate",
    "import_store",
    "advance_store",
    "give_out_stock",
    "receive_stock",
    "visit_desk",
    "import_catalog",
    "export_products",
    "clean_store",
    "reconcile",
)
SECRET = "CANARYPASS"
"""A password that must not be found anywhere."""

said: dict[str, Any] = {}


def play(name: str, flow: Any, *arguments: Any) -> None:
    """Run a flow and keep its state and the attempts of each of its task runs."""
    state: State[Any] = flow(*arguments, return_state=True)
    with get_client(sync_client=True) as client:
        task_runs = client.read_task_runs(
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[state.state_details.flow_run_id]))
        )
    said[name] = {
        "state": state.type.value,
        "message": state.message or "",
        # Prefect ends a name that we do not give in three random digits.
        "attempts": {re.sub("-[0-9a-f]{3}$", "", task.name): task.run_count for task in task_runs},
    }


def keep_artifact(name: str, key: str) -> None:
    """The newest text under a key."""
    found = cast(Artifact | None, Artifact.get(key))
    said[name] = "" if found is None else found.data


def kept(key: str) -> list[Any]:
    """All artifacts under a key, oldest first."""
    with get_client(sync_client=True) as client:
        return client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])), sort=ArtifactSort.CREATED_DESC
        )[::-1]


def with_settings(file: Path, old: str, new: str) -> None:
    """Change the settings that the next flow reads."""
    changed = file.with_name("changed.toml")
    text = file.read_text(encoding="utf-8")
    assert old in text
    changed.write_text(text.replace(old, new), encoding="utf-8")
    os.environ[CONFIG_VARIABLE] = str(changed)


def main(folder: Path) -> None:
    """Play it all; the installation in `folder` is live and has rung tickets."""
    settings_file = folder / "tillbridge.toml"
    os.environ[CONFIG_VARIABLE] = str(settings_file)
    for name in STEPS:  # as often as ever, but at once
        patient = getattr(steps, name)
        setattr(steps, name, patient.with_options(retry_delay_seconds=0, retry_jitter_factor=None))

    play("empty import", import_orders)
    play("advance of nothing", advance_layaways)
    play("allocation of nothing", advance_backorders)
    play("products of nothing", apply_products, StoreScope(store="S1"))
    play("cleaning of nothing", clean_exchange)
    said["loaded"] = [name for name in ("pandas", "great_expectations", "pyodbc") if name in sys.modules]

    for store in ("S1", "S2"):
        play(f"export {store}", export_orders, ExportScope(store=store))
    # One store cannot be fetched: its inbox is no folder.
    blocked = folder / "inbox" / "S1"
    shutil.rmtree(blocked)
    blocked.touch()
    play("import with one store blocked", import_orders)
    keep_artifact("artifact of the blocked import", "import-orders")
    blocked.unlink()
    play("import", import_orders)
    keep_artifact("artifact export-orders-s1", "export-orders-s1")
    keep_artifact("artifact of the first import of S1", "import-orders-s1")
    set_aside(folder)
    for store in ("S1", "S2"):
        play(f"statement {store}", publish_statement, StatementScope(store=store))
    play("import of statements", import_orders)
    play("reconcile", reconcile)
    for key in ("statement-s1", "import-orders", "import-orders-s2", "reconcile", "reconcile-s1"):
        keep_artifact(f"artifact {key}", key)

    play("resend rehearsed", resend_period, ResendScope(store="S1", batch=1))
    keep_artifact("artifact of the rehearsed resend", "resend-period-s1")
    play("resend", resend_period, ResendScope(store="S1", batch=1), False)
    keep_artifact("artifact of the resend", "resend-period-s1")
    play("import of the resend", import_orders)
    keep_artifact("artifact of its import", "import-orders-s1")
    vars(exporting)["MAX_BATCH_LINES"] = 3
    play("long resend", resend_period, ResendScope(store="S1", first_ticket=5, last_ticket=10))
    vars(exporting)["MAX_BATCH_LINES"] = MAX_BATCH_LINES
    said["progress of the long resend"] = [
        (shown.data, shown.description) for shown in kept("resend-period-s1-progress")
    ]
    try:
        cast(Any, resend_period)({"store": "S1", "batch": 1, "first_ticket": 2})
        said["two selections"] = "accepted"
    except ParameterTypeError as error:
        said["two selections"] = str(error)
    (folder / "inbox" / "S1" / "orders" / "000001-00000000000f").mkdir(parents=True)
    play("cleaning", clean_exchange)
    keep_artifact("artifact of the cleaning", "clean-exchange-all")
    send_products(folder)
    os.environ[CONFIG_VARIABLE] = str(settings_file)
    sell_more(folder)
    lose_a_batch(folder)
    play("reconcile after a loss", reconcile, HubScope(stores=("S1",)))
    keep_artifact("artifact after a loss", "reconcile-s1")

    mend_a_ticket(folder)

    try:
        cast(Any, export_orders)({"store": "no such store"})
        said["wrong parameter"] = "accepted"
    except ParameterTypeError as error:
        said["wrong parameter"] = str(error)
    play("another statement", publish_statement, StatementScope(store="S2"))  # so that something waits
    play("unknown store", export_orders, ExportScope(store="S9"))
    with_settings(settings_file, "[hub]", '[exchange]\nurl = "gone/exchange"\n[hub]')
    play("lost exchange", export_orders, ExportScope(store="S1"))
    with_settings(
        settings_file, "sqlite:///hub.db", f"postgresql+psycopg://u:{SECRET}@127.0.0.1:1/x?connect_timeout=2"
    )
    play("lost hub", reconcile)
    play("advance without a hub", advance_layaways)
    play("import without a hub", import_orders)
    play("products without a hub", export_products)

    APILogHandler().flush()
    with get_client(sync_client=True) as client:
        said["logs"] = [log.message for log in client.read_logs(limit=200)]
    (folder / "said.json").write_text(json.dumps(said), encoding="utf-8")


def set_aside(folder: Path) -> None:
    """S1 opens a layaway and a backorder of more than there is; goods arrive, the layaway is picked up."""
    from deployments.sample_store.store import SampleStore
    from tasks.rms.tables import item

    def move(name: str) -> None:
        play(f"export of {name}", export_orders, ExportScope(store="S1"))
        play(f"import of {name}", import_orders)

    url = f"sqlite:///{folder / 'S1' / 'rms.db'}"
    with SampleStore.open(url) as shop:
        with shop.engine.connect() as connection:
            goods = select(item.c.ItemLookupCode, item.c.Quantity).where(item.c.ItemType == 0)
            (laid_away, _), (awaited, on_hand) = connection.execute(
                goods.order_by(item.c.Quantity.desc()).limit(2)
            )
        said["layaway"] = shop.open_layaway([(laid_away, 2)], deposit=50_000)
        said["awaited"] = int(on_hand) + 3
        said["backorder"] = shop.open_backorder([(awaited, said["awaited"])])
    move("two orders")
    keep_artifact("artifact of two orders", "export-orders-s1")
    (folder / "goods.csv").write_text(f"warehouse,sku,quantity\nS1,{awaited},3\n", encoding="utf-8")
    play("receipt rehearsed", receive_stock, ReceiptScope(file="goods.csv", reference="DN-7"), True)
    play("receipt", receive_stock, ReceiptScope(file="goods.csv", reference="DN-7"))
    keep_artifact("artifact of the receipt", "receive-stock")
    play("receipt again", receive_stock, ReceiptScope(file="goods.csv", reference="DN-7"))
    with SampleStore.open(url) as shop:
        shop.receive(awaited, 3)
        said["picked up"] = shop.pick_up(said["layaway"]).number
    move("the pick-up")
    keep_artifact("artifact of the pick-up's import", "import-orders-s1")
    play("advance rehearsed", advance_layaways, HubScope(), True)
    keep_artifact("artifact of the rehearsal", "advance-layaways-s1")
    play("advance", advance_layaways)
    keep_artifact("artifact of the advance", "advance-layaways-s1")
    play("advance of backorders", advance_backorders)


def send_products(folder: Path) -> None:
    """The hub sends S1 a product with a long name and one that no till can hold."""
    from tasks.exchange.local import LocalFolder
    from tests.hub_products import product, publish

    with_settings(folder / "tillbridge.toml", "[stores.S1]", "[stores.S1.products]\n[stores.S1]")
    mug = product("NEW-MUG", name="A mug with a name of more than thirty letters", price="6.50")
    publish(LocalFolder(folder / "exchange"), mug, product("X" * 26))
    play("products rehearsed", apply_products, StoreScope(store="S1"), True)
    play("products", apply_products, StoreScope(store="S1"))
    keep_artifact("artifact of products", "apply-products-s1")


def sell_more(folder: Path) -> None:
    """A catalogue with a new product and a faulty one; the tills get all of it for the first time."""
    play("catalogue of nothing", import_catalog)
    (folder / "more.csv").write_text(
        "ProductID,ProductName,SitePrice\nSTORY-1,Brand new,1.00\nSTORY-2,Faulty,x\n", encoding="utf-8"
    )
    play("catalogue rehearsed", import_catalog, CatalogScope(file="more.csv"), True)
    keep_artifact("artifact of the catalogue's rehearsal", "import-catalog")
    play("catalogue", import_catalog, CatalogScope(file="more.csv"))
    keep_artifact("artifact of the catalogue", "import-catalog")
    keep_artifact("artifact of the products", "export-products")
    keep_artifact("artifact of the products of S2", "export-products-s2")
    play("catalogue again", import_catalog, CatalogScope(file="more.csv"))
    play("products again", export_products, ProductScope(retry=True))
    said["product batches"] = {
        store: len(list((folder / "exchange" / store / "products").glob("*.manifest.json")))
        for store in ("S1", "S2")
    }


def lose_a_batch(folder: Path) -> None:
    """S1 exports a ticket, the batch vanishes, and only the statement arrives."""
    from deployments.sample_store.store import SampleStore

    with SampleStore.open(f"sqlite:///{folder / 'S1' / 'rms.db'}") as shop:
        said["lost ticket"], _ = shop.ring_unknown_item()
    play("export of the lost", export_orders, ExportScope(store="S1"))
    for file in (folder / "exchange" / "S1" / "orders").glob("0*"):
        file.unlink()
    play("statement with the lost", publish_statement, StatementScope(store="S1"))
    play("import without the lost", import_orders)


def mend_a_ticket(folder: Path) -> None:
    """S2 sells an item that nobody knows; people correct its SKU, release it, and ask for nonsense."""
    from deployments.sample_store.store import SampleStore
    from tasks.rms.tables import item

    with SampleStore.open(f"sqlite:///{folder / 'S2' / 'rms.db'}") as shop:
        number, said["wrong sku"] = shop.ring_unknown_item()
        with shop.engine.connect() as connection:
            goods = select(item.c.ItemLookupCode).where(item.c.ItemType == 0)
            said["right sku"] = connection.execute(goods.order_by(item.c.ID).limit(1)).scalar_one()
    document = f"S2/1/ticket/{number}"
    said["mended"] = document
    play("export of the unknown", export_orders, ExportScope(store="S2"))
    play("import of the unknown", import_orders)
    keep_artifact("artifact of the unknown", "import-orders-s2")
    change = f"ticket_lines/1/sku={said['right sku']}"
    edit = DeskScope(action="edit", documents=(document,), edits=(change,), why="wrong label", by="ann")
    release = DeskScope(documents=(document,), why="looked at it", by="bob")
    play("edit rehearsed", release_quarantine, edit)
    keep_artifact("artifact of the rehearsed edit", "release-quarantine")
    play("edit", release_quarantine, edit, False)
    play("release", release_quarantine, release, False)
    keep_artifact("artifact of the release", "release-quarantine")
    play("release again", release_quarantine, release, False)
    play(
        "discard of what is booked",
        release_quarantine,
        release.model_copy(update={"action": "discard"}),
        False,
    )
    try:
        cast(Any, release_quarantine)({"action": "edit", "documents": [document], "why": "?", "by": "ann"})
        said["nonsense"] = "accepted"
    except ParameterTypeError as error:
        said["nonsense"] = str(error)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
