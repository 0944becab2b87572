"""Products to the tills: what differs is sent once, answers are booked, a kill anywhere changes nothing."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from data_contracts.documents import STREAM_PRODUCTS
from data_contracts.errors import TransferInterrupted
from data_contracts.manifest import Acknowledgement, ProductAnswer, Reason
from tasks import faults
from tasks.exchange import batches
from tasks.exchange.local import LocalFolder
from tasks.hub.database import Hub, open_hub
from tasks.hub.product_standing import ProductAtStore, TillStanding
from tasks.hub.products import import_catalog
from tasks.settings import Settings
from tasks.use_cases.catalog import find_product, show_products
from tasks.use_cases.exporting_products import ProductExport, export_products, export_store_products
from tasks.use_cases.standing import show_standing
from tests.hub.world import World, nothing_refused

START = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)


class Died(BaseException):
    """The process ends here."""


@dataclass
class Till:
    """A store that applies batches: what it sells, by sequence, and what it will not take."""

    items: dict[str, dict[str, str]] = field(default_factory=dict)
    revisions: dict[str, str] = field(default_factory=dict)
    refuses: set[str] = field(default_factory=set)
    answered: int = 0
    """The highest sequence answered."""
    idle: int = 0
    """Products that came again although the till had them."""

    def apply(self, folder: LocalFolder, *, only: int | None = None) -> None:
        """Answer what waits, or only the batch of one sequence."""
        for sequence, batch_id in batches.waiting_batches(folder, "S1", STREAM_PRODUCTS):
            if only not in (None, sequence):
                continue
            manifest = batches.fetch_manifest(folder, "S1", STREAM_PRODUCTS, sequence, batch_id)
            rows = read(batches.fetch_files(folder, manifest)["products"])
            late = sequence < self.answered
            answers = [self._answer(row, late) for row in rows]
            self.answered = max(self.answered, sequence)
            answer(folder, sequence, batch_id, products=tuple(answers))
            batches.archive(folder, manifest)

    def _answer(self, row: dict[str, str], late: bool) -> ProductAnswer:
        sku, revision = row["sku"], row["revision"]
        if late:
            return ProductAnswer(sku=sku, revision=revision, state="superseded")
        if sku in self.refuses:
            return ProductAnswer(
                sku=sku, revision=revision, state="refused", rule="tax", message="No tax.", fix="Set it."
            )
        if self.revisions.get(sku) == revision:
            self.idle += 1
            return ProductAnswer(sku=sku, revision=revision, state="unchanged")
        state = "updated" if sku in self.items else "created"
        self.items[sku], self.revisions[sku] = row, revision
        return ProductAnswer(sku=sku, revision=revision, state=state, notes=("name cut",))


def read(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def answer(folder: LocalFolder, sequence: int, batch_id: str, **fields: Any) -> None:
    """Write a store's answer to a batch."""
    said: dict[str, Any] = {"state": "accepted", "acknowledged_utc": "2026-11-24T06:05:00.000Z"}
    batches.acknowledge(
        folder,
        Acknowledgement(
            store="S1", stream=STREAM_PRODUCTS, sequence=sequence, batch_id=batch_id, **said | fields
        ),
    )


