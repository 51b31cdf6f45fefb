"""Drafts, and the last hour of a phase as the guidelines promise it."""

import io
import tarfile
from datetime import timedelta

import pytest

from leaderboard.core import blobs, clock
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.journey import decisions, submitting
from leaderboard.models import AlgorithmImage, AuditEntry, Draft, Phase, ResumableUpload, Submission
from leaderboard.operations import retention
from leaderboard.processes import sweeper
from leaderboard.states import RunState, SubmissionState
from leaderboard.submissions import drafts, resumable, uploads
from leaderboard.submissions.quota import quota_of
from tests.leaderboard import cast, seen
from tests.leaderboard.web.scene import page

pytestmark = pytest.mark.django_db
FILE = tarfile.TarInfo("layer.tar").tobuf() + bytes(5000)
LENGTH = len(FILE)
WORDS = {"track": "main", "algorithm": "Grounder", "method": cast.METHOD, "external": "none"}


@pytest.fixture
def phase():
    return cast.phase(slug="dev", runs_per_day=2)


@pytest.fixture
def draft(alice, team, phase):
    return drafts.begin(alice, team, phase, WORDS)


def receive(upload, until=LENGTH):
    """The bytes from where the upload is up to `until`, and what follows from them."""
    content = FILE[upload.received : until]
    piece = resumable.Piece(upload.received, len(content), io.BytesIO(content))
    resumable.receive(upload, piece)
    return submitting.submit_draft(upload.draft_id)


def begin(draft):
    return resumable.begin(draft, name="image.tar", length=len(FILE))


def close(phase, ago=timedelta(seconds=1)):
    Phase.objects.filter(pk=phase.pk).update(closes_at=clock.now() - ago)


class TestTheLastHour:
    def test_submit_while_the_upload_runs_counts_at_the_last_byte(self, alice, draft):
        upload = begin(draft)
        receive(upload, 1000)
        drafts.send(draft, alice, WORDS)
        assert submitting.submit_draft(draft.pk) is None
        before = clock.now()
        submission = receive(upload)
        assert submission.accepted_at >= before
        assert submission.upload_file == upload.file
        assert not Draft.objects.exists()

    def test_an_upload_that_was_here_counts_at_submit(self, alice, draft):
        receive(begin(draft))
        before = clock.now()
        drafts.send(draft, alice, WORDS)
        submitting.submit_draft(draft.pk)
        assert Submission.objects.get().accepted_at >= before

    def test_a_last_byte_after_the_deadline_is_refused_and_an_extension_lets_it_in(self, alice, draft, phase):
        upload = begin(draft)
        drafts.send(draft, alice, WORDS)
        close(phase)
        assert receive(upload) is None
        draft.refresh_from_db()
        assert "closed" in draft.refusal
        assert draft.submitted_at is None
        assert uploads.path(upload.file).read_bytes() == FILE
        Phase.objects.filter(pk=phase.pk).update(closes_at=clock.now() + timedelta(hours=1))
        drafts.send(draft, alice, draft.words)
        submitting.submit_draft(draft.pk)
        assert Submission.objects.get().upload_bytes == len(FILE)

    def test_what_was_whole_before_the_deadline_counts_though_its_process_died(self, alice, draft, phase):
        upload = begin(draft)
        drafts.send(draft, alice, WORDS)
        resumable.receive(upload, resumable.Piece(0, len(FILE), io.BytesIO(FILE)))  # and then nothing more
        last_byte = upload.completed_at
        close(phase, ago=timedelta(0))
        sweeper.sweep()
        assert Submission.objects.get().accepted_at == last_byte

    def test_of_two_drafts_one_gets_the_last_run_of_the_day(self, alice, team, draft, phase):
        Phase.objects.filter(pk=phase.pk).update(runs_per_day=1)
        other = drafts.begin(alice, team, phase, WORDS)
        for one in (draft, other):
            drafts.send(one, alice, WORDS)
        assert receive(begin(draft))
        assert receive(begin(other)) is None
        other.refresh_from_db()
        assert "The next day begins" in other.refusal

    def test_who_takes_it_back_in_time_submits_nothing(self, alice, draft):
        upload = begin(draft)
        drafts.send(draft, alice, WORDS)
        drafts.take_back(draft)
        assert receive(upload) is None
        assert not Submission.objects.exists()

    def test_what_somebody_sent_who_has_no_account_any_more_is_not_handed_in_by_nobody(self, team, draft):
        bob = cast.person("Bob")
        team.memberships.create(user=bob)
        upload = begin(draft)
        drafts.send(draft, bob, WORDS)
        bob.delete()
        assert receive(upload) is None
        draft.refresh_from_db()
        assert "no account any more" in draft.refusal

    def test_submit_pressed_again_does_not_count_as_of_later(self, alice, draft):
        upload = begin(draft)
        drafts.send(draft, alice, WORDS)
        resumable.receive(upload, resumable.Piece(0, len(FILE), io.BytesIO(FILE)))
        drafts.send(draft, alice, WORDS)
        submitting.submit_draft(draft.pk)
        assert Submission.objects.get().accepted_at == upload.completed_at

    def test_until_the_deadline_runs_are_withdrawn_and_brought_back_and_after_it_they_stay(self, alice, draft, phase):
        receive(begin(draft))
        drafts.send(draft, alice, WORDS)
        submission, by = submitting.submit_draft(draft.pk), Actor.person(alice)
        assert submission
        for decide in (decisions.withdraw, decisions.withdraw, decisions.bring_back, decisions.withdraw):
            decide(submission, by=by)
        assert quota_of(submission.team, phase, clock.now()).total_used == 1
        recorded = AuditEntry.objects.filter(target_type="submission", target_id=str(submission.pk)).order_by("pk")
        assert list(recorded.values_list("action", flat=True)) == ["withdraw", "bring back", "withdraw"]
        close(phase, ago=timedelta(0))
        with pytest.raises(Refused, match="which runs count cannot be changed any more"):
            decisions.bring_back(submission, by=by)
        assert submission.withdrawn_at
        with pytest.raises(Refused, match="this one goes on"):
            decisions.cancel(submission, by=by)
        now = Submission.objects.get()
        assert (seen.by_team(now).can_cancel, seen.by_organiser(now).can_cancel) == (False, True)
        with pytest.raises(Refused, match="Say why"):
            decisions.bring_back_for_team(submission, by=cast.OPERATOR, why=" ")
        decisions.bring_back_for_team(submission, by=cast.OPERATOR, why="They asked for it at 23:58.")
        assert AuditEntry.objects.latest("pk").why == "They asked for it at 23:58."
        Phase.objects.filter(pk=phase.pk).update(closes_at=clock.now() + timedelta(hours=1))
        decisions.withdraw(submission, by=by)
        assert submission.withdrawn_at

    def test_an_empty_piece_behind_the_end_does_not_make_it_later(self, alice, draft):
        upload = begin(draft)
        receive(upload)
        last_byte = upload.completed_at
        resumable.receive(upload, resumable.Piece(len(FILE), 0, io.BytesIO()))
        upload.refresh_from_db()
        assert upload.completed_at == last_byte

    def test_a_lack_of_space_at_the_last_byte_costs_nobody_the_deadline(self, alice, draft, phase, settings):
        upload = begin(draft)
        drafts.send(draft, alice, WORDS)
        resumable.receive(upload, resumable.Piece(0, len(FILE), io.BytesIO(FILE)))
        settings.FREE_BYTES, enough = 1 << 60, settings.FREE_BYTES
        assert submitting.submit_draft(draft.pk) is None
        close(phase, ago=timedelta(0))
        settings.FREE_BYTES = enough
        sweeper.sweep()
        assert Submission.objects.get().accepted_at == upload.completed_at


