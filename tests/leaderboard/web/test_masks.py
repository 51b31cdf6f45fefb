"""Masks on the pages: handed in by the form and by tus, told what is wrong with them, scored, and on the board."""

import base64
from types import SimpleNamespace

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from leaderboard.board import exports
from leaderboard.board.disclosure import Disclosure, Reader
from leaderboard.core import clock
from leaderboard.journey import pipeline
from leaderboard.models import Draft, Phase, ResumableUpload, Submission
from leaderboard.progress import listing
from leaderboard.states import RunState, SubmissionState
from tests.containers.intake.build import entry, layer_of
from tests.leaderboard import cast, masks, seen
from tests.leaderboard.web.scene import page, scored
from tests.leaderboard.web.test_submit import words

pytestmark = pytest.mark.django_db
NAMES = [f"case_{number:03}.nii.gz" for number in range(3)]
WEIGHTS = layer_of(entry("net.pt", data=b"weights"))
ZIP = masks.zipped(dict.fromkeys(NAMES, masks.nifti(masks.cube(5))))


@pytest.fixture
def phase() -> Phase:
    made = cast.phase(cast.case_set(3), slug="dev", cases_are_public=True, takes="both", runs_per_day=9)
    masks.give_references(masks.cube(4))
    return made


@pytest.fixture
def alice(people, phase):
    return people.browser["Alice"]


def form(content=ZIP, **changes):
    return words(entry="masks", image=SimpleUploadedFile("masks.zip", content), **changes)


def hand_in(alice, content=ZIP) -> Submission:
    assert alice.post("/submit/dev/", form(content)).status_code == 302
    submission = Submission.objects.latest("pk")
    pipeline.validate_image(submission.pk)
    submission.refresh_from_db()
    return submission


class TestTheForm:
    def test_it_asks_where_a_phase_takes_both(self, alice, phase):
        asked = page(alice.get("/submit/dev/")).text
        assert "What you hand in" in asked
        assert "One .nii.gz for each case" in asked
        Phase.objects.update(takes="masks")
        asked = page(alice.get("/submit/dev/")).text
        assert "1. Masks" in asked
        assert "docker save" not in asked
        Phase.objects.update(takes="images")
        asked = page(alice.get("/submit/dev/")).text
        assert "masks.zip" not in asked

    def test_masks_become_a_submission(self, alice):
        assert alice.post("/submit/dev/", form()).status_code == 302
        submission = Submission.objects.get()
        assert (submission.entry, submission.upload_name) == ("masks", "masks.zip")

    def test_an_answer_that_is_missing_is_asked_for(self, alice):
        without = form()
        del without["entry"]
        answer = alice.post("/submit/dev/", without)
        assert answer.status_code == 422
        assert "Say what you hand in." in page(answer).text

    def test_too_large_an_archive_is_refused_by_the_limit_of_masks(self, alice):
        Phase.objects.update(max_masks_bytes=100)
        answer = alice.post("/submit/dev/", form())
        assert answer.status_code == 422
        assert "of masks" in page(answer).text

    def test_another_file_than_any_that_the_phase_takes_is_refused_by_its_first_bytes(self, alice):
        Phase.objects.update(takes="images")
        big = masks.zipped({NAMES[0]: bytes(9000)})
        answer = alice.post("/submit/dev/", words(image=SimpleUploadedFile("masks.zip", big)))
        assert "By its first bytes this is an archive of masks, not an image" in page(answer).text


