"""The page by which anything is done at the desk: what it would change is shown first, then it is done.

An act is done on one thing or on many (`on` in the address, once for each). Nothing is changed before the last press.
What is pressed goes to the address alone, with all of it in the form: so that allauth, which asks who it is before some
acts, goes on with what was pressed and written.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import resolve, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from leaderboard.core.audit import Actor, described
from leaderboard.core.refusal import Refused
from leaderboard.desk.acting import Act, Outcome, Value, act_on, check_values, may_act
from leaderboard.desk.acts import ACTS
from leaderboard.models import User
from leaderboard.web.accounts.proof import factor_required
from leaderboard.web.context import came_from, person_of
from leaderboard.web.desk import ways_back
from leaderboard.web.desk.access import for_viewers
from leaderboard.web.desk.tabs import tabs

MOST_AT_ONCE = 200
OTHER_VALUES = (
    "It is not what you were shown any more: you changed what stands above. This is what it would change now."
)
WHY_CHARACTERS = 2000


class Offer(NamedTuple):
    """A button that leads to an act on one thing."""

    label: str
    url: str
    is_grave: bool


def offer_of(act: Act, row: Model, person: User) -> Offer | None:
    """The act as it is offered to this person; None where they may not do it, or it means nothing for the thing."""
    if not may_act(person, act) or not act.is_offered(row):
        return None
    return button_of(act, row)


def button_of(act: Act, row: Model) -> Offer:
    """The button of an act, whoever may press it."""
    return Offer(act.label, address_of(act, [row]), act.is_grave)


def offers_of(acts: Sequence[Act], row: Model, person: User) -> list[Offer]:
    """All of these that are offered."""
    return [offer for act in acts if (offer := offer_of(act, row, person))]


def address_of(act: Act, rows: Sequence[Model]) -> str:
    """Where it is done on these."""
    on = [("on", act.kind.key_of(row)) for row in rows]
    return f"{reverse('act', args=[act.name])}?{urlencode(on)}"


class ActForm(forms.Form):
    """What an act asks for."""

    def __init__(self, act: Act, rows: Sequence[Model], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._name = described(rows[0])
        for value in act.values:
            self.fields[value.name] = _field(value)
        self.fields["why"] = forms.CharField(
            label="Reason",
            required=act.needs_reason,
            max_length=WHY_CHARACTERS,
            help_text=_help_of_reason(act),
            widget=forms.Textarea(attrs={"rows": 3}),
        )
        if act.confirms:
            self.fields["confirmed"] = forms.CharField(
                label=f"Type “{self._name}”",
                required=False,
                help_text="Needed for the last press, so that it is not done by mistake.",
            )

    def is_confirmed(self) -> bool:
        """Whether the name was typed, where it has to be; says so in the form if not."""
        if "confirmed" in self.fields and self.cleaned_data["confirmed"].strip() != self._name:
            self.add_error("confirmed", f"Type exactly: {self._name}")
            return False
        return True


def _help_of_reason(act: Act) -> str:
    if_any = "" if act.needs_reason else ", if you give one"
    return f"The team reads it{if_any}; kept in the record." if act.tells_team else f"Kept in the record{if_any}."


def _field(value: Value) -> forms.Field:
    told: dict[str, Any] = {"label": value.label, "help_text": value.help, "required": value.is_required}
    if value.choices:
        return forms.ChoiceField(choices=list(value.choices.items()), **told)
    widget = forms.Textarea(attrs={"rows": 8}) if value.is_long else forms.TextInput()
    return forms.CharField(widget=widget, **told)


def _is_carried_out(request: HttpRequest) -> bool:
    """Whether this is the last press of an act for which people prove once more who they are."""
    # by its address: what goes on after the question who it is comes from another one
    act = ACTS.get(resolve(request.path_info).kwargs.get("name", ""))
    return bool(act and act.needs_factor and "do" in request.POST)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@for_viewers
@factor_required(enabled=_is_carried_out)
def act(request: HttpRequest, name: str) -> HttpResponse:
    """An act on what the address names: asked about, shown, done."""
    chosen = ACTS.get(name)
    if chosen is None or not may_act(person_of(request), chosen):
        raise Http404
    keys = request.POST.getlist("on") or request.GET.getlist("on")
    rows = _rows(chosen, keys)
    known = {value.name: request.GET[value.name] for value in chosen.values if value.name in request.GET}
    form = ActForm(chosen, rows, request.POST or None, initial=known)
    outcomes: list[Outcome] = []
    if form.is_bound and form.is_valid():
        try:
            outcomes = _act(request, chosen, rows, form)
        except Refused as refusal:
            form.add_error(None, str(refusal))
        if outcomes and _is_pressed(request, chosen) and form.is_valid():
            return _handed_over(request, chosen, rows, outcomes) or _done(request, chosen, rows, outcomes)
        if outcomes and "do" in request.POST and form.is_valid():
            form.add_error(None, OTHER_VALUES)
    context = {
        "tabs": tabs(""),
        "act": chosen,
        "keys": [chosen.kind.key_of(row) for row in rows],
        "things": [chosen.kind.name_of(row) for row in rows],
        "form": form,
        "outcomes": outcomes,
        "is_possible": any(not one.refused for one in outcomes),
        "shown": _mark_of_values(request, chosen) + "".join(f" {one.mark}" for one in outcomes),
        "next": came_from(request, ways_back.asked_from(request)) or ways_back.page_of(chosen.kind, rows),
    }
    return render(request, "desk/act.html", context)


def _is_pressed(request: HttpRequest, chosen: Act) -> bool:
    """Whether it is to be done now: the last press, with the values of which it was shown what they change."""
    shown = request.POST.get("shown", "").split()
    return "do" in request.POST and (not shown or shown[0] == _mark_of_values(request, chosen))


def _mark_of_values(request: HttpRequest, chosen: Act) -> str:
    """Another one where something else is written in the form, but for the reason."""
    written = [request.POST.get(value.name, "").strip() for value in chosen.values]
    return hashlib.sha256(json.dumps(written).encode()).hexdigest()[:16]


def _rows(chosen: Act, keys: Sequence[str]) -> list[Model]:
    """What the address names. Raises Http404 where it names nothing, or what is not there."""
    if not keys or len(keys) > (1 if chosen.delivers or chosen.confirms else MOST_AT_ONCE):
        raise Http404
    try:
        return [chosen.kind.find(key) for key in dict.fromkeys(keys)]
    except Refused as unknown:
        raise Http404 from unknown


def _act(request: HttpRequest, chosen: Act, rows: Sequence[Model], form: ActForm) -> list[Outcome]:
    """What comes of it, or would. Raises Refused."""
    values = check_values(chosen, {value.name: form.cleaned_data[value.name] for value in chosen.values})
    is_done = _is_pressed(request, chosen) and form.is_confirmed()
    shown = request.POST.get("shown", "").split()[1:] if is_done else []
    if shown and len(shown) != len(rows):
        raise Refused("Some of it is gone, or is new, since you looked. Nothing was done. Look again.")
    by, why = Actor.person(person_of(request)), form.cleaned_data["why"]
    return act_on(chosen, rows, values, by=by, why=why, dry_run=not is_done, shown=shown)


def _handed_over(
    request: HttpRequest, chosen: Act, rows: Sequence[Model], outcomes: Sequence[Outcome]
) -> HttpResponse | None:
    """What the decision returned, for acts that hand it to whoever does them."""
    if chosen.delivers and outcomes[0].entries:
        return _delivered(chosen, outcomes[0])
    return _shown_once(request, chosen, rows, outcomes)


def _shown_once(
    request: HttpRequest, chosen: Act, rows: Sequence[Model], outcomes: Sequence[Outcome]
) -> HttpResponse | None:
    """What was made and is never shown again: on a page of its own, kept nowhere."""
    made = [one for one in outcomes if one.found and not one.refused]
    if not chosen.shows_once or not made:
        return None
    back = came_from(request, ways_back.page_of(chosen.kind, rows))
    context = {"tabs": tabs(""), "act": chosen, "outcomes": outcomes, "next": back}
    return render(request, "desk/shown_once.html", context)


def _delivered(chosen: Act, outcome: Outcome) -> HttpResponse:
    """What the decision returned, as a file."""
    told = {"Content-Disposition": f'attachment; filename="{chosen.delivers}"'}
    return HttpResponse(json.dumps(outcome.found, indent=2, default=str), "application/json", headers=told)


def _done(request: HttpRequest, chosen: Act, rows: Sequence[Model], outcomes: Sequence[Outcome]) -> HttpResponse:
    for one in outcomes:
        if one.refused:
            messages.warning(request, f"{one.name}: {one.refused}")
        elif not one.entries:
            messages.info(request, f"{one.name}: nothing changed.")
    done = [one.name for one in outcomes if one.entries]
    if done:
        what = done[0] if len(done) == 1 else f"{len(done)} {chosen.kind.plural}"
        messages.success(request, f"{chosen.label}: done{'' if chosen.kind.is_new else f', for {what}'}.")
    if ways_back.is_gone(chosen.kind, rows):
        return redirect(ways_back.list_of(chosen.kind))
    return redirect(came_from(request, ways_back.page_of(chosen.kind, rows)))
