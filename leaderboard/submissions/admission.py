"""The only place that refuses a submission, its cancellation, or its withdrawal.

Every refusal is a `Refused` whose text is the sentence that the user reads. A submission is checked twice by the same
rules: before the form is shown (so that nobody uploads 9 GB in vain), and again in the transaction that accepts it,
with the team's row locked: two uploads that end in the same instant cannot both take the last run of the day.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NotRequired, TypedDict

from containers import intake
from leaderboard.core import blobs, disk_space, unfinished
from leaderboard.core.refusal import Refused
from leaderboard.core.text import one_line, sanitised
from leaderboard.models import AlgorithmImage, Phase, Submission, Team, User
from leaderboard.people import addresses
from leaderboard.people.rules import has_accepted_rules
from leaderboard.states import ENDED
from leaderboard.submissions.quota import Quota, quota_of, refused_today

MIN_METHOD_CHARACTERS = 100
MAX_METHOD_CHARACTERS = 20_000
MAX_EXTERNAL_DATA_CHARACTERS = 10_000
MAX_PDF_BYTES = 10_000_000
PDF_BEGINNING_BYTES = 5
NO_DISK_SPACE = "The server is short of disk space; nothing was charged, the organisers have been told."


class NoSpace(Refused):
    """The disk of the store is too full for an upload."""


class TooLarge(Refused):
    """A file is larger than the phase takes."""


class Description(TypedDict):
    """What a team says of its submission; the texts in Markdown where they are long."""

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
    check_phase(team, phase, at)
    check_disk_space()
    return team


def check_phase(team: Team, phase: Phase, at: datetime) -> None:
    """Refuse when the phase is not open at this instant or the team has no run left in it."""
    if at < phase.opens_at:
        raise Refused(f"The {phase.name} opens on {_instant(phase.opens_at)}.")
    if at >= phase.closes_at or phase.archived_at:
        raise Refused(f"The {phase.name} closed on {_instant(phase.closes_at)}.")
    used = quota_of(team, phase, at)
    if used.total_used >= used.total_limit:
        raise Refused(f"Your team has used all of its {used.total_limit} runs in the {phase.name}.")
    if used.today_used >= used.today_limit:
        raise Refused(
            f"Your team has used its {used.today_limit} {'run' if used.today_limit == 1 else 'runs'} of today. "
            f"{_next_day(phase, used)}"
        )
    if refused_today(team, phase, at) >= phase.refused_per_day:
        raise Refused(
            f"{phase.refused_per_day} uploads of your team came to nothing today: rejected, or cancelled before their "
            f"first container. {_next_day(phase, used)}"
        )


def _next_day(phase: Phase, used: Quota) -> str:
    """When more is taken; on the last day it is not."""
    if used.renews_at is None:
        return f"The {phase.name} closes before the next day begins, on {_instant(phase.closes_at)}."
    return f"The next day begins on {_instant(used.renews_at)}."


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


def check_upload(size: int, phase: Phase) -> None:
    """Refuse an image archive that is empty or too large for the phase."""
    if size == 0:
        raise Refused("The file is empty. Write the image with: docker save IMAGE | gzip > image.tar.gz")
    if size > phase.max_archive_bytes:
        raise TooLarge(
            f"The file has {size / 1e9:.1f} GB; the {phase.name} takes up to {phase.max_archive_bytes / 1e9:.3g} GB. "
            "Leave build tools and caches out of the image, and compress the archive with gzip, xz or zstd."
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


def check_beginning(beginning: bytes) -> None:
    """Refuse by its first bytes a file that can be no image archive, so that nobody uploads the rest in vain."""
    try:
        intake.check_beginning(beginning)
    except intake.ImageRejected as rejection:
        raise Refused(str(rejection)) from rejection


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
    if at >= phase.closes_at or phase.archived_at:
        raise Refused(
            f"The {phase.name} closed on {_instant(phase.closes_at)}: which runs count cannot be changed any more. "
            "Write to the organisers if it has to be."
        )


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%b %-d, %Y %H:%M} UTC"
