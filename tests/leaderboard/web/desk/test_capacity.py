"""Will all teams fit? As the first page of the desk says and draws it."""

from datetime import timedelta

import pytest

from leaderboard.core import clock, minutes
from leaderboard.models import Attempt, Run, RunCase
from tests.leaderboard import cast, gpu_host
from tests.leaderboard.web.scene import page

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_is_drawn_once_something_is_known(people, monkeypatch):
    monkeypatch.setattr(minutes, "MOST", 0)
    minutes._kept.clear()
    olga, host = people.browser["Olga"], cast.host()
    assert "fit?" not in page(olga.get("/organisers/")).text
    submission = cast.submit_checked(people.team, cast.phase())
    assert "Nothing can be foreseen" in page(olga.get("/organisers/")).text
    gpu_host.claim(host, gpu_host.waiting(submission.runs.get()))
    at = clock.now() - timedelta(minutes=2)
    Attempt.objects.update(claimed_at=at - timedelta(hours=1), ended_at=at)
    Run.objects.update(state="scored", ended_at=at)
    RunCase.objects.update(decided_at=at)
    for path in ("/organisers/", "/organisers/panel/"):
        html = olga.get(path).content.decode()
        assert 'aria-labelledby="capacity-test-title capacity-test-said"' in html
        assert "GPU hours are foreseen until" in page(olga.get(path)).text
