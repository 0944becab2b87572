"""`docs/rules.md`: every rule of the contracts, written from the contracts. `make docs` renews it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from data_contracts.contract import FOLDER, load_contract

PAGE = Path(__file__).resolve().parent.parent / "docs" / "rules.md"

_HEAD = """\
# Rules of the contracts

Written from `data_contracts/contracts/` by `make docs`. A document that fails a critical rule waits in
quarantine whole; where rows belong to no document, the batch is rejected. A warning is shown and the
document is accepted. Words *in italics* stand for cells of the row or for what was worked out from its
document. What to do about each kind of trouble, step by step, stands in [operations.md](operations.md).
"""


def render() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_sections()])


def _sections() -> Iterator[str]:
    for stream in sorted(file.name.removesuffix(".odcs.yaml") for file in FOLDER.glob("*.odcs.yaml")):
        contract = load_contract(stream)
        yield f"## {contract.label}\n"
        for role, file in contract.files.items():
            yield f"### {role}\n\n| rule | | what it says | what to do |\n| --- | --- | --- | --- |"
            for rule in file.rules:
                yield f"| `{rule.name}` | {rule.severity} | {_cells(rule.sentence)} | {_cells(rule.fix)} |"
            yield ""


def _cells(sentence: str) -> str:
    return re.sub(r"\{(\w+)(?::\w+)?\}", r"*\1*", sentence).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
