"""Weights apart from the image: handed in, used again, checked, ordered, and kept as long as the image is."""

import gzip
import hashlib
import io
import json
import os
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from containers.protocol.orders import parse_order
from leaderboard.board.disclosure import Reader, Viewer
from leaderboard.core import blobs, clock
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.hosts import slots
from leaderboard.journey import decisions, pipeline, submitting
from leaderboard.journey.locking import LeaseLost
from leaderboard.models import Batch, Draft, Host, Phase, ResumableUpload, Submission, Weights
from leaderboard.operations import backup, health, retention
from leaderboard.processes import sweeper
from leaderboard.progress.organiser_view import everything
from leaderboard.states import BatchState, RunState, SubmissionState
from leaderboard.submissions import drafts, resumable, uploads
from tests.containers.intake.build import Image, entry, layer_of, link
from tests.leaderboard import cast, gpu_host

pytestmark = pytest.mark.django_db
IMAGE = Image().saved()
WEIGHTS = gzip.compress(layer_of(entry("model.pt", data=b"weights"), link("latest.pt", "model.pt")))
WORDS = {"track": "main", "algorithm": "Grounder", "method": cast.METHOD, "external": "none", "weights": "upload"}
PARTS = {"image": IMAGE, "weights": WEIGHTS}
HOST: dict[str, Any] = {"HTTP_AUTHORIZATION": f"Bearer {cast.TOKEN}"}


@pytest.fixture
def phase():
    return cast.phase(slug="dev", runs_per_day=9)


@pytest.fixture
def draft(alice, team, phase):
    return drafts.begin(alice, team, phase, WORDS)


@pytest.fixture
def rival():
    return cast.team_of(cast.person("Charlie"))


def submit(draft) -> Any:
    """The submission that the draft became, if it did."""
    return submitting.submit_draft(draft.pk)


def upload(draft, part, content=None, until=None) -> Any:
    """Send a part of a draft, or its beginning; what became of the draft by it."""
    content = content or PARTS[part]
    begun = ResumableUpload.objects.filter(draft=draft, part=part).first()
    begun = begun or resumable.begin(draft, name=f"{part}.tar", length=len(content), part=part)
    piece = content[begun.received : until]
    resumable.receive(begun, resumable.Piece(begun.received, len(piece), io.BytesIO(piece)))
    return submit(draft)


def hand_in(person, team, phase, **said):
    """A submission whose files were checked; `said` changes what the form says."""
    draft = drafts.begin(person, team, phase, WORDS | said)
    for part in PARTS:
        if part == "image" or draft.words["weights"] == "upload":
            upload(draft, part)
    drafts.send(draft, person, draft.words)
    submission = submit(draft)
    pipeline.validate_image(submission.pk)
    submission.refresh_from_db()
    return submission


@pytest.fixture
def alices(alice, team, phase):
    return hand_in(alice, team, phase)


