"""Events, triggers and alerts on a real server: what starts what, who is told what, and never a secret."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from tests.databases import Server
from tests.flows.conftest import ROOT, server_of_its_own
from tests.scenarios.installation import install

pytestmark = [pytest.mark.prefect_server, pytest.mark.postgres, pytest.mark.slow]

PROFILE = """\
active = "chain"

[profiles.chain]
PREFECT_SERVER_DATABASE_CONNECTION_URL = "{url}"
"""
"""Of the server: on SQLite one that watches each run locks itself out when busy, and loses events."""

SECRET = "CANARYTOKEN"
"""The secret of the story's notification block."""

HELD = ("reconcile", "export-products")
"""Deployments whose slot the story holds."""

SETTINGS = """
[prefect]
notification_block = "custom-webhook/ops"
[alerts]
silent_minutes = 0.2
overdue_minutes = 0.2
blocked_minutes = 0.2
pending_minutes = 0.2
unresponsive_minutes = 0.2
quarantine_hours = 0.0001
"""


@dataclass(frozen=True)
class Told:
    """What the story of `tests.flows.chain` came to."""

    said: dict[str, Any]
    output: str
    home: Path

    def events(self, name: str) -> list[str]:
        """The events that a run has sent."""
        return [event for event, *_ in self.said[name]["events"]]

    def messages(self, subject: str) -> list[str]:
        """What people were told under a subject."""
        return [told["body"] for told in self.said["told"] if told["subject"] == f"tillbridge: {subject}"]


@contextmanager
def server_on(url: str, home: Path) -> Iterator[dict[str, str]]:
    """Variables that tie a process to a server of its own on a PostgreSQL database."""
    database = make_url(url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)
    (home / "profiles.toml").write_text(PROFILE.format(url=database), encoding="utf-8")
    with server_of_its_own(home) as variables:
        yield variables


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, postgres_server: Server) -> Iterator[Told]:
    """Deploy prefect.yaml for S1, then play the story once, in a process of its own."""
    folder = tmp_path_factory.mktemp("chain")
    shops = install(folder, "sqlite:///hub.db", invoices=14, history=4)
    shops.go_live()
    shops.ring_all(4)
    file = folder / "tillbridge.toml"
    file.write_text(file.read_text(encoding="utf-8") + SETTINGS, encoding="utf-8")
    deploy = ("--no-prompt", "deploy", "--prefect-file", "deployments/prefect.yaml", "--all")
    output, home = "", tmp_path_factory.mktemp("prefect")
    with postgres_server.database() as url, server_on(url, home) as variables:
        for command in (
            ("prefect", "work-pool", "create", "tillbridge", "--type", "process"),
            ("prefect", *deploy),
            ("tests.flows.chain", str(folder)),
        ):
            done = subprocess.run(
                [sys.executable, "-m", *command],
                cwd=ROOT,
                env={**variables, "TILLBRIDGE_STORE": "S1"},
                capture_output=True,
                text=True,
                timeout=400,
            )
            output += done.stdout + done.stderr
            assert done.returncode == 0, output
        said = json.loads((folder / "said.json").read_text(encoding="utf-8"))
        yield Told(said, output, Path(variables["PREFECT_HOME"]))


def test_an_export_says_that_the_store_was_seen_and_what_it_published(told: Told) -> None:
    assert told.events("tickets") == ["tillbridge.store.seen", "tillbridge.batch.published"]
    _, store, _, payload = told.said["tickets"]["events"][1]
    (batch,) = payload.pop("batches")
    assert (store, payload) == ("S1", {"stream": "orders", "count": 1})
    assert batch.startswith("S1/orders/000001-")
    assert told.events("no tickets") == ["tillbridge.store.seen"]


@pytest.mark.parametrize(
    "name",
    [
        "a rehearsal",
        "an import",
        "an import of nothing",
        "its import",
        "no layaway advances",
        "the same goods",
        "the same catalogue",
    ],
)
def test_a_run_by_which_nothing_happened_says_nothing(name: str, told: Told) -> None:
    assert told.said[name] == {"state": "COMPLETED", "events": []}


