"""A phase at the desk: every policy with what it means, edited in place, previewed, applied with a reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.text import slugify
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from leaderboard.challenge import changing, mid_phase
from leaderboard.challenge.policies import GROUPS, POLICIES, Policy, unset
from leaderboard.core import audit
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.desk.acting import may_act
from leaderboard.desk.acts.phases import ACTS, meant
from leaderboard.desk.phases import Preview, line_of, preview
from leaderboard.models import AuditEntry, Phase, PhaseChanges, User
from leaderboard.people.roles import has_role
from leaderboard.states import Role, SubmissionKind
from leaderboard.web.context import frame_of, instant_of, person_of
from leaderboard.web.desk import telling
from leaderboard.web.desk.access import for_viewers
from leaderboard.web.desk.acts import WHY_CHARACTERS, Offer, button_of
from leaderboard.web.desk.moves import shown_board
from leaderboard.web.desk.phases import picture_of, state_of
from leaderboard.web.desk.tabs import tabs
from leaderboard.web.desk.telling import Told
from leaderboard.web.guidelines import limits_that_differ

MOST_CHARACTERS = 2000
LATEST = 10


@dataclass(frozen=True)
class Row:
    """A policy as the page shows it: its value, and where it is edited what is written in its field."""

    policy: Policy
    value: str
    at: datetime | None
    is_open: bool
    written: str
    was: str
    problem: str
    choices: Sequence[tuple[str, str]] = ()

    @property
    def day(self) -> str:
        """Of a written instant the day."""
        return self.written.partition(" ")[0]

    @property
    def time(self) -> str:
        """Of a written instant the time."""
        return self.written.partition(" ")[2][:5]


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@for_viewers
def desk_phase(request: HttpRequest, slug: str) -> HttpResponse:
    """A phase's policies; what a person changes is theirs alone until it is applied."""
    phase = get_object_or_404(frame_of(request).phases.select_related("case_set__mends", "try_outs_on"), slug=slug)
    if request.method == "POST":
        if not has_role(person_of(request), Role.ORGANISER):
            raise Http404
        return _changed(request, phase)
    return _page(request, phase)


def _changed(request: HttpRequest, phase: Phase) -> HttpResponse:
    person = person_of(request)
    draft = changing.draft_of(phase, person)
    address = reverse("desk_phase", args=[phase.slug])
    if "drop" in request.POST:
        if draft:
            changing.drop(draft)
            messages.info(request, "Your draft of changes is dropped. Nothing was changed.")
        return redirect(address)
    if "apply" in request.POST or "look" in request.POST:
        return _applied(request, phase, draft)
    written = _written(request)
    try:
        kept = changing.keep(phase, written, by=person)
    except changing.Unfit as unfit:
        return _page(request, phase, written, unfit.problems)
    if (opened := request.POST.get("edit", "")) in POLICIES:
        return redirect(f"{address}?edit={opened}#f-{opened}")
    if kept is None:
        messages.info(request, "Nothing differs from what the phase has.")
        return redirect(address)
    return redirect(f"{address}?preview=1#preview" if "preview" in request.POST else address)


def _applied(request: HttpRequest, phase: Phase, draft: PhaseChanges | None) -> HttpResponse:
    told = telling.read(request.POST)
    if draft is None:
        messages.warning(request, "There is nothing to apply: your draft is gone.")
        return redirect("desk_phase", slug=phase.slug)
    if "look" in request.POST:
        return _page(request, phase, shows_preview=True, told=told)
    if told.is_wanted and not told.fits_its_fields:
        messages.warning(request, "The message told of other changes than are chosen: it was written anew. Read it.")
        return _page(request, phase, shows_preview=True, told=told)
    try:
        by, shown = Actor.person(person_of(request)), request.POST.get("shown", "")
        with transaction.atomic():
            changing.apply(draft, told.fields, by=by, why=told.why, shown=shown)
            sent = told.send(frame_of(request).phases.get(pk=phase.pk), by=by)
    except Refused as refusal:
        messages.warning(request, str(refusal))
        return _page(request, phase, shows_preview=True, told=told)
    changed = ", ".join(POLICIES[name].label for name in told.fields if name in POLICIES)
    messages.success(request, f"Changed: {changed}. The record has what it was.{sent}")
    return redirect("desk_phase", slug=phase.slug)


