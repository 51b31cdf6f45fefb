"""What an organiser cannot save by mistake."""

import pytest
from django.core.exceptions import ValidationError

from leaderboard.models import Phase
from tests.leaderboard import cast

pytestmark = pytest.mark.django_db


def changed(phase: Phase, **fields: object) -> Phase:
    for name, value in fields.items():
        setattr(phase, name, value)
    return phase


def test_a_phase_in_order_is_accepted():
    cast.phase().full_clean()


def test_a_phase_cannot_show_the_cases_that_another_one_hides():
    cases = cast.case_set()
    hidden = cast.phase(cases, slug="test")
    with pytest.raises(ValidationError, match=f"The {hidden.name} uses the same cases and keeps them hidden"):
        changed(cast.phase(cases, slug="development"), cases_are_public=True).full_clean()


def test_public_cases_have_nothing_to_withhold():
    with pytest.raises(ValidationError, match="nothing to withhold"):
        changed(cast.phase(), cases_are_public=True, publication="half").full_clean()


@pytest.mark.parametrize("field", ["cpus", "batch_size", "runs_per_day", "case_seconds"])
def test_a_phase_in_which_nothing_could_run_is_refused(field):
    with pytest.raises(ValidationError, match="greater than or equal"):
        changed(cast.phase(), **{field: 0}).full_clean()


def test_a_phase_closes_after_it_opens():
    phase = cast.phase()
    with pytest.raises(ValidationError, match="close after it opens"):
        changed(phase, closes_at=phase.opens_at).full_clean()
