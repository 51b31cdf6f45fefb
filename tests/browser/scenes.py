"""Pages that show themselves only after something happened: forms sent wrongly, second factors, faults, empty sites.

A scene brings that about on the bench's population and asks for the page; the caller undoes it.
"""

import errno
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from allauth.account.models import EmailAddress
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django.core.cache import cache
from django.db import OperationalError
from django.test import Client, override_settings
from django.urls import path

from leaderboard import urls
from leaderboard.board import versions
from leaderboard.core import clock
from leaderboard.demo import mails as demo_mails
from leaderboard.demo.mails import Mail, mail, mails
from leaderboard.models import (
    BoardVersion,
    Draft,
    Handover,
    ListedRun,
    Membership,
    Phase,
    RefusedAddress,
    Registration,
    ResumableUpload,
    Run,
    TeamAlias,
    TeamApproval,
    User,
)
from leaderboard.states import RunState
from leaderboard.web import public
from leaderboard.web.boards import board as boards
from tests.bench.population import PASSWORD

FAR = datetime(2100, 1, 1, tzinfo=UTC)
Scene = Callable[["Stage"], Any]  # gives the answer, as a test client does


class Stage:
    """What a scene may use: what stands in the population, and browsers."""

    def __init__(self, watched: Mapping[str, Any]) -> None:
        self.watched = watched
        cache.clear()  # what was counted in another scene

    def place(self, path: str) -> str:
        """A path with what it names."""
        return path.format_map(self.watched)

    def person(self, who: str = "captain") -> User:
        """Somebody of the population."""
        return User.objects.get(pk=self.watched[who])

    def client(self, who: str | None = "captain", *, confirmed: bool = False) -> Client:
        """A browser; `confirmed`: its user has just given the password again."""
        client = Client(raise_request_exception=False)
        if who:
            client.force_login(self.person(who))
        if confirmed:
            client.post("/account/reauthenticate/", {"password": PASSWORD})
        return client

    def phase(self, **changes: Any) -> Phase:
        """The public phase, with changes."""
        Phase.objects.filter(slug=self.watched["public_phase"]).update(**changes)
        return Phase.objects.get(slug=self.watched["public_phase"])


def _get(path: str, who: str | None = "captain", *, confirmed: bool = False) -> Scene:
    return lambda stage: stage.client(who, confirmed=confirmed).get(stage.place(path))


def _post(path: str, who: str | None = "captain", *, confirmed: bool = False, **form: str) -> Scene:
    return lambda stage: stage.client(who, confirmed=confirmed).post(stage.place(path), form)


def _failing(error: Exception) -> Scene:
    def scene(stage: Stage) -> Any:
        with patch.object(public, "timeline", side_effect=error):
            return stage.client(None).get("/")

    return scene


# --- second factors ---------------------------------------------------------------------------------------------------


def _with_app(stage: Stage) -> None:
    """The captain has an authenticator app, and recovery codes."""
    totp.TOTP.activate(stage.person(), totp.generate_totp_secret())
    RecoveryCodes.activate(stage.person())


def _of_app(path: str) -> Scene:
    def scene(stage: Stage) -> Any:
        client = stage.client(confirmed=True)
        _with_app(stage)
        return client.get(path)

    return scene


def _second_step(**form: str) -> Scene:
    """After the password; with a code, what comes of it."""

    def scene(stage: Stage) -> Any:
        _with_app(stage)
        client = stage.client(None)
        client.post("/account/login/", {"login": stage.person().email, "password": PASSWORD})
        path = "/account/2fa/authenticate/"
        return client.post(path, form) if form else client.get(path)

    return scene


def _code_again(stage: Stage) -> Any:
    client = stage.client()
    _with_app(stage)
    return client.get("/account/2fa/reauthenticate/")


def _without_password(stage: Stage) -> Any:
    client = stage.client(confirmed=True)
    User.objects.filter(pk=stage.watched["captain"]).update(password="!none")
    client.force_login(stage.person())
    return client.get("/account/password/set/")


# --- people and teams -------------------------------------------------------------------------------------------------


def _registration_later(path: str) -> Scene:
    def scene(stage: Stage) -> Any:
        Registration.objects.update_or_create(defaults={"opens_at": clock.now() + timedelta(days=3)})
        return stage.client(None).get(path)

    return scene


def _offered(stage: Stage, who: str) -> Any:
    captain = stage.person()
    team = Membership.objects.get(user=captain).team
    Handover.objects.create(team=team, offered_by=captain, to=stage.person("member"), offered_at=clock.now())
    return stage.client(who).get("/team/")


def _approved(state: str) -> Scene:
    def scene(stage: Stage) -> Any:
        phase = stage.phase(requires_approval=True)
        team = Membership.objects.get(user=stage.person()).team
        TeamApproval.objects.filter(team=team).delete()
        if state:
            told = {"asked_at": clock.now(), "decided_at": None if state == "waiting" else clock.now()}
            TeamApproval.objects.create(team=team, phase=phase, state=state, reason="So", **told)
        return stage.client().get("/team/")

    return scene


