"""Named fault points: every effect on the outside has one before and after it, a no-op unless a test sets it.

A test sets `hook` to a function that raises (or ends the process) at the name it is after; `NAMES` is
filled as modules declare their points, so that a test can walk them all.
"""

from __future__ import annotations

from collections.abc import Callable

NAMES: set[str] = set()

hook: Callable[[str], None] | None = None


def declare(*names: str) -> None:
    """Register fault points at import, so that a test can find each of them."""
    NAMES.update(names)


def point(name: str) -> None:
    """Pass the fault point `name`; KeyError if it was never declared."""
    if name not in NAMES:
        raise KeyError(f"undeclared fault point {name}")
    if hook is not None:
        hook(name)