class TestWhatWasHandedIn:
    @pytest.fixture
    def stale(self, alice, draft):
        """A draft and its upload as somebody knew them a moment before they were handed in."""
        upload = begin(draft)
        drafts.send(draft, alice, WORDS)
        known = ResumableUpload.objects.select_related("draft__phase").get()
        assert receive(upload)
        return known

    def test_nobody_who_asked_about_its_upload_a_moment_before_touches_its_file(
        self, stale, django_capture_on_commit_callbacks
    ):
        with django_capture_on_commit_callbacks(execute=True):
            with pytest.raises(resumable.Gone):
                resumable.settled(stale)
            with pytest.raises(resumable.Gone):
                resumable.receive(stale, resumable.Piece(0, 10, io.BytesIO(FILE)))
            with pytest.raises(resumable.Gone):
                begin(stale.draft)
            assert not resumable.end(stale)
            drafts.discard(stale.draft)
        assert uploads.path(Submission.objects.get().upload_file).read_bytes() == FILE

    def test_of_one_that_was_ended_nothing_is_left_by_who_asks_again(self, draft, django_capture_on_commit_callbacks):
        upload = begin(draft)
        receive(upload, 1000)
        with django_capture_on_commit_callbacks(execute=True):
            assert resumable.end(ResumableUpload.objects.get())
        with pytest.raises(resumable.Gone):
            resumable.settled(upload)
        assert not uploads.path(upload.file).exists()


