"""A team objects to a decision about its run; organisers answer. Both are recorded, and stand on the run's page."""

from django.db import IntegrityError, transaction

from leaderboard.core import audit, clock, events
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.models import Objection, RunDecision, User

LONGEST = 2000
MOST = 5  # to one decision
IS_OPEN = "Your team’s objection to this decision waits for an answer already."


def object_to(decision: RunDecision, text: str, *, user: User) -> Objection:
    """A team's objection, by a member of it, to a decision about one of its runs. Raises Refused."""
    text = text.strip()
    if not decision.can_be_objected_to:
        raise Refused("Only to a disqualification, or to the end of a run, a team can object.")
    if not 0 < len(text) <= LONGEST:
        raise Refused(f"Say in up to {LONGEST} characters why the decision is wrong.")
    earlier = decision.objections.all()
    if len(earlier) >= MOST:
        raise Refused(f"{MOST} objections to this decision were answered: write to the organisers.")
    if any(one.answered_at is None for one in earlier):
        raise Refused(IS_OPEN)
    try:
        with transaction.atomic():
            made = Objection.objects.create(decision=decision, text=text, by=user, at=clock.now())
            audit.record(Actor.person(user), "object", decision.submission, after={"objection": made.pk}, why=text)
            events.announce(decision.submission_id)
    except IntegrityError as other:  # of two who object at once the database lets one
        raise Refused(IS_OPEN) from other
    return made


@transaction.atomic
def answer(objection: Objection, *, by: Actor, answer: str, why: str = "") -> None:
    """What organisers answer, once; the team reads it, and is told by mail. Raises Refused."""
    row = Objection.objects.select_for_update().get(pk=objection.pk)
    if row.answered_at is not None:
        raise Refused("It was answered before; the answer stands.")
    text = answer.strip()
    if not 0 < len(text) <= LONGEST:
        raise Refused(f"Answer in up to {LONGEST} characters: the team reads it.")
    row.answer, row.answered_at = text, clock.now()
    row.save(update_fields=["answer", "answered_at"])
    after = {"objection": row.pk, "answer": text}
    audit.record(by, "answer objection", row.decision.submission, after=after, why=why)
    events.announce(row.decision.submission_id)
    objection.refresh_from_db(fields=["answer", "answered_at"])
