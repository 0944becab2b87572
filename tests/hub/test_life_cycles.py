"""Properties of layaways and backorders: order of arrival, legal moves, reservations."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from data_contracts.life_cycle import State, may_follow
from data_contracts.manifest import Manifest
from tasks.hub.allocating import allocate_backorders
from tasks.hub.database import Hub, open_hub
from tasks.hub.importer import import_batch
from tasks.hub.inbox import store_verdict
from tests.documents import Frames, Ticket, make_batch, make_order, make_ticket, to_rows
from tests.hub.test_order_of_arrival import state
from tests.hub.world import NOW, World, make_manifest, verdict_of

UNIT = 10_000
ORDER = 77
PRICES = {"SKU-1": "10.00", "SKU-2": "2.50"}
FEW = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking replays whole hubs: too slow here
)


@dataclass
class Till:
    """One order at a till, and what RMS holds of it after each step."""

    kind: str = "layaway"
    outstanding: list[int] = field(default_factory=lambda: [2, 1])
    taken: list[int] = field(default_factory=lambda: [0, 0])
    closed: bool = False
    deposits: list[tuple[str, int]] = field(default_factory=lambda: [("5.00", 0)])
    number: int = 500
    pickups: list[tuple[int, list[int]]] = field(default_factory=list)
    """Those that stand: number and units of each line."""

    @property
    def skus(self) -> list[str]:
        return ["SKU-1", "SKU-2", "SKU-1"][: len(self.outstanding)]

    def snapshot(self) -> Ticket:
        lines = [(sku, units, PRICES[sku]) for sku, units in zip(self.skus, self.outstanding, strict=True)]
        return make_order(
            ORDER, lines, kind=self.kind, taken=self.taken, closed=self.closed, deposits=self.deposits
        )

    def ticket(self, units: list[int], **options: Any) -> Ticket:
        self.number += 1
        lines = [
            (sku, quantity, PRICES[sku]) for sku, quantity in zip(self.skus, units, strict=True) if quantity
        ]
        return make_ticket(self.number, lines, **options)

    def step(self, draw: st.DrawFn) -> list[Ticket]:
        """Do one thing at the till that RMS allows; what an export would find of it."""
        kinds = ["change", "pay", "pick up", "pick up", "close", "cancel"] if not self.closed else []
        kinds += ["void", "return"] if self.pickups else []
        if not kinds:
            return [self.snapshot()]
        return getattr(self, "_" + draw(st.sampled_from(kinds)).replace(" ", "_"))(draw)  # type: ignore[no-any-return]

    def _change(self, draw: st.DrawFn) -> list[Ticket]:
        if len(self.outstanding) == 2 and draw(st.booleans()):
            self.outstanding.append(1)
            self.taken.append(0)
        else:
            at = draw(st.integers(0, len(self.outstanding) - 1))
            self.outstanding[at] = draw(st.integers(0, 3))
        return [self.snapshot()]

    def _pay(self, _: st.DrawFn) -> list[Ticket]:
        self.deposits.append(("1.00", 0))
        return [self.snapshot()]

    def _pick_up(self, draw: st.DrawFn) -> list[Ticket]:
        return self._take([draw(st.integers(0, units)) for units in self.outstanding])

    def _close(self, _: st.DrawFn) -> list[Ticket]:
        return self._take(list(self.outstanding))

    def _take(self, units: list[int]) -> list[Ticket]:
        if not any(units):
            return [self.snapshot()]
        ticket = self.ticket(units, recall_type=4, recall_id=ORDER, recalled_order_type=5)
        self.pickups.append((self.number, units))
        self.deposits.append(("0.00", self.number))
        self.outstanding = [was - out for was, out in zip(self.outstanding, units, strict=True)]
        self.taken = [was + out for was, out in zip(self.taken, units, strict=True)]
        self.closed = not any(self.outstanding)
        return [self.snapshot(), ticket]

    def _cancel(self, _: st.DrawFn) -> list[Ticket]:
        self.outstanding = [0] * len(self.outstanding)
        self.closed = True
        return [self.snapshot()]

    def _void(self, draw: st.DrawFn) -> list[Ticket]:
        number, units = self.pickups.pop(draw(st.integers(0, len(self.pickups) - 1)))
        units = units + [0] * (len(self.outstanding) - len(units))
        void = self.ticket([-out for out in units], recall_type=3, recall_id=number)
        self.deposits.append(("0.00", self.number))
        self.outstanding = [was + out for was, out in zip(self.outstanding, units, strict=True)]
        self.taken = [was - out for was, out in zip(self.taken, units, strict=True)]
        self.closed = False
        return [self.snapshot(), void]

    def _return(self, draw: st.DrawFn) -> list[Ticket]:
        number, units = self.pickups[draw(st.integers(0, len(self.pickups) - 1))]
        back = [-1 if out and not any(units[:at]) else 0 for at, out in enumerate(units)]
        back += [0] * (len(self.outstanding) - len(back))
        # RMS does not take a ticket back twice over, and nor is it voided then.
        self.pickups = [pair for pair in self.pickups if pair[0] != number]
        return [self.snapshot(), self.ticket(back, recall_type=1, recall_id=number)]


@st.composite
def lives(draw: st.DrawFn, kind: str = "layaway") -> list[list[Ticket]]:
    """What the exports of an order's life find, batch by batch."""
    till = Till(kind)
    return [[till.snapshot()], *(till.step(draw) for _ in range(draw(st.integers(1, 6))))]


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[list[Ticket]], list[int], list[bool]]:
    """(batches, an order of arrival with repeats, whether the flow runs after each)."""
    batches = draw(lives())
    every = list(range(len(batches)))
    order = [*draw(st.permutations(every)), *draw(st.lists(st.sampled_from(every), max_size=3))]
    return batches, order, draw(st.lists(st.booleans(), min_size=len(order), max_size=len(order)))


