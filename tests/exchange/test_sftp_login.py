"""Whom we talk to over SFTP, how we log in, and what is said of each thing that can be wrong with it."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from data_contracts.errors import ConfigurationError, TillbridgeError, TransferInterrupted
from deployments.sftp_server import SftpServer, public_line
from tasks.exchange import connections, sessions
from tasks.exchange.connections import Pool
from tasks.exchange.folder import open_folder
from tasks.exchange.local import LocalFolder
from tasks.exchange.remote import RemoteFolder
from tasks.exchange.ssh import Address, read_address, read_pin
from tests.exchange.logging_in import logged_in, settings_of
from tests.exchange.servers import OpenSsh, Wire, address

OTHER = "SHA256:" + "A" * 43
PASSWORD = "correct horse"


@pytest.fixture
def server(tmp_path: Path, till_key: tuple[Path, str]) -> Iterator[SftpServer]:
    (tmp_path / "exchange").mkdir()
    with SftpServer(tmp_path / "exchange", keys=[till_key[1]], password=PASSWORD) as running:
        yield running


@pytest.fixture
def reach(server: SftpServer, till_key: tuple[Path, str]) -> Address:
    return address(server.port, key_file=till_key[0], pins=[server.fingerprint])


def test_a_server_without_a_pin_is_refused_before_the_login_and_its_key_is_shown(
    server: SftpServer, reach: Address, pool: Pool
) -> None:
    with pytest.raises(ConfigurationError, match="is not known yet") as caught:
        logged_in(replace(reach, pins=()), pool)

    assert server.fingerprint in caught.value.message
    assert f'host_keys = ["{server.fingerprint}"] under [exchange]' in caught.value.next_step
    assert (server.login_attempts, server.connections) == (0, 1)


def test_a_server_with_another_key_is_refused_before_the_login_and_both_keys_are_shown(
    server: SftpServer, reach: Address, pool: Pool
) -> None:
    with pytest.raises(ConfigurationError, match="somebody may be listening in") as caught:
        logged_in(replace(reach, pins=(read_pin(OTHER),)), pool)

    assert server.fingerprint in caught.value.message
    assert OTHER in caught.value.message
    assert server.login_attempts == 0
    assert not list(server.folder.iterdir())


def test_a_key_that_is_being_rotated_may_be_pinned_beside_the_old_one(reach: Address, pool: Pool) -> None:
    logged_in(replace(reach, pins=(read_pin(OTHER), *reach.pins)), pool)


@pytest.mark.parametrize("name", ["host_ed25519", "host_rsa"])
@pytest.mark.parametrize("form", ["line", "fingerprint", "bare"])
def test_openssh_is_known_by_each_of_its_keys_in_each_form(
    openssh: OpenSsh, pool: Pool, name: str, form: str
) -> None:
    """A server shows the key that is asked for: an RSA pin used to meet its Ed25519 key, as if attacked."""
    pin = {
        "line": f"127.0.0.1 {openssh.line(name)}",
        "fingerprint": openssh.fingerprint(name),
        "bare": openssh.fingerprint(name).split()[1],
    }[form]

    with RemoteFolder(replace(openssh.address(), pins=(read_pin(pin),)), ".", pool=pool) as folder:
        assert not folder.exists("no such file")


def test_openssh_with_another_key_never_hears_the_name(openssh: OpenSsh, pool: Pool, tmp_path: Path) -> None:
    other = public_line(tmp_path / "other")

    for pin in (OTHER, other):
        with pytest.raises(ConfigurationError, match=r"somebody may be listening in|kinds pinned"):
            logged_in(replace(openssh.address(), user="kept-back", pins=(read_pin(pin),)), pool)
    with pytest.raises(ConfigurationError, match="does not let told in"):
        logged_in(replace(openssh.address(), user="told"), pool)

    until = time.monotonic() + 20
    while "Invalid user told " not in openssh.log:
        assert time.monotonic() < until, openssh.log
        time.sleep(0.05)
    assert "kept-back" not in openssh.log


def test_a_password_logs_in_where_there_is_no_key(server: SftpServer, pool: Pool, reach: Address) -> None:
    logged_in(replace(reach, key_file=None, password=PASSWORD), pool)

    assert [path.name for path in server.folder.iterdir()] == [".tillbridge-exchange"]


def test_a_wrong_password_is_final_and_is_not_shown(server: SftpServer, pool: Pool, reach: Address) -> None:
    with pytest.raises(ConfigurationError, match="does not let till in by the password in url") as caught:
        logged_in(replace(reach, key_file=None, password="wrong-password"), pool)

    assert "wrong-password" not in str(caught.value)
    assert "wrong-password" not in repr(replace(reach, password="wrong-password"))
    assert server.login_attempts == 1, "a second try could lock the account"


def test_a_wrong_key_is_final(server: SftpServer, pool: Pool, reach: Address, tmp_path: Path) -> None:
    public_line(tmp_path / "other")

    with pytest.raises(ConfigurationError, match="does not let till in by the key in key_file: it does not"):
        logged_in(replace(reach, key_file=tmp_path / "other"), pool)
    assert server.login_attempts == 1


def test_openssh_that_knows_another_key_or_takes_no_password_is_final(
    openssh: OpenSsh, pool: Pool, tmp_path: Path
) -> None:
    public_line(tmp_path / "other")

    with pytest.raises(ConfigurationError, match=r"does not let .* in by the key in key_file"):
        logged_in(replace(openssh.address(), key_file=tmp_path / "other"), pool)
    with pytest.raises(ConfigurationError, match="it only takes publickey"):
        logged_in(replace(openssh.address(), key_file=None, password="secret"), pool)


def test_a_server_that_hangs_up_on_a_wrong_key_is_not_tried_again_at_once(
    tmp_path: Path, pool: Pool, no_pauses: list[float]
) -> None:
    """Three tries in three seconds used to spend the tries that an account has."""
    public_line(tmp_path / "other")
    with (
        OpenSsh(tmp_path / "sshd", options="MaxAuthTries 1").running() as server,
        Wire(server.port) as wire,
    ):
        with pytest.raises(TransferInterrupted, match=r"hung up while .* logged in by the key") as caught:
            logged_in(replace(server.address(wire.port), key_file=tmp_path / "other"), pool)
        assert wire.connections == 1

    assert "check user, password and key_file" in caught.value.next_step
    assert no_pauses == []


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_keys_of_each_kind_with_a_passphrase_and_line_ends_of_windows_log_in(
    openssh: OpenSsh, server: SftpServer, pool: Pool, reach: Address, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "with passphrase"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", "geheim", "-C", "till", "-f", str(file)], check=True
    )
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    server.keys = (file.with_suffix(".pub").read_text().strip(),)

    logged_in(replace(reach, key_file=file, key_passphrase="geheim"), pool)
    with pytest.raises(ConfigurationError, match="has a passphrase") as caught:
        logged_in(replace(reach, key_file=file), Pool())
    assert caught.value.next_step == "set key_passphrase in [exchange]"
    with pytest.raises(ConfigurationError, match="no private key that can be used") as caught:
        logged_in(replace(reach, key_file=file, key_passphrase="falsch"), Pool())
    assert caught.value.next_step.startswith("correct key_passphrase")
    assert "falsch" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        (b"ssh-ed25519 AAAA a public key\n", "holds no private key"),
        (b"PuTTY-User-Key-File-3: ssh-ed25519\r\n", "is in PuTTY's format"),
        (b"\xff\xfe", "cannot be read: it is not a text file"),
    ],
)
def test_a_key_file_that_is_none_is_named_before_anything_is_sent(
    server: SftpServer, pool: Pool, reach: Address, tmp_path: Path, content: bytes | None, message: str
) -> None:
    file = tmp_path / "till_key"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(ConfigurationError, match=message) as caught:
        logged_in(replace(reach, key_file=file), pool)
    assert str(file) in caught.value.message
    assert server.connections == 0


def test_a_server_that_is_not_there_or_has_no_such_name_may_come_back(
    pool: Pool, reach: Address, no_pauses: list[float]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(TransferInterrupted, match="cannot be reached: Connection refused"):
        logged_in(replace(reach, port=port), pool)
    assert no_pauses == [0.5, 2.0]
    with pytest.raises(TransferInterrupted, match="its name cannot be resolved"):
        logged_in(replace(reach, host="no-such-host.invalid"), pool)


def test_a_server_that_never_says_a_word_is_given_up(
    pool: Pool, reach: Address, no_pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "LOGIN_SECONDS", 0.3)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(TransferInterrupted, match="cannot be reached"),
    ):
        logged_in(replace(reach, port=listener.getsockname()[1]), pool)


@pytest.mark.parametrize("subsystem", ["/no/such/program", "/bin/sleep 3", "/bin/echo Welcome"])
def test_a_server_that_lets_in_but_has_no_sftp_is_told_apart(
    tmp_path: Path,
    pool: Pool,
    no_pauses: list[float],
    monkeypatch: pytest.MonkeyPatch,
    subsystem: str,
) -> None:
    monkeypatch.setattr(sessions, "ANSWER_SECONDS", 0.5)

    with OpenSsh(tmp_path / "sshd", subsystem=subsystem).running() as server:
        with pytest.raises(TransferInterrupted, match="in but did not start SFTP") as caught:
            logged_in(server.address(), pool)
        assert caught.value.next_step.endswith("ask its owner whether this account may use SFTP")


def test_something_else_than_ssh_on_the_port_is_named(
    pool: Pool, reach: Address, no_pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "LOGIN_SECONDS", 1.0)
    with SilentHttp() as port, pytest.raises(TransferInterrupted, match="cannot be reached"):
        logged_in(replace(reach, port=port), pool)


def test_a_connection_is_used_again_by_the_next_use_case_and_by_one_at_a_time(
    server: SftpServer, pool: Pool, reach: Address
) -> None:
    logged_in(reach, pool)
    logged_in(reach, pool)
    assert server.connections == 1

    with RemoteFolder(reach, "/", pool=pool) as one, RemoteFolder(reach, "/", pool=pool) as other:
        assert one.list("S1") == other.list("S1") == []
    assert server.connections == 2
    logged_in(replace(reach, key_file=None, password=PASSWORD), pool)
    assert server.connections == 3, "another login is another connection"


def test_a_connection_that_broke_or_lay_idle_for_long_is_made_anew(
    server: SftpServer, pool: Pool, reach: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged_in(reach, pool)
    server.disconnect()
    logged_in(reach, pool)
    assert server.connections == 2

    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.0)
    logged_in(reach, pool)
    assert server.connections == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows does not fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_leaves_its_parent_s_connection_alone(
    server: SftpServer, pool: Pool, reach: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It wrote into the same encrypted stream, waited 30 s for an answer, and the server hung up on both."""
    logged_in(reach, pool)

    child = os.fork()
    if child == 0:
        monkeypatch.setattr(connections, "_connect", lambda address: os._exit(0))
        pool.take(reach)
        os._exit(1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "it makes one of its own"
    logged_in(reach, pool)
    assert server.connections == 1


def test_a_connection_on_which_a_run_was_killed_is_not_used_again(
    server: SftpServer, pool: Pool, reach: Address
) -> None:
    with suppress(KeyboardInterrupt), RemoteFolder(reach, "/", pool=pool) as folder:
        folder.take_into_use()
        raise KeyboardInterrupt
    logged_in(reach, pool)

    assert server.connections == 2


def test_the_settings_open_a_folder_on_the_server_and_errors_keep_the_password(
    tmp_path: Path, server: SftpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SFTP_PASSWORD", "c@rrect:horse/")
    server.password = "c@rrect:horse/"
    settings = settings_of(
        tmp_path,
        f'url = "sftp://till:${{SFTP_PASSWORD}}@127.0.0.1:{server.port}/"\n'
        f'host_keys = ["{server.fingerprint}"]',
    )

    with open_folder(settings) as folder:
        folder.take_into_use()
        folder.publish("S1/orders/a.csv", b"one")

    assert (server.folder / "S1/orders/a.csv").read_bytes() == b"one"
    assert "c@rrect" not in repr(settings)


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("sftp://till@host/folder/below/", "/folder/below"),
        ("sftp://till@host/", "/"),
        ("sftp://till@host/~/folder", "folder"),
        ("sftp://till@host/~", "."),
        ("SFTP://till@host/C:/exchange%20folder", "/C:/exchange folder"),
    ],
)
def test_the_folder_of_an_address(tmp_path: Path, url: str, folder: str) -> None:
    address, found = read_address(settings_of(tmp_path, f'url = "{url}"\nkey_file = "till_key"'))

    assert found == folder
    assert (address.host, address.port, address.user) == ("host", 22, "till")
    assert address.key_file == tmp_path / "till_key"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sftp://host/folder", "it names no user"),
        ("sftp://till:secret@/folder", "it names no host"),
        ("sftp://till:secret@host", "it names no folder"),
        ("sftp://till:sec/ret@host/folder", "cannot be told apart"),
        ("sftp://till:secret@host/folder?x=1", "it has a `[?]` or `#`"),
        ("sftp://till@host/folder", "nothing to log in with"),
        ("ftps://till:sec/ret@host/folder", "not an FTPS address: host and port cannot be told apart"),
        ("ftp://till:secret@host", "not an FTP address: it names no folder"),
        ("ftps://till@host/folder", "nothing to log in with"),
        ("ftps://till:secret@host:990/folder", "is for implicit TLS"),
        ("ftps://till:secret%0A@host/folder", "holds the end of a line"),
    ],
)
def test_an_address_that_is_none_says_what_lacks_and_shows_no_password(
    tmp_path: Path, url: str, message: str
) -> None:
    with (
        pytest.raises(ConfigurationError, match=message) as caught,
        open_folder(settings_of(tmp_path, f'url = "{url}"')),
    ):
        raise AssertionError("opened")
    assert "sec" not in str(caught.value).replace("seconds", "")


