"""A person's own account: the profile, all of its data as a file, and its end."""

from allauth.account.decorators import reauthentication_required
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from leaderboard.core.refusal import Refused
from leaderboard.people import ending, personal_data, profile
from leaderboard.people.sign_in import has_second_factor
from leaderboard.web.context import person_of
from leaderboard.web.forms import PersonForm

UNPROCESSABLE = 422


class ProfileForm(PersonForm):
    """What a person says of themselves."""

    country = forms.ChoiceField(
        required=False,
        choices=lambda: [("", "–"), *profile.country_choices()],
        widget=forms.Select(attrs={"autocomplete": "country"}),
    )
    orcid = forms.CharField(
        max_length=60,
        required=False,
        label="ORCID iD",
        help_text="Like 0000-0002-1825-0097.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def clean_orcid(self) -> str:
        """In its usual form."""
        try:
            return profile.orcid_of(self.cleaned_data["orcid"])
        except Refused as refusal:
            raise forms.ValidationError(str(refusal)) from None


class EndForm(forms.Form):
    """The last question before an account ends."""

    sure = forms.BooleanField(
        label="Delete my account. I know that it cannot be brought back.",
        error_messages={"required": "Tick the box if you mean it."},
    )


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """The profile, and the ways to everything else of the account."""
    person = person_of(request)
    initial = {field: getattr(person, field) for field in profile.FIELDS}
    form = ProfileForm(request.POST if request.method == "POST" else None, initial=initial, kept=initial)
    if form.is_bound and form.is_valid():
        try:
            profile.change(person, **form.cleaned_data)
        except Refused as refusal:
            form.add_error("name" if str(refusal) == profile.NAMELESS else "orcid", str(refusal))
        else:
            messages.success(request, "Saved.")
            return redirect("account")
    person.refresh_from_db()  # a refused form must not change what the page calls the person
    context = {
        "form": form,
        "has_second_factor": has_second_factor(person),
        "orcid": profile.connected_orcid(person),
        "offers_orcid": bool(settings.ORCID_CLIENT_ID),
    }
    return render(request, "account/account.html", context, status=UNPROCESSABLE if form.errors else 200)


@login_required
@require_safe
@reauthentication_required  # type: ignore[untyped-decorator]  # allauth is not typed
def data(request: HttpRequest) -> HttpResponse:
    """Everything that is kept of the person, as a file."""
    answer = JsonResponse(personal_data.of(person_of(request)), json_dumps_params={"indent": 2, "ensure_ascii": False})
    answer["Content-Disposition"] = 'attachment; filename="my-data.json"'
    return answer


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@reauthentication_required  # type: ignore[untyped-decorator]  # allauth is not typed
def end(request: HttpRequest) -> HttpResponse:
    """Ask once more, and end the account."""
    person = person_of(request)
    form = EndForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            ending.end_account(person)
        except Refused as refusal:
            form.add_error(None, str(refusal))
        else:
            logout(request)
            messages.success(request, "Your account is deleted.")
            return redirect("home")
    context = {"form": form, "why_not": ending.why_not(person)}
    return render(request, "account/end.html", context, status=UNPROCESSABLE if form.errors else 200)
