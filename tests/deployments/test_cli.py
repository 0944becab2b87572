"""The command line as the README tells it: what it prints, and the exit status scripts go by."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import pytest
from sqlalchemy import select

from deployments.cli import cli, main
from deployments.sample_store.store import SampleStore
from tasks.rms.tables import item

ROOT = Path(__file__).resolve().parent.parent.parent
SECRET = "CANARYPASS"
"""A password that must not be shown."""


@dataclass(frozen=True)
class Said:
    """What a command ended with."""

    status: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Its standard output without line breaks, which depend on the width."""
        return " ".join(self.out.split())

    @property
    def data(self) -> Any:
        """Its standard output as JSON."""
        return json.loads(self.out)


def tillbridge(*arguments: str) -> Said:
    """Run a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    status: object = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(arguments)
        except SystemExit as ended:
            status = ended.code or 0
    assert isinstance(status, int)
    return Said(status, out.getvalue(), err.getvalue())


@pytest.fixture(autouse=True, scope="module")
def untouched_logging() -> Iterator[None]:
    """The command line sets logging up for its process; here that is the tests' process."""
    ours = [logging.getLogger(name) for name in (None, "data_contracts", "tasks", "flows", "deployments")]
    before = [(logger, logger.level, list(logger.handlers)) for logger in ours]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


@dataclass
class Journey:
    """The README's journey in a folder of its own, and what each command said."""

    folder: Path
    said: dict[str, Said] = field(default_factory=dict)

    def run(self, *arguments: str, name: str = "") -> Said:
        """Run a command with this folder's settings; later ones of a name take the place of earlier ones."""
        done = tillbridge("--config", str(self.folder / "tillbridge.toml"), *arguments)
        self.said[name or arguments[0]] = done
        return done

    @contextlib.contextmanager
    def shop(self) -> Iterator[SampleStore]:
        """The shop's database, to ring in."""
        with SampleStore.open(f"sqlite:///{self.folder}/stores/S1/rms.db") as shop:
            yield shop


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Journey:
    """Everything up to a reconciled hub."""
    told = Journey(tmp_path_factory.mktemp("journey"))
    catalog = str(told.folder / "catalog.csv")
    told.said["init"] = tillbridge("init", str(told.folder / "tillbridge.toml"))
    told.run("check", name="first check")
    told.run("check", "--json", name="first check as JSON")
    told.run("migrate")
    told.run(
        "sample",
        "build",
        "S1",
        "--share",
        "1/20",
        "--history",
        "5",
        "--catalog",
        catalog,
        name="sample build",
    )
    told.run("import-catalog", catalog)
    told.run("check")
    told.run("baseline", "S1", "--stock-from-rms")
    told.run("sample", "till", "S1", "--tickets", "5", "--per-minute", "6000", name="sample till")
    told.run("export", "S1", "--dry-run", name="export dry")
    told.run("export", "S1")
    told.run("statement", "S1")
    told.run("status", name="status before the import")
    told.run("import", "--dry-run", name="import dry")
    told.run("import")
    told.run("reconcile")
    return told


def test_init_writes_settings_that_it_never_overwrites(journey: Journey) -> None:
    file = journey.folder / "tillbridge.toml"
    before = file.read_bytes()

    again = tillbridge("init", str(file))

    assert journey.said["init"].status == 0
    assert "run `tillbridge check`" in journey.said["init"].out
    assert again.status == 1
    assert "exists already; it was left as it is" in again.err
    assert file.read_bytes() == before


def test_check_names_each_fault_and_its_cure_until_all_is_set_up(journey: Journey) -> None:
    first = journey.said["first check"]

    assert first.status == 1
    assert "FAULT" in first.out
    found = {result["subject"]: result for result in journey.said["first check as JSON"].data}
    assert found["hub"]["ok"] is False
    assert found["hub"]["fix"] == "run `tillbridge migrate`"
    assert found["store S1, RMS"]["ok"] is False
    assert found["exchange"]["ok"] is True
    assert journey.said["check"].status == 0
    assert "FAULT" not in journey.said["check"].out
    assert "not baselined yet" in journey.said["check"].text