class TestTus:
    def begin(self, alice, entry):
        begun = alice.post("/drafts/of/dev/", words(image="", entry=entry))
        assert begun.status_code == 201
        return begun.json()

    def send(self, alice, begun, content, part="image"):
        said = {"Tus-Resumable": "1.0.0", "Upload-Length": str(len(content))}
        said["Upload-Metadata"] = f"part {base64.b64encode(part.encode()).decode()}"
        piece = {"content_type": "application/offset+octet-stream", "data": content}
        return alice.post(begun["begin_upload"], headers=said, **piece)

    def test_an_archive_of_masks_goes_by_the_same_upload(self, alice):
        begun = self.begin(alice, "masks")
        assert self.send(alice, begun, ZIP).status_code == 201
        answer = alice.post(f"/drafts/{begun['draft']}/send/", words(image="", entry="masks"))
        assert answer.status_code in {200, 302}
        assert Submission.objects.get().entry == "masks"

    def test_what_the_draft_says_otherwise_is_refused_at_once(self, alice):
        begun = self.begin(alice, "image")
        refused = self.send(alice, begun, masks.zipped({NAMES[0]: bytes(9000)}))
        assert refused.status_code == 422
        assert b"By its first bytes this is an archive of masks" in refused.content

    def test_a_phase_that_stopped_taking_masks_refuses_and_keeps_the_draft(self, alice):
        begun = self.begin(alice, "masks")
        self.send(alice, begun, ZIP)
        Phase.objects.update(takes="images")
        answer = alice.post(f"/drafts/{begun['draft']}/send/", words(image="", entry="masks"))
        # the form has no such question any more, and the draft keeps what it was sent with
        assert answer.status_code == 422
        assert not Submission.objects.exists()
        upload = Draft.objects.get().upload
        assert upload
        assert upload.completed_at


class TestWeightsBelongToAnImage:
    def test_those_that_were_chosen_before_masks_were_are_left_out(self, alice):
        other = {"weights": "upload", "weights_file": SimpleUploadedFile("weights.tar", WEIGHTS)}
        assert alice.post("/submit/dev/", form(**other)).status_code == 302
        assert (Submission.objects.get().entry, Submission.objects.get().weights_file) == ("masks", "")

    def test_those_that_came_before_are_deleted_with_the_draft(self, alice):
        begun = TestTus().begin(alice, "image")
        assert TestTus().send(alice, begun, WEIGHTS, part="weights").status_code == 201
        assert alice.post(f"/drafts/{begun['draft']}/", words(image="", entry="masks")).status_code == 200
        assert TestTus().send(alice, begun, ZIP).status_code == 201
        answer = alice.post(f"/drafts/{begun['draft']}/send/", words(image="", entry="masks"))
        assert answer.status_code in {200, 302}, answer.content
        assert Submission.objects.get().weights_file == ""
        assert not ResumableUpload.objects.exists()

    def test_none_is_sent_beside_masks(self, alice, phase):
        begun = TestTus().begin(alice, "masks")
        refused = TestTus().send(alice, begun, WEIGHTS, part="weights")
        assert refused.status_code == 422
        assert b"Weights belong to an image" in refused.content
        Phase.objects.update(takes="masks")
        assert "Weights" not in page(alice.get("/submit/dev/")).text


