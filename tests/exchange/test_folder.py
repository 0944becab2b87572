"""What holds of an exchange folder of any kind: local, over SFTP, over FTPS and FTP."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from data_contracts.errors import BatchAltered, ConfigurationError, TransferInterrupted
from tasks import faults
from tasks.exchange.folder import LEFTOVER_SECONDS, Folder
from tests.exchange.conftest import KINDS, Killed, Place, place_of

A = "S1/orders/a.csv"
LARGE = bytes(range(256)) * 1_000 + b"the end"
"""More than one request of any protocol."""


def test_a_published_file_reads_back_byte_for_byte(folder: Folder, place: Place) -> None:
    folder.publish(A, "größe\n".encode())
    folder.publish("S1/orders/large.csv", LARGE)
    folder.publish("S1/orders/empty.csv", b"")

    assert folder.read(A) == "größe\n".encode()
    assert folder.read("S1/orders/large.csv") == LARGE
    assert folder.read("S1/orders/empty.csv") == b""
    assert folder.list("S1/orders") == ["a.csv", "empty.csv", "large.csv"]
    assert place.names("S1/orders") == ["a.csv", "empty.csv", "large.csv"]
    assert (place.root / A).read_bytes() == "größe\n".encode()


def test_only_files_are_listed_and_no_folder_is_an_empty_one(folder: Folder) -> None:
    folder.publish(A, b"one")
    folder.publish("S1/orders/archive/b.csv", b"two")

    assert folder.list("S1/orders") == ["a.csv"]
    assert folder.list("S1") == []
    assert folder.list("S2/orders") == []


def test_a_name_is_there_or_not(folder: Folder) -> None:
    folder.publish(A, b"one")

    assert folder.exists(A)
    assert not folder.exists("S1/orders/b.csv")
    assert not folder.exists("S1/orders"), "a folder is no file"
    with pytest.raises(FileNotFoundError):
        folder.read("S1/orders/b.csv")
    with pytest.raises(FileNotFoundError):
        folder.read("S2/orders/b.csv")


def test_the_same_content_again_counts_as_done(folder: Folder, place: Place) -> None:
    folder.publish(A, b"one")
    folder.publish(A, b"one")

    assert place.names("S1/orders") == ["a.csv"]


def test_other_content_under_a_taken_name_is_refused_by_name(folder: Folder) -> None:
    folder.publish(A, b"one")

    with pytest.raises(BatchAltered, match=r"`S1/orders/a\.csv` already exists .* other content"):
        folder.publish(A, b"two")
    assert folder.read(A) == b"one"


def test_of_many_who_publish_one_name_at_a_time_one_wins_and_the_others_are_told(place: Place) -> None:
    place.open().take_into_use()
    outcomes: list[str] = []

    def publish(content: bytes) -> None:
        try:
            place.open().publish(A, content)
            outcomes.append("published")
        except BatchAltered:
            outcomes.append("refused")

    threads = [threading.Thread(target=publish, args=(b"%d" % number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["published", "refused", "refused", "refused"]
    assert place.open().read(A) in {b"0", b"1", b"2", b"3"}


def test_replacing_is_all_or_nothing(
    folder: Folder, place: Place, kill_at: Callable[[str], pytest.MonkeyPatch]
) -> None:
    folder.replace("S1/orders/head.json", b"one")
    kill_at("exchange.replace")
    with pytest.raises(Killed):
        folder.replace("S1/orders/head.json", b"two")
    faults.hook = None

    assert place.open().read("S1/orders/head.json") == b"one"
    place.open().replace("S1/orders/head.json", b"two")
    assert folder.read("S1/orders/head.json") == b"two"


def test_a_move_repeated_is_done_and_a_move_onto_other_content_is_refused(folder: Folder) -> None:
    folder.publish(A, b"one")
    folder.move(A, "S1/orders/archive/a.csv")
    folder.move(A, "S1/orders/archive/a.csv")
    assert folder.read("S1/orders/archive/a.csv") == b"one"
    assert not folder.exists(A)

    folder.publish(A, b"one")
    folder.move(A, "S1/orders/archive/a.csv")
    assert not folder.exists(A)

    folder.publish(A, b"two")
    with pytest.raises(BatchAltered):
        folder.move(A, "S1/orders/archive/a.csv")
    assert folder.read(A) == b"two"
    assert folder.read("S1/orders/archive/a.csv") == b"one"


def test_moving_what_is_nowhere_says_so(folder: Folder) -> None:
    with pytest.raises(FileNotFoundError):
        folder.move(A, "S1/orders/archive/a.csv")

    folder.publish(A, b"one")
    with pytest.raises(FileNotFoundError):
        folder.move("S1/orders/b.csv", "S1/orders/archive/b.csv")


def test_what_is_removed_is_gone_and_removing_it_again_is_done(folder: Folder, place: Place) -> None:
    folder.publish(A, b"one")
    folder.replace("S1/orders/head.json", b"two")
    folder.replace("S1/orders/head.json", b"three")

    for path in (A, A, "S1/orders/head.json", "S2/orders/never.csv"):
        folder.remove(path)

    assert place.names("S1/orders") == []
    assert not folder.exists("S1/orders/head.json")


def use(folder: Folder) -> None:
    """Everything that leaves a trace."""
    folder.take_into_use()
    folder.publish(A, LARGE)
    folder.replace("S1/orders/head.json", b"two")
    folder.move(A, "S1/orders/archive/a.csv")
    folder.remove("S1/orders/archive/old.csv")


POINTS = sorted(name for name in faults.NAMES if name.startswith("exchange."))


@pytest.mark.parametrize("point", POINTS)
def test_a_run_killed_at_any_effect_and_run_again_ends_as_if_nothing_had_happened(
    place: Place, kill_at: Callable[[str], pytest.MonkeyPatch], point: str
) -> None:
    place.root.mkdir()
    kill_at(point)
    with pytest.raises(Killed, match=point):
        use(place.open())
    faults.hook = None
    shown = place.open()
    marked = (place.root / ".tillbridge-exchange").exists()
    names = shown.list("S1/orders") if marked else []
    seen = {name: shown.read(f"S1/orders/{name}") for name in names}

    use(place.open())

    assert seen.items() <= {"a.csv": LARGE, "head.json": b"two"}.items(), "nothing half written is seen"
    folder = place.open()
    assert folder.list("S1/orders") == ["head.json"]
    assert folder.read("S1/orders/head.json") == b"two"
    assert folder.list("S1/orders/archive") == ["a.csv"]
    assert folder.read("S1/orders/archive/a.csv") == LARGE


def test_leftovers_of_a_killed_run_are_removed_by_the_next_publisher_when_old(
    place: Place, kill_at: Callable[[str], pytest.MonkeyPatch]
) -> None:
    kill_at("exchange.written")
    for _ in range(2):
        with pytest.raises(Killed):
            place.open().publish(A, b"one")
    faults.hook = None
    old, young = sorted((place.root / "S1/orders").iterdir())
    long_ago = young.stat().st_mtime - LEFTOVER_SECONDS - 60
    os.utime(old, (long_ago, long_ago))

    place.open().publish("S1/orders/b.csv", b"two")

    assert not old.exists()
    assert young.exists(), "another publisher may still be writing it"


def test_a_file_in_the_way_of_a_folder_is_a_matter_of_configuration(folder: Folder) -> None:
    folder.publish("S1", b"a file")

    with pytest.raises(ConfigurationError, match="is refused"):
        folder.publish(A, b"one")
    assert folder.read("S1") == b"a file"


def test_a_folder_that_is_not_there_is_not_taken_for_an_empty_one(place: Place, tmp_path: Path) -> None:
    place.open().take_into_use()
    place.root.rename(tmp_path / "elsewhere")
    tmp_path.rename(tmp_path.with_name("unmounted"))
    try:
        for use in (
            lambda: place.open().list("S1/orders"),
            lambda: place.open().publish(A, b"one"),
            lambda: place.open().take_into_use(),
        ):
            with pytest.raises(TransferInterrupted, match="is not there, nor is the folder above it"):
                use()
    finally:
        tmp_path.with_name("unmounted").rename(tmp_path)


def test_an_empty_mount_point_is_not_taken_for_an_exchange_that_lost_everything(place: Place) -> None:
    """It used to read as empty, and a baseline then made history of all that had not been exported."""
    place.root.mkdir()

    for use in (
        lambda: place.open().list("S1/orders"),
        lambda: place.open().read("S1/orders/head.json"),
        lambda: place.open().exists("S1/orders/head.json"),
        lambda: place.open().publish(A, b"one"),
        lambda: place.open().replace("S1/orders/head.json", b"one"),
        lambda: place.open().move(A, "S1/orders/archive/a.csv"),
    ):
        with pytest.raises(TransferInterrupted, match="looks like an unmounted share"):
            use()
    assert place.names("") == []

    folder = place.open()
    folder.take_into_use()
    folder.take_into_use()
    assert folder.list("S1/orders") == []
    with pytest.raises(FileNotFoundError):
        folder.read("S1/orders/head.json")


def test_a_folder_made_by_the_first_file_bears_the_mark_and_may_be_emptied(place: Place) -> None:
    folder = place.open()
    assert folder.list("S1/orders") == []
    folder.publish(A, b"one")
    (place.root / A).unlink()
    (place.root / "S1/orders").rmdir()
    (place.root / "S1").rmdir()

    assert place.names("") == [".tillbridge-exchange"]
    assert place.open().list("S1/orders") == []


def test_an_exchange_of_an_earlier_version_gets_its_mark_with_the_next_file(place: Place) -> None:
    (place.root / "S1/orders").mkdir(parents=True)

    folder = place.open()
    assert folder.list("S1/orders") == []
    folder.publish(A, b"one")

    assert (place.root / ".tillbridge-exchange").is_file()


@pytest.mark.parametrize("path", ["../a", "S1/../../a", "/etc/a", "", "S1\\a", "C:/a"])
def test_no_path_leads_out_of_the_folder(folder: Folder, path: str) -> None:
    for use in (folder.read, folder.list, folder.exists, lambda path: folder.publish(path, b"one")):
        with pytest.raises(ConfigurationError, match="not a path inside the exchange folder"):
            use(path)


@pytest.fixture(scope="session")
def full_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exchange folder with ten thousand manifests of one stream."""
    root = tmp_path_factory.mktemp("full") / "exchange"
    (root / "S1/orders").mkdir(parents=True)
    for number in range(10_000):
        (root / f"S1/orders/{number:06d}.manifest.json").touch()
    return root


@pytest.mark.parametrize("kind", KINDS)
def test_ten_thousand_files_in_a_folder_are_all_listed(
    request: pytest.FixtureRequest, full_folder: Path, kind: str
) -> None:
    for place in place_of(request, kind, full_folder):
        assert place.open().list("S1/orders") == [f"{number:06d}.manifest.json" for number in range(10_000)]
