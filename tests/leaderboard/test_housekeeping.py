"""Files that nobody will ask for again."""

import os
import time

import pytest

from leaderboard import housekeeping, uploads
from leaderboard.models import Submission
from leaderboard.states import SubmissionState
from tests.leaderboard import cast

pytestmark = pytest.mark.django_db


def age(path, hours=25):
    then = time.time() - hours * 3600
    os.utime(path, (then, then))


def test_what_a_killed_check_left_goes_after_a_day(store):
    left = store / "incoming" / "tmp123"
    left.mkdir()
    (left / "image.tar").write_bytes(b"x")
    housekeeping.tidy()
    assert left.exists()
    age(left)
    housekeeping.tidy()
    assert not left.exists()


def test_an_upload_stays_as_long_as_its_submission_waits_for_the_check():
    submission = cast.submit(cast.team_of(cast.person("Alice")), cast.phase())
    file = uploads.path(submission.upload_file)
    age(file)
    housekeeping.tidy()
    assert file.exists()
    Submission.objects.update(state=SubmissionState.REJECTED)
    housekeeping.tidy()
    assert not file.exists()
