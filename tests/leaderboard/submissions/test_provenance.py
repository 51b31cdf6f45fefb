"""What an image was before it was rebuilt: kept for each submission, shown to its team, found by organisers."""

import hashlib
import json

import pytest
from django.core.management import call_command

from leaderboard.journey import pipeline
from leaderboard.models import AlgorithmImage, ImageProvenance, Phase, Submission
from leaderboard.progress.submission_view import ImageFacts
from leaderboard.states import SubmissionState
from leaderboard.submissions import intake
from tests.containers.intake.build import Image, digest, entry, layer_of
from tests.leaderboard import cast, seen

pytestmark = pytest.mark.django_db(transaction=True)

CLOSED, OPEN = (layer_of(entry("opt/weights", data=b"w" * 2000, mode=mode)) for mode in (0o600, 0o604))


def checked(team, phase, image: Image, **fields) -> Submission:
    submission = cast.submit(team, phase, upload=cast.upload(image.saved()), **fields)
    pipeline.validate_image(submission.pk)
    submission.refresh_from_db()
    assert submission.state == SubmissionState.ACCEPTED, submission.reason
    return submission


def facts(submission: Submission) -> ImageFacts:
    """What its team is shown of its image."""
    shown = seen.by_team(submission).image
    assert shown is not None
    return shown


@pytest.fixture
def phase() -> Phase:
    return cast.phase()


@pytest.fixture
def alices(team, phase) -> Submission:
    return checked(team, phase, Image([CLOSED]))


@pytest.fixture
def bobs(phase) -> Submission:
    return checked(cast.team_of(cast.person("Charlie")), phase, Image([OPEN]))


def test_the_digests_of_the_original_are_kept_beside_the_rebuilt_ones(alices):
    original = Image([CLOSED])
    assert alices.upload == "sha256:" + hashlib.sha256(original.saved()).hexdigest()
    assert alices.provenance.image_id == digest(original.config_bytes) != alices.image.image_id
    assert alices.provenance.diff_ids == [digest(CLOSED)]


def test_two_originals_that_become_one_image_are_still_told_apart(alices, bobs):
    assert alices.image == bobs.image
    assert alices.provenance.image_id != bobs.provenance.image_id
    assert AlgorithmImage.objects.count() == 1


def test_each_team_reads_what_was_opened_of_its_own_image(alices, bobs):
    (warning,) = facts(alices).warnings
    assert "'/opt/weights'" in warning
    assert facts(bobs).warnings == []


def test_the_page_shows_the_id_that_the_teams_engine_shows(client, alices):
    client.force_login(alices.team.memberships.first().user)
    page = client.get(f"/runs/{alices.pk}/").content.decode()
    for shown in (alices.provenance.image_id, alices.image.image_id, alices.upload):
        assert f"{shown[7:15]}…{shown[-4:]}" in page


def test_a_check_that_has_to_be_repeated_keeps_one_row(team, phase):
    submission = cast.submit(team, phase, upload=cast.upload(Image([CLOSED]).saved()))
    assert intake.check_image(submission) == intake.check_image(submission)
    assert ImageProvenance.objects.count() == 1


def test_what_was_checked_before_has_none_and_is_shown_as_before(client, team, phase):
    submission = cast.submit_checked(team, phase)
    AlgorithmImage.objects.update(warnings=["of before"])
    submission = Submission.objects.get(pk=submission.pk)
    assert (facts(submission).original_id, facts(submission).warnings) == ("", ["of before"])
    client.force_login(team.memberships.first().user)
    assert "rebuilt from your" not in client.get(f"/runs/{submission.pk}/").content.decode()


def test_organisers_find_equal_images_by_any_digest(admin_client, alices, bobs):
    def found(digest_: str) -> set[int]:
        listed = admin_client.get("/admin/leaderboard/submission/", {"q": digest_}).context["cl"].result_list
        return {submission.pk for submission in listed}

    assert found(alices.provenance.image_id) == {alices.pk}
    assert found(bobs.upload) == {bobs.pk}
    assert found(alices.image.image_id) == {alices.pk, bobs.pk}


def test_organisers_are_told_all_digests(alices, capsys):
    call_command("submission", alices.pk, json=True)
    said = json.loads(capsys.readouterr().out)
    assert said["original"] == {
        "file": alices.upload,
        "id": alices.provenance.image_id,
        "diff_ids": [digest(CLOSED)],
    }
