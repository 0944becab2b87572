"""`tillbridge alerts` and `tillbridge unblock`: what Prefect watches for, and slots that are stuck."""

from __future__ import annotations

from collections.abc import Sequence

import click

from deployments.output import say, show_json, show_table
from tasks.settings import load_settings

_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, for scripts.")


@click.command()
@click.option("--remove", is_flag=True, help="Take all alerts from the server.")
@_JSON
@click.pass_context
def alerts(context: click.Context, remove: bool, as_json: bool) -> None:
    """Register the alerts of [alerts] as automations of the Prefect server, or remove them.

    Safe at any time and any number of times. They are sent by the block that `notification_block` in
    [prefect] names; without one they show in the UI only.
    """
    from deployments.automations import apply_automations, remove_automations

    if remove:
        removed = remove_automations()
        if as_json:
            show_json({"removed": removed})
        else:
            say(f"Removed {len(removed)} alerts.", indent=0)
        return
    done = apply_automations(load_settings(context.obj))
    if as_json:
        show_json(done)
        return
    rows = [
        (name, what)
        for what, names in (
            ("new", done.created),
            ("changed", done.updated),
            ("as it was", done.unchanged),
            ("removed", done.removed),
        )
        for name in names
    ]
    show_table(("alert", ""), sorted(rows))
    say(
        f"They are sent by {done.notifies}."
        if done.notifies
        else "They show in the UI only: no notification_block is set in [prefect].",
        indent=0,
    )


@click.command()
@click.argument("deployments", nargs=-1)
@click.option("--every", is_flag=True, help="Free every slot, also of runs that seem to be alive.")
@click.option("--dry-run", is_flag=True, help="Read and report, change nothing.")
@_JSON
@click.pass_context
def unblock(
    context: click.Context, deployments: Sequence[str], every: bool, dry_run: bool, as_json: bool
) -> None:
    """Free the slots of DEPLOYMENTS (default: all) that dead runs hold, so that the next ones start.

    Such runs are marked as crashed. That harms none that is alive after all: what it does counts once.
    """
    from deployments.unblocking import unblock as run

    found = run(deployments, load_settings(context.obj).alerts, every=every, dry_run=dry_run)
    if as_json:
        show_json(found)
        return
    if not found:
        say("No slot is held.", indent=0)
        return
    show_table(
        ("deployment", "run", "state", "since", "", "why"),
        [
            (
                slot.deployment,
                slot.run,
                slot.state,
                f"{slot.since_utc:%Y-%m-%d %H:%M}" if slot.since_utc else "",
                "freed" if slot.freed else "left",
                slot.why,
            )
            for slot in found
        ],
    )
    if dry_run:
        say("Dry run: nothing was changed.", indent=0)
