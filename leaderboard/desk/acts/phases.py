"""What organisers do about phases, beside editing them."""

from collections.abc import Callable
from datetime import datetime
from functools import partial

from leaderboard.board.archiving import archive
from leaderboard.challenge import phases, public_cases, published_cases
from leaderboard.core import clock
from leaderboard.desk.acting import Act
from leaderboard.desk.kinds import PHASE
from leaderboard.models import Phase


def meant(phase: Phase, at: datetime) -> set[str]:
    """The names of the acts that mean something for a phase at an instant."""
    if phase.is_draft:
        return {"drop-phase", *(["open-phase"] if phase.closes_at > at else [])}
    if at < phase.closes_at:
        return {"close-phase" if phase.opens_at <= at else "open-phase"}
    found = set() if phase.archived_at else {"archive-phase"}
    if phase.cases_are_public:
        return found
    if phase.revealed_at is None or phase.revealed_at > at:
        return found | {"reveal-phase"}
    published = {"publish-cases": phase.cases_published_at, "publish-findings": phase.findings_published_at}
    return found | {"make-cases-public", *(name for name, since in published.items() if since is None)}


def _offered(name: str) -> Callable[[Phase], bool]:
    return lambda phase: name in meant(phase, clock.now())


OPEN = Act(
    "open-phase",
    "Open now",
    PHASE,
    "From this instant on everybody sees it, and teams hand in.",
    phases.open_now,
    needs_reason=True,
    is_offered=_offered("open-phase"),
)
CLOSE = Act(
    "close-phase",
    "Close now",
    PHASE,
    "This instant becomes the deadline, without the notice that teams are promised. What was accepted runs and counts.",
    phases.close_now,
    needs_reason=True,
    is_offered=_offered("close-phase"),
    confirms=True,
    is_grave=True,
)
REVEAL = Act(
    "reveal-phase",
    "Reveal now",
    PHASE,
    "The full result is out at once: all cases, exact scores, names. It can’t be taken back.",
    phases.reveal_now,
    needs_reason=True,
    is_offered=_offered("reveal-phase"),
    confirms=True,
    is_grave=True,
)
PUBLISH_CASES = Act(
    "publish-cases",
    "Publish numbers of single cases",
    PHASE,
    "Everybody can have the numbers of each hidden case, under numbers in place of names. Nothing more can be handed "
    "in on these cases, in no phase. There is no way back.",
    published_cases.publish,
    needs_reason=True,
    is_offered=_offered("publish-cases"),
    confirms=True,
    needs_factor=True,
    is_grave=True,
)
PUBLISH_FINDINGS = Act(
    "publish-findings",
    "Publish numbers of single findings",
    PHASE,
    "The same of each finding, with its category and size, by which who has the sentences can tell some cases. There "
    "is no way back.",
    partial(published_cases.publish, findings=True),
    needs_reason=True,
    is_offered=_offered("publish-findings"),
    confirms=True,
    needs_factor=True,
    is_grave=True,
)
MAKE_PUBLIC = Act(
    "make-cases-public",
    "Make the cases public",
    PHASE,
    "Everything of every run on these cases is shown: each case, masks, logs; in all phases that have them. Nothing on "
    "them is hidden any more. There is no way back.",
    public_cases.make_public,
    needs_reason=True,
    is_offered=_offered("make-cases-public"),
    confirms=True,
    needs_factor=True,
    is_grave=True,
)
ARCHIVE = Act(
    "archive-phase",
    "Archive",
    PHASE,
    "Its masks, images and weights go, for ever. Scores, pages and boards stay. There is no way back.",
    archive,
    needs_reason=True,
    is_offered=_offered("archive-phase"),
    confirms=True,
    is_grave=True,
)
DROP = Act(
    "drop-phase",
    "Drop this draft",
    PHASE,
    "The draft is deleted. Nobody but organisers ever saw it.",
    phases.drop_phase,
    is_offered=_offered("drop-phase"),
    confirms=True,
    is_grave=True,
)
ACTS = (OPEN, CLOSE, REVEAL, PUBLISH_CASES, PUBLISH_FINDINGS, MAKE_PUBLIC, ARCHIVE, DROP)
