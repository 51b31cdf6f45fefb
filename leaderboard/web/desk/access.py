"""Who gets in at the desk: by role. For everybody else there is no such page."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponseBase

from leaderboard.people.roles import has_role
from leaderboard.states import Role
from leaderboard.web.context import person_of

View = Callable[..., HttpResponseBase]


def at_least(role: Role) -> Callable[[View], View]:
    """A view for people of this role, or of one that may do more. Strangers sign in first."""

    def decorated(view: View) -> View:
        @wraps(view)
        def wrapped(request: HttpRequest, **named: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            if not has_role(person_of(request), role):
                raise Http404
            return view(request, **named)

        return wrapped

    return decorated


for_viewers = at_least(Role.VIEWER)
for_organisers = at_least(Role.ORGANISER)