def take(world: World, batch: tuple[Manifest, Frames]) -> None:
    manifest, frames = batch
    store_verdict(world.hub, manifest, verdict_of(manifest))
    import_batch(world.hub, world.settings, manifest, to_rows(frames), now=NOW)


def made(batches: list[list[Ticket]]) -> list[tuple[Manifest, Frames]]:
    return [
        (make_manifest(frames, "orders", sequence), frames)
        for sequence, frames in enumerate(map(make_batch, batches), start=1)
    ]


def end_of(world: World) -> dict[str, Any]:
    """What must not depend on the order of arrival; where a reservation stands in it does not matter."""
    found = state(world)
    found["life"] = world.rows("SELECT order_id, kind, state, revision, deposit FROM life_cycles")
    return found


@pytest.fixture(scope="module")
def template(ready_file: Path) -> Path:
    with open_hub(f"sqlite:///{ready_file}") as hub, hub.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return ready_file


@FEW
@given(arrival=arrivals())
def test_any_order_and_repetition_of_snapshots_and_pick_ups_ends_the_same(
    arrival: tuple[list[list[Ticket]], list[int], list[bool]],
    template: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    batches, order, runs = arrival
    ready = made(batches)
    ends = []
    for sequence, advances in ((range(len(ready)), [True] * len(ready)), (order, runs)):
        folder = tmp_path_factory.mktemp("hub")
        shutil.copy(template, folder / "hub.db")
        with open_hub(f"sqlite:///{folder / 'hub.db'}") as hub:
            world = World(hub, folder)
            for at, run in zip(sequence, advances, strict=True):
                take(world, ready[at])
                if run:
                    world.advance()
            world.advance()
            world.advance()  # what cleared in the first run may have been waited for
            assert world.prove() == []
            assert world.rows("SELECT document, rule FROM quarantine WHERE state = 'open'") == []
            ends.append(end_of(world))
        shutil.rmtree(folder)

    assert ends[0] == ends[1]


@st.composite
def anything(draw: st.DrawFn) -> list[list[Ticket]]:
    """Snapshots and tickets that no till would leave behind in that order, nor any order."""
    kind = draw(st.sampled_from(["layaway", "backorder"]))
    batches: list[list[Ticket]] = []
    for number in range(500, 500 + draw(st.integers(2, 7))):
        till = Till(kind, number=number)
        till.outstanding = [draw(st.integers(0, 3)), draw(st.integers(0, 1))]
        till.taken = [draw(st.integers(0, 2)), draw(st.integers(0, 1))]
        till.closed = draw(st.booleans())
        batch = [till.snapshot()]
        what = draw(st.sampled_from(["nothing", "pick up", "void", "return", "sale"]))
        units = [draw(st.integers(1, 2)), 0]
        if what == "pick up":
            batch.append(till.ticket(units, recall_type=4, recall_id=ORDER, recalled_order_type=5))
        elif what != "nothing":
            recall = {"void": 3, "return": 1, "sale": 0}[what]
            sign = -1 if recall else 1
            named = draw(st.integers(500, number)) if recall else 0
            batch.append(till.ticket([sign * u for u in units], recall_type=recall, recall_id=named))
        batches.append(batch)
    return batches


@pytest.mark.slow
@FEW
@given(batches=anything())
def test_life_cycle_never_leaves_its_table_and_what_is_reserved_is_what_is_held(
    batches: list[list[Ticket]], template: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("hub")
    shutil.copy(template, folder / "hub.db")
    with open_hub(f"sqlite:///{folder / 'hub.db'}") as hub:
        world = World(hub, folder)
        world.orders(make_ticket(1, [("SKU-1", -2, "10.00")]), sequence=99)
        for batch in made(batches):
            take(world, batch)
            for kind in ("layaway", "backorder"):
                world.advance(kind)
            allocate_backorders(hub, world.settings, now=NOW)
            check_reservations(world)
        check_moves(world)
        assert world.prove() == []
    shutil.rmtree(folder)


def check_reservations(world: World) -> None:
    """Reserved stock is what lines hold, and only open orders hold any."""
    held = dict(
        world.rows(
            "SELECT l.sku, SUM(l.reserved_quantity) FROM order_lines l "
            "JOIN life_cycles c ON c.order_id = l.order_id "
            "WHERE c.state IN ('open', 'waiting', 'partly picked up') GROUP BY l.sku"
        )
    )
    levels = dict(world.rows("SELECT sku, SUM(reserved) FROM stock_levels GROUP BY sku"))
    for sku in {*held, *levels}:
        assert held.get(sku, 0) == levels.get(sku, 0), sku


def check_moves(world: World) -> None:
    """Every event of an order tells of a legal move."""
    rows = world.rows(
        "SELECT order_id, payload FROM events WHERE order_id LIKE '%/order/%' ORDER BY store, number"
    )
    undone = bool(
        world.rows("SELECT 1 FROM orders WHERE kind IN ('void', 'return') AND linked_order LIKE '%/order/%'")
    )
    for _, payload in rows:
        told = json.loads(payload)
        if told.get("before"):
            assert may_follow(State(told["before"]), State(told["state"]), undone=undone), told


SHOWN = (
    "SELECT order_id, kind, source_order_id, order_status, payment_status, shipping_status, shipped_at_utc, "
    "total, paid, refunded FROM reporting_orders WHERE order_id LIKE '%/order/%'"
)


def test_shuffled_arrival_ends_the_same_on_both_databases(hub: Hub, tmp_path: Path, ready_file: Path) -> None:
    """The property above for one life, on each database against SQLite in order."""
    till = Till()
    batches = [[till.snapshot()], till._take([1, 0]), till._pay(None), till._take([1, 1])]  # type: ignore[arg-type]
    ready = made(batches)
    shutil.copy(ready_file, tmp_path / "reference.db")
    with open_hub(f"sqlite:///{tmp_path / 'reference.db'}") as other:
        reference = World(other, tmp_path)
        for batch in ready:
            take(reference, batch)
        reference.advance()
        expected = reference.rows(SHOWN)
    world = World(hub, tmp_path).ready()
    for at in (3, 1, 3, 0, 2, 1):
        take(world, ready[at])
        world.advance()

    assert world.rows(SHOWN) == expected
    assert (world.levels("SKU-1"), world.levels("SKU-2")) == (("-2.00", "0.00"), ("-1.00", "0.00"))
    assert world.prove() == []