def test_the_journey_of_the_readme_ends_with_nothing_unexplained(journey: Journey) -> None:
    said = journey.said

    assert {name: done.status for name, done in said.items() if done.status} == {
        "first check": 1,
        "first check as JSON": 1,
    }
    assert said["migrate"].out == "The hub's schema is at version 0005.\n"
    assert "5 older tickets" in said["sample build"].out
    assert "0 tickets left the quarantine" in said["import-catalog"].text
    assert "S1 is baselined after ticket 5 (5 tickets are history)" in said["baseline"].out
    assert said["sample till"].out.startswith("Rang 5 tickets: ")
    assert "S1" in said["export"].out
    assert " 0 unexplained: 5 tickets, " in said["reconcile"].text
    assert "3 batches wait to be imported" in said["status before the import"].text


def test_a_dry_run_says_so_and_changes_nothing(journey: Journey) -> None:
    assert "Dry run: nothing was published." in journey.said["export dry"].out
    assert "Dry run: nothing was imported." in journey.said["import dry"].out
    # Five tickets and an order. Were it not so, the export after it had found nothing and the import after
    # it nothing waiting.
    assert "S1/orders/000001 accepted 6 6 0 0 0" in journey.said["import"].text


def test_what_commands_print_as_json_can_be_read_by_scripts(journey: Journey) -> None:
    assert journey.run("export", "S1", "--json", name="json").data["S1"]["tickets"] == 0
    assert journey.run("statement", "S1", "--json", "--dry-run", name="json").data["S1"]["tickets"] == 5
    assert journey.run("import", "--json", name="json").data["failures"] == {}
    hub, _, rms, *_ = journey.run("check", "--json", name="json").data
    assert (hub["subject"], hub["ok"], hub["fix"]) == ("hub", True, "")
    assert hub["detail"] == f"answers, schema fits; SQLite {sqlite3.sqlite_version}"
    assert rms["detail"].endswith(f"; SQLite {sqlite3.sqlite_version}")
    assert journey.run("status", "--json", name="json").data["stores"][0]["hub"]["store"] == "S1"
    assert journey.run("quarantine", "--json", name="json").data == []
    reconciled = journey.run("reconcile", "--json", name="json").data
    assert reconciled["stores"][0]["store"] == "S1"


def test_clean_says_what_it_removes_and_what_it_would(journey: Journey) -> None:
    assert journey.run("clean").out == "Nothing is old enough to be removed.\n"
    left = journey.folder / "inbox" / "S1" / "orders" / "000009-00000000000f"
    left.mkdir(parents=True)

    rehearsed = journey.run("clean", "--dry-run")
    assert left.exists()
    done = journey.run("clean", "--json", name="json").data

    assert "Would be removed: batches: 0; acknowledgements: 0; " in rehearsed.text
    assert "copies in the inbox: 1." in rehearsed.text
    assert (done["stores"][0]["inbox"], done["failures"]) == (1, {})
    assert not left.exists()


def test_quarantine_names_the_ticket_why_it_waits_and_what_to_do(journey: Journey) -> None:
    assert journey.run("quarantine").out == "The quarantine is empty.\n"
    with journey.shop() as shop:
        number, sku = shop.ring_unknown_item(at=datetime.now())  # noqa: DTZ005 - tills know no zone
    for command in ("export", "statement", "import"):
        assert journey.run(command).status == 0

    listed = journey.run("quarantine").out
    reconciled = journey.run("reconcile")

    assert listed.startswith(f"S1/1/ticket/{number}  1 units, ")
    assert f"`{sku}`" in listed
    assert "What to do: " in listed
    assert reconciled.status == 0
    assert " 0 unexplained: 6 tickets, " in reconciled.text
    assert "; 1 in quarantine or pending" in reconciled.text
    assert "waiting for a person: 1" in journey.run("status").text


# -- layaways and backorders ------------------------------------------------------------------------
@dataclass(frozen=True)
class Orders:
    """A layaway and a backorder of the shop, and what the commands said of them."""

    layaway: int
    ticket: int
    """The number under which the layaway was picked up."""
    backorder: int
    awaited: int
    """Units of the backorder, more than there are."""
    said: dict[str, Said]


