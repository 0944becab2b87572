"""How results look in a terminal: plain tables for people, JSON for scripts."""

from __future__ import annotations

import dataclasses
import json
import re
import textwrap
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

import click
from pydantic import BaseModel
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

T = TypeVar("T")

WIDTH = 80
"""Tables and sentences fit an 80-column terminal."""

SHORT = 12
"""Cells of a column that are all this short are never broken over lines."""

_NUMBER = re.compile(r"^[-+]?[0-9][0-9,]*(\.[0-9]+)?$")


def show_table(headers: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "") -> None:
    """A small table; figures stand to the right and are never broken over lines."""
    body = [[str(cell) for cell in row] for row in rows]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for index, header in enumerate(headers):
        cells = [row[index] for row in body if row[index]]
        numeric = bool(cells) and all(_NUMBER.match(cell) for cell in cells)
        table.add_column(
            header,
            justify="right" if numeric else "left",
            no_wrap=numeric or index == 0 or all(len(cell) <= SHORT for cell in cells),
            overflow="fold",
        )
    for row in body:
        # Cells are data: brackets in them are no markup.
        table.add_row(*(Text(cell) for cell in row))
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH)
    if title:
        console.print(Text(f"  {title}"))
    console.print(Padding(table, (0, 0, 1, 2)))


def alike(entries: Iterable[T], said: Callable[[T], Hashable]) -> list[tuple[T, str]]:
    """The first of all entries of which the same is said, each with ` and 12 more`, or empty."""
    groups: dict[Hashable, list[T]] = {}
    for entry in entries:
        groups.setdefault(said(entry), []).append(entry)
    return [(same[0], f" and {len(same) - 1:,} more" if len(same) > 1 else "") for same in groups.values()]


def say(text: str, *, indent: int = 2, bullet: str = "") -> None:
    """A sentence, broken at the width of the page, with the lines after the first set in under it."""
    lead = " " * indent + bullet
    click.echo(
        textwrap.fill(
            text,
            width=WIDTH,
            initial_indent=lead,
            subsequent_indent=" " * len(lead),
            break_long_words=False,
            break_on_hyphens=False,
        )
    )


def show_json(value: Any) -> None:
    """Any result as indented JSON; amounts are whole ten-thousandths, as in the records."""
    click.echo(json.dumps(value, indent=2, default=_plain))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    return str(value)