class TestDrafts:
    def test_a_team_has_three_at_most(self, alice, team, phase, draft):
        for _ in range(drafts.MOST_OF_A_TEAM - 1):
            drafts.begin(alice, team, phase, {})
        with pytest.raises(Refused, match="3 drafts already"):
            drafts.begin(alice, team, phase, {})
        drafts.discard(draft)
        assert drafts.begin(alice, team, phase, {})

    def test_what_was_typed_is_kept_as_it_was_typed_until_it_is_sent(self, alice, draft):
        drafts.save(draft, {**WORDS, "method": "Too short\x00", "nonsense": "1"})
        draft.refresh_from_db()
        assert draft.words == {**WORDS, "method": "Too short\ufffd"}
        drafts.send(draft, alice, WORDS)
        drafts.save(draft, {"method": "another"})
        draft.refresh_from_db()
        assert draft.words == WORDS

    def test_the_next_one_starts_from_what_was_said_last(self, team, phase):
        assert drafts.said_last(team) == {}
        cast.submit(team, phase, algorithm="LungText", external_data="CT-RATE")
        said = drafts.said_last(team)
        assert (said["algorithm"], said["external"], said["external_data"]) == ("LungText", "some", "CT-RATE")

    def test_its_page_says_without_scripts_how_much_of_its_file_is_here(self, alice, draft, client):
        receive(begin(draft), 2000)
        client.force_login(alice)
        assert "image.tar, 2 kB of 5.51 kB here" in page(client.get(f"/submit/dev/?draft={draft.pk}")).text

    def test_another_team_finds_none_of_it(self, draft):
        assert drafts.find(draft.pk, cast.team_of(cast.person("Charlie"))) is None
        assert drafts.find(draft.pk, None) is None

    def test_another_file_takes_the_place_of_the_first(self, draft, django_capture_on_commit_callbacks):
        first = begin(draft)
        receive(first, 1000)
        with django_capture_on_commit_callbacks(execute=True):
            second = begin(Draft.objects.get())
        assert ResumableUpload.objects.get() == second
        assert not uploads.path(first.file).exists()


class TestRetention:
    def test_an_upload_that_nobody_goes_on_with_is_removed_and_its_words_stay(self, draft, settings):
        upload = begin(draft)
        receive(upload, 1000)
        retention.tidy()
        assert uploads.path(upload.file).exists()
        long_ago = clock.now() - timedelta(seconds=settings.UPLOAD_KEEP_SECONDS + 1)
        ResumableUpload.objects.update(received_at=long_ago)
        retention.tidy()
        assert not ResumableUpload.objects.exists()
        assert Draft.objects.exists()
        Draft.objects.update(changed_at=clock.now() - drafts.FORGOTTEN_AFTER - timedelta(seconds=1))
        retention.tidy()
        assert not Draft.objects.exists()


class TestAnImageThatIsHere:
    @pytest.fixture
    def source(self, team, phase):
        submission = cast.submit_checked(team, phase)
        stored = blobs.images.put(io.BytesIO(b"a rebuilt image"))
        AlgorithmImage.objects.filter(submissions=submission).update(archive=stored.digest)
        return Submission.objects.get()

    @pytest.fixture
    def other(self):
        return cast.phase(cast.case_set(name="hidden cases"), slug="test")

    def test_goes_to_another_phase_without_being_sent_again(self, alice, source, other):
        draft = drafts.begin_from(alice, other, source)
        assert draft.words["algorithm"] == source.algorithm
        drafts.send(draft, alice, draft.words)
        submission = submitting.submit_draft(draft.pk)
        assert submission is not None
        assert (submission.phase, submission.image, submission.upload) == (other, source.image, source.upload)
        assert submission.state == SubmissionState.ACCEPTED
        assert submission.runs.get().state == RunState.QUEUED
        assert [change.to_state for change in submission.history.filter(run=None)] == ["validating", "accepted"]

    def test_is_refused_where_it_is_gone_or_too_large_for_the_phase(self, alice, source, other):
        draft = drafts.begin_from(alice, other, source)
        AlgorithmImage.objects.update(unpacked_bytes=10**12)
        drafts.send(draft, alice, draft.words)
        assert submitting.submit_draft(draft.pk) is None
        draft.refresh_from_db()
        assert "takes up to" in draft.refusal
        blobs.images.path(source.image.archive).unlink()
        with pytest.raises(Refused, match="not here any more"):
            drafts.begin_from(alice, other, source)

    def test_a_rival_cannot_use_it(self, source, other, client):
        charlie = cast.person("Charlie")
        cast.team_of(charlie)
        client.force_login(charlie)
        assert client.post(f"/runs/{source.pk}/again/", {"phase": other.slug}).status_code == 404

    def test_a_draft_is_deleted_once_and_a_second_press_is_told_so_as_a_rival_is(self, alice, source, other, client):
        charlie = cast.person("Charlie")
        cast.team_of(charlie)
        address = f"/drafts/{drafts.begin_from(alice, other, source).pk}/delete/"
        gone = "There is no such draft of your team"
        client.force_login(charlie)
        assert gone in client.post(address, follow=True).content.decode()
        client.force_login(alice)
        assert gone not in client.post(address, follow=True).content.decode()
        assert not Draft.objects.exists()
        assert gone in client.post(address, follow=True).content.decode()

    def test_is_handed_in_by_two_presses_without_a_script(self, alice, source, other, client):
        client.force_login(alice)
        form = client.post(f"/runs/{source.pk}/again/", {"phase": other.slug}, follow=True)
        draft = Draft.objects.get()
        assert b"Nothing has to be sent" in form.content
        answer = client.post(f"/drafts/{draft.pk}/send/", draft.words)
        assert answer.status_code == 302
        assert Submission.objects.get(phase=other).image == source.image

    def test_a_file_that_is_chosen_instead_takes_its_place(self, alice, source, other):
        draft = drafts.begin_from(alice, other, source)
        receive(begin(draft))
        draft.refresh_from_db()
        assert draft.source is None
