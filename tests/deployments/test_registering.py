"""`tillbridge deploy` against a real Prefect server and a real worker."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deployments.desk import ask, deployments, environment, run, wait_until
from tests.flows.conftest import server_of_its_own
from tests.ports import free_port

pytestmark = [pytest.mark.slow, pytest.mark.prefect_server]

S1 = '[warehouses.MAIN]\n[stores.S1]\nrms_url = "sqlite:///rms.db"\ntime_zone = "Europe/London"\n'
S2 = '[stores.S2]\ntime_zone = "America/New_York"\nwork_pool = "boston"\n'


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The interface of a server of this file alone; its tests take it over from each other in their order."""
    with server_of_its_own(tmp_path_factory.mktemp("server")) as variables:
        yield variables["PREFECT_API_URL"]


@pytest.fixture
def shop(tmp_path: Path, api: str) -> Iterator[Path]:
    """A folder with one store; the server is as new after the test."""
    (tmp_path / "tillbridge.toml").write_text(S1, encoding="utf-8")
    yield tmp_path
    for found in ask(api, "POST", "/automations/filter", {"limit": 200}):
        ask(api, "DELETE", f"/automations/{found['id']}")
    for found in deployments(api).values():
        ask(api, "DELETE", f"/deployments/{found['id']}")
    ask(api, "DELETE", "/variables/name/tillbridge_registrar")


