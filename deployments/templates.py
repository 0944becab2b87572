"""What is to be registered with Prefect: the templates of prefect.yaml, those of a store once for each store.

Reads the file and the settings; talks to no server, and imports neither Prefect nor a flow.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from data_contracts.errors import ConfigurationError
from tasks.settings import Settings

TEMPLATES = Path(__file__).with_name("prefect.yaml")

TAG = "tillbridge"
"""Every deployment of ours has it; what has it and is not planned any more can be pruned."""

OF_STORE = "store"
"""Templates with this tag are registered once for each store."""

HOME_VARIABLE = "TILLBRIDGE_HOME"


@dataclass(frozen=True)
class Cron:
    """A schedule: five fields and the zone they are meant in."""

    cron: str
    time_zone: str


@dataclass(frozen=True)
class Planned:
    """One deployment, ready to be registered."""

    name: str
    """`import-orders`, or with the store `export-orders-S1`."""
    template: str
    """Its name in prefect.yaml."""
    store: str | None
    """Store whose machine runs it; none at the hub."""
    module: str
    function: str
    description: str
    tags: tuple[str, ...]
    parameters: Mapping[str, Any]
    schedules: tuple[Cron, ...]
    work_pool: str
    work_queue: str
    limit: int | None
    collision: str | None
    """What a run does that finds `limit` others at work: CANCEL_NEW or ENQUEUE."""
    pull: tuple[Mapping[str, Any], ...]
    triggers: tuple[Mapping[str, Any], ...]
    choices: tuple[str, ...]
    """Stores that its form offers: at the hub all, at a store its own."""

    @property
    def entrypoint(self) -> str:
        """Module and function: found wherever tillbridge is installed, whatever the current folder."""
        return f"{self.module}.{self.function}"


def read_templates(file: Path = TEMPLATES) -> dict[str, Any]:
    """The whole of prefect.yaml. `ConfigurationError` if it cannot be read."""
    try:
        content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(
            f"The templates {file} cannot be read: {error}.", next_step="install tillbridge again"
        ) from error
    return content


def queues(file: Path = TEMPLATES) -> dict[str, int]:
    """Queues of every work pool and their priorities; the lowest comes first."""
    return dict(read_templates(file)["definitions"]["queues"])


def plan(settings: Settings, file: Path = TEMPLATES) -> list[Planned]:
    """Every deployment of this installation, stores first, in the order of the file.

    `ConfigurationError` without stores, or if the file cannot be read.
    """
    if not settings.stores:
        raise ConfigurationError(
            "No store is configured, so there is nothing to register.",
            next_step="add [stores.CODE] to tillbridge.toml",
        )
    planned = []
    for template in read_templates(file)["deployments"]:
        if OF_STORE in template["tags"]:
            planned += [_of_store(template, settings, code) for code in sorted(settings.stores)]
        else:
            planned.append(_plan(template, settings, None))
    return planned


def _of_store(template: Mapping[str, Any], settings: Settings, code: str) -> Planned:
    general = _plan(template, settings, code)
    zone = settings.store(code).time_zone
    return replace(
        general,
        name=f"{general.name}-{code}",
        tags=(*general.tags, code),
        schedules=tuple(replace(schedule, time_zone=zone) for schedule in general.schedules),
        choices=(code,),
    )


def _plan(template: Mapping[str, Any], settings: Settings, code: str | None) -> Planned:
    pool = settings.work_pool(code)
    known = {"TILLBRIDGE_STORE": code}
    if pool == settings.prefect.work_pool:  # a pool of its own is a machine of its own, with its own folder
        known[HOME_VARIABLE] = os.environ.get(HOME_VARIABLE)
    filled = _fill(template, {name: value for name, value in known.items() if value})
    path, function = filled["entrypoint"].split(":")
    schedules = tuple(Cron(entry["cron"], entry["timezone"]) for entry in filled["schedules"])
    if filled["name"] == "import-catalog" and not settings.catalog.file:
        schedules = ()
    limit = filled.get("concurrency_limit") or {}
    return Planned(
        name=filled["name"],
        template=filled["name"],
        store=code,
        module=path.removesuffix(".py").replace("/", "."),
        function=function,
        description=filled["description"],
        tags=tuple(filled["tags"]),
        parameters=filled["parameters"],
        schedules=schedules,
        work_pool=pool,
        work_queue=filled["work_pool"]["work_queue_name"],
        limit=limit.get("limit"),
        collision=limit.get("collision_strategy"),
        pull=tuple(filled["pull"]),
        triggers=tuple(filled.get("triggers", ())),
        choices=tuple(sorted(settings.stores)),
    )


def _fill(value: Any, known: Mapping[str, str]) -> Any:
    """Prefect's own `{{ $NAME }}`; a name that is not known stays, for the worker to fill in."""
    if isinstance(value, dict):
        return {key: _fill(inner, known) for key, inner in value.items()}
    if isinstance(value, list):
        return [_fill(inner, known) for inner in value]
    if isinstance(value, str):
        for name, known_value in known.items():
            value = value.replace("{{ $" + name + " }}", known_value)
    return value


def offer_stores(schema: Any, stores: Sequence[str]) -> Any:
    """A form's schema in which every `store` and every entry of `stores` is a choice among these."""
    if isinstance(schema, list):
        return [offer_stores(inner, stores) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    offered = {key: offer_stores(inner, stores) for key, inner in schema.items()}
    properties = offered.get("properties")
    if isinstance(properties, dict):
        if (one := properties.get("store")) and one.get("type") == "string":
            one["enum"] = list(stores)
        if (many := properties.get("stores")) and many.get("type") == "array":
            many["items"]["enum"] = list(stores)
    return offered
