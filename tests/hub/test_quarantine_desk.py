"""People at the desk edit, release, waive, discard: each decision is kept, nothing is booked twice."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from data_contracts.errors import DecisionRefused
from data_contracts.findings import BatchRows
from data_contracts.quarantine import validate
from tasks.hub.importer import import_batch
from tasks.hub.inbox import store_verdict
from tasks.hub.quarantine_desk import Decided, discard, edit, release
from tests.documents import Ticket, make_batch, make_ticket, to_rows
from tests.hub.servers import only_on_sqlite
from tests.hub.world import NOW, SKUS, World, make_manifest

pytestmark = only_on_sqlite

T9 = "S1/1/ticket/9"
NOON = "2026-11-23T12:00:00.000Z"
LATER = "2026-11-25T09:00:00.000Z"


def edited(world: World, document: str, *changes: str, **options: Any) -> Decided:
    options = {"why": "the till was wrong", "by": "ann"} | options
    (decided,) = edit(world.hub, world.settings, document, changes, now=LATER, **options)
    return decided


def released(world: World, *documents: str, **options: Any) -> list[Decided]:
    options = {"why": "looked at it", "by": "bob"} | options
    return release(world.hub, world.settings, documents, now=LATER, **options)


def discarded(world: World, *documents: str, **options: Any) -> list[Decided]:
    options = {"why": "a test ticket", "by": "cid"} | options
    return discard(world.hub, world.settings, documents, now=LATER, **options)


def outcomes(decided: list[Decided]) -> list[tuple[str, str]]:
    return [(of.document, of.outcome) for of in decided]


def actions(world: World) -> list[tuple[Any, ...]]:
    return world.rows(
        "SELECT number, document, action, rule, decided_by "
        "FROM reporting_quarantine_decisions ORDER BY number"
    )


def entries(world: World) -> list[tuple[Any, ...]]:
    return world.rows("SELECT document, rule, state FROM reporting_quarantine ORDER BY document, state")


def by_contract(
    world: World,
    *documents: Ticket,
    sequence: int = 1,
    broken: tuple[str, int, str, str] | None = None,
) -> None:
    """Import documents with what their real contract says of them; `broken` is (role, row, column, text)."""
    frames = make_batch(documents)
    rows, manifest = to_rows(frames), make_manifest(frames, "orders", sequence)
    if broken is not None:
        role, row, column, cell = broken
        rows[role].loc[row, column] = cell
    batch = BatchRows("orders", manifest.path, "S1", frozenset({1}), rows)
    (verdict,) = validate("orders", [batch])
    store_verdict(world.hub, manifest, verdict)
    import_batch(world.hub, world.settings, manifest, rows, now=NOW)


# -- editing and releasing ---------------------------------------------------------------------------
def test_edited_ticket_is_booked_once_somebody_releases_it(world: World) -> None:
    world.orders(make_ticket(9, [("SKU-1", 1, "10.00"), ("NOPE", 2, "5.00")]))

    done = edited(world, T9, "ticket_lines/2/sku=SKU-2")

    assert (done.outcome, done.changed) == ("edited", True)
    assert entries(world) == [(T9, "edited", "open")]
    assert world.stock() == {}
    (after,) = released(world, T9)
    assert after == Decided(T9, "booked", "Booked.")
    assert world.stock() == {("W1", "SKU-1"): "-1.00", ("W1", "SKU-2"): "-2.00"}
    assert entries(world) == [(T9, "edited", "released")]
    assert actions(world) == [(1, T9, "edited", None, "ann"), (2, T9, "released", None, "bob")]
    assert world.rows("SELECT flags FROM orders") == [("edited",)]
    assert world.prove() == []


def test_rows_as_exported_and_their_hash_stay_as_they_were(world: World) -> None:
    world.orders(make_ticket(9, [("NOPE", 2, "5.00")]))
    query = "SELECT revision, rows FROM quarantine"
    before = world.rows(query)

    edited(world, T9, "ticket_lines/1/sku=SKU-2")
    released(world, T9)

    assert world.rows(query) == before
    assert world.rows("SELECT revision FROM documents") == [(before[0][0],)]
    told = "SELECT role, row_name, column_name, exported, old, new, why FROM quarantine_decisions LIMIT 1"
    assert world.rows(told) == [("ticket_lines", "1", "sku", "NOPE", "NOPE", "SKU-2", "the till was wrong")]


def test_release_done_twice_changes_nothing(world: World) -> None:
    world.orders(make_ticket(9, [("NOPE", 2, "5.00")]))
    edited(world, T9, "ticket_lines/1/sku=SKU-2")
    released(world, T9)
    tables = ("stock_movements", "payments", "events", "quarantine", "quarantine_decisions", "documents")
    before = {name: world.rows(f"SELECT * FROM {name}") for name in tables}

    (again,) = released(world, T9)

    assert (again.outcome, again.changed) == ("booked", False)
    assert {name: world.rows(f"SELECT * FROM {name}") for name in tables} == before


def test_release_of_what_is_still_wrong_says_so_and_waits_for_the_product(world: World) -> None:
    world.orders(make_ticket(9, [("NOPE", 2, "5.00")]))
    edited(world, T9, "ticket_lines/1/sku=LATE")

    (after,) = released(world, T9)

    assert (after.outcome, after.message) == (
        "quarantined",
        "Ticket 9 holds SKUs that the hub's catalogue does not know: `LATE`.",
    )
    assert world.catalog([*SKUS, "LATE"]) == 1  # it was released: it needs nobody any more
    assert world.stock() == {("W1", "LATE"): "-2.00"}
    assert entries(world) == [(T9, "unknown_sku", "released")]


def test_edits_that_nobody_released_are_booked_by_nothing_else(world: World) -> None:
    world.orders(make_ticket(9, [("LATE", 2, "5.00")]))
    edited(world, T9, "ticket_lines/1/sku=SKU-2")

    assert world.catalog([*SKUS, "LATE"]) == 0

    assert world.stock() == {}
    assert entries(world) == [(T9, "edited", "open")]


def test_same_edit_again_is_no_edit_and_the_exported_value_takes_it_back(world: World) -> None:
    world.orders(make_ticket(9, [("NOPE", 2, "5.00")]))
    edited(world, T9, "ticket_lines/1/sku=SKU-2")

    assert not edited(world, T9, "ticket_lines/1/sku=SKU-2").changed
    edited(world, T9, "ticket_lines/1/sku=SKU-3")
    back = edited(world, T9, "ticket_lines/1/sku=NOPE")

    assert back.outcome == "quarantined"
    assert world.rows("SELECT action, old, new FROM quarantine_decisions ORDER BY number") == [
        ("edited", "NOPE", "SKU-2"),
        ("edited", "SKU-2", "SKU-3"),
        ("edit_undone", "SKU-3", "NOPE"),
    ]
    assert entries(world) == [(T9, "unknown_sku", "open")]


def test_undo_takes_all_edits_back(world: World) -> None:
    world.orders(make_ticket(9, [("NOPE", 2, "5.00"), ("NADA", 1, "1.00")]))
    edited(world, T9, "ticket_lines/1/sku=SKU-2", "ticket_lines/2/sku=SKU-3")

    done = edited(world, T9, undo=True)

    assert done.message == (
        "No edit counts. Ticket 9 holds SKUs that the hub's catalogue does not know: `NOPE`, `NADA`."
    )
    assert not edited(world, T9, undo=True).changed


def test_edit_after_a_release_has_to_be_released_again(world: World) -> None:
    """A void that waits was released; taking the edit back must not book it without its contract."""
    void = make_ticket(9, [("NOPE", -1, "10.00")], recall_type=3, recall_id=5)
    world.orders(void)
    edited(world, T9, "ticket_lines/1/sku=SKU-1")
    assert outcomes(released(world, T9)) == [(T9, "pending")]

    edited(world, T9, undo=True)
    world.orders(make_ticket(5, [("SKU-1", 1, "10.00")]), sequence=2)

    assert entries(world) == [(T9, "edited", "open")]
    assert world.stock() == {("W1", "SKU-1"): "-1.00"}


def test_edit_that_cannot_be_is_refused_with_all_that_came_along(world: World) -> None:
    world.orders(make_ticket(9, [("NOPE", 2, "5.00")]))

    with pytest.raises(DecisionRefused, match="has no row `7` in `ticket_lines`; its rows there: 1"):
        edited(world, T9, "ticket_lines/1/sku=SKU-2", "ticket_lines/7/sku=A")

    assert actions(world) == []


def test_edit_of_what_is_booked_or_unknown_is_refused(world: World) -> None:
    world.orders(make_ticket(9))

    with pytest.raises(DecisionRefused, match="is booked; nothing of it waits"):
        edited(world, T9, "ticket_lines/1/sku=SKU-2")
    with pytest.raises(DecisionRefused, match="knows nothing of S1/1/ticket/10"):
        edited(world, "S1/1/ticket/10", "ticket_lines/1/sku=SKU-2")
    with pytest.raises(DecisionRefused, match="is not the name of a document"):
        released(world, "10452")
    with pytest.raises(DecisionRefused, match="Nobody said why"):
        released(world, T9, why=" ")


def test_dry_run_tells_what_would_be_and_changes_nothing(world: World) -> None:
    world.orders(make_ticket(9, [("NOPE", 2, "5.00")]))
    assert edited(world, T9, "ticket_lines/1/sku=SKU-2", dry_run=True).outcome == "edited"
    assert actions(world) == []
    edited(world, T9, "ticket_lines/1/sku=SKU-2")

    assert outcomes(released(world, T9, dry_run=True)) == [(T9, "booked")]
    assert outcomes(discarded(world, T9, dry_run=True)) == [(T9, "discarded")]

    assert len(actions(world)) == 1
    assert world.stock() == {}


# -- what came again ---------------------------------------------------------------------------------
def test_edit_lapses_when_the_same_revision_comes_with_another_value_there(world: World) -> None:
    world.orders(make_ticket(9, [("NOPE", 2, "5.00")]))
    edited(world, T9, "ticket_lines/1/sku=SKU-2")
    again = make_ticket(9, [("NOPE", 2, "5.00")])
    again["ticket_lines"][0]["sku"] = "SKU-3"  # corrected in RMS: texts are outside the hash

    world.orders(again, sequence=2)

    assert world.stock() == {("W1", "SKU-3"): "-2.00"}
    assert [action for _, _, action, _, _ in actions(world)] == ["edited", "edit_lapsed"]
    assert world.rows("SELECT document FROM events WHERE type = 'quarantine_edit_lapsed'") == [(T9,)]
    assert world.prove() == []


def test_edit_stays_when_the_same_rows_come_again(world: World) -> None:
    ticket = make_ticket(9, [("NOPE", 2, "5.00")])
    world.orders(ticket)
    edited(world, T9, "ticket_lines/1/sku=SKU-2")

    world.orders(ticket, sequence=2)

    assert entries(world) == [(T9, "edited", "open")]
    assert outcomes(released(world, T9)) == [(T9, "booked")]


def test_newer_revision_is_judged_without_the_edits_of_the_older(world: World) -> None:
    world.orders(make_ticket(9, [("NOPE", 2, "5.00")]))
    edited(world, T9, "ticket_lines/1/sku=SKU-2")

    world.orders(make_ticket(9, [("SKU-3", 1, "5.00")]), sequence=2)

    assert world.stock() == {("W1", "SKU-3"): "-1.00"}
    assert entries(world) == [(T9, "edited", "superseded")]
    assert outcomes(released(world, T9)) == [(T9, "booked")]
    assert world.stock() == {("W1", "SKU-3"): "-1.00"}


def test_content_that_returns_is_booked_with_the_edits_it_was_released_with(world: World) -> None:
    first = make_ticket(9, [("NOPE", 2, "5.00")])
    world.orders(first)
    edited(world, T9, "ticket_lines/1/sku=SKU-2")
    released(world, T9)
    world.orders(make_ticket(9, [("SKU-3", 1, "5.00")]), sequence=2)

    world.orders(first, sequence=3)

    assert world.stock() == {("W1", "SKU-2"): "-2.00", ("W1", "SKU-3"): "0.00"}
    assert world.prove() == []


# -- what the contract refused -----------------------------------------------------------------------
def test_ticket_that_its_contract_refused_is_mended_and_booked(world: World) -> None:
    by_contract(world, make_ticket(9, [("SKU-1", 2, "5.00")], units=30_000), make_ticket(10))
    assert entries(world) == [(T9, "units_mismatch", "open")]

    edited(world, T9, "header/units=2")
    (after,) = released(world, T9)

    assert after.outcome == "booked"
    assert world.stock() == {("W1", "SKU-1"): "-3.00"}
    assert world.prove() == []


def test_release_of_what_its_contract_still_refuses_gives_the_new_sentence(world: World) -> None:
    by_contract(world, make_ticket(9, [("SKU-1", 2, "5.00")], units=30_000))
    edited(world, T9, "ticket_lines/1/quantity=3")

    (after,) = released(world, T9)

    assert (after.outcome, after.message) == (
        "quarantined",
        "Ticket 9: the lines add up to 15.00 but the ticket says 10.00 (5.00 apart).",
    )
    assert [action for _, _, action, _, _ in actions(world)] == ["edited"]
    assert outcomes(released(world, T9, accept=["total_mismatch"])) == [(T9, "booked")]
    assert world.rows("SELECT rounding, total, paid, flags FROM orders") == [
        (
            *world.rows("SELECT rounding, total, paid FROM orders")[0],
            "edited;accepted_total_mismatch;rounding",
        )
    ]
    assert world.rows("SELECT total, paid FROM reporting_orders") == [("10.00", "10.00")]
    assert world.rows("SELECT payload FROM events WHERE type = 'rounding_accepted'") == [
        ('{"amount": "-5.0000"}',)
    ]
    assert world.prove() == []


def test_edit_that_breaks_the_contract_is_not_released(world: World) -> None:
    world.orders(make_ticket(9, [("NOPE", 2, "5.00")]))
    edited(world, T9, "ticket_lines/1/sku=SKU-1", "ticket_lines/1/quantity=3")

    (after,) = released(world, T9)

    assert after.outcome == "quarantined"
    assert entries(world) == [(T9, "units_mismatch", "open")]
    world.catalog([*SKUS, "NOPE"])
    assert world.stock() == {}


def test_refused_ticket_that_comes_again_as_it_was_stays_mended(world: World) -> None:
    void = make_ticket(9, [("SKU-1", -1, "10.00")], recall_type=3, recall_id=5, units=-20_000)
    by_contract(world, void)
    edited(world, T9, "header/units=-1")
    assert outcomes(released(world, T9)) == [(T9, "pending")]

    by_contract(world, void, sequence=2)
    world.orders(make_ticket(5, [("SKU-1", 1, "10.00")]), sequence=3)

    assert world.stock() == {("W1", "SKU-1"): "0.00"}
    assert entries(world) == [(T9, "waiting_for_ticket", "released")]
    assert world.prove() == []


# -- waivers -----------------------------------------------------------------------------------------
def test_waived_total_is_recorded_as_rounding(world: World) -> None:
    by_contract(world, make_ticket(9, [("SKU-1", 1, "10.00")], total=120_000))

    (after,) = released(world, T9, accept=["total_mismatch"])

    assert after.outcome == "booked"
    assert world.rows("SELECT total, paid FROM reporting_orders") == [("12.00", "12.00")]
    assert world.rows("SELECT flags FROM orders") == [("accepted_total_mismatch;rounding",)]
    assert [row[2:4] for row in actions(world)] == [("accepted_rule", "total_mismatch"), ("released", None)]
    assert world.prove() == []


@pytest.mark.parametrize(
    ("rule", "override"),
    [
        ("tax_mismatch", {"tax": 20_000, "prices_include_tax": True}),
        ("unsettled", {"flags": "unsettled"}),
        (
            "business_date_out_of_range",
            {"business_date": "1990-01-01", "occurred_at": "2026-11-23T12:00:00.000Z"},
        ),
        ("occurred_at_out_of_range", {"occurred_at": "1990-01-01T12:00:00.000Z"}),
    ],
)
def test_rule_that_a_person_may_waive(world: World, rule: str, override: dict[str, Any]) -> None:
    by_contract(world, make_ticket(9, **override))
    assert outcomes(released(world, T9)) == [(T9, "quarantined")]

    assert outcomes(released(world, T9, accept=[rule])) == [(T9, "booked")]

    assert world.rows("SELECT flags FROM orders WHERE flags LIKE :flag", flag=f"%accepted_{rule}%") != []
    assert world.prove() == []


def test_rules_that_leave_a_movement_unknown_can_be_waived_by_nobody(world: World) -> None:
    world.orders(make_ticket(9, [("NOPE", 2, "5.00")]))

    for rule in (
        "line_missing",
        "unknown_sku",
        "illegal_move",
        "unknown_recall_type",
        "type",
        "no_such_rule",
    ):
        with pytest.raises(DecisionRefused, match=f"`{rule}` is no rule that can be waived"):
            released(world, T9, accept=[rule])


def test_waiver_of_a_rule_that_is_not_at_stake_is_not_kept(world: World) -> None:
    world.orders(make_ticket(9, [("NOPE", 2, "5.00")]))

    assert outcomes(released(world, T9, accept=["total_mismatch"])) == [(T9, "quarantined")]

    assert actions(world) == []


def test_rule_is_waived_by_either_of_its_names(world: World) -> None:
    by_contract(world, make_ticket(9, [("SKU-1", 1, "10.00")], total=120_000))

    assert outcomes(released(world, T9, accept=["totals_differ"])) == [(T9, "booked")]


def test_discarded_ticket_is_edited_and_stays_discarded_until_its_release(world: World) -> None:
    world.orders(make_ticket(9, [("NOPE", 2, "5.00")]))
    discarded(world, T9)

    assert edited(world, T9, "ticket_lines/1/sku=SKU-2").outcome == "discarded"

    assert entries(world) == [(T9, "unknown_sku", "discarded")]
    assert outcomes(released(world, T9)) == [(T9, "booked")]
    assert world.stock() == {("W1", "SKU-2"): "-2.00"}


# -- discarding --------------------------------------------------------------------------------------
def test_discarded_ticket_counts_as_seen_and_stays_discarded(world: World) -> None:
    ticket = make_ticket(9, [("NOPE", 2, "5.00")])
    world.orders(ticket)

    assert outcomes(discarded(world, T9)) == [(T9, "discarded")]
    assert not discarded(world, T9)[0].changed
    again = world.orders(ticket, sequence=2)
    world.catalog([*SKUS, "NOPE"])

    assert (again.seen_before, again.quarantined) == (1, 0)
    assert world.stock() == {}
    assert world.rows("SELECT state, decided_by, why FROM reporting_quarantine") == [
        ("discarded", "cid", "a test ticket")
    ]
    assert world.rows("SELECT state FROM documents") == [("discarded",)]


def test_newer_revision_of_a_discarded_ticket_is_judged_anew(world: World) -> None:
    world.orders(make_ticket(9, [("NOPE", 2, "5.00")]))
    discarded(world, T9)

    world.orders(make_ticket(9, [("SKU-1", 2, "5.00")]), sequence=2)

    assert world.stock() == {("W1", "SKU-1"): "-2.00"}


def test_release_takes_a_discard_back(world: World) -> None:
    world.orders(make_ticket(9, [("LATE", 2, "5.00")]))
    discarded(world, T9)
    world.catalog([*SKUS, "LATE"])

    assert outcomes(released(world, T9)) == [(T9, "booked")]

    assert [row[2] for row in actions(world)] == ["discarded", "released"]
    assert world.prove() == []


def test_void_of_a_discarded_ticket_says_what_it_waits_for(world: World) -> None:
    world.orders(
        make_ticket(9, [("NOPE", 1, "10.00")]),
        make_ticket(10, [("SKU-1", -1, "10.00")], recall_type=3, recall_id=9),
    )

    discarded(world, T9)

    query = "SELECT message, state FROM reporting_quarantine WHERE document = 'S1/1/ticket/10'"
    assert world.rows(query) == [
        ("Ticket 10 voids ticket 9, which was discarded and will not be booked by itself.", "pending")
    ]
    assert outcomes(discarded(world, "S1/1/ticket/10")) == [("S1/1/ticket/10", "discarded")]


def test_discarded_opening_stock_comes_back_with_its_release(world: World) -> None:
    world.baseline({"SKU-1": "3", "LATE": "2"}, sequence=2)
    line = "S1/1/opening/2"
    if not entries(world):
        pytest.fail("a baseline was taken before: the stock of this one was not looked at")
    discarded(world, line)
    world.catalog([*SKUS, "LATE"])
    assert world.stock() == {("W1", "SKU-1"): "3.00"}

    assert outcomes(released(world, line)) == [(line, "booked")]

    assert world.stock() == {("W1", "LATE"): "2.00", ("W1", "SKU-1"): "3.00"}


# -- the log -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "change", ["UPDATE quarantine_decisions SET why = ''", "DELETE FROM quarantine_decisions"]
)
def test_the_database_refuses_to_change_the_log(world: World, change: str) -> None:
    world.orders(make_ticket(9, [("NOPE", 2, "5.00")]))
    discarded(world, T9)

    with pytest.raises(DBAPIError, match="append-only"), world.hub.engine.begin() as connection:
        connection.execute(text(change))

    assert len(actions(world)) == 1


def test_every_decision_leaves_an_event_without_values_of_rows(world: World) -> None:
    by_contract(world, make_ticket(9, [("NOPE", 1, "10.00")], total=120_000))
    edited(world, T9, "ticket_lines/1/sku=SKU-1")
    released(world, T9, accept=["total_mismatch"])
    world.orders(make_ticket(10, [("NOPE", 1, "10.00")]), sequence=2)
    discarded(world, "S1/1/ticket/10")

    told = world.rows("SELECT type, payload FROM events WHERE type LIKE 'quarantine_%' ORDER BY number")
    assert [kind for kind, _ in told] == [
        "quarantine_edited",
        "quarantine_rule_accepted",
        "quarantine_released",
        "quarantine_cleared",
        "quarantine_discarded",
    ]
    assert '"cell": "ticket_lines/1/sku"' in told[0][1]
    assert not any("SKU-1" in payload for _, payload in told)
