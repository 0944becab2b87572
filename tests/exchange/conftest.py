"""Exchange folders of every kind, each with the local directory it lies in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from deployments.sftp_server import SftpServer, public_line
from tasks import faults
from tasks.exchange.connections import POOL, Pool
from tasks.exchange.folder import Folder
from tasks.exchange.local import LocalFolder
from tasks.exchange.remote import RemoteFolder
from tasks.exchange.sessions import Server
from tasks.exchange.ssh import Address
from tests.exchange.ftp_servers import OLD_SERVER, Certificate, FtpServer, KeepsWhatIsThere, certificate
from tests.exchange.servers import OpenSsh, address


class Killed(BaseException):
    """As if the process had ended here."""


@dataclass
class Place:
    """An exchange folder and the directory it lies in, which may not exist yet."""

    root: Path
    open: Callable[[], Folder]
    """Another process's view of it: an adapter that knows nothing yet."""

    def names(self, path: str) -> list[str]:
        """All that lies in a folder, hidden files too."""
        return sorted(found.name for found in (self.root / path).iterdir())


@pytest.fixture
def pool() -> Iterator[Pool]:
    """Connections of one test alone."""
    made = Pool()
    yield made
    made.close()


@pytest.fixture(scope="session")
def till_key(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A private key's file and its public line."""
    file = tmp_path_factory.mktemp("key") / "till_key"
    return file, public_line(file)


@pytest.fixture(scope="session")
def own_server(
    tmp_path_factory: pytest.TempPathFactory, till_key: tuple[Path, str]
) -> Iterator[tuple[SftpServer, Address]]:
    """Our server over the folder of all tests."""
    file, line = till_key
    with SftpServer(tmp_path_factory.getbasetemp(), keys=[line]) as server:
        yield server, address(server.port, key_file=file, pins=[server.fingerprint])
        POOL.close()


@pytest.fixture(scope="session")
def openssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSsh]:
    """OpenSSH's sshd."""
    with OpenSsh(tmp_path_factory.mktemp("sshd")).running() as server:
        yield server
        POOL.close()


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for 127.0.0.1."""
    return certificate(tmp_path_factory.mktemp("certificate") / "server.pem")


@pytest.fixture(scope="session")
def ftps(tmp_path_factory: pytest.TempPathFactory, tls: Certificate) -> Iterator[FtpServer]:
    """FTPS as a server on Unix does it: renames replace."""
    with FtpServer(tmp_path_factory.getbasetemp(), tls) as server:
        yield server
        POOL.close()


@pytest.fixture(scope="session")
def old_ftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FtpServer]:
    """FTP as an old server on Windows does it: names alone, and renames that never replace."""
    with FtpServer(tmp_path_factory.getbasetemp(), without=OLD_SERVER, files=KeepsWhatIsThere) as server:
        yield server
        POOL.close()


KINDS = ["local", "sftp", "openssh", "ftps", "old ftp"]
"""Every kind of exchange folder; all keep the same promises."""


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """An exchange folder that does not exist yet."""
    yield from place_of(request, request.param, tmp_path / "exchange")


@pytest.fixture(params=["sftp", "openssh"])
def sftp_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """One on an SFTP server."""
    yield from place_of(request, request.param, tmp_path / "exchange")


def place_of(request: pytest.FixtureRequest, kind: str, root: Path) -> Iterator[Place]:
    if kind == "local":
        yield Place(root, lambda: LocalFolder(root))
        return
    reach: Server
    if kind == "openssh":
        reach, remote = request.getfixturevalue("openssh").address(), root.as_posix()
    else:
        if kind == "sftp":
            server, reach = request.getfixturevalue("own_server")
        else:
            server = request.getfixturevalue({"ftps": "ftps", "old ftp": "old_ftp"}[kind])
            reach = server.address
        remote = f"/{root.relative_to(server.folder).as_posix()}"
    opened: list[RemoteFolder] = []

    def another() -> Folder:
        opened.append(RemoteFolder(reach, remote))
        return opened[-1]

    yield Place(root, another)
    for folder in opened:
        folder.close()


@pytest.fixture
def folder(place: Place) -> Folder:
    """The adapter of `place`."""
    return place.open()


@pytest.fixture
def kill_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], pytest.MonkeyPatch]:
    """Let the run end at a fault point."""

    def arm(name: str) -> pytest.MonkeyPatch:
        def hook(point: str) -> None:
            if point == name:
                raise Killed(point)

        monkeypatch.setattr(faults, "hook", hook)
        return monkeypatch

    return arm


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """New tries follow at once; the pauses that would have been made."""
    made: list[float] = []
    clock = SimpleNamespace(sleep=made.append, monotonic=time.monotonic)
    monkeypatch.setattr("tasks.exchange.remote.time", clock)  # there alone: paramiko sleeps, too
    return made