def run_python(source: str, folder: Path, api: str) -> str:
    """What a program prints that runs against the server."""
    done = subprocess.run(
        [sys.executable, "-c", source],
        cwd=folder,
        env=environment(PREFECT_API_URL=api, PREFECT_HOME=str(folder / "prefect")),
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def deploy(folder: Path, api: str, *options: str) -> str:
    done = run("deploy", *options, folder=folder, PREFECT_API_URL=api)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_adding_a_store_is_one_entry_and_one_command(shop: Path, api: str) -> None:
    first = deploy(shop, api)
    again = deploy(shop, api)
    before = deployments(api)
    (shop / "tillbridge.toml").write_text(S1 + S2, encoding="utf-8")
    looked = deploy(shop, api, "--dry-run")
    unchanged = deployments(api)
    added = deploy(shop, api)

    assert "14 new, 0 changed, 0 as they were." in first
    assert "0 new, 0 changed, 14 as they were." in again
    assert "Would create the work pool boston." in looked
    assert unchanged == before
    assert (
        "5 new, 6 changed, 8 as they were." in added
    )  # the hub's forms that name stores have one more choice
    after = deployments(api)
    assert {name for name in after if name not in before} == {
        f"{flow}-S2"
        for flow in ("apply-products", "export-orders", "publish-statement", "resend-period", "sweep-orders")
    }
    boston = after["export-orders-S2"]
    assert boston["schedules"][0]["schedule"]["timezone"] == "America/New_York"
    assert (boston["work_pool_name"], boston["work_queue_name"]) == ("boston", "orders")
    queues = ask(api, "POST", "/work_pools/boston/queues/filter", {})
    assert {queue["name"]: queue["priority"] for queue in queues if queue["name"] != "default"} == {
        "orders": 1,
        "backfill": 10,
    }


def triggers(api: str) -> dict[str, dict[str, Any]]:
    """The automations that start our deployments, by name."""
    found = ask(api, "POST", "/automations/filter", {"limit": 200})
    return {each["name"]: each for each in found if each["actions"][0]["type"] == "run-deployment"}


def test_a_trigger_is_left_alone_while_it_is_as_it_should_be_and_stays_off_if_it_was_switched_off(
    shop: Path, api: str
) -> None:
    """It used to be made anew each time, which forgot an event that was on its way."""
    (shop / "tillbridge.toml").write_text(S1 + S2, encoding="utf-8")
    deploy(shop, api)
    first = triggers(api)
    off, bent = "tillbridge: batch published, import-orders", "tillbridge: catalogue changed, export-products"
    ask(api, "PATCH", f"/automations/{first[off]['id']}", {"enabled": False})
    bend = {key: first[bent][key] for key in ("name", "description", "tags", "trigger", "actions")}
    bend["trigger"] = {**bend["trigger"], "expect": ["tillbridge.nothing"]}
    ask(api, "PUT", f"/automations/{first[bent]['id']}", bend)

    run_python(_LET_REST, shop, api)  # `up --every` starts import-orders itself
    resting = triggers(api)
    deploy(shop, api)

    after = triggers(api)
    assert {name: each["id"] for name, each in after.items()} == {
        name: each["id"] for name, each in first.items()
    }
    assert {name for name, each in after.items() if not each["enabled"]} == {off}
    assert not resting[off]["enabled"]
    assert after[bent]["trigger"]["expect"] == ["tillbridge.catalog.changed"]
    assert {name: each["trigger"]["match"] for name, each in after.items() if "S2" in name} == {
        "tillbridge: products published, apply-products-S2": {"prefect.resource.id": "tillbridge.store.S2"}
    }


def test_a_wrong_store_is_refused_before_a_run_starts(shop: Path, api: str) -> None:
    deploy(shop, api)
    there = deployments(api)

    def start(name: str, scope: dict[str, object]) -> object:
        path = f"/deployments/{there[name]['id']}/create_flow_run"
        return ask(api, "POST", path, {"parameters": {"scope": scope}})

    assert start("export-orders-S1", {"store": "S9"}) == 409
    assert start("import-orders", {"stores": ["S1", "S9"]}) == 409
    assert isinstance(start("import-orders", {"stores": ["S1"]}), dict)


def test_a_paused_schedule_stays_paused_while_its_file_changes(shop: Path, api: str) -> None:
    deploy(shop, api)
    paused = deployments(api)["export-orders-S1"]
    schedule = paused["schedules"][0]["id"]
    ask(api, "PATCH", f"/deployments/{paused['id']}/schedules/{schedule}", {"active": False})
    ask(api, "PATCH", f"/deployments/{deployments(api)['reconcile']['id']}", {"paused": True})  # as a whole
    (shop / "tillbridge.toml").write_text(S1.replace("London", "Paris"), encoding="utf-8")

    output = deploy(shop, api)

    after = deployments(api)
    assert (after["reconcile"]["paused"], after["import-orders"]["paused"]) == (True, False)
    zones = {
        name: (after[name]["schedules"][0]["schedule"]["timezone"], after[name]["schedules"][0]["active"])
        for name in ("export-orders-S1", "sweep-orders-S1")
    }
    assert zones == {"export-orders-S1": ("Europe/Paris", False), "sweep-orders-S1": ("Europe/Paris", True)}
    assert after["export-orders-S1"]["id"] == paused["id"]
    assert "Paused in the UI, and left so: export-orders-S1, reconcile." in output


_LET_REST = """
from deployments.prefect_api import connected
from deployments.registering import register
from deployments.templates import plan
from tasks.settings import load_settings

with connected() as client:
    polled = {"export-orders-S1", "import-orders"}
    done = register(client, plan(load_settings()), pools=False, polled=polled)
    print(sorted(set(polled) - set(done.paused)))
"""


def test_what_one_process_polls_rests_and_wakes_again_but_for_what_a_person_paused(
    shop: Path, api: str
) -> None:
    deploy(shop, api)
    paused = deployments(api)["export-orders-S1"]
    schedule = paused["schedules"][0]["id"]
    ask(api, "PATCH", f"/deployments/{paused['id']}/schedules/{schedule}", {"active": False})

    def active() -> dict[str, bool]:
        there = deployments(api)
        names = ("export-orders-S1", "import-orders", "reconcile")
        return {name: there[name]["schedules"][0]["active"] for name in names}

    polled = run_python(_LET_REST, shop, api)
    resting = active()
    deploy(shop, api)

    assert polled.strip() == "['import-orders']"
    assert resting == {"export-orders-S1": False, "import-orders": False, "reconcile": True}
    assert active() == {"export-orders-S1": False, "import-orders": True, "reconcile": True}


_TWO_REGISTRARS = """
import threading
from data_contracts.errors import FinalError
from deployments.prefect_api import connected
from deployments.registrar import Claim, read_registrar

with connected() as client, connected() as other:
    mine, second, third = Claim(other, "up"), Claim(client, "up"), Claim(client, "up")
    mine.take()
    dead = threading.Event()
    def beat():
        while not dead.wait(0.2):
            mine.renew()
    thread = threading.Thread(target=beat)
    thread.start()
    try:
        second.take(watch_seconds=60)
        print("taken from one that is alive")
    except FinalError as error:
        print("refused:", error.message.partition(" on ")[0])
    dead.set()
    thread.join()
    third.take(watch_seconds=1)
    print("the dead one renews:", mine.renew())
    mine.release()
    print("still there:", read_registrar(client) is not None)
    third.release()
    print("left:", read_registrar(client))
"""


def test_a_registrar_without_a_sign_of_life_is_taken_over_and_a_living_one_is_not(
    shop: Path, api: str
) -> None:
    told = run_python(_TWO_REGISTRARS, shop, api).splitlines()

    assert told == [
        "refused: `tillbridge up`",
        "the dead one renews: False",
        "still there: True",
        "left: None",
    ]


def test_a_removed_store_is_named_and_deleted_when_asked(shop: Path, api: str) -> None:
    (shop / "tillbridge.toml").write_text(S1 + S2, encoding="utf-8")
    deploy(shop, api)
    (shop / "tillbridge.toml").write_text(S1, encoding="utf-8")

    named = deploy(shop, api)
    still = set(deployments(api))
    deploy(shop, api, "--prune")

    assert "Not planned any more (--prune deletes them): apply-products-S2," in named
    assert "tillbridge: products published, apply-products-S1" in triggers(api)
    assert "tillbridge: products published, apply-products-S2" not in triggers(api)
    assert {name for name in still if name.endswith("-S2")} == still - set(deployments(api))
    assert len(still - set(deployments(api))) == 5


def test_a_worker_runs_what_was_registered_and_finds_the_settings(shop: Path, api: str) -> None:
    assert run("migrate", folder=shop).returncode == 0
    deploy(shop, api)
    chosen = deployments(api)["receive-stock"]
    (shop / "goods.csv").write_text("warehouse,sku,quantity\nNOWHERE,A,1\n", encoding="utf-8")
    created = ask(
        api,
        "POST",
        f"/deployments/{chosen['id']}/create_flow_run",
        {"parameters": {"scope": {"file": "goods.csv"}}},
    )

    worker = subprocess.Popen(
        [sys.executable, "-m", "prefect", "worker", "start", "--pool", "tillbridge"],
        cwd=shop.parent,
        env=environment(PREFECT_API_URL=api, PREFECT_HOME=str(shop / "prefect"), TILLBRIDGE_HOME=str(shop)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:

        def ended() -> dict[str, str] | None:
            state = ask(api, "GET", f"/flow_runs/{created['id']}")["state"]
            return state if state["type"] in ("COMPLETED", "FAILED", "CRASHED") else None

        state = wait_until(ended)
    finally:
        worker.terminate()
        worker.wait(60)

    # It read the file beside tillbridge.toml, in the folder that only the worker knows.
    assert state["type"] == "FAILED"
    assert "NOWHERE" in state["message"]


def test_up_refuses_while_deploy_is_the_registrar_and_may_serve_after_remove(shop: Path, api: str) -> None:
    deploy(shop, api)

    refused = run("up", folder=shop, PREFECT_API_URL=api)
    removed = run("deploy", "--remove", folder=shop, PREFECT_API_URL=api)

    assert refused.returncode == 3
    assert "registered with work pools, by `tillbridge deploy`" in refused.stderr
    assert "Next: start a worker, or run `tillbridge deploy --remove` first" in refused.stderr
    assert "Deleted 14 deployments" in removed.stdout
    assert (deployments(api), triggers(api)) == ({}, {})
    assert ask(api, "GET", "/variables/name/tillbridge_registrar") == 404


def test_without_a_server_there_is_one_clear_sentence(shop: Path, api: str) -> None:
    none = run("deploy", folder=shop)
    elsewhere = run("deploy", folder=shop, PREFECT_API_URL=api.removesuffix("/api"))
    silent = run("deploy", folder=shop, PREFECT_API_URL=f"http://ann:secret@127.0.0.1:{free_port()}/api")

    assert (none.returncode, elsewhere.returncode, silent.returncode) == (3, 3, 4)
    assert "Error: No Prefect server is configured" in none.stderr
    assert "is not the interface of a Prefect server" in elsewhere.stderr
    assert "does not answer" in silent.stderr
    assert "secret" not in silent.stderr
    assert "Traceback" not in none.stderr + elsewhere.stderr + silent.stderr


_CANCELLED = """
from prefect import flow
from prefect.runtime import flow_run
from prefect.states import Cancelling
from deployments.polling import run_here
from deployments.prefect_api import connected

@flow(name="cancelled")
def cancelled():
    client.set_flow_run_state(flow_run.id, Cancelling())

with connected() as client:
    deployment = client.create_deployment(client.create_flow_from_name("cancelled"), name="cancelled")
    state = run_here(deployment, cancelled)
    print(state.name, client.read_flow_run(state.state_details.flow_run_id).state_name)
"""


def test_a_run_in_this_process_that_a_person_cancels_is_cancelled_once_it_ends(shop: Path, api: str) -> None:
    """No runner knows it, so that it used to stay Cancelling for ever."""
    assert run_python(_CANCELLED, shop, api).splitlines()[-1] == "Cancelled Cancelled"


_TOO_MUCH = """
from data_contracts.errors import TillbridgeError
from deployments.prefect_api import connected

try:
    with connected() as client:
        client.read_deployments(limit=1000)
except TillbridgeError as error:
    print(error)
"""


def test_a_request_that_the_server_refuses_is_one_sentence_without_the_password(shop: Path, api: str) -> None:
    """As by a server of another version; httpx writes the whole address into its error."""
    told = run_python(_TOO_MUCH, shop, api.replace("://", "://ann:CANARY@"))

    assert "refused POST /api/deployments/filter (status 422)" in told
    assert "CANARY" not in told
