"""`tillbridge apply-products` and what `tillbridge check` says about it."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import update

from deployments.sample_store.build import build_store
from deployments.sample_store.store import SampleStore
from deployments.sample_store.tickets import read_invoices
from tasks.exchange.local import LocalFolder
from tasks.rms import tables
from tests.deployments.test_cli import tillbridge
from tests.hub_products import product, publish


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sample store that takes products, and its exchange folder; the current folder holds the settings."""
    (tmp_path / "tillbridge.toml").write_text(
        '[stores.S1]\nrms_url = "sqlite:///rms.db"\n[stores.S1.products]\ntax_code = "TAX"\n',
        encoding="utf-8",
    )
    build_store(f"sqlite:///{tmp_path / 'rms.db'}", store_id=1, invoices=read_invoices()[:2], seed=7)
    LocalFolder(tmp_path / "exchange").take_into_use()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_products_are_rehearsed_applied_and_found_done(shop: Path) -> None:
    folder = LocalFolder(shop / "exchange")
    publish(folder, product("MUG", name="A name of more than thirty letters", price="6.50"))
    publish(folder, product("X" * 26), product("CUP", tax_code="", price="1.00"))

    rehearsed = tillbridge("apply-products", "--dry-run")
    applied = tillbridge("apply-products", "S1")
    again = tillbridge("apply-products", "--json")

    assert (rehearsed.status, applied.status, again.status) == (0, 0, 0)
    assert rehearsed.out.removesuffix("Dry run: nothing was written.\n") == applied.out
    assert "S1 2 2 0 0 1 0" in applied.text
    assert f"The SKU of product `{'X' * 26}` has 26 characters; RMS holds 25" in applied.text
    assert "What to do: give it a shorter code in the hub." in applied.text
    assert "S1, MUG: Description was cut to 30 characters" in applied.text
    assert again.data == {"S1": {"store": "S1", "batches": [], "dry_run": False}}
    with SampleStore.open(f"sqlite:///{shop / 'rms.db'}") as store:
        found = store.read_item("MUG")
        assert found is not None
        assert (found.price, found.quantity) == (65_000, 0.0)


def test_a_rejected_batch_needs_a_person(shop: Path) -> None:
    publish(LocalFolder(shop / "exchange"), product("A", revision="none"))

    said = tillbridge("apply-products")

    assert said.status == 1
    assert "was rejected: Products, row 1: `revision` does not have the form it should." in said.text


def test_check_tries_the_right_to_write_and_names_headquarters(shop: Path) -> None:
    def items() -> tuple[bool, str, str]:
        (found,) = [r for r in tillbridge("check", "--json").data if r["subject"] == "store S1, items"]
        return found["ok"], found["detail"], found["fix"]

    assert items() == (True, "products can be written; nothing was", "")
    with SampleStore.open(f"sqlite:///{shop / 'rms.db'}") as store, store.engine.begin() as connection:
        connection.execute(update(tables.configuration).values(SyncID=3))
    ok, detail, fix = items()
    assert not ok
    assert "under Headquarters (Configuration.SyncID is 3)" in detail
    assert "[stores.S1.products]" in fix


def test_check_says_nothing_of_items_where_none_are_taken(shop: Path) -> None:
    (shop / "tillbridge.toml").write_text('[stores.S1]\nrms_url = "sqlite:///rms.db"\n', encoding="utf-8")

    subjects = [result["subject"] for result in tillbridge("check", "--json").data]

    assert subjects == ["hub", "exchange", "store S1, RMS", "store S1, position"]
