"""A local exchange folder: names appear complete, once, and never change."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from data_contracts.errors import BatchAltered, ConfigurationError, TransferInterrupted
from tasks import faults
from tasks.exchange import local
from tasks.exchange.folder import open_folder
from tasks.exchange.local import LocalFolder


class Killed(BaseException):
    """As if the process had ended here."""


@pytest.fixture
def folder(tmp_path: Path) -> LocalFolder:
    return LocalFolder(tmp_path / "exchange")


def _kill_at(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def hook(point: str) -> None:
        if point == name:
            raise Killed(point)

    monkeypatch.setattr(faults, "hook", hook)


def test_a_published_file_reads_back_byte_for_byte(folder: LocalFolder) -> None:
    folder.publish("S1/orders/a.csv", "größe\n".encode())

    assert folder.read("S1/orders/a.csv") == "größe\n".encode()
    assert folder.list("S1/orders") == ["a.csv"]
    assert sorted(p.name for p in (folder.root / "S1/orders").iterdir()) == ["a.csv"]


def test_the_same_content_again_counts_as_done(folder: LocalFolder) -> None:
    folder.publish("S1/orders/a.csv", b"one")
    folder.publish("S1/orders/a.csv", b"one")

    assert sorted(p.name for p in (folder.root / "S1/orders").iterdir()) == ["a.csv"]


def test_other_content_under_a_taken_name_is_refused_by_name(folder: LocalFolder) -> None:
    folder.publish("S1/orders/a.csv", b"one")

    with pytest.raises(BatchAltered, match=r"`S1/orders/a\.csv` already exists .* other content"):
        folder.publish("S1/orders/a.csv", b"two")
    assert folder.read("S1/orders/a.csv") == b"one"


def test_without_hard_links_a_taken_name_is_refused_as_well(
    folder: LocalFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    folder.publish("S1/orders/a.csv", b"one")
    folder.publish("S1/orders/a.csv", b"one")

    with pytest.raises(BatchAltered):
        folder.publish("S1/orders/a.csv", b"two")
    assert folder.read("S1/orders/a.csv") == b"one"


@pytest.mark.parametrize("point", ["exchange.write", "exchange.written", "exchange.publish"])
def test_a_run_killed_before_the_rename_leaves_nothing_visible(
    folder: LocalFolder, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    with monkeypatch.context() as patched:
        _kill_at(patched, point)
        with pytest.raises(Killed):
            folder.publish("S1/orders/a.csv", b"one")

    assert folder.list("S1/orders") == []
    folder.publish("S1/orders/a.csv", b"two")
    assert folder.read("S1/orders/a.csv") == b"two"


def test_leftovers_of_a_killed_run_are_removed_by_the_next_publisher_when_old(
    folder: LocalFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        _kill_at(patched, "exchange.written")
        for _ in range(2):
            with pytest.raises(Killed):
                folder.publish("S1/orders/a.csv", b"one")
    old, young = sorted((folder.root / "S1/orders").iterdir())
    long_ago = young.stat().st_mtime - local.LEFTOVER_SECONDS - 60
    os.utime(old, (long_ago, long_ago))

    folder.publish("S1/orders/b.csv", b"two")

    assert not old.exists()
    assert young.exists(), "another publisher may still be writing it"


def test_replacing_is_all_or_nothing(folder: LocalFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.replace("S1/orders/head.json", b"one")
    with monkeypatch.context() as patched:
        _kill_at(patched, "exchange.replace")
        with pytest.raises(Killed):
            folder.replace("S1/orders/head.json", b"two")

    assert folder.read("S1/orders/head.json") == b"one"
    folder.replace("S1/orders/head.json", b"two")
    assert folder.read("S1/orders/head.json") == b"two"


def test_a_move_repeated_is_done_and_a_move_onto_other_content_is_refused(folder: LocalFolder) -> None:
    folder.publish("S1/orders/a.csv", b"one")
    folder.move("S1/orders/a.csv", "S1/orders/archive/a.csv")
    folder.move("S1/orders/a.csv", "S1/orders/archive/a.csv")
    assert folder.read("S1/orders/archive/a.csv") == b"one"
    assert not folder.exists("S1/orders/a.csv")

    folder.publish("S1/orders/a.csv", b"one")
    folder.move("S1/orders/a.csv", "S1/orders/archive/a.csv")
    assert not folder.exists("S1/orders/a.csv")

    folder.publish("S1/orders/a.csv", b"two")
    with pytest.raises(BatchAltered):
        folder.move("S1/orders/a.csv", "S1/orders/archive/a.csv")
    assert folder.read("S1/orders/a.csv") == b"two"


def test_moving_what_is_nowhere_says_so(folder: LocalFolder) -> None:
    with pytest.raises(FileNotFoundError):
        folder.move("S1/orders/a.csv", "S1/orders/archive/a.csv")


def test_a_full_disk_is_transient_and_says_to_make_room(
    folder: LocalFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("tasks.exchange.local.os.fsync", full)
        with pytest.raises(TransferInterrupted, match="No space left on device") as caught:
            folder.publish("S1/orders/a.csv", b"one")

    assert caught.value.next_step == "make room on that disk"
    assert folder.list("S1/orders") == []


def test_a_write_that_reads_back_otherwise_publishes_nothing(
    folder: LocalFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", lambda self: b"on")
        with pytest.raises(TransferInterrupted, match="reads back as 2 bytes that are not the 3 written"):
            folder.publish("S1/orders/a.csv", b"one")

    assert list((folder.root / "S1/orders").iterdir()) == []


def test_a_folder_this_account_may_not_write_is_a_matter_of_configuration(
    folder: LocalFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, mode: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigurationError, match="refused: Permission denied"):
        folder.publish("S1/orders/a.csv", b"one")


def test_a_file_in_the_way_of_a_folder_is_a_matter_of_configuration(folder: LocalFolder) -> None:
    folder.publish("S1", b"a file")

    with pytest.raises(ConfigurationError):
        folder.list("S1/orders")


def test_an_unmounted_share_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path / "not mounted" / "exchange")

    with pytest.raises(TransferInterrupted, match="is not there"):
        folder.list("S1/orders")
    with pytest.raises(TransferInterrupted, match="is not there"):
        folder.publish("S1/orders/a.csv", b"one")


def test_an_empty_mount_point_is_not_taken_for_an_exchange_that_lost_everything(tmp_path: Path) -> None:
    """It used to read as empty, and a baseline then made history of all that had not been exported."""
    (tmp_path / "mnt").mkdir()
    folder = LocalFolder(tmp_path / "mnt")

    for use in (
        lambda: folder.list("S1/orders"),
        lambda: folder.read("S1/orders/head.json"),
        lambda: folder.exists("S1/orders/head.json"),
        lambda: folder.publish("S1/orders/a.csv", b"one"),
        lambda: folder.replace("S1/orders/head.json", b"one"),
    ):
        with pytest.raises(TransferInterrupted, match="looks like an unmounted share"):
            use()
    assert list(folder.root.iterdir()) == []

    folder.take_into_use()
    folder.take_into_use()
    assert folder.list("S1/orders") == []
    with pytest.raises(FileNotFoundError):
        folder.read("S1/orders/head.json")


def test_a_folder_made_by_the_first_file_bears_the_mark_and_may_be_emptied(folder: LocalFolder) -> None:
    assert folder.list("S1/orders") == []
    folder.publish("S1/orders/a.csv", b"one")
    (folder.root / "S1/orders/a.csv").unlink()
    (folder.root / "S1/orders").rmdir()
    (folder.root / "S1").rmdir()

    assert [path.name for path in folder.root.iterdir()] == [".tillbridge-exchange"]
    assert folder.list("S1/orders") == []


def test_an_exchange_of_an_earlier_version_gets_its_mark_with_the_next_file(folder: LocalFolder) -> None:
    (folder.root / "S1/orders").mkdir(parents=True)

    assert folder.list("S1/orders") == []
    folder.publish("S1/orders/a.csv", b"one")

    assert (folder.root / ".tillbridge-exchange").is_file()


def _refusing(monkeypatch: pytest.MonkeyPatch, method: str, times: int) -> list[Path]:
    """Let a method of Path answer as Windows does while somebody has the file open."""
    real = getattr(Path, method)
    refused: list[Path] = []

    def refuse(self: Path, *arguments: object, **options: object) -> object:
        if len(refused) < times:
            refused.append(self)
            raise PermissionError(errno.EACCES, "Access is denied")
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, method, refuse)
    return refused


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """As on Windows; the pauses that were made."""
    slept: list[float] = []
    monkeypatch.setattr(local, "WINDOWS", True)
    monkeypatch.setattr("tasks.exchange.local.time.sleep", slept.append)
    return slept


@pytest.mark.parametrize(
    ("method", "effect", "name", "content"),
    [
        ("replace", lambda folder: folder.replace("S1/a.csv", b"new"), "S1/a.csv", b"new"),
        ("rename", lambda folder: folder.publish("S1/new.csv", b"new"), "S1/new.csv", b"new"),
        ("rename", lambda folder: folder.move("S1/a.csv", "S1/new.csv"), "S1/new.csv", b"old"),
    ],
)
def test_a_file_that_somebody_has_open_on_windows_is_tried_again_and_then_left_to_the_next_run(
    folder: LocalFolder,
    windows: list[float],
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    effect: Callable[[LocalFolder], None],
    name: str,
    content: bytes,
) -> None:
    """A reader of head.json used to stop the export for good, as a lack of rights."""
    folder.replace("S1/a.csv", b"old")
    with monkeypatch.context() as patched:
        refused = _refusing(patched, method, times=6)
        with pytest.raises(TransferInterrupted, match=r"failed: Access is denied\. Retrying may help"):
            effect(folder)
    assert windows == list(local.PAUSES_SECONDS)
    assert len(refused) == 6
    assert folder.read("S1/a.csv") == b"old"
    assert not folder.exists("S1/new.csv")

    with monkeypatch.context() as patched:
        refused = _refusing(patched, method, times=5)
        effect(folder)
    assert len(refused) == 5
    assert folder.read(name) == content


def test_a_deletion_that_windows_refuses_is_tried_again(
    folder: LocalFolder, windows: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.publish("S1/a.csv", b"one")
    folder.publish("S1/archive/a.csv", b"one")
    monkeypatch.setattr(local, "_rename_without_replacing", _taken)
    with monkeypatch.context() as patched:
        refused = _refusing(patched, "unlink", times=3)
        folder.move("S1/a.csv", "S1/archive/a.csv")

    assert len(refused) == 3
    assert not folder.exists("S1/a.csv")
    assert folder.read("S1/archive/a.csv") == b"one"


def _taken(source: Path, target: Path) -> None:
    raise FileExistsError(errno.EEXIST, "taken", str(target))


def test_a_rename_that_is_refused_elsewhere_is_a_lack_of_rights(
    folder: LocalFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.replace("S1/head.json", b"one")
    _refusing(monkeypatch, "replace", times=1)

    with pytest.raises(ConfigurationError, match="refused: Access is denied"):
        folder.replace("S1/head.json", b"two")


@pytest.mark.parametrize("path", ["../a", "S1/../../a", "/etc/a", "", "S1\\a", "C:/a"])
def test_no_path_leads_out_of_the_folder(folder: LocalFolder, path: str) -> None:
    with pytest.raises(ConfigurationError, match="not a path inside the exchange folder"):
        folder.read(path)


def test_open_folder_takes_a_path_and_refuses_what_is_not_there_yet(tmp_path: Path) -> None:
    assert open_folder(str(tmp_path / "exchange")).list("S1") == []

    with pytest.raises(ConfigurationError, match="not available in this version") as caught:
        open_folder("sftp://user:secret@host/folder")
    assert "secret" not in str(caught.value)
