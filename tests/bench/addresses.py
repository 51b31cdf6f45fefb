"""Every address of the site: who asks it, and what an answer may cost in questions to the database.

`ADDRESSES` is what a test holds the site to and what `./dev bench pages` measures. A path may name what stands in the
population (`watched`): `/runs/{scored_public}/`.
"""

import hashlib
import io
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from allauth.account.models import EmailAddress
from django.contrib import admin
from django.contrib.auth.hashers import make_password
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.urls import URLPattern, URLResolver

from leaderboard.admin.bases import ReadOnly
from leaderboard.admin.site import RegistrationAdmin
from leaderboard.core import blobs, clock
from leaderboard.journey.failure_kinds import DIFFERENT
from leaderboard.models import (
    Announcement,
    ApiToken,
    Attempt,
    Batch,
    Case,
    CasePicture,
    CaseSetImport,
    DataTerms,
    Draft,
    Equality,
    Host,
    Invitation,
    LikelyDouble,
    NewsItem,
    Objection,
    Phase,
    PreRegistration,
    Question,
    ResumableUpload,
    Run,
    RunCase,
    RunDecision,
    RunScores,
    Standing,
    StateChange,
    Submission,
    Team,
    TeamApproval,
    User,
)
from leaderboard.models.runs import new_token
from leaderboard.notices import links
from leaderboard.people import tokens
from leaderboard.people.addresses import confirm
from leaderboard.states import BatchState, RunState
from leaderboard.submissions import uploads
from tests.bench.population import ORGANISER, PASSWORD

Watched = Mapping[str, Any]
Row = TypeVar("Row", bound=Model)
# What holds most of the bytes of a row. A page that does not show them does not read them.
HEAVY = frozenset(
    {"summary", "groups", "result", "log", "method", "external_data", "container", "config", "before", "after", "seals"}
)
SHOWN = frozenset({"summary", "groups", "method", "external_data"})
# The personal tokens of the captain, the runner and the newcomer.
TOKEN, RUNNERS, NEWCOMERS = (tokens.compose(letter * 30) for letter in "crn")
NO_ROWS = "of few findings no group is shown, so there are no rows to read"
TWO_ROWS = "of a board with fewer than two rows there is nothing to compare"
BELOW_THE_FIRST = "one's own row is read apart if it is none of the first ten"
LONG = timedelta(days=1)  # so that it does not matter how long a measurement takes


@dataclass(frozen=True)
class Address:
    """An address as somebody asks it.

    `queries` is how many questions its answer may take, `reads` are the HEAVY columns that it shows, `state` the one in
    which the submission that its path names is at that moment. `grows` says why it may ask more the more there is.
    """

    path: str
    queries: int
    who: str = "public"
    status: int = 200
    reads: frozenset[str] = frozenset()
    method: str = "GET"
    body: Callable[[Watched], object] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    state: str = ""
    grows: str = ""

    @property
    def name(self) -> str:
        """As a report names it."""
        state = f" ({self.state})" if self.state else ""
        return f"{self.method} {self.path}{state} as {self.who}"

    def request(self, watched: Watched) -> dict[str, Any]:
        """What django.test.Client.generic takes, as JSON can hold it."""
        body = self.body(watched) if self.body else ""
        form = isinstance(body, str)
        return {
            "who": watched.get(self.who),
            "method": self.method,
            "path": self.path.format_map(watched),
            "data": body if form else json.dumps(body),
            "content_type": "application/x-www-form-urlencoded" if form else "application/json",
            "headers": dict(self.headers),
        }


# --- what the addresses name ------------------------------------------------------------------------------------------


def watched() -> dict[str, Any]:
    """Make of a population what the addresses name: runs of three teams in known states, and a host at work.

    The first team has scored runs (with every re-run), the second one runs under way, the third a waiting batch and a
    queued run; each in the first phase, whose cases are public, and in the second, whose cases are hidden.
    Doing it again changes nothing.
    """
    teams = list(Team.objects.order_by("slug")[:3])
    public, hidden = phases()
    names = {"scored": teams[0], "running": teams[1], "waiting": teams[2]}
    found: dict[str, Any] = {
        f"{name}_{kind}": Submission.objects.filter(team=team, phase=phase).earliest("accepted_at").pk
        for name, team in names.items()
        for kind, phase in (("public", public), ("hidden", hidden))
    }
    for name in ("running_public", "waiting_public"):
        _interrupt(found[name], together=True)
    _interrupt(found["running_hidden"], together=False)
    Run.objects.filter(submission=found["waiting_hidden"]).update(state=RunState.QUEUED, started_at=None, ended_at=None)
    found |= _people(teams)
    found |= _host_at_work(found["running_public"], found["waiting_public"])
    found |= {"public_phase": public.slug, "hidden_phase": hidden.slug, "open_row": teams[0].slug}
    found |= {"open_reference": f"reference.{public.reference_rows.earliest('pk').pk}"}
    found |= _draft(teams[0], public)
    found |= _objection(found["scored_public"])
    found |= {"host": Host.objects.earliest("pk").name}
    found |= {"pictured": _picture(public.case_set.cases.earliest("pk"))}
    found |= {"equality": Equality.objects.earliest("pk").pk}
    found |= _for_people_desk(teams)
    found |= {f"other_{kind}": like(found[f"scored_{kind}"]) for kind in ("public", "hidden")}
    found |= {"news": NewsItem.objects.earliest("pk").slug, "question": Question.objects.earliest("pk").slug}
    found |= {
        "pre_registration": PreRegistration.objects.earliest("pk").link_key,
        "no_pre_registration": uuid.UUID(int=3),
    }
    found |= {"some_case": public.case_set.cases.earliest("pk").name}
    found |= {"data_case": "case_000.nii.gz"}
    found |= {"join_code": teams[1].join_code, "content_type": ContentType.objects.get_for_model(Phase).pk}
    found |= {
        "stop": links.stop_url(EmailAddress.objects.earliest("pk").user_id, "runs").rstrip("/").rpartition("/")[2]
    }
    found |= _invitation(teams[0])
    found |= {f"pk_{_label(model)}": _some(model) for model in admin.site._registry}
    return found