def test_what_moves_on_is_told_to_those_who_apply_it(told: Told) -> None:
    moved = ["tillbridge.import.transitions-waiting", "hub", {"tillbridge.kind": "layaway"}]
    assert told.said["an import of a cancelled layaway"]["events"] == [[*moved, {"orders": {"S1": 1}}]]
    assert told.events("the layaway advances") == ["tillbridge.stock.freed"]
    assert told.events("goods arrive") == ["tillbridge.stock.received"]
    published = [[event, store] for event, store, *_ in told.said["the catalogue changes"]["events"]]
    assert published == [
        ["tillbridge.catalog.changed", "hub"],
        ["tillbridge.products.published", "S1"],
        ["tillbridge.products.published", "S2"],
    ]


def test_what_goes_wrong_is_told_with_what_to_do(told: Told) -> None:
    assert told.events("an import after a lost batch") == ["tillbridge.sequence.gap"]
    assert told.events("an import of a spoiled batch") == ["tillbridge.batch.rejected"]
    comparison = [[event, store] for event, store, *_ in told.said["a comparison"]["events"]]
    assert told.said["a comparison"]["state"] == "FAILED"
    assert comparison == [
        ["tillbridge.reconcile.unexplained", "S1"],
        ["tillbridge.sequence.gap", "S1"],
        ["tillbridge.quarantine.waiting", "S1"],
        ["tillbridge.reconcile.unexplained", "S2"],
    ]


def test_each_event_schedules_one_run_of_the_flow_that_follows(told: Told) -> None:
    """No worker runs here, so that nothing but the triggers creates runs of automations."""
    events = told.said["events"]

    assert told.said["triggered"] == {
        "import-orders": events["tillbridge.batch.published"],
        "advance-layaways": events["tillbridge.import.transitions-waiting"],
        "advance-backorders": events["tillbridge.stock.received"] + events["tillbridge.stock.freed"],
        "export-products": events["tillbridge.catalog.changed"],
        # Of two stores' products, those of the one that is deployed here.
        "apply-products": 1,
    }
    assert told.said["parameters"]["apply-products"] == {"scope": {"store": "S1"}}
    assert told.said["parameters"]["import-orders"] == {}


def test_a_run_sees_what_arrives_while_it_is_at_work(told: Told) -> None:
    """A run that was triggered meanwhile is cancelled by the concurrency limit."""
    assert told.said["looks"] == [1, 1, 0]
    assert told.said["applied in all"] == [2, 0]


def test_alerts_are_registered_once_however_often_it_is_done(told: Told) -> None:
    first, second = told.said["first registration"], told.said["second registration"]

    assert [name.removeprefix("tillbridge: ") for name in first["created"]] == [
        "batch missing",
        "batch rejected",
        "quarantine not empty",
        "reconcile unexplained",
        "run failed",
        "run overdue",
        "run stuck",
        "run unresponsive",
        "slot blocked",
        "store silent (S1)",
        "store silent (S2)",
    ]
    assert second == {"created": [], "updated": [], "unchanged": 11}


def test_alerts_follow_the_settings_and_what_an_operator_switched_off_stays_off(told: Told) -> None:
    fewer = told.said["fewer"]

    assert fewer["removed"] == ["tillbridge: run overdue", "tillbridge: store silent (S2)"]
    assert "tillbridge: run failed" in fewer["updated"]
    assert (fewer["hours"], fewer["switched on"]) == (9, False)
    assert (told.said["taken away"], told.said["left"]) == (9, [])


def test_a_notification_block_that_is_not_there_is_refused_by_name(told: Told) -> None:
    assert "has no block `custom-webhook/none`" in told.said["unknown block"]


