"""Old files leave the exchange folder, and nobody notices: not the export, the hub, a person or a restore."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine, text

from data_contracts.errors import ConfigurationError
from deployments.sftp_server import SftpServer, public_line
from tasks import faults
from tasks.exchange import batches
from tasks.exchange.connections import POOL
from tasks.hub.database import open_hub
from tasks.hub.registry import configure
from tasks.settings import ExchangeSettings, RetentionSettings, Settings
from tasks.use_cases.baselining import baseline_store
from tasks.use_cases.catalog import import_catalog
from tasks.use_cases.cleaning import CleanedStore, clean_exchange, clean_store
from tasks.use_cases.importing import import_waiting
from tasks.use_cases.reconciling import reconcile_stores
from tasks.use_cases.resending import resend
from tasks.use_cases.standing import Standing, show_standing, show_store_sides
from tasks.use_cases.stating import publish_statement
from tests.scenarios.test_a_restored_database import ask, cycle
from tests.use_cases.store_fixtures import Shop, copy_shop, open_shop
from tests.use_cases.test_taking_over import at

ORDERS = Path("exchange/S1/orders")


class Killed(BaseException):
    """As if the process had ended here."""


def pass_days(settings: Settings, days: int) -> None:
    """Let everything that the hub has taken in have come so much earlier."""
    engine = create_engine(settings.hub_url)
    with engine.begin() as connection:
        for table, column in (
            ("batches", "imported_utc"),
            ("product_batches", "noted_utc"),
            ("product_batches", "answered_utc"),
        ):
            shift = f"strftime('%Y-%m-%dT%H:%M:%fZ', {column}, '-{days} days')"
            connection.execute(text(f"UPDATE {table} SET {column} = {shift} WHERE {column} IS NOT NULL"))
    engine.dispose()


@pytest.fixture(scope="module")
def beginning(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Path:
    """A shop with ticket 1 that was baselined, and a hub that knows its products; to be copied."""
    folder = tmp_path_factory.mktemp("beginning") / "shop"
    folder.mkdir()
    shutil.copy(migrated_file, folder / "hub.db")
    shop = open_shop(f"sqlite:///{folder / 'rms.db'}", folder)
    shop.till.create()
    with open_hub(shop.settings.hub_url) as hub:
        configure(hub, shop.settings)
    products = "".join(f"SKU-{n},Item {n},,9.99,0,true\n" for n in range(1, 6))
    (folder / "catalog.csv").write_text(f"sku,name,upc,price,item_type,active\n{products}")
    import_catalog(shop.settings, folder / "catalog.csv")
    shop.till.ring(1)
    shop.baseline(stock_from_rms=True)
    assert import_waiting(shop.settings).failures == {}
    return folder


@pytest.fixture
def shop(beginning: Path, tmp_path: Path) -> Shop:
    return copy_shop(beginning, tmp_path / "shop")


@pytest.fixture(scope="module")
def four_quarters(beginning: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Orders batches 1 to 4, a quarter apart, each with a ticket, and a layaway in the first and the last."""
    folder = tmp_path_factory.mktemp("year") / "shop"
    shop = copy_shop(beginning, folder)
    for quarter in range(1, 5):
        shop.till.ring(10 * quarter, time=at(10 * quarter))
        if quarter in (1, 4):
            shop.till.place_order(70 + quarter, deposit="5.00", time=at(10 * quarter))
        shop.export()
        publish_statement(shop.settings, "S1", now=shop.now)
        assert import_waiting(shop.settings).failures == {}
        if quarter < 4:
            pass_days(shop.settings, 91)
    (report,) = reconcile_stores(shop.settings).stores
    assert report.agrees
    return folder


@pytest.fixture
def year(four_quarters: Path, tmp_path: Path) -> Shop:
    return copy_shop(four_quarters, tmp_path / "shop")


def hand_over(shop: Shop) -> None:
    """Export and import."""
    shop.export()
    assert import_waiting(shop.settings).failures == {}


def files_of(shop: Shop) -> list[str]:
    root = shop.folder.root
    return sorted(file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file())


def kept(shop: Shop, stream: str = "orders") -> list[int]:
    return [sequence for sequence, _ in batches.every_batch(shop.folder, "S1", stream)]


