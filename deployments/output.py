"""How results look in a terminal: plain tables for people, JSON for scripts."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from typing import Any

import click
from pydantic import BaseModel
from rich import box
from rich.console import Console
from rich.table import Table

WIDTH = 80
"""Tables fit an 80-column terminal."""


def console() -> Console:
    """Where tables go; never wider than the terminal, plain when it is no terminal."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=WIDTH)


def show_table(headers: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "") -> None:
    """A small table; columns of numbers are aligned to the right."""
    body = [[str(cell) for cell in row] for row in rows]
    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for index, header in enumerate(headers):
        cells = [row[index] for row in body if row[index]]
        numeric = bool(cells) and all(
            cell.lstrip("-+").replace(",", "").replace(".", "").isdigit() for cell in cells
        )
        table.add_column(header, justify="right" if numeric else "left", overflow="fold")
    for row in body:
        table.add_row(*row)
    console().print(table)


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
