"""The real flows against a real server: states, artifacts, retries, and no secret anywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.flows.conftest import ROOT
from tests.scenarios.installation import install

pytestmark = pytest.mark.prefect_server

SECRET = "CANARYPASS"
"""The password of the story's hub."""


@dataclass(frozen=True)
class Told:
    """What the story of `tests.flows.story` came to."""

    said: dict[str, Any]
    output: str
    home: Path
    """Where the server keeps its database and its log."""
    tickets: dict[str, int]
    """Store -> tickets that it has rung since its baseline."""
    money: str
    """What S1 has rung, as people read it."""

    def state(self, name: str) -> str:
        """How a run ended."""
        return str(self.said[name]["state"])

    def message(self, name: str) -> str:
        """What its last state says."""
        return str(self.said[name]["message"])


@pytest.fixture(scope="module")
def told(prefect_variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Play the story once, in a process of its own."""
    folder = tmp_path_factory.mktemp("flows")
    shops = install(folder, "sqlite:///hub.db", invoices=14, history=4)
    shops.go_live()
    shops.ring_all(8)
    tickets = {
        code: shops.ask_rms(code, 'SELECT count(*) FROM "Transaction"')[0][0] - 4 for code in ("S1", "S2")
    }
    money = shops.ask_rms("S1", 'SELECT sum(Total) FROM "Transaction" WHERE TransactionNumber > 4')[0][0]
    done = subprocess.run(
        [sys.executable, "-m", "tests.flows.story", str(folder)],
        cwd=ROOT,
        env=prefect_variables,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads((folder / "said.json").read_text(encoding="utf-8"))
    home = Path(prefect_variables["PREFECT_HOME"])
    return Told(said, done.stdout + done.stderr, home, tickets, f"{money / 10_000:,.2f}")


@pytest.mark.parametrize(
    "name",
    [
        "empty import",
        "advance of nothing",
        "allocation of nothing",
        "products of nothing",
        "cleaning of nothing",
    ],
)
def test_a_run_that_finds_nothing_completes_and_loads_neither_pandas_nor_great_expectations(
    name: str, told: Told
) -> None:
    assert told.state(name) == "COMPLETED", told.message(name)
    assert told.said["loaded"] == []


@pytest.mark.parametrize(
    "name",
    [
        "export S1",
        "export S2",
        "import",
        "export of two orders",
        "import of two orders",
        "receipt rehearsed",
        "receipt",
        "receipt again",
        "export of the pick-up",
        "import of the pick-up",
        "advance rehearsed",
        "advance",
        "advance of backorders",
        "products rehearsed",
        "products",
        "statement S1",
        "statement S2",
        "import of statements",
        "reconcile",
        "edit rehearsed",
        "edit",
        "release",
        "release again",
        "resend rehearsed",
        "resend",
        "import of the resend",
        "cleaning",
        "long resend",
        "catalogue of nothing",
        "catalogue rehearsed",
        "catalogue",
        "catalogue again",
        "products again",
    ],
)
def test_a_day_of_flows_completes(name: str, told: Told) -> None:
    assert told.state(name) == "COMPLETED", told.message(name)


def test_each_flow_leaves_an_artifact_with_its_figures(told: Told) -> None:
    count = told.tickets["S1"]
    assert f"| tickets | {count} |" in told.said["artifact export-orders-s1"]
    assert f"| money | {told.money} |" in told.said["artifact export-orders-s1"]
    # The pick-up of the layaway comes after it.
    assert f"| tickets | {count + 1} |" in told.said["artifact statement-s1"]
    assert "| deposits | 0.00 |" in told.said["artifact statement-s1"]
    assert "`S1/statement/000001-" in told.said["artifact import-orders"]
    assert "`S2/statement/000001-" in told.said["artifact import-orders"]
    assert "`S1/" not in told.said["artifact import-orders-s2"]
    both = sum(told.tickets.values()) + 1
    assert f"**0 unexplained: {both} tickets, " in told.said["artifact reconcile"]
    assert "## Unexplained" not in told.said["artifact reconcile"]


def test_a_cleaning_says_what_it_removed(told: Told) -> None:
    assert "# Removed: batches: 0; acknowledgements: 0;" in told.said["artifact of the cleaning"]
    assert "| S1 | 0 | 0 | 0 | 0 | 1 |" in told.said["artifact of the cleaning"]


def test_a_store_has_a_page_of_its_own_beside_that_of_all(told: Told) -> None:
    assert "| S1 | " in told.said["artifact reconcile"]
    assert "# Reconciliation of S1\n" in told.said["artifact reconcile-s1"]
    assert "| business date | Z batch | store |" in told.said["artifact reconcile-s1"]
    # All is booked: there is nothing to draw.
    assert "mermaid" not in told.said["artifact reconcile"]


def test_what_takes_several_batches_shows_its_progress_in_one_artifact(told: Told) -> None:
    (shown,) = told.said["progress of the long resend"]

    assert shown == [100, "6 of 6 documents"]


def test_an_import_leads_from_the_batch_to_orders_files_and_the_way_out_of_quarantine(told: Told) -> None:
    artifact = told.said["artifact of the unknown"]
    document = told.said["mended"]

    assert "# Import of S2\n" in artifact
    assert f"| `{document}` | " in artifact
    assert f"`tillbridge quarantine show {document}`" in artifact
    assert "Files, once imported: `S2/orders/archive/` of the exchange." in artifact
    number = told.said["picked up"]
    assert f"| ticket {number}" not in told.said["artifact of the pick-up's import"]
    assert "tickets 5 to " in told.said["artifact of the first import of S1"]


def test_orders_and_their_deposits_stand_in_the_artifact_of_an_export(told: Told) -> None:
    artifact = told.said["artifact of two orders"]

    assert "| layaways and backorders, new or changed | 2 |" in artifact
    assert "| deposits on them | 5.00 |" in artifact


def test_a_receipt_names_who_was_given_what_and_counts_once(told: Told) -> None:
    artifact = told.said["artifact of the receipt"]

    assert "# Stock received\n" in artifact
    assert "| receipt | `DN-7` |" in artifact
    assert "| units | 3 |" in artifact
    number, units = told.said["backorder"], told.said["awaited"]
    assert f"| `S1/1/order/{number}` | {number} | {units} | no |" in artifact
    assert "receipt DN-7 was received before; nothing was changed" in told.said["logs"]


def test_an_import_says_which_flows_apply_what_moved_on(told: Told) -> None:
    artifact = told.said["artifact of the pick-up's import"]

    assert "advance-layaways and advance-backorders apply it" in artifact
    assert "waiting_to_advance" not in artifact
    assert "## What needs attention" not in artifact


def test_what_people_decide_about_a_ticket_is_rehearsed_kept_and_told(told: Told) -> None:
    rehearsal, artifact = told.said["artifact of the rehearsed edit"], told.said["artifact of the release"]

    assert rehearsal.startswith("# Quarantine (dry run: nothing was written)\n")
    assert "| edit | ann | wrong label |" in rehearsal
    assert f"| `{told.said['mended']}` | edited | 1 edit counts once it is released." in rehearsal
    assert "| release | bob | looked at it |" in artifact
    assert f"| `{told.said['mended']}` | booked | Booked. |  |" in artifact


def test_nonsense_about_the_quarantine_is_refused_before_or_at_once(told: Told) -> None:
    assert "an edit is of one document and has at least one change" in told.said["nonsense"]
    assert told.state("discard of what is booked") == "FAILED"
    assert set(told.said["discard of what is booked"]["attempts"].values()) == {1}


def test_an_advance_says_what_it_applied_and_a_rehearsal_what_it_would(told: Told) -> None:
    rehearsal, artifact = told.said["artifact of the rehearsal"], told.said["artifact of the advance"]

    assert rehearsal.startswith("# Advance of layaways (dry run: nothing was written)\n")
    assert artifact.startswith("# Advance of layaways\n")
    for text in (rehearsal, artifact):
        assert "| what | S1 |" in text
        assert "| snapshots and pick-ups applied | 2 |" in text
        assert "| picked up whole | 1 |" in text
        assert "| units reserved less freed | -2 |" in text


def test_products_that_are_refused_or_cut_stand_in_the_artifact(told: Told) -> None:
    artifact = told.said["artifact of products"]

    assert artifact.startswith("# Products to S1\n")
    assert "| accepted | 1 | 0 | 0 | 1 | 0 |" in artifact
    assert f"| `{'X' * 26}` | The SKU of product `{'X' * 26}` has 26 characters; RMS holds 25" in artifact
    assert "| `NEW-MUG` | created | Description was cut to 30 characters" in artifact


def test_a_catalogue_says_what_it_changed_and_goes_on_to_the_tills(told: Told) -> None:
    rehearsal, artifact = (
        told.said["artifact of the catalogue's rehearsal"],
        told.said["artifact of the catalogue"],
    )

    assert rehearsal.startswith("# Catalogue (dry run: nothing was written)\n")
    assert artifact.startswith("# Catalogue\n")
    for text in (rehearsal, artifact):
        assert "| new | 1 |" in text
        assert "| left out | 1 |" in text
        assert "| Line 3, `STORY-2` has no exact amount in: price. |" in text
    sent = told.said["artifact of the products"].splitlines()
    assert " products sent to 2 stores; answered since the last run: 0 at the till, 0 refused." in sent[0]
    assert [line.split(" | ")[0] for line in sent if line.startswith("| S")] == ["| S1", "| S2"]
    of_one = told.said["artifact of the products of S2"].splitlines()
    assert [line.split(" | ")[0] for line in of_one if line.startswith("| S")] == ["| S2"]
    attempts = told.said["catalogue"]["attempts"]
    assert attempts == {"catalog-more.csv": 1, "products-S1": 1, "products-S2": 1}


def test_a_catalogue_that_changed_nothing_and_products_on_their_way_are_not_sent_again(told: Told) -> None:
    assert told.said["catalogue again"]["attempts"] == {"catalog-more.csv": 1}
    assert told.said["catalogue of nothing"]["attempts"] == {}
    assert told.said["product batches"] == {"S1": 1, "S2": 1}


def test_the_table_of_a_reconciliation_has_a_cell_for_every_column(told: Told) -> None:
    """There was a column `missing` without cells, so that the difference stood under it."""
    rows = [line for line in told.said["artifact reconcile"].splitlines() if line.startswith("|")]

    assert rows
    assert {row.count("|") for row in rows} == {rows[0].count("|")}


def test_a_resend_rehearses_first_and_changes_nothing_that_is_right(told: Told) -> None:
    rehearsed, sent = told.said["artifact of the rehearsed resend"], told.said["artifact of the resend"]
    assert rehearsed.startswith("# Sent again: S1-batch-1 (dry run: nothing was published)")
    assert "Batches: none" in rehearsed
    figures = [line for line in sent.splitlines() if line.startswith("| ")]
    assert [line for line in rehearsed.splitlines() if line.startswith("| ")] == figures
    assert f"| tickets | {told.tickets['S1']} |" in figures
    path = sent.split("Batches: `")[1].split("`")[0]
    said = told.said["artifact of its import"].splitlines()
    (header,) = [line for line in said if line.startswith("| batch |")]
    (row,) = [line for line in said if f"| `{path}` |" in line]
    # Columns of nothing but 0, as quarantined and pending, are left out.
    assert header == "| batch | state | documents | accepted | seen before | units | money |"
    documents, accepted, seen = [cell.strip() for cell in row.split("|")[3:6]]
    assert (accepted, seen) == ("0", documents)


def test_a_resend_of_two_selections_is_refused_before_the_run_starts(told: Told) -> None:
    assert (
        "choose one: business dates, a batch, ticket numbers or order numbers" in told.said["two selections"]
    )


def test_reconcile_fails_on_a_lost_batch_and_its_artifact_names_the_missing_number(told: Told) -> None:
    assert told.state("import without the lost") == "COMPLETED"
    assert told.state("reconcile after a loss") == "FAILED"
    number = told.said["lost ticket"]
    assert f"S1: ticket {number} missing: the store has it, the hub does not." in told.message(
        "reconcile after a loss"
    )
    assert "## Unexplained" in told.said["artifact after a loss"]
    assert '  s0 -- "1" --> missing' in told.said["artifact after a loss"]
    assert f"- S1: ticket {number} missing" in told.said["artifact after a loss"]
    assert told.said["reconcile after a loss"]["attempts"] == {"reconcile": 1, "watch": 1}


def test_a_wrong_store_code_is_refused_before_the_run_starts(told: Told) -> None:
    assert "scope.store" in told.said["wrong parameter"]
    assert "String should match pattern" in told.said["wrong parameter"]


def test_an_error_that_may_pass_is_tried_four_times_and_a_final_one_once(told: Told) -> None:
    assert told.state("lost exchange") == told.state("unknown store") == "FAILED"
    assert told.said["lost exchange"]["attempts"] == {"export-S1": 4}
    assert told.said["unknown store"]["attempts"] == {"export-S9": 1}
    assert "S9" in told.message("unknown store")


def test_a_store_that_fails_does_not_hold_up_the_other(told: Told) -> None:
    name = "import with one store blocked"

    assert told.state(name) == "FAILED"
    assert "S1: Fetching S1/orders/000001-" in told.message(name)
    assert "S2" not in told.message(name)
    attempts = told.said[name]["attempts"]
    assert attempts["fetch-S1"] == 4
    assert attempts["fetch-S2"] == attempts["import-S2"] == 1
    assert "import-S1" not in attempts
    artifact = told.said["artifact of the blocked import"]
    assert "**S1 stopped:** Fetching S1/orders/000001-" in artifact
    assert "| `S2/orders/000001-" in artifact


def test_no_password_reaches_a_log_an_artifact_a_state_or_the_output(told: Told) -> None:
    """Everything the server has ever been told stands in the files of its home."""
    assert told.state("lost hub") == "FAILED"
    assert "The hub's database at 127.0.0.1/x did not answer" in told.message("lost hub")
    assert told.said["lost hub"]["attempts"] == {"reconcile": 4}
    assert told.state("import without a hub") == "FAILED"
    assert told.said["import without a hub"]["attempts"]["fetch-S2"] == 4
    assert told.state("advance without a hub") == "FAILED"
    assert told.said["advance without a hub"]["attempts"] == {"advance-S1": 4, "advance-S2": 4}
    assert told.state("products without a hub") == "FAILED"
    assert told.said["products without a hub"]["attempts"] == {"products-S1": 4, "products-S2": 4}
    assert told.said["logs"]

    files = [file for file in told.home.rglob("*") if file.is_file()]
    holding = [file.name for file in files if SECRET.encode() in file.read_bytes()]

    assert holding == []
    assert any(file.suffix == ".db" for file in files)
    assert SECRET not in told.output
    assert SECRET not in json.dumps(told.said)