@dataclass
class Shops:
    """A hub with two stores, an exchange folder and the till of S1; its clock moves only when told."""

    folder: Path
    settings: Settings
    till: Till = field(default_factory=Till)
    clock: datetime = START

    @property
    def exchange(self) -> LocalFolder:
        return LocalFolder(self.settings.exchange_url)

    @property
    def now(self) -> str:
        return self.clock.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def wait(self, minutes: int) -> None:
        self.clock += timedelta(minutes=minutes)

    def configure(self, **catalog: Any) -> None:
        changed = type(self.settings.catalog)(**catalog)
        self.settings = self.settings.model_copy(update={"catalog": changed})

    def catalog(self, *lines: str, header: str = "sku,name,price,active") -> None:
        file = self.folder / "catalog.csv"
        file.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
        with open_hub(self.settings.hub_url) as hub:
            import_catalog(hub, self.settings, file, check=nothing_refused, now=self.now)

    def export(self, store: str = "S1", **options: Any) -> ProductExport:
        return export_store_products(self.settings, store, now=self.now, **options)

    def sent(self, store: str = "S1") -> list[list[str]]:
        """SKUs of every batch that was published, oldest first."""
        found = []
        for names in batches.every_batch(self.exchange, store, STREAM_PRODUCTS):
            manifest = batches.fetch_manifest(self.exchange, store, STREAM_PRODUCTS, *names)
            rows = read(batches.fetch_files(self.exchange, manifest)["products"])
            assert manifest.documents == len(rows)
            found.append([row["sku"] for row in rows])
        return found

    def cycle(self) -> ProductExport:
        """Send, let the till answer, take the answer."""
        self.export()
        self.till.apply(self.exchange)
        return self.export()

    def standing(self) -> TillStanding:
        return show_products(self.settings, ["S1"]).stores[0]

    def at_store(self, sku: str) -> ProductAtStore:
        found = find_product(self.settings, sku)
        assert found is not None
        return found.stores[0]

    def events(self) -> list[tuple[str, str | None]]:
        with open_hub(self.settings.hub_url) as hub, hub.reading() as connection:
            query = "SELECT type, sku FROM events WHERE store = 'S1' AND type LIKE 'product%' ORDER BY number"
            return [tuple(row) for row in connection.execute(text(query))]


def make_shops(folder: Path, hub_url: str) -> Shops:
    """Both stores are baselined; the hub has no products yet."""
    made = Settings.model_validate(
        {"hub": {"url": hub_url}, "stores": {"S1": {}, "S2": {}}, "folder": folder}
    )
    shops = Shops(folder, made)
    shops.exchange.take_into_use()
    return shops


def go_live(hub: Hub, folder: Path) -> None:
    world = World(hub, folder, stores={"S1": {}, "S2": {}}, warehouses={})
    world.baseline()
    world.baseline(store="S2")


