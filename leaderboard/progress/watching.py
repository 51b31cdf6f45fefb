"""What somebody who watches a submission is shown at an instant, and a short name for exactly that."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from leaderboard.board.disclosure import Disclosure, Viewer, reader_of
from leaderboard.core.database import the_one
from leaderboard.models import Submission, User
from leaderboard.progress.submission_view import SubmissionView, submission_view

POLL_SECONDS = 2
HIDDEN_POLL_SECONDS = 10  # on hidden cases a page is as of the last full minute


@dataclass(frozen=True)
class Shown:
    """A view; the minute as of which its estimate holds, else empty; and a digest that differs where these do."""

    view: SubmissionView
    minute: str
    digest: str


def find(person: User, pk: int, at: datetime, *, with_method: bool = False) -> tuple[Submission, Disclosure] | None:
    """The submission, and what this person may see of it at this instant; None for those to whom there is none."""
    rows = Submission.objects.select_related(
        "team", "phase__case_set", "cases_of", "image", "provenance", "submitted_by"
    )
    unread = ("image__config", "provenance__diff_ids", *(() if with_method else ("method",)))
    found = the_one(rows.defer(*unread).prefetch_related("runs").filter(pk=pk))
    reader = reader_of(person, found) if found else None
    return (found, Viewer(reader, at).of_submission(found)) if found and reader else None


def shown(submission: Submission, disclosure: Disclosure) -> Shown:
    """What a reader is shown of a submission."""
    view = submission_view(submission, disclosure)
    minute = f"{disclosure.at:%H:%M}" if view.estimate else ""  # an estimate is new with every one
    known = f"{view!r} {minute}"
    return Shown(view, minute, hashlib.blake2b(known.encode(), digest_size=8).hexdigest())
