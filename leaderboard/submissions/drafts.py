"""What a team prepares before it counts: words that are kept as they are typed, and the file that comes in meanwhile.

A draft belongs to its team: each member may go on with it. It becomes a submission when its form was sent and its file
is here, whichever comes last (`leaderboard.journey.pipeline.submit_draft`).
"""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import DateTimeField, QuerySet, Value
from django.db.models.functions import Coalesce

from leaderboard.core import clock
from leaderboard.core.refusal import Refused
from leaderboard.core.text import storable
from leaderboard.models import Draft, Phase, ResumableUpload, Submission, Team, User
from leaderboard.people import teams
from leaderboard.submissions import admission, pdfs, resumable
from leaderboard.submissions.admission import Description
from leaderboard.submissions.pdfs import Pdf
from leaderboard.submissions.uploads import Upload

MOST_OF_A_TEAM = 3
NONE = "none"
FORGOTTEN_AFTER = timedelta(days=30)
WORDS = ("track", "algorithm", "method", "external", "external_data", "paper_url", "code_url", "commitment")
SAID_ANEW = {"external", "commitment"}  # the one is told from the words; nobody commits for the next submission
MAX_WORD_CHARACTERS = 30_000  # more than any field takes: what is too long is kept, and refused when it is sent


def begin(person: User, team: Team, phase: Phase, words: Mapping[str, str]) -> Draft:
    """A new draft. Raises Refused when the team has as many as it may."""
    with transaction.atomic():
        teams.lock_team(team)
        if Draft.objects.filter(team=team).count() >= MOST_OF_A_TEAM:
            raise Refused(f"Your team has {MOST_OF_A_TEAM} drafts already. Hand one of them in, or delete it.")
        return Draft.objects.create(
            team=team, phase=phase, created_by=person, words=_kept(words), changed_at=clock.now()
        )


def begin_from(person: User, phase: Phase, source: Submission) -> Draft:
    """A new draft for `phase` with the image and the words of an earlier submission. Raises Refused."""
    admission.check_image_is_here(source, source)
    draft = begin(person, source.team, phase, _words_of(source))
    draft.source = source
    draft.save(update_fields=["source"])
    return draft


def complete(draft: Draft) -> Upload | None:
    """What a sent draft hands in, as of the later of its two instants; None while something of it is missing.

    An image that is here has no file to check.
    """
    if draft.submitted_at is None:
        return None
    if draft.source:
        of = draft.source
        return Upload("", of.upload, of.upload_bytes, of.upload_name, draft.submitted_at)
    # Asked for when the draft is ours: a wait for it may have been one for another file in place of this.
    received = ResumableUpload.objects.filter(draft=draft, completed_at__isnull=False).first()
    if received is None or received.completed_at is None:
        return None
    at = max(draft.submitted_at, received.completed_at)
    return Upload(received.file, received.digest, received.length, received.name, at)


def drafts_of(team: Team, phase: Phase) -> QuerySet[Draft]:
    """The team's drafts for a phase, newest first, with their uploads."""
    return (
        Draft.objects.filter(team=team, phase=phase)
        .select_related("upload", "created_by", "source")
        .defer("source__method", "source__external_data")
    )


def find(key: UUID, team: Team | None) -> Draft | None:
    """The team's draft; for everybody else there is none."""
    rows = Draft.objects.select_related("upload", "phase", "team", "source")
    known = rows.defer("source__method", "source__external_data")
    return known.filter(pk=key, team=team).first() if team else None


def save(draft: Draft, words: Mapping[str, str]) -> None:
    """Keep what was typed. What was sent already, and waits for its file, is left as it was sent."""
    kept, at = _kept(words), clock.now()
    if Draft.objects.filter(pk=draft.pk, submitted_at=None).update(words=kept, changed_at=at):
        draft.words, draft.changed_at = kept, at


def keep_pdf(draft: Draft, pdf: Pdf | None) -> None:
    """Keep this PDF with the draft, in place of any that it had. Raises Refused once it was sent."""
    digest, name, size = pdf or ("", "", 0)
    before = Draft.objects.filter(pk=draft.pk).values_list("pdf", flat=True).first()
    fields = {"pdf": digest, "pdf_name": name, "pdf_bytes": size, "changed_at": clock.now()}
    kept = Draft.objects.filter(pk=draft.pk, submitted_at=None).update(**fields)
    pdfs.forget((before or "") if kept else digest)
    if not kept:
        raise Refused("This draft was submitted already. Take it back to change its PDF.")


def send(draft: Draft, person: User, words: Mapping[str, str]) -> None:
    """Submit was pressed: now, by the database's clock. Pressed again, it does not count as of later."""
    at = clock.now()
    first = Coalesce("submitted_at", Value(at, DateTimeField()))
    Draft.objects.filter(pk=draft.pk).update(
        words=_kept(words), changed_at=at, submitted_at=first, submitted_by=person, refusal=""
    )


def take_back(draft: Draft) -> None:
    """Not to be submitted when its last byte is here: it is a draft again."""
    Draft.objects.filter(pk=draft.pk).update(submitted_at=None, submitted_by=None)


def discard(draft: Draft) -> None:
    """Delete a draft and its file; nothing happens when it was handed in meanwhile."""
    with transaction.atomic():
        if resumable.held(draft.pk):
            resumable.end(ResumableUpload.objects.filter(draft=draft).first())
            Draft.objects.filter(pk=draft.pk).delete()
            transaction.on_commit(lambda: pdfs.forget(draft.pdf))


def description(draft: Draft) -> Description:
    """What the draft says, for admission, which decides what it is worth."""
    said = {name: str(draft.words.get(name, "")) for name in WORDS}
    sent: Description = {
        "track": said["track"],
        "algorithm": said["algorithm"],
        "method": said["method"],
        "external_data": NONE if said["external"] == NONE else said["external_data"],
        "paper_url": said["paper_url"],
        "code_url": said["code_url"],
        "commitment": said["commitment"],
        "pdf": draft.pdf,
        "pdf_name": draft.pdf_name,
        "pdf_bytes": draft.pdf_bytes,
    }
    return sent | {"committed_at": draft.submitted_at} if draft.submitted_at else sent


def said_last(team: Team) -> dict[str, str]:
    """What the team said of its newest submission: where the next one starts from."""
    last = Submission.objects.filter(team=team).order_by("-pk").first()
    return _words_of(last) if last else {}


def _words_of(submission: Submission) -> dict[str, str]:
    external = NONE if submission.external_data.strip().lower() == NONE else "some"
    words = {name: str(getattr(submission, name)) for name in WORDS if name not in SAID_ANEW}
    return words | {"external": external, "external_data": "" if external == NONE else submission.external_data}


def _kept(words: Mapping[str, str]) -> dict[str, str]:
    return {name: storable(str(words[name]))[:MAX_WORD_CHARACTERS] for name in WORDS if name in words}
