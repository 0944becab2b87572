"""The papers and the program name the same things: commands, settings, flows, errors' next steps."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from pydantic import BaseModel

from data_contracts import errors
from deployments.automations import alerts
from deployments.cli import cli
from tasks.settings import (
    AlertSettings,
    CatalogSettings,
    CatalogStoreSettings,
    ChannelWarehouse,
    CodeSettings,
    ExchangeSettings,
    HubSettings,
    PrefectSettings,
    ProductSettings,
    RetentionSettings,
    StoreSettings,
    WarehouseSettings,
    load_settings,
)
from tests import rules_page

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
FLOWS = (ROOT / "docs" / "prefect.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "deployments" / "tillbridge.example.toml"
SECTIONS: dict[str, type[BaseModel]] = {
    "hub": HubSettings,
    "exchange": ExchangeSettings,
    "retention": RetentionSettings,
    "catalog": CatalogSettings,
    "catalog.stores": CatalogStoreSettings,
    "warehouses": WarehouseSettings,
    "channel_warehouses": ChannelWarehouse,
    "prefect": PrefectSettings,
    "stores": StoreSettings,
    "codes": CodeSettings,
    "products": ProductSettings,
    "alerts": AlertSettings,
}


def _commands() -> set[str]:
    def walk(group: click.Group, before: str) -> set[str]:
        names: set[str] = set()
        for name, command in group.commands.items():
            full = f"{before}{name}"
            names |= walk(command, f"{full} ") if isinstance(command, click.Group) else {full}
            if isinstance(command, click.Group) and command.invoke_without_command:
                names.add(full)
        return names

    return walk(cli, "")


def _first_command(words: str) -> str:
    """The longest known command at the start of some words, or the first word."""
    parts = words.split()
    two = " ".join(parts[:2])
    return two if two in _commands() else (parts[0] if parts else "")


def test_every_command_stands_in_the_readme() -> None:
    missing = {name for name in _commands() if f"tillbridge {name}" not in README}

    assert missing == set()


def test_every_command_the_readme_names_exists() -> None:
    named = {_first_command(words) for words in re.findall(r"tillbridge ((?:[a-z][a-z-]* ?)+)", README)}
    options = {name for name in named if f"`tillbridge {name}" in README}

    assert options - _commands() == set()


def test_every_next_step_names_a_command_that_exists() -> None:
    wrong = set()
    for folder in ("data_contracts", "tasks", "flows", "deployments"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    for words in re.findall(r"`tillbridge ([a-z][a-z -]*)", node.value):
                        if _first_command(words) not in _commands():
                            wrong.add((file.name, words))

    assert wrong == set()


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_stands_on_its_page_and_in_the_example(section: str) -> None:
    names = set(SECTIONS[section].model_fields) - {"codes", "products", "stores"}
    example = EXAMPLE.read_text(encoding="utf-8")

    assert {name for name in names if f"`{name}`" not in CONFIGURATION} == set()
    assert {name for name in names if not re.search(rf"^(# )?{name} = ", example, re.MULTILINE)} == set()


def test_the_example_settings_are_valid_and_say_the_defaults() -> None:
    settings = load_settings(EXAMPLE)

    raw: dict[str, Any] = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    assert settings.hub == HubSettings(**raw["hub"])
    defaults = {"url", "rms_url", "time_zone", "warehouse"}
    for section, model in (("hub", HubSettings()), ("exchange", ExchangeSettings())):
        for name, value in raw[section].items():
            assert name in defaults or str(getattr(model, name)) == str(value), name


def test_flows_of_prefect_yaml_exist_and_stand_on_their_page() -> None:
    listed = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text(encoding="utf-8"))[
        "deployments"
    ]
    for deployment in listed:
        file, function = deployment["entrypoint"].split(":")
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))

        assert any(isinstance(node, ast.FunctionDef) and node.name == function for node in tree.body)
        assert f"`{deployment['name']}`" in FLOWS

    modules = {path.stem for path in (ROOT / "flows").glob("*.py")} - {
        "__init__",
        "events",
        "reporting",
        "side_by_side",
    }
    assert {entry["entrypoint"].split("/")[1].split(".")[0] for entry in listed} == modules


def test_every_event_and_every_alert_stands_in_the_papers() -> None:
    source = (ROOT / "flows" / "events.py").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    runbook = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    names = [
        alert.name.removeprefix("tillbridge: ").split(" (")[0] for alert in alerts(load_settings(EXAMPLE))
    ]

    assert set(re.findall(r'= "(tillbridge\.[a-z.-]+)"', source)) == set(
        re.findall(r"^\| `(tillbridge\.[a-z.-]+)`", page, re.MULTILINE)
    )
    assert {name for name in names if f"| `{name}` |" not in runbook} == set()


def test_every_make_target_of_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))

    assert set(re.findall(r"`?make ([a-z-]+)", README)) <= targets


def test_every_link_between_the_papers_leads_somewhere() -> None:
    def anchors(page: Path) -> set[str]:
        titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        return {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}

    broken = set()
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text(encoding="utf-8")):
            place, _, anchor = link.partition("#")
            target = page.parent / place if place else page
            if not target.exists() or (anchor and anchor not in anchors(target)):
                broken.add((page.name, link))

    assert broken == set()


def test_every_rule_of_hub_and_till_stands_in_the_runbook() -> None:
    """Rules of the contracts have a page of their own."""
    runbook = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    rules: set[str] = set()
    for folder in ("data_contracts", "tasks"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Objection", "refusal"):
                    rules |= {str(rule.value) for rule in node.args[:1] if isinstance(rule, ast.Constant)}

    assert {"unknown_sku", "code_taken"} < rules
    assert {rule for rule in rules if f"`{rule}`" not in runbook} == set()


def test_every_kind_of_error_stands_in_the_runbook() -> None:
    runbook = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    kinds = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.TillbridgeError) and not kind.__subclasses__()
    }

    assert {kind for kind in kinds if f"`{kind}`" not in runbook} == set()


def test_the_page_of_rules_is_written_from_the_contracts() -> None:
    """Renewed by `make docs`."""
    assert rules_page.PAGE.read_text(encoding="utf-8") == rules_page.render()


def test_no_paper_names_a_registry_host_or_a_machine_path() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")

    assert "://" not in lock
    assert "--index-url" not in lock
