"""The form of release-quarantine: what it asks, in which order, what it refuses before anything starts."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from data_contracts.parameters import DeskScope

GOOD: dict[str, Any] = {"documents": ("S1/1/ticket/9",), "why": "looked at it", "by": "ann"}


def test_the_form_asks_in_order_and_explains_each_field() -> None:
    fields = DeskScope.model_json_schema()["properties"]

    ordered = sorted(fields, key=lambda name: fields[name]["position"])
    assert ordered == ["action", "documents", "edits", "accept", "why", "by"]
    assert all(fields[name]["description"] for name in fields)
    assert fields["action"]["enum"] == ["release", "discard", "edit", "recheck"]
    assert DeskScope.model_json_schema()["required"] == ["by"]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"action": "discard"},
        {"action": "edit", "edits": ("ticket_lines/2/sku=ABC", "header/total=9.99")},
        {"accept": ("total_mismatch",)},
        {"action": "recheck", "documents": (), "why": ""},
        {"documents": ("S1/1/ticket/9", "S2/1/order/77", "S1/1/opening/3")},
    ],
)
def test_what_makes_sense_is_accepted(changes: dict[str, Any]) -> None:
    scope = DeskScope(**GOOD | changes)

    assert scope.by == "ann"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"documents": ()}, "say which documents to release"),
        ({"documents": ("10452",)}, "should match pattern"),
        ({"why": " "}, "say why"),
        ({"by": " "}, "should match pattern"),
        ({"action": "edit"}, "at least one change"),
        ({"action": "edit", "edits": ("ticket_lines/2/sku",)}, "should match pattern"),
        (
            {"action": "edit", "edits": ("header/tax=1",), "documents": ("S1/1/ticket/9", "S1/1/ticket/8")},
            "an edit is of one document",
        ),
        ({"edits": ("header/tax=1",)}, "edits belong to the action edit, not to release"),
        ({"action": "discard", "accept": ("unsettled",)}, "belong to the action release, not to discard"),
        ({"action": "delete"}, "Input should be"),
        ({"force": True}, "Extra inputs are not permitted"),
    ],
)
def test_nonsense_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        DeskScope(**GOOD | changes)


def test_a_run_is_named_by_what_is_done_to_what() -> None:
    many = DeskScope(**GOOD | {"documents": ("S1/1/ticket/9", "S2/1/ticket/8", "S1/1/ticket/7")})

    assert DeskScope(**GOOD).label == "release-S1/1/ticket/9"
    assert many.label == "release-S1/1/ticket/9-and-2-more"
    assert many.stores == ("S1", "S2")
    assert DeskScope(action="recheck", by="ann").label == "recheck-all"
