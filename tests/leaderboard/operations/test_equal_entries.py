"""Equal entries of different teams are found, by the sweeper; common bases, empty masks and a team's own are not."""

import gzip
from io import StringIO

import pytest
from django.core.management import call_command

from leaderboard.core import clock
from leaderboard.journey import pipeline
from leaderboard.models import AlgorithmImage, Equality, ImageProvenance, LayerUse, Run, RunCase, Submission
from leaderboard.operations import equal_entries
from leaderboard.operations.equal_entries.layers import EMPTY, chain_ids
from leaderboard.processes import sweeper
from leaderboard.states import RunState, SubmissionState
from tests.containers.intake.build import Image, tar_of
from tests.leaderboard import cast, gpu_host, masks

pytestmark = pytest.mark.django_db
FOLDER, EMPTY_LAYER = tar_of({"app/": b""}), bytes(10240)


@pytest.fixture
def phase():
    return cast.phase(runs_per_day=9)


@pytest.fixture
def rivals():
    return cast.team_of(cast.person("Charlie"))


@pytest.fixture
def third():
    return cast.team_of(cast.person("Dora"))


def layer(name: str) -> bytes:
    return tar_of({f"opt/{name}": name.encode()})


BASE = [layer("base"), layer("python")]


def handed_in(team, phase, *layers, label="", tail=b"", weights=None) -> Submission:
    """A submission with an image of these layers, really checked; `label` makes another image of it."""
    config = {"Entrypoint": ["/proc/self/exe"], "Env": [f"OF={label}"]}
    upload = cast.upload(Image([*layers], config).saved() + tail)
    submission = cast.submit(team, phase, upload=upload, weights=weights and cast.upload(weights))
    pipeline.validate_image(submission.pk)
    submission.refresh_from_db()
    assert submission.state == SubmissionState.ACCEPTED, submission.reason
    return submission


def found() -> list[tuple[str, set[int]]]:
    """What the sweeper finds: the kind, and who shares in it."""
    sweeper.sweep()
    rows = Equality.objects.order_by("pk")
    return [(row.kind, {one.submission_id for one in row.entries.all()}) for row in rows]


class TestImages:
    def test_the_same_upload_is_one_find_and_whoever_comes_later_joins_it(self, team, rivals, third, phase):
        first, second = (handed_in(one, phase, layer("a")) for one in (team, rivals))
        assert found() == [("upload", {first.pk, second.pk})]
        more = [handed_in(one, phase, layer("a")) for one in (third, team)]
        assert found() == [("upload", {first.pk, second.pk, *(one.pk for one in more)})]

    def test_the_same_image_in_another_archive_is_found(self, team, rivals, phase):
        pair = [handed_in(team, phase, layer("a")), handed_in(rivals, phase, layer("a"), tail=bytes(512))]
        assert pair[0].upload != pair[1].upload
        assert found() == [("image", {one.pk for one in pair})]

    def test_a_rejected_upload_counts_too_and_one_that_is_being_checked_does_not_yet(self, team, rivals, phase):
        pair = [cast.submit(one, phase) for one in (team, rivals)]
        assert found() == []
        Submission.objects.update(state=SubmissionState.REJECTED)
        assert found() == [("upload", {one.pk for one in pair})]

    def test_a_team_that_hands_in_twice_is_no_find(self, team, phase):
        for label in ("", "", "other"):
            handed_in(team, phase, layer("a"), label=label)
        assert found() == []
        assert not Submission.objects.filter(compared_at=None).exists()

    def test_an_image_of_before_its_layers_were_kept_is_compared_by_what_there_is(self, team, rivals, phase):
        pair = [handed_in(one, phase, *BASE, layer("own"), label=one.slug) for one in (team, rivals)]
        ImageProvenance.objects.filter(submission=pair[0]).update(file_bytes=None)
        assert found() == [("layers", {one.pk for one in pair})]


class TestLayers:
    def test_a_base_that_several_share_before_each_goes_on_is_no_find(self, team, rivals, third, phase):
        for one in (team, rivals, third):
            handed_in(one, phase, *BASE, layer(f"code of {one.pk}"))
        assert found() == []

    @pytest.mark.parametrize(
        ("mine", "theirs"),
        [
            ([*BASE, layer("own")], [*BASE, layer("own")]),
            ([*BASE, layer("own")], [*BASE, layer("own"), layer("more")]),
            ([*BASE, layer("own"), layer("more")], [*BASE, layer("own")]),
            ([*BASE, layer("own"), layer("x")], [layer("other base"), layer("own"), layer("y")]),
            ([*BASE, layer("own"), FOLDER], [*BASE, layer("own"), EMPTY_LAYER]),
        ],
        ids=["another configuration", "one more", "one less", "another base", "trivial layers above"],
    )
    def test_layers_of_their_own_are_found(self, team, rivals, phase, mine, theirs):
        pair = [handed_in(team, phase, *mine, label="a"), handed_in(rivals, phase, *theirs, label="b")]
        assert found() == [("layers", {one.pk for one in pair})]

    @pytest.mark.parametrize("trivial", [FOLDER, EMPTY_LAYER], ids=["a folder", "nothing"])
    def test_layers_without_a_file_count_for_nothing(self, team, rivals, phase, trivial):
        for one in (team, rivals):
            handed_in(one, phase, layer(f"base of {one.pk}"), trivial)
        assert found() == []

    def test_chain_ids_are_those_of_the_oci_specification(self):
        first, second = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
        both = "sha256:9932074217c35353d2e03a3f5a86549f7c67bfeb0ba53e23d69f4d4c8f7958f5"
        assert chain_ids([first, second]) == [first, both]
        assert "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef" in EMPTY

    def test_comparing_again_changes_nothing(self, team, rivals, phase):
        for one in (team, rivals):
            handed_in(one, phase, *BASE, layer("own"), label=one.slug)
        before, uses = found(), LayerUse.objects.count()
        Submission.objects.update(compared_at=None)
        assert found() == before
        assert LayerUse.objects.count() == uses