class TestHandingIn:
    @pytest.mark.parametrize("last", ["image", "weights"])
    def test_it_counts_at_the_last_byte_of_the_later_file(self, alice, draft, last):
        first = next(part for part in PARTS if part != last)
        assert upload(draft, first, until=40) is None
        assert upload(draft, last, until=90) is None
        drafts.send(draft, alice, WORDS)
        assert upload(draft, first) is None
        before = clock.now()
        submission = upload(draft, last)
        assert before <= submission.accepted_at <= clock.now()
        assert submission.upload == f"sha256:{hashlib.sha256(IMAGE).hexdigest()}"
        assert submission.weights_upload == f"sha256:{hashlib.sha256(WEIGHTS).hexdigest()}"
        assert uploads.path(submission.weights_file).read_bytes() == WEIGHTS
        assert (submission.weights_name, submission.weights_bytes) == ("weights.tar", len(WEIGHTS))
        assert not Draft.objects.exists()

    def test_weights_that_come_after_the_deadline_are_late(self, alice, draft, phase):
        upload(draft, "image")
        drafts.send(draft, alice, WORDS)
        upload(draft, "weights", until=50)
        Phase.objects.update(closes_at=clock.now())
        assert upload(draft, "weights") is None
        draft.refresh_from_db()
        assert "closed" in draft.refusal

    def test_a_draft_whose_weights_never_came_is_not_handed_in_without_them(self, alice, draft, settings):
        upload(draft, "image")
        upload(draft, "weights", until=50)
        drafts.send(draft, alice, WORDS)
        half = ResumableUpload.objects.filter(part="weights")
        half.update(received_at=clock.now() - timedelta(seconds=settings.UPLOAD_KEEP_SECONDS + 1))
        retention.tidy()
        assert not half.exists()
        sweeper.sweep()
        assert not Submission.objects.exists()
        ResumableUpload.objects.update(received_at=clock.now() - timedelta(seconds=settings.UPLOAD_KEEP_SECONDS - 60))
        retention.tidy()
        assert ResumableUpload.objects.exists()
        assert upload(draft, "weights"), "they can still be sent"

    @pytest.mark.parametrize("sent", [True, False])
    def test_an_image_that_waits_for_weights_which_do_not_come_goes_in_its_time(self, alice, draft, settings, sent):
        upload(draft, "image")
        upload(draft, "weights", until=50)
        if sent:
            drafts.send(draft, alice, WORDS)
        long_ago = clock.now() - timedelta(seconds=settings.UPLOAD_KEEP_SECONDS + 1)
        ResumableUpload.objects.filter(part="image").update(received_at=long_ago)
        retention.tidy()
        assert ResumableUpload.objects.count() == 2, "the weights may still come"
        ResumableUpload.objects.update(received_at=long_ago)
        retention.tidy()
        assert not ResumableUpload.objects.exists()
        assert Draft.objects.exists()

    def test_weights_that_are_refused_by_their_beginning_do_not_let_the_image_go_alone(self, alice, draft):
        upload(draft, "image")
        drafts.send(draft, alice, WORDS)
        with pytest.raises(Refused, match="weights is not a tar archive"):
            upload(draft, "weights", content=b"no archive" * 999)
        assert submit(draft) is None

    def test_what_waits_for_weights_is_not_changed_after_the_deadline_and_counts_as_of_before(self, alice, draft):
        upload(draft, "image")
        upload(draft, "weights", until=50)
        drafts.send(draft, alice, WORDS)
        Phase.objects.update(closes_at=clock.now())
        drafts.send(draft, alice, WORDS | {"weights": "none"})
        assert submit(draft) is None
        draft.refresh_from_db()
        assert "closed" in draft.refusal

    def test_a_form_that_says_nothing_of_weights_waits_for_those_that_were_begun(self, alice, draft):
        upload(draft, "image")
        upload(draft, "weights", until=50)
        drafts.send(draft, alice, {name: value for name, value in WORDS.items() if name != "weights"})
        resumable.end(ResumableUpload.objects.get(part="weights"))
        assert submit(draft) is None, "else its team would decide at any time whether it was handed in"

    def test_a_form_that_was_filled_before_its_weights_came_wants_them(self, alice, team, phase):
        draft = drafts.begin(alice, team, phase, WORDS | {"weights": "none"})
        upload(draft, "weights")
        draft.refresh_from_db()
        assert draft.words["weights"] == "upload"

    def test_who_chooses_none_in_the_end_hands_in_none_and_the_file_goes(
        self, alice, draft, django_capture_on_commit_callbacks
    ):
        for part in PARTS:
            upload(draft, part)
        file = uploads.path(ResumableUpload.objects.get(part="weights").file)
        drafts.send(draft, alice, WORDS | {"weights": "none"})
        with django_capture_on_commit_callbacks(execute=True):
            submission = submit(draft)
        assert submission.weights_file == ""
        assert not file.exists()

    def test_a_page_that_did_not_know_of_them_does_not_throw_them_away(self, alice, draft, client):
        client.force_login(alice)
        for part in PARTS:
            upload(draft, part)
        address, stale = f"/drafts/{draft.pk}/send/", WORDS | {"weights": "none", "weights_seen": ""}
        answer = client.post(address, stale)
        assert answer.status_code == 422
        assert b"came for this draft meanwhile" in answer.content
        key = ResumableUpload.objects.get(part="weights").pk
        assert client.get(f"/drafts/{draft.pk}/").json()["weights"]["key"] == str(key)
        client.post(address, stale | {"weights_seen": str(key)})
        assert Submission.objects.get().weights_file == ""

    def test_the_form_of_a_browser_without_scripts_brings_both(self, alice, team, phase, client):
        client.force_login(alice)
        words = WORDS | {"external_data": "", "paper_url": "", "code_url": ""}
        files = {
            "image": SimpleUploadedFile("image.tar", IMAGE),
            "weights_file": SimpleUploadedFile("weights.tar.gz", WEIGHTS),
        }
        assert client.post("/submit/dev/", words | {"image": files["image"]}).status_code == 422, "they are missing"
        files["image"].seek(0)
        assert client.post("/submit/dev/", words | {"weights": "none"} | files).status_code == 302
        submission = Submission.objects.get()
        assert (submission.weights_name, submission.weights_bytes) == ("weights.tar.gz", len(WEIGHTS))
        pipeline.validate_image(submission.pk)
        again = words | {"weights": str(submission.pk), "image": SimpleUploadedFile("image.tar", IMAGE)}
        client.post("/submit/dev/", again)
        assert Submission.objects.latest("pk").weights == Weights.objects.get()

    def test_a_form_with_something_else_than_weights_is_refused_while_it_comes(self, alice, team, phase, client):
        client.force_login(alice)
        odd = SimpleUploadedFile("weights.zip", b"PK\x03\x04" + bytes(9000))
        answer = client.post("/submit/dev/", WORDS | {"image": SimpleUploadedFile("i.tar", IMAGE), "weights_file": odd})
        assert answer.status_code == 422
        assert b"compressed in a way that is not supported" in answer.content
        assert not Submission.objects.exists()

    def test_cancelled_before_its_check_both_files_go(self, alice, draft, django_capture_on_commit_callbacks):
        for part in PARTS:
            upload(draft, part)
        drafts.send(draft, alice, WORDS)
        submission = submit(draft)
        with django_capture_on_commit_callbacks(execute=True):
            decisions.cancel(submission, by=Actor.person(alice))
        assert not list(uploads.folder().iterdir())


