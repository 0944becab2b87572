"""What the pages of all flows are made of: tables, lists that end, links, and where a page is kept."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowFilter, FlowFilterName
from prefect.settings import get_current_settings

from data_contracts.amounts import columns_that_tell
from tasks.steps import artifact_key

MOST_ROWS = 50
"""Reasons listed on a page; the rest is counted and found by a command."""


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A markdown table; every row has a cell per header, and cells cannot break out of it."""
    lines = [" | ".join(headers), " | ".join("---" for _ in headers)]
    for row in rows:
        cells = (
            str(cell).replace("|", "\\|").replace("\n", " ") for _, cell in zip(headers, row, strict=True)
        )
        lines.append(" | ".join(cells))
    return "\n".join(f"| {line} |" for line in lines)


def lean_table(headers: Sequence[str], rows: Sequence[Sequence[Any]], keep: Collection[str]) -> str:
    """A table without the columns that hold nothing but 0, so that it fits the screen; `keep` always stay."""
    telling = columns_that_tell(rows)
    told = [place for place, header in enumerate(headers) if header in keep or place in telling]
    return table([headers[place] for place in told], [[row[place] for place in told] for row in rows])


def more(count: int, where: str) -> list[str]:
    """A line that says how many of so many rows were not listed, and where they are."""
    left = count - MOST_ROWS
    return [f"... and {left} more: {where}."] if left > 0 else []


def dry(dry_run: bool, what: str = "nothing was written") -> str:
    """The end of the title of a rehearsal."""
    return f" (dry run: {what})" if dry_run else ""


def stopped(failures: Mapping[str, str]) -> list[str]:
    """A paragraph for each store that an error has stopped."""
    return [f"**{store} stopped:** {text}" for store, text in failures.items()]


def named(paths: Iterable[str]) -> str:
    """Batches by name."""
    return ", ".join(f"`{path}`" for path in paths) or "none"


def form(flow: str, parameters: Mapping[str, Any], *, store: str = "") -> str | None:
    """The address of the form of a deployment of a flow, filled in; None if it has none.

    Where each store has a deployment of its own, that of `store`.
    """
    base = get_current_settings().ui_url
    if not base:
        return None
    chosen = FlowFilter(name=FlowFilterName(any_=[flow]))
    with get_client(sync_client=True) as client:
        found = client.read_deployments(flow_filter=chosen)
    own = [d for d in found if (d.parameters.get("scope") or {}).get("store") == store]
    free = [d for d in found if not (d.parameters.get("scope") or {}).get("store")]
    if not (own or free):
        return None
    query = urllib.parse.urlencode({"parameters": json.dumps(parameters)})
    return f"{base.rstrip('/')}/deployments/deployment/{(own or free)[0].id}/run?{query}"


def publish(key: str, summary: str, parts: Iterable[str]) -> None:
    """Keep a page under a key; `summary` is the line beneath its name in a list."""
    create_markdown_artifact(markdown="\n\n".join(parts), key=artifact_key(key), description=summary)


def publish_by_store(key: str, stores: Collection[str], page: Callable[[Sequence[str]], _Page]) -> None:
    """A page for each store under its own key, and one of all unless it is one."""
    for store in stores:
        publish(f"{key}-{store}", *page([store]))
    if len(stores) != 1:
        publish(key, *page(sorted(stores)))


_Page = tuple[str, list[str]]
"""(a line that sums it up, paragraphs)"""
