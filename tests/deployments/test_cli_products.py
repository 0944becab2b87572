"""What the commands of the catalogue and of products to the tills say, and how they end."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_contracts.manifest import ProductAnswer
from tasks.exchange import batches
from tasks.exchange.local import LocalFolder
from tasks.hub.database import migrate, open_hub
from tests.deployments.test_cli import Said, tillbridge, untouched_logging
from tests.hub.world import World
from tests.use_cases.test_exporting_products import answer

__all__ = ["untouched_logging"]  # a fixture that is used by itself


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Said]:
    """A catalogue with a faulty line, sent, half of it refused."""
    folder = tmp_path_factory.mktemp("products")
    (folder / "tillbridge.toml").write_text(
        '[hub]\nurl = "sqlite:///hub.db"\n[catalog]\nfile = "products.csv"\n[stores.S1]\n[stores.S2]\n',
        encoding="utf-8",
    )
    (folder / "products.csv").write_text(
        "ProductID;ProductName;UPC;SitePrice;StorePrice;Brand\n"
        "MUG;Mug;036000291452;12.50;11.99;Acme\n"
        "CUP;Cup;;8,50;0;Acme\n"
        "JAR;Jar;;8.50;0;Acme\n",
        encoding="utf-8",
    )
    url = f"sqlite:///{folder / 'hub.db'}"
    migrate(url)
    with open_hub(url) as hub:
        World(hub, folder, stores={"S1": {}, "S2": {}}, warehouses={}).baseline()
    exchange = LocalFolder(str(folder / "exchange"))
    exchange.take_into_use()
    told: dict[str, Said] = {}

    def run(name: str, *arguments: str) -> None:
        told[name] = tillbridge("--config", str(folder / "tillbridge.toml"), *arguments)

    run("before", "products")
    run("rehearsal", "import-catalog", "--dry-run")
    run("import", "import-catalog")
    run("export", "export-products")
    run("nothing", "export-products", "S1")
    run("on the way", "products")
    _refuse_the_mug(exchange)
    run("answer", "export-products", "S1")
    run("refused", "products", "--store", "S1")
    run("mug", "products", "036000291452")
    run("as JSON", "products", "--json")
    run("unknown", "products", "NOTHING")
    run("status", "status")
    run("unknown store", "export-products", "S9")
    return told


def _refuse_the_mug(exchange: LocalFolder) -> None:
    ((sequence, batch_id),) = batches.waiting_batches(exchange, "S1", "products")
    manifest = batches.fetch_manifest(exchange, "S1", "products", sequence, batch_id)
    rows = batches.fetch_files(exchange, manifest)["products"].decode().splitlines()[1:]
    jar, mug = (row.split(",")[2] for row in rows)
    answers = (
        ProductAnswer(sku="JAR", revision=jar, state="created", notes=("SubDescription1 was cut.",)),
        ProductAnswer(
            sku="MUG",
            revision=mug,
            state="refused",
            rule="tax_unknown",
            message="The store has no tax STD.",
            fix="Set tax_code in [stores.S1.products].",
        ),
    )
    answer(exchange, sequence, batch_id, products=answers)


def test_commands_end_as_a_script_needs_it(said: dict[str, Said]) -> None:
    attention = {"rehearsal", "import", "refused", "as JSON", "unknown", "unknown store"}

    assert {name for name, told in said.items() if told.status == 1} == attention
    assert {told.status for told in said.values()} == {0, 1}


def test_import_names_what_was_left_out_and_what_to_do(said: dict[str, Said]) -> None:
    text = said["import"].text

    assert text.startswith(
        "3 products are in the catalogue file: 2 new, 0 changed (0 of them no longer active), 0 as they "
        "were, 1 left out; 0 tickets left the quarantine because of it."
    )
    assert "Line 3, `CUP` has no exact amount in: price. What to do: Write it as 1234.50" in text
    assert "Columns that nothing was taken from: Brand." in text
    assert said["rehearsal"].text.endswith("Dry run: nothing was written.")


def test_export_says_what_went_and_who_takes_no_part(said: dict[str, Said]) -> None:
    assert "S1 2 0 1 0 0 0" in said["export"].text
    assert "S2 takes no part: the store is not baselined yet." in said["export"].text
    assert said["nothing"].text == "Nothing is to be sent, and no answer has come."
    assert "MUG: The store has no tax STD." in said["answer"].text
    assert "S9 stopped: Store `S9` is not configured" in said["unknown store"].err


def test_products_show_what_is_where_and_why_not(said: dict[str, Said]) -> None:
    assert "S1 was sent no products yet." in said["before"].text
    assert "2 products, 2 active" in said["on the way"].text
    assert "S1 0 2 0 0" in said["on the way"].text
    assert "S1 1 0 1 0" in said["refused"].text
    assert "- S1, MUG: The store has no tax STD. What to do: Set tax_code" in said["refused"].text
    (first, _) = said["as JSON"].data["stores"]
    assert [refused["rule"] for refused in first["reasons"]] == ["tax_unknown"]


def test_one_product_is_found_by_any_code_in_all_stores(said: dict[str, Said]) -> None:
    text = said["mug"].text

    assert text.startswith("MUG: Mug, active; 11.99 at a till. Found by 036000291452 as well.")
    assert "S1 refused" in text
    assert "S2 never sent" in text
    assert said["unknown"].text == "The hub knows no product with the SKU, UPC or alias `NOTHING`."


def test_status_says_in_a_sentence_what_is_not_at_a_till(said: dict[str, Said]) -> None:
    assert said["status"].text.endswith("Not yet at a till: 1 product.")


def test_import_without_a_file_asks_for_one(tmp_path: Path) -> None:
    (tmp_path / "tillbridge.toml").write_text("[stores.S1]\n", encoding="utf-8")

    told = tillbridge("--config", str(tmp_path / "tillbridge.toml"), "import-catalog")

    assert told.status == 3
    assert "set `file` in [catalog] of tillbridge.toml" in told.err
