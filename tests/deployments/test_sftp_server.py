"""The small SFTP server of the demo: one folder, one login, this machine alone."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from data_contracts.errors import ConfigurationError
from deployments.sftp_server import SftpServer, public_line
from tasks.exchange.folder import open_folder
from tasks.exchange.ssh import log_in, open_sftp
from tasks.settings import load_settings
from tests.exchange.servers import address


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SftpServer]:
    (tmp_path / "served").mkdir()
    (tmp_path / "secret.txt").write_text("nobody's business")
    with SftpServer(tmp_path / "served", keys=[public_line(tmp_path / "till_key")]) as running:
        yield running


@pytest.fixture
def client(server: SftpServer, tmp_path: Path) -> Iterator[paramiko.SFTPClient]:
    reach = address(server.port, key_file=tmp_path / "till_key", pins=[server.fingerprint])
    transport = log_in(reach)
    yield open_sftp(transport, reach)
    transport.close()


@pytest.mark.parametrize("path", ["../secret.txt", "/../secret.txt", "/a/../../secret.txt", "..\\secret.txt"])
def test_no_path_leads_out_of_the_folder(client: paramiko.SFTPClient, path: str) -> None:
    with pytest.raises(FileNotFoundError):
        client.stat(path)
    with pytest.raises(FileNotFoundError):
        client.open(path)


def test_a_rename_refuses_a_taken_name_and_a_posix_rename_takes_it(
    client: paramiko.SFTPClient, server: SftpServer
) -> None:
    (server.folder / "a").write_text("one")
    (server.folder / "b").write_text("two")

    with pytest.raises(OSError, match="Failure"):
        client.rename("/a", "/b")
    assert (server.folder / "b").read_text() == "two"
    client.posix_rename("/a", "/b")
    assert (server.folder / "b").read_text() == "one"
    assert client.listdir("/") == ["b"]


def test_what_a_client_may_not_do_is_said_in_the_words_of_the_protocol(
    client: paramiko.SFTPClient, server: SftpServer
) -> None:
    for use in (client.stat, client.listdir, client.remove, client.open):
        with pytest.raises(FileNotFoundError):
            use("/nothing")
    client.mkdir("/folder")
    with pytest.raises(OSError, match="Failure"):
        client.mkdir("/folder")
    assert [path.name for path in server.folder.iterdir()] == ["folder"]


def test_it_stops_with_its_block(tmp_path: Path) -> None:
    with SftpServer(tmp_path, keys=[public_line(tmp_path / "till_key")]) as server:
        socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
        port = server.port

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_a_key_file_of_another_make_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("no key")

    with pytest.raises(ConfigurationError, match="cannot be used"):
        public_line(tmp_path / "other")
    assert public_line(tmp_path / "new") == public_line(tmp_path / "new")


def test_a_port_that_is_taken_is_named(tmp_path: Path, server: SftpServer) -> None:
    with pytest.raises(ConfigurationError, match=f"Port {server.port} cannot be listened on"):
        SftpServer(tmp_path, port=server.port)


def test_the_command_serves_with_the_settings_it_prints(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "deployments.cli", "sample", "sftp", str(tmp_path / "exchange")]
    options = ["--port", str(port), "--key-file", str(tmp_path / "till_key")]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen([*command, *options], cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = ""
        while "key_file" not in printed:
            line = process.stdout.readline()
            assert line, printed
            printed += line
        (tmp_path / "tillbridge.toml").write_text(printed[printed.index("[exchange]") :], encoding="utf-8")
        with open_folder(load_settings(tmp_path / "tillbridge.toml")) as folder:
            folder.take_into_use()
            folder.publish("S1/orders/a.csv", b"one")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0

    assert re.match(r"Serving .* until Ctrl-C\.", printed)
    assert (tmp_path / "exchange/S1/orders/a.csv").read_bytes() == b"one"
