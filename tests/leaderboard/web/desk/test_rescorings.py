"""Re-scoring at the desk: started, previewed, applied as a whole or discarded; and nothing of it public before."""

import pytest

from leaderboard.models import Phase, Rescoring
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
