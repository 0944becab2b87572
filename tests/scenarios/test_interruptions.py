"""Going live and a day of trade, killed at every effect on the outside, end as if nothing had happened."""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

import tasks
from data_contracts.codes import LAYAWAY
from data_contracts.errors import ConfigurationError
from data_contracts.manifest import parse_batch_name
from deployments.sample_store.catalog import write_catalog
from deployments.sample_store.store import SampleStore
from tasks import faults
from tasks.hub.database import migrate, open_hub
from tasks.hub.registry import configure
from tasks.settings import Settings, load_settings
from tasks.use_cases.advancing import advance_backorders, advance_layaways
from tasks.use_cases.arrivals import find_waiting
from tasks.use_cases.baselining import baseline_store
from tasks.use_cases.catalog import import_catalog
from tasks.use_cases.exporting import export_orders
from tasks.use_cases.importing import fetch_batches, import_batches, validate_batches
from tasks.use_cases.receiving import receive_stock
from tasks.use_cases.reconciling import reconcile_stores
from tasks.use_cases.stating import publish_statement
from tests.databases import Server
from tests.scenarios.installation import STORES, Installation, install

for _module in pkgutil.walk_packages(tasks.__path__, "tasks."):
    if ".migrations" not in _module.name:
        importlib.import_module(_module.name)

ELSEWHERE = (
    "hub.configure.",  # before the story begins
    "hub.migrate.",
    "resend.",  # an operator asks for that
    "rms.item.",  # no product is sent; the tests of applying products kill there
    "hub.desk.",  # people, who are asked nothing in this story
    "hub.reject.",  # no batch is spoiled, none comes twice
    "hub.contradiction.",
    "batch.archive_aside",
    "batch.archived_aside",
    "batch.acknowledge_lacking",
    "batch.acknowledged_lacking",
    "batch.clean",  # nothing is old; the tests of cleaning kill there
    "batch.note_cleaned",
    "exchange.remove",
    "sample.",  # the till, not the bridge
    "hub.products.",  # the products' way to the tills is killed in its own tests
    "products.",
    "takeover.",  # no database is restored
    "ftp.",  # the exchange is a local folder here
)
POINTS = sorted(name for name in faults.NAMES if not name.startswith(ELSEWHERE))
"""Every fault point that the story passes."""

GOING_LIVE = ("baseline.", "hub.baseline.", "hub.catalog.", "hub.recheck.")
"""Points of the steps that happen once; all that comes after them has to be done again, which takes time."""

IN_THE_HUB = (
    "hub.orders.",
    "hub.ledger.",
    "hub.quarantine.",
    "hub.receive.",
    "hub.allocate.",
    "hub.advance.",
)
"""Points inside a transaction of the hub; the tests of the hub kill there one by one, too."""

HUB_POINTS = [name for name in POINTS if name.startswith("hub.")]
HISTORY = 4
"""Tickets that each shop had rung before it went live."""

MORE_THAN_ANY = 1_000
"""Units, of which no shop has so many."""

KILLED = 137

OPEN_ENTRIES = (
    "SELECT store, rule, state FROM reporting_quarantine WHERE state IN ('open', 'pending') ORDER BY store"
)

Step = Callable[[Settings], object]


class Killed(BaseException):
    """The process ends here: nothing catches this."""


def _go_live(store: str) -> Step:
    def step(settings: Settings) -> None:
        # Who repeats a baseline that was complete is told so, and nothing is changed.
        with suppress(ConfigurationError):
            baseline_store(settings, store, stock_from_rms=True)

    return step


def _validate(settings: Settings) -> None:
    """Fetch and validate as the flow does: the batches of all stores together."""
    waiting = find_waiting(settings)
    ready, _ = fetch_batches(settings, [ref for refs in waiting.values() for ref in refs])
    validate_batches(settings, ready)


def _import(settings: Settings) -> None:
    for refs in find_waiting(settings).values():
        import_batches(settings, refs)


def _trade(settings: Settings) -> None:
    """Ring what travels, once; the tills are not what is killed here."""
    for store in STORES:
        with SampleStore.open(settings.rms_url(store)) as shop:
            with shop.engine.connect() as connection:
                rung = connection.execute(text('SELECT count(*) FROM "Transaction"')).scalar_one()
            if rung == HISTORY:
                shop.ring_next(8)
                shop.ring_unknown_item()
                stocked, scarce = _two_skus(shop)
                shop.open_layaway([(stocked, 2)], deposit=10_000)
                shop.open_backorder([(stocked, 1)])
                shop.open_backorder([(scarce, MORE_THAN_ANY)])


def _two_skus(shop: SampleStore) -> tuple[str, str]:
    with shop.engine.connect() as connection:
        first, second = connection.execute(
            text("SELECT ItemLookupCode FROM Item WHERE ItemType = 0 AND Quantity > 9 ORDER BY ID LIMIT 2")
        ).scalars()
    return str(first), str(second)


