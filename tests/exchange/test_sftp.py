"""SFTP as it is: connections cut at any byte, servers without this or that, full disks, no rights."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import paramiko
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paramiko.sftp import SFTP_FAILURE, SFTP_OP_UNSUPPORTED, SFTP_PERMISSION_DENIED
from paramiko.ssh_exception import IncompatiblePeer, MessageOrderError

from data_contracts.errors import BatchAltered, ConfigurationError, TransferInterrupted
from deployments.sftp_server import Files, SftpServer
from tasks import faults
from tasks.exchange import remote, sessions
from tasks.exchange.connections import Pool
from tasks.exchange.remote import RemoteFolder, translated
from tasks.exchange.ssh import Address
from tests.exchange.conftest import Killed
from tests.exchange.cutting import BEFORE, HEAD, LARGE, OPERATIONS, A, cut_and_repeat, prepared, shown
from tests.exchange.servers import OpenSsh, address


@dataclass
class Served:
    """A folder of our server, and the directory it lies in."""

    root: Path
    server: SftpServer
    folder: RemoteFolder


@pytest.fixture
def serve(tmp_path: Path, till_key: tuple[Path, str]) -> Iterator[Callable[..., Served]]:
    """Start our server with its own ways, log in to it."""
    pool, running = Pool(), []

    def start(files: type[Files] = Files) -> Served:
        root = tmp_path / "exchange"
        root.mkdir()
        server = SftpServer(root, keys=[till_key[1]], files=files)
        running.append(server.__enter__())
        reach = address(server.port, key_file=till_key[0], pins=[server.fingerprint])
        folder = RemoteFolder(reach, "/", pool=pool)
        folder.take_into_use()
        return Served(root, server, folder)

    yield start
    pool.close()
    for server in running:
        server.__exit__()


# Cut at any byte.

directions = st.sampled_from(["up", "down"])
CUTS = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@pytest.mark.parametrize("name", sorted(OPERATIONS))
@given(direction=directions, part=st.floats(0, 1), times=st.sampled_from([1, 1, 4]))
@settings(max_examples=8, **CUTS)  # type: ignore[arg-type]
def test_an_operation_cut_at_any_byte_ends_as_if_it_had_not_been(
    tmp_path_factory: pytest.TempPathFactory,
    own_server: tuple[SftpServer, Address],
    name: str,
    direction: str,
    part: float,
    times: int,
) -> None:
    root = tmp_path_factory.mktemp("cut")
    server, reach = own_server
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(remote, "PAUSES_SECONDS", (0.0, 0.0))
        done = cut_and_repeat(
            root, reach, f"/{root.relative_to(server.folder).as_posix()}", name, direction, part, times
        )

    assert done == 1 or times > 1, "a single cut is nothing that a caller hears of"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(OPERATIONS))
@given(direction=directions, part=st.floats(0, 1), times=st.sampled_from([1, 4]))
@settings(max_examples=30, **CUTS)  # type: ignore[arg-type]
def test_an_operation_on_openssh_cut_at_any_byte_ends_as_if_it_had_not_been(
    tmp_path_factory: pytest.TempPathFactory,
    openssh: OpenSsh,
    name: str,
    direction: str,
    part: float,
    times: int,
) -> None:
    root = tmp_path_factory.mktemp("cut")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(remote, "PAUSES_SECONDS", (0.0, 0.0))
        done = cut_and_repeat(root, openssh.address(), root.as_posix(), name, direction, part, times)

    assert done == 1 or times > 1


# A rename that happened although nobody was told.


class LosesAnswers(Files):
    """Does what it is asked and breaks the connection instead of saying so."""

    cut: Callable[[], None] | None = None

    def _lose(self, answer: int) -> int:
        cut, LosesAnswers.cut = LosesAnswers.cut, None
        if cut is not None:
            cut()
        return answer

    def rename(self, oldpath: str, newpath: str) -> int:
        return self._lose(super().rename(oldpath, newpath))

    def posix_rename(self, oldpath: str, newpath: str) -> int:
        return self._lose(super().posix_rename(oldpath, newpath))


@pytest.mark.parametrize("name", ["publish", "replace", "move"])
def test_a_rename_of_which_no_answer_came_is_looked_at_and_not_repeated(
    serve: Callable[..., Served], no_pauses: list[float], name: str
) -> None:
    served = serve(LosesAnswers)
    prepared(served.root)
    LosesAnswers.cut = served.server.disconnect

    OPERATIONS[name].do(served.folder)

    assert served.server.connections == 2
    assert no_pauses == [0.5]
    assert shown(served.root) == OPERATIONS[name].after


def test_a_replacement_that_was_overtaken_by_another_one_is_left_to_the_next_run(
    serve: Callable[..., Served], no_pauses: list[float]
) -> None:
    served = serve(LosesAnswers)
    prepared(served.root)

    def overtake() -> None:
        (served.root / HEAD).write_bytes(b"of another publisher")
        served.server.disconnect()

    LosesAnswers.cut = overtake
    with pytest.raises(TransferInterrupted):
        served.folder.replace(HEAD, b"ours")

    assert (served.root / HEAD).read_bytes() == b"of another publisher"


# Servers that do not do as OpenSSH does.


class WithoutExtensions(Files):
    """As most servers of other makers: nothing replaces in one step."""

    def posix_rename(self, oldpath: str, newpath: str) -> int:
        return SFTP_OP_UNSUPPORTED


class Replaces(WithoutExtensions):
    """Its plain rename replaces without a word, as some do."""

    def rename(self, oldpath: str, newpath: str) -> int:
        return super(WithoutExtensions, self).posix_rename(oldpath, newpath)


@pytest.mark.parametrize("files", [WithoutExtensions, Replaces])
def test_a_server_that_cannot_replace_by_a_rename_replaces_in_steps(
    serve: Callable[..., Served], files: type[Files]
) -> None:
    served = serve(files)
    for content in (b"one", b"two", b"three"):
        served.folder.replace(HEAD, content)
        assert served.folder.read(HEAD) == content

    assert shown(served.root) == {HEAD: b"three"}
    assert served.folder.list("S1/orders") == ["head.json"]


@pytest.mark.parametrize("step", range(1, 4))
def test_a_replacement_in_steps_cut_or_killed_between_them_never_loses_the_file(
    serve: Callable[..., Served], no_pauses: list[float], step: int
) -> None:
    """Removing and renaming used to leave no head.json at all to who came in between."""
    served = serve(Interrupted)
    served.folder.replace(HEAD, b"one")
    served.folder.replace(HEAD, b"two")
    Interrupted.left = step
    Interrupted.cut = served.server.disconnect
    seen: list[bytes] = []

    def look() -> None:
        pool = Pool()
        with RemoteFolder(served.folder.server, "/", pool=pool) as reader:
            seen.append(reader.read(HEAD))
            assert reader.exists(HEAD)
        pool.close()

    Interrupted.look = look
    served.folder.replace(HEAD, b"three")

    assert len(seen) == 1
    assert seen[0] in (b"two", b"three")
    assert served.folder.read(HEAD) == b"three"


class Interrupted(WithoutExtensions):
    """Breaks the connection after a number of removals and renames."""

    left = 0
    cut: Callable[[], None]
    look: Callable[[], None]

    def _count(self, answer: int) -> int:
        Interrupted.left -= 1
        if Interrupted.left == 0:
            Interrupted.look()
            Interrupted.cut()
        return answer

    def remove(self, path: str) -> int:
        return self._count(super().remove(path))

    def rename(self, oldpath: str, newpath: str) -> int:
        return self._count(super().rename(oldpath, newpath))


def test_a_server_whose_rename_replaces_is_asked_first(serve: Callable[..., Served]) -> None:
    served = serve(Replaces)
    served.folder.publish(A, b"one")
    served.folder.publish("S1/orders/archive/a.csv", b"two")

    uses: tuple[Callable[[], None], ...] = (
        lambda: served.folder.publish(A, b"other"),
        lambda: served.folder.move(A, "S1/orders/archive/a.csv"),
    )
    for use in uses:
        with pytest.raises(BatchAltered):
            use()
    assert shown(served.root) == {A: b"one", "S1/orders/archive/a.csv": b"two"}


class TellsNothing(Files):
    """Says of no file what kind it is."""

    def list_folder(self, path: str) -> list[paramiko.SFTPAttributes] | int:
        found = super().list_folder(path)
        for entry in found if isinstance(found, list) else ():
            entry.st_mode = None
        return found


def test_a_server_that_tells_no_kinds_lists_its_files(serve: Callable[..., Served]) -> None:
    served = serve(TellsNothing)
    served.folder.publish(A, b"one")

    assert served.folder.list("S1/orders") == ["a.csv"]


def test_a_name_that_is_not_utf8_is_named_as_the_trouble(openssh: OpenSsh, tmp_path: Path) -> None:
    with RemoteFolder(openssh.address(), f"{tmp_path}/exchange", pool=Pool()) as folder:
        folder.publish(A, b"one")
        strange = tmp_path / "exchange/S1/orders" / os.fsdecode(b"gr\xf6\xdfe.csv")
        strange.touch()
        with pytest.raises(ConfigurationError, match="met a name that is not UTF-8"):
            folder.list("S1/orders")
        strange.unlink()
        assert folder.list("S1/orders") == ["a.csv"]
        folder.close()


class Alters(Files):
    """Keeps one byte less than it was given."""

    def open(self, path: str, flags: int, attr: paramiko.SFTPAttributes) -> paramiko.SFTPHandle | int:
        if not flags & os.O_WRONLY and path.endswith(".part"):
            os.truncate(self.place(path), self.place(path).stat().st_size - 1)
        return super().open(path, flags, attr)


def test_a_write_that_reads_back_otherwise_publishes_nothing(serve: Callable[..., Served]) -> None:
    served = serve(Alters)

    with pytest.raises(TransferInterrupted, match="reads back as 2 bytes that are not the 3 written"):
        served.folder.publish(A, b"one")
    assert list((served.root / "S1/orders").iterdir()) == []


# No room, no rights, no answer.


class Full(Files):
    """Has room for 40,000 bytes a file."""

    def open(self, path: str, flags: int, attr: paramiko.SFTPAttributes) -> paramiko.SFTPHandle | int:
        handle = super().open(path, flags, attr)
        if isinstance(handle, paramiko.SFTPHandle) and flags & os.O_WRONLY:
            write = handle.write
            handle.write = lambda offset, data: (  # type: ignore[method-assign]
                SFTP_FAILURE if offset + len(bytes(data)) > 40_000 else write(offset, data)
            )
        return handle


def test_a_full_disk_is_transient_and_leaves_nothing(serve: Callable[..., Served]) -> None:
    served = serve(Full)

    with pytest.raises(TransferInterrupted, match="the server says `Failure`") as caught:
        served.folder.publish(A, LARGE)

    assert "whether its disk is full" in caught.value.next_step
    assert list((served.root / "S1/orders").iterdir()) == [], "half a file would take the last room"
    served.folder.publish(A, b"small enough")
    assert served.folder.read(A) == b"small enough"


def test_a_file_that_openssh_cannot_write_whole_is_transient_and_leaves_nothing(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    resource = pytest.importorskip("resource")
    server = OpenSsh(tmp_path_factory.mktemp("full-sshd"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    pool = Pool()
    with server.running(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, limits[1]))):
        folder = RemoteFolder(server.address(), f"{tmp_path}/exchange", pool=pool)
        with pytest.raises(TransferInterrupted, match="the server says `Failure`"):
            folder.publish(A, LARGE)
        folder.publish("S1/orders/b.csv", b"small enough")
        assert shown(tmp_path / "exchange") == {"S1/orders/b.csv": b"small enough"}
        folder.close()
        pool.close()


class Denies(Files):
    """Lets nobody write."""

    def open(self, path: str, flags: int, attr: paramiko.SFTPAttributes) -> paramiko.SFTPHandle | int:
        return SFTP_PERMISSION_DENIED if flags & os.O_WRONLY else super().open(path, flags, attr)

    def mkdir(self, path: str, attr: paramiko.SFTPAttributes) -> int:
        return SFTP_PERMISSION_DENIED

    def posix_rename(self, oldpath: str, newpath: str) -> int:
        return SFTP_PERMISSION_DENIED

    rename = posix_rename


def test_a_folder_this_account_may_only_read_is_a_matter_of_configuration(
    serve: Callable[..., Served],
) -> None:
    served = serve()
    prepared(served.root)
    served.folder.close()
    served.server.files = Denies
    folder = RemoteFolder(served.folder.server, "/", pool=Pool())

    with folder:
        assert folder.read(HEAD) == b"old"
        uses: tuple[Callable[[], None], ...] = (
            lambda: folder.publish(A, b"one"),
            lambda: folder.replace(HEAD, b"new"),
            lambda: folder.move("S1/orders/m.csv", "S1/orders/archive/m.csv"),
            lambda: folder.move("S1/orders/m.csv", "S1/orders/n.csv"),
        )
        for use in uses:
            with pytest.raises(ConfigurationError, match=r"is refused: .*ermission denied\. Retrying cannot"):
                use()
    assert shown(served.root) == BEFORE


@pytest.mark.parametrize("options", ["-R", "-P open"])
def test_openssh_that_is_read_only_or_lets_nobody_in_is_a_matter_of_configuration(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, options: str
) -> None:
    prepared(tmp_path)
    pool = Pool()
    with OpenSsh(
        tmp_path_factory.mktemp("denying-sshd"), subsystem=f"internal-sftp {options}"
    ).running() as server:
        folder = RemoteFolder(server.address(), tmp_path.as_posix(), pool=pool)
        with pytest.raises(ConfigurationError, match="is refused: Permission denied") as caught:
            folder.publish(A, b"one")
        assert caught.value.next_step.startswith("give this account the right to read and write sftp://")
        folder.close()
        pool.close()
    assert shown(tmp_path) == BEFORE


class Sleeps(Files):
    """Never answers a question for head.json."""

    def stat(self, path: str) -> paramiko.SFTPAttributes | int:
        if path.endswith("head.json"):
            self.session_over.wait(30)
        return super().stat(path)

    def session_started(self) -> None:
        self.session_over = threading.Event()

    def session_ended(self) -> None:
        self.session_over.set()


def test_a_server_that_stops_answering_is_asked_on_a_new_connection_and_then_given_up(
    serve: Callable[..., Served], no_pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "ANSWER_SECONDS", 0.2)
    served = serve(Sleeps)

    with pytest.raises(TransferInterrupted, match=r"the connection broke off \(no answer within 0 s\)"):
        served.folder.exists(HEAD)
    assert served.server.connections == 3


def test_after_ten_seconds_no_new_try_is_made(
    serve: Callable[..., Served], no_pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve()
    monkeypatch.setattr(remote, "PATIENCE_SECONDS", -1.0)
    served.server.disconnect()

    with pytest.raises(TransferInterrupted, match="the connection broke off"):
        served.folder.exists(HEAD)
    assert no_pauses == []


# Everything that can be raised below is one of ours.


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError("Failure"), TransferInterrupted),
        (OSError("Socket is closed"), TransferInterrupted),
        (FileNotFoundError(errno.ENOENT, "No such file"), TransferInterrupted),
        (PermissionError(errno.EACCES, "Permission denied"), ConfigurationError),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory"), ConfigurationError),
        (TimeoutError(), TransferInterrupted),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), TransferInterrupted),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), TransferInterrupted),
        (socket.gaierror(-2, "Name or service not known"), TransferInterrupted),
        (EOFError(), TransferInterrupted),
        (paramiko.SFTPError("Garbage packet received"), TransferInterrupted),
        (paramiko.SSHException("Server connection dropped"), TransferInterrupted),
        (paramiko.ChannelException(1, "Administratively prohibited"), TransferInterrupted),
        (paramiko.AuthenticationException("Authentication failed."), TransferInterrupted),
        (IncompatiblePeer("Incompatible ssh peer"), TransferInterrupted),
        (MessageOrderError("out of order"), TransferInterrupted),
        (UnicodeDecodeError("utf-8", b"\xf6", 0, 1, "invalid start byte"), ConfigurationError),
    ],
)
def test_every_error_of_the_layers_below_becomes_one_of_ours_with_a_next_step(
    error: BaseException, kind: type[Exception]
) -> None:
    for cut in (False, True):
        found = translated(error, "reading", HEAD, "sftp://host:22/exchange", cut=cut)

        assert type(found) is (TransferInterrupted if cut else kind)
        assert found.message.startswith(f"Reading `{HEAD}` in the exchange folder sftp://host:22/exchange ")
        assert found.next_step


def test_there_is_no_error_of_paramiko_that_a_folder_lets_through() -> None:
    raised = [
        found
        for module in (paramiko.ssh_exception, paramiko.sftp)
        for found in vars(module).values()
        if isinstance(found, type)
        and issubclass(found, Exception)
        and found.__module__.startswith("paramiko")
    ]

    assert paramiko.SFTPError in raised
    assert paramiko.ssh_exception.NoValidConnectionsError in raised
    caught = (OSError, EOFError, ValueError, paramiko.SSHException, paramiko.SFTPError)
    assert [found for found in raised if not issubclass(found, caught)] == []


def test_a_run_killed_over_sftp_gives_no_connection_back(
    serve: Callable[..., Served], kill_at: Callable[[str], pytest.MonkeyPatch]
) -> None:
    served = serve()
    kill_at("exchange.written")
    with pytest.raises(Killed), served.folder:
        served.folder.publish(A, b"one")
    faults.hook = None

    with served.folder:
        served.folder.publish(A, b"one")
    assert served.server.connections == 2
    assert shown(served.root) == {A: b"one"}


class Counts(Files):
    """Notes what it is asked."""

    asked: ClassVar[list[str]] = []

    def list_folder(self, path: str) -> list[paramiko.SFTPAttributes] | int:
        self.asked.append(f"list {path}")
        return super().list_folder(path)

    def stat(self, path: str) -> paramiko.SFTPAttributes | int:
        self.asked.append(f"stat {path}")
        return super().stat(path)


def test_one_pass_lists_a_folder_and_no_file_is_asked_for(serve: Callable[..., Served]) -> None:
    served = serve(Counts)
    (served.root / "S1").mkdir()
    for number in range(300):
        (served.root / f"S1/{number}.csv").touch()
    Counts.asked.clear()

    assert len(served.folder.list("S1")) == 300
    assert Counts.asked == ["list /S1"]
