"""compose.yaml, which no test here can run: it loads, and what it tells tillbridge is understood."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.settings import get_current_settings
from sqlalchemy.engine import make_url

from deployments.cli import cli
from tasks.settings import load_settings

FOLDER = Path(__file__).resolve().parents[2] / "deployments"
TEXT = (FOLDER / "compose.yaml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name for name, service in SERVICES.items() if service.get("image") == "tillbridge"}


def test_it_says_that_it_was_not_run() -> None:
    assert "NOT RUN HERE" in TEXT


def test_every_service_is_one_of_the_story_and_waits_for_services_that_are_there() -> None:
    assert set(SERVICES) == {"rms", "postgres", "sftp", "prefect", "setup", "worker"}
    assert {"prefect", "setup", "worker"} == OURS
    for service in SERVICES.values():
        for other, wait in service.get("depends_on", {}).items():
            assert wait["condition"] != "service_healthy" or "healthcheck" in SERVICES[other]


def test_every_volume_config_and_secret_is_declared() -> None:
    named = {
        volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])
    }
    used = {config["source"] for service in SERVICES.values() for config in service.get("configs", [])}

    assert {name for name in named if not name.startswith(".")} == set(COMPOSE["volumes"])
    assert used == set(COMPOSE["configs"])
    assert {secret for name in OURS for secret in SERVICES[name].get("secrets", [])} == set(
        COMPOSE["secrets"]
    )


def test_the_settings_load_with_the_environment_it_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HUB_PASSWORD", "RMS_PASSWORD"):
        monkeypatch.setenv(name, "Pass/word1")
    monkeypatch.setenv("SFTP_HOST_KEY", "SHA256:" + "x" * 43)
    settings = load_settings(FOLDER / "compose.toml")
    rms, hub = make_url(settings.rms_url("S1")), make_url(settings.hub_url)

    given = set(SERVICES["worker"]["environment"])
    assert set(re.findall(r"\$\{(\w+)\}", (FOLDER / "compose.toml").read_text(encoding="utf-8"))) <= given
    assert {rms.host, hub.host, "sftp"} <= set(SERVICES)
    assert (rms.password, rms.query["driver"]) == ("Pass/word1", "FreeTDS")
    assert settings.exchange_url == "sftp://till@sftp/exchange"
    assert str(settings.key_file) == "/run/secrets/till_key"


def test_every_command_and_folder_it_names_is_there() -> None:
    commands = re.findall(r"^tillbridge ([a-z-]+)", SERVICES["setup"]["command"][2], re.MULTILINE)
    commands += re.findall(r"setup tillbridge ([a-z-]+)|&& tillbridge ([a-z-]+)", TEXT)[0][:1]
    assert commands == ["migrate", "deploy", "check"]
    assert set(commands) <= set(cli.commands)
    copied = re.findall(r"^ +COPY (.+) \S+$", TEXT, re.MULTILINE)
    assert len(copied) == 6
    for name in " ".join(copied).split():
        assert (FOLDER.parent / name).exists(), name


def test_prefect_knows_the_settings_that_it_is_told() -> None:
    told = {name for service in SERVICES.values() for name in service.get("environment", {})}
    known = set(get_current_settings().to_environment_variables(exclude_unset=False))

    # Without a value there, so not among them.
    without = {"PREFECT_API_URL", "PREFECT_UI_URL"}
    assert {name for name in told if name.startswith("PREFECT_")} - known == without