def _objection(submission: int) -> dict[str, Any]:
    """A decision of organisers about a run, and one to which its team objected."""
    told = {"at": clock.now(), "told_at": clock.now()}
    kinds = (RunDecision.Kind.CANCELLED, RunDecision.Kind.DISQUALIFIED)
    rows = [RunDecision.objects.get_or_create(submission_id=submission, kind=kind, defaults=told)[0] for kind in kinds]
    said = {"text": "It is ours.", "at": clock.now()}
    objection, _ = Objection.objects.get_or_create(decision=rows[1], answered_at=None, defaults=said)
    return {"decision": rows[0].pk, "objection": objection.pk}


def _picture(case: Case) -> int:
    """A case with a picture, and what its set's import found."""
    told = {"picture": blobs.pictures.put(io.BytesIO(b"a picture")).digest, "width": 964, "height": 320}
    CasePicture.objects.get_or_create(case=case, defaults=told)
    found = {"group": "identity-affine", "case": case.name, "text": "its CT has an identity affine"}
    told = {"case_set": case.case_set, "outcome": "imported", "warnings": [found], "accepted": ["identity-affine"]}
    begun = {"name": case.case_set.name, "by": "command line (ops)", "dataset": "dataset.json", "split": "val"}
    CaseSetImport.objects.get_or_create(**begun, defaults={**told, "started_at": clock.now(), "ended_at": clock.now()})
    return case.pk


def _for_people_desk(teams: list[Team]) -> dict[str, Any]:
    """Two teams that may be one, a draft of an announcement, and what a person at the desk is asked about."""
    first, second = sorted(teams[:2], key=lambda team: team.pk)
    told = {"weight": 5, "found_at": clock.now()}
    double, _ = LikelyDouble.objects.get_or_create(first=first, second=second, defaults=told)
    draft, _ = Announcement.objects.get_or_create(subject="A draft", defaults={"body": "Words."})
    return {"double": double.pk, "announcement_draft": draft.pk, "desk_team": first.slug}


def _invitation(team: Team) -> dict[str, Any]:
    """An open invitation of the first team, whose link is known here."""
    token, at = "a-token-that-nobody-guesses", clock.now()
    said = {"email": "yara@example.org", "created_at": at, "sent_at": at, "expires_at": at + timedelta(days=14)}
    invitation, _ = Invitation.objects.get_or_create(
        token_hash=hashlib.sha256(token.encode()).hexdigest(), defaults={"team": team, **said}
    )
    return {"invitation": invitation.pk, "invitation_token": token}


def _draft(team: Team, phase: Phase) -> dict[str, Any]:
    """What the first team is about to hand in, with an upload that is under way."""
    draft, _ = Draft.objects.get_or_create(team=team, phase=phase, defaults={"changed_at": clock.now()})
    half = {"name": "image.tar", "file": "half", "length": 2000, "received": 1000, "received_at": clock.now()}
    upload, _ = ResumableUpload.objects.get_or_create(draft=draft, defaults=half)
    uploads.path(upload.file).write_bytes(bytes(1000))
    return {"draft": draft.pk, "upload": upload.pk}


def phases() -> tuple[Phase, Phase]:
    """The first phase, whose cases are public, and the second, whose cases are hidden."""
    public, hidden = Phase.objects.order_by("pk")[:2]
    return public, hidden


def like(submission: int) -> int:
    """Another submission of the team in the same phase, with a run of the same results: to compare the two."""
    row = Submission.objects.get(pk=submission)
    name = f"Like {submission}"
    known = Submission.objects.filter(team=row.team, phase=row.phase, algorithm=name).first()
    if known:
        return known.pk
    run = row.latest_run
    assert run is not None
    standings, cases, scores = list(run.standings.all()), list(run.cases.all()), list(run.scores.all())
    row = _copy(row, algorithm=name)
    row.save()
    run = _copy(run, submission=row, number=1, token=new_token())
    run.save()
    Standing.objects.bulk_create(_copy(one, run=run) for one in standings)
    RunCase.objects.bulk_create(_copy(one, run=run, batch=None) for one in cases)
    RunScores.objects.bulk_create(_copy(one, run=run) for one in scores)
    return row.pk


def _copy(row: Row, **changes: Any) -> Row:
    """A row like this one that is still to be written."""
    values = {one.attname: getattr(row, one.attname) for one in row._meta.concrete_fields if not one.primary_key}
    copy = type(row)(**values)
    for name, value in changes.items():
        setattr(copy, name, value)
    return copy


def _people(teams: list[Team]) -> dict[str, Any]:
    """Who asks: the captains of three teams, the organiser, somebody without a team."""
    found: dict[str, Any] = {"organiser": User.objects.get(email=ORGANISER).pk}
    for name, team in zip(("captain", "runner", "waiter"), teams, strict=True):
        found[name] = team.memberships.get(is_captain=True).user_id
    password = make_password(PASSWORD)
    told = {"email": "newcomer@example.org", "name": "Nora", "password": password}
    newcomer, _ = User.objects.get_or_create(username="newcomer", defaults=told)
    confirm(newcomer)
    member = teams[0].memberships.filter(is_captain=False).earliest("pk")
    found["token"] = give_token(found["captain"], TOKEN)
    give_token(found["runner"], RUNNERS)
    give_token(newcomer.pk, NEWCOMERS)
    return {**found, "newcomer": newcomer.pk, "member": member.user_id}


def give_token(person: int, text: str) -> int:
    """A personal token of this text with every scope, of which today's use is known."""
    told = {"name": "bench", "scopes": ApiToken.Scope.values, "created_at": clock.now(), "user_id": person}
    told["last_used_on"] = clock.now().date()
    return ApiToken.objects.get_or_create(token_hash=tokens.hash_of(text), defaults=told)[0].pk


