"""What organisers do about phases, beside editing them."""

from functools import partial

from leaderboard.board.archiving import archive
from leaderboard.challenge import phases, public_cases, published_cases
from leaderboard.core import clock
from leaderboard.desk.acting import Act
from leaderboard.desk.kinds import PHASE
from leaderboard.models import Phase


def _is_to_open(phase: Phase) -> bool:
    now = clock.now()
    return (phase.is_draft or phase.opens_at > now) and phase.closes_at > now


def _is_open(phase: Phase) -> bool:
    return not phase.is_draft and phase.opens_at <= clock.now() < phase.closes_at


def _is_closed(phase: Phase) -> bool:
    return not phase.is_draft and phase.closes_at <= clock.now()


def _is_to_be_revealed(phase: Phase) -> bool:
    if phase.is_draft or phase.cases_are_public:
        return False
    now = clock.now()
    return phase.closes_at <= now and (phase.revealed_at is None or phase.revealed_at > now)


def _is_over(phase: Phase) -> bool:
    if phase.is_draft or phase.cases_are_public or phase.revealed_at is None:
        return False
    return max(phase.closes_at, phase.revealed_at) <= clock.now()


OPEN = Act(
    "open-phase",
    "Open now",
    PHASE,
    "From this instant on everybody sees it, and teams hand in.",
    phases.open_now,
    needs_reason=True,
    is_offered=_is_to_open,
)
CLOSE = Act(
    "close-phase",
    "Close now",
    PHASE,
    "This instant becomes the deadline, without the notice that teams are promised. What was accepted runs and counts.",
    phases.close_now,
    needs_reason=True,
    is_offered=_is_open,
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
    is_offered=_is_to_be_revealed,
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
    is_offered=lambda phase: phase.cases_published_at is None and _is_over(phase),
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
    is_offered=lambda phase: phase.findings_published_at is None and _is_over(phase),
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
    is_offered=_is_over,
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
    is_offered=lambda phase: phase.archived_at is None and _is_closed(phase),
    confirms=True,
    is_grave=True,
)
DROP = Act(
    "drop-phase",
    "Drop this draft",
    PHASE,
    "The draft is deleted. Nobody but organisers ever saw it.",
    phases.drop_phase,
    is_offered=lambda phase: phase.is_draft,
    confirms=True,
    is_grave=True,
)
ACTS = (OPEN, CLOSE, REVEAL, PUBLISH_CASES, PUBLISH_FINDINGS, MAKE_PUBLIC, ARCHIVE, DROP)
