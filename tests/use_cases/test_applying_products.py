"""Batches of products at a store: by sequence, checked first, answered, archived; killed anywhere."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import select, update

from data_contracts.documents import STREAM_PRODUCTS
from data_contracts.errors import StoreUnavailable, TransferInterrupted
from data_contracts.manifest import Manifest, Reason
from data_contracts.till_items import Product
from tasks import faults
from tasks.exchange import batches
from tasks.rms import tables
from tasks.rms.item_writing import open_items
from tasks.settings import ProductSettings
from tasks.use_cases import applying_products
from tasks.use_cases.applying_products import ProductsReport, apply_products
from tests.hub_products import answer_to, files_of, product, publish
from tests.rms_database import Till, rms_rows, stock_up
from tests.use_cases.store_fixtures import Shop, make_shop, open_shop

ROOT = Path(__file__).parents[2]


class Killed(Exception):
    """Not an error of ours: nothing catches it."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stocked RMS database, to be copied."""
    file = tmp_path_factory.mktemp("template") / "rms.db"
    till = Till(f"sqlite:///{file}")
    till.create()
    stock_up(till)
    return file


@pytest.fixture
def shop(template: Path, tmp_path: Path) -> Shop:
    """A shop that takes products."""
    return copied(template, tmp_path)


def copied(template: Path, folder: Path) -> Shop:
    shutil.copy(template, folder / "rms.db")
    opened = open_shop(f"sqlite:///{folder / 'rms.db'}", folder)
    opened.configure(products=ProductSettings())
    opened.folder.take_into_use()
    return opened


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def either_shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    """The same on both kinds of database."""
    for opened in make_shop(request.param, tmp_path):
        stock_up(opened.till)
        opened.configure(products=ProductSettings())
        opened.folder.take_into_use()
        yield opened


def apply(shop: Shop, **options: Any) -> ProductsReport:
    return apply_products(shop.settings, "S1", now=shop.now, **options)


def states(shop: Shop, manifest: Manifest) -> dict[str, str]:
    return {answer.sku: answer.state for answer in answer_to(shop.folder, manifest).products}


def price(shop: Shop, code: str) -> int | None:
    item = tables.item.c
    with shop.till.engine.connect() as connection:
        return connection.scalar(select(item.Price).where(item.ItemLookupCode == code))


def waiting(shop: Shop) -> list[tuple[int, str]]:
    return batches.waiting_batches(shop.folder, "S1", STREAM_PRODUCTS)


def test_a_batch_is_applied_answered_product_by_product_and_archived(either_shop: Shop) -> None:
    shop = either_shop
    given = (product("NEW", "111", price="1.00"), product("SKU-1", name="Item 1"), product("X", tax_code="?"))
    manifest = publish(shop.folder, *given)

    report = apply(shop)

    ack = answer_to(shop.folder, manifest)
    assert (ack.state, ack.accepted, ack.quarantined, ack.seen_before) == ("accepted", 2, 1, 0)
    assert [(a.sku, a.revision, a.state, a.rule) for a in ack.products] == [
        ("NEW", given[0].revision, "created", ""),
        ("SKU-1", given[1].revision, "unchanged", ""),
        ("X", given[2].revision, "refused", "tax_code"),
    ]
    assert ack.acknowledged_utc == "2026-11-23T13:00:00.000Z"
    assert waiting(shop) == []
    assert batches.every_batch(shop.folder, "S1", STREAM_PRODUCTS) == [(1, manifest.batch_id)]
    assert report.sentence == (
        "S1: 1 batches, 1 created, 0 updated, 1 unchanged, 1 refused, 0 superseded products; "
        "0 batches rejected"
    )
    assert [answer.sku for answer in report.refused] == ["X"]
    assert [answer.sku for answer in report.noted] == ["NEW"]


