"""Whatever happens to a batch on its way, the others go on, it is said aloud, and one command mends it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from data_contracts.manifest import Head, Manifest
from tasks import faults
from tasks.exchange import batches
from tasks.use_cases import exporting
from tasks.use_cases.importing import import_waiting
from tasks.use_cases.reconciling import reconcile_stores
from tasks.use_cases.standing import show_standing
from tasks.use_cases.stating import publish_statement
from tests.scenarios.spoiling import (
    Bridge,
    Spoil,
    altered,
    build,
    cut,
    lost,
    manifest_of_another,
    open_bridge,
    swapped,
)

REJECTED = {rule: ("batch_rejected", f'{{"reasons": ["{rule}"]}}') for rule in ("altered", "unreadable")}
AGAIN = "run `tillbridge resend S1 --batch 1` at the store"
ALL_SOLD = {"SKU-1": 2, "SKU-2": 2}


class Killed(BaseException):
    """As if the process had ended here."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Path:
    """Two batches wait; the shop and the hub stand still."""
    folder = tmp_path_factory.mktemp("bridge")
    build(folder, migrated_file)
    return folder


@pytest.fixture
def bridge(template: Path, tmp_path: Path) -> Bridge:
    """A copy of it to be spoiled."""
    return open_bridge(Path(shutil.copytree(template, tmp_path / "bridge")))


def assert_mended(bridge: Bridge) -> None:
    """All three tickets are booked once, nothing waits, and nobody has to do anything."""
    assert bridge.tickets() == [1, 2, 3]
    assert bridge.sold() == ALL_SOLD
    assert bridge.outstanding() == []
    standing = show_standing(bridge.settings)
    assert standing.lacking == ()
    assert "nothing needs a person" in standing.sentence
    publish_statement(bridge.shop.settings, "S1", days=None, now=bridge.shop.now)
    bridge.import_waiting()
    result = reconcile_stores(bridge.settings)
    assert (result.unexplained, result.findings, result.explained) == (0, (), ())
    assert bridge.take_in() == []


# -- spoiled on the way -------------------------------------------------------------------------------
SPOILED: list[tuple[str, Spoil, str, str]] = [
    ("manifest cut in half", cut("manifest", 0.5), "unreadable", "is not a readable manifest"),
    ("tickets stored as empty", cut("tickets", 0), "altered", "tickets.csv has 0 bytes, its manifest says"),
    ("a byte altered", altered("ticket_lines"), "altered", "ticket_lines.csv does not have the SHA-256"),
    ("a file lost for an hour", lost("tenders"), "altered", "tenders.csv is not there"),
]
SPOILED_OTHERWISE: list[tuple[str, Spoil, str, str]] = [
    *(
        (f"manifest cut at {at}", cut("manifest", at), "unreadable", "is not a readable manifest")
        for at in (0, 0.01, -3)
    ),
    *(
        (f"{role} cut at {at}", cut(role, at), "altered", f"{role}.csv has ")
        for role, at in (("tickets", 0.5), ("ticket_lines", -1), ("tenders", -20), ("orders", 0.3))
    ),
    ("files swapped", swapped, "altered", "tickets.csv has "),
    ("manifest of another", manifest_of_another, "altered", "its manifest says that it is S1/orders/000002-"),
]


@pytest.mark.parametrize(
    ("spoil", "rule"), [(cut("manifest", 0.5), "unreadable"), (altered("ticket_lines"), "altered")]
)
def test_dry_run_of_an_import_tells_of_a_spoiled_batch_and_rejects_nothing(
    spoil: Spoil, rule: str, bridge: Bridge
) -> None:
    """It rejected, answered and archived the batch for good, and said that nothing waits."""
    spoil(bridge)
    folder = sorted(path for path in bridge.stream.rglob("*"))

    summary = import_waiting(bridge.settings, dry_run=True)

    assert summary.batches == ()
    told = [(batch.state, [reason.rule for reason in batch.reasons]) for batch in summary.checked]
    assert told == [("rejected", [rule]), ("checked", [])]
    assert sorted(path for path in bridge.stream.rglob("*")) == folder
    assert bridge.ask("SELECT path FROM batches WHERE stream = 'orders'") == []
    assert bridge.events("batch_rejected") == []


