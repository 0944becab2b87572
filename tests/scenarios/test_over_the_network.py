"""Shops and hub talk over SFTP or FTPS, and connections break: the same figures in the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data_contracts.errors import TransferInterrupted
from deployments.sftp_server import SftpServer, public_line
from tasks import faults
from tasks.exchange import batches, remote
from tasks.exchange.connections import POOL
from tasks.exchange.folder import open_folder
from tasks.settings import load_settings
from tasks.use_cases.checking import check_installation
from tasks.use_cases.exporting import export_orders
from tasks.use_cases.importing import import_waiting
from tests.exchange.ftp_servers import FtpServer, certificate
from tests.exchange.servers import Wire
from tests.scenarios.installation import STORES, Installation, install


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SftpServer]:
    (tmp_path / "served").mkdir()
    with SftpServer(tmp_path / "served", keys=[public_line(tmp_path / "till_key")]) as running:
        yield running
        POOL.close()


@pytest.fixture
def wire(server: SftpServer) -> Iterator[Wire]:
    with Wire(server.port) as between:
        yield between


@pytest.fixture
def ftps(tmp_path: Path) -> Iterator[FtpServer]:
    (tmp_path / "served by ftps").mkdir()
    with FtpServer(tmp_path / "served by ftps", certificate(tmp_path / "ftps.pem")) as running:
        yield running
        POOL.close()


def over(story: Installation, exchange: str) -> Installation:
    """The same installation, with its exchange somewhere else."""
    file = story.folder / "tillbridge.toml"
    text = file.read_text(encoding="utf-8").split("[exchange]")[0]
    file.write_text(f"{text}[exchange]\n{exchange}", encoding="utf-8")
    return Installation(load_settings(file), story.folder, story.invoices)


def over_sftp(story: Installation, server: SftpServer, port: int) -> Installation:
    """The same installation, with its exchange on the SFTP server."""
    return over(
        story,
        f'url = "sftp://till@127.0.0.1:{port}/"\nhost_keys = ["{server.fingerprint}"]\n'
        f'key_file = "{(story.folder.parent / "till_key").as_posix()}"\n',
    )


def over_ftps(story: Installation, server: FtpServer, port: int) -> Installation:
    """The same installation, with its exchange on the FTPS server."""
    (pin,) = server.address.certificates
    return over(story, f'url = "ftps://till:correct%20horse@127.0.0.1:{port}/"\ncertificates = ["{pin}"]\n')


def installed(folder: Path) -> Installation:
    folder.mkdir()
    return install(folder, "sqlite:///hub.db", invoices=20, history=5, orders=True)


@pytest.fixture(scope="module")
def calm_figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[Any, ...]]]:
    """What the hub shows of the same day over a local folder, undisturbed."""
    calm = installed(tmp_path_factory.mktemp("calm") / "story")
    calm.go_live()
    calm.ring_all()
    calm.cycle()
    assert calm.reconcile().unexplained == 0
    return calm.figures()


def cycled(story: Installation) -> bool:
    """Export and import as schedules do it; whether nothing broke off for good."""
    try:
        for code in STORES:
            export_orders(story.settings, code)
        return import_waiting(story.settings).failures == {}
    except TransferInterrupted:
        return False


@pytest.mark.slow
def test_a_day_over_a_connection_that_keeps_breaking_ends_as_on_a_local_folder(
    tmp_path: Path,
    server: SftpServer,
    wire: Wire,
    monkeypatch: pytest.MonkeyPatch,
    calm_figures: dict[str, list[tuple[Any, ...]]],
) -> None:
    monkeypatch.setattr(remote, "PAUSES_SECONDS", (0.0, 0.0))
    story = over_sftp(installed(tmp_path / "story"), server, wire.port)
    story.go_live()
    story.ring_all()

    interrupted = 0
    for attempt in range(40):
        wire.break_after(("up", "down")[attempt % 2], 5_000 * attempt, times=1 + attempt % 5)
        undisturbed = cycled(story)
        interrupted += not undisturbed
        if undisturbed and not wire.cuts_made:
            break
    wire.mend()
    story.cycle()

    assert interrupted >= 2
    assert story.reconcile().unexplained == 0
    assert story.figures() == calm_figures
    left = [path.name for path in (tmp_path / "served").glob("*/orders/*.manifest.json")]
    assert left == [], "all is archived"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sftp", "ftps"])
def test_two_exporters_at_one_sequence_lose_nothing(
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    calm_figures: dict[str, list[tuple[Any, ...]]],
    kind: str,
) -> None:
    """A second PC was set up for the shop while the first one still exports it."""
    story = installed(tmp_path / "story")
    if kind == "sftp":
        sftp_server: SftpServer = request.getfixturevalue("server")
        story = over_sftp(story, sftp_server, sftp_server.port)
    else:
        ftp_server: FtpServer = request.getfixturevalue("ftps")
        story = over_ftps(story, ftp_server, ftp_server.port)
    story.go_live()
    story.ring_all(4)

    def other_exports(point: str) -> None:
        """The first one has read, and knows its sequence; nothing of it is published yet."""
        if point == "batch.publish_files":
            monkeypatch.setattr(faults, "hook", None)
            story.ring_all()
            export_orders(story.settings, "S1")

    monkeypatch.setattr(faults, "hook", other_exports)
    export_orders(story.settings, "S1")

    with open_folder(story.settings) as folder:
        (one, two) = batches.waiting_batches(folder, "S1", "orders")
    assert one[0] == two[0]
    assert one[1] != two[1]
    assert import_waiting(story.settings).failures == {}
    assert story.ask("SELECT count(*) FROM events WHERE type = 'sequence_fork'") == [(1,)]
    story.cycle()
    assert story.reconcile().unexplained == 0
    assert story.figures() == calm_figures


def test_check_says_of_each_thing_that_is_wrong_with_the_server_what_to_do(
    tmp_path: Path, server: SftpServer
) -> None:
    story = over_sftp(installed(tmp_path / "story"), server, server.port)
    file = story.folder / "tillbridge.toml"
    right = file.read_text(encoding="utf-8")

    def exchange(was: str = "", becomes: str = "") -> tuple[bool, str, str]:
        file.write_text(right.replace(was, becomes) if was else right, encoding="utf-8")
        (found,) = [
            result for result in check_installation(load_settings(file)) if result.subject == "exchange"
        ]
        return found.ok, found.detail, found.fix

    ok, detail, fix = exchange()
    assert not ok
    assert "looks like an unmounted share" in detail
    assert "`tillbridge baseline`" in fix
    with open_folder(story.settings) as folder:
        folder.take_into_use()
    assert exchange() == (
        True,
        "the server answers, its host key is the one pinned, the login is accepted; "
        "can be written, read back and renamed",
        "",
    )
    ok, detail, fix = exchange(f'host_keys = ["{server.fingerprint}"]\n', "")
    assert not ok
    assert "is not known yet" in detail
    assert server.fingerprint in fix
    ok, detail, fix = exchange(server.fingerprint, "SHA256:" + "A" * 43)
    assert "somebody may be listening in" in detail
    assert fix.startswith("ask its owner whether the key was changed")
    ok, detail, fix = exchange("till@", "nobody@")
    assert "does not let nobody in" in detail
    ok, detail, fix = exchange("/till_key", "/no_key")
    assert "cannot be read" in detail
    assert fix.startswith("correct key_file")