def _unconfirmed(path: str, who: str) -> Scene:
    def scene(stage: Stage) -> Any:
        EmailAddress.objects.filter(user=stage.person(who)).update(verified=False)
        return stage.client(who).get(stage.place(path))

    return scene


def _refused_address(stage: Stage) -> Any:
    RefusedAddress.objects.get_or_create(email=stage.person().email, defaults={"refused_at": clock.now()})
    return stage.client().get("/team/")


# --- submissions ------------------------------------------------------------------------------------------------------


def _no_phase(stage: Stage) -> Any:
    with patch.object(boards, "newest_phase", return_value=None):
        return stage.client(None).get("/leaderboard/")


def _revealed(path: str) -> Scene:
    """An address of the hidden phase, of which all is shown."""

    def scene(stage: Stage) -> Any:
        at = clock.now() - timedelta(minutes=2)
        hidden = Phase.objects.filter(slug=stage.watched["hidden_phase"])
        hidden.update(closes_at=at, revealed_at=at)
        versions.make(hidden.get().pk)
        return stage.client().get(stage.place(path))

    return scene


def _keeping(path: str, who: str | None = "captain", **settings: Any) -> Scene:
    """An address of the hidden phase, of which something is kept from others; its boards are made anew."""

    def scene(stage: Stage) -> Any:
        phase = Phase.objects.get(slug=stage.watched["hidden_phase"])
        for model in (BoardVersion, ListedRun):
            model._default_manager.filter(phase=phase).delete()
        Phase.objects.filter(pk=phase.pk).update(**settings)
        TeamAlias.objects.create(phase=phase, team=stage.person().membership.team, number=7)
        versions.make(phase.pk)
        return stage.client(who).get(stage.place(path))

    return scene


def _side_by_side(stage: Stage) -> Any:
    """Two rows of that phase: the run that waited is scored, as it was."""
    at, waiting = clock.now() - timedelta(hours=1), Run.objects.filter(submission=stage.watched["waiting_hidden"])
    waiting.update(state=RunState.SCORED, started_at=at, ended_at=at)
    return _revealed("/leaderboard/{hidden_phase}/main/compare/")(stage)


def _everything_asked(**form: str) -> Scene:
    def scene(stage: Stage) -> Any:
        stage.phase(commitment="required", pdf="required", takes="both")
        path = stage.place("/submit/{public_phase}/")
        return stage.client().post(path, form) if form else stage.client().get(path)

    return scene


def _image_kept(stage: Stage) -> Any:
    """A draft that takes the image of an earlier run, where a PDF is asked for."""
    stage.phase(commitment="optional", pdf="required")
    ResumableUpload.objects.filter(draft=stage.watched["draft"]).delete()
    Draft.objects.filter(pk=stage.watched["draft"]).update(source=stage.watched["scored_public"])
    return stage.client().get(stage.place("/drafts/{draft}/"))


# --- what other settings show -----------------------------------------------------------------------------------------


def _with_orcid(path: str) -> Scene:
    def scene(stage: Stage) -> Any:
        with override_settings(ORCID_CLIENT_ID="rexg", ORCID_CLIENT_SECRET="-"):
            return stage.client(None).get(path)

    return scene


def _mails(stage: Stage) -> Any:
    """What ./dev shows instead of sending it."""
    shown = [
        Mail(clock.now(), "zoe@example.org", "Hello", "Come\nand see", ""),
        Mail(clock.now(), "y@example.org", "2", ""),
    ]
    with_page = (*urls.urlpatterns, path("demo/mails/", mails), path("demo/mails/<str:name>/", mail, name="demo_mail"))
    with override_settings(ROOT_URLCONF=with_page), patch.object(demo_mails, "latest_mails", return_value=shown):
        return stage.client(None).get("/demo/mails/")


def _changes_of_a_phase(stage: Stage) -> Any:
    """Prepared, with one that is refused in a field of its own, and previewed."""
    client, path = stage.client("organiser"), stage.place("/organisers/phases/{hidden_phase}/")
    client.post(path, {"case_seconds": "90 s", "counting": "best", "runs_per_day": "3"})
    return client.get(f"{path}?preview=1&edit=closes_at&edit=description&edit=memory_bytes")