def test_a_folder_on_this_machine_needs_no_login(tmp_path: Path) -> None:
    with open_folder(settings_of(tmp_path, "")) as folder:
        assert isinstance(folder, LocalFolder)
        assert folder.root == tmp_path / "exchange"


@pytest.mark.parametrize(
    "pin", ["MD5:aa:bb", "SHA256:short", "ssh-ed25519", "", "yes", "ssh-ed25519 BBBB", "ssh-ed25519 AAAA="]
)
def test_a_pin_that_is_none_is_found_before_it_is_needed(tmp_path: Path, pin: str) -> None:
    with pytest.raises(ConfigurationError):
        read_address(
            settings_of(tmp_path, f'url = "sftp://till@host/folder"\nkey_file = "k"\nhost_keys = ["{pin}"]')
        )


class SilentHttp:
    """A server that greets as a web server does."""

    def __enter__(self) -> int:
        self.listener = socket.create_server(("127.0.0.1", 0))

        def answer() -> None:
            while True:
                try:
                    client, _ = self.listener.accept()
                except OSError:
                    return
                with client:
                    client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        return int(self.listener.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def test_a_login_that_is_cut_off_is_no_refusal(
    server: SftpServer, pool: Pool, reach: Address, no_pauses: list[float]
) -> None:
    """paramiko calls both of them an authentication that failed."""
    with Wire(server.port) as wire:
        folder = RemoteFolder(replace(reach, port=wire.port), "/", pool=pool)
        folder.take_into_use()
        whole = wire.passed["up"]
        folder.close()
        pool.close()
        outcomes: set[type[TillbridgeError] | None] = set()
        for count in range(0, whole, whole // 12):
            wire.break_after("up", count, times=9)
            try:
                with RemoteFolder(replace(reach, port=wire.port), "/", pool=pool) as cut:
                    cut.exists("a")
                outcomes.add(None)
            except TillbridgeError as error:
                outcomes.add(type(error))
            wire.mend()

    assert outcomes <= {TransferInterrupted, None}
    assert TransferInterrupted in outcomes
