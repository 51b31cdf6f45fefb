"""The only place that refuses a submission, its cancellation, or its withdrawal.

Every refusal is a `Refused` whose text is the sentence that the user reads. A submission is checked twice by the same
rules: before the form is shown (so that nobody uploads 9 GB in vain), and again in the transaction that accepts it,
with the team's row locked: two uploads that end in the same instant cannot both take the last run of the day.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple, NotRequired, TypedDict

from containers import intake
from leaderboard.challenge import phases
from leaderboard.core import blobs, disk_space, unfinished
from leaderboard.core.refusal import Refused
from leaderboard.core.text import one_line, sanitised
from leaderboard.models import AlgorithmImage, Phase, ResumableUpload, Submission, Team, User, Weights
from leaderboard.models.challenge import REFUSED_PER_RUN
from leaderboard.people import addresses
from leaderboard.people.rules import has_accepted_rules
from leaderboard.states import ENDED, SubmissionKind
from leaderboard.submissions import tried_out
from leaderboard.submissions.quota import Quota, quota_of, refused_today

MIN_METHOD_CHARACTERS = 100
MAX_METHOD_CHARACTERS = 20_000
MAX_EXTERNAL_DATA_CHARACTERS = 10_000
MAX_PDF_BYTES = 10_000_000
PDF_BEGINNING_BYTES = 5
Part = ResumableUpload.Part
NO_DISK_SPACE = "The server is short of disk space; nothing was charged, the organisers have been told."


class NoSpace(Refused):
    """The disk of the store is too full for an upload."""


class TooLarge(Refused):
    """A file is larger than the phase takes."""


class Description(TypedDict):
    """What a team says of its submission; the texts in Markdown where they are long."""

    entry: NotRequired[str]
    track: str
    algorithm: str
    method: str
    external_data: str
    paper_url: NotRequired[str]
    code_url: NotRequired[str]
    commitment: NotRequired[str]
    committed_at: NotRequired[datetime]
    pdf: NotRequired[str]
    pdf_name: NotRequired[str]
    pdf_bytes: NotRequired[int]


def check_open_for(user: User, phase: Phase, at: datetime) -> Team:
    """The team for which `user` may submit to `phase` at this instant; Refused with what to do first otherwise."""
    team = user.team
    if team is None:
        raise Refused("Found a team, or join one by its captain's link, before you submit.")
    addresses.check_confirmed(user, "submit")
    if not has_accepted_rules(user):
        raise Refused("Read and accept the rules before you submit.")
    check_takes(team, phase, at)
    check_disk_space()
    return team


def check_takes(team: Team, phase: Phase, at: datetime) -> None:
    """Refuse when the team can hand in nothing of any kind in the phase at this instant."""
    try:
        check_phase(team, phase, at, entry_kind(phase, at))
    except Refused:
        if not phases.offers_try_outs(phase):
            raise
        try:
            check_phase(team, phase, at, SubmissionKind.TRY_OUT)
        except Refused:
            pass
        else:
            return
        raise


def entry_kind(phase: Phase, at: datetime) -> SubmissionKind:
    """What is handed in at this instant to be scored: a run, or after the deadline, where that is open, another one."""
    return SubmissionKind.POST_CHALLENGE if phases.takes_post_challenge(phase, at) else SubmissionKind.SCORED


def check_phase(team: Team, phase: Phase, at: datetime, kind: str = SubmissionKind.SCORED) -> None:
    """Refuse when the phase takes none of this kind at this instant, or the team has none left in it."""
    _check_is_taken(phase, at, kind)
    used = quota_of(team, phase, at, kind)
    if used.total_used >= used.total_limit:
        raise Refused(f"Your team has used all of its {_runs(kind, used.total_limit)} in the {phase.name}.")
    if used.today_used >= used.today_limit:
        raise Refused(f"Your team has used its {_runs(kind, used.today_limit)} of today. {_next_day(phase, used)}")
    _check_refused_today(team, phase, at, used)


def _check_is_taken(phase: Phase, at: datetime, kind: str) -> None:
    if kind not in SubmissionKind.values:
        raise Refused("Choose whether it is to be scored or tried out.")
    if kind == SubmissionKind.TRY_OUT and not phases.offers_try_outs(phase):
        raise Refused(f"The {phase.name} has no try-outs.")
    if at < phase.opens_at:
        raise Refused(f"The {phase.name} opens on {_instant(phase.opens_at)}.")
    if phases.takes_post_challenge(phase, at):
        if kind == SubmissionKind.SCORED:
            raise Refused(
                f"The {phase.name} closed on {_instant(phase.closes_at)}. Post-challenge runs are taken, which are "
                "scored and never ranked: choose that, if you like."
            )
    elif at >= phase.closes_at or phase.archived_at:
        more = " It takes no post-challenge runs now." if kind == SubmissionKind.POST_CHALLENGE else ""
        raise Refused(f"The {phase.name} closed on {_instant(phase.closes_at)}.{more}")
    elif kind == SubmissionKind.POST_CHALLENGE:
        raise Refused(f"The {phase.name} is open until {_instant(phase.closes_at)}: submit a run that counts.")


def _check_refused_today(team: Team, phase: Phase, at: datetime, used: Quota) -> None:
    most = REFUSED_PER_RUN * used.today_limit
    if refused_today(team, phase, at, used.kind) >= most:
        raise Refused(
            f"{most} uploads of your team came to nothing today: rejected, or cancelled before their first container. "
            f"{_next_day(phase, used)}"
        )


def check_tried_out(submission: Submission) -> None:
    """Refuse a run whose image, with its weights, has not passed a try-out where the phase asks for one."""
    if not submission.is_scored or submission.is_of_masks:
        return
    phase, at = submission.phase, submission.accepted_at
    if phases.requires_try_out(phase, at) and not tried_out.has_passed(submission):
        raise Refused(
            f"Since {_instant(phase.try_out_required_from or at)} a run in the {phase.name} needs a passed try-out of "
            "the same image and weights. Try it out first: it has passed when no case failed, and becomes a run at a "
            "press."
        )


def _next_day(phase: Phase, used: Quota) -> str:
    """When more is taken; on the last day it is not."""
    if used.renews_at is None and used.closes_at is not None:
        return f"The {phase.name} closes before the next day begins, on {_instant(used.closes_at)}."
    return f"The next day begins on {_instant(used.next_day)}."


def check_description(described: Description) -> Description:
    """What a team says of its submission, cleaned; refuse what the board could not show or the rules do not allow."""
    algorithm = one_line(described["algorithm"])
    method = sanitised(described["method"]).strip()
    external_data = sanitised(described["external_data"]).strip()
    if not 1 <= len(algorithm) <= 40:
        raise Refused("Name your algorithm in 1 to 40 characters; the board shows this name.")
    if not any(letter.isalnum() for letter in algorithm):  # zero-width characters alone would show as nothing
        raise Refused("Your algorithm's name needs at least one letter or digit; the board shows it.")
    if not MIN_METHOD_CHARACTERS <= len(method) <= MAX_METHOD_CHARACTERS:
        raise Refused(
            f"Describe the method in {MIN_METHOD_CHARACTERS} to {MAX_METHOD_CHARACTERS} characters: "
            f"you wrote {len(method)}."
        )
    if not 1 <= len(external_data) <= MAX_EXTERNAL_DATA_CHARACTERS:
        raise Refused("Name every external data set and pre-trained model, or write “none”.")
    if described["track"] not in Submission.Track.values:
        raise Refused(f"Choose a track: {' or '.join(Submission.Track.values)}.")
    return {**described, "algorithm": algorithm, "method": method, "external_data": external_data}


def check_asked(described: Description, phase: Phase, at: datetime) -> Description:
    """What a team says at this instant, with what its phase asks for, and without what it does not ask for."""
    committed, pdf = described.get("commitment", ""), described.get("pdf", "")
    if phase.commitment == Phase.Asked.REQUIRED and not committed:
        raise Refused(f"The {phase.name} is open to teams that commit to this: {phase.commitment_text}")
    if phase.pdf == Phase.Asked.REQUIRED and not pdf:
        raise Refused(f"The {phase.name} asks for a PDF of the method.")
    if pdf and not blobs.pdfs.exists(pdf):
        raise Refused("The PDF is not here any more. Choose it again.")
    asked = described.copy()
    if committed and phase.commitment != Phase.Asked.NO:
        asked.setdefault("committed_at", at)
    else:
        asked |= {"commitment": ""}
        asked.pop("committed_at", None)
    if phase.pdf == Phase.Asked.NO:
        asked |= {"pdf": "", "pdf_name": "", "pdf_bytes": 0}
    return asked


def check_pdf(size: int, phase: Phase) -> None:
    """Refuse a PDF that the phase does not ask for, or that is empty or too large."""
    if phase.pdf == Phase.Asked.NO:
        raise Refused(f"The {phase.name} asks for no PDF.")
    if size == 0:
        raise Refused("The PDF is empty.")
    if size > MAX_PDF_BYTES:
        raise TooLarge(
            f"The PDF has {size / 1e6:.1f} MB; up to {MAX_PDF_BYTES / 1e6:.3g} MB are taken. Make its pictures smaller."
        )


def check_pdf_beginning(beginning: bytes) -> None:
    """Refuse by its first bytes what is no PDF."""
    if beginning[:PDF_BEGINNING_BYTES] != b"%PDF-":
        raise Refused("The file is no PDF: a PDF begins with “%PDF-”.")


def check_disk_space(size: int = 0) -> None:
    """Refuse an upload of `size` further bytes for which the disk has no space."""
    if not disk_space.allows_upload(size):
        raise NoSpace(f"{NO_DISK_SPACE} {disk_space.shortage()}")


@contextmanager
def refusing_a_full_disk() -> Iterator[None]:
    """Refuse, where others took the room meanwhile: what was looked at before a write may be gone when it comes."""
    try:
        yield
    except OSError as error:
        if not unfinished.is_out_of_space(error):
            raise
        disk_space.log_shortage()
        raise NoSpace(f"{NO_DISK_SPACE} {disk_space.shortage()}") from error


def check_entry(said: str, phase: Phase, kind: str = SubmissionKind.SCORED) -> Submission.Entry:
    """What is handed in, as the team says. Raises Refused.

    What needs no saying: the only thing that the phase takes; and an image, as of drafts that were begun, and sent,
    when it took nothing else.
    """
    taken = entries_of(phase)
    if not said:
        return taken[0]
    if said == Submission.Entry.MASKS and kind == SubmissionKind.TRY_OUT:
        raise Refused("Only an image can be tried out: of masks every problem is told before they count.")
    if said in taken:
        return Submission.Entry(said)
    if said not in Submission.Entry.values:
        raise Refused("Say what you hand in: an image, or masks.")
    raise Refused(f"The {phase.name} takes {phase.get_takes_display()}, not {_PLURAL[Submission.Entry(said)]}.")


_PLURAL = {Submission.Entry.IMAGE: "images", Submission.Entry.MASKS: "masks"}


def entries_of(phase: Phase) -> list[Submission.Entry]:
    """What the phase takes."""
    taken = {Submission.Entry.IMAGE: phase.takes_images, Submission.Entry.MASKS: phase.takes_masks}
    return [entry for entry, is_taken in taken.items() if is_taken]


def entry_said(words: Mapping[str, object], phase: Phase) -> Submission.Entry | None:
    """What a draft says so far of its file; None where nothing is known yet."""
    try:
        return check_entry(str(words.get("entry", "")), phase)
    except Refused:
        return None


def check_upload(size: int, phase: Phase, entry: str | None = None, part: str = Part.IMAGE) -> None:
    """Refuse an archive that is empty, or too large for the phase; of which entry, may not be known yet."""
    if part == Part.WEIGHTS:
        check_weights_fit(entry)
        _check_size(size, phase.max_archive_bytes, phase, _WEIGHTS)
    elif entry == Submission.Entry.MASKS or (entry is None and not phase.takes_images):
        _check_size(size, phase.max_masks_bytes, phase, _MASKS)
    else:
        most = phase.max_archive_bytes if entry else phase.max_upload_bytes
        _check_size(size, most, phase, _IMAGE)


def check_weights_fit(entry: str | None) -> None:
    """Refuse weights beside masks; of which entry, may not be known yet."""
    if entry == Submission.Entry.MASKS:
        raise Refused("Weights belong to an image: masks come without any.")


class _Archive(NamedTuple):
    what: str
    write_it: str
    make_it_smaller: str


_IMAGE = _Archive(
    "an image",
    "Write the image with: docker save IMAGE | gzip > image.tar.gz",
    "Leave build tools and caches out of the image, and compress the archive with gzip, xz or zstd.",
)
_WEIGHTS = _Archive(
    "weights",
    "Write the weights with: tar -czf weights.tar.gz -C FOLDER .",
    "Leave out what the algorithm does not need (the optimizer's state, other epochs), and compress it.",
)
_MASKS = _Archive("masks", "Put one .nii.gz for each case into a zip.", "Save them as gzipped uint8.")


def _check_size(size: int, most: int, phase: Phase, archive: _Archive) -> None:
    if size == 0:
        raise Refused(f"The file is empty. {archive.write_it}")
    if size > most:
        raise TooLarge(
            f"The file has {size / 1e9:.1f} GB; the {phase.name} takes up to {most / 1e9:.3g} GB of {archive.what}. "
            f"{archive.make_it_smaller}"
        )


def check_image_is_here(source: Submission, submission: Submission) -> AlgorithmImage:
    """The image of an earlier submission, for one of the same team; Refused where it cannot be used again."""
    image = source.image
    if image is None or source.team_id != submission.team_id or not blobs.images.exists(image.archive):
        raise Refused("The image of that submission is not here any more. Upload it again.")
    if image.unpacked_bytes > submission.phase.max_unpacked_bytes:
        raise Refused(
            f"The image has {image.unpacked_bytes / 1e9:.1f} GB unpacked; the {submission.phase.name} takes up to "
            f"{submission.phase.max_unpacked_bytes / 1e9:.3g} GB."
        )
    return image


def check_weights_are_here(source: Submission, submission: Submission) -> Weights:
    """The weights of an earlier submission, for one of the same team; Refused where they cannot be used again."""
    weights = source.weights
    if weights is None or source.team_id != submission.team_id or not blobs.weights.exists(weights.archive):
        raise Refused("The weights of that submission are not here any more. Send them again.")
    if weights.unpacked_bytes > submission.phase.max_unpacked_bytes:
        raise Refused(
            f"The weights have {weights.unpacked_bytes / 1e9:.1f} GB unpacked; the {submission.phase.name} takes up to "
            f"{submission.phase.max_unpacked_bytes / 1e9:.3g} GB."
        )
    return weights


def check_beginning(
    beginning: bytes, phase: Phase, entry: Submission.Entry | None = None, part: str = Part.IMAGE
) -> None:
    """Refuse by its first bytes a file that cannot be what the phase takes, so that nobody uploads the rest in vain.

    `entry`: what the team says that it is, where that is known.
    """
    if part == Part.WEIGHTS:
        _check_beginning_of_weights(beginning)
        return
    taken = entries_of(phase)
    refusals = {kind: why for kind in taken if (why := _why_not(kind, beginning))}
    tried = [entry] if entry in taken else taken
    if not all(kind in refusals for kind in tried):
        return
    other = next((kind for kind in taken if kind not in refusals), None)
    if other is not None:
        raise Refused(f"By its first bytes this is an archive of {_PLURAL[other]}. Say so above.")
    raise Refused(refusals[tried[0]])


def _check_beginning_of_weights(beginning: bytes) -> None:
    try:
        intake.check_beginning_of_weights(beginning)
    except intake.ImageRejected as rejection:
        raise Refused(str(rejection)) from rejection


def _why_not(entry: Submission.Entry, beginning: bytes) -> str:
    """Why a file that begins so is no such entry; empty if it may be one."""
    try:
        if entry == Submission.Entry.MASKS:
            intake.check_masks_beginning(beginning)
        else:
            intake.check_beginning(beginning)
    except (intake.ImageRejected, intake.MasksRejected) as rejection:
        return str(rejection)
    return ""


def check_cancel(state: str) -> None:
    """Refuse to cancel what has ended."""
    if state in ENDED:
        raise Refused("This run has ended; there is nothing to cancel.")


def check_withdrawal(submission: Submission, phase: Phase, at: datetime) -> None:
    """Refuse a team to withdraw a submission, or to bring it back, when that can change nothing or is too late.

    It goes by nothing that happens in a run: on hidden cases that is told as of the last full minute.
    """
    if submission.state in ENDED:
        raise Refused("This submission has no run: there is nothing that could count.")
    if not submission.is_scored:
        raise Refused(f"A {submission.get_kind_display().lower()} counts for nothing: there is nothing to withdraw.")
    if at >= phase.closes_at or phase.archived_at:
        raise Refused(
            f"The {phase.name} closed on {_instant(phase.closes_at)}: which runs count cannot be changed any more. "
            "Write to the organisers if it has to be."
        )


def _runs(kind: str, number: int) -> str:
    return f"{number} {SubmissionKind(kind).label.lower()}{'' if number == 1 else 's'}"


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%b %-d, %Y %H:%M} UTC"