class TestUsedAgain:
    def test_they_go_with_another_image_without_being_sent(self, alice, team, phase, alices, client):
        client.force_login(alice)
        shown = client.get("/submit/dev/").content.decode()
        assert f"submission {alices.pk}" in shown, "they are offered"
        assert drafts.said_last(team)["weights"] == "none", "and not chosen: they went with that image"
        assert drafts.begin_from(alice, phase, alices).words["weights"] == str(alices.pk), "as they do with it"
        again = hand_in(alice, team, phase, weights=str(alices.pk))
        assert (again.state, again.weights, again.weights_upload) == ("accepted", alices.weights, alices.weights_upload)

    def test_the_whole_submission_goes_to_another_phase(self, alice, alices):
        other = cast.phase(cast.case_set(name="hidden"), slug="test")
        draft = drafts.begin_from(alice, other, alices)
        drafts.send(draft, alice, draft.words)
        submission = submit(draft)
        pipeline.validate_image(submission.pk)
        submission.refresh_from_db()
        assert (submission.state, submission.image, submission.weights) == ("accepted", alices.image, alices.weights)
        assert submission.provenance.image_id == alices.provenance.image_id

    def test_another_file_in_place_of_its_image_goes_without_them(self, alice, phase, alices):
        draft = drafts.begin_from(alice, phase, alices)
        assert drafts.begin_from(alice, phase, alices) == draft, "pressed twice, it is begun once"
        resumable.begin(draft, name="image.tar", length=9000)
        draft.refresh_from_db()
        assert (draft.source, draft.words["weights"]) == (None, "none")

    def test_an_image_that_is_here_goes_with_new_weights(self, alice, phase, alices):
        draft = drafts.begin_from(alice, phase, alices)
        drafts.save(draft, draft.words | {"weights": "upload"})
        drafts.send(draft, alice, draft.words)
        assert submit(draft) is None
        submission = upload(draft, "weights", content=layer_of(entry("model.pt", data=b"other weights")))
        pipeline.validate_image(submission.pk)
        submission.refresh_from_db()
        assert submission.image == alices.image
        assert submission.weights != alices.weights

    def test_a_rival_cannot_name_them(self, rival, phase, alices, client):
        charlie = rival.memberships.get().user
        client.force_login(charlie)
        draft = drafts.begin(charlie, rival, phase, WORDS)
        upload(draft, "image")
        for said in (alices.pk, alices.weights.archive, alices.weights_upload, f"0{alices.pk}x", "-1", "9" * 30, "x"):
            words = WORDS | {"weights": str(said)}
            assert client.post(f"/drafts/{draft.pk}/send/", words).status_code == 422
            drafts.send(draft, charlie, words)  # as if the form had taken it
            assert submit(draft) is None
            draft.refresh_from_db()
            assert "no submission with such weights" in draft.refusal
        assert not rival.submissions.exists()
        assert f"run {alices.pk}" not in client.get("/submit/dev/").content.decode()

    def test_who_sends_the_same_learns_nothing_and_shares_the_file(self, rival, phase, alices):
        theirs = hand_in(rival.memberships.get().user, rival, phase)
        assert theirs.weights == alices.weights
        assert drafts.chosen_weights(rival, str(theirs.pk)) == theirs
        with pytest.raises(Refused):
            drafts.chosen_weights(rival, str(alices.pk))

    def test_weights_that_are_gone_or_too_large_for_the_phase_are_refused(self, alice, team, phase, alices):
        Weights.objects.update(unpacked_bytes=10**12)
        for words in ("takes up to", "not here any more"):
            draft = drafts.begin(alice, team, phase, WORDS | {"weights": str(alices.pk)})
            upload(draft, "image")
            drafts.send(draft, alice, draft.words)
            assert submit(draft) is None
            draft.refresh_from_db()
            assert words in draft.refusal
            drafts.discard(draft)
            Weights.objects.update(unpacked_bytes=1)
            blobs.weights.path(alices.weights.archive).unlink(missing_ok=True)


