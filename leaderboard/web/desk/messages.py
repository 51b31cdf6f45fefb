"""Messages at the desk: written, looked at as they will be read, and what was sent."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from leaderboard.core.audit import Actor
from leaderboard.core.mail_message import html_of
from leaderboard.core.refusal import Refused
from leaderboard.core.text import storable
from leaderboard.desk.acts import messages as acts
from leaderboard.models import Announcement, OutgoingMail, SiteLine, Team
from leaderboard.notices import announcing, templates
from leaderboard.web.context import frame_of, instant_of, person_of
from leaderboard.web.desk.access import for_organisers, for_viewers
from leaderboard.web.desk.acts import offers_of
from leaderboard.web.desk.tabs import tabs

PER_PAGE = 30
REFUSED_SHOWN = 50
UNPROCESSABLE = 422
# A message has its styles inside, and nothing else: no script runs, and its links leave the page.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox allow-top-navigation"
_GROUPS = (
    ("What it says", ("subject", "body")),
    ("Where", ("by_mail", "on_site", "level", "shown_until")),
    ("For whom", ("audience", "phase", "team", "affected_from", "affected_until")),
    ("What it is about", ("occasion", "of_phase")),
)
_INSTANT = "Like 2026-09-30 12:00."


class AnnouncementForm(forms.ModelForm):
    """What an announcement says, to whom, and where."""

    team = forms.CharField(
        label="Team", required=False, max_length=60, help_text="Its name in addresses, where it is for one team."
    )

    class Meta:
        model = Announcement
        fields = (
            *("subject", "body", "by_mail", "on_site", "level", "shown_until"),
            *("audience", "phase", "team", "affected_from", "affected_until", "occasion", "of_phase"),
        )
        labels = {"audience": "For whom", "occasion": "It is about", "of_phase": "Of which phase"}
        help_texts = {
            "shown_until": f"{_INSTANT} Empty: until somebody takes it down.",
            "affected_from": _INSTANT,
            "affected_until": _INSTANT,
            "phase": "Whose teams. Of those affected: only in this phase, if you choose one.",
            "occasion": "So that the desk knows that it is told of; with “results are out” and the teams of a phase, "
            "each team reads its ranks below it.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.team:
            self.initial["team"] = self.instance.team.slug
        self.fields["occasion"].choices = [  # type: ignore[attr-defined]
            ("", "none of these"),
            *Announcement.Occasion.choices,
        ]
        for name in ("phase", "of_phase"):
            self.fields[name].empty_label = "no phase"  # type: ignore[attr-defined]

    @property
    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        """Its fields as the page shows them."""
        return [(legend, [self[name] for name in names]) for legend, names in _GROUPS]

    def clean_subject(self) -> str:
        """What the database can hold."""
        return str(storable(self.cleaned_data["subject"]))

    def clean_body(self) -> str:
        """Likewise."""
        return str(storable(self.cleaned_data["body"]))

    def clean_team(self) -> Team | None:
        """By its name in addresses."""
        slug = self.cleaned_data["team"].strip()
        if not slug:
            return None
        found = Team.objects.filter(slug=slug).first()
        if found is None:
            raise forms.ValidationError("There is no such team.")
        return found


@never_cache
@require_safe
@for_viewers
def announcements(request: HttpRequest) -> HttpResponse:
    """What was announced and what is to be, newest first, with what became of the mails; what stands on pages."""
    rows = announcing.with_counts(Announcement.objects.select_related("phase", "team")).order_by("-pk")
    page = Paginator(rows, PER_PAGE, allow_empty_first_page=True).get_page(request.GET.get("page"))
    lines = SiteLine.objects.filter(ended_at=None).select_related("announcement")
    context = {
        "tabs": tabs("desk_messages"),
        "page": page,
        "lines": [line for line in lines if line.shown_until is None or line.shown_until > instant_of(request)],
        "templates": Announcement.Occasion.choices,
        "phases": frame_of(request).phases.only("name", "slug", "closes_at"),
    }
    return render(request, "desk/messages.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@for_organisers
def new_announcement(request: HttpRequest) -> HttpResponse:
    """A draft, empty or from a template."""
    phase = frame_of(request).phases.filter(slug=request.GET.get("phase", "")).first()
    draft = templates.draft(request.GET.get("template", ""), phase)
    if slug := request.GET.get("team"):
        draft.team, draft.audience = get_object_or_404(Team, slug=slug), Announcement.Audience.TEAM
    return _written(request, draft)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@for_organisers
@transaction.atomic
def edit_announcement(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a draft; whoever announces it at this moment waits, or was first."""
    rows = Announcement.objects.select_related("phase", "team").select_for_update(of=("self",))
    found = get_object_or_404(rows, pk=pk)
    if not found.is_draft:
        messages.warning(request, "It is announced, and can’t be changed any more.")
        return redirect("desk_message", pk=pk)
    return _written(request, found)


def _written(request: HttpRequest, draft: Announcement) -> HttpResponse:
    began_with = announcing.mark_of(draft)
    form = AnnouncementForm(request.POST or None, instance=draft)
    if form.is_bound and form.is_valid():
        made = form.save(commit=False)
        try:
            by = Actor.person(person_of(request))
            announcing.keep(made, by=by, began_with=request.POST.get("began_with", ""))
        except Refused as refusal:
            form.add_error(None, str(refusal))
        else:
            return redirect("desk_message", pk=made.pk)
    context = {"tabs": tabs("desk_messages"), "form": form, "draft": draft, "began_with": began_with}
    return render(request, "desk/message_edit.html", context, status=UNPROCESSABLE if form.errors else 200)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@for_viewers
def announcement(request: HttpRequest, pk: int) -> HttpResponse:
    """One of them: to how many it goes or went, as it is read, and which mails were refused."""
    rows = announcing.with_counts(Announcement.objects.select_related("phase", "team", "of_phase"))
    found = get_object_or_404(rows, pk=pk)
    if request.method == "POST":
        return _send_to_oneself(request, found)
    given_up = found.mails.filter(state=OutgoingMail.State.GIVEN_UP).order_by("-ended_at")
    context = {
        "tabs": tabs("desk_messages"),
        "found": found,
        "reach": announcing.reach_of(found) if found.sent_at is None else None,
        "text": announcing.preview_of(found),
        "lines": found.lines.all(),
        "refused": given_up.only("to", "answer", "ended_at", "announcement")[:REFUSED_SHOWN],
        "offers": offers_of(acts.ACTS, found, person_of(request)),
    }
    return render(request, "desk/message.html", context)


def _send_to_oneself(request: HttpRequest, found: Announcement) -> HttpResponse:
    try:
        announcing.send_to_oneself(found, person_of(request))
    except Refused as refusal:
        messages.warning(request, str(refusal))
    else:
        messages.success(request, "It is on its way to you alone.")
    return redirect(reverse("desk_message", args=[found.pk]))


@never_cache
@require_safe
@for_viewers
def announcement_mail(_request: HttpRequest, pk: int) -> HttpResponse:
    """The mail as programs show it that read HTML."""
    found = get_object_or_404(Announcement.objects.select_related("phase", "team"), pk=pk)
    mail = announcing.mail_for_preview(found)
    return HttpResponse(html_of(mail), headers={"Content-Security-Policy": _POLICY})