@pytest.fixture(scope="session")
def live_file(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite hub with two baselined stores, to be copied."""
    folder = tmp_path_factory.mktemp("live")
    shutil.copy(migrated_file, folder / "hub.db")
    with open_hub(f"sqlite:///{folder / 'hub.db'}") as hub:
        go_live(hub, folder)
    return folder / "hub.db"


@pytest.fixture
def shops(live_file: Path, tmp_path: Path) -> Shops:
    shutil.copy(live_file, tmp_path / "hub.db")
    return make_shops(tmp_path, f"sqlite:///{tmp_path / 'hub.db'}")


def test_a_product_s_life_between_hub_and_till(hub: Hub, hub_url: str, tmp_path: Path) -> None:
    """On either database: new, changed, refused, mended, no longer sold."""
    go_live(hub, tmp_path)
    shops = make_shops(tmp_path, hub_url)
    shops.till.refuses = {"B"}
    shops.catalog("A,First,1.00,true,0012|X", "B,Second,2,true,", header="sku,name,price,active,aliases")

    sent = shops.export()
    assert (sent.products, sent.inactive, len(sent.batches)) == (2, 0, 1)
    assert shops.standing().on_the_way == 2
    (names,) = batches.waiting_batches(shops.exchange, "S1", STREAM_PRODUCTS)
    manifest = batches.fetch_manifest(shops.exchange, "S1", STREAM_PRODUCTS, *names)
    codes = read(batches.fetch_files(shops.exchange, manifest)["product_codes"])
    assert [(row["sku"], row["code"]) for row in codes] == [("A", "0012"), ("A", "X")]

    shops.till.apply(shops.exchange)
    answered = shops.export()
    assert (answered.products, answered.answered, answered.at_till, answered.refused) == (0, 1, 1, 1)
    assert answered.reasons == (Reason(document="B", rule="tax", message="No tax.", fix="Set it."),)
    assert shops.events() == [("product_at_till", "A"), ("product_refused", "B")]
    standing = shops.standing()
    assert (standing.at_till, standing.refused, standing.not_at_till) == (1, 1, 1)
    assert [(r.sku, r.message, r.attempts) for r in standing.reasons] == [("B", "No tax.", 1)]
    assert shops.at_store("0012").notes == ("name cut",)

    shops.till.refuses.clear()
    shops.catalog("A,First,1.50,false", "B,Second,2.5,true")
    assert shops.export().inactive == 1
    shops.till.apply(shops.exchange)
    shops.export()
    assert {sku: (row["price"], row["active"]) for sku, row in shops.till.items.items()} == {
        "A": ("1.5000", "false"),
        "B": ("2.5000", "true"),
    }
    assert shops.sent() == [["A", "B"], ["A", "B"]]
    assert (shops.standing().at_till, shops.standing().not_at_till) == (2, 0)


def test_cycle_in_which_nothing_changed_sends_and_writes_nothing(shops: Shops) -> None:
    shops.catalog("A,a,1,true")
    shops.cycle()
    before = (shops.folder / "hub.db").read_bytes()

    report = shops.export()

    assert (report.products, report.answered) == (0, 0)
    assert shops.sent() == [["A"]]
    assert (shops.folder / "hub.db").read_bytes() == before


def test_empty_cycle_loads_neither_pandas_nor_great_expectations(shops: Shops) -> None:
    shops.catalog("A,a,1,true")
    shops.cycle()
    stores = "".join(f"[stores.{code}]\n" for code in ("S1", "S2"))
    config = shops.folder / "tillbridge.toml"
    config.write_text(f'[hub]\nurl = "{shops.settings.hub_url}"\n{stores}', encoding="utf-8")
    program = (
        "import sys\n"
        "from tasks.settings import load_settings\n"
        "from tasks.use_cases.exporting_products import export_store_products\n"
        f"report = export_store_products(load_settings({str(config)!r}), 'S1')\n"
        "heavy = ('pandas', 'numpy', 'great_expectations', 'prefect')\n"
        "print(report.products, report.skipped, [name for name in heavy if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (done.stdout.strip(), done.stderr) == ("0  []", "")


def test_change_that_no_till_sees_is_not_sent(shops: Shops) -> None:
    shops.catalog("A,a,1.00,0.90", header="sku,name,price,store_price")
    shops.cycle()

    shops.catalog("A,a,2.00,0.90", header="sku,name,price,store_price")

    assert shops.export().products == 0
    assert shops.sent() == [["A"]]


def test_what_is_on_its_way_is_not_sent_again_but_what_changed_meanwhile_is(shops: Shops) -> None:
    shops.catalog("A,a,1,true", "B,b,1,true")
    shops.export()
    assert shops.export().products == 0

    shops.catalog("A,a,2,true")
    shops.export()
    shops.catalog("A,a,1,true")  # back to what is on its way in the first batch, but not last
    shops.export()

    assert shops.sent() == [["A", "B"], ["A"], ["A"]]
    shops.till.apply(shops.exchange)
    assert shops.export().at_till == 4
    assert shops.till.items["A"]["price"] == "1.0000"
    assert shops.standing().at_till == 2


def test_inactive_product_that_the_till_never_had_is_not_sent(shops: Shops) -> None:
    shops.catalog("A,a,1,false", "B,b,1,true")

    shops.cycle()

    assert shops.sent() == [["B"]]
    assert shops.at_store("A").state == "never_sent"


def test_refused_product_is_sent_again_after_a_while_each_time_later(shops: Shops) -> None:
    shops.till.refuses = {"A"}
    shops.catalog("A,a,1,true")
    tries = []
    for minute in range(0, 8 * 60, 5):
        report = shops.export()
        if report.products:
            tries.append(minute)
            shops.till.apply(shops.exchange)
        shops.wait(5)

    assert tries == [0, 65, 190, 435]  # the answer to each is booked five minutes later
    assert shops.at_store("A").attempts == 4
    assert shops.events() == [("product_refused", "A")]


def test_refused_product_is_sent_at_once_when_it_changed_or_when_asked(shops: Shops) -> None:
    shops.till.refuses = {"A"}
    shops.catalog("A,a,1,true")
    shops.cycle()
    assert shops.export().products == 0

    assert shops.export(retry=True).products == 1
    shops.till.apply(shops.exchange)
    shops.catalog("A,a,2,true")
    assert shops.export().products == 1
    assert shops.at_store("A").attempts == 1


def test_refused_product_that_is_no_longer_sold_is_off_the_list(shops: Shops) -> None:
    shops.till.refuses = {"A"}
    shops.catalog("A,a,1,true")
    shops.cycle()
    shops.catalog("A,a,1,false")
    assert shops.standing().refused == 0

    shops.export()

    assert shops.sent() == [["A"]]
    assert shops.standing().not_at_till == 0


def test_change_that_was_refused_and_taken_back_is_settled_without_sending(shops: Shops) -> None:
    shops.catalog("A,a,1,true")
    shops.cycle()
    shops.till.refuses = {"A"}
    shops.catalog("A,a,2,true")
    shops.cycle()
    assert shops.standing().refused == 1

    shops.catalog("A,a,1,true")
    shops.export()

    assert shops.sent() == [["A"], ["A"]]
    assert (shops.standing().at_till, shops.standing().refused) == (1, 0)


def test_batch_that_the_store_rejected_is_shown_and_sent_again(shops: Shops) -> None:
    shops.catalog("A,a,1,true")
    shops.export()
    ((sequence, batch_id),) = batches.waiting_batches(shops.exchange, "S1", STREAM_PRODUCTS)
    reasons = (Reason(rule="altered", message="A file was altered.", fix="Send it again."),)
    answer(shops.exchange, sequence, batch_id, state="rejected", reasons=reasons)

    assert shops.export().reasons == reasons

    (refused,) = shops.standing().reasons
    assert (refused.rule, refused.message) == (
        "batch_rejected",
        "The store rejected the whole batch: A file was altered.",
    )
    assert shops.export(retry=True).products == 1
    assert shops.events() == [("product_batch_rejected", None)]


@pytest.mark.parametrize("answered", ["rejected", "accepted"])
def test_product_of_a_batch_that_may_have_been_written_in_part_is_sent_whatever_it_is_now(
    answered: str, shops: Shops
) -> None:
    """Killed while writing, then its file was spoiled: what was taken back in the hub stayed at the till."""
    shops.catalog("A,a,1,true")
    shops.cycle()
    shops.catalog("A,a,2,true", "NEW,n,1,true")
    shops.export()
    ((sequence, batch_id),) = batches.waiting_batches(shops.exchange, "S1", STREAM_PRODUCTS)
    answer(shops.exchange, sequence, batch_id, state=answered)
    shops.export()

    shops.catalog("A,a,1,true", "NEW,n,1,false")

    assert shops.export().products == 2
    assert shops.sent() == [["A"], ["A", "NEW"], ["A", "NEW"]]


def test_in_a_new_exchange_folder_the_sequence_goes_on(shops: Shops) -> None:
    """It began again at 1: answers below the last known sequence did not count, and all was sent for ever."""
    for price in (1, 2, 3):
        shops.catalog(f"A,a,{price},true")
        shops.cycle()
    shutil.rmtree(shops.folder / "exchange")
    shops.exchange.take_into_use()

    shops.catalog("A,a,4,true")
    shops.cycle()

    ((sequence, _),) = batches.every_batch(shops.exchange, "S1", STREAM_PRODUCTS)
    assert sequence == 4
    assert (shops.standing().at_till, shops.standing().not_at_till) == (1, 0)


def test_batch_that_a_newer_one_overtook_is_sent_again(shops: Shops) -> None:
    shops.catalog("A,a,1,true")
    shops.export()
    shops.catalog("B,b,1,true")
    shops.export()
    shops.till.apply(shops.exchange, only=2)
    shops.till.apply(shops.exchange, only=1)

    shops.cycle()

    assert shops.sent() == [["A"], ["B"], ["A"]]
    assert shops.till.items.keys() == {"A", "B"}
    assert shops.standing().at_till == 2


def test_answer_that_names_not_every_product_leaves_none_on_the_way_for_ever(shops: Shops) -> None:
    shops.catalog("A,a,1,true")
    shops.export()
    ((sequence, batch_id),) = batches.waiting_batches(shops.exchange, "S1", STREAM_PRODUCTS)
    answer(shops.exchange, sequence, batch_id)

    shops.export()

    assert shops.at_store("A").message == "The store's answer does not name this product."


@pytest.mark.parametrize("archived", [True, False])
def test_batch_that_is_gone_without_an_answer_is_sent_again_after_an_hour(
    archived: bool, shops: Shops
) -> None:
    shops.catalog("A,a,1,true")
    shops.export()
    ((sequence, batch_id),) = batches.waiting_batches(shops.exchange, "S1", STREAM_PRODUCTS)
    manifest = batches.fetch_manifest(shops.exchange, "S1", STREAM_PRODUCTS, sequence, batch_id)
    if archived:
        batches.archive(shops.exchange, manifest)
    else:
        for file in (shops.folder / "exchange" / "S1" / "products").glob("0*"):
            file.unlink()
    assert shops.export().products == 0

    shops.wait(61)

    assert shops.export().products == 1


def test_batch_that_waits_for_its_store_is_not_sent_again_however_long(shops: Shops) -> None:
    shops.catalog("A,a,1,true")
    shops.export()
    shops.wait(60 * 24 * 30)

    assert shops.export().products == 0
    assert shops.standing().oldest_utc == "2026-11-24T06:00:00.000Z"


def test_answer_that_cannot_be_read_is_no_answer(shops: Shops) -> None:
    shops.catalog("A,a,1,true")
    shops.export()
    ((sequence, batch_id),) = batches.waiting_batches(shops.exchange, "S1", STREAM_PRODUCTS)
    shops.exchange.replace(f"S1/products/acks/{sequence:06d}-{batch_id}.ack.json", b"{")

    report = shops.export()

    assert (report.products, report.answered) == (0, 0)
    shops.till.apply(shops.exchange)
    assert shops.export().answered == 1


def test_large_catalogue_travels_in_several_batches(shops: Shops, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.use_cases.exporting_products.MAX_BATCH_PRODUCTS", 2)
    shops.catalog(*(f"P{at},p,1,true" for at in range(5)))

    assert len(shops.export().batches) == 3

    assert shops.sent() == [["P0", "P1"], ["P2", "P3"], ["P4"]]
    shops.till.apply(shops.exchange)
    assert shops.export().at_till == 5


def test_settings_decide_price_and_departments_of_a_store(shops: Shops) -> None:
    shops.catalog("A,a,1,9,Toys", "B,b,2,9,Kitchen", header="sku,name,price,price_a,department")
    shops.cycle()
    assert {sku: row["price"] for sku, row in shops.till.items.items()} == {"A": "1.0000", "B": "2.0000"}

    shops.configure(stores={"S1": {"departments": ["kitchen"], "till_price": ["price_a"]}})
    shops.cycle()

    shown = {sku: (row["price"], row["active"]) for sku, row in shops.till.items.items()}
    assert shown == {"A": ("9.0000", "false"), "B": ("9.0000", "true")}
    assert shops.export().products == 0


def test_kits_travel_only_when_wanted_and_shadows_never(shops: Shops) -> None:
    shops.catalog("K,k,1,yes,", "S,s,1,,K", header="sku,name,price,is_kit,shadow_of")
    shops.cycle()
    assert shops.sent() == []

    shops.configure(send_kits=True)
    shops.cycle()

    assert shops.sent() == [["K"]]


def test_store_that_takes_no_part_is_named_with_the_reason(shops: Shops) -> None:
    shops.configure(stores={"S2": {"send": False}})
    settings = shops.settings
    new = type(settings.stores["S1"])()
    shops.settings = settings.model_copy(update={"stores": {**settings.stores, "S3": new}})
    shops.catalog("A,a,1,true")

    report = export_products(shops.settings)

    assert {store.store: (store.products, store.skipped) for store in report.stores} == {
        "S1": (1, ""),
        "S2": (0, "`send` is off in [catalog.stores.S2]"),
        "S3": (0, "the store is not baselined yet"),
    }
    assert report.sentence == (
        "1 products sent to 1 stores; answered since the last run: 0 at the till, 0 refused."
    )


def test_store_that_fails_holds_up_no_other(shops: Shops) -> None:
    shops.catalog("A,a,1,true")

    report = export_products(shops.settings, ("S9", "S1"))

    assert list(report.failures) == ["S9"]
    assert [store.products for store in report.stores] == [1]


def test_dry_run_says_what_would_go_and_writes_nothing(shops: Shops) -> None:
    shops.catalog("A,a,1,true")

    report = shops.export(dry_run=True)

    assert (report.products, report.batches) == (1, ())
    assert shops.sent() == []
    assert not shops.standing().takes_part


def test_status_counts_products_not_yet_at_a_till_of_stores_that_get_any(shops: Shops) -> None:
    shops.catalog("A,a,1,true", "B,b,1,true")
    assert "products" not in show_standing(shops.settings).sentence

    shops.export()
    assert show_standing(shops.settings).sentence.endswith(" Not yet at a till: 2 products.")

    shops.till.apply(shops.exchange)
    shops.export()
    assert "products" not in show_standing(shops.settings).sentence


def test_lost_exchange_is_transient_and_nothing_is_forgotten(shops: Shops) -> None:
    shops.catalog("A,a,1,true")
    away = shops.folder / "away"
    (shops.folder / "exchange").rename(away)
    (shops.folder / "exchange").mkdir()  # a share that is not mounted
    for _ in range(2):
        with pytest.raises(TransferInterrupted):
            shops.export()
    (shops.folder / "exchange").rmdir()
    away.rename(shops.folder / "exchange")

    shops.cycle()

    assert shops.sent() == [["A"]]
    assert shops.till.items.keys() == {"A"}


# -- kills ----------------------------------------------------------------------------------------------
def trade(shops: Shops) -> None:
    """Two batches, one of them refused in part, and what follows; every step may be repeated."""
    shops.catalog("A,a,1,true", "B,b,1,true")
    shops.export()
    shops.till.apply(shops.exchange)
    shops.export()
    shops.catalog("A,a,2,true", "C,c,1,true")
    shops.export()
    shops.till.apply(shops.exchange)
    shops.export()
    shops.catalog("D,d,1,false")
    shops.export()


def end(shops: Shops) -> dict[str, Any]:
    found = {sku: shops.at_store(sku) for sku in "ABC"}
    return {
        "till": {sku: (row["price"], row["active"]) for sku, row in shops.till.items.items()},
        "states": {sku: (at.state, at.message) for sku, at in found.items()},
        "events": sorted(set(shops.events()), key=str),
    }


def passed_points(run: Any) -> list[str]:
    names: list[str] = []
    faults.hook = names.append
    try:
        run()
    finally:
        faults.hook = None
    return names


POINTS = sorted(
    name
    for name in faults.NAMES
    if name.startswith(("hub.products.", "products."))
    or name in ("batch.publish_files", "batch.publish_manifest", "batch.manifest_published")
    or name in ("batch.replace_head", "batch.head_replaced", "exchange.published", "exchange.replace")
)
LOSING = ("hub.products.losing.before_commit", "hub.products.losing.after_commit")


@pytest.fixture(scope="module")
def undisturbed(live_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], set[str]]:
    """What the story comes to without a kill, and the points it passes."""
    folder = tmp_path_factory.mktemp("clean")
    shutil.copy(live_file, folder / "hub.db")
    shops = make_shops(folder, f"sqlite:///{folder / 'hub.db'}")
    shops.till.refuses = {"B"}
    names = passed_points(lambda: trade(shops))
    return end(shops), set(names)


@pytest.mark.parametrize("name", POINTS)
def test_export_that_dies_anywhere_ends_as_if_it_had_not(
    name: str, shops: Shops, undisturbed: tuple[dict[str, Any], set[str]]
) -> None:
    clean, passed = undisturbed
    shops.till.refuses = {"B"}
    dying = [name]
    if name in LOSING:  # only a killed export has anything to lose
        dying = ["products.publish", name]
    else:
        assert name in passed

    for point in dying:

        def die(at: str, point: str = point) -> None:
            if at == point:
                raise Died(at)

        faults.hook = die
        try:
            with pytest.raises(Died):
                trade(shops)
        finally:
            faults.hook = None
    trade(shops)

    assert end(shops) == clean


def test_batch_that_was_published_but_not_marked_is_recognised_and_not_sent_again(shops: Shops) -> None:
    shops.catalog("A,a,1,true")

    def die(at: str) -> None:
        if at == "products.published":
            raise Died(at)

    faults.hook = die
    try:
        with pytest.raises(Died):
            shops.export()
    finally:
        faults.hook = None
    shops.till.apply(shops.exchange)

    report = shops.export()

    assert (report.products, report.answered, report.at_till) == (0, 1, 1)
    assert shops.sent() == [["A"]]


def test_run_that_was_taken_for_dead_and_publishes_late_does_no_harm(
    shops: Shops, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefect starts a run twice: the second one finds the first between noting and publishing."""
    shops.catalog("A,a,1,true")
    entered: list[str] = []

    def meanwhile(at: str) -> None:
        if at == "products.publish" and not entered:
            entered.append(at)
            shops.export()

    monkeypatch.setattr(faults, "hook", meanwhile)
    shops.export()
    monkeypatch.setattr(faults, "hook", None)

    shops.cycle()

    assert shops.sent() == [["A"], ["A"]]
    assert shops.export().products == 0
    assert (shops.standing().at_till, shops.standing().not_at_till) == (1, 0)


# -- any history ----------------------------------------------------------------------------------------
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("catalog"),
            st.dictionaries(st.sampled_from("ABC"), st.tuples(st.integers(1, 2), st.booleans()), min_size=1),
        ),
        st.tuples(st.just("export"), st.sampled_from(["", *sorted(POINTS)])),
        st.tuples(st.just("apply"), st.sampled_from([None, 1, 2, 3])),
        st.tuples(st.just("refuse"), st.sets(st.sampled_from("ABC"), max_size=1)),
        st.tuples(st.just("lose"), st.sampled_from(["ack"])),
        st.tuples(st.just("wait"), st.sampled_from([30, 90])),
    ),
    max_size=12,
)