@pytest.mark.parametrize(
    ("spoil", "rule", "said"),
    [
        *(pytest.param(*rest, id=name) for name, *rest in SPOILED),
        *(pytest.param(*rest, id=name, marks=pytest.mark.slow) for name, *rest in SPOILED_OTHERWISE),
    ],
)
def test_a_spoiled_batch_is_rejected_whole_named_everywhere_and_sent_again(
    spoil: Spoil, rule: str, said: str, bridge: Bridge
) -> None:
    path = f"S1/orders/{bridge.file(1, 'manifest').name.split('.')[0]}"
    spoil(bridge)

    summary = bridge.import_waiting()

    assert summary.failures == {}
    assert [batch.state for batch in summary.batches] == ["rejected", "accepted"]
    (reason,) = summary.batches[0].reasons
    assert (summary.batches[0].path, reason.rule, reason.fix) == (path, rule, AGAIN)
    assert said in reason.message
    assert (bridge.tickets(), bridge.sold()) == ([3], {"SKU-1": 1})
    assert bridge.acks() == {1: "rejected", 2: "accepted"}
    assert bridge.events("batch_rejected", "sequence_gap") == [REJECTED[rule]]
    assert not list(bridge.stream.glob("*.manifest.json"))
    standing = show_standing(bridge.settings)
    (lacking,) = standing.lacking
    assert lacking.message.startswith(f"{path} was rejected on ")
    assert lacking.fix == AGAIN
    assert "waiting for a person: 1" in standing.sentence
    assert bridge.outstanding() == [(rule, AGAIN)]
    publish_statement(bridge.shop.settings, "S1", days=None, now=bridge.shop.now)
    bridge.import_waiting()
    explained = reconcile_stores(bridge.settings).explained
    assert [AGAIN in text and path in text for text in explained] == [True]

    report = bridge.resend(batch=1)

    assert report.replaces == 1
    assert bridge.take_in() == [(3, "accepted")]
    assert bridge.events("batch_replaced") == [("batch_replaced", '{"stream": "orders", "sequence": 1}')]
    assert bridge.acks() == {1: "rejected", 2: "accepted", 3: "accepted"}
    assert_mended(bridge)


def test_a_file_that_is_late_within_the_hour_is_waited_for(bridge: Bridge) -> None:
    bridge.take_in()
    bridge.shop.clock = datetime.now(UTC)
    bridge.shop.till.ring(4)
    bridge.shop.export()
    late = bridge.file(3, "ticket_lines")
    kept = late.rename(late.with_name("elsewhere"))

    stopped = bridge.import_waiting()

    assert stopped.batches == ()
    assert (
        "ticket_lines.csv is not there. Nothing was imported; retrying may clear this."
        in (stopped.failures["S1"])
    )
    assert bridge.acks() == {1: "accepted", 2: "accepted"}
    kept.rename(late)
    assert bridge.take_in() == [(3, "accepted")]
    assert bridge.tickets() == [1, 2, 3, 4]


def test_files_that_no_manifest_names_do_not_exist(bridge: Bridge) -> None:
    extra = bridge.file(1, "tickets").with_name(bridge.file(1, "tickets").name.replace("tickets", "extra"))
    extra.write_bytes(b"sku\nX\n")
    for name in ("Thumbs.db", "000009-aaaaaaaaaaaa.tickets.csv", "notes.manifest.json"):
        (bridge.stream / name).write_bytes(b"?")

    assert bridge.take_in() == [(1, "accepted"), (2, "accepted")]

    strays = [extra.name, "Thumbs.db", "000009-aaaaaaaaaaaa.tickets.csv", "notes.manifest.json"]
    assert bridge.waiting() == sorted(strays)
    assert_mended(bridge)


# -- seen before --------------------------------------------------------------------------------------
def bring_back(bridge: Bridge, sequence: int) -> None:
    """Copy an archived batch to where it waits, as out of a backup."""
    for file in (bridge.stream / "archive").glob(f"{sequence:06d}-*"):
        shutil.copy(file, bridge.stream / file.name)


def test_a_batch_that_comes_again_after_it_was_archived_is_only_answered_again(bridge: Bridge) -> None:
    bridge.take_in()
    archived = sorted(file.name for file in (bridge.stream / "archive").iterdir())
    shutil.rmtree(bridge.stream / "acks")
    bring_back(bridge, 1)

    assert bridge.take_in() == [(1, "known")]

    assert bridge.acks() == {1: "accepted"}
    assert bridge.waiting() == []
    assert sorted(file.name for file in (bridge.stream / "archive").iterdir()) == archived
    assert bridge.events("batch_contradicted") == []
    assert_mended(bridge)