def answered(shop: Shop, stream: str = "orders") -> list[int]:
    return [sequence for sequence, _ in batches.answered_batches(shop.folder, "S1", stream)]


def standing(shop: Shop) -> tuple[Standing, object]:
    return show_standing(shop.settings), show_store_sides(shop.settings, ["S1"])


def retain(shop: Shop, **retention: int) -> None:
    shop.settings = shop.settings.model_copy(update={"retention": RetentionSettings(**retention)})


def test_old_batches_and_answers_go_and_everything_goes_on_and_says_the_same(year: Shop) -> None:
    shop = year
    retain(shop, archive_days=180, acks_days=100)
    before, lying = standing(shop), files_of(shop)
    told = clean_store(shop.settings, "S1", dry_run=True)
    assert files_of(shop) == lying

    done = clean_store(shop.settings, "S1")

    assert done == told
    assert (done.batches, done.answers, done.kept) == (3, 4, ())
    assert (kept(shop), kept(shop, "statement"), kept(shop, "baseline")) == ([2, 3, 4], [3, 4], [1])
    assert (answered(shop), answered(shop, "baseline")) == ([3, 4], [1])
    assert {path for path in lying if path.endswith(("head.json", "outstanding.json"))} <= {*files_of(shop)}
    assert len(lying) - len(files_of(shop)) == done.files + done.answers - 1, "cleaned.json is new"
    assert standing(shop) == before
    assert clean_store(shop.settings, "S1") == CleanedStore("S1")

    assert shop.export().batches == ()
    shop.till.ring(50, time=at(50))
    again = resend(shop.settings, "S1", numbers=(10, 20), now=shop.now)
    assert cycle(shop).agrees
    assert (again.tickets, kept(shop)) == (2, [2, 3, 4, 5, 6])
    seen = "SELECT sequence, accepted, seen_before FROM batches WHERE stream = 'orders' AND sequence > 4"
    assert ask(shop, f"{seen} ORDER BY sequence") == [(5, 0, 2), (6, 1, 0)]


def test_newest_batch_stays_however_old_and_0_days_keep_all(year: Shop) -> None:
    """Age counts back from the newest batch: what a shop that stands still rang last is there."""
    pass_days(year.settings, 1_000)

    retain(year, archive_days=0, acks_days=0)
    assert clean_store(year.settings, "S1") == CleanedStore("S1")
    retain(year, archive_days=100, acks_days=100)
    clean_store(year.settings, "S1")

    assert (kept(year), answered(year)) == ([2, 3, 4], [3, 4])
    assert cycle(year).agrees


def test_batches_taken_in_while_the_clock_was_years_behind_are_not_old(shop: Shop) -> None:
    for number in (10, 20, 30, 40):
        shop.till.ring(number, time=at(number))
        hand_over(shop)
    engine = create_engine(shop.settings.hub_url)
    with engine.begin() as connection:
        behind = "UPDATE batches SET imported_utc = '2001-01-01T08:00:00.000Z' WHERE sequence IN (2, 3)"
        connection.execute(text(behind))
    engine.dispose()

    assert clean_store(shop.settings, "S1") == CleanedStore("S1")


def test_over_sftp_the_same_goes(year: Shop, tmp_path: Path) -> None:
    shutil.copytree(year.folder.root, tmp_path / "served")
    with SftpServer(tmp_path / "served", keys=[public_line(tmp_path / "till_key")]) as server:
        reached = ExchangeSettings.model_validate(
            {
                "url": f"sftp://till@127.0.0.1:{server.port}/",
                "host_keys": [server.fingerprint],
                "key_file": tmp_path / "till_key",
            }
        )
        over_sftp = year.settings.model_copy(update={"exchange": reached})
        done = clean_store(over_sftp, "S1")
        POOL.close()

    assert done == clean_store(year.settings, "S1")
    served = (tmp_path / "served").rglob("*")
    left = sorted(f.relative_to(tmp_path / "served").as_posix() for f in served if f.is_file())
    assert left == files_of(year)


