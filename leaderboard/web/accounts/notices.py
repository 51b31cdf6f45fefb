"""What a person is told by mail: the page to choose it, and what links of messages lead to.

Those links work without signing in. A look at one changes nothing, for mail programs look at links by themselves; one
POST does, be it a mail program's own button (RFC 8058) or that of the page.
"""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from leaderboard.core import refusals
from leaderboard.models import NoticeKind
from leaderboard.notices import choices, links
from leaderboard.people.addresses import is_confirmed, main_address
from leaderboard.web.context import person_of


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def notices(request: HttpRequest) -> HttpResponse:
    """Which kinds of notices one gets."""
    person = person_of(request)
    if request.method == "POST":
        choices.choose(person, request.POST.getlist("kind"))
        messages.success(request, "Your choice is kept.")
        return redirect("notices")
    wanted, address = choices.wanted_by(person), main_address(person)
    context = {
        "kinds": [(kind, choices.MEANS[kind], kind in wanted) for kind in NoticeKind],
        "address": address.email,
        "is_confirmed": is_confirmed(person),
        "is_refused": bool(refusals.refused_among([address.email])),
    }
    return render(request, "account/notices.html", context)


@csrf_exempt  # what is signed in the address is all that it takes; a mail program has no cookie of ours
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def stop(request: HttpRequest, token: str) -> HttpResponse:
    """Stop notices of one kind; or, by the button that is shown then, have them again."""
    found = links.read_stop(token)
    if found is None:
        return render(request, "account/notices_stop.html", {"kind": None}, status=404)
    user, kind = found
    if request.method == "POST":
        if "again" in request.POST:
            choices.resume(user, kind)
        else:
            choices.stop(user, kind)
    context = {"kind": kind, "means": choices.MEANS[kind], "gets_them": kind in choices.wanted_by(user)}
    return render(request, "account/notices_stop.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def address_works(request: HttpRequest, token: str) -> HttpResponse:
    """Whoever opens the message that was sent to a refused address confirms that messages arrive there."""
    address = links.read_works(token)
    if address is None:
        return render(request, "account/address_works.html", {"email": ""}, status=404)
    if request.method == "POST":
        refusals.forgive(address.email)
        messages.success(request, f"Messages to {address.email} arrive. Notices go there again.")
        return redirect("notices" if request.user.is_authenticated else "home")
    return render(request, "account/address_works.html", {"email": address.email})
