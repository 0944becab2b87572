"""Whom we talk to over FTPS and FTP, how we log in, and what is said of each thing that can be wrong."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from data_contracts.errors import ConfigurationError, TransferInterrupted
from tasks.exchange import connections, sessions
from tasks.exchange.connections import Pool
from tasks.exchange.folder import open_folder
from tasks.exchange.ftp_login import Address, read_address
from tasks.exchange.remote import RemoteFolder
from tasks.use_cases.checking import check_installation
from tests.exchange.ftp_servers import PASSWORD, Certificate, FtpServer, certificate
from tests.exchange.logging_in import logged_in, settings_of

OTHER = ":".join(["AB"] * 32)


@pytest.fixture
def server(tmp_path: Path, tls: Certificate) -> Iterator[FtpServer]:
    (tmp_path / "exchange").mkdir()
    with FtpServer(tmp_path / "exchange", tls) as running:
        yield running


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[FtpServer]:
    (tmp_path / "plain").mkdir()
    with FtpServer(tmp_path / "plain") as running:
        yield running


def test_a_certificate_that_nobody_vouches_for_is_refused_before_the_login_and_shown(
    server: FtpServer, tls: Certificate, pool: Pool
) -> None:
    with pytest.raises(ConfigurationError, match="is not trusted: self-signed certificate") as caught:
        logged_in(replace(server.address, certificates=()), pool)

    assert f'certificates = ["{tls.fingerprint}"] under [exchange]' in caught.value.next_step
    assert set(server.said) == {"AUTH TLS"}


def test_another_certificate_than_the_pinned_one_is_refused_before_the_login(
    server: FtpServer, tls: Certificate, pool: Pool
) -> None:
    with pytest.raises(ConfigurationError, match="somebody may be listening in") as caught:
        logged_in(replace(server.address, certificates=(OTHER,)), pool)

    assert tls.fingerprint in caught.value.message
    assert OTHER in caught.value.message
    assert server.said == ["AUTH TLS"]


def test_a_certificate_that_is_being_renewed_may_be_pinned_beside_the_old_one(
    server: FtpServer, tls: Certificate, pool: Pool
) -> None:
    logged_in(replace(server.address, certificates=(OTHER, tls.fingerprint)), pool)


def test_a_certificate_in_ca_file_is_trusted_for_its_own_name_alone(
    server: FtpServer, tls: Certificate, pool: Pool, tmp_path: Path
) -> None:
    logged_in(replace(server.address, certificates=(), ca_file=tls.file), pool)

    strange = certificate(tmp_path / "strange.pem", "files.example.com")
    (tmp_path / "strange").mkdir()
    with (
        FtpServer(tmp_path / "strange", strange) as other,
        pytest.raises(ConfigurationError, match="not trusted: IP address mismatch"),
    ):
        logged_in(replace(other.address, certificates=(), ca_file=strange.file), pool)
    assert "USER till" not in other.said


def test_a_ca_file_that_is_none_is_named_before_anything_is_sent(
    server: FtpServer, pool: Pool, tmp_path: Path
) -> None:
    (tmp_path / "empty.pem").touch()
    for name, reason in (("none.pem", "No such file"), ("empty.pem", "it holds no certificate")):
        with pytest.raises(ConfigurationError, match=reason):
            logged_in(replace(server.address, certificates=(), ca_file=tmp_path / name), pool)
    assert server.connections == 0


def test_a_server_without_tls_never_hears_the_name(plain: FtpServer, pool: Pool) -> None:
    with pytest.raises(ConfigurationError, match="offers no TLS") as caught:
        logged_in(replace(plain.address, tls=True), pool)

    assert "Neither name nor password was sent" in caught.value.message
    assert plain.said == []


def test_a_server_that_demands_tls_does_not_let_in_without(server: FtpServer, pool: Pool) -> None:
    with pytest.raises(ConfigurationError, match=r"does not let till in .* SSL/TLS required"):
        logged_in(replace(server.address, tls=False), pool)


def test_plain_ftp_works_and_is_warned_of(
    plain: FtpServer, pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    logged_in(plain.address, pool)

    (warning,) = [found for found in caplog.records if found.name == "tasks.exchange.ftp_login"]
    assert warning.levelname == "WARNING"
    assert "encrypts nothing" in warning.message


def test_a_wrong_password_is_final_and_is_not_shown(server: FtpServer, pool: Pool) -> None:
    wrong = replace(server.address, password="wrong-password")

    with pytest.raises(ConfigurationError, match="does not let till in by the password in url") as caught:
        logged_in(wrong, pool)

    assert "wrong-password" not in str(caught.value) + repr(wrong)
    assert server.said.count("USER till") == 1, "a second try could lock the account"


def test_a_server_that_repeats_the_password_in_its_answer_is_not_repeated(
    tmp_path: Path, tls: Certificate, pool: Pool
) -> None:
    def repeat(handler: object, line: str) -> None:
        handler.respond(f"530 PASS {line}: who are you?")  # type: ignore[attr-defined]

    with (
        FtpServer(tmp_path, tls, ftp_PASS=repeat) as server,
        pytest.raises(ConfigurationError, match=r"`530 PASS \*\*\*: who are you\?`") as caught,
    ):
        logged_in(server.address, pool)
    error: BaseException | None = caught.value
    while error is not None:
        assert PASSWORD not in str(error)
        error = error.__cause__


@pytest.mark.parametrize("answer", ["331", "230"])
def test_a_login_that_is_cut_off_is_no_refusal_and_not_tried_again_at_once(
    server: FtpServer, pool: Pool, no_pauses: list[float], answer: str
) -> None:
    server.loses = answer

    with pytest.raises(TransferInterrupted, match="hung up while till logged in") as caught:
        logged_in(server.address, pool)

    assert "check user and password" in caught.value.next_step
    assert (no_pauses, server.connections) == ([], 1)


def test_a_server_that_is_not_there_or_never_says_a_word_may_come_back(
    server: FtpServer, pool: Pool, no_pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TransferInterrupted, match="cannot be reached: Connection refused"):
        logged_in(replace(server.address, port=port), pool)
    assert no_pauses == [0.5, 2.0]
    with pytest.raises(TransferInterrupted, match="its name cannot be resolved"):
        logged_in(replace(server.address, host="no-such-host.invalid"), pool)

    monkeypatch.setattr(sessions, "LOGIN_SECONDS", 0.2)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(TransferInterrupted, match="cannot be reached: no answer in time"),
    ):
        logged_in(replace(server.address, port=silent.getsockname()[1]), pool)


def test_a_connection_is_used_again_by_the_next_use_case_unless_it_broke_or_lay_idle(
    server: FtpServer, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged_in(server.address, pool)
    logged_in(server.address, pool)
    assert server.connections == 1

    with (
        RemoteFolder(server.address, "/", pool=pool) as one,
        RemoteFolder(server.address, "/", pool=pool) as two,
    ):
        assert one.list("S1") == two.list("S1") == []
    assert server.connections == 2

    server.hang_up()
    logged_in(server.address, pool)
    assert server.connections == 3
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.0)
    logged_in(server.address, pool)
    assert server.connections == 4


def test_the_settings_open_a_folder_on_the_server_and_errors_keep_the_password(
    tmp_path: Path, tls: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = "c@rrect:horse/"
    monkeypatch.setenv("FTPS_PASSWORD", password)
    pin = tls.fingerprint.replace(":", "").lower()
    (tmp_path / "exchange").mkdir()
    with FtpServer(tmp_path / "exchange", tls, password=password) as server:
        settings = settings_of(
            tmp_path,
            f'url = "ftps://till:${{FTPS_PASSWORD}}@127.0.0.1:{server.port}/~/shops"\n'
            f'certificates = ["{pin}"]',
        )
        with open_folder(settings) as folder:
            folder.take_into_use()
            folder.publish("S1/orders/a.csv", b"one")
        connections.POOL.close()

    assert (tmp_path / "exchange/shops/S1/orders/a.csv").read_bytes() == b"one"
    assert "c@rrect" not in repr(settings) + repr(read_address(settings))


@pytest.mark.parametrize(
    "spelled",
    [
        OTHER,
        OTHER.lower(),
        OTHER.replace(":", ""),
        f"SHA256:{OTHER}",
        f"sha256 Fingerprint={OTHER}",
    ],
)
def test_a_fingerprint_may_be_spelled_as_tools_print_it(tmp_path: Path, spelled: str) -> None:
    found, folder = read_address(
        settings_of(
            tmp_path,
            f'url = "FTPS://till:secret@host/folder"\ncertificates = ["{spelled}"]\nca_file = "ca.pem"',
        )
    )

    assert found == Address("host", 21, "till", "secret", True, (OTHER,), tmp_path / "ca.pem")
    assert folder == "/folder"


@pytest.mark.parametrize("pin", ["SHA256:" + "A" * 43, "AB:CD", OTHER + ":AB", "", "yes"])
def test_a_fingerprint_that_is_none_is_found_before_it_is_needed(tmp_path: Path, pin: str) -> None:
    with pytest.raises(ConfigurationError, match="is not the SHA-256 fingerprint of a certificate"):
        settings_of(tmp_path, f'url = "ftps://till:secret@host/folder"\ncertificates = ["{pin}"]')


def test_check_says_how_the_server_is_known_and_warns_where_nothing_is_encrypted(
    tmp_path: Path, server: FtpServer, plain: FtpServer, tls: Certificate
) -> None:
    def checked(scheme: str, port: int, more: str = "") -> str:
        url = f"{scheme}://till:correct%20horse@127.0.0.1:{port}/"
        settings = settings_of(tmp_path, f'url = "{url}"\n{more}')
        with open_folder(settings) as folder:
            folder.take_into_use()
        (found,) = [one for one in check_installation(settings) if one.subject == "exchange"]
        connections.POOL.close()
        assert found.ok
        return found.detail

    works = "the login is accepted; can be written, read back and renamed"
    pinned = checked("ftps", server.port, f'certificates = ["{tls.fingerprint}"]')
    assert pinned == f"the server answers, its certificate is the one pinned, {works}"
    trusted = checked("ftps", server.port, f'ca_file = "{tls.file.as_posix()}"')
    assert trusted == f"the server answers, its certificate is trusted, {works}"
    warned = checked("ftp", plain.port)
    assert warned.startswith(f"the server answers, {works}; WARNING: ftp:// encrypts nothing")
