"""A small cast: Alice captains a team, Bob is her team-mate, Charlie is a rival who must see nothing of theirs.

Factories make the minimum valid object; a test says only what it is about.
"""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import psycopg
from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import update_last_login
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection, transaction
from django.db.models import F
from django.test import Client
from django.utils.text import slugify

from leaderboard.board import versions
from leaderboard.challenge.halves import kept
from leaderboard.core import audit, clock, locks
from leaderboard.core.audit import Actor
from leaderboard.hosts.registry import hash_token
from leaderboard.journey import lifecycle, pipeline, planning, submitting
from leaderboard.models import (
    AlgorithmImage,
    BoardVersion,
    Case,
    CaseSet,
    Finding,
    Host,
    Membership,
    Phase,
    RulesAcceptance,
    Run,
    StateChange,
    Submission,
    Team,
    User,
)
from leaderboard.people.names import skeleton
from leaderboard.states import Stage, SubmissionState
from leaderboard.submissions import uploads
from leaderboard.submissions.uploads import Upload

METHOD = "A frozen text encoder conditions a 3D U-Net at four scales by cross-attention. " * 2
WORDS = {"track": "main", "algorithm": "Grounder", "method": METHOD.strip(), "external_data": "none"}
PLAIN = {"user", *WORDS}
TOKEN = "a-host-token"
OPERATOR = Actor("command line (test)")


def person(name: str, *, accepts_rules: bool = True, confirmed: bool = True, **fields: Any) -> User:
    """A person with an account, whose address is confirmed."""
    email = f"{name.lower()}@example.org"
    user = User.objects.create_user(username=name.lower(), email=email, password="correct horse", name=name, **fields)
    # The rows that addresses.confirm and rules.accept_rules leave of somebody new, without their questions.
    if confirmed:
        EmailAddress.objects.create(user=user, email=email, primary=True, verified=True)
    if accepts_rules:
        RulesAcceptance.objects.create(user=user, version=settings.RULES_VERSION)
    return user


