"""`tillbridge quarantine`: what people read and do, and the exit status scripts go by."""

from __future__ import annotations

import getpass
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.hub.database import open_hub
from tests.deployments.test_cli import Said, tillbridge, untouched_logging
from tests.documents import make_order, make_ticket
from tests.hub.conftest import ready_file
from tests.hub.world import World

__all__ = ["ready_file", "untouched_logging"]

Run = Callable[..., Said]

SETTINGS = """
[hub]
url = "sqlite:///hub.db"
[warehouses.W1]
[warehouses.BACK]
sellable = false
[stores.S1]
warehouse = "W1"
[stores.S2]
"""


@pytest.fixture
def world(ready_file: Path, tmp_path: Path) -> Iterator[World]:
    shutil.copy(ready_file, tmp_path / "hub.db")
    (tmp_path / "tillbridge.toml").write_text(SETTINGS, encoding="utf-8")
    with open_hub(f"sqlite:///{tmp_path / 'hub.db'}") as hub:
        yield World(hub, tmp_path)


@pytest.fixture
def run(world: World) -> Run:
    def run(*arguments: Any) -> Said:
        return tillbridge("--config", str(world.folder / "tillbridge.toml"), "quarantine", *arguments)

    return run


def test_a_ticket_is_found_looked_at_mended_and_booked(world: World, run: Run) -> None:
    world.orders(
        make_ticket(9, [("SKU-1", 1, "10.00"), ("NOPE", 2, "5.00")]),
        make_ticket(10, [("SKU-1", -1, "1.00")], recall_type=3, recall_id=9),
    )

    listed = run()
    assert "S1/1/ticket/9  3 units, 20.00, since 2026-11-24T06:00 (" in listed.out
    assert listed.out == run("list", "S1").out
    assert run("list", "S2").out == "The quarantine is empty.\n"

    shown = run("show", "9", "--store", "S1")
    assert "ticket_lines/2: line 2, entry_id 9002, item_id " in shown.text
    assert "sku NOPE, description Item NOPE, item_type 0, quantity 2.0000, unit_price 5.0000" in shown.text
    assert "Waiting for it: - S1/1/ticket/10: Ticket 10 voids ticket 9" in shown.text

    edit = ("edit", "S1/1/ticket/9", "--set", "ticket_lines/2/sku=SKU-2", "--why", "wrong label")
    assert "Dry run: nothing was written." in run(*edit, "--dry-run").out
    assert "S1/1/ticket/9: edited. 1 edit counts once it is released." in run(*edit).text
    assert "edited" in run("list").out
    edited = run("show", "S1/1/ticket/9").text
    assert "* ticket_lines/2/sku: not `NOPE`, but `SKU-2`." in edited
    assert "edited ticket_lines/2/sku from `NOPE` to `SKU-2`: wrong label" in edited

    done = run("release", "S1/1/ticket/9", "--why", "looked at it", "--by", "ann")
    assert (done.status, done.out) == (0, "S1/1/ticket/9: booked. Booked.\n")
    again = run("release", "S1/1/ticket/9", "--why", "looked at it", "--by", "ann", "--json")
    assert [of["changed"] for of in again.data["decided"]] == [False]
    closed = run("list", "--all", "--json").data
    assert [(e["document"], e["state"]) for e in closed if e["closed_utc"]] == [("S1/1/ticket/9", "released")]
    who = world.rows("SELECT decided_by FROM quarantine_decisions ORDER BY number")
    assert who == [(getpass.getuser(),), ("ann",)]


def test_release_of_what_is_still_wrong_ends_with_status_1(world: World, run: Run) -> None:
    world.orders(make_ticket(9, [("NOPE", 2, "5.00")]))

    done = run("release", "9", "--store", "S1", "--why", "hoping", "--by", "ann")

    assert done.status == 1
    assert "S1/1/ticket/9: quarantined. Ticket 9 holds SKUs" in done.text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("release", "S1/1/ticket/9", "--why", "x", "--accept", "unknown_sku"),
            "is no rule that can be waived",
        ),
        (("discard", "S1/1/ticket/77", "--why", "x"), "knows nothing of S1/1/ticket/77"),
        (("discard", "77", "--store", "S1", "--why", "x"), "has the number 77"),
        (("edit", "S1/1/ticket/9", "--why", "x"), "either some changes or the undoing of all"),
        (("show", "S1/1/ticket/8"), "was never in quarantine"),
        (("release", "9", "--store", "S9", "--why", "x"), "S9"),
    ],
)
def test_nonsense_is_refused_with_status_3_and_a_next_step(
    world: World, run: Run, arguments: tuple[str, ...], says: str
) -> None:
    world.orders(make_ticket(9, [("NOPE", 2, "5.00")]), make_ticket(8))

    done = run(*arguments)

    assert (done.status, says in " ".join(done.err.split()), "Next: " in done.err) == (3, True, True)


def test_a_number_that_is_a_ticket_and_an_order_has_to_be_named_in_full(world: World, run: Run) -> None:
    world.orders(make_ticket(9, [("NOPE", 2, "5.00")]), make_order(9, [("NOPE", 1, "5.00")]))

    done = run("discard", "9", "--store", "S1", "--why", "x", "--by", "ann")

    assert done.status == 3
    assert "may be S1/1/order/9 or S1/1/ticket/9" in done.err


def test_discard_and_recheck_say_what_they_did(world: World, run: Run) -> None:
    world.orders(make_ticket(9, [("NOPE", 2, "5.00")]), make_ticket(10, [("NADA", 1, "1.00")]))

    done = run("discard", "S1/1/ticket/9", "S1/1/ticket/10", "--why", "training", "--by", "ann")
    assert "S1/1/ticket/10: discarded. Discarded; it counts as seen." in done.text
    assert run("recheck", "--dry-run").text == (
        "Judged the quarantine of S1, S2 again: 0 documents were booked (dry run: nothing was written)."
    )
    assert "ann discarded it: training" in run("list", "--all").text
