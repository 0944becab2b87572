"""FTPS and FTP as they are: connections cut at any byte, and servers that do not do as others do."""

from __future__ import annotations

import errno
import ftplib
import io
import os
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from pyftpdlib.filesystems import AbstractedFS

from data_contracts.errors import BatchAltered, ConfigurationError, TransferInterrupted
from tasks import faults
from tasks.exchange import ftp, remote
from tasks.exchange.connections import Pool
from tasks.exchange.folder import LEFTOVER_SECONDS
from tasks.exchange.ftp_wire import answer_of
from tasks.exchange.remote import RemoteFolder, translated
from tests.exchange.conftest import Killed
from tests.exchange.cutting import BEFORE, HEAD, LARGE, OPERATIONS, A, cut_and_repeat, prepared, shown
from tests.exchange.ftp_servers import (
    OLD_SERVER,
    READ_ONLY,
    Certificate,
    FtpServer,
    KeepsWhatIsThere,
    ResumedOnly,
)

Serve = Callable[..., tuple[FtpServer, RemoteFolder]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start a server with its own ways over what is prepared, and open its folder."""
    pool, running, opened = Pool(), [], []

    def start(tls: Certificate | None = None, **ways: Any) -> tuple[FtpServer, RemoteFolder]:
        root = tmp_path / "exchange"
        prepared(root)
        server = FtpServer(root, tls, **ways)
        running.append(server.__enter__())
        opened.append(RemoteFolder(server.address, "/", pool=pool))
        return server, opened[-1]

    yield start
    for folder in opened:
        folder.close()
    pool.close()
    for server in running:
        server.__exit__()


# Cut at any byte.


def cut(root: Path, server: FtpServer, name: str, direction: str, part: float, times: int) -> int:
    """One operation over a wire that breaks, connections for data included."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(remote, "PAUSES_SECONDS", (0.0, 0.0))
        patched.setattr(ftp, "CLAIM_SECONDS", 0.0)
        patched.setattr(ftp, "CLAIM_PAUSE_SECONDS", 0.0)
        try:
            return cut_and_repeat(
                root,
                server.address,
                f"/{root.relative_to(server.folder).as_posix()}",
                name,
                direction,
                part,
                times,
                laid=lambda wire: setattr(server, "wire", wire),
            )
        finally:
            server.wire = None


@pytest.mark.parametrize("kind", ["ftps", "old_ftp"])
@pytest.mark.parametrize("name", sorted(OPERATIONS))
@given(direction=st.sampled_from(["up", "down"]), part=st.floats(0, 1), times=st.sampled_from([1, 1, 4]))
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_operation_cut_at_any_byte_ends_as_if_it_had_not_been(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    name: str,
    direction: str,
    part: float,
    times: int,
) -> None:
    server: FtpServer = request.getfixturevalue(kind)

    done = cut(tmp_path_factory.mktemp("cut"), server, name, direction, part, times)

    assert done == 1 or times > 1, "a single cut is nothing that a caller hears of"


@pytest.mark.parametrize("count", [1, 3, 9, 40])
def test_an_answer_that_was_cut_within_its_line_is_none(
    tmp_path_factory: pytest.TempPathFactory, old_ftp: FtpServer, count: int
) -> None:
    """`227` without the rest passed for what the server says; `250` would have for a rename that it made."""
    assert cut(tmp_path_factory.mktemp("cut"), old_ftp, "publish", "down", (count + 0.5) / 150_000, 1) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["publish", "replace", "move"])
def test_a_change_over_ftps_cut_in_each_of_its_steps_ends_as_if_it_had_not_been(
    tmp_path_factory: pytest.TempPathFactory, ftps: FtpServer, name: str
) -> None:
    for direction in ("up", "down"):
        for step in range(20):
            assert cut(tmp_path_factory.mktemp("cut"), ftps, name, direction, step / 20, 1) == 1


@pytest.mark.parametrize("name", ["publish", "replace", "move"])
def test_a_rename_of_which_no_answer_came_is_looked_at_and_not_repeated(
    serve: Serve, tls: Certificate, no_pauses: list[float], name: str
) -> None:
    server, folder = serve(tls)
    server.loses = "250 Renaming ok"

    OPERATIONS[name].do(folder)

    assert server.connections == 2
    assert no_pauses == [0.5]
    assert shown(server.folder) == OPERATIONS[name].after
    assert not list(server.folder.rglob("*.claim.part"))


