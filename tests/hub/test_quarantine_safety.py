"""Whatever dies, comes twice or at once: what people decide is kept once and booked once."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from data_contracts.errors import DecisionRefused, HubUnavailable
from tasks import faults
from tasks.hub.database import open_hub
from tests.documents import Ticket, make_order, make_ticket
from tests.hub.servers import only_on_postgresql, only_on_sqlite
from tests.hub.test_order_of_arrival import state
from tests.hub.test_quarantine_desk import T9, by_contract, discarded, edited, outcomes, released
from tests.hub.world import SKUS, World

O77 = "S1/1/order/77"
T10, T11 = "S1/1/ticket/10", "S1/1/ticket/11"

DESK = sorted(name for name in faults.NAMES if name.startswith("hub.desk."))
BOOKING = ["hub.orders.documents", "hub.quarantine.entries", "hub.ledger.levels", "hub.orders.snapshots"]


class Died(Exception):
    """The process ends here."""


def arrive(world: World) -> None:
    """A ticket and a layaway with a wrong SKU, a ticket with a wrong total, one that nobody wants."""
    by_contract(
        world,
        make_ticket(9, [("NOPE", 2, "5.00")]),
        make_ticket(10, [("SKU-3", 1, "10.00")], total=120_000),
        make_ticket(11, [("NADA", 1, "1.00")]),
        make_order(77, [("NOPE", 3, "10.00")]),
    )


STEPS_AT_THE_DESK: tuple[Callable[[World], object], ...] = (
    lambda world: edited(world, T9, "ticket_lines/1/sku=SKU-2"),
    lambda world: edited(world, O77, "order_lines/1/sku=SKU-1"),
    lambda world: released(world, T9, T10, O77, accept=["total_mismatch"]),
    lambda world: discarded(world, T11),
)
"""What people decide about them."""


def work(world: World) -> None:
    for step in STEPS_AT_THE_DESK:
        step(world)


KEPT = {
    "decisions": "SELECT number, document, action, rule, new, decided_by FROM quarantine_decisions "
    "ORDER BY number",
    "entries": "SELECT document, rule, state FROM quarantine ORDER BY document",
    "events": "SELECT number, type, document FROM events WHERE store = 'S1' ORDER BY number",
    "snapshots": "SELECT document, rows FROM order_snapshots ORDER BY document",
}


def everything(world: World) -> dict[str, list[tuple[Any, ...]]]:
    return state(world) | {name: world.rows(query) for name, query in KEPT.items()}


def test_what_people_decide_is_the_same_on_both_databases(world: World) -> None:
    arrive(world)

    work(world)

    assert world.stock() == {("W1", "SKU-1"): "0.00", ("W1", "SKU-2"): "-2.00", ("W1", "SKU-3"): "-1.00"}
    assert world.levels() == ("0.00", "3.00")
    assert world.rows(KEPT["decisions"]) == [
        (1, T9, "edited", None, "SKU-2", "ann"),
        (2, O77, "edited", None, "SKU-1", "ann"),
        (3, T9, "released", None, None, "bob"),
        (4, T10, "accepted_rule", "total_mismatch", None, "bob"),
        (5, T10, "released", None, None, "bob"),
        (6, O77, "released", None, None, "bob"),
        (7, T11, "discarded", None, None, "cid"),
    ]
    assert world.rows("SELECT document, state FROM reporting_quarantine ORDER BY document") == [
        (O77, "released"),
        (T10, "released"),
        (T11, "discarded"),
        (T9, "released"),
    ]
    assert world.prove() == []


@pytest.mark.slow
@only_on_sqlite
def test_decision_that_dies_anywhere_is_repeated_to_the_same_end(
    world: World, ready_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrive(world)
    work(world)
    folder = tmp_path / "again"
    folder.mkdir()
    shutil.copy(ready_file, folder / "hub.db")
    died: set[str] = set()
    with open_hub(f"sqlite:///{folder / 'hub.db'}") as hub:
        other = World(hub, folder)
        arrive(other)
        for step in STEPS_AT_THE_DESK:
            for name in (*BOOKING, *reversed(DESK)):

                def die(point: str, at: str = name) -> None:
                    if point == at:
                        died.add(at)
                        raise Died(point)

                monkeypatch.setattr(faults, "hook", die)
                with suppress(Died):
                    step(other)
                monkeypatch.setattr(faults, "hook", None)
            step(other)

        assert died == {*BOOKING, *DESK}
        assert everything(other) == everything(world)
        assert other.prove() == []


def test_every_point_of_the_desk_is_known_here() -> None:
    assert DESK == [
        "hub.desk.after_commit",
        "hub.desk.before_commit",
        "hub.desk.decisions",
        "hub.desk.entries",
        "hub.desk.locked",
    ]


def at_once(hub_url: str, world: World, *works: Callable[[World], object]) -> list[str]:
    """What each ends with when they all start together, each with a connection of its own."""
    said: list[str] = []
    barrier = threading.Barrier(len(works))

    def run(work: Callable[[World], object]) -> None:
        with open_hub(hub_url) as hub:
            beside = copy(world)
            beside.hub = hub
            barrier.wait()
            try:
                work(beside)
                said.append("done")
            except HubUnavailable:
                said.append("busy")

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return said


@only_on_postgresql
def test_two_people_who_release_at_once_book_it_once(world: World, hub_url: str) -> None:
    world.orders(make_ticket(9, [("NOPE", 2, "5.00")]))
    edited(world, T9, "ticket_lines/1/sku=SKU-2")

    said = at_once(hub_url, world, *(lambda beside: released(beside, T9) for _ in range(2)))

    assert len(said) == 2
    assert "done" in said
    assert outcomes(released(world, T9)) == [(T9, "booked")]
    assert world.stock() == {("W1", "SKU-2"): "-2.00"}
    assert world.rows("SELECT action FROM quarantine_decisions ORDER BY number") == [
        ("edited",),
        ("released",),
    ]
    assert world.prove() == []


@only_on_postgresql
def test_release_and_discard_at_once_end_in_one_of_both(world: World, hub_url: str) -> None:
    world.orders(make_ticket(9, [("NOPE", 2, "5.00")]))
    edited(world, T9, "ticket_lines/1/sku=SKU-2")

    def put_aside(beside: World) -> None:
        with suppress(DecisionRefused):  # it was booked before
            discarded(beside, T9)

    at_once(hub_url, world, lambda beside: released(beside, T9), put_aside)

    booked = world.stock() == {("W1", "SKU-2"): "-2.00"}
    assert world.rows("SELECT state FROM documents") == [("accepted" if booked else "discarded",)]
    assert world.prove() == []


# -- any sequence of decisions and arrivals ------------------------------------------------------------
FORMS = {"A": ("NOPE", 1), "B": ("LATE", 2), "C": ("SKU-3", 3), "D": ("NADA", 4)}
"""Revisions of one ticket: SKU and units as exported."""


def form(name: str) -> Ticket:
    sku, units = FORMS[name]
    return make_ticket(9, [(sku, units, "10.00")])


@dataclass
class Form:
    """A revision as it should stand."""

    sku: str
    edit: str | None = None
    released: bool = False
    """Whether anybody ever has."""
    awaits: bool = False
    """Whether it was edited since."""
    discarded: bool = False

    def known_as(self, known: set[str]) -> str | None:
        """The SKU it can be booked with."""
        sku = self.edit or self.sku
        return sku if sku in known and not self.awaits and not self.discarded else None


@dataclass
class Model:
    """What should be in the books after each step, in the plainest words."""

    known: set[str] = field(default_factory=lambda: set(SKUS))
    forms: dict[str, Form] = field(default_factory=dict)
    newest: str = ""
    booked: tuple[str, str] | None = None
    """(form, SKU)."""

    @property
    def waits(self) -> Form | None:
        """The revision that people can work on."""
        if not self.newest or (self.booked and self.booked[0] == self.newest):
            return None
        return self.forms[self.newest]

    def step(self, action: str, value: str) -> None:
        """What a step should do."""
        waits = self.waits
        if action == "edit" and waits is not None and waits.edit is not None and value == waits.sku:
            action = "undo"  # the exported value takes an edit back
        if action == "send":
            # The one that came last stands last.
            self.forms[value] = self.forms.pop(value, Form(FORMS[value][0]))
            self.newest = value
        elif action == "catalog":
            self.known.add("LATE")
            self.book_the_newest_good_one()
        elif waits is None:
            return
        elif action == "edit" and value != (waits.edit or waits.sku):
            waits.edit, waits.awaits = value, True
        elif action == "undo" and waits.edit is not None:
            waits.edit, waits.awaits = None, waits.released
        elif action == "discard":
            waits.discarded = True
            waits.awaits = waits.awaits or waits.edit is not None
        elif action == "release":
            waits.released |= waits.discarded or waits.awaits
            waits.discarded = waits.awaits = False
        waits = self.waits
        if waits is not None and (sku := waits.known_as(self.known)) is not None:
            self.booked = (self.newest, sku)

    def book_the_newest_good_one(self) -> None:
        """A new product may make a revision good that a newer one, which waits, has superseded.

        It is booked as it would have been had the product come first; the newer one goes on waiting.
        """
        for name in reversed(self.forms):
            if self.booked is not None and name == self.booked[0]:
                return
            if (sku := self.forms[name].known_as(self.known)) is not None:
                self.booked = (name, sku)
                return


STEPS = st.one_of(
    st.tuples(st.just("send"), st.sampled_from(sorted(FORMS))),
    st.tuples(st.just("edit"), st.sampled_from(["SKU-1", "SKU-2", "LATE", "NEVER"])),
    st.tuples(st.sampled_from(["undo", "release", "release", "discard", "catalog"]), st.just("")),
)


def play(world: World, steps: list[tuple[str, str]]) -> Model:
    """Take all steps in the hub and in the model, and hold the one against the other after each."""
    model = Model()
    for sequence, (action, value) in enumerate(steps, start=1):
        with suppress(DecisionRefused):  # of what is booked, or not there yet
            if action == "send":
                world.orders(form(value), sequence=sequence)
            elif action == "catalog":
                world.catalog([*SKUS, "LATE"])
            elif action == "edit":
                edited(world, T9, f"ticket_lines/1/sku={value}")
            elif action == "undo":
                edited(world, T9, undo=True)
            elif action == "release":
                released(world, T9)
            else:
                discarded(world, T9)
        model.step(action, value)
        assert books(world) == expected(model), (action, value)
    return model


def books(world: World) -> dict[tuple[str, str], str]:
    """(warehouse, SKU) -> units that moved."""
    return {key: units for key, units in world.stock().items() if units != "0.00"}


def expected(model: Model) -> dict[tuple[str, str], str]:
    if model.booked is None:
        return {}
    name, sku = model.booked
    return {("W1", sku): f"-{FORMS[name][1]}.00"}


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking replays whole hubs: too slow here
)
@given(steps=st.lists(STEPS, min_size=4, max_size=12).map(lambda steps: [("send", "A"), *steps]))
@example(steps=[("send", "A"), ("send", "B"), ("send", "D"), ("catalog", "")])
@example(steps=[("send", "A"), ("send", "B"), ("edit", "SKU-1"), ("edit", "LATE"), ("catalog", "")])
def test_any_decisions_and_arrivals_end_in_the_books_of_the_final_truth(
    steps: list[tuple[str, str]], ready_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("hub")
    ends = []
    for name in ("decided", "direct"):
        shutil.copy(ready_file, folder / f"{name}.db")
        with open_hub(f"sqlite:///{folder / f'{name}.db'}") as hub:
            world = World(hub, folder)
            if name == "decided":
                model = play(world, steps)
            elif model.booked is not None:
                world.catalog([*SKUS, "LATE"])
                sku, units = model.booked[1], FORMS[model.booked[0]][1]
                world.orders(make_ticket(9, [(sku, units, "10.00")]))
            ends.append(
                (
                    books(world),
                    world.rows("SELECT total, paid, order_status FROM reporting_orders"),
                    world.rows("SELECT sku, quantity FROM reporting_order_lines"),
                    world.rows("SELECT SUM(amount) FROM payments"),
                )
            )
            assert world.prove() == []
    shutil.rmtree(folder)

    assert ends[0] == ends[1]