@pytest.fixture(scope="module")
def orders(journey: Journey) -> Orders:
    """A layaway that is picked up and a backorder that gets its stock, by hand."""
    said: dict[str, Said] = {}

    def run(name: str, *arguments: str) -> None:
        said[name] = journey.run(*arguments, name=name)

    with journey.shop() as shop:
        with shop.engine.connect() as connection:
            columns = (item.c.ItemLookupCode, item.c.Quantity)
            goods = select(*columns).where(item.c.ItemType == 0).order_by(item.c.Quantity.desc())
            (laid_away, _), (awaited, on_hand) = connection.execute(goods.limit(2))
        units = int(on_hand) + 3
        layaway = shop.open_layaway([(laid_away, 2)], deposit=50_000, at=now())
        backorder = shop.open_backorder([(awaited, units)], at=now())
    run("export", "export")
    run("import of new orders", "import")
    run("status", "status")
    file = journey.folder / "goods.csv"
    file.write_text(f"warehouse,sku,quantity\nS1,{awaited},3\n", encoding="utf-8")
    run("receipt rehearsed", "receive-stock", str(file), "--dry-run")
    run("receipt", "receive-stock", str(file), "--reference", "DN-7")
    run("receipt again", "receive-stock", str(file), "--reference", "DN-7")
    file.write_text(f"warehouse,sku,quantity\nS1,{awaited},many\n", encoding="utf-8")
    run("faulty receipt", "receive-stock", str(file))
    with journey.shop() as shop:
        shop.receive(awaited, 3, at=now())
        ticket = shop.pick_up(layaway, at=now()).number
    journey.run("export")
    run("import of the pick-up", "import")
    run("quarantine", "quarantine")
    run("advance rehearsed", "advance", "--dry-run")
    run("advance of layaways", "advance", "S1", "--layaways")
    run("advance", "advance")
    run("advance as JSON", "advance", "--backorders", "--json")
    run("statement", "statement")
    journey.run("import")
    run("reconcile", "reconcile")
    return Orders(layaway, ticket, backorder, units, said)


def now() -> datetime:
    """The time at the till: tills know no zone."""
    return datetime.now()  # noqa: DTZ005


def test_an_import_that_leaves_something_to_apply_names_the_command(orders: Orders) -> None:
    assert "advance" not in orders.said["import of new orders"].text
    for name in ("import of the pick-up", "quarantine"):
        assert "2 snapshots and pick-ups wait to be applied: `tillbridge advance`" in orders.said[name].text
        assert f"ticket/{orders.ticket}" not in orders.said[name].text


def test_advance_says_what_it_applied_and_a_dry_run_applies_nothing(orders: Orders) -> None:
    said = orders.said

    assert "Dry run: nothing was written." in said["advance rehearsed"].out
    for name in ("advance rehearsed", "advance of layaways"):
        assert said[name].status == 0
        assert "Layaways store applied whole reserved money" in _words(said[name])
        assert " S1 2 1 -2 " in said[name].text
    assert said["advance"].text == (
        "Layaways: nothing is to be applied. Backorders: nothing is to be applied."
    )
    (report,) = said["advance as JSON"].data
    assert (report["kind"], report["allocated"], report["failures"]) == ("backorder", [], {})


def test_a_receipt_counts_once_and_backorders_get_their_stock(orders: Orders) -> None:
    said = orders.said

    assert "Dry run: nothing was written." in said["receipt rehearsed"].out
    assert "DN-7: 1 lines, 3 units into S1." in said["receipt"].text
    for name in ("receipt rehearsed", "receipt"):
        assert f" S1/1/order/{orders.backorder} {orders.backorder} {orders.awaited} no" in said[name].text
    assert said["receipt again"].text == "DN-7 was received before; nothing was changed."


def test_a_faulty_receipt_ends_with_3_and_names_the_line(orders: Orders) -> None:
    done = orders.said["faulty receipt"]

    assert (done.status, done.out) == (3, "")
    assert "line 2" in done.err
    assert "Traceback" not in done.err


def test_status_statement_and_reconcile_tell_of_open_orders(orders: Orders) -> None:
    said = orders.said

    # The till has opened a layaway of its own.
    assert " S1 2 1 0 " in said["status"].text
    for name in ("export", "statement"):
        assert "money orders deposits waiting" in _words(said[name])
    assert said["reconcile"].status == 0, said["reconcile"].out
    assert " 0 unexplained: " in said["reconcile"].text