def test_the_same_weights_are_found_beside_what_else_is_equal(team, rivals, third, phase):
    archive, other = tar_of({"model.pt": b"weights"}), tar_of({"model.pt": b"others"})
    first = handed_in(team, phase, *BASE, layer("own"), label="a", weights=archive)
    second = handed_in(rivals, phase, *BASE, layer("own"), label="b", weights=gzip.compress(archive))
    handed_in(third, phase, layer("else"), weights=other), handed_in(team, phase, layer("more"), weights=archive)
    mine = set(Submission.objects.filter(team=team).values_list("pk", flat=True))
    assert sorted(found()) == [("layers", {first.pk, second.pk}), ("weights", {second.pk, *mine})]


@pytest.fixture
def ended(phase):
    """Makes an ended run of a team, with an image of its own, and these masks; "" is an empty one."""

    def make(team, *digests, image="") -> Run:
        submission = cast.submit_checked(team, phase, upload=cast.upload(f"{team} {digests}".encode()))
        made, _ = AlgorithmImage.objects.get_or_create(
            image_id=image or f"image of {submission.pk}",
            defaults={"archive": "a", "archive_bytes": 1, "unpacked_bytes": 1, "layers": 1},
        )
        Submission.objects.filter(pk=submission.pk).update(image=made)
        run = submission.runs.get()
        Run.objects.filter(pk=run.pk).update(state=RunState.SCORED, ended_at=clock.now())
        for case, digest in zip(run.cases.order_by("case"), digests, strict=True):
            RunCase.objects.filter(pk=case.pk).update(mask_digest=digest)
        return run

    return make


def measured():
    """Of each entry with equal masks: whose it is, to whose they are equal, and in how many of how many cases."""
    found()
    entries = [one for row in Equality.objects.order_by("pk") for one in row.entries.all()]
    return [(one.submission_id, one.like_id, one.equal_cases, one.compared_cases) for one in entries]


class TestMasks:
    def test_equal_masks_are_counted_among_the_cases_in_which_both_have_one(self, team, rivals, ended):
        mine, theirs = ended(team, "a", "b", "c"), ended(rivals, "a", "b", "")
        pair = (mine.submission_id, theirs.submission_id)
        assert measured() == [(pair[1], pair[0], 2, 2), (*pair, 2, 2)]

    @pytest.mark.parametrize(
        ("mine", "theirs"),
        [(["", "", ""], ["", "", ""]), ([None] * 3, [None] * 3), (["a", "b", "c"], ["b", "c", "a"]), ("abc", "ade")],
        ids=["empty masks", "of before", "masks of other cases", "one by chance"],
    )
    def test_what_is_no_find(self, team, rivals, ended, mine, theirs):
        ended(team, *mine), ended(rivals, *theirs)
        assert found() == []
        assert not Run.objects.filter(compared_at=None).exists()

    def test_a_team_that_runs_twice_is_none_and_the_same_image_tells_it_already(self, team, rivals, ended):
        ended(team, "a", "b", "c"), ended(team, "a", "b", "c", image="same")
        ended(rivals, "a", "b", "d"), ended(rivals, "x", "y", "z")
        Submission.objects.update(image=AlgorithmImage.objects.get(image_id="same"))
        assert [kind for kind, _ in found()] == ["image"]

    def test_whoever_comes_later_joins(self, team, rivals, third, ended):
        first, second = ended(team, "a", "b", "c"), ended(rivals, "a", "b", "x")
        measured()
        later = ended(third, "a", "y", "x")
        assert measured()[-1] == (later.submission_id, second.submission_id, 2, 3)
        assert {one for _, entries in found() for one in entries} == {
            run.submission_id for run in (first, second, later)
        }

    def test_files_that_mean_the_same_voxels_are_equal_when_they_were_scored(self, team, rivals, host):
        phase = masks.small_phase(2)
        runs = []
        for one, again in ((team, bytes), (rivals, lambda content: gzip.compress(gzip.decompress(content), 1))):
            submission = cast.submit_checked(one, phase, upload=cast.upload(one.slug.encode()))
            run = submission.runs.get()
            pipeline.fill_slots()
            gpu_host.finish_run(host, run, again(masks.nifti(masks.cube())))
            runs.append(run)
        assert len(set(RunCase.objects.values_list("output", flat=True))) == 2
        runs[0].cases.update(mask_digest=None)  # as if it had been scored before
        call_command("digest_masks", stdout=StringIO())
        assert all(
            str(digest).startswith("sha256:") for digest in RunCase.objects.values_list("mask_digest", flat=True)
        )
        Submission.objects.filter(pk=runs[1].submission_id).update(
            image=AlgorithmImage.objects.create(
                image_id="other", archive="b", archive_bytes=1, unpacked_bytes=1, layers=1
            )
        )
        assert found() == [("masks", {run.submission_id for run in runs})]


def test_what_was_looked_at_is_open_again_when_somebody_joins(team, rivals, third, phase):
    for one in (team, rivals):
        handed_in(one, phase, layer("a"))
    found()
    (find,) = equal_entries.equalities()
    assert find.is_open
    equal_entries.look_at(find, by=cast.OPERATOR, note="One laboratory.", last_seen=find.entries.latest("pk").pk)
    assert [one.is_open for one in equal_entries.equalities()] == [False]
    handed_in(third, phase, layer("a"))
    found()
    (find,) = equal_entries.equalities()
    assert (find.is_open, find.note) == (True, "One laboratory.")