def _label(model: type[Model]) -> str:
    return model._meta.label_lower.replace(".", "_")


def _some(model: type[Model]) -> Any:
    """The key of a row."""
    return model._default_manager.earliest("pk").pk


def _interrupt(submission: int, *, together: bool) -> None:
    """Put a scored run back to where half of its cases are to come: in one waiting batch, or in several."""
    run = Run.objects.get(submission=submission)
    to_come = run.cases.filter(position__gte=run.cases.count() // 2)
    to_come.update(outcome="", reason_code="", output="", output_bytes=None, result=None, decided_at=None, tries=0)
    if together:
        to_come.update(batch=run.batches.latest("number"))
    run.batches.exclude(cases__isnull=False).delete()
    run.batches.filter(cases__outcome="").update(state=BatchState.WAITING, notified_at=clock.now() + LONG)
    Run.objects.filter(pk=run.pk).update(state=RunState.RUNNING, ended_at=None)
    run.history.filter(batch=None, to_state__in=(RunState.SCORING, RunState.SCORED)).delete()
    run.standings.all().delete()


def _host_at_work(held: int, waiting: int) -> dict[str, Any]:
    """The first host holds a batch, and another waits for it; the other hosts drain, so that nothing else begins."""
    host = Host.objects.earliest("pk")
    Host.objects.exclude(pk=host.pk).update(draining=True)
    Host.objects.update(seen_at=clock.now() + LONG)
    batch = Batch.objects.get(run__submission=held, state=BatchState.WAITING)
    lease = {"state": BatchState.LEASED, "host": host, "lease_until": clock.now() + LONG, "fence": 9}
    Batch.objects.filter(pk=batch.pk).update(**lease)
    Attempt.objects.filter(batch__state=BatchState.LEASED, ended_at=None).exclude(batch=batch).update(
        ended_at=clock.now()
    )
    attempt = {"host": host, "key": uuid.UUID(int=1), "slot": "slot0", "claimed_at": clock.now(), "ended_at": None}
    Attempt.objects.update_or_create(batch=batch, fence=9, defaults=attempt)
    volume = blobs.volumes.put(io.BytesIO(b"a volume"))
    cases = batch.cases.filter(outcome="").order_by("position")
    Case.objects.filter(pk=cases[0].case_id).update(volume=volume.digest)
    mask = blobs.outputs.put(io.BytesIO(b"a mask"))
    return {
        "held": batch.pk,
        "held_names": [case.file_name for case in cases],
        "first_name": cases[0].file_name,
        "waiting_batch": Batch.objects.get(run__submission=waiting, state=BatchState.WAITING).pk,
        "volume": volume.digest,
        "mask": {"blob": mask.digest, "size": mask.size},
    }


def put_into(submission: int, state: str) -> None:
    """Put a submission, or its latest run if it is a run's state, into this state."""
    if state in RunState.values:
        kind = DIFFERENT if state == RunState.FAILED else ""
        latest = Run.objects.filter(submission=submission).latest("number")
        Run.objects.filter(pk=latest.pk).update(state=state, failure_kind=kind)
    else:
        Run.objects.filter(submission=submission).delete()
        Submission.objects.filter(pk=submission).update(state=state, reason="There is no ENTRYPOINT.")


# --- what is sent -----------------------------------------------------------------------------------------------------


def _hello(_watched: Watched) -> object:
    return {"version": "1.3", "slots": [{"name": "slot0", "gpus": ["0"]}], "engine": "29", "free_bytes": 10**12}


def _claim(_watched: Watched) -> object:
    return {"key": str(uuid.UUID(int=2)), "slot": "slot0"}


def _beat(_watched: Watched) -> object:
    return {"fence": 9, "done": 1}


def _report(watched: Watched) -> object:
    """The last case of the batch is lost, the others have a mask."""
    lines = [
        {"name": name, "status": "finished", "reason": None, "seconds": 1.0, "output": watched["mask"]}
        for name in watched["held_names"]
    ]
    lines[-1] |= {"status": "failed", "reason": "crashed", "output": None}
    container = {"exit_code": 0, "oom_killed": False, "seconds": 1.0, "warnings": []}
    return {"fence": 9, "cases": lines, "container": container, "fault": None, "log": "hello"}


def _publish_cases(watched: Watched) -> object:
    return f"action=publish_cases&_selected_action={watched['pk_leaderboard_phase']}"


MASK = "a mask"
HOST = {"Authorization": "Bearer token-0"}
MASK_HEADERS = {**HOST, "X-Content-SHA256": hashlib.sha256(MASK.encode()).hexdigest()}


def _text(text: str) -> Callable[[Watched], object]:
    return lambda _watched: text


# --- the addresses ----------------------------------------------------------------------------------------------------

_PUBLIC = [
    Address("/", 11),
    Address("/", 13, who="captain"),
    Address("/leaderboard/", 2, status=302),
    Address("/leaderboard/{public_phase}/", 10),
    Address("/leaderboard/{hidden_phase}/", 10),
    Address("/leaderboard/{public_phase}/?group=focal&sort=hit_rate&track=overall", 10),
    Address("/leaderboard/{hidden_phase}/?group=focal&sort=hit_rate&track=overall", 9, grows=NO_ROWS),
    Address("/leaderboard/{hidden_phase}/?source=open&columns=instance_f1,instance_pr,distance_pr,runs,links", 11),
    Address("/leaderboard/{hidden_phase}/board.csv", 7),
    Address("/leaderboard/{public_phase}/board.csv?source=open&entry=image", 7),
    Address("/leaderboard/{hidden_phase}/main/versions/", 8),
    Address("/leaderboard/{hidden_phase}/main/versions/1/", 9),
    Address("/leaderboard/{hidden_phase}/main/certainty/", 9),
    Address("/leaderboard/{hidden_phase}/main/versions/1/certainty/", 10),
    Address("/leaderboard/{hidden_phase}/main/categories/", 9),
    Address("/leaderboard/{hidden_phase}/main/versions/1/categories/", 10),
    Address("/leaderboard/{hidden_phase}/main/runs/", 9),
    Address("/leaderboard/{public_phase}/overall/runs/?sort=date&page=2", 9),
    Address("/leaderboard/{hidden_phase}/main/versions/1/runs/", 10),
    Address("/leaderboard/{hidden_phase}/main/runs/all.csv", 9),
    Address("/leaderboard/{hidden_phase}/main/versions/1/runs/all.csv?sort=date", 10),
    *(
        Address(f"/leaderboard/{{public_phase}}/main/versions/1/{name}", queries)
        for name, queries in (
            *(("cases.csv", 7), ("cases.json", 7), ("challenger.csv", 7), ("resamples.csv", 7)),
            *(("findings.csv", 9), ("findings.json", 9)),
        )
    ),
    Address("/leaderboard/{hidden_phase}/main/versions/1/cases.csv", 4, status=404),
    Address("/leaderboard/{hidden_phase}/main/badge/{open_row}.svg", 4),
    Address("/leaderboard/{hidden_phase}/main/compare/", 13, grows=TWO_ROWS),
    Address("/leaderboard/{public_phase}/main/compare/", 15, who="captain"),
    Address("/leaderboard/{public_phase}/main/compare/?with={open_row}", 12, who="captain"),
    Address("/leaderboard/{hidden_phase}/main/versions/1/compare/", 14, grows=TWO_ROWS),
    Address("/leaderboard/{hidden_phase}/main/history/", 8),
    Address("/leaderboard/{public_phase}/main/history/", 14, who="captain", grows=BELOW_THE_FIRST),
    Address("/leaderboard/{hidden_phase}/main/feed.atom", 4),
    Address("/leaderboard/{hidden_phase}/half.txt", 4, status=404),
    Address("/leaderboard/{hidden_phase}/main/shake-up/", 4, status=404),
    Address("/leaderboard/{public_phase}/?open={open_row}", 15, who="captain"),
    Address("/leaderboard/{public_phase}/?open={open_reference}", 10),
    Address("/guidelines/", 3),
    Address("/downloads/template.zip", 0),
    Address("/downloads/scorer.zip", 0),
    Address("/privacy/", 2),
    Address("/news/", 4),
    Address("/news/{news}/", 3),
    Address("/news/feed.atom", 2),
    Address("/faq/", 3),
    Address("/faq/{question}/", 2, status=302),
    Address("/dates.ics", 3),
    Address("/pre-registration/", 3),
    Address("/pre-registration/", 3, method="POST", body=_text("email=zoe%40example.org")),  # registration is open
    Address("/pre-registration/sent/", 3),
    Address("/pre-registration/{pre_registration}/", 5),
    Address("/pre-registration/{pre_registration}/", 7, method="POST", status=302),
    Address("/pre-registration/{pre_registration}/unsubscribe/", 2),
    Address("/pre-registration/{no_pre_registration}/unsubscribe/", 5, method="POST"),
    Address("/downloads/examples.zip", 0),
    Address("/data/", 4),
    Address("/data/public-cases/", 5),
    Address("/data/public-cases/", 12, who="captain"),
    Address(
        "/data/public-cases/accept/", 9, who="newcomer", method="POST", body=_text("accept=1&version=1"), status=302
    ),
    Address("/data/public-cases/dataset.json", 7, who="captain"),
    Address("/data/public-cases/SHA256SUMS", 8, who="captain"),
    Address("/data/public-cases/fetch.py", 5, who="captain"),
    Address("/data/public-cases/images/{data_case}", 6, who="captain"),
    Address("/data/public-cases/masks/{data_case}", 9, who="newcomer", status=403),
    Address("/rules/", 2),
    Address("/rules/", 6, who="captain"),
    Address("/rules/", 4, who="newcomer", method="POST", body=_text("accept=1"), status=302),
    Address("/theme/", 0, method="POST", body=_text("theme=dark"), status=302),
    Address("/clock", 1),
    Address("/healthz", 1),
    Address("/refused/429/", 0, status=429),
]
_PEOPLE = [
    Address("/team/", 12, who="captain"),
    Address("/team/", 6, who="newcomer"),
    Address("/team/", 9, who="captain", method="POST", status=302),
    Address("/team/join/{join_code}/", 7, who="newcomer"),
    Address("/team/join/{join_code}/", 7, who="captain"),
    Address("/team/join/{join_code}/", 4),
    Address("/team/edit/", 7, who="captain"),
    Address("/team/invitations/", 27, who="captain", method="POST", body=_text("email=zoe%40example.org"), status=302),
    Address("/team/invitations/{invitation}/again/", 26, who="captain", method="POST", status=302),
    Address("/team/invitations/{invitation}/withdraw/", 13, who="captain", method="POST", status=302),
    Address("/team/invitations/{invitation}/withdraw/", 6, who="runner", method="POST", status=404),
    Address("/team/invitation/{invitation_token}/", 4),
    Address("/team/invitation/{invitation_token}/", 8, who="newcomer"),
    Address("/team/captain/", 12, who="captain", method="POST", body=_text("answer=take-back"), status=302),
    Address("/team/approvals/{public_phase}/", 10, who="captain", method="POST", status=302),
    Address("/team/leave/", 6, who="captain", method="POST", status=302),
    Address("/team/members/{member}/remove/", 24, who="captain", method="POST", body=_text("why=So"), status=302),
    Address("/team/members/{member}/captain/", 14, who="captain", method="POST", status=302),
    Address("/account/", 8, who="captain"),
    Address("/account/data/", 8, who="captain", status=302),
    Address("/account/delete/", 8, who="captain", status=302),
    Address("/account/2fa/", 7, who="captain"),
    Address("/account/2fa/authenticate/", 2, status=302),
    Address("/account/2fa/reauthenticate/", 8, who="captain", status=302),
    Address("/account/2fa/totp/activate/", 9, who="captain", status=302),
    Address("/account/2fa/totp/deactivate/", 6, who="captain", status=404),
    Address("/account/2fa/recovery-codes/", 6, who="captain", status=404),
    Address("/account/2fa/recovery-codes/generate/", 9, who="captain", status=302),
    Address("/account/2fa/recovery-codes/download/", 6, who="captain", status=404),
    Address("/account/2fa/webauthn/", 7, who="captain"),
    Address("/account/2fa/webauthn/add/", 9, who="captain", status=302),
    Address("/account/2fa/webauthn/login/", 2, status=302),
    Address("/account/2fa/webauthn/reauthenticate/", 9, who="captain", status=302),
    Address("/account/2fa/webauthn/keys/1/edit/", 9, who="captain", status=302),
    Address("/account/2fa/webauthn/keys/1/remove/", 9, who="captain", status=302),
    Address("/account/sessions/", 12, who="captain", grows="looks at each session"),
    Address("/account/connected/", 7, who="captain"),
    Address("/account/connected/login/cancelled/", 2),
    Address("/account/connected/login/error/", 2, status=401),
    Address("/account/connected/signup/", 2, status=302),
    Address("/account/oidc/orcid/login/", 2, status=404),
    Address("/account/oidc/orcid/login/callback/", 2, status=404),
    Address("/account/login/", 2),
    Address("/account/confirm-email/again/", 4, who="captain", method="POST", status=302),
    Address("/account/logout/", 5, who="captain"),
    Address("/account/inactive/", 2),
    Address("/account/reauthenticate/", 11, who="captain"),
    Address("/account/email/", 9, who="captain"),
    Address("/account/email/works/none/", 2, status=404),
    Address("/account/notices/", 9, who="captain"),
    Address("/account/notices/", 24, who="captain", method="POST", body=_text("kind=runs&kind=try_outs"), status=302),
    Address("/account/notices/stop/none/", 2, status=404),
    Address("/account/notices/stop/{stop}/", 4),
    Address("/account/notices/stop/{stop}/", 10, method="POST"),
    Address("/account/signup/", 3),
    Address("/account/tokens/", 6, who="captain"),
    Address("/account/tokens/", 9, who="captain", method="POST", body=_text("name=ci&scopes=read&days=30"), status=302),
    Address("/account/tokens/{token}/revoke/", 10, who="captain", method="POST", status=302),
    Address("/account/confirm-email/", 3),
    Address("/account/confirm-email/none/", 2),
    Address("/account/password/change/", 5, who="captain"),
    Address("/account/password/set/", 2, who="captain", status=302),
    Address("/account/password/reset/", 2),
    Address("/account/password/reset/done/", 3),
    Address("/account/password/reset/key/1-none/", 3),
    Address("/account/password/reset/key/done/", 2),
    Address("/account/login/code/confirm/", 0, status=302),
]
_FACTS = frozenset({"external_data"})
_PAGE = _FACTS | {"method"}
_PARTS = _PAGE | {"container", "log"}
_RESULTS = _PARTS | {"groups"}  # once it has ended
_ESTIMATE = 14  # what estimates ask of the queue, the machines and earlier runs, and what is left of the team's runs
_TUS = {"Tus-Resumable": "1.0.0"}
_RUNS = [
    Address("/submit/", 6, who="captain"),
    Address("/submit/{public_phase}/", 17, who="captain", reads=frozenset({"method", "external_data"})),  # as said last
    Address("/submit/{hidden_phase}/", 9, who="newcomer"),
    Address("/submit/{hidden_phase}/?ticket=none", 17, who="captain", method="POST", status=422),
    Address("/drafts/of/{public_phase}/", 17, who="captain", method="POST", status=201),
    Address("/drafts/{draft}/", 6, who="captain"),
    Address("/drafts/{draft}/send/", 14, who="captain", method="POST", status=422),
    Address("/drafts/{draft}/take-back/", 8, who="captain", method="POST", status=302),
    Address("/drafts/{draft}/delete/", 14, who="captain", method="POST", status=302),
    Address("/uploads/drafts/{draft}/", 10, who="captain", method="OPTIONS", status=204),
    Address("/uploads/drafts/{draft}/pdf/", 10, who="captain", status=404),
    Address("/preview/", 5, who="captain", method="POST", body=_text("method=%24x%5E2%24")),
    Address("/runs/{scored_public}/method.pdf", 9, who="captain", status=404, reads=_FACTS),
    Address("/uploads/{upload}/", 10, who="captain", method="HEAD", headers=_TUS),
    Address("/runs/{scored_public}/again/", 12, who="captain", method="POST", status=404, reads=HEAVY),
    Address("/runs/{scored_public}/withdraw/", 15, who="captain", method="POST", status=302, reads=HEAVY),
    Address("/runs/{scored_public}/bring-back/", 15, who="captain", method="POST", status=302, reads=HEAVY),
    Address(
        "/runs/{scored_public}/decisions/{decision}/object/",
        *(16, "captain", 302, frozenset(), "POST", _text("text=It+was+ours.")),
    ),
    Address("/runs/", 14, who="captain", reads=frozenset({"summary"})),
    Address("/runs/?page=2", 15, who="runner", reads=frozenset({"summary"})),
    Address("/runs/?state=scored&words=grounder", 14, who="captain", reads=frozenset({"summary"})),
    Address("/runs/my-runs.csv", 12, who="captain", reads=frozenset({"summary"})),
    Address("/runs/compare/", 13, who="captain", reads=frozenset({"summary"})),
    Address(
        "/runs/compare/?run={scored_public}&run={other_public}&metric=instance_f1",
        *(19, "captain", 200, frozenset({"summary", "groups"})),
    ),
    Address(
        "/runs/compare/?run={scored_hidden}&run={other_hidden}", 14, "captain", reads=frozenset({"summary", "groups"})
    ),
    Address("/runs/{scored_public}/note/", 5, who="captain", method="POST", body=_text("note=hello"), status=302),
    Address("/runs/{scored_public}/note/", 6, who="runner", method="POST", body=_text("note=hello"), status=404),
    Address("/runs/{scored_public}/", 27, who="captain", reads=_RESULTS | {"summary"}),
    Address("/runs/{scored_hidden}/", 15, who="captain", reads=_PAGE | {"summary"}),
    Address("/runs/{scored_hidden}/", 25, who="organiser", reads=_RESULTS | {"summary"}),
    Address("/runs/{running_public}/", 19 + _ESTIMATE, who="runner", reads=_PARTS),
    Address("/runs/{running_hidden}/", 13 + _ESTIMATE, who="runner", reads=_PAGE),
    Address("/runs/{waiting_hidden}/", 27, who="waiter", reads=_PAGE),
    Address("/runs/{waiting_hidden}/", 33, who="organiser", reads=_PARTS),
    *(
        Address("/runs/{scored_public}/", 34, who="captain", reads=_PARTS, state=state)
        for state in ("queued", "canary", "scoring", "halted")
    ),
    *(
        Address("/runs/{scored_hidden}/", 26, who="captain", reads=_PAGE, state=state)
        for state in ("scoring", "halted", "failed", "received", "rejected")
    ),
    Address("/runs/{scored_public}/", 27, who="captain", reads=_RESULTS, state="failed"),
    Address("/runs/{scored_public}/panel/", 24, who="captain", reads=_RESULTS - {"method"} | {"summary"}),
    Address("/runs/{scored_public}/events/", 0, who="captain", status=204),  # a process of its own answers
    Address("/runs/{scored_public}/findings/", 10, who="captain", reads=_FACTS),
    Address("/runs/{scored_public}/findings/?category=2d&page=2", 10, who="captain", reads=_FACTS),
    Address("/runs/{scored_public}/cases/", 11, who="captain", reads=_FACTS),
    Address("/runs/{scored_public}/logs/", 12, who="captain", reads=_FACTS | {"log"}),
    Address("/runs/{scored_public}/logs/1/1/", 8, who="captain", reads=_FACTS | {"log"}),
    Address("/runs/{scored_public}/masks/{some_case}", 10, who="captain", status=410, reads=_FACTS),
    Address("/runs/{scored_public}/results.json", 9, who="captain", reads=_FACTS | {"summary", "groups", "result"}),
    *(
        Address(f"/runs/{{scored_hidden}}/{part}", 8, who="captain", status=404, reads=_FACTS)
        for part in ("findings/", "cases/", "logs/", "logs/1/1/", "masks/{some_case}", "results.json")
    ),
    Address("/runs/{running_public}/events/", 0, who="runner", status=204),  # streams are another process's
    Address("/runs/{running_public}/panel/?seen=0-x", 6, who="runner", status=204, reads=_FACTS),
    Address("/runs/{running_hidden}/panel/?seen=-x", 10 + _ESTIMATE, who="runner", reads=_FACTS),
    Address(
        "/runs/{running_hidden}/cancel/",
        *(45, "runner", 302, HEAVY, "POST"),
        grows="each open batch is called off by itself, with a line of history",
    ),
]
_STORY = frozenset({"summary", "result", "container", "log", "before", "after"})
_ORGANISERS = [
    Address("/organisers/", 37, who="organiser", grows="of what waits more is asked, once anything does"),
    Address("/organisers/panel/", 35, who="organiser", grows="of what waits more is asked, once anything does"),
    Address("/organisers/hosts/", 23 + _ESTIMATE, who="organiser"),
    Address("/organisers/hosts/{host}/", 13, who="organiser"),
    Address("/organisers/acts/cancel-run/?on={running_public}", 8, who="organiser"),
    Address(
        "/organisers/acts/disqualify-run/?on={scored_public}",
        20,
        who="organiser",
        reads=frozenset({"external_data", "method"}),
        method="POST",
        body=_text("why=Two+accounts.&preview=1"),
    ),
    Address("/organisers/health/", 40, who="organiser"),
    Address("/organisers/health/panel/", 38, who="organiser"),
    Address("/metrics", 38, who="organiser"),
    Address("/organisers/record/", 9, who="organiser", reads=frozenset({"before", "after"})),
    Address(
        "/organisers/record/?person=Olga&thing=submission&words=a+b&since=2026-01-01",
        8,
        who="organiser",
        reads=frozenset({"before", "after"}),
    ),
    Address("/organisers/record/record.csv", 8, "organiser", reads=frozenset({"before", "after"}), method="POST"),
    Address("/organisers/acts/set-role/?on={captain}", 7, who="organiser"),
    Address("/organisers/runs/", 14, who="organiser"),
    Address("/organisers/runs/?page=2", 14, who="organiser"),
    Address(
        "/organisers/runs/?words=team&state=scored&phase={public_phase}&kind=scored&entry=image&track=main"
        "&standing=counting&code=crashed&digest=sha256&since=2020-01-01&until=2030-01-01&host=gpu-1",
        *(8, "organiser"),
    ),
    Address("/organisers/runs.csv", 12, who="organiser", grows="it reads all runs, 500 at a time"),
    Address("/organisers/runs/{scored_hidden}/", 20, who="organiser", reads=_STORY),
    Address("/organisers/runs/{running_public}/", 20, who="organiser", reads=_STORY),
    Address("/organisers/rescoring/", 9, who="organiser"),
    Address("/organisers/rescoring/999999999/", 8, who="organiser", status=404),
    Address(
        "/organisers/acts/answer-objection/?on={objection}",
        *(14, "organiser", 200, frozenset({"external_data", "method"})),  # the record names what it is about
    ),
    Address("/organisers/acts/disqualify-team/?on={open_row}", 8, who="organiser"),
    Address("/organisers/acts/start-rescoring/?on={public_phase}", 8, who="organiser"),
    Address("/organisers/phases/", 11, who="organiser"),
    Address("/organisers/phases/new/", 8, who="organiser"),
    Address("/organisers/phases/{hidden_phase}/", 12, who="organiser"),
    Address(
        "/organisers/phases/{hidden_phase}/",
        20,
        method="POST",
        status=302,
        body=_text("runs_per_day=3"),
    ),
    Address(
        "/organisers/phases/{hidden_phase}/",
        *(10, "organiser", 302),
        method="POST",
        body=_text("runs_per_day=3&preview=1"),
    ),
    Address("/organisers/teams/?words=a", 10, who="organiser"),
    Address("/organisers/teams/doubles/", 8, who="organiser"),
    Address("/organisers/teams/doubles/{double}/", 16, who="organiser"),
    Address("/organisers/teams/of/{desk_team}/", 22, who="organiser"),
    Address("/organisers/people/?words=a", 8, who="organiser"),
    Address("/organisers/people/{member}/", 10, who="organiser"),
    Address("/organisers/messages/", 10, who="organiser"),
    Address("/organisers/messages/new/", 9, who="organiser"),
    Address("/organisers/messages/{announcement_draft}/", 11, who="organiser"),
    Address("/organisers/messages/{announcement_draft}/edit/", 9, who="organiser"),
    Address("/organisers/messages/{announcement_draft}/mail/", 5, who="organiser"),
    Address("/organisers/equal-entries/", 9, who="organiser"),
    Address("/organisers/equal-entries/{equality}/", 10, who="organiser"),
    Address("/organisers/equal-entries/{equality}/", 9, who="organiser", method="POST", status=302),
    Address("/organisers/cases/", 11, who="organiser"),
    Address("/organisers/cases/public-cases/", 25, who="organiser"),
    Address("/organisers/cases/hidden-cases/", 25, who="organiser"),
    Address("/organisers/cases/public-cases/pictures/{pictured}.png", 6, who="organiser"),
]
_HOSTS = [
    Address("/worker/v1/hello", 16, method="POST", body=_hello, headers=HOST),
    Address("/worker/v1/batches/{waiting_batch}/claim", 19, method="POST", body=_claim, headers=HOST),
    Address("/worker/v1/batches/{held}/heartbeat", 13, method="POST", body=_beat, headers=HOST),
    # Of a case that is still open, the result is none.
    Address(
        "/worker/v1/batches/{held}/report",
        *(43, "public", 200, frozenset({"result"}), "POST", _report, HOST),
    ),
    Address("/worker/v1/blobs/{volume}", 5, headers=HOST),
    Address(
        "/worker/v1/batches/{held}/outputs/{first_name}?fence=9",
        *(14, "public", 204, frozenset(), "PUT", _text(MASK), MASK_HEADERS),
    ),
]


def _admin_pages() -> Iterator[Address]:
    """The administration's own pages, and the five of each kind of row."""
    yield Address("/admin/", 3, who="organiser")
    yield Address("/admin/leaderboard/", 2, who="organiser")
    yield Address("/admin/login/", 0, status=302)
    yield Address("/admin/logout/", 4, who="organiser", status=302, method="POST")
    yield Address("/admin/password_change/", 2, who="organiser", status=302)
    yield Address("/admin/password_change/done/", 2, who="organiser")
    yield Address("/admin/jsi18n/", 2, who="organiser")
    yield Address("/admin/autocomplete/", 5, who="organiser", status=403)
    yield Address("/admin/r/{content_type}/1/", 7, who="organiser", status=404)
    yield Address("/admin/nothing/", 5, who="organiser", status=404)
    yield Address("/admin/leaderboard/user/{pk_leaderboard_user}/password/", 3, who="organiser")
    yield Address("/admin/leaderboard/preregistration/export/", 9, who="organiser", method="POST")
    yield Address("/admin/leaderboard/phase/", 12, "organiser", method="POST", body=_publish_cases, status=302)
    for model, rows in admin.site._registry.items():
        yield from _pages_of(model, 403 if isinstance(rows, ReadOnly | RegistrationAdmin) else 200)


def _pages_of(model: type[Model], status: int) -> Iterator[Address]:
    """The administration's pages of one kind of row; `status` is that of those by which people add and delete."""
    folder, row = f"/admin/{model._meta.label_lower.replace('.', '/')}/", f"{{pk_{_label(model)}}}"
    yield Address(folder, 11 if model in (Attempt, StateChange, TeamApproval) else 8, "organiser")
    yield Address(f"{folder}add/", 5, "organiser", status)
    yield Address(f"{folder}{row}/", 2, "organiser", 302)
    for page, queries in (("change", 8), ("history", 8)):
        yield Address(f"{folder}{row}/{page}/", queries, "organiser", reads=HEAVY)
    gone = 22 if model in (Phase, Team, User) else 16  # more kinds of rows go with these
    deleting = 403 if model is DataTerms else status  # what people accepted stays
    yield Address(
        f"{folder}{row}/delete/", gone, "organiser", deleting, HEAVY, grows="names each row that goes with it"
    )


def _json(**fields: object) -> Callable[[Watched], object]:
    return lambda watched: {
        name: value.format_map(watched) if isinstance(value, str) else value for name, value in fields.items()
    }


def _api(path: str, queries: int, status: int = 200, reads: frozenset[str] = frozenset(), **more: Any) -> Address:
    """An address of the API, as the captain's program asks it unless another token is named."""
    headers = {"Authorization": f"Bearer {more.pop('token', TOKEN)}"}
    return Address(f"/api/v1{path}", queries, status=status, reads=reads, headers=headers, **more)


def _members_id(watched: Watched) -> object:
    return {"member": int(watched["member"])}


_OWN = "/submissions/{scored_public}"
_LINES = frozenset({"summary"})
_API = [
    Address("/api/v1/reference/", 2),
    Address("/api/v1/openapi.json", 0),
    Address("/api/refused/429/", 0, status=429),
    Address("/api/v1/", 2, status=404),
    Address("/api/v1/status", 2),
    Address("/api/v1/phases", 2),
    Address("/api/v1/phases/{hidden_phase}", 2),
    Address("/api/v1/phases/{hidden_phase}/board", 7),
    Address("/api/v1/phases/{hidden_phase}/board?version=1", 7),
    Address("/api/v1/phases/{public_phase}/cases", 7),
    Address("/api/v1/phases/{public_phase}/findings?version=1", 9),
    Address("/api/v1/phases/{hidden_phase}/references", 3),
    Address("/api/v1/me", 1, status=401),
    _api("/phases", 3),
    _api("/phases/{hidden_phase}/quota", 8),
    _api("/me", 6),
    _api("/me", 12, method="PATCH", body=_json(name="Nora N.")),
    _api("/me/rules", 8, 409, method="POST", body=_json(version="1999")),
    _api("/team", 6),
    _api("/team", 9, 409, method="POST", body=_json(name="Another")),
    _api("/team/join", 10, 409, method="POST", body=_json(code="none"), token=NEWCOMERS),
    _api("/team/leave", 9, 409, method="POST"),
    _api("/team/join-link", 12, method="POST"),
    _api("/team", 12, 409, method="PATCH", body=_json(name="Grounders of Basel")),
    _api("/team/join-link", 9, 204, method="DELETE"),
    _api("/team/members/{member}/remove", 24, method="POST", body=_json(why="So")),
    _api("/team/captaincy/offer", 24, method="POST", body=_members_id),
    _api("/team/captaincy/accept", 9, 409, method="POST"),
    _api("/team/captaincy/decline", 9, 409, method="POST"),
    _api("/team/captaincy/take-back", 9, 409, method="POST"),
    _api("/team/invitations", 6),
    _api("/team/invitations", 26, 201, method="POST", body=_json(email="zoe@example.org")),
    _api("/team/invitations/{invitation}/again", 27, method="POST"),
    _api("/team/invitations/{invitation}", 12, 204, method="DELETE"),
    _api("/team/invitations/{invitation}", 6, 404, method="DELETE", token=RUNNERS),
    _api("/team/invitation/accept", 12, 409, method="POST", body=_json(token="none"), token=NEWCOMERS),
    _api("/team/invitation/decline", 12, 409, method="POST", body=_json(token="none"), token=NEWCOMERS),
    _api("/team/approvals", 6),
    _api("/team/approvals", 10, 409, method="POST", body=_json(phase="{public_phase}")),
    _api("/me/notices", 5),
    _api("/me/notices", 24, method="PATCH", body=_json(runs=False)),
    _api("/data", 6),
    _api("/data/public-cases", 8),
    _api("/data/public-cases/terms", 9, 409, method="POST", body=_json(version=9)),
    _api("/submissions", 12, reads=_LINES),
    _api("/submissions?state=scored&words=grounder&per_page=5", 12, reads=_LINES),
    _api(_OWN, 24, reads=_RESULTS | {"summary"}),
    _api("/submissions/{scored_hidden}", 14, reads=_PAGE | {"summary"}),
    _api("/submissions/{running_hidden}", 12 + _ESTIMATE, reads=_PAGE, token=RUNNERS),
    _api(f"{_OWN}/findings", 8, reads=_FACTS),
    _api(f"{_OWN}/cases", 9, reads=_FACTS),
    _api(f"{_OWN}/containers", 8, reads=_FACTS),
    _api(f"{_OWN}/logs/1/1", 8, reads=_FACTS | {"log"}),
    _api(f"{_OWN}/masks/{{some_case}}", 9, 410, reads=_FACTS),
    _api(f"{_OWN}/results", 9, reads=_FACTS | {"summary", "groups", "result"}),
    _api(f"{_OWN}/method.pdf", 7, 404, reads=_FACTS),
    *(
        _api(f"/submissions/{{scored_hidden}}/{part}", 7, 404, _FACTS)
        for part in ("findings", "cases", "containers", "results")
    ),
    _api(f"{_OWN}/note", 6, 204, HEAVY, method="PUT", body=_json(note="hello")),
    _api(f"{_OWN}/cancel", 12, 409, HEAVY, method="POST"),
    _api(f"{_OWN}/withdraw", 40, reads=HEAVY, method="POST"),
    _api(f"{_OWN}/bring-back", 40, 200, HEAVY, method="POST"),
    _api(f"{_OWN}/again", 12, 409, HEAVY, method="POST", body=_json(phase="{public_phase}")),
    _api(f"{_OWN}/enter", 6, 409, HEAVY, method="POST"),
    _api("/drafts", 6),
    _api("/drafts", 20, 201, method="POST", body=_json(phase="{public_phase}")),
    _api("/drafts/{draft}", 6),
    _api("/drafts/{draft}", 8, method="PATCH", body=_json(algorithm="Grounder")),
    _api("/drafts/{draft}", 14, 204, method="DELETE"),
    _api("/drafts/{draft}/pdf", 9, 415, method="PUT", body=_text("%PDF-1.7")),  # sent as something else
    _api("/drafts/{draft}/pdf", 9, 204, method="DELETE"),
    _api("/drafts/{draft}/send", 9, 422, method="POST"),
    _api("/drafts/{draft}/take-back", 10, method="POST"),
    _api("/preview", 2, method="POST", body=_json(method="$x$")),
]


def routes(patterns: list[URLPattern | URLResolver], before: str = "") -> Iterator[str]:
    """Every route of the site, as `resolve` names it."""
    for pattern in patterns:
        route = str(pattern.pattern)
        whole = before + route.removeprefix("^") if before else route
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, whole)
        else:
            yield whole


ADDRESSES = [*_PUBLIC, *_PEOPLE, *_RUNS, *_ORGANISERS, *_HOSTS, *_API, *_admin_pages()]


@dataclass(frozen=True)
class Command:
    """A command of manage.py that shows what pages show."""

    line: str
    queries: int
    reads: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """As a report names it."""
        return f"manage.py {self.line}"


COMMANDS = [
    Command("standings --phase {public_phase}", 7),
    Command("standings --phase {hidden_phase} --json --unrounded", 13, SHOWN),
    Command("submission {scored_public}", 12, _STORY),
    Command("submission {running_hidden} --json", 12, _STORY),
    Command("phase list --json", 5),
    Command("phase show {hidden_phase}", 6),
]