# A rename that does not replace, of a protocol that has none.


@pytest.mark.parametrize("point", sorted(name for name in faults.NAMES if name.startswith("ftp.")))
def test_a_claim_whose_owner_was_killed_ends(
    serve: Serve,
    tls: Certificate,
    kill_at: Callable[[str], pytest.MonkeyPatch],
    monkeypatch: pytest.MonkeyPatch,
    point: str,
) -> None:
    monkeypatch.setattr(ftp, "CLAIM_SECONDS", 0.3)
    server, folder = serve(tls)
    kill_at(point)
    with pytest.raises(Killed), folder:
        folder.publish(A, b"one")
    faults.hook = None
    assert bool(list(server.folder.rglob("*.claim.part"))) is (point == "ftp.claimed")
    assert not folder.exists(A)

    folder.publish(A, b"two")

    assert folder.read(A) == b"two"
    assert not list(server.folder.rglob("*.claim.part"))


def test_a_claim_that_nobody_comes_back_for_is_removed_when_old(
    serve: Serve, tls: Certificate, kill_at: Callable[[str], pytest.MonkeyPatch]
) -> None:
    server, folder = serve(tls)
    kill_at("ftp.claimed")
    with pytest.raises(Killed), folder:
        folder.publish(A, b"one")
    faults.hook = None
    (claim,) = server.folder.rglob("*.claim.part")
    long_ago = claim.stat().st_mtime - LEFTOVER_SECONDS - 60
    os.utime(claim, (long_ago, long_ago))

    folder.publish("S1/orders/b.csv", b"two")

    assert not claim.exists()


