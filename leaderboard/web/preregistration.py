"""Pre-registration by email: the form, the link that confirms, the link and the header that take an address off."""

from http import HTTPStatus
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from leaderboard.people import preregistration, throttle
from leaderboard.people.throttle import TooSoon
from leaderboard.web.accounts.clients import address_of
from leaderboard.web.accounts.forms import ASKED_FROM_ONE_ADDRESS, SENTENCE
from leaderboard.web.context import frame_of
from leaderboard.web.forms import AddressForm

UNPROCESSABLE = 422


@require_http_methods(["GET", "HEAD", "POST"])
def pre_registration(request: HttpRequest) -> HttpResponse:
    """The form; where registration is open, the way there."""
    if frame_of(request).registration_opens_at is None:
        return render(request, "pre_registration/open.html")
    if request.method != "POST":
        return render(request, "pre_registration/form.html", _form(AddressForm()))
    form = AddressForm(request.POST)
    if not form.is_valid():
        return render(request, "pre_registration/form.html", _form(form), status=UNPROCESSABLE)
    try:
        key = throttle.key_of(preregistration.KIND, address_of(request))
        throttle.count({key: ASKED_FROM_ONE_ADDRESS}, sentence=SENTENCE)
    except TooSoon as refusal:
        form.add_error(None, str(refusal))
        response = render(request, "pre_registration/form.html", _form(form), status=HTTPStatus.TOO_MANY_REQUESTS)
        response["Retry-After"] = str(refusal.seconds)
        return response
    preregistration.ask(form.cleaned_data["email"])
    return redirect("pre_registration_sent")


def _form(form: AddressForm) -> dict[str, object]:
    return {
        "form": form,
        "unconfirmed_days": preregistration.UNCONFIRMED_KEPT.days,
        "told_days": preregistration.KEPT_AFTER_TOLD.days,
    }


@require_safe
def sent(request: HttpRequest) -> HttpResponse:
    """What happens next: the same for every address."""
    return render(request, "pre_registration/sent.html")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest, key: UUID) -> HttpResponse:
    """The link of the message; the button there confirms the address."""
    if request.method == "POST" and preregistration.confirm(key):
        return redirect("pre_registration_confirm", key)
    found = preregistration.find(key)
    return render(request, "pre_registration/confirm.html", {"found": found}, status=200 if found else 404)


@csrf_exempt  # RFC 8058: a mail program posts without cookies; the key is all that it knows, and enough
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, key: UUID) -> HttpResponse:
    """Take the address off: at once by a mail program's request, by a button for people who open the link."""
    if request.method == "POST":
        preregistration.unsubscribe(key)
        return render(request, "pre_registration/gone.html")
    return render(request, "pre_registration/unsubscribe.html", {"key": key})
