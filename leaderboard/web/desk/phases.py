"""The phases at the desk: all of them over time, and making one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from leaderboard.challenge import phase_templates
from leaderboard.challenge.policies import unset
from leaderboard.charts.picture import About, Picture
from leaderboard.charts.timeline import Bar, timeline
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.models import CaseSet, Draft, Phase, PhaseChanges, Submission
from leaderboard.models.challenge import PhaseQuerySet
from leaderboard.people.roles import has_role
from leaderboard.states import Role, SubmissionKind
from leaderboard.web.context import frame_of, instant_of, person_of
from leaderboard.web.desk.access import for_organisers, for_viewers
from leaderboard.web.desk.tabs import tabs

_TEMPLATE, _COPY = "template:", "copy:"


@dataclass(frozen=True)
class Line:
    """A phase in the list, with what is in it."""

    phase: Phase
    kind: str
    word: str
    teams: int
    runs: int
    drafts: int
    unset: Sequence[str]
    has_changes: bool


def state_of(phase: Phase, at: datetime) -> tuple[str, str]:
    """The state of a phase: a kind of mark, and a word."""
    if phase.is_draft:
        return "idle", "Draft"
    if phase.archived_at:
        return "off", "Archived"
    if at < phase.opens_at:
        return "idle", "To come"
    if at < phase.closes_at:
        return "run", "Open"
    if phase.cases_are_public or (phase.revealed_at and phase.revealed_at <= at):
        return "ok", "Over"
    return "warn", "Closed, not revealed"


def picture_of(phases: Sequence[Phase], at: datetime, planned: Phase | None = None) -> Picture:
    """Phases over time; `planned` is one of them as a draft of changes would have it."""
    about = About("phases", "Phases over time, UTC")
    return timeline(about, [_bar(phase, at, planned) for phase in phases], at)


def _bar(phase: Phase, at: datetime, planned: Phase | None) -> Bar:
    word = state_of(phase, at)[1]
    state = "live" if word == "Open" else "plan" if word in ("Draft", "To come") else ""
    marks = [(phase.revealed_at, "Reveal"), (phase.embargo_until, "Embargo ends")]
    is_planned = planned is not None and planned.pk == phase.pk and planned.closes_at != phase.closes_at
    return Bar(
        phase.name,
        phase.opens_at,
        phase.closes_at,
        state,
        word,
        [(instant, words) for instant, words in marks if instant],
        planned.closes_at if planned is not None and is_planned else None,
    )


@never_cache
@require_safe
@for_viewers
def desk_phases(request: HttpRequest) -> HttpResponse:
    """All phases: over time, and each with its state and what is in it."""
    at = instant_of(request)
    phases = list(frame_of(request).phases.select_related("case_set__mends").order_by("opens_at", "pk"))
    context = {
        "tabs": tabs("desk_phases"),
        "picture": picture_of(phases, at),
        "lines": _lines(request, phases, at),
        "may_change": has_role(person_of(request), Role.ORGANISER),
    }
    return render(request, "desk/phases.html", context)


def _lines(request: HttpRequest, phases: Sequence[Phase], at: datetime) -> list[Line]:
    scored = Submission.objects.filter(kind=SubmissionKind.SCORED).order_by().values_list("phase")
    of_each = scored.annotate(Count("team", distinct=True), Count("pk"))
    counted: dict[int, tuple[int, int]] = {phase: (teams, runs) for phase, teams, runs in of_each}
    drafts = dict(Draft.objects.order_by().values_list("phase").annotate(Count("pk")))
    own = PhaseChanges.objects.filter(by=person_of(request), ended_at=None)
    with_changes = set(own.values_list("phase", flat=True))
    return [
        Line(
            phase,
            *state_of(phase, at),
            *counted.get(phase.pk, (0, 0)),
            drafts.get(phase.pk, 0),
            [] if phase.archived_at else unset(phase),
            phase.pk in with_changes,
        )
        for phase in phases
    ]


class NewPhaseForm(forms.Form):
    """Of what a phase is made, and what it is called."""

    made_of = forms.ChoiceField(label="Made of")
    name = forms.CharField(label="Name", max_length=60)
    slug = forms.SlugField(
        label="Name in addresses", max_length=60, help_text="As in /leaderboard/<b>test</b>/. Stays."
    )
    cases = forms.ChoiceField(label="Cases", required=False, help_text="Of a copy: those of the phase it is made of.")

    def __init__(self, phases: Iterable[Phase], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        templates = [(_TEMPLATE + one.name, f"{one.title}. {one.says}") for one in phase_templates.TEMPLATES.values()]
        copies = [(_COPY + one.slug, f"A copy of the {one.name}") for one in phases]
        names = CaseSet.objects.order_by("-pk").values_list("name", flat=True)
        self.fields["made_of"].choices = [*templates, *copies]  # type: ignore[attr-defined]
        self.fields["cases"].choices = [("", "–"), *((name, name) for name in names)]  # type: ignore[attr-defined]


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@for_organisers
def desk_phase_new(request: HttpRequest) -> HttpResponse:
    """Make a phase of a template, or copy one: a draft, which nobody else sees."""
    phases = frame_of(request).phases
    form = NewPhaseForm(phases, request.POST or None, initial={"made_of": _COPY + request.GET.get("copy", "")})
    if form.is_bound and form.is_valid():
        try:
            made = _made(phases, form.cleaned_data, Actor.person(person_of(request)))
        except Refused as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, f"The {made.name} is a draft. Look through it, then let it be seen.")
            return redirect("desk_phase", slug=made.slug)
    return render(request, "desk/phase_new.html", {"tabs": tabs("desk_phases"), "form": form})


def _made(phases: PhaseQuerySet, told: dict[str, str], by: Actor) -> Phase:
    kind, _, name = told["made_of"].partition(":")
    named = {"slug": told["slug"], "name": told["name"]}
    if kind == "copy":
        return phase_templates.copy(phases.get(slug=name), **named, by=by)
    cases = CaseSet.objects.filter(name=told["cases"]).first()
    if cases is None:
        raise Refused("Choose the cases of the phase.")
    return phase_templates.make(phase_templates.TEMPLATES[name], **named, cases=cases, by=by)
