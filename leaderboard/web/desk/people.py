"""People at the desk: found, and what is done with their data when they ask for it."""

from allauth.account.models import EmailAddress
from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from leaderboard.core import refusals
from leaderboard.core.text import storable
from leaderboard.desk.acts import people as acts
from leaderboard.models import AuditEntry, User
from leaderboard.people import personal_data
from leaderboard.web.context import person_of
from leaderboard.web.desk.access import for_viewers
from leaderboard.web.desk.acts import offers_of
from leaderboard.web.desk.tabs import tabs

PER_PAGE = 50
MOST_WORDS = 200
STORY = 50


@never_cache
@require_safe
@for_viewers
def people(request: HttpRequest) -> HttpResponse:
    """Everybody with an account, by words; who came last stands first."""
    words = storable(request.GET.get("words", ""))[:MOST_WORDS].strip()
    page = Paginator(_found(words), PER_PAGE).get_page(request.GET.get("page"))
    parameters = request.GET.copy()
    parameters.pop("page", None)
    context = {
        "tabs": tabs("desk_people"),
        "page": page,
        "words": words,
        "link_before_page": f"?{parameters.urlencode()}&page=" if parameters else "?page=",
    }
    return render(request, "desk/people.html", context)


def _found(words: str) -> QuerySet[User]:
    rows = User.objects.select_related("membership__team")
    if words:
        added = EmailAddress.objects.filter(user=OuterRef("pk"), email__icontains=words)
        own = Q(name__icontains=words) | Q(affiliation__icontains=words) | Q(email__icontains=words)
        rows = rows.filter(own | Q(membership__team__name__icontains=words) | Exists(added))
    confirmed = EmailAddress.objects.filter(user=OuterRef("pk"), verified=True)
    return rows.annotate(is_confirmed=Exists(confirmed)).order_by("-date_joined", "-pk")


@never_cache
@require_safe
@for_viewers
def person(request: HttpRequest, pk: int) -> HttpResponse:
    """One person, with what goes and what stays if the account is deleted."""
    found = get_object_or_404(User.objects.select_related("membership__team"), pk=pk)
    story = AuditEntry.objects.filter(Q(target_type="user", target_id=str(pk)) | Q(user_id=pk)).defer("seals")
    context = {
        "tabs": tabs("desk_people"),
        "person": found,
        "role": found.current_role,
        "addresses": EmailAddress.objects.filter(user=found).order_by("-primary", "pk"),
        "refused": refusals.refused_among([found.email]),
        "offers": offers_of(acts.ACTS, found, person_of(request)),
        "ends": sorted(set(personal_data.ENDS.values())),
        "stays": sorted(set(personal_data.STAYS.values())),
        "story": story.defer("before", "after")[:STORY],
    }
    return render(request, "desk/person.html", context)
