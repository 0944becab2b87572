"""A local exchange folder: names appear complete, once, and never change."""

from __future__ import annotations

import errno
import os
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
        patched.setattr(local.os, "fsync", full)
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


@pytest.mark.parametrize("path", ["../a", "S1/../../a", "/etc/a", "", "S1\\a", "C:/a"])
def test_no_path_leads_out_of_the_folder(folder: LocalFolder, path: str) -> None:
    with pytest.raises(ConfigurationError, match="not a path inside the exchange folder"):
        folder.read(path)


def test_open_folder_takes_a_path_and_refuses_what_is_not_there_yet(tmp_path: Path) -> None:
    assert open_folder(str(tmp_path)).list("S1") == []

    with pytest.raises(ConfigurationError, match="not available in this version") as caught:
        open_folder("sftp://user:secret@host/folder")
    assert "secret" not in str(caught.value)
