"""The rules: read and accept them."""

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods

from leaderboard.models import RulesAcceptance
from leaderboard.people.rules import accept_rules
from leaderboard.web.context import person_of

UNPROCESSABLE = 422


@require_http_methods(["GET", "HEAD", "POST"])
def rules(request: HttpRequest) -> HttpResponse:
    """The rules that are in force, and the form to accept them."""
    target = request.POST.get("next") or request.GET.get("next") or ""
    if not url_has_allowed_host_and_scheme(target, allowed_hosts=None):
        target = reverse("rules")
    if request.method == "POST" and request.user.is_authenticated:
        if request.POST.get("accept"):
            accept_rules(person_of(request))
            messages.success(request, f"You accepted the rules, version {settings.RULES_VERSION}.")
            return HttpResponseRedirect(target)  # not `redirect`, which takes a word for the name of a page
        missed = True
    else:
        missed = False
    acceptance = (
        RulesAcceptance.objects.filter(user=person_of(request), version=settings.RULES_VERSION).first()
        if request.user.is_authenticated
        else None
    )
    context = {"version": settings.RULES_VERSION, "acceptance": acceptance, "next": target, "missed": missed}
    return render(request, "people/rules.html", context, status=UNPROCESSABLE if missed else 200)
