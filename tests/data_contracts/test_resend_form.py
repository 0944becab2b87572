"""Forms: what may be asked for, and what is refused before anything starts."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from data_contracts.parameters import ResendScope


@pytest.mark.parametrize(
    ("given", "label", "dates", "tickets", "orders"),
    [
        ({"batch": 7}, "S1-batch-7", None, None, None),
        ({"first_ticket": 5}, "S1-tickets-5..5", None, (5, 5), None),
        ({"first_order": 5, "last_order": 9}, "S1-orders-5..9", None, None, (5, 9)),
        (
            {"first_date": "2010-12-01", "last_date": "2010-12-03"},
            "S1-2010-12-01..2010-12-03",
            (date(2010, 12, 1), date(2010, 12, 3)),
            None,
            None,
        ),
    ],
)
def test_a_resend_takes_one_selection_and_a_range_may_be_one_day_or_number(
    given: dict[str, Any], label: str, dates: object, tickets: object, orders: object
) -> None:
    scope = ResendScope.model_validate({"store": "S1", **given})

    assert (scope.label, scope.dates, scope.tickets, scope.orders) == (label, dates, tickets, orders)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "choose one: business dates, a batch, ticket numbers or order numbers"),
        ({"batch": 7, "first_ticket": 5}, "choose one"),
        ({"batch": 7, "last_ticket": 5}, "last_ticket needs a first_ticket that is not after it"),
        ({"first_order": 9, "last_order": 5}, "last_order needs a first_order that is not after it"),
        (
            {"first_date": "2010-12-03", "last_date": "2010-12-01"},
            "last_date needs a first_date that is not after it",
        ),
        ({"batch": 0}, "greater than or equal to 1"),
        ({"batch": 7, "replaces": 3}, "not permitted"),
    ],
)
def test_a_resend_of_anything_else_is_refused_with_the_reason(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ResendScope.model_validate({"store": "S1", **given})


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"batch": 7}, []),
        ({"first_date": "2010-12-01", "last_date": "2010-12-03"}, []),
        ({"last_date": "2010-12-03"}, ["first_date"]),
        ({"last_ticket": 5}, ["first_ticket"]),
        ({"last_order": 5}, ["first_order"]),
        ({"batch": 7, "first_ticket": 5}, ["batch", "first_ticket"]),
        ({"first_date": "2010-12-01", "first_order": 5}, ["first_date", "first_order"]),
    ],
)
def test_the_form_itself_refuses_two_selections_and_an_end_without_its_beginning(
    given: dict[str, Any], refused: list[str]
) -> None:
    """A period without its first day started a run: the form's schema forbade it in a keyword that Prefect
    does not read, and empty fields come as null, which counted as given."""
    schema = ResendScope.model_json_schema()
    form = dict.fromkeys(schema["properties"])

    errors = Draft202012Validator(schema).iter_errors({**form, "store": "S1", **given})

    assert sorted(str(error.path[-1]) for error in errors) == refused
    assert Draft202012Validator(schema).is_valid({"store": "S1", **given}) == (not refused)


def test_the_form_of_a_resend_has_its_fields_in_order() -> None:
    form = ResendScope.model_json_schema()

    ordered = sorted(form["properties"], key=lambda name: form["properties"][name]["position"])
    assert ordered == [
        "store",
        "first_date",
        "last_date",
        "batch",
        "first_ticket",
        "last_ticket",
        "first_order",
        "last_order",
    ]
    assert all(form["properties"][name]["description"] for name in ordered)
    assert form["required"] == ["store"]