def _receive(settings: Settings) -> None:
    """Stock for the backorders that wait, in one receipt."""
    lines = []
    for store in STORES:
        with SampleStore.open(settings.rms_url(store)) as shop:
            lines.append(f"{store},{_two_skus(shop)[1]},{MORE_THAN_ANY}")
    file = settings.folder / "receipt.csv"
    file.write_text("\n".join(["warehouse,sku,quantity", *lines]) + "\n", encoding="utf-8")
    receive_stock(settings, file)


def _pick_up(settings: Settings) -> None:
    """The layaway of each shop is picked up, once."""
    for store in STORES:
        with SampleStore.open(settings.rms_url(store)) as shop:
            for order in shop.open_orders():
                if order.kind == LAYAWAY:
                    shop.pick_up(order.number)


STEPS: tuple[Step, ...] = (
    lambda settings: import_catalog(settings, settings.folder / "catalog.csv"),
    *(_go_live(store) for store in STORES),
    _validate,
    _import,
    _trade,
    *(lambda settings, store=store: export_orders(settings, store) for store in STORES),
    _validate,
    _import,
    advance_backorders,
    _receive,
    _pick_up,
    *(lambda settings, store=store: export_orders(settings, store) for store in STORES),
    _validate,
    _import,
    advance_layaways,
    *(lambda settings, store=store: publish_statement(settings, store, days=None) for store in STORES),
    _validate,
    _import,
)


def run(settings: Settings, first: int = 0) -> None:
    """The story from a step on, or the whole of it; what is done already stays as it is."""
    for step in STEPS[first:]:
        step(settings)


@dataclass(frozen=True)
class Pass:
    """One passing of a fault point."""

    step: int
    name: str
    occurrence: int
    """Counted from 1 within the step."""


@dataclass(frozen=True)
class Story:
    """The undisturbed run, what it passed and what it came to."""

    folder: Path
    """`steps/N`: the installation as it was before step N; `images/N`: as it was at a fault point."""
    passes: tuple[Pass, ...]
    images: tuple[tuple[Path, Pass], ...]
    """An image of the disk wherever it differed from the one before."""
    figures: dict[str, Any]

    def last(self, name: str) -> Pass:
        """The last time the run passed that point."""
        return next(found for found in reversed(self.passes) if found.name == name)

    def images_at_ends(self) -> list[tuple[Path, Pass]]:
        """Of each point in each step the first and the last image: what lies between is of the same kind."""
        of: dict[tuple[int, str], list[tuple[Path, Pass]]] = {}
        for image, at in self.images:
            of.setdefault((at.step, at.name), []).append((image, at))
        return [image for images in of.values() for image in (images[0], *images[1:][-1:])]


def installed(folder: Path) -> Installation:
    """The installation in a folder that was copied."""
    return Installation(load_settings(folder / "tillbridge.toml"), folder, ())


def prepare(folder: Path) -> None:
    """Two shops with a little history and an empty hub."""
    folder.mkdir()
    story = install(folder, "sqlite:///hub.db", invoices=14, history=HISTORY)
    write_catalog(folder / "catalog.csv", story.invoices)


def figures(story: Installation) -> dict[str, Any]:
    """All the hub knows, and what it has told others."""
    told = story.ask(
        "SELECT store, type, count(*) FROM events WHERE type <> 'batch_imported' "
        "GROUP BY store, type ORDER BY store, type"
    )
    return {**story.figures(), "events": told}