def lose_an_answer(shops: Shops) -> None:
    for file in sorted((shops.folder / "exchange" / "S1" / "products" / "acks").glob("*.json"))[:1]:
        file.unlink()


def step(shops: Shops, kind: str, what: Any) -> None:
    if kind == "catalog":
        shops.catalog(*(f"{sku},{sku},{price},{active}" for sku, (price, active) in sorted(what.items())))
    elif kind == "export":
        faults.hook = killer(what) if what else None
        try:
            shops.export()
        except Died:
            pass
        finally:
            faults.hook = None
    elif kind == "apply":
        shops.till.apply(shops.exchange, only=what)
    elif kind == "refuse":
        shops.till.refuses = what
    elif kind == "lose":
        lose_an_answer(shops)
    else:
        shops.wait(what)


def killer(name: str) -> Any:
    def die(at: str) -> None:
        if at == name:
            raise Died(at)

    return die


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("examples")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_happens_hub_and_till_agree_in_the_end_and_nothing_unchanged_is_sent(
    steps: list[tuple[str, Any]], live_file: Path, examples: Path
) -> None:
    shutil.rmtree(examples)
    examples.mkdir()
    shutil.copy(live_file, examples / "hub.db")
    shops = make_shops(examples, f"sqlite:///{examples / 'hub.db'}")
    for kind, what in steps:
        step(shops, kind, what)

    shops.till.refuses = set()
    for _ in range(4):  # a lost answer is given up after an hour
        shops.wait(61)
        shops.export(retry=True)
        shops.till.apply(shops.exchange)
    shops.export()

    with open_hub(shops.settings.hub_url) as hub, hub.reading() as connection:
        rows = connection.execute(text("SELECT sku, till_revision, state FROM store_products")).all()
        wanted = dict(connection.execute(text("SELECT sku, price FROM products WHERE active")).tuples().all())
    assert {row.sku: row.till_revision for row in rows} == shops.till.revisions
    assert {row.state for row in rows} <= {"at_till"}
    shown = {
        sku: int(row["price"].replace(".", ""))
        for sku, row in shops.till.items.items()
        if row["active"] == "true"
    }
    assert shown == wanted
    before = shops.sent()
    assert shops.export(retry=True).products == 0
    assert shops.sent() == before
    if not any(kind == "lose" or (kind == "export" and what) for kind, what in steps):
        assert shops.till.idle == 0
