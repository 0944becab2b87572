"""Tables and JSON as people and scripts get them."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from data_contracts.manifest import Reason
from deployments.output import WIDTH, say, show_json, show_table


@dataclass(frozen=True)
class Sums:
    """Something to be printed."""

    money: int
    reasons: tuple[Reason, ...]


def test_figures_stand_to_the_right_and_texts_to_the_left(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("store", "money"), [("S1", "1,234.50"), ("LONDON", "-7.00")])

    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0].split() == ["store", "money"]
    assert lines[2:4] == ["  S1       1,234.50", "  LONDON      -7.00"]


def test_brackets_in_data_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("sku",), [("[red]A[/red]",)])

    assert "[red]A[/red]" in capsys.readouterr().out


def test_a_sentence_fits_the_page_and_is_set_in(capsys: pytest.CaptureFixture[str]) -> None:
    say("word " * 40, indent=4, bullet="- ")

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("    - word")
    assert {line[:6] for line in lines[1:]} == {"      "}
    assert max(map(len, lines)) <= WIDTH


def test_json_holds_whole_ten_thousandths_and_nested_records(capsys: pytest.CaptureFixture[str]) -> None:
    show_json({"S1": Sums(12_345_000, (Reason(rule="unknown_sku", message="No such SKU."),))})

    said = json.loads(capsys.readouterr().out)
    assert said["S1"]["money"] == 12_345_000
    assert said["S1"]["reasons"][0]["rule"] == "unknown_sku"
