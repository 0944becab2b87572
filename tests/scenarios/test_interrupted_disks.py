"""Every kind of disk that a kill can leave is gone on from; a file of its own, for a worker of its own."""

from __future__ import annotations

import pytest

from tests.scenarios.test_interruptions import Story, assert_came_to_the_same, installed, run, story

__all__ = ["story"]


@pytest.mark.slow
def test_the_disk_as_a_kill_leaves_it_is_gone_on_from_to_the_same_end(story: Story) -> None:
    """At each point of each step, first and last: no rollback and no `finally` has cleaned up."""
    ends = story.images_at_ends()
    assert len(ends) > 100
    for image, at in ends:
        killed = installed(image)

        run(killed.settings, at.step)

        try:
            assert_came_to_the_same(killed, story.figures)
        except AssertionError as error:
            error.add_note(f"killed at {at}")
            raise