def _other_tickets(bridge: Bridge) -> None:
    file = bridge.file(1, "tickets")
    file.write_bytes(file.read_bytes().replace(b"10.0000", b"99.0000"))


def _other_manifest(bridge: Bridge) -> None:
    file = bridge.file(1, "manifest")
    manifest = Manifest.from_json(file.read_bytes(), file.name)
    file.write_bytes(manifest.model_copy(update={"documents": 7}).to_json())


def _cut_manifest(bridge: Bridge) -> None:
    file = bridge.file(1, "manifest")
    file.write_bytes(file.read_bytes()[:100])


@pytest.mark.parametrize(
    ("change", "role"),
    [(_other_tickets, "tickets"), (_other_manifest, "manifest"), (_cut_manifest, "manifest")],
)
def test_the_same_name_with_other_content_changes_nothing_blocks_nothing_and_is_said_aloud(
    change: Callable[[Bridge], None], role: str, bridge: Bridge
) -> None:
    """Such a batch used to stop its store for good: the archive had its name already."""
    bridge.take_in()
    before = {file.name: file.read_bytes() for file in (bridge.stream / "archive").iterdir()}
    bring_back(bridge, 1)
    change(bridge)
    name = bridge.file(1, role).name
    bridge.shop.till.ring(4)
    bridge.shop.export()

    summary = bridge.import_waiting()

    assert summary.failures == {}
    assert [batch.state for batch in summary.batches] == ["known", "accepted"]
    (reason,) = summary.batches[0].reasons
    assert reason.rule == "contradicted"
    assert f"was taken in before; {name} came again with other content. It was moved to archive/{name}." in (
        reason.message
    )
    assert reason.fix.endswith("`tillbridge resend S1 --batch 1` at the store: it travels in a new batch.")
    assert len(bridge.events("batch_contradicted")) == 1
    assert bridge.waiting() == []
    after = {file.name: file.read_bytes() for file in (bridge.stream / "archive").iterdir()}
    assert {name: after[name] for name in before} == before
    assert bridge.acks() == {1: "accepted", 2: "accepted", 3: "accepted"}
    assert bridge.tickets() == [1, 2, 3, 4]
    assert bridge.sold() == {"SKU-1": 3, "SKU-2": 2}


@pytest.mark.parametrize("role", ["tickets", "manifest"])
def test_a_batch_that_was_refused_for_coming_spoiled_is_taken_when_it_comes_whole(
    role: str, bridge: Bridge
) -> None:
    """Its baseline's next step is to bring the batch back from a backup: that used to be refused for good."""
    whole = {file.name: file.read_bytes() for file in bridge.stream.glob("000001-*")}
    cut(role, 0.5)(bridge)
    assert bridge.take_in() == [(1, "rejected"), (2, "accepted")]
    for name, data in whole.items():
        (bridge.stream / name).write_bytes(data)

    assert bridge.take_in() == [(1, "accepted")]

    assert bridge.acks() == {1: "accepted", 2: "accepted"}
    archived = {file.name: file.read_bytes() for file in (bridge.stream / "archive").glob("000001-*")}
    assert archived.items() >= whole.items()
    assert bridge.events("batch_contradicted") == []
    assert_mended(bridge)


