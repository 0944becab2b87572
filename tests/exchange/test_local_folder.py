"""What is peculiar to a local exchange folder: disks, shares and Windows; the rest is in test_folder.py."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from data_contracts.errors import BatchAltered, ConfigurationError, TransferInterrupted
from tasks.exchange import local
from tasks.exchange.local import LocalFolder


@pytest.fixture
def folder(tmp_path: Path) -> LocalFolder:
    return LocalFolder(tmp_path / "exchange")


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
