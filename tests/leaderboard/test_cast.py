"""What tests write by themselves, to be quick, are the rows that the server leaves."""

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.contrib.sessions.models import Session
from django.db import transaction
from django.test import Client
from django.utils import timezone

from leaderboard.core import clock
from leaderboard.journey import pipeline
from leaderboard.models import Submission
from leaderboard.people import teams
from leaderboard.states import SubmissionState
from tests.leaderboard import cast

pytestmark = pytest.mark.django_db
#: Of rows that were made alike: what is drawn at random, or numbered anew.
DRAWN = {"id", "target_id", "join_code", "token", "position", "upload_file", "upload_name", "digest", "number"}
NUMBERED = {"team_id", "submission_id", "run_id", "image_id"}


@pytest.fixture(autouse=True)
def _still(monkeypatch):
    at = clock.now()
    for module in (clock, timezone):
        monkeypatch.setattr(module, "now", lambda: at)


def left_by(act: Callable[[], Any]) -> dict[str, list[str]]:
    """All rows that there are after it, by table; then it is undone."""
    with transaction.atomic():
        act()
        rows = {
            model._meta.label: sorted(
                str({name: value for name, value in row.items() if name not in DRAWN | NUMBERED})
                for row in model._default_manager.values()
            )
            for model in apps.get_models()
        }
        transaction.set_rollback(True)
    return rows


def test_a_browser_is_one_that_signed_in_by_django():
    alice, browser = cast.person("Alice"), Client()
    browser.force_login(alice)
    ours, theirs = (dict(one.session.items()) for one in (cast.browser_of(alice), browser))
    assert ours == theirs
    ours, theirs = left_by(lambda: cast.browser_of(alice)), left_by(lambda: Client().force_login(alice))
    label = Session._meta.label  # its data are signed as of now
    assert len(ours.pop(label)) == len(theirs.pop(label)) == 3
    assert ours == theirs


def test_a_team_is_one_that_was_founded():
    alice = cast.person("Alice")
    ours = left_by(lambda: cast.team_of(alice, name="Some Team"))
    assert ours == left_by(lambda: teams.create_team(alice, name="Some Team"))
    assert len(ours["leaderboard.AuditEntry"]) == 1


@pytest.mark.parametrize("shows_submitters", [True, False])
def test_a_checked_submission_is_one_that_was_received_and_checked(shows_submitters):
    alice = cast.person("Alice")
    team, phase = cast.team_of(alice), cast.phase(show_submitters=shows_submitters)

    def received_and_checked() -> None:
        submission = cast.submit(team, phase, user=alice, track="overall")
        Submission.objects.update(state=SubmissionState.VALIDATING)
        pipeline.accept(submission, cast.image())

    ours = left_by(lambda: cast.submit_checked(team, phase, user=alice, track="overall"))
    assert ours == left_by(received_and_checked)
    assert len(ours["leaderboard.RunCase"]) == 3
    assert len(ours["leaderboard.StateChange"]) == 2