@pytest.mark.slow
def test_cleaning_killed_anywhere_is_completed_by_the_next(
    year: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = tmp_path / "start"
    shutil.copytree(year.folder.root, start)
    passed: list[str] = []
    monkeypatch.setattr(faults, "hook", passed.append)
    clean_store(year.settings, "S1")
    monkeypatch.setattr(faults, "hook", None)
    end = files_of(year)
    assert {"batch.note_cleaned", "batch.cleaned", "batch.cleaned_answer", "exchange.removed"} < {*passed}

    for place in range(len(passed)):
        shutil.rmtree(year.folder.root)
        shutil.copytree(start, year.folder.root)
        left = place

        def die(point: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed(point)

        monkeypatch.setattr(faults, "hook", die)
        with pytest.raises(Killed):
            clean_store(year.settings, "S1")
        monkeypatch.setattr(faults, "hook", None)
        clean_store(year.settings, "S1")

        found = [path for path in files_of(year) if not path.endswith(".part")]
        assert found == end, passed[place]


@pytest.mark.slow
def test_what_the_hub_lacks_and_the_batch_before_it_stay_until_it_is_replaced(shop: Shop) -> None:
    for quarter in range(1, 6):
        shop.till.ring(10 * quarter, time=at(10 * quarter))
        shop.export()
        if quarter == 3:  # lost on its way
            for file in (shop.settings.folder / ORDERS).glob("000003-*"):
                file.unlink()
        assert import_waiting(shop.settings).failures == {}
        pass_days(shop.settings, 91)

    done = clean_store(shop.settings, "S1")

    assert (kept(shop), answered(shop)) == ([2, 4, 5], [2, 4, 5])
    (said,) = done.kept
    assert said.startswith(
        "S1/orders: 2 old batches stay for what the hub lacks. S1: batch 3 is missing since"
    )

    resend(shop.settings, "S1", batch=3, now=shop.now)
    hand_over(shop)
    clean_store(shop.settings, "S1")
    assert kept(shop) == [5, 6]


def test_batch_that_was_cleaned_away_is_not_sent_again_by_guessing(year: Shop) -> None:
    """Its neighbours are gone, too: all since the baseline would have been read and sent."""
    clean_store(year.settings, "S1")
    before = files_of(year)

    with pytest.raises(
        ConfigurationError, match=r"Batch 2 of S1/orders was taken in .* cleaned away"
    ) as caught:
        resend(year.settings, "S1", batch=2, now=year.now)

    assert "resend S1 --numbers FIRST-LAST" in str(caught.value.next_step)
    assert files_of(year) == before


def test_batch_lost_right_after_what_was_cleaned_is_sent_again_from_there_on(year: Shop) -> None:
    clean_store(year.settings, "S1")
    year.till.ring(50, time=at(50))
    year.export()
    for file in (year.settings.folder / ORDERS).rglob("00000[345]-*.manifest.json"):
        file.unlink()

    report = resend(year.settings, "S1", batch=5, now=year.now)

    assert report.tickets == 3, "what is above the cleaned ones, not all"


def restored(shop: Shop, backup: Path) -> Shop:
    shop.configure(rms_url=SecretStr(f"sqlite:///{backup}"))
    shop.till = type(shop.till)(f"sqlite:///{backup}")
    return shop


def test_backup_older_than_what_is_left_is_refused_instead_of_booked_twice(
    shop: Shop, tmp_path: Path
) -> None:
    """None of its tickets was found in the batches that were left: all of them would have counted as new."""
    backup = tmp_path / "backup.db"
    for quarter in range(1, 5):
        shop.till.ring(10 * quarter, time=at(10 * quarter))
        hand_over(shop)
        pass_days(shop.settings, 91)
        if quarter == 2:
            shutil.copy(shop.settings.folder / "rms.db", backup)
    clean_store(shop.settings, "S1")
    before = files_of(shop)
    restored(shop, backup).till.ring(30, price="4.00", time=at(500))

    with pytest.raises(ConfigurationError, match=r"no ticket above 20 in common .* cleaned away"):
        baseline_store(shop.settings, "S1", again=True, now=shop.now)

    assert files_of(shop) == before


@pytest.mark.slow
def test_younger_backup_is_taken_over_and_orders_that_were_cleaned_away_stay_what_they_are(
    shop: Shop, tmp_path: Path
) -> None:
    """Layaway 71 stands in no batch that is left: it would have been opened a second time."""
    backup = tmp_path / "backup.db"
    shop.till.ring(10, time=at(10))
    shop.till.place_order(71, deposit="5.00", time=at(10))
    hand_over(shop)
    pass_days(shop.settings, 91)
    for number in (20, 30, 40):
        shop.till.ring(number, time=at(number))
        hand_over(shop)
        if number == 20:
            pass_days(shop.settings, 91)
        if number == 30:
            shutil.copy(shop.settings.folder / "rms.db", backup)
    clean_store(shop.settings, "S1")
    assert kept(shop) == [2, 3, 4]
    restored(shop, backup).till.ring(40, price="4.00", time=at(500))

    taken = baseline_store(shop.settings, "S1", again=True, now=shop.now)

    assert (taken.after_number, taken.after_order) == (30, 71)
    assert cycle(shop).agrees
    assert ask(shop, "SELECT order_id FROM reporting_orders ORDER BY order_id") == [
        ("S1/1/order/71",),
        *((f"S1/1/ticket/{number}",) for number in (10, 20, 30, 40)),
        ("S1/2/ticket/40",),
    ]


@pytest.mark.slow
def test_database_that_was_replaced_is_still_known_when_its_batches_are_old(
    shop: Shop, tmp_path: Path
) -> None:
    file, backup = shop.settings.folder / "rms.db", tmp_path / "backup.db"
    for number in (10, 20):
        shop.till.ring(number, time=at(number))
        hand_over(shop)
    shutil.copy(file, backup)
    shop.till.ring(30, time=at(30))
    hand_over(shop)
    restored(shop, backup).till.ring(30, price="4.00", time=at(500))
    baseline_store(shop.settings, "S1", again=True, now=shop.now)
    hand_over(shop)
    pass_days(shop.settings, 91)
    shop.till.ring(40, time=at(600))
    assert cycle(shop).agrees

    done = clean_store(shop.settings, "S1")

    assert kept(shop) == [2, 3, 4, 5]
    assert [text[:28] for text in done.kept] == ["S1/orders: 2 old batches stay"[:28]]
    with pytest.raises(ConfigurationError, match="has ticket 30, which was lost"):
        baseline_store(restored(shop, file).settings, "S1", again=True, now=shop.now)


def test_shop_that_stood_still_is_taken_over_from_a_backup_of_that_time(shop: Shop, tmp_path: Path) -> None:
    """The last ticket before the pause was cleaned away as soon as the first one after it came."""
    backup = tmp_path / "backup.db"
    for number in (10, 20):
        shop.till.ring(number, time=at(number))
        hand_over(shop)
    resend(shop.settings, "S1", numbers=(10, 10), now=shop.now)
    hand_over(shop)
    shutil.copy(shop.settings.folder / "rms.db", backup)
    pass_days(shop.settings, 91)
    shop.till.ring(30, time=at(30))
    hand_over(shop)
    clean_store(shop.settings, "S1")
    restored(shop, backup).till.ring(30, price="4.00", time=at(500))

    taken = baseline_store(shop.settings, "S1", again=True, now=shop.now)

    assert taken.after_number == 20
    assert kept(shop) == [2, 3, 4]
    assert cycle(shop).agrees
    assert ask(shop, "SELECT order_id FROM reporting_orders ORDER BY order_id") == [
        *((f"S1/1/ticket/{number}",) for number in (10, 20, 30)),
        ("S1/2/ticket/30",),
    ]


def test_export_at_work_in_a_restored_exchange_folder_keeps_its_files(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub has long had batches of its sequence: it was taken for one that had been killed."""
    shop.till.ring(10, time=at(10))
    hand_over(shop)
    shutil.copytree(shop.folder.root, tmp_path / "backup")
    for number in (20, 30):
        shop.till.ring(number, time=at(number))
        hand_over(shop)
    pass_days(shop.settings, 2)
    shutil.rmtree(shop.folder.root)
    shutil.copytree(tmp_path / "backup", shop.folder.root)
    shop.till.ring(40, time=at(40))

    def clean(point: str) -> None:
        if point == "batch.publish_manifest":
            monkeypatch.setattr(faults, "hook", None)
            assert clean_store(shop.settings, "S1") == CleanedStore("S1")

    monkeypatch.setattr(faults, "hook", clean)
    shop.export()

    assert cycle(shop).agrees
    assert ask(
        shop, "SELECT accepted, seen_before FROM batches WHERE stream = 'orders' AND accepted = 1"
    ) == [
        *((1, 0),) * 3,
        (1, 2),
    ]


@pytest.mark.slow
def test_restored_exchange_folder_goes_on_above_what_the_hub_has(shop: Shop, tmp_path: Path) -> None:
    """As docs/operations.md says; a lower sequence counts as older, and the order stayed open."""
    assert cycle(shop).agrees
    shutil.copytree(shop.folder.root, tmp_path / "backup")
    for number in (70, 71):
        shop.till.place_order(number)
        hand_over(shop)
    shutil.rmtree(shop.folder.root)
    shutil.copytree(tmp_path / "backup", shop.folder.root)
    shop.till.cancel_order(71)
    sequences = "SELECT stream, last_sequence FROM streams WHERE stream IN ('orders', 'statement')"
    for stream, sequence in ask(shop, sequences):
        head = batches.newest_position(shop.folder, "S1", stream)
        assert head is not None
        batches.replace_head(shop.folder, head.model_copy(update={"sequence": sequence}))

    report = cycle(shop)

    assert report.agrees
    assert (report.open_orders, shop.head().sequence) == (1, 3)


def test_what_killed_exports_left_goes_a_day_after_a_newer_batch_came(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.till.ring(10, time=at(10))
    hand_over(shop)
    shop.till.ring(20, time=at(20))
    kill(monkeypatch, "batch.publish_manifest", lambda: shop.export())
    monkeypatch.setattr(faults, "hook", None)
    left = {path for path in files_of(shop) if path.startswith("S1/orders/000002-")}
    assert len(left) == 7
    shop.wait(60)

    assert clean_store(shop.settings, "S1") == CleanedStore("S1")
    assert cycle(shop).agrees
    assert clean_store(shop.settings, "S1") == CleanedStore("S1"), "a share may bring its manifest late"
    pass_days(shop.settings, 2)
    done = clean_store(shop.settings, "S1")

    assert done == CleanedStore("S1", files=7, leftovers=1)
    assert left.isdisjoint(files_of(shop))
    assert kept(shop) == [1, 2]


def kill(monkeypatch: pytest.MonkeyPatch, name: str, act: Callable[[], object]) -> None:
    def die(point: str) -> None:
        if point == name:
            raise Killed(point)

    monkeypatch.setattr(faults, "hook", die)
    with pytest.raises(Killed):
        act()
    monkeypatch.setattr(faults, "hook", None)


def test_copies_in_the_inbox_go_unless_their_batch_waits(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cycle(shop).agrees
    shop.till.ring(10, time=at(10))
    shop.export()
    kill(monkeypatch, "hub.import.booked", lambda: import_waiting(shop.settings))
    inbox = shop.settings.inbox / "S1" / "orders"
    (waiting,) = inbox.iterdir()
    (inbox / "000001-00000000000f").mkdir()

    done = clean_store(shop.settings, "S1")

    assert done == CleanedStore("S1", inbox=1)
    assert list(inbox.iterdir()) == [waiting]
    assert cycle(shop).agrees


def test_what_waits_and_what_the_hub_does_not_know_stays(year: Shop) -> None:
    """A hub that was restored from a backup asks for the batches that it has forgotten."""
    orders = year.settings.folder / ORDERS
    (first,) = (orders / "archive").glob("000001-*.manifest.json")
    shutil.copy(first, orders)  # somebody moved it back
    engine = create_engine(year.settings.hub_url)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM batches WHERE stream = 'orders' AND sequence > 2"))
    engine.dispose()

    clean_store(year.settings, "S1")

    assert (kept(year), answered(year)) == ([1, 2, 3, 4], [1, 2, 3, 4])
    assert kept(year, "statement") == [4]


def test_store_that_fails_holds_up_no_other(year: Shop) -> None:
    stores = {"S0": year.settings.stores["S1"], **year.settings.stores}
    settings = year.settings.model_copy(update={"stores": stores})
    (year.folder.root / "S0").write_bytes(b"a file in the way of a folder")

    report = clean_exchange(settings)

    assert list(report.failures) == ["S0"]
    assert [store.batches for store in report.stores] == [5]
    assert report.sentence.startswith("Removed: batches: 5; acknowledgements: 6; killed exports: 0; ")