def test_people_are_told_what_is_unexplained_and_what_to_do(told: Told) -> None:
    (message,) = [text for text in told.messages("reconcile unexplained") if text.startswith("S1: ")]
    number = told.said["lost ticket"]

    assert message.startswith("S1: 2 unexplained, first seen by the comparison of 20")
    assert f"- S1: ticket {number} missing: the store has it, the hub does not." in message
    assert f"run `tillbridge resend S1 --numbers {number}-{number}` at the store" in message
    assert message.endswith("More: docs/operations.md, section Alerts, `reconcile unexplained`")


def test_people_are_told_once_of_a_batch_that_is_missing_and_of_what_waits_in_quarantine(told: Told) -> None:
    (missing,) = told.messages("batch missing")  # told by the import, and again by the comparison
    (waiting,) = told.messages("quarantine not empty")
    (rejected,) = told.messages("batch rejected")

    assert "S1: batch 7 is missing since 20" in missing
    assert "`tillbridge resend S1 --batch 7` at the store" in missing
    assert waiting.startswith("S1: 1 in quarantine, the oldest since 20")
    assert "ticket_lines.csv has " in rejected
    assert "`tillbridge resend S1 --batch 9` at the store" in rejected


def test_people_are_told_of_a_store_that_is_silent_and_of_no_other(told: Told) -> None:
    """S2 has never exported: it is not live yet."""
    message = told.messages("store silent (S1)")[-1]

    assert message.startswith("Store S1 has completed no export for 0.2 minutes, the last one at 20")
    assert told.messages("store silent (S2)") == []


def test_people_are_told_of_runs_that_fail_or_never_start(told: Told) -> None:
    (failed,) = told.messages("run failed")

    assert "of import-catalog is Failed since 20" in failed
    assert "UTC: The hub does not answer. What to do:" in failed
    assert "of its work queue orders has started" in told.messages("run overdue")[0]


def test_a_run_that_is_stuck_or_dead_is_marked_as_crashed_and_frees_its_slot(told: Told) -> None:
    assert told.said["stuck"] == told.said["dead"] == "Crashed"
    assert told.said["after the stuck one"] == "Pending"
    assert "of export-products was handed to a worker at 20" in told.messages("run stuck")[0]
    assert "of advance-backorders has given no sign of life" in told.messages("run unresponsive")[0]


def test_a_slot_that_is_held_too_long_is_told_and_freed_by_one_command(told: Told) -> None:
    assert told.said["second run"] == "Cancelled"
    message = told.messages("slot blocked")[0]
    # The slots of two are held; either may be told first.
    assert message.startswith(tuple(f"A run of {name} was cancelled at 20" for name in HELD))
    assert "(Deployment concurrency limit reached.)" in message
    assert "`tillbridge unblock`" in message

    # A run that has just begun may be alive; one that waits for its worker since long is not.
    assert told.said["left alone"] == [["reconcile", False]]
    assert told.said["rehearsed"] == [["export-products", True], ["reconcile", False]]
    assert told.said["freed"] == [["export-products", True], ["reconcile", True]]
    assert told.said["holder"] == "Crashed"


def test_a_slot_that_a_server_has_forgotten_is_freed(told: Told) -> None:
    assert told.said["while nobody holds it"] == "Cancelled"
    assert told.said["leaked"] == [["", True]]
    assert told.said["after that"] == "Pending"
    assert "There is no deployment `recncile` of tillbridge; there are advance-" in told.said["misspelled"]


def test_the_commands_say_what_they_did(told: Told) -> None:
    held, registered, removed = told.said["commands"]

    assert "tillbridge: run failed new" in registered
    assert registered.endswith("They are sent by custom-webhook/ops.")
    assert " Pending " in held
    assert held.endswith(" Dry run: nothing was changed.")
    assert removed == "Removed 11 alerts."


def test_no_secret_of_the_notification_block_is_told_or_logged(told: Told) -> None:
    files = [file for file in told.home.rglob("*") if file.is_file()]

    assert told.said["paths"] == [f"/{SECRET}"]
    assert files
    assert [file.name for file in files if SECRET.encode() in file.read_bytes()] == []
    assert SECRET not in told.output
    assert SECRET not in json.dumps({**told.said, "paths": None})