def test_what_is_said_of_orders_fits_the_page(orders: Orders) -> None:
    for name, done in orders.said.items():
        if "JSON" not in name:
            assert max(map(len, (line.rstrip() for line in done.out.splitlines())), default=0) <= 80, name


def test_a_picked_up_layaway_is_found_by_both_numbers(orders: Orders, journey: Journey) -> None:
    by_layaway = journey.run("order", str(orders.layaway), "--store", "S1")
    by_ticket = journey.run("order", str(orders.ticket), "--json")

    assert by_layaway.status == by_ticket.status == 0
    wanted = f"S1/1/order/{orders.layaway}: layaway, picked up; Completed, Charged, FullyShipped"
    assert wanted in by_layaway.text
    assert f"Goes by {orders.ticket}. Found by {orders.layaway} (layaway number, since " in by_layaway.text
    assert f"S1/1/order/{orders.layaway}" in [order["order_id"] for order in by_ticket.data["orders"]]
    assert max(map(len, (line.rstrip() for line in by_layaway.out.splitlines()))) <= 80


def test_a_number_that_finds_nothing_ends_with_1(journey: Journey) -> None:
    done = journey.run("order", "987654")

    assert done.status == 1
    assert done.text == "No order has or had the number 987654, and nothing of it waits."


def test_orders_are_sent_again_by_number(orders: Orders, journey: Journey) -> None:
    done = journey.run("resend", "S1", "--orders", f"{orders.layaway}-{orders.backorder}", "--json")

    assert done.data["orders"] == 2
    assert journey.run("import").status == 0
    assert journey.run("reconcile").status == 0


@pytest.mark.parametrize("option", ["--numbers", "--orders"])
def test_a_range_that_cannot_be_read_is_wrong_usage_and_names_its_option(option: str) -> None:
    done = tillbridge("resend", "S1", option, "9-7")

    assert done.status == 2
    assert option in done.err
    assert "the lower number first" in done.err


def _words(said: Said) -> str:
    """What a command printed without the rules of its tables."""
    return " ".join(said.out.replace("─", " ").split())


# -- what goes wrong ----------------------------------------------------------------------------------
def test_reconcile_ends_with_1_and_the_number_when_a_batch_is_lost(journey: Journey) -> None:
    with journey.shop() as shop:
        number, _ = shop.ring_unknown_item(at=datetime.now())  # noqa: DTZ005 - tills know no zone
    journey.run("export")
    for file in (journey.folder / "exchange" / "S1" / "orders").glob("0*"):
        file.unlink()
    journey.run("statement")
    journey.run("import")

    done = journey.run("reconcile")

    assert done.status == 1
    assert f"S1: ticket {number} missing: the store has it, the hub does not." in done.text
    assert " 0 unexplained" not in done.text


def test_import_ends_with_1_and_names_the_store_that_stopped(journey: Journey, tmp_path: Path) -> None:
    text = (journey.folder / "tillbridge.toml").read_text(encoding="utf-8")
    file = journey.folder / "no-inbox.toml"
    file.write_text(text.replace('inbox = "inbox"', 'inbox = "catalog.csv"'), encoding="utf-8")
    journey.run("statement")

    done = tillbridge("--config", str(file), "import")

    assert done.status == 1
    assert "S1 stopped: Fetching S1/statement/" in done.err
    assert journey.run("import").status == 0


# -- errors -----------------------------------------------------------------------------------------
@pytest.fixture
def write_settings(tmp_path: Path) -> Callable[..., list[str]]:
    """The example settings with something replaced, as arguments for the command line."""

    def write(old: str, new: str) -> list[str]:
        example = (ROOT / "deployments" / "tillbridge.example.toml").read_text(encoding="utf-8")
        assert old in example
        file = tmp_path / "tillbridge.toml"
        file.write_text(example.replace(old, new), encoding="utf-8")
        return ["--config", str(file)]

    return write


