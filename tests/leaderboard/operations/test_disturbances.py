"""What does not work for a while is said on every page, in words that tell nothing, and goes when it is well again."""

from datetime import timedelta

import pytest

from leaderboard.challenge import site_lines
from leaderboard.core import clock
from leaderboard.models import SiteLine
from leaderboard.operations import disturbances
from leaderboard.operations.health import Check, Level

pytestmark = pytest.mark.django_db


def check(name: str, level: Level) -> Check:
    return Check(name, name, level, "gpu-7 of Team X: 3 runs")


def said(at) -> list[str]:
    return [line.text for line in site_lines.standing(at)]


def test_a_queue_that_stands_is_told_after_a_while_once_and_taken_down(settings):
    settings.ALARM_SECONDS = 300
    at = clock.now()
    disturbances.note([check("queue", Level.FAILING)], at)
    assert said(at) == []
    later = at + timedelta(seconds=301)
    disturbances.note([check("queue", Level.FAILING)], later)
    [text] = said(later)
    assert "queue stands" in text
    assert "gpu-7" not in text
    disturbances.note([check("queue", Level.OK)], later)
    assert said(later) == []
    assert SiteLine.objects.get().ended_at == later


def test_what_recovers_by_itself_was_never_told(settings):
    settings.ALARM_SECONDS = 300
    at = clock.now()
    disturbances.note([check("scores", Level.FAILING)], at)
    disturbances.note([check("scores", Level.OK)], at)
    assert not SiteLine.objects.exists()


def test_late_mail_is_told_as_soon_as_it_is_a_warning_and_what_concerns_no_team_never(settings):
    settings.ALARM_SECONDS = 0
    at = clock.now()
    disturbances.note([check("mail", Level.WARNING), check("faults", Level.FAILING), check("hosts", Level.OK)], at)
    assert [line.check_name for line in SiteLine.objects.all()] == ["mail"]