class TestTheCheck:
    def test_what_it_keeps(self, alices):
        assert alices.state == SubmissionState.ACCEPTED
        assert (alices.weights.files, alices.weights.unpacked_bytes) == (1, 7)
        assert blobs.weights.path(alices.weights.archive).stat().st_size == alices.weights.archive_bytes
        assert not uploads.path(alices.weights_file).exists()

    def test_hostile_weights_reject_the_submission_with_words_and_cost_no_run(self, alice, team, phase):
        draft = drafts.begin(alice, team, phase, WORDS)
        upload(draft, "image")
        upload(draft, "weights", content=layer_of(entry("model.pt", data=b"x"), link("shadow", "/etc/shadow")))
        drafts.send(draft, alice, WORDS)
        submission = submit(draft)
        pipeline.validate_image(submission.pk)
        submission.refresh_from_db()
        assert (submission.state, submission.reason_code) == ("rejected", "weights_unsafe_link")
        assert "a link has to be relative" in submission.reason
        assert not submission.charged
        assert not list(uploads.folder().iterdir())
        assert not Weights.objects.exists()

    def test_an_image_that_occupies_their_place_is_refused_with_them_and_not_without(
        self, alice, team, phase, monkeypatch
    ):
        occupied = Image([layer_of(entry("program", data=b"x"), link("opt/ml", "/usr"))]).saved()
        monkeypatch.setitem(PARTS, "image", occupied)
        with_them, without = hand_in(alice, team, phase), hand_in(alice, team, phase, weights="none")
        assert (with_them.state, with_them.reason_code) == ("rejected", "weights_path_reserved")
        assert without.state == SubmissionState.ACCEPTED

    def test_they_are_kept_as_long_as_the_image_and_are_in_the_backup(self, alices):
        archive = alices.weights.archive
        waiting = cast.submit(alices.team, alices.phase, weights=cast.upload(WEIGHTS))
        assert backup._needed_blobs()[blobs.weights] == {archive}
        assert dict(backup._waiting_uploads())[waiting.weights_file] == waiting.weights_upload
        decisions.cancel(waiting, by=Actor.command_line())
        old = clock.now().timestamp() - retention.LEFT_AFTER_SECONDS - 1
        os.utime(blobs.weights.path(archive), (old, old))
        retention.tidy()
        assert blobs.weights.exists(archive)
        Phase.objects.update(archived_at=clock.now())
        retention.tidy()
        assert not blobs.weights.exists(archive)


