"""What `status`, `export` and `import` say of batches that the hub lacks, at the hub and at a store."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from deployments.cli import cli
from tasks.exchange.local import LocalFolder
from tests.scenarios.spoiling import Bridge, build, cut, open_bridge

AGAIN = "run `tillbridge resend S1 --batch 1` at the store"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Path:
    """Two batches wait; the shop and the hub stand still."""
    folder = tmp_path_factory.mktemp("bridge")
    build(folder, migrated_file)
    (folder / "store").mkdir()
    (folder / "store" / "tillbridge.toml").write_text(
        '[exchange]\nurl = "../exchange"\n[stores.S1]\nrms_url = "sqlite:///../rms.db"\n', encoding="utf-8"
    )
    (folder / "tillbridge.toml").write_text(
        '[hub]\nurl = "sqlite:///hub.db"\n[exchange]\nurl = "exchange"\n[stores.S1]\n', encoding="utf-8"
    )
    return folder


@pytest.fixture
def bridge(template: Path, tmp_path: Path) -> Bridge:
    """A copy of it."""
    return open_bridge(Path(shutil.copytree(template, tmp_path / "bridge")))


def at_hub(bridge: Bridge, *arguments: str) -> str:
    return run(bridge.settings.folder / "tillbridge.toml", *arguments)


def at_store(bridge: Bridge, *arguments: str) -> str:
    return run(bridge.settings.folder / "store" / "tillbridge.toml", *arguments)


def run(file: Path, *arguments: str) -> str:
    """What a command prints, without line breaks, which depend on the width."""
    result = CliRunner().invoke(cli, ["--config", str(file), *arguments])
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_a_store_s_own_machine_shows_what_the_hub_answered_without_a_hub(bridge: Bridge) -> None:
    assert "S1 11-23 13:00 2 none yet 2" in at_store(bridge, "status")
    bridge.take_in()

    said = at_store(bridge, "status")

    assert "store looked at RMS newest batch the hub's answer batches waiting" in said
    assert "S1 11-23 13:00 2 accepted 0" in said
    assert said.endswith("The hub has not said that it lacks a batch.")
    assert not (bridge.settings.folder / "store" / "hub.db").exists()


def test_a_store_is_told_of_its_batches_that_the_hub_rejected_until_they_are_replaced(bridge: Bridge) -> None:
    cut("tickets", 0.5)(bridge)
    bridge.take_in()

    for said in (at_store(bridge, "status"), at_store(bridge, "export"), at_hub(bridge, "status")):
        assert "000001-" in said
        assert "was rejected on" in said
        assert f"What to do: {AGAIN}" in said
    told = json.loads(at_store(bridge, "status", "--json"))
    assert [(side["store"], side["answer"], len(side["lacking"])) for side in told] == [("S1", "accepted", 1)]

    assert "Published S1/orders/000003-" in at_store(bridge, "resend", "S1", "--batch", "1")
    bridge.take_in()
    for said in (at_store(bridge, "status"), at_store(bridge, "export"), at_hub(bridge, "status")):
        assert "rejected" not in said


def test_a_store_reads_one_file_however_many_batches_it_has(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut("tickets", 0.5)(bridge)
    bridge.take_in()
    read: list[str] = []
    whole = LocalFolder.read

    def noting(self: LocalFolder, path: str) -> bytes:
        read.append(path)
        return whole(self, path)

    monkeypatch.setattr(LocalFolder, "read", noting)

    at_store(bridge, "status")

    assert [path.rsplit("/", 1)[1] for path in read if "/acks/" in path][1:] == ["outstanding.json"]
    assert len(read) <= 4


def test_an_import_says_once_for_each_rule_what_is_odd_and_booked_all_the_same(bridge: Bridge) -> None:
    for number in (4, 5, 6):
        bridge.shop.till.ring(number, price="0.00")
    bridge.shop.export()

    said = at_hub(bridge, "import")

    assert "booked all the same: Ticket 4, line 1: SKU-1 has the price 0.00." in said
    assert "And 2 documents more like this (price_zero)." in said
    assert "Ticket 5" not in said