def test_nothing_waits_nothing_is_opened_or_loaded(tmp_path: Path) -> None:
    """Most cycles: no RMS, no pandas, no great-expectations."""
    file = tmp_path / "tillbridge.toml"
    file.write_text('[stores.S1]\nrms_url = "sqlite:///nowhere.db"\n[stores.S1.products]\n', encoding="utf-8")
    (tmp_path / "exchange" / "S1").mkdir(parents=True)
    (tmp_path / "exchange" / ".tillbridge-exchange").touch()
    program = (
        "import sys; from tasks.settings import load_settings; "
        "from tasks.use_cases.applying_products import apply_products; "
        f"print(apply_products(load_settings({str(file)!r}), 'S1').batches, "
        "[n for n in ('pandas', 'numpy', 'great_expectations', 'prefect', 'pyodbc') if n in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (done.stdout.strip(), done.stderr) == ("() []", "")


def test_of_a_product_in_several_waiting_batches_only_the_newest_is_written(shop: Shop) -> None:
    first = publish(shop.folder, product("A", price="1.00"), product("ONLY-FIRST", price="5.00"))
    second = publish(shop.folder, product("a", price="2.00"))

    apply(shop)

    assert states(shop, first) == {"A": "superseded", "ONLY-FIRST": "created"}
    assert states(shop, second) == {"a": "created"}
    assert (price(shop, "a"), price(shop, "ONLY-FIRST")) == (20_000, 50_000)


def test_a_batch_below_the_last_one_applied_changes_nothing(shop: Shop) -> None:
    late = publish(shop.folder, product("A", price="1.00"), product("B", price="1.00"))
    hidden = take_away(shop, late)
    newer = publish(shop.folder, product("A", price="2.00"))
    apply(shop)
    bring_back(shop, hidden)

    apply(shop)

    assert states(shop, late) == {"A": "superseded", "B": "superseded"}
    assert states(shop, newer) == {"A": "created"}
    assert (price(shop, "A"), price(shop, "B")) == (20_000, None)


def test_a_rejected_batch_supersedes_nothing(shop: Shop) -> None:
    late = publish(shop.folder, product("A", price="1.00"))
    hidden = take_away(shop, late)
    broken = publish(shop.folder, product("B", revision="none"))
    apply(shop)
    bring_back(shop, hidden)

    apply(shop)

    assert answer_to(shop.folder, broken).state == "rejected"
    assert states(shop, late) == {"A": "created"}


def test_of_two_batches_with_one_sequence_the_second_is_superseded(shop: Shop) -> None:
    first = publish(shop.folder, product("A", price="1.00"), batch_id="a" * 12)
    hidden = take_away(shop, first)
    (shop.settings.folder / "exchange" / "S1" / "products" / "head.json").unlink()
    second = publish(shop.folder, product("A", price="2.00"), batch_id="b" * 12)
    bring_back(shop, hidden)
    assert (first.sequence, second.sequence) == (1, 1)

    apply(shop)

    assert (states(shop, first), states(shop, second)) == ({"A": "created"}, {"A": "superseded"})
    assert price(shop, "A") == 10_000


def take_away(shop: Shop, manifest: Manifest) -> dict[Path, bytes]:
    """Keep a batch from the store, as a share that is not synchronised yet does."""
    folder = shop.settings.folder / "exchange" / "S1" / "products"
    files = {file: file.read_bytes() for file in folder.glob(f"{manifest.name}.*")}
    for file in files:
        file.unlink()
    return files


def bring_back(shop: Shop, files: dict[Path, bytes]) -> None:
    for file, data in files.items():
        file.write_bytes(data)


# -- batches that are refused whole -----------------------------------------------------------------------
def reasons(shop: Shop, manifest: Manifest) -> list[str]:
    ack = answer_to(shop.folder, manifest)
    assert ack.state == "rejected"
    assert ack.products == ()
    return [reason.rule for reason in ack.reasons]


@pytest.mark.parametrize(
    ("products", "rules"),
    [
        ([product("A", revision="1-abc")], ["revision_form"]),
        ([product("A"), product("a ", price="2.00")], ["duplicate_sku"]),
        ([product("A", store="S2")], ["foreign_rows"]),
        ([product("")], ["sku_blank"]),
    ],
)
def test_a_batch_that_breaks_its_contract_is_rejected_before_rms_is_touched(
    shop: Shop, products: list[Product], rules: list[str]
) -> None:
    (shop.settings.folder / "rms.db").unlink()  # opening it would fail
    manifest = publish(shop.folder, *products)

    report = apply(shop)

    assert reasons(shop, manifest) == rules
    assert [batch.state for batch in report.batches] == ["rejected"]
    assert waiting(shop) == []


def test_a_batch_that_was_altered_or_cut_is_rejected_and_the_next_one_applied(shop: Shop) -> None:
    altered = publish(shop.folder, product("A"))
    folder = shop.settings.folder / "exchange" / "S1" / "products"
    with (folder / f"{altered.name}.products.csv").open("ab") as file:
        file.write(b"more\n")
    orphan = publish(shop.folder, product("B", "1"))
    stray = Product({**product("C").row, "sku": "D"}, ("1",))
    mixed = files_of([product("B")]) | {"product_codes": files_of([stray])["product_codes"]}
    codes = batches.publish_batch(
        shop.folder,
        batches.Draft(
            program_version="test", store="S1", epoch=1, stream="products", created_utc=orphan.created_utc
        ),
        mixed,
    )
    unreadable = publish(shop.folder, product("E"))
    (folder / f"{unreadable.name}.manifest.json").write_text("{", encoding="utf-8")
    fine = publish(shop.folder, product("F"))

    apply(shop)

    assert reasons(shop, altered) == ["altered"]
    assert reasons(shop, codes) == ["product_missing"]
    assert reasons(shop, unreadable) == ["structure"]
    assert (states(shop, orphan), states(shop, fine)) == ({"B": "created"}, {"F": "created"})
    assert waiting(shop) == []
    (reason,) = answer_to(shop.folder, altered).reasons
    assert isinstance(reason, Reason)
    assert "the next `tillbridge export-products` sends its products again" in reason.fix


def test_a_file_that_is_late_is_waited_for_and_nothing_overtakes_it(shop: Shop) -> None:
    first = publish(shop.folder, product("A", price="1.00"), created_utc="2026-11-23T12:50:00.000Z")
    second = publish(shop.folder, product("A", price="2.00"))
    late = shop.settings.folder / "exchange" / "S1" / "products" / f"{first.name}.product_codes.csv"
    data = late.read_bytes()
    late.unlink()

    with pytest.raises(TransferInterrupted, match="is not complete yet"):
        apply(shop)

    assert price(shop, "A") is None
    assert [sequence for sequence, _ in waiting(shop)] == [1, 2]
    late.write_bytes(data)
    apply(shop)
    assert (states(shop, first), states(shop, second)) == ({"A": "superseded"}, {"A": "created"})


def test_an_answer_stands_whatever_becomes_of_its_batch(shop: Shop) -> None:
    manifest = publish(shop.folder, product("A"))
    again = take_away(shop, manifest)
    bring_back(shop, again)
    apply(shop)
    spoiled = {file: b"{" for file in again if file.name.endswith(".manifest.json")}
    for file in (shop.settings.folder / "exchange" / "S1" / "products" / "archive").iterdir():
        file.unlink()
    bring_back(shop, spoiled)

    report = apply(shop)

    assert [batch.state for batch in report.batches] == ["known"]
    assert states(shop, manifest) == {"A": "created"}
    assert waiting(shop) == []


# -- stores that take none, logins, what stops a run ----------------------------------------------------
def test_a_store_that_takes_no_products_answers_so_and_takes_them_once_it_does(shop: Shop) -> None:
    """Its run failed in each cycle, and the hub only knew that they were on the way."""
    taking = shop.settings.stores["S1"].products
    shop.configure(products=None)
    manifest = publish(shop.folder, product("A"))

    refused = apply(shop).refused

    assert [(answer.sku, answer.rule) for answer in refused] == [("A", "takes_no_products")]
    assert "add [stores.S1.products]" in refused[0].fix
    assert (states(shop, manifest), waiting(shop), price(shop, "A")) == ({"A": "refused"}, [], None)
    shop.configure(products=taking)
    again = publish(shop.folder, product("A"))
    apply(shop)
    assert states(shop, again) == {"A": "created"}


def test_items_may_be_written_by_a_login_of_their_own(shop: Shop) -> None:
    store = shop.settings.stores["S1"]
    writer = ProductSettings.model_validate({"rms_url": store.rms_url})
    shop.configure(products=writer, rms_url=SecretStr("sqlite:///nowhere.db"))
    publish(shop.folder, product("A", price="1.00"))

    apply(shop)

    assert price(shop, "A") == 10_000
    assert "rms.db" not in repr(shop.settings)


def test_a_dry_run_leaves_batches_and_rms_as_they_are(shop: Shop) -> None:
    publish(shop.folder, product("A"))
    broken = publish(shop.folder, product("B", revision="none"))
    before = rms_rows(shop.till)

    report = apply(shop, dry_run=True)

    assert [batch.state for batch in report.batches] == ["rejected", "accepted"]
    assert report.count("created") == 1
    assert [sequence for sequence, _ in waiting(shop)] == [1, 2]
    assert batches.read_ack(shop.folder, "S1", STREAM_PRODUCTS, 2, broken.batch_id) is None
    assert rms_rows(shop.till) == before


def test_a_database_that_does_not_answer_stops_the_run_and_nothing_is_answered(shop: Shop) -> None:
    manifest = publish(shop.folder, product("A"), product("B"))

    def lose(name: str) -> None:
        if name == "rms.item.committed":
            raise StoreUnavailable("The RMS database of store `S1` answered: link failure.")

    faults.hook = lose
    try:
        with pytest.raises(StoreUnavailable):
            apply(shop)
    finally:
        faults.hook = None

    assert batches.read_ack(shop.folder, "S1", STREAM_PRODUCTS, 1, manifest.batch_id) is None
    apply(shop)
    assert states(shop, manifest) == {"A": "unchanged", "B": "created"}


@pytest.mark.slow
def test_killed_anywhere_the_next_run_ends_as_if_nothing_had_happened(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(name: str) -> tuple[Shop, list[Manifest]]:
        (tmp_path / name).mkdir()
        shop = copied(template, tmp_path / name)
        first = publish(shop.folder, product("NEW", "1", department_code="D"), product("SKU-1", price="1.00"))
        return shop, [first, publish(shop.folder, product("SKU-1", price="2.00"), product("X", tax_code="?"))]

    def told(shop: Shop) -> dict[str, list[dict[str, Any]]]:
        return {
            table: [{k: v for k, v in row.items() if k != "DBTimeStamp"} for row in rows.values()]
            for table, rows in rms_rows(shop.till).items()
        }

    passes: list[str] = []
    undisturbed, _ = made("undisturbed")
    monkeypatch.setattr(faults, "hook", passes.append)
    apply(undisturbed)
    monkeypatch.setattr(faults, "hook", None)
    assert {name for name in faults.NAMES if name.startswith("rms.item.")} < set(passes)
    places = {passes.index(name) for name in passes}  # each point once, those of RMS each time
    places |= {at for at, name in enumerate(passes) if name.startswith("rms.item.")}
    for at in sorted(places):
        name = passes[at]
        shop, manifests = made(str(at))
        left = at

        def stop(reached: str) -> None:
            nonlocal left
            if left == 0:
                raise Killed(reached)
            left -= 1

        monkeypatch.setattr(faults, "hook", stop)
        with pytest.raises(Killed, match=name):
            apply(shop)
        monkeypatch.setattr(faults, "hook", None)
        apply(shop)

        assert told(shop) == told(undisturbed), name
        assert waiting(shop) == [], name
        at_till = {"NEW": True, "SKU-1": True, "X": False}
        for manifest in manifests:
            for answer in answer_to(shop.folder, manifest).products:
                assert answer.at_till is at_till[answer.sku] or answer.state == "superseded", name
        assert apply(shop).batches == (), name


def test_another_run_in_between_does_no_harm(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = publish(shop.folder, product("A", "1"), product("B", price="2.00"))

    def meanwhile(name: str) -> None:
        if name == "rms.item.committed":
            monkeypatch.setattr(faults, "hook", None)
            apply(shop)

    monkeypatch.setattr(faults, "hook", meanwhile)
    apply(shop)

    assert len([r for r in rms_rows(shop.till)["Item"].values() if r["ItemLookupCode"] in "AB"]) == 2
    assert [row["Alias"] for row in rms_rows(shop.till)["Alias"].values()] == ["1"]
    assert set(states(shop, manifest).values()) <= {"created", "unchanged"}
    assert waiting(shop) == []


def test_what_another_run_has_answered_meanwhile_keeps_its_answer(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second run fetched before the first one had answered, and opens RMS only then."""
    first, second = publish(shop.folder, product("A")), publish(shop.folder, product("B"))
    opened = open_items

    def after_another_run(url: str, store: str) -> Any:
        monkeypatch.setattr(applying_products, "open_items", opened)
        apply(shop)
        return opened(url, store)

    monkeypatch.setattr(applying_products, "open_items", after_another_run)
    report = apply(shop)

    assert [batch.state for batch in report.batches] == ["known", "known"]
    assert (states(shop, first), states(shop, second)) == ({"A": "created"}, {"B": "created"})
    assert waiting(shop) == []


def test_what_the_shop_changed_of_the_hub_s_is_set_back_with_the_next_batch(shop: Shop) -> None:
    publish(shop.folder, product("A", price="8.50"))
    apply(shop)
    with shop.till.writing() as connection:
        a = tables.item.c.ItemLookupCode == "A"
        connection.execute(update(tables.item).where(a).values(Price=99_900, Quantity=3.0))

    again = publish(shop.folder, product("A", price="8.50"))
    report = apply(shop)

    assert price(shop, "A") == 85_000
    (answer,) = answer_to(shop.folder, again).products
    assert answer.notes == ("Price was 9.99 at the till, is 8.50 now.",)
    assert report.count("updated") == 1


@pytest.mark.slow
@settings(max_examples=8, deadline=None, phases=(Phase.reuse, Phase.generate))
@given(
    prices=st.lists(
        st.dictionaries(st.sampled_from("ABC"), st.integers(1, 9), min_size=1), min_size=4, max_size=4
    ),
    order=st.permutations(range(4)),
    kills=st.lists(st.none() | st.integers(0, 15), min_size=4, max_size=4),
)
def test_in_whatever_order_batches_arrive_the_newest_that_was_in_time_counts(
    template: Path,
    tmp_path_factory: pytest.TempPathFactory,
    prices: list[dict[str, int]],
    order: list[int],
    kills: list[int | None],
) -> None:
    shop = copied(template, tmp_path_factory.mktemp("arrival"))
    sent = [publish(shop.folder, *(product(s, price=f"{p}.00") for s, p in row.items())) for row in prices]
    files = [take_away(shop, manifest) for manifest in sent]
    expected: dict[str, int] = {}
    newest = -1
    for at, kill in zip(order, kills, strict=True):
        bring_back(shop, files[at])
        left = kill

        def stop(name: str) -> None:
            nonlocal left
            if left == 0:
                raise Killed(name)
            left = None if left is None else left - 1

        faults.hook = stop
        with contextlib.suppress(Killed):
            apply(shop)
        faults.hook = None
        apply(shop)
        if at > newest:
            newest = at
            expected |= {sku: number * 10_000 for sku, number in prices[at].items()}
        assert {sku: price(shop, sku) for sku in expected} == expected
        assert len(answer_to(shop.folder, sent[at]).products) == len(prices[at])

    everything = publish(shop.folder, *(product(sku, price="50.00") for sku in "ABC"))
    apply(shop)

    assert {sku: price(shop, sku) for sku in "ABC"} == dict.fromkeys("ABC", 500_000)
    assert all(answer.at_till for answer in answer_to(shop.folder, everything).products)
