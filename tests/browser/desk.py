"""`tillbridge up` and a browser: what a person at the desk has before them."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect, sync_playwright

from tests.deployments.desk import BUSY, ask, command, environment, wait_until

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "pictures"
PICTURES_VARIABLE = "TILLBRIDGE_TEST_PICTURES"
SECONDS = 120
"""How long a run may take on a busy machine, its Python's start included."""

PROFILE = """\
active = "desk"

[profiles.desk]
PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED = "false"
PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED = "false"
PREFECT_RUNNER_POLL_FREQUENCY = "1"
"""
"""Of the server that `up` starts. Whatever runs was asked for."""


@dataclass
class Desk:
    """The UI in a browser, and the API that it asks itself."""

    page: Page
    address: str

    def ask(self, path: str, **body: Any) -> Any:
        """What the API answers to a POST, or the status of a refusal."""
        return ask(f"{self.address}/api", "POST", f"/{path}", body)

    def start(self, deployment: str, **parameters: Any) -> Any:
        """Ask for a run without a form; the run, or the status of a refusal."""
        (found,) = self.ask("deployments/filter", deployments={"name": {"any_": [deployment]}})
        return self.ask(f"deployments/{found['id']}/create_flow_run", parameters=parameters)

    def runs(self) -> int:
        """How many runs there are."""
        return int(self.ask("flow_runs/count"))

    def open_form(self, deployment: str) -> None:
        """From the list of deployments, searched, to the form of a custom run."""
        self.page.goto(f"{self.address}/v2/deployments?flowOrDeploymentName={deployment}")
        listed = self.page.get_by_role("main").locator("a[href*='/deployments/deployment/']")
        listed.filter(has_text=re.compile(f"^{deployment}$")).first.click()
        self.page.get_by_role("button", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Custom run").click()
        self.page.wait_for_load_state("networkidle")

    def field(self, name: str) -> Locator:
        """An optional field of the form, with what its name ends in."""
        label = self.page.get_by_text(f"{name} (Optional)", exact=True)
        around = self.page.get_by_role("main").locator("div").filter(has=label)
        return around.filter(has=self.page.get_by_role("tablist")).last

    def offered(self, choice: str) -> list[str]:
        """What a field of the form can be chosen from."""
        self.page.get_by_role("button", name=choice, exact=True).click()
        options = self.page.get_by_role("dialog").get_by_role("option")
        expect(options.first).to_be_visible()
        found = options.all_inner_texts()
        self.page.keyboard.press("Escape")
        return found

    def submit(self) -> str:
        """Submit the form and go to the run; its id."""
        status = BUSY
        while status == BUSY:  # a person would press the button again
            with self.page.expect_response(re.compile("/create_flow_run")) as answer:
                self.page.get_by_role("button", name="Submit").click()
            status = answer.value.status
        run = str(answer.value.json()["id"])
        self.page.goto(f"{self.address}/v2/runs/flow-run/{run}")
        return run

    def state(self, run: str) -> str:
        """How a run has ended, waiting for it, as the API says and the page shows."""
        deadline = time.monotonic() + SECONDS
        while True:
            (found,) = self.ask("flow_runs/filter", flow_runs={"id": {"any_": [run]}})
            kind = str(found["state"]["type"])
            if kind in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
                break
            assert time.monotonic() < deadline, f"after {SECONDS} s the run is {kind}"
            time.sleep(0.5)
        self.page.reload()
        expect(self.page.get_by_role("main").get_by_text(kind.capitalize(), exact=True).first).to_be_visible()
        return kind

    def open_artifact(self, key: str) -> Locator:
        """From a run's page to one of its artifacts."""
        self.page.get_by_role("tab", name="Artifacts").click()
        self.page.get_by_role("link", name=re.compile(f"MARKDOWN {key} ")).first.click()
        self.page.wait_for_url(f"**/artifacts/key/{key}")
        self.page.get_by_role("main").locator("a[href*='/artifacts/artifact/']").first.click()
        page = self.page.get_by_role("main")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        return page

    def picture(self, name: str, height: int = 760) -> None:
        """Keep what the page shows as a picture for the documentation, if asked to."""
        if not os.environ.get(PICTURES_VARIABLE):
            return
        self.page.wait_for_load_state("networkidle")
        self.page.wait_for_timeout(1_000)  # movements of the page itself
        box = self.page.get_by_role("main").bounding_box()
        assert box is not None
        clip = {**box, "height": min(box["height"], height)}
        PICTURES.mkdir(exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png", clip=clip, full_page=True)  # type: ignore[arg-type]


@contextlib.contextmanager
def open_desk(folder: Path, chromium: str) -> Iterator[Desk]:
    """Serve the installation in `folder` and open the UI of its server."""
    with _up(folder) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1340, "height": 900})
        page.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        yield Desk(page, address)
        browser.close()


@contextlib.contextmanager
def _up(folder: Path) -> Iterator[str]:
    """`tillbridge up`, with all schedules and triggers; its server starts none of them beside the tests."""
    home = folder / ".tillbridge" / "prefect"
    home.mkdir(parents=True)
    (home / "profiles.toml").write_text(PROFILE, encoding="utf-8")
    said = folder / "up.log"
    with said.open("wb") as log:
        serving = subprocess.Popen(
            command("up"),
            cwd=folder,
            env=environment(PREFECT_HOME=str(folder / "prefect")),
            stdout=log,
            stderr=log,
        )
    try:
        yield wait_until(lambda: _address(serving, said), 180)
    finally:
        serving.terminate()
        try:
            serving.wait(timeout=60)
        except subprocess.TimeoutExpired:
            serving.kill()
            serving.wait()


def _address(serving: subprocess.Popen[bytes], said: Path) -> str:
    """Of the UI, once everything is served."""
    told = said.read_text(encoding="utf-8")
    assert serving.poll() is None, told
    return told.partition("The Prefect UI: ")[2].partition(" ")[0]
