"""The page of one's personal tokens for the API: made here, shown once, revoked.

Whoever finds somebody's browser open makes none: the password, or a second factor, is asked for once more.
"""

from http import HTTPStatus

from allauth.account.decorators import reauthentication_required
from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from leaderboard.core.refusal import Refused
from leaderboard.models import ApiToken
from leaderboard.people import tokens
from leaderboard.web.context import instant_of, person_of

NEVER = ""
LIVES = (("30", "In 30 days"), ("90", "In 90 days"), ("365", "In a year"), (NEVER, "Never"))


class TokenForm(forms.Form):
    """What a new token is called, what it may do, and for how long."""

    name = forms.CharField(
        max_length=60,
        label="Name",
        help_text="What will use it, as “training server”.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    scopes = forms.MultipleChoiceField(
        choices=ApiToken.Scope.choices,
        initial=[ApiToken.Scope.READ],
        label="What it may do",
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose what the token may do."},
    )
    days = forms.ChoiceField(choices=LIVES, initial="90", required=False, label="Expires")


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@reauthentication_required(enabled=lambda request: request.method == "POST")  # type: ignore[untyped-decorator]  # allauth
def tokens_page(request: HttpRequest) -> HttpResponse:
    """The person's tokens, and the form to make one; what was made is shown once, in the answer."""
    person, form, made = person_of(request), TokenForm(request.POST or None), ""
    if form.is_valid():
        said = form.cleaned_data
        try:
            days = int(said["days"]) if said["days"] else None
            _, made = tokens.issue(person, name=said["name"], scopes=said["scopes"], days=days)
            form = TokenForm()
        except Refused as refusal:
            form.add_error(None, str(refusal))
    now, labels = instant_of(request), dict(ApiToken.Scope.choices)
    context = {
        "form": form,
        "made": made,
        "tokens": [
            (one, [labels[scope] for scope in one.scopes if scope in labels], tokens.is_over(one, now))
            for one in person.api_tokens.all()
        ],
        "most": tokens.MOST_OF_ONE,
    }
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.is_bound and form.errors else HTTPStatus.OK
    return render(request, "account/tokens.html", context, status=status)


@login_required
@require_POST
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """End a token."""
    try:
        token = tokens.revoke(person_of(request), pk)
        messages.success(request, f"The token “{token.name}” is revoked: it works no more.")
    except Refused as refusal:
        messages.error(request, str(refusal))
    return redirect("tokens")
