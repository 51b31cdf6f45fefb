"""The policies of a phase, one by one: what each is called, in which unit people write it, and what it means for teams.

A value is written as text wherever it comes in, on a page, on the command line, in a draft of changes: `2026-09-15
04:00` (UTC), `32 GiB`, `2 min`, `yes`, a choice, a slug. `read` makes the value of it, `write` the text, `tell` words.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from django.db import models
from django.db.models import Field

from leaderboard.core.record_words import span_in_words
from leaderboard.core.refusal import Refused
from leaderboard.core.sizes import bytes_of, in_words
from leaderboard.core.text import instant, read_instant
from leaderboard.models import CaseSet, Phase

NOTHING = "not set"
_SECONDS = {"s": 1, "m": 60, "h": 3600}  # by the first letter of a unit
_SPAN = re.compile(r"\s*([0-9]{1,9})\s*(s|sec|seconds?|min|minutes?|h|hours?)?\s*")
_YES, _NO = ("yes", "true", "1", "on"), ("no", "false", "0", "off", "")


@dataclass(frozen=True)
class Policy:
    """A field of a phase. `means` says what it means for teams, `is_by_act` whether an act of its own changes it."""

    name: str
    label: str
    means: str
    is_by_act: bool = False

    @property
    def field(self) -> "Field[Any, Any]":
        """The field of the model."""
        return cast("Field[Any, Any]", Phase._meta.get_field(self.name))

    @property
    def kind(self) -> str:
        """How it is written: instant, size, span, yes-no, choice, phase, cases, number or text."""
        field = self.field
        if isinstance(field, models.DateTimeField):
            return "instant"
        if isinstance(field, models.BooleanField):
            return "yes-no"
        if isinstance(field, models.ForeignKey):
            return "cases" if field.related_model is CaseSet else "phase"
        if field.choices:
            return "choice"
        if self.name.endswith("_bytes"):
            return "size"
        if self.name.endswith("_seconds"):
            return "span"
        return "number" if isinstance(field, models.IntegerField | models.DecimalField) else "text"

    @property
    def is_optional(self) -> bool:
        """Whether it may be left empty."""
        return bool(self.field.null or self.field.blank)

    def choices(self) -> list[tuple[str, str]]:
        """What can be chosen, with words; nothing where it is written."""
        match self.kind:
            case "yes-no":
                return [("yes", "yes"), ("no", "no")]
            case "choice":
                return [(str(value), str(words)) for value, words in self.field.flatchoices]
            case "phase":
                public = Phase.objects.filter(cases_are_public=True)
                return [("", "nothing"), *((one.slug, one.name) for one in public)]
            case "cases":
                return [(name, name) for name in CaseSet.objects.order_by("name").values_list("name", flat=True)]
        return []

    def read(self, text: str) -> Any:
        """The value that was written. Raises Refused with a sentence for whoever wrote it."""
        text = text.strip()
        if not text and self.field.null:
            return None
        if not text and not self.is_optional and self.kind != "yes-no":
            raise Refused(f"“{self.label}” is missing.")
        return _READ[self.kind](text, self)

    def write(self, phase: Phase) -> str:
        """The value of a phase as `read` takes it."""
        value = getattr(phase, self.name)
        match self.kind:
            case "instant":
                return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}" if value else ""
            case "yes-no":
                return "yes" if value else "no"
            case "size":
                return in_words(value)
            case "span":
                return span_in_words(value)
            case "phase" | "cases":
                return (value.slug if self.kind == "phase" else value.name) if value else ""
            case "number":
                return f"{Decimal(value).normalize():f}"
        return str(value)

    def tell(self, phase: Phase) -> str:
        """The value of a phase in words."""
        value = getattr(phase, self.name)
        if value is None or value == "":
            return NOTHING
        match self.kind:
            case "instant":
                return instant(value)
            case "choice":
                return str(dict(self.field.flatchoices)[value])
            case "phase" | "cases":
                return str(value)
            case "number":
                return f"{Decimal(value).normalize():,f}"
        return self.write(phase)


def _read_instant(text: str, policy: Policy) -> datetime:
    try:
        return read_instant(text)
    except Refused as wrong:
        raise Refused(f"{policy.label}: {wrong}") from wrong


def _read_yes_no(text: str, policy: Policy) -> bool:
    if text.lower() in (*_YES, *_NO):
        return text.lower() in _YES
    raise Refused(f"{policy.label}: write yes or no.")


def _read_choice(text: str, policy: Policy) -> str:
    known = [str(value) for value, _ in policy.field.flatchoices]
    if text not in known:
        raise Refused(f"{policy.label} is one of: {', '.join(known)}.")
    return text


def _read_phase(text: str, policy: Policy) -> Phase:
    found = Phase.objects.filter(slug=text).first()
    if found is None:
        raise Refused(f"{policy.label}: there is no phase “{text[:60]}”.")
    return found


def _read_cases(text: str, policy: Policy) -> CaseSet:
    found = CaseSet.objects.filter(name=text).first()
    if found is None:
        raise Refused(f"{policy.label}: there is no case set “{text[:60]}”.")
    return found


def _read_size(text: str, policy: Policy) -> int:
    try:
        return bytes_of(text)
    except ValueError as wrong:
        raise Refused(f"{policy.label}: {str(wrong)[0].lower()}{str(wrong)[1:]}") from wrong


def _read_span(text: str, policy: Policy) -> int:
    written = _SPAN.fullmatch(text)
    if written is None:
        raise Refused(f"{policy.label}: write a length of time with its unit, as in 90 s, 2 min or 1 h.")
    return int(written[1]) * _SECONDS[(written[2] or "s")[0]]


def _read_number(text: str, policy: Policy) -> Decimal | int:
    try:
        number = Decimal(text.replace(",", ""))
    except InvalidOperation as wrong:
        raise Refused(f"{policy.label}: write a number.") from wrong
    if not isinstance(policy.field, models.IntegerField):
        return number
    if not number.is_finite() or number != int(number):
        raise Refused(f"{policy.label}: write a whole number.")
    return int(number)


_READ: Mapping[str, Callable[[str, Policy], Any]] = {
    "instant": _read_instant,
    "yes-no": _read_yes_no,
    "choice": _read_choice,
    "phase": _read_phase,
    "cases": _read_cases,
    "size": _read_size,
    "span": _read_span,
    "number": _read_number,
    "text": lambda text, _policy: text,
}

GROUPS: Mapping[str, tuple[Policy, ...]] = {
    "When": (
        Policy("opens_at", "Opens", "From then on teams hand in. Once it has opened and runs came, it stays."),
        Policy(
            "closes_at",
            "Closes",
            "An upload counts if it is complete by then. A deadline may move later, and earlier with 24 hours’ notice.",
        ),
        Policy(
            "post_challenge_opens_at", "Post-challenge runs from", "Scored after the deadline, apart, never ranked."
        ),
        Policy("post_challenge_closes_at", "Post-challenge runs until", "Not set: until further notice."),
        Policy("revealed_at", "Reveal", "The full result, the other half and names come out; standings are final."),
        Policy("embargo_until", "Embargo until", "Until then boards have no rows, and teams see no numbers."),
    ),
    "How much": (
        Policy("runs_per_day", "Runs a day", "The UTC day. Rejected and interrupted runs are given back."),
        Policy("runs_total", "Runs in all", "Never fewer than a team has used."),
        Policy(
            "post_challenge_per_day", "Post-challenge runs a day", "The UTC day; they take nothing from the others."
        ),
        Policy("post_challenge_total", "Post-challenge runs in all", "Of each team."),
        Policy("try_outs_on", "Try-outs on the cases of", "A free run on a few public cases. Not set: there are none."),
        Policy("try_out_cases", "Cases of a try-out", "The same ones each time."),
        Policy("try_outs_per_day", "Try-outs a day", "The UTC day."),
        Policy(
            "try_out_required_from",
            "A passed try-out is required from",
            "Announced 14 days ahead, and never asked for in the last 48 hours.",
        ),
    ),
    "What counts, what is seen": (
        Policy(
            "counting", "Which run counts", "In mid-phase this changes who stands where; after the deadline it stays."
        ),
        Policy("publication", "Shown before the reveal", "Scores of hidden cases are rounded, small groups left out."),
        Policy(
            "cases_are_public",
            "Cases are public",
            "Teams see each case, masks and logs. Hidden cases are made public by an act of its own.",
            is_by_act=True,
        ),
        Policy(
            "show_categories", "Categories to the method", "No: the sentence alone. Stays once runs were handed in."
        ),
        Policy("anonymous_until_reveal", "Teams without names until the reveal", "Boards say “Team 7”."),
        Policy("show_submitters", "Name who handed a run in", "On “All runs”; teams are told before they submit."),
        Policy("takes", "What is handed in", "Masks only where the cases are public."),
        Policy(
            "is_ranked",
            "Entries are ranked",
            "No: boards stand in the order of scores, and nobody has a rank. Stays once a board has rows.",
        ),
        Policy("masks_are_ranked", "Masks are ranked", "Else they stand apart, without a rank."),
    ),
    "Who takes part": (
        Policy("requires_approval", "Teams are approved by organisers", "Others prepare drafts and can’t hand in."),
        Policy("commitment", "Open-source commitment", "A box that a team ticks; shown with its entry."),
        Policy("commitment_text", "Text of the commitment", "Who ticked an older text has committed to that."),
        Policy("pdf", "PDF of the method", "Only the team and organisers can download it."),
    ),
    "Limits of a run": (
        Policy("case_seconds", "Time per case", "From the case before it being finished. Accepted runs keep theirs."),
        Policy("startup_seconds", "More for the first case", "Once for each container: to start and load weights."),
        Policy("memory_bytes", "Memory", "Of a container. Accepted runs keep theirs."),
        Policy("gpus", "GPUs", "Of a run; 0: on the CPU. Stays while runs wait or work."),
        Policy("cpus", "CPUs", "Of a container."),
        Policy("shm_bytes", "Shared memory", "Of a container, part of its memory."),
        Policy("tmp_bytes", "Scratch space", "Of a container."),
        Policy("output_bytes", "Space for masks", "Of a container."),
        Policy("log_bytes", "Log", "What is kept of what a container prints."),
        Policy("pids", "Processes and threads", "Of a container."),
        Policy("batch_size", "Cases per container", "At most. More of them start less often."),
        Policy("max_failures_in_row", "Failing cases in a row", "So many end the run."),
    ),
    "Limits of an upload": (
        Policy("max_archive_bytes", "Image as sent", "Image and weights, each. Accepted uploads keep theirs."),
        Policy("max_unpacked_bytes", "Image unpacked", "Image and weights, each."),
        Policy("max_masks_bytes", "Masks", "Packed and unpacked."),
    ),
    "What it is": (
        Policy("name", "Name", "As pages and mails call it."),
        Policy("description", "Description", "One or two sentences for the leaderboard and the home page."),
        Policy("case_set", "Cases", "Stay once anything was handed in."),
        Policy("is_draft", "Draft", "Nobody but organisers sees that it exists, until you say no."),
    ),
}
POLICIES: Mapping[str, Policy] = {policy.name: policy for some in GROUPS.values() for policy in some}


def unset(phase: Phase) -> list[str]:
    """What somebody should decide before the phase opens, or before it is revealed: what each is called."""
    found = []
    if not phase.description:
        found.append("description")
    if phase.takes_images and phase.try_outs_on_id is None:
        found.append("try-outs")
    shows_half = not phase.cases_are_public and phase.publication == Phase.Publication.HALF
    if shows_half and not phase.case_set.first.half_commitment:
        found.append("commitment to the public half")
    if not phase.cases_are_public and phase.revealed_at is None:
        found.append("reveal")
    return found
