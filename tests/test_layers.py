"""Imports point one way: deployments -> flows -> tasks -> data_contracts; libraries stay in their rooms."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("deployments", "flows", "tasks", "data_contracts")
ADAPTERS = ("tasks/rms", "tasks/exchange", "tasks/hub")
WINDOWS = ("tasks/rms", "tasks/exchange", "tasks/use_cases", "data_contracts")
"""What runs on the PC of a store."""


class Import(NamedTuple):
    file: str
    name: str
    at_top: bool
    """Whether it runs when the module is imported."""

    def __str__(self) -> str:
        return f"{self.file} imports {self.name}{'' if self.at_top else ' (inside a function)'}"


def imports_of(file: Path) -> Iterator[Import]:
    where = file.relative_to(ROOT).as_posix()

    def walk(node: ast.AST, at_top: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(where, alias.name, at_top) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{where} imports relatively"
                # `from tasks import hub` imports tasks.hub as much as `import tasks.hub` does.
                yield from (Import(where, f"{child.module}.{alias.name}", at_top) for alias in child.names)
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            else:
                inner = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                yield from walk(child, at_top and not inner)

    yield from walk(ast.parse(file.read_text(encoding="utf-8")), at_top=True)


IMPORTS = [
    found for layer in LAYERS for file in sorted((ROOT / layer).rglob("*.py")) for found in imports_of(file)
]


def belongs(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def offenders(
    package: str, *, allowed: tuple[str, ...] = (), inside_functions: tuple[str, ...] = ()
) -> list[str]:
    """Imports of a package outside the places where it may be: anywhere, or inside functions only."""
    return [
        str(found)
        for found in IMPORTS
        if belongs(found.name, package)
        and not found.file.startswith(allowed or ("//",))
        and not (found.file.startswith(inside_functions or ("//",)) and not found.at_top)
    ]


def test_the_check_sees_the_imports_it_is_about() -> None:
    seen = {(found.file, found.name, found.at_top) for found in IMPORTS}

    assert ("data_contracts/quarantine.py", "great_expectations", False) in seen
    assert ("data_contracts/frames.py", "pandas", True) in seen


def test_every_layer_imports_only_what_stands_to_its_right() -> None:
    wrong = [
        str(found)
        for found in IMPORTS
        for left in LAYERS[: LAYERS.index(found.file.split("/")[0])]
        if belongs(found.name, left)
    ]

    assert wrong == []
    assert [str(found) for found in IMPORTS if belongs(found.name, "tests")] == []


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_adapters_never_import_each_other(adapter: str) -> None:
    others = [other.replace("/", ".") for other in ADAPTERS if other != adapter]

    wrong = [
        str(found)
        for found in IMPORTS
        if found.file.startswith(adapter + "/") and any(belongs(found.name, other) for other in others)
    ]

    assert wrong == []


def test_libraries_stay_in_their_rooms() -> None:
    assert (
        offenders("prefect", allowed=("flows/", "tasks/steps.py"), inside_functions=("deployments/",)) == []
    )
    assert offenders("pyodbc", allowed=("tasks/rms/",)) == []
    assert offenders("paramiko", allowed=("tasks/exchange/", "deployments/sftp_server.py")) == []
    assert offenders("ftplib", allowed=("tasks/exchange/",)) == []
    assert (
        offenders(
            "great_expectations",
            inside_functions=("data_contracts/contract.py", "data_contracts/quarantine.py"),
        )
        == []
    )


def test_pyodbc_and_paramiko_are_imported_only_when_a_url_asks_for_them() -> None:
    at_top = [
        str(found)
        for found in IMPORTS
        if found.at_top
        and (belongs(found.name, "pyodbc") or belongs(found.name, "paramiko"))
        # The server is made of paramiko's classes; who wants one imports it where it is wanted.
        and found.file != "deployments/sftp_server.py"
    ]

    assert at_top == []
    assert [str(found) for found in IMPORTS if found.at_top and "deployments.sftp_server" in found.name] == []


def test_what_must_not_run_when_data_contracts_are_imported() -> None:
    """WHAT the data must be: no database, no network, no orchestration."""
    for package in ("sqlalchemy", "prefect", "paramiko", "pyodbc", "socket", "requests"):
        assert [s for s in offenders(package) if s.startswith("data_contracts/")] == []


@pytest.mark.parametrize("room", WINDOWS)
def test_what_runs_at_a_store_needs_no_posix(room: str) -> None:
    posix = ("fcntl", "signal", "pwd", "grp", "resource", "os.fork", "os.kill")
    files = sorted((ROOT / room).rglob("*.py"))
    imported = [
        str(found)
        for found in IMPORTS
        if found.file.startswith(room + "/") and any(belongs(found.name, name) for name in posix)
    ]
    called = [
        f"{file.name} uses os.{node.attr}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        and node.attr in ("fork", "kill", "getuid", "mkfifo", "setsid")
    ]

    assert files
    assert imported + called == []


def test_an_empty_cycle_loads_neither_pandas_nor_great_expectations() -> None:
    """Listing the exchange, manifests and verdicts has to be cheap: most cycles find nothing."""
    modules = [
        "data_contracts.documents",
        "data_contracts.errors",
        "data_contracts.manifest",
        "tasks.settings",
        "tasks.use_cases.importing",
        "tasks.use_cases.catalog",
        "tasks.use_cases.exporting_products",
    ]
    program = (
        f"import sys; import {', '.join(modules)}; "
        "print([n for n in ('pandas', 'numpy', 'great_expectations', 'prefect', 'pyodbc', 'paramiko') "
        "if n in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (done.stdout.strip(), done.stderr) == ("[]", "")