def test_an_error_that_may_pass_ends_with_4_and_shows_no_password(
    write_settings: Callable[..., list[str]],
) -> None:
    url = f"postgresql+psycopg://u:{SECRET}@127.0.0.1:1/x?connect_timeout=2"
    arguments = write_settings("sqlite:///hub.db", url)

    done = subprocess.run(
        [sys.executable, "-m", "deployments.cli", *arguments, "--verbose", "status"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 4
    assert done.stdout == ""
    error, following = done.stderr.splitlines()
    assert error.startswith("Error: The hub's database at 127.0.0.1/x did not answer")
    assert following.startswith("Next: see that the database runs")
    assert SECRET not in done.stderr


def test_check_shows_no_password_either(write_settings: Callable[..., list[str]]) -> None:
    url = f"postgresql+psycopg://u:{SECRET}@127.0.0.1:1/x?connect_timeout=2"
    arguments = write_settings('rms_url = "sqlite:///stores/S1/rms.db"', f'rms_url = "{url}"')

    done = tillbridge(*arguments, "check", "--json")

    assert done.status == 1
    found = {result["subject"]: result for result in done.data}
    assert found["store S1, RMS"]["ok"] is False
    assert SECRET not in done.out + done.err


def test_a_final_error_ends_with_3_and_says_what_to_do(write_settings: Callable[..., list[str]]) -> None:
    arguments = write_settings("[hub]", "[hub]")

    done = tillbridge(*arguments, "baseline", "S9")

    assert (done.status, done.out) == (3, "")
    assert "Error: Store `S9` is not configured; known stores: S1." in done.err
    assert "Next: add [stores.S9] to tillbridge.toml or name another store" in done.err
    assert "Traceback" not in done.err


def test_no_settings_file_ends_with_3_and_names_init(tmp_path: Path) -> None:
    done = tillbridge("--config", str(tmp_path / "none.toml"), "status")

    assert done.status == 3
    assert f"Error: The settings file {tmp_path / 'none.toml'} cannot be read: " in done.err
    assert "`tillbridge init`" in done.err


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('time_zone = "Europe/London"', 'time_zone = "Europe/Lundon"', "stores.S1.time_zone"),
        ("skus_ignore_case = true", 'skus_ignore_case = "perhaps"', "hub.skus_ignore_case"),
        ("settle_minutes = 10 ", "settle_minutes = -1 ", "stores.S1.settle_minutes"),
        ("recall_void = 3", "recal_void = 3", "stores.S1.codes.recal_void"),
    ],
)
def test_a_wrong_setting_is_named_with_file_line_and_key(
    old: str, new: str, key: str, write_settings: Callable[..., list[str]]
) -> None:
    arguments = write_settings(old, new)
    lines = Path(arguments[1]).read_text(encoding="utf-8").splitlines()
    line = next(number for number, text in enumerate(lines, start=1) if new in text)

    done = tillbridge(*arguments, "status")

    assert done.status == 3
    assert done.err.startswith(f"Error: {arguments[1]}, line {line}: `{key}` ")
    assert "\nNext: " in done.err


def test_wrong_usage_ends_with_2() -> None:
    assert tillbridge("export", "--nonsense").status == 2
    assert tillbridge("sample", "till", "S1", "--tickets", "0").status == 2


# -- help -------------------------------------------------------------------------------------------
def commands(group: click.Group, *before: str) -> Iterator[tuple[str, ...]]:
    """The words of every command and group."""
    yield before
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *before, name)
        else:
            yield (*before, name)


@pytest.mark.parametrize("words", list(commands(cli)), ids=lambda words: " ".join(words) or "tillbridge")
def test_help_of_every_command_says_in_a_sentence_what_it_does(words: tuple[str, ...]) -> None:
    done = tillbridge(*words, "--help")

    assert done.status == 0
    usage, _, text = done.out.partition("\n\n")
    assert usage.startswith("Usage: tillbridge")
    sentence = " ".join(text.split("\n\n")[0].split())
    assert sentence[0].isupper()
    assert sentence.endswith((".", ":")) or ". " in sentence
    assert max(map(len, done.out.splitlines())) <= 88


def test_a_store_that_fails_does_not_keep_the_others_from_being_exported(
    journey: Journey, tmp_path: Path
) -> None:
    settings = (journey.folder / "tillbridge.toml").read_text(encoding="utf-8")
    both = journey.folder / "both.toml"
    both.write_text(settings + '\n[stores.A0]\nrms_url = "sqlite:///nowhere.db"\n', encoding="utf-8")

    done = tillbridge("--config", str(both), "export", "--dry-run", "--json")

    assert set(done.data) == {"S1"}
    assert done.status in (3, 4)
    assert "`A0`" in done.err
    assert "Next: " in done.err