class TestThePageOfASubmission:
    def test_what_is_wrong_is_listed_by_case(self, alice):
        submission = hand_in(alice, masks.zipped({NAMES[0]: b"<script>", "<b>.nii.gz": b""}))
        assert submission.state == SubmissionState.REJECTED
        shown = page(alice.get(f"/runs/{submission.pk}/"))
        assert "The masks cannot be used." in shown.text
        assert "3 of 3 cases cannot be scored" in shown.text
        for name in NAMES:
            assert f"{name}: " in shown.text
        assert "'<b>.nii.gz'" in shown.text
        assert "Submit anew" in shown.text
        assert "image" not in shown.text.partition("Whose fault")[2].partition("What to do")[0]

    def test_scores_come_without_a_word_of_containers(self, alice, phase):
        submission = hand_in(alice)
        waiting = page(alice.get(f"/runs/{submission.pk}/")).text
        assert "Masks checked" in waiting
        assert "in turn with those of other teams" in waiting
        pipeline.score_batch(submission.runs.get().batches.get().pk)
        shown = page(alice.get(f"/runs/{submission.pk}/")).text
        assert submission.runs.get().state == RunState.SCORED
        for word in ("First case", "Container", "container had", "Queue", "GPU", "in the log"):
            assert word not in shown, word
        assert "no container of ours wrote them" in shown
        assert "As masks" in shown or "as masks" in shown
        of_cases = page(alice.get(f"/runs/{submission.pk}/cases/")).text
        assert "is what you handed in" in of_cases
        assert "Logs" not in of_cases
        assert "no container of ours ran" in page(alice.get(f"/runs/{submission.pk}/logs/")).text
        numbers = alice.get(f"/runs/{submission.pk}/results.json").json()
        assert numbers["entry"] == "masks"
        assert numbers["cases"][0]["seen_as"] is None
        assert "This image again" not in shown
        assert "counts masks" in page(alice.get("/runs/")).text

    def test_progress_is_that_of_the_scores(self, alice, phase, monkeypatch):
        submission = hand_in(alice)
        monkeypatch.setattr(pipeline, "TURN_SECONDS", 0.0)
        pipeline.score_batch(submission.runs.get().batches.get().pk)
        assert "1 of 3 cases" in page(alice.get(f"/runs/{submission.pk}/")).text


class TestTheBoard:
    @pytest.fixture
    def two(self, people, phase) -> SimpleNamespace:
        """Alice's masks are better than Charlie's image."""
        ours = scored(people.team, phase, dice=0.5).submission
        Submission.objects.filter(pk=ours.pk).update(entry="masks", image=None)
        return SimpleNamespace(ours=ours, theirs=scored(people.rivals, phase, dice=0.3).submission)

    def test_ranked_with_the_images_they_are_marked(self, alice, phase, two):
        board = seen.board_by_public(phase, "main")
        assert [(row.rank, row.submission) for row in board.rows] == [(1, two.ours.pk), (2, two.theirs.pk)]
        assert not board.masks
        text = page(alice.get("/leaderboard/dev/")).text
        assert "masks" in text.partition("Alice and Bob")[2].partition("Rivals")[0]
        assert [row["entry"] for row in exports.as_json(board)["rows"]] == ["masks", "image"]
        assert [line.endswith("masks") for line in exports.as_table(board).splitlines()] == [False, True, False]
        assert "masks" in page(alice.get("/")).text

    def test_apart_they_have_no_rank_and_do_not_count(self, alice, people, phase, two):
        Phase.objects.update(masks_are_ranked=False)
        phase.refresh_from_db()
        board = seen.board_by_public(phase, "main")
        assert [(row.rank, row.submission) for row in board.rows] == [(1, two.theirs.pk)]
        assert [(row.rank, row.submission) for row in board.masks] == [(None, two.ours.pk)]
        assert "Masks, not ranked" in page(alice.get("/leaderboard/dev/")).text
        told = exports.as_json(board)
        assert [(row["rank"], row["entry"]) for row in told["masks"]] == [(None, "masks")]
        assert "Masks that were handed in, not ranked:" in exports.as_table(board)
        viewer = Disclosure(Reader.TEAM, phase, clock.now()).viewer
        assert [line.counts for line in listing.runs_of(people.team, viewer).lines] == [""]

    def test_a_teams_image_counts_where_its_better_masks_are_apart(self, people, phase, two):
        Phase.objects.update(masks_are_ranked=False, counting="best")
        phase.refresh_from_db()
        image = scored(people.team, phase, dice=0.2).submission
        board = seen.board_by_public(phase, "main")
        assert [row.submission for row in board.rows] == [two.theirs.pk, image.pk]
        assert [row.submission for row in board.masks] == [two.ours.pk]


def test_the_guidelines_say_which_phase_takes_them(alice, phase):
    text = page(alice.get("/guidelines/")).text
    assert f"The {phase.name} takes images, and archives of masks; masks are ranked with the images." in " ".join(
        text.split()
    )
