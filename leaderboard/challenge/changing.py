"""Changing a phase's policies as people write them, at once or by way of a draft of changes.

A draft is one person's: nobody else sees it. It is previewed (desk.phases.preview), then applied as a whole or in part,
with a reason, or dropped.
"""

import hashlib
import json
from collections.abc import Collection, Mapping

from django.core.exceptions import ValidationError
from django.db import transaction

from leaderboard.challenge.phases import CHECKS, lock_phase, save_phase
from leaderboard.challenge.policies import POLICIES
from leaderboard.core import clock
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.core.text import storable
from leaderboard.models import Phase, PhaseChanges, User


class Unfit(Refused):
    """Changes that are refused: why, by field; "" where it is about none alone."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__(" ".join(problems.values()))
        self.problems = problems


def changed(phase: Phase, written: Mapping[str, str]) -> Phase:
    """The phase as it would be with these values, not saved. Raises Unfit for what can't be read."""
    new = Phase.objects.select_related("case_set", "try_outs_on").get(pk=phase.pk)
    problems = {}
    for name, text in written.items():
        policy = POLICIES.get(name)
        if policy is None:
            raise Unfit({"": f"There is no policy “{name[:60]}”. There are: {', '.join(POLICIES)}."})
        try:
            setattr(new, name, policy.read(text))
        except Refused as refusal:
            problems[name] = str(refusal)
    if problems:
        raise Unfit(problems)
    return new


def differing(phase: Phase, written: Mapping[str, str]) -> dict[str, str]:
    """Of these values those that the phase does not have, as it would write them."""
    new = changed(phase, written)
    told = {name: POLICIES[name].write(new) for name in written}
    return {name: text for name, text in told.items() if text != POLICIES[name].write(phase)}


@transaction.atomic
def change(phase: Phase, written: Mapping[str, str], *, by: Actor, why: str) -> Phase:
    """Change these policies, and say why. Raises Unfit with everything that stands against it."""
    if not why.strip():
        raise Refused("Say why: the reason is kept in the record.")
    lock_phase(phase.pk)  # all policies are saved, also those that somebody else changes at this moment
    new = changed(phase, written)
    check(new)
    save_phase(new, by=by, why=why)
    return new


def check(new: Phase) -> None:
    """Whether a phase may be saved as it is now. Raises Unfit."""
    problems: dict[str, str] = {}
    try:
        new.full_clean()
    except ValidationError as invalid:
        named = {name: " ".join(told) for name, told in invalid.message_dict.items()}
        problems = {name if name in POLICIES else "": told for name, told in named.items()}
    old, now = Phase.objects.filter(pk=new.pk).first(), clock.now()
    for field, one in CHECKS.items():
        try:
            one(old, new, now)
        except Refused as refusal:
            problems.setdefault(field, str(refusal))
    if problems:
        raise Unfit(problems)


# --- drafts -----------------------------------------------------------------------------------------------------------


def draft_of(phase: Phase, person: User) -> PhaseChanges | None:
    """What this person prepares to change of the phase."""
    return PhaseChanges.objects.filter(phase=phase, by=person, ended_at=None).first()


@transaction.atomic
def keep(phase: Phase, written: Mapping[str, str], *, by: User) -> PhaseChanges | None:
    """Keep these values in the person's draft, beside what is in it; what the phase has already leaves it.

    None where nothing is left. Raises Unfit for what can't be read; whether it may be is asked by the preview.
    """
    lock_phase(phase.pk)
    draft, now = draft_of(phase, by), clock.now()
    before = draft.written if draft else {}
    told = {name: storable(text) for name, text in written.items()}
    found = differing(phase, {**before, **told})
    if draft is None and found:
        return PhaseChanges.objects.create(phase=phase, by=by, written=found, made_at=now, changed_at=now)
    if draft is not None and not found:
        _end(draft, PhaseChanges.End.DROPPED)
        return None
    if draft is not None and found != before:
        draft.written, draft.changed_at = found, now
        draft.save(update_fields=["written", "changed_at"])
    return draft


def drop(draft: PhaseChanges) -> None:
    """Change nothing of it."""
    _end(draft, PhaseChanges.End.DROPPED)


def mark_of(draft: PhaseChanges) -> str:
    """Another one once the phase, or the draft, is not what it was: what was previewed does not hold any more."""
    told = {name: policy.write(draft.phase) for name, policy in POLICIES.items()}
    return hashlib.sha256(json.dumps([told, draft.written], sort_keys=True).encode()).hexdigest()[:16]


@transaction.atomic
def apply(draft: PhaseChanges, fields: Collection[str], *, by: Actor, why: str, shown: str = "") -> Phase:
    """Change what is chosen of a draft; the others stay in it.

    `shown` is the mark of what was previewed, if it was. Raises Refused.
    """
    lock_phase(draft.phase_id)
    draft = PhaseChanges.objects.select_for_update(of=("self",)).select_related("phase").get(pk=draft.pk)
    if shown and shown != mark_of(draft):
        raise Refused("This is not what you were shown: the phase, or your draft, was changed since. Look again.")
    chosen = {name: text for name, text in draft.written.items() if name in fields}
    if draft.ended_at or not chosen:
        raise Refused("There is nothing to apply: choose what is to be changed.")
    phase = change(draft.phase, chosen, by=by, why=why)
    rest = {name: text for name, text in draft.written.items() if name not in fields}
    if rest:
        draft.written, draft.changed_at = rest, clock.now()
        draft.save(update_fields=["written", "changed_at"])
    else:
        _end(draft, PhaseChanges.End.APPLIED)
    return phase


def _end(draft: PhaseChanges, end: PhaseChanges.End) -> None:
    draft.ended_at, draft.end = clock.now(), end
    draft.save(update_fields=["ended_at", "end"])
