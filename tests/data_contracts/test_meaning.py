"""What a ticket means follows from its codes and signs, and only from them."""

from __future__ import annotations

from typing import Any

import pytest

from data_contracts.codes import RmsCodes
from data_contracts.meaning import ticket_kinds
from tests.documents import Line, make_batch, make_ticket

OUT: list[Line] = [("MUG", 1, "5.00")]
BACK: list[Line] = [("MUG", -1, "5.00")]
BOTH: list[Line] = [("MUG", -1, "5.00"), ("CUP", 1, "7.00")]


def kind_of(lines: list[Line], codes: RmsCodes | None = None, **header: Any) -> str:
    frames = make_batch([make_ticket(1, lines, **header), make_ticket(2)])
    kinds = ticket_kinds(frames["tickets"], frames["ticket_lines"], codes or RmsCodes())
    assert kinds.tolist()[1] == "sale"
    return str(kinds.tolist()[0])


@pytest.mark.parametrize(
    ("lines", "header", "kind"),
    [
        (OUT, {}, "sale"),
        (BACK, {}, "return"),
        (BOTH, {}, "exchange"),
        (BACK, {"recall_type": 1, "recall_id": 7}, "return"),
        (BOTH, {"recall_type": 1, "recall_id": 7}, "exchange"),
        (OUT, {"recall_type": 1, "recall_id": 7}, "sale"),
        (BACK, {"recall_type": 3, "recall_id": 7}, "void"),
        (OUT, {"recall_type": 3, "recall_id": 7}, "void"),
        (OUT, {"recall_type": 4, "recall_id": 7, "recalled_order_type": 5}, "pickup"),
        (OUT, {"recall_type": 4, "recall_id": 7, "recalled_order_type": 4}, "pickup"),
        (OUT, {"recall_type": 4, "recall_id": 7, "recalled_order_type": 0}, "pickup"),
        (OUT, {"recall_type": 4, "recall_id": 7, "recalled_order_type": 2}, "sale"),
        (BACK, {"recall_type": 4, "recall_id": 7, "recalled_order_type": 3}, "return"),
        (OUT, {"recall_type": 2}, ""),
        (OUT, {"recall_type": -1}, ""),
        (OUT, {"recall_id": 7}, "sale"),
        ([], {}, "sale"),
        ([], {"total": -5_0000}, "return"),
        ([("MUG", 0, "5.00")], {}, "sale"),
    ],
)
def test_codes_and_signs_decide_what_a_ticket_is(
    lines: list[Line], header: dict[str, Any], kind: str
) -> None:
    assert kind_of(lines, **header) == kind


def test_a_corrected_code_table_reads_the_same_ticket_otherwise() -> None:
    header: dict[str, Any] = {"recall_type": 2, "recall_id": 7, "recalled_order_type": 5}

    assert kind_of(OUT, **header) == ""
    assert kind_of(OUT, RmsCodes(recall_order=2), **header) == "pickup"
    assert kind_of(OUT, RmsCodes(recall_order=2, home_order_types=(5,)), **header) == "sale"
    assert kind_of(OUT, RmsCodes(recall_void=2), **header) == "void"


def test_kinds_are_indexed_like_the_tickets() -> None:
    frames = make_batch([make_ticket(5, BACK), make_ticket(9)])
    tickets = frames["tickets"].set_axis([30, 10])

    kinds = ticket_kinds(tickets, frames["ticket_lines"], RmsCodes())

    assert kinds.to_dict() == {30: "return", 10: "sale"}