SCENES: dict[str, Scene] = {
    # forms, sent wrongly
    "signing in, wrongly": _post("/account/login/", None, login="nora@example.org", password="wrong"),
    "signing in, empty": _post("/account/login/", None),
    "registering, wrongly": _post("/account/signup/", None, name="", email="no address", password1="short"),
    "a new password by email, wrongly": _post("/account/password/reset/", None, email="no address"),
    "a new password, wrongly": _post("/account/password/change/", confirmed=True, oldpassword="x", password1="y"),
    "another address, wrongly": _post("/account/email/", confirmed=True, action_add="", email="no address"),
    "it is you, wrongly": _post("/account/reauthenticate/", password="wrong"),
    "a profile, wrongly": _post("/account/", name="", orcid="0000-0000-0000-0000"),
    "a token, wrongly": _post("/account/tokens/", confirmed=True, name="", days="0"),
    "a team, wrongly": _post("/team/", "newcomer", action="create", name=""),
    "a code to join, wrongly": _post("/team/", "newcomer", action="join", code="none"),
    "a team's words, wrongly": _post("/team/edit/", name=""),
    "an invitation, wrongly": _post("/team/invitations/", email="no address"),
    "an invitation to nothing": _get("/team/invitation/none/", "newcomer"),
    "rules that were not accepted": _post("/rules/", "newcomer"),
    "terms that were not accepted": _post("/data/public-cases/accept/", "newcomer"),
    "pre-registration, wrongly": _post("/pre-registration/", None, email="no address"),
    "a submission, wrongly": _post("/submit/{public_phase}/", track="x"),
    "a note that is too long": _post("/runs/{scored_public}/note/", note="x" * 6000),
    # second factors
    "adding an app": _get("/account/2fa/totp/activate/", confirmed=True),
    "adding an app, wrongly": _post("/account/2fa/totp/activate/", confirmed=True, code="000000"),
    "removing an app": _of_app("/account/2fa/totp/deactivate/"),
    "second factors": _of_app("/account/2fa/"),
    "recovery codes": _of_app("/account/2fa/recovery-codes/"),
    "new recovery codes": _of_app("/account/2fa/recovery-codes/generate/"),
    "adding a key": _get("/account/2fa/webauthn/add/", confirmed=True),
    "a code after the password": _second_step(),
    "a code after the password, wrongly": _second_step(code="000000"),
    "a code again": _code_again,
    "a password for who has none": _without_password,
    # people and teams
    "deleting an account": _get("/account/delete/", confirmed=True),
    "deleting an account, wrongly": _post("/account/delete/", "newcomer", confirmed=True),
    "registering before registration opens": _registration_later("/account/signup/"),
    "pre-registration": _registration_later("/pre-registration/"),
    "a team handed over": lambda stage: _offered(stage, "captain"),
    "a team offered": lambda stage: _offered(stage, "member"),
    "approval to be asked for": _approved(""),
    "approval that waits": _approved("waiting"),
    "approval refused": _approved("refused"),
    "approved": _approved("approved"),
    "a team of whom did not confirm": _unconfirmed("/team/", "captain"),
    "no team of whom did not confirm": _unconfirmed("/team/", "newcomer"),
    "joining before confirming": _unconfirmed("/team/join/{join_code}/", "newcomer"),
    "an address that is refused": _refused_address,
    # submissions
    "no phase": _no_phase,
    "a board after the reveal": _revealed("/leaderboard/{hidden_phase}/"),
    "entries side by side after the reveal": _side_by_side,
    "what a reveal changed": _revealed("/leaderboard/{hidden_phase}/main/shake-up/"),
    "a draft of a phase": _keeping("/leaderboard/{hidden_phase}/", "organiser", is_draft=True),
    "what an act would change": _post(
        "/organisers/acts/disqualify-run/?on={scored_public}&on={scored_hidden}",
        "organiser",
        preview="1",
        why="Copied.",
    ),
    "an act without a reason": _post("/organisers/acts/archive-phase/?on={hidden_phase}", "organiser", preview="1"),
    "a token that is shown once": _post(
        "/organisers/acts/add-host/?on=new", "organiser", confirmed=True, do="1", name="gpu-new"
    ),
    "a message, wrongly": _post("/organisers/messages/new/", "organiser", on_site="on", team="nobody"),
    "changes of a phase": _changes_of_a_phase,
    "changes of a phase, wrongly": _post("/organisers/phases/{hidden_phase}/", "organiser", memory_bytes="much"),
    "a board under embargo": _keeping("/leaderboard/{hidden_phase}/", embargo_until=FAR),
    "a run under embargo": _keeping("/runs/{scored_hidden}/", embargo_until=FAR),
    "a board without names": _keeping("/leaderboard/{hidden_phase}/?open=team-7", anonymous_until_reveal=True),
    "a phase that asks for everything": _everything_asked(),
    "a phase that asks for everything, wrongly": _everything_asked(entry="masks", kind="run"),
    "a draft with an image that was kept": _image_kept,
    # other settings
    "signing in, also with ORCID": _with_orcid("/account/login/"),
    "going on to ORCID": _with_orcid("/account/oidc/orcid/login/"),
    "the messages of the demonstration": _mails,
    # faults
    "not found": _get("/nothing/", None),
    "a request that cannot be read": lambda stage: stage.client(None).get("/", headers={"host": "evil.example"}),
    "a form that was out of date": lambda _: Client(enforce_csrf_checks=True).post(
        "/account/login/", {"login": "alice"}
    ),
    "too slow": _get("/refused/408/", None),
    "too large": _get("/refused/413/", None),
    "too much": _get("/refused/503/", None),
    "our fault": _failing(ZeroDivisionError()),
    "no database": _failing(OperationalError()),
    "no space": _failing(OSError(errno.ENOSPC, "full")),
}
