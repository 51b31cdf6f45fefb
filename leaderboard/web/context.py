"""What every page shows around its content: the phase line, the way around, whose team this is, the theme."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import cast

from django.conf import settings
from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme

import evaluation
from leaderboard.challenge import maintenance, site_lines
from leaderboard.challenge.maintenance import Pause
from leaderboard.challenge.phases import Stretch, phases_to_come, stretches
from leaderboard.core import clock, outbox
from leaderboard.models import Phase, Team, User
from leaderboard.models.challenge import PhaseQuerySet
from leaderboard.people import registration
from leaderboard.people.roles import has_role
from leaderboard.states import Role, SubmissionKind
from leaderboard.submissions.quota import Quota, quotas_of

THEMES = ("auto", "light", "dark")
THEME_COOKIE = "theme"


@dataclass(frozen=True)
class Place:
    """An entry of the site's navigation; `here` marks the page that is shown."""

    url: str
    words: str
    here: bool


_PLACES = (
    ("home", "Challenge", {"home", "news", "news_item", "faq"}),
    ("leaderboard", "Leaderboard", {"leaderboard"}),
    ("guidelines", "Guidelines", {"guidelines", "rules", "data", "case_set", "api_reference"}),
    ("submit", "Submit", {"submit", "submit_to"}),
    ("runs", "My runs", {"runs", "compare", "submission", "findings", "cases", "logs", "mask"}),
)

# The pages of one's account, each of which leads to the others; what lies below one of them is found by its prefix.
_ACCOUNT = (
    ("account", "Profile", ("account", "account_end", "socialaccount_connections")),
    ("account_email", "Email addresses", ("account_email",)),
    ("account_change_password", "Password", ("account_change_password", "account_set_password")),
    ("mfa_index", "Second factor, passkeys", ("mfa_",)),
    ("usersessions_list", "Sessions", ("usersessions_list",)),
    ("notices", "Notices", ("notices",)),
    ("tokens", "API tokens", ("tokens",)),
)


def person_of(request: HttpRequest) -> User:
    """Who is signed in, on pages that nobody else reaches."""
    return cast(User, request.user)


class Frame:
    """Computed when a view or a template asks, each thing once a request: pages without a frame cost no query."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    @cached_property
    def now(self) -> datetime:
        """One frozen instant, by the database's clock, for everything on the page."""
        return clock.now()

    @property
    def phases(self) -> PhaseQuerySet:
        """The phases of which the visitor may know: no draft, but for organisers."""
        return Phase.objects.known_to(self._request.user)

    @cached_property
    def _phases_to_come(self) -> list[Phase]:
        # In no order, as `stretches` sorts them: Django takes long to order by something among so many columns.
        return list(phases_to_come(self.now).annotate(told_pause=maintenance.told(self.now)).order_by())

    @cached_property
    def stretches(self) -> list[Stretch]:
        """Which phases take runs, now and from each instant on at which that changes."""
        return stretches(self._phases_to_come, self.now)

    @cached_property
    def pause(self) -> Pause | None:
        """The pause for maintenance that lasts, or the next; asked together with the phases, as both stand anywhere."""
        if self._phases_to_come:
            return maintenance.read_told(self._phases_to_come[0].told_pause)  # type: ignore[attr-defined]
        return maintenance.next_pause(self.now)

    @property
    def taking_phases(self) -> list[Phase]:
        """The phases that take runs: the open ones, then those that take post-challenge runs."""
        return [*self.open_phases, *self.stretches[0].after]

    @property
    def open_phases(self) -> Sequence[Phase]:
        """The open phases; the one that closes first stands first."""
        return self.stretches[0].open

    @property
    def next_phase(self) -> Phase | None:
        """The phase that opens next."""
        return self.stretches[0].next

    @cached_property
    def team(self) -> Team | None:
        """The visitor's team."""
        user = self._request.user
        return user.team if user.is_authenticated else None

    @cached_property
    def quotas(self) -> list[tuple[Phase, Quota]]:
        """What the visitor's team has left of its runs in the open phases, and in those for post-challenge runs."""
        if self.team is None:
            return []
        after = self.stretches[0].after
        left = quotas_of(self.team, self.open_phases, self.now)
        return left + (quotas_of(self.team, after, self.now, SubmissionKind.POST_CHALLENGE) if after else [])

    @cached_property
    def places(self) -> list[Place]:
        """The navigation. Strangers are not offered pages that ask them to sign in."""
        match = self._request.resolver_match
        name = (match.url_name if match else None) or ""
        places = _PLACES if self._request.user.is_authenticated else _PLACES[:4]
        of_board = "leaderboard" if name.startswith("board") else name
        return [Place(url, words, of_board in names) for url, words, names in places]

    @property
    def account_places(self) -> list[Place]:
        """The pages of the visitor's account."""
        match = self._request.resolver_match
        name = (match.url_name if match else None) or ""
        return [Place(url, words, _is_of(name, pages)) for url, words, pages in _ACCOUNT]

    @cached_property
    def registration_opens_at(self) -> datetime | None:
        """The instant at which people can begin to register, if that is still to come."""
        return registration.opens_later(self.now)

    @cached_property
    def mail_late_since(self) -> datetime | None:
        """Since when messages wait, where that is longer than it should be: said where somebody waits for one."""
        return outbox.late_since(self.now)

    @cached_property
    def lines(self) -> Sequence[site_lines.Line]:
        """What stands on every page."""
        return site_lines.standing(self.now)

    @property
    def may_organise(self) -> bool:
        """Whether the visitor may act as an organiser: not whoever only views."""
        user = self._request.user
        return user.is_authenticated and has_role(user, Role.ORGANISER)

    @property
    def theme(self) -> str:
        """The theme that the visitor chose."""
        chosen = self._request.COOKIES.get(THEME_COOKIE, "auto")
        return chosen if chosen in THEMES else "auto"

    themes = THEMES
    shows_mails = bool(settings.SHOWN_MAILS_DIR)
    contact = settings.CONTACT_EMAIL
    code_url = settings.CODE_URL
    data_url = settings.DATA_URL
    evaluation_version = evaluation.VERSION


def _is_of(name: str, pages: Sequence[str]) -> bool:
    return any(name == page or (page.endswith("_") and name.startswith(page)) for page in pages)


def frame_of(request: HttpRequest) -> Frame:
    """The one frame of a request. What it says holds from when it was first asked: ask anew after changing it."""
    known: Frame | None = getattr(request, "_frame", None)
    if known is None:
        known = Frame(request)
        request._frame = known  # type: ignore[attr-defined]
    return known


def instant_of(request: HttpRequest) -> datetime:
    """The instant at which a request is answered: the database's clock, read once a request.

    A request that receives an upload lasts for hours: what is decided after it reads the clock itself.
    """
    return frame_of(request).now


def came_from(request: HttpRequest, otherwise: str) -> str:
    """The address of this site to which a form says that it leads back, or another one."""
    target = request.POST.get("next", "")
    return target if url_has_allowed_host_and_scheme(target, allowed_hosts=None) else otherwise


def site(request: HttpRequest) -> dict[str, Frame]:
    """Context processor: `frame` in every template; `site` is taken, allauth means the host by it."""
    return {"frame": frame_of(request)}