def _written(request: HttpRequest) -> dict[str, str]:
    """What stands in the fields that were open."""
    found = {}
    for name, policy in POLICIES.items():
        if policy.is_by_act:
            continue
        if policy.kind == "instant" and f"{name}-day" in request.POST:
            day, time = (request.POST.get(f"{name}-{part}", "").strip() for part in ("day", "time"))
            found[name] = f"{day} {time or '00:00'}" if day else ""
        elif name in request.POST:
            found[name] = request.POST[name][:MOST_CHARACTERS].replace("\r\n", "\n")
    return found


def _page(
    request: HttpRequest,
    phase: Phase,
    written: Mapping[str, str] | None = None,
    problems: Mapping[str, str] | None = None,
    *,
    shows_preview: bool = False,
    told: Told | None = None,
) -> HttpResponse:
    person, at = person_of(request), instant_of(request)
    may_change = has_role(person, Role.ORGANISER)
    draft = changing.draft_of(phase, person) if may_change else None
    if draft:
        draft.phase = phase  # with what it refers to
    values = {**(draft.written if draft else {}), **(written or {})}
    edited = request.GET.getlist("edit") if may_change else []
    found = None
    if draft and (shows_preview or "preview" in request.GET):
        found = preview(phase, draft.written, by=Actor.person(person))
        problems = {**found.problems, **(problems or {})}
    after = found.after if found else _planned(phase, draft)
    kind, word = state_of(phase, at)
    context = {
        "tabs": tabs("desk_phases"),
        "phase": phase,
        "kind": kind,
        "word": word,
        "counts": _counts(phase),
        "unset": [] if phase.archived_at else unset(phase),
        "picture": picture_of([phase], at, after),
        "groups": [
            (title, slugify(title), [_row(phase, one, values, edited, problems or {}) for one in policies])
            for title, policies in GROUPS.items()
        ],
        "problems": problems or {},
        "draft": draft,
        "shown": changing.mark_of(draft) if draft else "",
        "draft_lines": _draft_lines(phase, after, draft),
        "may_change": may_change,
        "offers": _offers(phase, person, at),
        "why": told.why if told else "",
        "why_characters": WHY_CHARACTERS,
        "record": _record(phase),
        **(_shown(found, at) if found else {}),
        **(telling.shown(found, told) if found else {}),
    }
    return render(request, "desk/phase.html", context)


def _offers(phase: Phase, person: User, at: datetime) -> list[Offer]:
    """What can be done about it now, by this person."""
    names = meant(phase, at)
    return [button_of(act, phase) for act in ACTS if act.name in names and may_act(person, act)]


def _row(
    phase: Phase, policy: Policy, told: Mapping[str, str], edited: Sequence[str], problems: Mapping[str, str]
) -> Row:
    is_open = not policy.is_by_act and (policy.name in told or policy.name in edited)
    now = getattr(phase, policy.name) if policy.kind == "instant" else None
    return Row(
        policy,
        policy.tell(phase),
        now,
        is_open,
        told.get(policy.name, policy.write(phase)) if is_open else "",
        policy.tell(phase) if policy.name in told else "",
        problems.get(policy.name, ""),
        policy.choices() if is_open else (),
    )


def _planned(phase: Phase, draft: PhaseChanges | None) -> Phase | None:
    """The phase as the draft would have it, where it can still be read."""
    try:
        return changing.changed(phase, draft.written) if draft else None
    except Refused:
        return None


def _draft_lines(phase: Phase, after: Phase | None, draft: PhaseChanges | None) -> list[tuple[str, str, str, str]]:
    if draft is None:
        return []
    policies = [POLICIES[name] for name in draft.written if name in POLICIES]
    return [(one.name, one.label, one.tell(phase), one.tell(after or phase)) for one in policies]


def _counts(phase: Phase) -> dict[str, Any]:
    scored = phase.submissions.filter(kind=SubmissionKind.SCORED).order_by()
    found = scored.aggregate(runs=Count("pk"), teams=Count("team", distinct=True))
    return {**found, "under_way": mid_phase.under_way(phase).count(), "drafts": phase.drafts.count()}


def _record(phase: Phase) -> list[AuditEntry]:
    """What was decided about it last."""
    return list(audit.entries_about(phase).defer("before", "after")[:LATEST])


def _shown(found: Preview, at: datetime) -> dict[str, Any]:
    """The preview as the page shows it."""
    boards = [shown_board(one.as_json(), ("Now", "After")) for one in found.boards if one.teams]
    return {
        "preview": found,
        "line_now": line_of(found.before, at),
        "line_after": line_of(found.after, at),
        "limits": limits_that_differ(found.before, found.after),
        "seen": [one for one in found.sights if one.differs],
        "seen_as_now": [one for one in found.sights if not one.differs],
        "boards": boards,
        "is_possible": not found.problems and bool(found.changes),
    }
