"""What a team prepares before it counts: words that are kept as they are typed, and the file that comes in meanwhile.

A draft belongs to its team: each member may go on with it. It becomes a submission when its form was sent and its file
is here, whichever comes last (`leaderboard.journey.submitting.submit_draft`).
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from leaderboard.core import clock
from leaderboard.core.database import the_one
from leaderboard.core.refusal import Refused
from leaderboard.core.text import storable
from leaderboard.models import Draft, Phase, ResumableUpload, Submission, Team, User
from leaderboard.people.team_locks import lock_team, membership_of
from leaderboard.states import SubmissionKind
from leaderboard.submissions import admission, pdfs, resumable
from leaderboard.submissions.admission import Description
from leaderboard.submissions.pdfs import Pdf
from leaderboard.submissions.uploads import Upload

MOST_OF_A_TEAM = 3
NONE = "none"
UPLOAD = "upload"
Part = ResumableUpload.Part
MOST_LOOKED_AT, MOST_OFFERED = 100, 5  # submissions whose weights are offered again
_NUMBER = re.compile(r"[0-9]{1,18}")
FORGOTTEN_AFTER = timedelta(days=30)
WORDS = (*admission.WORDS, "kind", "external", "weights")  # what the form asks in words
MAX_WORD_CHARACTERS = 30_000  # more than any field takes: what is too long is kept, and refused when it is sent


def begin(person: User, team: Team, phase: Phase, words: Mapping[str, str]) -> Draft:
    """A new draft. Raises Refused when the team has as many as it may, or the person has left it at this moment."""
    with transaction.atomic():
        membership_of(person, lock_team(team))
        if Draft.objects.filter(team=team).count() >= MOST_OF_A_TEAM:
            raise Refused(f"Your team has {MOST_OF_A_TEAM} drafts already. Hand one of them in, or delete it.")
        return Draft.objects.create(
            team=team, phase=phase, created_by=person, words=_kept(words), changed_at=clock.now()
        )


def begin_from(person: User, phase: Phase, source: Submission) -> Draft:
    """A draft for `phase` with the image and the words of an earlier submission. Raises Refused.

    Pressed twice it is begun once: one in which nothing was changed yet is gone on with.
    """
    admission.check_image_fits(source, phase)
    admission.check_entry(Submission.Entry.IMAGE, phase)
    words = _words_of(source)
    with transaction.atomic():
        team = lock_team(source.team)
        own = Draft.objects.filter(team=team, phase=phase, created_by=person, source=source, submitted_at=None)
        draft = own.filter(words=_kept(words), pdf="").first() or begin(person, team, phase, words)
        draft.source = source
        draft.save(update_fields=["source"])
    return draft


def complete(draft: Draft) -> Upload | None:
    """What a sent draft hands in, as of the later of its two instants; None while something of it is missing.

    An image that is here has no file to check.
    """
    if draft.submitted_at is None:
        return None
    # Asked for when the draft is ours: a wait for it may have been one for another file in place of this.
    parts = received_parts(draft)
    weights = parts.get(Part.WEIGHTS) if wants_upload_of_weights(draft) else None
    if wants_upload_of_weights(draft) and weights is None:
        return None
    at = max(draft.submitted_at, weights.completed_at if weights else draft.submitted_at)
    if draft.source:
        of = draft.source
        return Upload("", of.upload, of.upload_bytes, of.upload_name, at)
    image = parts.get(Part.IMAGE)
    return image._replace(completed_at=max(at, image.completed_at)) if image else None


def received_parts(draft: Draft) -> dict[str, Upload]:
    """The files of a draft that are here whole, by part."""
    whole = ResumableUpload.objects.filter(draft=draft, completed_at__isnull=False)
    return {one.part: Upload(one.file, one.digest, one.length, one.name, one.completed_at) for one in whole}  # type: ignore[arg-type]


def wants_upload_of_weights(draft: Draft, words: Mapping[str, str] | None = None) -> bool:
    """Whether an archive of weights belongs to the draft; where its form does not say, whether one was begun.

    words: in place of those that the draft has.
    """
    words = draft.words if words is None else words
    if _is_of_masks(draft, words):
        return False
    said = words.get("weights", "")
    return said == UPLOAD or (not said and draft.uploads.filter(part=Part.WEIGHTS).exists())


def weights_of(draft: Draft) -> Upload | Submission | None:
    """What a complete draft hands in as its weights: a file, or an earlier submission that has them. Raises Refused."""
    if _is_of_masks(draft, draft.words):
        return None
    if wants_upload_of_weights(draft):
        return received_parts(draft)[Part.WEIGHTS]
    return chosen_weights(draft.team, draft.words.get("weights", ""))


def _is_of_masks(draft: Draft, words: Mapping[str, str]) -> bool:
    return not draft.source and admission.entry_said(words, draft.phase) == Submission.Entry.MASKS


def chosen_weights(team: Team, said: str) -> Submission | None:
    """The earlier submission of the team whose weights its form asks for. Raises Refused when it has none such."""
    if said in ("", NONE, UPLOAD):
        return None
    found = with_weights(team).filter(pk=int(said)).first() if _NUMBER.fullmatch(said) else None
    if found is None:
        raise Refused("Your team has no submission with such weights. Choose again which weights to use.")
    return found


def reusable_weights(team: Team, said: str = "") -> list[Submission]:
    """The team's submissions whose weights its form offers: the one that was chosen, and the newest with each."""
    rows = with_weights(team).only("weights", "weights_name", "weights_bytes", "team")
    looked_at = sorted(rows[:MOST_LOOKED_AT], key=lambda one: str(one.pk) != said)
    each: dict[int | None, Submission] = {}
    for one in looked_at:
        each.setdefault(one.weights_id, one)
    return list(each.values())[:MOST_OFFERED]


