"""Signing in with ORCID: allauth's OpenID Connect, where the settings name a client.

An account is made here, with an address that is confirmed; ORCID is connected to it afterwards and signs in from then
on. ORCID names no address of most people, and what it names would be no proof that a message reaches somebody.
"""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount import signals
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialLogin
from allauth.socialaccount.providers.base import AuthProcess
from allauth.socialaccount.providers.openid_connect import views as openid_views
from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from requests import RequestException

from leaderboard.core import audit
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.people.profile import ORCID, orcid_of

logger = logging.getLogger(__name__)
View = Callable[[HttpRequest, str], HttpResponseBase]

UNKNOWN = (
    "No account here is connected with this ORCID iD. Register, or sign in with your password; then connect it on the "
    "page of your account."
)
AWAY = "ORCID does not answer at present. Try again later, or sign in another way."
DIFFERENT = "An account has one ORCID iD. Disconnect the present one first."


class Adapter(DefaultSocialAccountAdapter):
    """Named in the settings."""

    def list_apps(self, request: HttpRequest, provider: Any = None, client_id: Any = None) -> list[SocialApp]:
        """ORCID, if the settings name a client; the database names none, and is not asked."""
        if not settings.ORCID_CLIENT_ID or provider not in (None, ORCID, "openid_connect"):
            return []
        app = SocialApp(provider="openid_connect", provider_id=ORCID, name="ORCID", client_id=settings.ORCID_CLIENT_ID)
        app.secret = settings.ORCID_CLIENT_SECRET
        app.settings = {"server_url": settings.ORCID_URL, "scope": ["openid"], "oauth_pkce_enabled": True}
        return [] if client_id not in (None, app.client_id) else [app]

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Whoever is not known by this ORCID iD makes an account first; an account has one."""
        connects = sociallogin.state.get("process") == AuthProcess.CONNECT
        try:
            orcid_of(sociallogin.account.uid)
        except Refused as refusal:
            self._back(request, str(refusal), "account" if connects else "account_login")
        if connects and _has_another(request, sociallogin):
            self._back(request, DIFFERENT, "account")
        if not connects and not sociallogin.is_existing:
            self._back(request, UNKNOWN, "account_login")

    def get_connect_redirect_url(self, request: HttpRequest, socialaccount: SocialAccount) -> str:
        """Back to the account's page."""
        return redirect("account").url

    def _back(self, request: HttpRequest, words: str, page: str) -> None:
        messages.error(request, words)
        raise ImmediateHttpResponse(redirect(page))


def _has_another(request: HttpRequest, sociallogin: SocialLogin) -> bool:
    others = SocialAccount.objects.filter(user_id=request.user.pk, provider=ORCID)
    return bool(others.exclude(uid=sociallogin.account.uid).exists())


def _unless_away(view: View) -> View:
    """A step of signing in for which ORCID is asked; where that does not answer, back to where one came from."""

    @wraps(view)
    def wrapped(request: HttpRequest, provider_id: str) -> HttpResponseBase:
        try:
            return view(request, provider_id)
        except (RequestException, KeyError) as error:  # it does not answer, or not as OpenID Connect says
            logger.warning("ORCID is away: %r", error)
            messages.error(request, AWAY)
            return redirect("account" if request.user.is_authenticated else "account_login")

    return wrapped


login = _unless_away(openid_views.login)
callback = _unless_away(openid_views.callback)


@receiver(signals.social_account_added)
@transaction.atomic
def _record_added(sociallogin: SocialLogin, **_details: Any) -> None:
    """The profile names the ORCID iD that is proven now."""
    user = sociallogin.user
    user.orcid = sociallogin.account.uid
    user.save(update_fields=["orcid"])
    audit.record(Actor.person(user), "connect ORCID", user)


@receiver(signals.social_account_removed)
@transaction.atomic
def _record_removed(socialaccount: SocialAccount, **_details: Any) -> None:
    audit.record(Actor.person(socialaccount.user), "disconnect ORCID", socialaccount.user)
