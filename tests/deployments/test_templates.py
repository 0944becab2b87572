"""What is to be registered: the templates of prefect.yaml for the stores of tillbridge.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_contracts.errors import ConfigurationError
from data_contracts.parameters import ExportScope, HubScope, ProductScope
from deployments.registering import TRIGGERS
from deployments.templates import Planned, offer_stores, plan, queues
from tasks.settings import Settings, load_settings

TWO_STORES = """
[warehouses.MAIN]
[stores.S1]
time_zone = "Europe/London"
[stores.S2]
time_zone = "America/New_York"
work_pool = "boston"
"""


def settings_of(folder: Path, text: str = TWO_STORES) -> Settings:
    file = folder / "tillbridge.toml"
    file.write_text(text, encoding="utf-8")
    return load_settings(file)


def planned_of(folder: Path, text: str = TWO_STORES) -> dict[str, Planned]:
    return {entry.name: entry for entry in plan(settings_of(folder, text))}


def test_a_flow_of_a_store_is_registered_once_for_each_in_its_zone_and_pool(tmp_path: Path) -> None:
    planned = planned_of(tmp_path)

    boston = planned["export-orders-S2"]
    assert boston.parameters == {"scope": {"store": "S2"}}
    assert boston.tags == ("tillbridge", "store", "S2")
    assert [(s.cron, s.time_zone) for s in boston.schedules] == [("*/5 * * * *", "America/New_York")]
    assert (boston.work_pool, planned["export-orders-S1"].work_pool) == ("boston", "tillbridge")
    assert boston.entrypoint == "flows.export_orders.export_orders"
    assert planned["sweep-orders-S1"].parameters == {"scope": {"store": "S1", "sweep": True}}
    assert "export-orders" not in planned


def test_a_flow_of_the_hub_is_registered_once(tmp_path: Path) -> None:
    hub = planned_of(tmp_path)["import-orders"]

    assert (hub.store, hub.work_pool, hub.choices) == (None, "tillbridge", ("S1", "S2"))
    assert [s.time_zone for s in hub.schedules] == ["UTC"]


def test_orders_come_before_what_is_sent_once_more(tmp_path: Path) -> None:
    planned = planned_of(tmp_path)

    assert queues()["orders"] < queues()["backfill"]
    assert {entry.work_queue for entry in planned.values()} == set(queues())
    late = {entry.template for entry in planned.values() if entry.work_queue == "backfill"}
    assert late == {"sweep-orders", "resend-period"}


def test_what_a_person_starts_waits_and_what_is_scheduled_leaves(tmp_path: Path) -> None:
    strategies = {(bool(e.schedules), e.collision) for e in planned_of(tmp_path).values()}

    # import-catalog has no schedule here, as no file is set.
    assert strategies == {(True, "CANCEL_NEW"), (False, "ENQUEUE"), (False, "CANCEL_NEW")}
    assert planned_of(tmp_path)["resend-period-S1"].collision == "ENQUEUE"


def test_a_catalogue_is_looked_for_only_where_a_file_is_set(tmp_path: Path) -> None:
    without = planned_of(tmp_path)["import-catalog"]
    with_one = planned_of(tmp_path, '[catalog]\nfile = "goods.csv"\n' + TWO_STORES)["import-catalog"]

    assert (without.schedules, len(with_one.schedules)) == ((), 1)


def test_the_folder_of_a_worker_is_baked_in_only_where_it_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TILLBRIDGE_HOME", raising=False)
    (on_worker,) = planned_of(tmp_path)["reconcile"].pull
    monkeypatch.setenv("TILLBRIDGE_HOME", "/shop")
    (baked_in,) = planned_of(tmp_path)["reconcile"].pull
    (of_its_own_worker,) = planned_of(tmp_path)["export-orders-S2"].pull

    step = "prefect.deployments.steps.set_working_directory"
    assert on_worker == {step: {"directory": "{{ $TILLBRIDGE_HOME }}"}}
    assert baked_in == {step: {"directory": "/shop"}}
    assert of_its_own_worker == on_worker  # another machine, where the shop lies elsewhere


def test_every_trigger_has_a_name_of_its_own_by_which_it_is_found_again(tmp_path: Path) -> None:
    names = [trigger["name"] for entry in planned_of(tmp_path).values() for trigger in entry.triggers]

    assert len(set(names)) == len(names) == 7
    assert all(name.startswith(TRIGGERS) for name in names)


def test_without_a_store_there_is_nothing_to_register(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No store is configured"):
        plan(settings_of(tmp_path, "[hub]\n"))


@pytest.mark.parametrize("name", ["prefect-one", "a/b", "", "a'b"])
def test_a_pool_that_prefect_would_refuse_is_refused_by_its_place(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"stores\.S1\.work_pool"):
        settings_of(tmp_path, f'[stores.S1]\nwork_pool = "{name}"\n')


def test_a_form_offers_the_stores_that_are_configured() -> None:
    one = offer_stores(ExportScope.model_json_schema(), ["S1"])
    many = offer_stores({"definitions": {"S": ProductScope.model_json_schema()}}, ["S1", "S2"])

    assert one["properties"]["store"]["enum"] == ["S1"]
    assert many["definitions"]["S"]["properties"]["stores"]["items"]["enum"] == ["S1", "S2"]
    assert "enum" not in HubScope.model_json_schema()["properties"]["stores"]["items"]
