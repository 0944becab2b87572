"""`tillbridge up` and `tillbridge deploy`: the flows under Prefect."""

from __future__ import annotations

import os
import shlex

import click

from deployments.output import say
from deployments.templates import HOME_VARIABLE, plan
from tasks.settings import load_settings


@click.command()
@click.option("--demo", is_flag=True, help="With two sample shops in .up/, whose tills ring by themselves.")
@click.option(
    "--every",
    metavar="SECONDS",
    type=click.FloatRange(5, 3600),
    help="Look for something new every so many seconds from one long-lived process, instead of starting a "
    "process for each run every 5 minutes.",
)
@click.pass_context
def up(context: click.Context, demo: bool, every: float | None) -> None:
    """Run all that one machine needs, until Ctrl-C: a Prefect server if none is configured, every flow.

    What can run here is served: the flows of stores that have an rms_url, and the hub's unless it is
    elsewhere. Prefect's state is kept in .tillbridge/ beside tillbridge.toml. For several machines, or to
    share the work, use `tillbridge deploy` and workers instead.
    """
    if demo and context.obj is not None:
        raise click.UsageError(
            "--demo brings settings of its own; leave --config and $TILLBRIDGE_CONFIG out."
        )
    from deployments.serving import serve

    verbose = context.parent is not None and bool(context.parent.params["verbose"])
    serve(context.obj, every=every, demo=demo, verbose=verbose, say=click.echo)


@click.command()
@click.option("--prune", is_flag=True, help="Delete deployments of stores that were removed.")
@click.option("--remove", is_flag=True, help="Delete all deployments on work pools, so that `up` may serve.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, change nothing.")
@click.pass_context
def deploy(context: click.Context, prune: bool, remove: bool, dry_run: bool) -> None:
    """Register every flow with the Prefect server of $PREFECT_API_URL, those of a store once for each store.

    Creates work pools, queues, triggers and alerts; may run at any time and again: what is as it should be
    is left alone, a schedule that was paused in the UI stays paused. A new store is an entry in
    tillbridge.toml and this command. Workers run the flows; $TILLBRIDGE_HOME is the folder of
    tillbridge.toml on their machines.
    """
    from deployments import registering
    from deployments.automations import apply_automations, remove_automations

    if remove and prune:
        raise click.UsageError("--remove deletes them all, --prune only what is left over: choose one.")
    if remove:
        names = registering.remove(dry_run=dry_run)
        if not dry_run:
            remove_automations()
        click.echo(f"{'Would delete' if dry_run else 'Deleted'} {len(names)} deployments on work pools.")
        return
    settings = load_settings(context.obj)
    done = registering.deploy(settings, prune=prune, dry_run=dry_run, say=click.echo)
    for pool in done.pools:
        click.echo(f"{'Would create' if dry_run else 'Created'} the work pool {pool}.")
    for word, names in (("New", done.created), ("Changed", done.changed)):
        if names:
            say(f"{word}: {', '.join(names)}.", indent=0)
    if done.paused:
        say(f"Paused in the UI, and left so: {', '.join(done.paused)}.", indent=0)
    if done.gone:
        gone = "Deleted" if done.pruned else "Not planned any more (--prune deletes them)"
        say(f"{gone}: {', '.join(done.gone)}.", indent=0)
    click.echo(f"{len(done.created)} new, {len(done.changed)} changed, {len(done.unchanged)} as they were.")
    if dry_run:
        click.echo("Dry run: nothing was changed.")
        return
    alerts = apply_automations(settings)
    told = f"sent by {alerts.notifies}" if alerts.notifies else "shown in the UI only"
    click.echo(f"{alerts.count} alerts, {told}.")
    click.echo("Where the flows shall run, with the same PREFECT_API_URL:")
    home = ""
    if not os.environ.get(HOME_VARIABLE):
        click.echo(f"({HOME_VARIABLE} is the folder of tillbridge.toml there; on this machine it is this.)")
        home = f"{HOME_VARIABLE}={shlex.quote(str(settings.folder))} "
    for pool in sorted({entry.work_pool for entry in plan(settings)}):
        click.echo(f"  {home}prefect worker start --pool '{pool}'")