class TestHosts:
    @pytest.fixture
    def able(self):
        Host.objects.filter(pk=cast.host(slots=2).pk).update(takes_weights=True)
        return Host.objects.get()

    def test_the_order_names_them_and_others_stay_as_they_were(self, able, alice, team, phase, alices):
        plain = hand_in(alice, team, phase, weights="none")
        pipeline.fill_slots()
        orders = [gpu_host.claim(able, gpu_host.waiting(one.runs.get())) for one in (alices, plain)]
        weights = parse_order(orders[0]).weights
        assert weights is not None
        assert weights.blob == alices.weights.archive
        assert "weights" not in orders[1], "a host of before refuses what it does not know"
        told = everything(alices, Viewer(Reader.ORGANISER, clock.now()).of_submission(alices))["weights"]
        assert (told["archive"], told["file"], told["files"]) == (weights.blob, alices.weights_upload, 1)

    def test_they_are_given_to_the_host_of_a_batch_that_needs_them_and_to_nobody_else(
        self, able, alice, team, phase, alices
    ):
        address = f"/worker/v1/blobs/{alices.weights.archive}"
        plain = hand_in(alice, team, phase, weights="none")
        pipeline.fill_slots()
        gpu_host.claim(able, gpu_host.waiting(plain.runs.get()))
        assert Client().get(address).status_code == 401
        assert Client().get(address, **HOST).status_code == 404
        order = gpu_host.claim(able, gpu_host.waiting(alices.runs.get()))
        answer = Client().get(address, **HOST)
        assert hashlib.sha256(b"".join(answer)).hexdigest() == alices.weights.archive[7:]
        Batch.objects.filter(pk=order["batch"]).update(state=BatchState.WAITING)
        assert Client().get(address, **HOST).status_code == 404

    def test_a_host_of_before_gets_no_such_run_and_others_do_not_wait_for_it(self, rival, phase, alices, able):
        run = alices.runs.get()
        Host.objects.update(takes_weights=False, slots=able.slots[:1])
        assert not slots.fits_some_host(alices, clock.now())
        assert health.facts().run_fits_no_host
        others = cast.submit_checked(rival, phase)
        pipeline.fill_slots()
        run.refresh_from_db()
        assert (run.state, others.runs.get().state) == (RunState.QUEUED, RunState.CANARY)
        Host.objects.update(takes_weights=True, slots=able.slots)
        pipeline.fill_slots()
        run.refresh_from_db()
        assert run.state == RunState.CANARY
        assert not health.facts().run_fits_no_host
        Host.objects.update(takes_weights=False)
        with pytest.raises(LeaseLost) as lost:
            gpu_host.claim(Host.objects.get(), gpu_host.waiting(run))
        assert not lost.value.cancelled
        Host.objects.update(takes_weights=True)
        assert gpu_host.claim(Host.objects.get(), gpu_host.waiting(run))["weights"]

    def test_a_run_without_weights_leaves_the_able_host_to_others(self, phase, rival, able):
        cast.host("old", token="another")
        cast.submit_checked(rival, phase)
        pipeline.fill_slots()
        free = slots.free_slots(clock.now())
        assert [slot.takes_weights for slot in free] == [True, True]

    @pytest.mark.parametrize(("can", "takes"), [(["weights"], True), (["more", 7], False), ([], False), (None, False)])
    def test_what_a_host_can_do_it_says_in_its_hello(self, able, can, takes):
        hello = {"version": "1", "slots": [], "engine": "x", "free_bytes": 1, "trouble": ""}
        said = json.dumps(hello if can is None else hello | {"can": can})
        answer = Client().post("/worker/v1/hello", said, content_type="application/json", **HOST)
        assert "can" in answer.json()["reads"]
        able.refresh_from_db()
        assert able.takes_weights is takes