def with_weights(team: Team) -> QuerySet[Submission]:
    """The team's submissions that came with weights, newest first."""
    return team.submissions.filter(weights__isnull=False)


def drafts_of(team: Team, phase: Phase) -> QuerySet[Draft]:
    """The team's drafts for a phase, newest first, with their uploads."""
    return all_of(team).filter(phase=phase)


def all_of(team: Team) -> QuerySet[Draft]:
    """The same for every phase."""
    return (
        Draft.objects.filter(team=team)
        .select_related("created_by", "source", "phase")
        .prefetch_related("uploads")
        .defer("source__method", "source__external_data")
    )


def find(key: UUID, team: Team | None) -> Draft | None:
    """The team's draft; for everybody else there is none."""
    rows = Draft.objects.select_related("phase", "team", "source").prefetch_related("uploads")
    known = rows.defer("source__method", "source__external_data")
    return the_one(known.filter(pk=key, team=team)) if team else None


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
    """Submit was pressed: now, by the database's clock.

    The same pressed again does not count as of later. Something else does: what waits for a file that never comes would
    else be changed after the deadline, and count as of before.
    """
    at, kept = clock.now(), _kept(words)
    with transaction.atomic():
        if not resumable.held(draft.pk):
            return
        before = Draft.objects.only("words", "submitted_at").get(pk=draft.pk)
        if not kept.get("weights") and wants_upload_of_weights(draft, kept):
            kept["weights"] = UPLOAD  # from now on, whatever becomes of the archive that was begun
        first = before.submitted_at if before.words == kept else None
        Draft.objects.filter(pk=draft.pk).update(
            words=kept, changed_at=at, submitted_at=first or at, submitted_by=person, refusal=""
        )


def take_back(draft: Draft) -> None:
    """Not to be submitted when its last byte is here: it is a draft again."""
    Draft.objects.filter(pk=draft.pk).update(submitted_at=None, submitted_by=None)


def discard(draft: Draft) -> None:
    """Delete a draft and its file; nothing happens when it was handed in meanwhile."""
    with transaction.atomic():
        if resumable.held(draft.pk):
            for upload in ResumableUpload.objects.filter(draft=draft):
                resumable.end(upload)
            Draft.objects.filter(pk=draft.pk).delete()
            transaction.on_commit(lambda: pdfs.forget(draft.pdf))


def remove_what_was_not_handed_in(draft: Draft, submission: Submission) -> None:
    """What came in for a draft, and was not chosen in the end, goes at once."""
    handed_in = {submission.upload_file, submission.weights_file}
    for upload in ResumableUpload.objects.filter(draft=draft).exclude(file__in=handed_in):
        resumable.end(upload)


def description(draft: Draft) -> Description:
    """What the draft says, for admission, which decides what it is worth."""
    sent = admission.words_of(draft.words)
    if draft.source:
        sent["entry"] = Submission.Entry.IMAGE
    if draft.words.get("external") == NONE:
        sent["external_data"] = NONE
    if draft.submitted_at:
        sent["committed_at"] = draft.submitted_at
    return sent | {"pdf": draft.pdf, "pdf_name": draft.pdf_name, "pdf_bytes": draft.pdf_bytes}


def kind_of(draft: Draft) -> str:
    """What the draft is to become."""
    return str(draft.words.get("kind") or SubmissionKind.SCORED)


def said_last(team: Team) -> dict[str, str]:
    """What the team said of its newest submission: where the next one starts from, but for the weights of its image."""
    last = Submission.objects.filter(team=team).order_by("-pk").first()
    return _words_of(last) | {"weights": NONE} if last else {}


def said_of(submission: Submission) -> dict[str, str]:
    """What was said of a submission in words."""
    return {name: str(getattr(submission, name)) for name in admission.WORDS}


def _words_of(submission: Submission) -> dict[str, str]:
    """The same as a form has it; what the team commits to, it says anew each time."""
    external = NONE if submission.external_data.strip().lower() == NONE else "some"
    return said_of(submission) | {
        "commitment": "",
        "external": external,
        "external_data": "" if external == NONE else submission.external_data,
        "weights": str(submission.pk) if submission.weights_id else NONE,
    }


def _kept(words: Mapping[str, str]) -> dict[str, str]:
    return {name: storable(str(words[name]))[:MAX_WORD_CHARACTERS] for name in WORDS if name in words}