def copy(source: Path, target: Path) -> Path:
    """A copy as a killed process leaves it: files only, SQLite's shared memory is gone."""
    return Path(shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.db-shm")))


def digest(folder: Path) -> bytes:
    """What identifies a state of the disk."""
    found = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        found.update(str(file.relative_to(folder)).encode() + b"\0")
        if file.is_file():
            found.update(file.read_bytes())
    return found.digest()


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Run the story once, undisturbed, and keep the disk at each step and at each fault point."""
    folder = tmp_path_factory.mktemp("story")
    prepare(folder / "live")
    live = installed(folder / "live")
    passes: list[Pass] = []
    images: list[tuple[Path, Pass]] = []
    seen: set[bytes] = set()
    counted: Counter[str] = Counter()
    current = 0

    def note(name: str) -> None:
        if name.startswith(ELSEWHERE):
            return
        counted[name] += 1
        passes.append(Pass(current, name, counted[name]))
        image = copy(live.folder, folder / "images" / f"{len(passes):03d}")
        state = digest(image)
        if state in seen:
            shutil.rmtree(image)
        else:
            seen.add(state)
            images.append((image, passes[-1]))

    try:
        for current, step in enumerate(STEPS):
            copy(live.folder, folder / "steps" / str(current))
            counted.clear()
            faults.hook = note
            step(live.settings)
            faults.hook = None
    finally:
        faults.hook = None
    return Story(folder, tuple(passes), tuple(images), figures(live))


def assert_came_to_the_same(installation: Installation, expected: dict[str, Any]) -> None:
    """Same figures, nothing unexplained, nothing waiting, every archived batch acknowledged."""
    assert figures(installation) == expected
    result = reconcile_stores(installation.settings)
    assert result.findings == ()
    assert result.sentence.startswith("0 unexplained: ")
    assert find_waiting(installation.settings) == {}
    exchange = installation.folder / "exchange"
    archived = {
        (manifest.parent.parent, parse_batch_name(manifest.name))
        for manifest in exchange.glob("*/*/archive/*.manifest.json")
    }
    acknowledged = {
        (ack.parent.parent, parse_batch_name(ack.name)) for ack in exchange.glob("*/*/acks/*.ack.json")
    }
    assert acknowledged == archived
    assert len(archived) >= 3 * len(STORES)


def go_on(image: Path, tmp_path: Path) -> Installation:
    """A copy of an installation, to be killed or gone on with."""
    return installed(copy(image, tmp_path / "installation"))


def killing(wanted: Pass) -> Callable[[str], None]:
    """A hook that ends the process at that pass of its step."""
    counted: Counter[str] = Counter()

    def hook(name: str) -> None:
        counted[name] += 1
        if name == wanted.name and counted[name] == wanted.occurrence:
            raise Killed(name)

    return hook


def test_the_story_passes_every_fault_point_but_those_of_other_stories(story: Story) -> None:
    assert sorted({found.name for found in story.passes}) == POINTS


def test_the_undisturbed_story_books_all_but_the_unknown_items(story: Story) -> None:
    live = installed(story.folder / "live")

    assert_came_to_the_same(live, story.figures)
    assert live.ask(OPEN_ENTRIES) == [
        ("S1", "unknown_sku", "open"),
        ("S2", "unknown_sku", "open"),
    ]
    assert live.ask("SELECT count(*) FROM reporting_orders")[0][0] > 10


@pytest.mark.slow
@pytest.mark.parametrize("name", POINTS)
def test_a_run_that_dies_at_a_fault_point_is_repeated_to_the_same_end(
    name: str, story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = story.last(name)
    killed = go_on(story.folder / "steps" / str(wanted.step), tmp_path)
    monkeypatch.setattr(faults, "hook", killing(wanted))
    with pytest.raises(Killed):
        STEPS[wanted.step](killed.settings)
    monkeypatch.setattr(faults, "hook", None)

    run(killed.settings)

    assert_came_to_the_same(killed, story.figures)


_KILLED_RUN = """
import os, sys
from pathlib import Path
from tasks import faults
from tests.scenarios.test_interruptions import KILLED, installed, run

left = int(sys.argv[2])

def hook(name):
    global left
    left -= 1
    if left == 0:
        os._exit(KILLED)

faults.hook = hook
run(installed(Path(sys.argv[1])).settings)
"""


@pytest.mark.slow
@pytest.mark.parametrize("sixth", range(1, 6))
def test_a_process_that_is_really_killed_is_followed_by_one_that_completes(
    sixth: int, story: Story, tmp_path: Path
) -> None:
    killed = go_on(story.folder / "steps" / "0", tmp_path)
    point = len(story.passes) * sixth // 6
    done = subprocess.run(
        [sys.executable, "-c", _KILLED_RUN, str(killed.folder), str(point)],
        cwd=Path(__file__).resolve().parent.parent.parent,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == KILLED, done.stderr

    run(killed.settings)

    assert_came_to_the_same(killed, story.figures)


@pytest.fixture(scope="module")
def on_postgres(
    story: Story, postgres_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Installation]]:
    """Makes installations before the first step, each with a hub in a schema of its own."""
    with ExitStack() as schemas:  # dropped one by one: all in one transaction hold more locks than there are

        def make() -> Installation:
            url = schemas.enter_context(postgres_server.schema())
            folder = copy(story.folder / "steps" / "0", tmp_path_factory.mktemp("postgres") / "installation")
            file = folder / "tillbridge.toml"
            configured = file.read_text(encoding="utf-8").replace("sqlite:///hub.db", url)
            file.write_text(configured, encoding="utf-8")
            made = installed(folder)
            migrate(made.settings.hub_url)
            with open_hub(made.settings.hub_url) as hub:
                configure(hub, made.settings)
            return made

        yield make


@pytest.fixture(scope="module")
def figures_on_postgres(on_postgres: Callable[[], Installation]) -> dict[str, Any]:
    """What the undisturbed story comes to in PostgreSQL."""
    made = on_postgres()
    run(made.settings)
    return figures(made)


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.parametrize("name", HUB_POINTS)
def test_a_run_that_dies_while_it_writes_postgresql_is_repeated_to_the_same_end(
    name: str,
    story: Story,
    on_postgres: Callable[[], Installation],
    figures_on_postgres: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = story.last(name)
    killed = on_postgres()
    for step in STEPS[: wanted.step]:
        step(killed.settings)
    monkeypatch.setattr(faults, "hook", killing(wanted))
    with pytest.raises(Killed):
        STEPS[wanted.step](killed.settings)
    monkeypatch.setattr(faults, "hook", None)

    run(killed.settings)

    assert_came_to_the_same(killed, figures_on_postgres)