# -- forks, gaps, replacements ------------------------------------------------------------------------
def test_two_batches_of_one_sequence_are_both_taken_in_and_the_fork_is_an_event(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge.shop.till.ring(4)

    def meanwhile(name: str) -> None:
        if name == "batch.publish_files":
            monkeypatch.setattr(faults, "hook", None)
            bridge.shop.till.ring(5)
            bridge.shop.export()

    monkeypatch.setattr(faults, "hook", meanwhile)
    bridge.shop.export()

    assert bridge.take_in() == [(1, "accepted"), (2, "accepted"), (3, "accepted"), (3, "accepted")]

    assert bridge.events("sequence_fork", "sequence_gap") == [
        ("sequence_fork", '{"stream": "orders", "sequence": 3}')
    ]
    assert bridge.tickets() == [1, 2, 3, 4, 5]
    assert bridge.sold() == {"SKU-1": 4, "SKU-2": 2}
    bridge.shop.till.ring(6)
    bridge.shop.export()
    assert bridge.take_in() == [(4, "accepted")]


def take_away(bridge: Bridge, sequence: int) -> dict[str, bytes]:
    found = {file.name: file.read_bytes() for file in bridge.stream.glob(f"{sequence:06d}-*")}
    for name in found:
        (bridge.stream / name).unlink()
    return found


def test_a_missing_batch_is_named_with_its_age_until_it_arrives_late(bridge: Bridge) -> None:
    gone = take_away(bridge, 1)

    assert bridge.take_in() == [(2, "accepted")]

    assert bridge.events("sequence_gap") == [
        ("sequence_gap", '{"stream": "orders", "first_missing": 1, "last_missing": 1}')
    ]
    ((since,),) = bridge.ask("SELECT imported_utc FROM batches WHERE stream = 'orders' AND sequence = 2")
    (lacking,) = show_standing(bridge.settings).lacking
    assert lacking.message == f"S1: batch 1 is missing since {since[:16].replace('T', ' ')} UTC."
    assert lacking.fix == f"if it is not only late, {AGAIN}"
    assert bridge.outstanding() == [("missing", lacking.fix)]

    for name, data in gone.items():
        (bridge.stream / name).write_bytes(data)
    assert bridge.take_in() == [(1, "accepted")]
    assert bridge.events("sequence_gap_closed") == [
        ("sequence_gap_closed", '{"stream": "orders", "sequence": 1}')
    ]
    assert_mended(bridge)


def test_a_batch_that_never_comes_is_sent_again_and_the_gap_closes(bridge: Bridge) -> None:
    take_away(bridge, 1)
    bridge.take_in()

    bridge.resend(batch=1)

    assert bridge.take_in() == [(3, "accepted")]
    assert bridge.events("batch_replaced", "sequence_gap_closed") == [
        ("batch_replaced", '{"stream": "orders", "sequence": 1}'),
        ("sequence_gap_closed", '{"stream": "orders", "sequence": 1}'),
    ]
    assert_mended(bridge)


def test_a_replacement_that_is_itself_rejected_settles_nothing_until_it_is_replaced(bridge: Bridge) -> None:
    cut("tickets", 0.5)(bridge)
    bridge.take_in()
    bridge.resend(batch=1)
    file = bridge.file(3, "tickets")
    file.write_bytes(file.read_bytes()[:-9])

    assert bridge.take_in() == [(3, "rejected")]

    third = "run `tillbridge resend S1 --batch 3` at the store"
    assert bridge.outstanding() == [("altered", AGAIN), ("altered", third)]
    assert "waiting for a person: 2" in show_standing(bridge.settings).sentence
    assert bridge.events("batch_replaced") == []
    bridge.resend(batch=3)
    assert bridge.take_in() == [(4, "accepted")]
    assert_mended(bridge)


def test_a_sending_again_in_parts_that_stops_half_way_settles_nothing(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut("tickets", 0.5)(bridge)
    bridge.take_in()
    monkeypatch.setattr(exporting, "MAX_BATCH_LINES", 1)

    def stop(name: str) -> None:
        if name == "resend.batch_published":
            raise Killed

    monkeypatch.setattr(faults, "hook", stop)
    with pytest.raises(Killed):
        bridge.resend(batch=1)
    monkeypatch.setattr(faults, "hook", None)

    assert bridge.take_in() == [(3, "accepted")]

    assert bridge.outstanding() == [("altered", AGAIN)]
    bridge.resend(batch=1)
    assert bridge.take_in() == [(4, "accepted"), (5, "accepted")]
    assert_mended(bridge)


# -- killed between -----------------------------------------------------------------------------------
ANSWERING = (
    "hub.import.after_commit",
    "batch.acknowledge",
    "batch.archive",
    "exchange.moved",
    "batch.archived",
)
REJECTING = (
    "hub.reject.before_commit",
    "hub.reject.after_commit",
    "exchange.moved",
    "batch.archived",
    "batch.acknowledge_lacking",
    "batch.acknowledged_lacking",
)


def _reject_files(bridge: Bridge) -> None:
    cut("tickets", 0.5)(bridge)


def _reject_manifest(bridge: Bridge) -> None:
    cut("manifest", 0.5)(bridge)


def _untouched(bridge: Bridge) -> None:
    pass


@pytest.mark.parametrize(
    ("spoil", "point"),
    [
        *((spoil, "batch.acknowledged") for spoil in (_untouched, _reject_files, _reject_manifest)),
        *(pytest.param(_untouched, point, marks=pytest.mark.slow) for point in ANSWERING),
        *(
            pytest.param(spoil, point, marks=pytest.mark.slow)
            for spoil in (_reject_files, _reject_manifest)
            for point in REJECTING
        ),
    ],
)
def test_an_import_that_dies_between_commit_answer_and_archive_is_repeated_to_the_same_end(
    spoil: Spoil, point: str, bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(bridge)
    kill_at(monkeypatch, point)
    with pytest.raises(Killed, match=point):
        bridge.import_waiting()
    monkeypatch.setattr(faults, "hook", None)

    bridge.take_in()

    spoiled = spoil is not _untouched
    assert bridge.acks() == {1: "rejected" if spoiled else "accepted", 2: "accepted"}
    assert not list(bridge.stream.glob("*.manifest.json"))
    assert len(bridge.events("batch_rejected")) == spoiled
    assert [fix for _, fix in bridge.outstanding()] == [AGAIN] * spoiled
    if spoiled:
        bridge.resend(batch=1)
        bridge.take_in()
    assert_mended(bridge)


@pytest.mark.parametrize(
    "point",
    [
        "hub.contradiction.before_commit",
        "hub.contradiction.after_commit",
        "batch.archive_aside",
        "batch.archived_aside",
    ],
)
@pytest.mark.slow
@pytest.mark.parametrize("change", [_other_tickets, _other_manifest])
def test_a_contradiction_that_is_interrupted_is_told_once(
    point: str, change: Callable[[Bridge], None], bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge.take_in()
    bring_back(bridge, 1)
    change(bridge)
    kill_at(monkeypatch, point)
    with pytest.raises(Killed, match=point):
        bridge.import_waiting()
    monkeypatch.setattr(faults, "hook", None)

    # The manifest goes last: nothing is left to do once it is out of the way.
    done = change is _other_manifest and point == "batch.archived_aside"
    assert bridge.take_in() == ([] if done else [(1, "known")])

    assert len(bridge.events("batch_contradicted")) == 1
    assert bridge.waiting() == []
    assert_mended(bridge)


def kill_at(monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    def hook(name: str) -> None:
        if name == point:
            raise Killed(name)

    monkeypatch.setattr(faults, "hook", hook)


# -- parts of the exchange folder that are lost ---------------------------------------------------------
def test_lost_answers_and_a_lost_archive_stop_nobody(bridge: Bridge) -> None:
    bridge.take_in()
    shutil.rmtree(bridge.stream / "acks")
    shutil.rmtree(bridge.stream / "archive")
    bridge.shop.till.ring(4)

    assert bridge.shop.export().batches[0].startswith("S1/orders/000003-")
    assert bridge.take_in() == [(3, "accepted")]
    assert bridge.acks() == {3: "accepted"}
    assert bridge.tickets() == [1, 2, 3, 4]
    assert bridge.resend(batch=2).tickets >= 1
    (again,) = bridge.import_waiting().batches
    assert (again.state, again.accepted, again.quarantined) == ("accepted", 0, 0)
    assert bridge.sold() == {"SKU-1": 3, "SKU-2": 2}


def _no_head(bridge: Bridge) -> None:
    (bridge.stream / "head.json").unlink()


def _spoiled_head(bridge: Bridge) -> None:
    (bridge.stream / "head.json").write_bytes(b'{"store": "S1"')


def _old_head(bridge: Bridge) -> None:
    manifest = batches.fetch_manifest(bridge.shop.folder, "S1", "orders", *first_of(bridge))
    old = Head(
        store="S1",
        stream="orders",
        sequence=1,
        batch_id=manifest.batch_id,
        position=manifest.position,
        checked_utc=manifest.created_utc,
    )
    (bridge.stream / "head.json").write_bytes(old.to_json())


def first_of(bridge: Bridge) -> tuple[int, str]:
    return batches.every_batch(bridge.shop.folder, "S1", "orders")[0]


@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.parametrize("spoil", [_no_head, _spoiled_head, _old_head])
def test_without_a_true_head_the_export_goes_on_from_the_newest_manifest(
    spoil: Spoil, archived: bool, bridge: Bridge
) -> None:
    if archived:
        bridge.take_in()
    spoil(bridge)
    bridge.shop.till.ring(4)

    report = bridge.shop.export()

    assert (len(report.batches), report.tickets) == (1, 1)
    bridge.take_in()
    assert bridge.tickets() == [1, 2, 3, 4]
    assert bridge.sold() == {"SKU-1": 3, "SKU-2": 2}
    assert sorted(bridge.acks()) == [1, 2, 3]
    assert bridge.shop.head().sequence == 3
