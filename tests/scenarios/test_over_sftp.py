"""Shops and hub talk over SFTP, and the connection breaks: the same orders, levels and figures in the end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_contracts.errors import TransferInterrupted
from data_contracts.manifest import Mark
from deployments.sftp_server import SftpServer, public_line
from tasks.exchange import batches, remote
from tasks.exchange.batches import Content, Draft
from tasks.exchange.connections import POOL
from tasks.exchange.folder import open_folder
from tasks.settings import load_settings
from tasks.use_cases.checking import check_installation
from tasks.use_cases.exporting import export_orders
from tasks.use_cases.importing import import_waiting
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


def over_sftp(story: Installation, server: SftpServer, port: int) -> Installation:
    """The same installation, with its exchange on the server."""
    file = story.folder / "tillbridge.toml"
    text = file.read_text(encoding="utf-8").split("[exchange]")[0]
    exchange = (
        f'[exchange]\nurl = "sftp://till@127.0.0.1:{port}/"\nhost_keys = ["{server.fingerprint}"]\n'
        f'key_file = "{(story.folder.parent / "till_key").as_posix()}"\n'
    )
    file.write_text(text + exchange, encoding="utf-8")
    return Installation(load_settings(file), story.folder, story.invoices)


def installed(folder: Path) -> Installation:
    folder.mkdir()
    return install(folder, "sqlite:///hub.db", invoices=20, history=5, orders=True)


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
    tmp_path: Path, server: SftpServer, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "PAUSES_SECONDS", (0.0, 0.0))
    calm = installed(tmp_path / "calm")
    calm.go_live()
    calm.ring_all()
    calm.cycle()
    assert calm.reconcile().unexplained == 0
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
    assert story.figures() == calm.figures()
    left = [path.name for path in (tmp_path / "served").glob("*/orders/*.manifest.json")]
    assert left == [], "all is archived"


def test_two_exporters_at_one_sequence_lose_nothing(tmp_path: Path, server: SftpServer) -> None:
    story = over_sftp(installed(tmp_path / "story"), server, server.port)
    with open_folder(story.settings) as folder:
        folder.take_into_use()
    both = threading.Barrier(2)

    def export(number: int) -> None:
        draft = Draft(
            program_version="0",
            store="S1",
            epoch=1,
            stream="orders",
            created_utc="2026-01-01T00:00:00Z",
            range_to=Mark(rowversion=number),
        )
        with open_folder(story.settings) as folder:
            assert batches.newest_sequence(folder, "S1", "orders") == 0
            both.wait()
            batches.publish_batch(folder, draft, {"tickets": Content(b"%d" % number, 1)})

    exporters = [threading.Thread(target=export, args=(number,)) for number in (1, 2)]
    for exporter in exporters:
        exporter.start()
    for exporter in exporters:
        exporter.join()

    with open_folder(story.settings) as folder:
        waiting = batches.waiting_batches(folder, "S1", "orders")
        manifests = [batches.fetch_manifest(folder, "S1", "orders", *name) for name in waiting]
        contents = {batches.fetch_files(folder, manifest)["tickets"] for manifest in manifests}
        newest = batches.newest_position(folder, "S1", "orders")
    assert contents == {b"1", b"2"}
    assert {sequence for sequence, _ in waiting} <= {1, 2}
    assert newest is not None
    assert newest.sequence == max(sequence for sequence, _ in waiting)


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