def test_a_name_that_is_claimed_is_given_to_nobody_else(
    serve: Serve, tls: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other publisher's file appears while we wait."""
    server, folder = serve(tls)
    claim = server.folder / "S1/orders/.a.csv.claim.part"
    claim.mkdir()

    def other(seconds: float) -> None:
        (server.folder / A).write_bytes(b"of another")
        claim.rmdir()

    monkeypatch.setattr("tasks.exchange.ftp.time.sleep", other)
    with pytest.raises(BatchAltered):
        folder.publish(A, b"one")
    assert (server.folder / A).read_bytes() == b"of another"


@pytest.mark.parametrize("files", [AbstractedFS, KeepsWhatIsThere])
def test_replacing_works_whether_or_not_a_rename_replaces(serve: Serve, files: type[AbstractedFS]) -> None:
    server, folder = serve(files=files)
    for content in (b"one", b"two", b"three"):
        folder.replace(HEAD, content)
        assert folder.read(HEAD) == content

    assert shown(server.folder)[HEAD] == b"three"


# Servers that know little, or do it in their own way.


def test_a_server_with_the_requests_of_1985_is_enough(serve: Serve) -> None:
    _, folder = serve(without=(*OLD_SERVER, "SIZE", "MDTM", "FEAT", "OPTS", "PWD"))

    folder.publish(A, LARGE)
    folder.replace(HEAD, b"new")
    folder.move(A, "S1/orders/archive/a.csv")

    assert folder.read("S1/orders/archive/a.csv") == LARGE
    assert folder.list("S1/orders") == ["head.json", "m.csv"]
    assert folder.list("S1") == folder.list("S2") == []
    assert folder.exists(HEAD)
    assert not folder.exists("S1/orders")
    assert not folder.exists(A)


def test_an_empty_folder_that_is_refused_as_such_is_empty(serve: Serve) -> None:
    def none(handler: Any, path: str) -> None:
        handler.respond("550 No files found.")

    _, folder = serve(without=OLD_SERVER, ftp_NLST=none)

    assert folder.list("S1/orders") == []


def test_data_connections_resume_the_session_over_tls_1_2_as_over_1_3(serve: Serve, tls: Certificate) -> None:
    """A server that demands it closed the first data connection: 522 session reuse required."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_certificate_chain_file(str(tls.file))
    context.use_privatekey_file(str(tls.file))
    context.set_options(SSL.OP_NO_TLSv1_3)
    _, folder = serve(tls, ssl_context=context)

    folder.publish(A, LARGE)

    assert folder.read(A) == LARGE


class ClosesWithoutAWord(ResumedOnly):
    """Its data connections end as if they had been cut."""

    def close(self) -> None:
        self._ssl_established = False
        super().close()


def test_a_listing_whose_end_was_not_announced_is_not_taken_for_a_short_one(
    serve: Serve, tls: Certificate, no_pauses: list[float]
) -> None:
    _, folder = serve(tls)
    assert folder.list("S1/orders") == ["head.json", "m.csv"]
    folder.close()
    _, other = serve(tls, dtp_handler=ClosesWithoutAWord)

    with pytest.raises(TransferInterrupted, match="the connection broke off"):
        other.list("S1/orders")


class Half(AbstractedFS):
    """Sends half of a file and says that this was all."""

    def open(self, filename: str, mode: str) -> Any:
        if "r" not in mode:
            return super().open(filename, mode)
        whole = Path(filename).read_bytes()
        half = io.BytesIO(whole[: len(whole) // 2])
        half.name = filename
        return half


def test_half_a_file_is_not_taken_for_a_file(serve: Serve, no_pauses: list[float]) -> None:
    _, folder = serve(files=Half)

    with pytest.raises(TransferInterrupted, match=r"64,003 bytes came of 128,007"):
        folder.read("S1/orders/m.csv")


class Full(AbstractedFS):
    """Has no room for a file."""

    def open(self, filename: str, mode: str) -> Any:
        file = super().open(filename, mode)
        if "w" in mode:
            file.write(b"half")

            class NoRoom:
                name, closed, close = file.name, False, staticmethod(file.close)

                def write(self, data: bytes) -> int:
                    raise OSError(errno.ENOSPC, "No space left on device")

            return NoRoom()
        return file


def test_a_full_disk_is_transient_and_leaves_nothing(serve: Serve, no_pauses: list[float]) -> None:
    server, folder = serve(files=Full)

    with pytest.raises(TransferInterrupted, match=r"\(426 .*aborted\)"):
        folder.publish(A, LARGE)

    assert shown(server.folder) == BEFORE
    assert not list(server.folder.rglob("*.part")), "half a file would take the last room"


def test_a_folder_this_account_may_only_read_is_a_matter_of_configuration(serve: Serve) -> None:
    server, folder = serve(rights=READ_ONLY)

    assert folder.read(HEAD) == b"old"
    uses: tuple[Callable[[], None], ...] = (
        lambda: folder.publish(A, b"one"),
        lambda: folder.replace(HEAD, b"new"),
        lambda: folder.move("S1/orders/m.csv", "S1/orders/archive/m.csv"),
    )
    for use in uses:
        with pytest.raises(ConfigurationError, match=r"is refused: 550 Not enough privileges\. Retrying"):
            use()
    assert shown(server.folder) == BEFORE


def test_a_name_that_is_not_utf8_is_named_as_the_trouble(serve: Serve) -> None:
    server, folder = serve(encoding="latin-1")
    (server.folder / "S1/orders/größe.csv").touch()

    with pytest.raises(ConfigurationError, match="met a name that is not UTF-8"):
        folder.list("S1/orders")


# Everything that can be raised below is one of ours.


TRANSIENT = (
    "421 Timeout.",
    "425 Can't open data connection.",
    "450 File busy.",
    "452 Insufficient storage.",
    "552 Quota exceeded.",
    "200 Ok, but what?",
    "HTTP/1.1 400 Bad Request",
)
FINAL = ("550 Access is denied.", "550 Permission denied.", "530 Please login with USER and PASS.")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        *((ftplib.Error(text), TransferInterrupted) for text in TRANSIENT),
        *((ftplib.Error(text), ConfigurationError) for text in FINAL),
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), TransferInterrupted),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), TransferInterrupted),
        (EOFError(), TransferInterrupted),
    ],
)
def test_every_error_of_the_layers_below_becomes_one_of_ours_with_a_next_step(
    error: Exception, kind: type[Exception]
) -> None:
    found = translated(answer_of(error), "reading", HEAD, "ftps://host:21/exchange")

    assert type(found) is kind
    assert found.message.startswith(f"Reading `{HEAD}` in the exchange folder ftps://host:21/exchange ")
    assert found.next_step
