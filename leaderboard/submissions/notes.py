"""A team's own note on a submission: plain text, for its members alone. It decides nothing, and has no record."""

from leaderboard.core.refusal import Refused
from leaderboard.core.text import sanitised
from leaderboard.models import Submission

LONGEST: int = Submission._meta.get_field("note").max_length or 0


def write(submission: Submission, text: str) -> None:
    """Keep the note; an empty one takes it away. Raises Refused when it is too long."""
    note = sanitised(text).strip()
    if len(note) > LONGEST:
        raise Refused(f"A note has at most {LONGEST} characters, and this one has {len(note):,}.")
    Submission.objects.filter(pk=submission.pk).update(note=note)
