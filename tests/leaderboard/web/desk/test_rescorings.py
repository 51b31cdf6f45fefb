"""Re-scoring at the desk: started, previewed, applied as a whole or discarded; and nothing of it public before."""

import pytest

from leaderboard.models import Announcement, Phase, Rescoring
from leaderboard.rescoring.preview import preview
from leaderboard.states import Role
from tests.leaderboard import cast, masks
from tests.leaderboard.rescoring import trial
from tests.leaderboard.web.scene import page

pytestmark = pytest.mark.django_db
RESULTS = "/organisers/rescoring/"
WHY = "an entity was counted twice"


@pytest.fixture
def phase() -> Phase:
    made = cast.phase(cast.case_set(4), cases_are_public=True, runs_per_day=9)
    masks.give_references(masks.cube(4))
    trial.scored(made, "Anna", 4)
    trial.scored(made, "Dora", 6, lost=1)
    return made


@pytest.fixture
def newer():
    with trial.deployed("2"):
        yield


@pytest.fixture
def started(people, phase, newer) -> Rescoring:
    olga, address = people.browser["Olga"], f"/organisers/acts/start-rescoring/?on={phase.slug}"
    asked = page(olga.get(RESULTS))
    assert asked.all("a", href=address)
    assert "the server scores by 2" in asked.text
    assert olga.post(address, {"do": "1", "cases": "", "why": WHY}).status_code == 302
    return Rescoring.objects.get()


def test_its_progress_then_whom_it_moves_then_applied(people, phase, started):
    olga = people.browser["Olga"]
    before = page(olga.get(f"{RESULTS}{started.pk}/"))
    assert "0 of 2" in before.text
    assert "Largest change" not in before.text
    early = olga.post(f"/organisers/acts/apply-rescoring/?on={phase.slug}", {"preview": "1", "why": "So."})
    assert "are still to be scored anew" in early.content.decode()
    trial.work_on()
    shown = page(olga.get(f"{RESULTS}{started.pk}/"))
    assert "2 of 2" in shown.text
    assert "Team of Dora" in shown.text
    assert "1 to 2" in shown.text
    assert shown.all("svg")
    assert Phase.objects.get().ranked_version == "1"
    assert WHY in page(olga.get(RESULTS)).text or "Waits for a decision" in page(olga.get(RESULTS)).text
    olga.post(f"/organisers/acts/apply-rescoring/?on={phase.slug}", {"do": "1", "leave_out": "", "why": "Looked at."})
    assert Phase.objects.get().ranked_version == "2"
    after = page(olga.get(f"{RESULTS}{started.pk}/"))
    assert "Applied" in after.text
    assert "Team of Dora" in after.text  # as it was when it was decided
    assert not [one for one in after.all("a") if "apply-rescoring" in (one["href"] or "")]


def test_teams_are_told_with_the_new_numbers_or_not_at_all(people, phase, started):
    trial.work_on()
    olga = people.browser["Olga"]
    shown = page(olga.get(f"{RESULTS}{started.pk}/"))
    assert "Begun" in shown.text
    assert "by Olga" in shown.text
    [apply] = [one["href"] for one in shown.all("a") if "apply-rescoring" in (one["href"] or "")]
    asked = page(olga.get(apply))
    assert "were scored again from their kept masks" in asked.text
    sent = {"leave_out": "", "why": "Looked at.", "tell": "mail", "message": "All runs were scored again."}
    assert "send announcement" in olga.post(apply, {**sent, "preview": "1"}).content.decode().lower()
    assert not Announcement.objects.exists()
    olga.post(apply, {**sent, "message": "", "do": "1"})
    assert Phase.objects.get().ranked_version == "1"
    olga.post(apply, {**sent, "do": "1"})
    assert Phase.objects.get().ranked_version == "2"
    assert Announcement.objects.get().recipients == 2


def test_a_change_has_the_interval_of_the_pair(people, phase, started):
    """Every case changes by as much: the interval of the change is narrow, and far from 0."""
    trial.work_on()
    rows = preview(started).boards
    [anna, dora] = sorted((one for one in rows[0].teams), key=lambda one: one.name)
    assert anna.interval is not None
    assert anna.dice_change is not None
    assert anna.interval[0] == pytest.approx(anna.dice_change)
    assert dora.interval is not None
    assert dora.interval[0] < (dora.dice_change or 0) < dora.interval[1]


def test_discarded_with_a_reason(people, phase, started):
    trial.work_on()
    address = f"/organisers/acts/discard-rescoring/?on={phase.slug}"
    olga = people.browser["Olga"]
    assert "This field is required" in olga.post(address, {"do": "1"}).content.decode()
    olga.post(address, {"do": "1", "why": "The metric is wrong."})
    assert Rescoring.objects.get().state == "discarded"
    assert Phase.objects.get().ranked_version == "1"
    assert "discarded" in page(olga.get(RESULTS)).text


def test_a_viewer_sees_the_preview_and_decides_nothing(people, phase, started):
    trial.work_on()
    people.olga.role = Role.VIEWER
    people.olga.save()
    viewer = people.browser["Olga"]
    for address in (RESULTS, f"{RESULTS}{started.pk}/"):
        shown = page(viewer.get(address))
        assert not [one for one in shown.all("a") if "/organisers/acts/" in (one["href"] or "")]
    assert "Team of Dora" in page(viewer.get(f"{RESULTS}{started.pk}/")).text
    assert viewer.post(f"/organisers/acts/apply-rescoring/?on={phase.slug}", {"do": "1", "why": "x"}).status_code == 403


def test_nobody_else_reads_of_it(people, phase, started):
    assert people.browser["Alice"].get(f"{RESULTS}{started.pk}/").status_code == 404
    assert people.browser["Olga"].get(f"{RESULTS}99999/").status_code == 404


def test_a_phase_in_which_nothing_changed_is_refused_in_the_preview(people, phase):
    address = f"/organisers/acts/start-rescoring/?on={phase.slug}"
    told = people.browser["Olga"].post(address, {"preview": "1", "cases": "", "why": WHY}).content.decode()
    assert "there is nothing to score anew" in told
