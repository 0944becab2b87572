"""Retries are decided by the kind of the error, in one place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from data_contracts.errors import BatchAltered, StoreUnavailable
from tasks.exchange.local import LocalFolder


class _Failed:
    """As much of a failed state as the condition looks at."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def result(self, raise_on_failure: bool) -> BaseException:
        assert not raise_on_failure
        return self.error


@pytest.mark.parametrize(
    ("error", "again"),
    [(StoreUnavailable("gone"), True), (BatchAltered("altered"), False), (ValueError("a bug"), False)],
)
def test_only_what_trying_again_may_clear_is_tried_again(error: BaseException, again: bool) -> None:
    from tasks.steps import is_transient

    assert is_transient(None, None, _Failed(error)) is again


def test_importing_the_flows_loads_neither_pandas_nor_great_expectations() -> None:
    code = (
        "import sys\n"
        "import flows.export_orders, flows.import_orders, flows.publish_statement, flows.reconcile\n"
        "import flows.import_catalog, flows.export_products\n"
        "import flows.advance_layaways, flows.advance_backorders, flows.receive_stock\n"
        "import flows.apply_products\n"
        "import flows.release_quarantine\n"
        "print([name for name in ('pandas', 'great_expectations', 'pyodbc') if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_an_import_that_finds_nothing_does_not_load_what_opens_the_hub(tmp_path: Path) -> None:
    """It used to, for half of what an empty run cost beyond Prefect's own work."""
    (tmp_path / "tillbridge.toml").write_text("[stores.S1]\n[warehouses.MAIN]\n", encoding="utf-8")
    (tmp_path / "exchange").mkdir()
    LocalFolder(tmp_path / "exchange").take_into_use()
    code = (
        "import sys\n"
        "import flows.import_orders\n"
        "from tasks import steps\n"
        "from tasks.settings import load_settings\n"
        "found = steps.find_waiting.fn(load_settings(sys.argv[1]), ())\n"
        "print(found, [name for name in ('sqlalchemy', 'paramiko') if name in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "tillbridge.toml")],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "{} []"