def browser_of(person: User) -> Client:
    """A browser in which somebody has signed in. Client.force_login leaves the same, and asks three times more."""
    session = SessionStore()
    session[SESSION_KEY] = str(person.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = person.get_session_auth_hash()
    session.create()
    update_last_login(User, person)
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = str(session.session_key)
    return client


@transaction.atomic
def team_of(captain: User, *members: User, name: str = "") -> Team:
    """A team with its captain and members: the rows that teams.create_team leaves, without its questions."""
    name = name or f"Team of {captain.name}"
    team = Team.objects.create(
        name=name,
        slug=slugify(name),
        skeleton=skeleton(name),
        join_link_made_by=captain,
        join_link_made_at=clock.now(),
    )
    Membership.objects.create(team=team, user=captain, is_captain=True)
    audit.record(Actor.person(captain), "create team", team)
    for member in members:
        Membership.objects.create(team=team, user=member)
    return team


def case_set(count: int = 3, *, name: str = "cases", findings: int = 1) -> CaseSet:
    """Cases without files: for whatever does not read a volume or a mask."""
    made = CaseSet.objects.create(name=name, digest="sha256:" + hashlib.sha256(name.encode()).hexdigest())
    for number in range(count):
        case = Case.objects.create(
            case_set=made,
            name=f"case_{number:03}.nii.gz",
            shape=[16, 16, 16],
            spacing_mm=[1.0, 1.0, 1.0],
            volume="sha256:" + "0" * 64,
            volume_bytes=1,
            reference="sha256:" + "1" * 64,
            in_public_half=number % 2 == 0,
        )
        for channel in range(findings):
            Finding.objects.create(
                case=case,
                channel=channel,
                text="Nodule in the right upper lobe",
                category="2d",
                entity_count=1,
                voxels=64,
            )
    return made


def draw_half(cases: CaseSet, secret: bytes = bytes(range(32))) -> CaseSet:
    """The same cases, with a half that was drawn and committed to as an import does it."""
    half = kept.draw_by(secret, cases, kept.Half(cases).cases)
    cases.cases.update(in_public_half=False)
    cases.cases.filter(name__in=half).update(in_public_half=True)
    return cases


def phase(cases: CaseSet | None = None, **fields: Any) -> Phase:
    """A phase that is open now."""
    now = clock.now()
    slug = fields.pop("slug", "test")
    defaults: dict[str, Any] = {
        "name": f"Phase {slug}",
        "opens_at": now - timedelta(days=1),
        "closes_at": now + timedelta(days=1),
        "gpus": 0,
        "batch_size": 2,
        "max_failures_in_row": 3,
    }
    return Phase.objects.create(case_set=cases or case_set(), slug=slug, **{**defaults, **fields})


def upload(content: bytes = b"an archive") -> Upload:
    """An archive in the server's hands."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        return uploads.from_disk(Path(file.name))


def submit(team: Team, phase: Phase, **fields: Any) -> Submission:
    """A submission that was just accepted; its image is still to be checked."""
    defaults: dict[str, Any] = {"user": None, "upload": upload(), **WORDS}
    return submitting.submit(team=team, phase=phase, **{**defaults, **fields})


def image() -> AlgorithmImage:
    """An image that has passed the check."""
    made, _ = AlgorithmImage.objects.get_or_create(
        image_id="sha256:" + "2" * 64,
        defaults={"archive": "sha256:" + "3" * 64, "archive_bytes": 1, "unpacked_bytes": 1, "layers": 1},
    )
    return made


def submit_checked(team: Team, phase: Phase, **fields: Any) -> Submission:
    """A submission whose image has passed the check, so that its run waits in the queue.

    What is plain has the rows that `submit` and pipeline.accept leave, without their questions (`test_cast`).
    """
    if fields.keys() <= PLAIN:
        submission = _accepted(team, phase, **fields)
    else:
        submission = submit(team, phase, **fields)
        Submission.objects.filter(pk=submission.pk).update(state=SubmissionState.VALIDATING)
        pipeline.accept(submission, image())
    submission.refresh_from_db()
    return submission


@transaction.atomic
def _accepted(team: Team, phase: Phase, *, user: User | None = None, **words: str) -> Submission:
    received, phase = upload(), Phase.objects.get(pk=phase.pk)  # as it is now, which a test may have changed
    at = received.completed_at
    submission = Submission.objects.create(
        team=team,
        phase=phase,
        submitted_by=user,
        shows_submitter=phase.show_submitters,
        state=SubmissionState.ACCEPTED,
        image=image(),
        upload=received.digest,
        upload_file=received.file,
        upload_name=received.name,
        upload_bytes=received.size,
        accepted_at=at,
        quota_day=at.astimezone(UTC).date(),
        notified_at=at,
        **{**WORDS, **words},
    )
    lifecycle._record(submission, SubmissionState.VALIDATING, by=lifecycle.SERVER, why="")
    planning.new_run(submission, by=lifecycle.SERVER)
    transaction.on_commit(pipeline.fill_slots)
    return submission


def stage_of(submission: Submission) -> Stage:
    """The state that matters now, as the database has it."""
    return Submission.objects.get(pk=submission.pk).stage


def let_a_minute_pass() -> None:
    """What happened to runs so far happened a minute ago: on hidden cases it can be seen now."""
    earlier = timedelta(minutes=1)
    for phase in Phase.objects.values_list("pk", flat=True):
        versions._make_once(phase)  # nobody changes anything meanwhile
    BoardVersion.objects.update(visible_from=F("visible_from") - earlier, runs_until=F("runs_until") - earlier)
    BoardVersion.objects.filter(visible_from__gt=clock.now()).update(
        visible_from=clock.now()
    )  # made for the next but one
    StateChange.objects.update(at=F("at") - earlier)
    Run.objects.update(started_at=F("started_at") - earlier, ended_at=F("ended_at") - earlier)


SCORES = (
    *("dice", "dice_raw", "hit_rate", "hit_rate_05", "instance_precision", "instance_recall", "instance_f1"),
    *("distance_precision", "distance_recall", "distance_f1"),
)
COUNTS = ("tp", "fp", "fn", "distance_tp", "distance_fp", "distance_fn")


def numbers(dice: float, findings: int = 20, half_width: float = 0.03, **scores: float | None) -> Any:
    """A summary (and a group of `findings`) as the evaluation makes them, every score being `dice` unless told."""
    intervals = [max(0.0, dice - half_width), min(1.0, dice + half_width)]
    return {
        "n": findings,
        **dict.fromkeys(SCORES, dice),
        **dict.fromkeys(COUNTS, 7),
        **scores,
        "total_cases": 3,
        "total_findings": findings,
        "dice_per_finding": dice,
        "confidence_intervals": dict.fromkeys((*SCORES, "dice_per_finding"), intervals),
        "resamples_skipped": dict.fromkeys((*SCORES, "dice_per_finding"), 0),
    }


def host(name: str = "gpu-1", *, slots: int = 1, gpus: int = 0, token: str = TOKEN) -> Host:
    """A host that has just said hello."""
    offered = [{"name": f"slot{number}", "gpus": [str(number)] * gpus} for number in range(slots)]
    return Host.objects.create(name=name, token_hash=hash_token(token), slots=offered, seen_at=clock.now())


@contextmanager
def another_process_at(kind: str, key: object) -> Iterator[None]:
    """While another process holds the lock of what is worked on by one alone (core.locks)."""
    ours = connection.settings_dict
    where = {"host": ours["HOST"], "port": ours["PORT"], "user": ours["USER"], "password": ours["PASSWORD"]}
    with psycopg.connect(**where, dbname=ours["NAME"], autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [locks._number(kind, key)])
        yield
        other.execute("SELECT pg_advisory_unlock_all()")
