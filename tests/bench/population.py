"""Fills a database as a whole challenge leaves it: teams, runs in every state, cases with real results, their history.

People, teams, submissions and runs are made as objects; what there are millions of (cases of runs, batches, attempts,
history) is written by the database itself, INSERT ... SELECT from a few thousand rows that were sent to it. The same
size and seed give the same rows; instants count from the present.

Phases alternate: the first one's cases are public, the second one's, which is the newest, hidden with a public half,
and so on. A team's runs go to the phases in turn. Its first two submissions are scored, its last may be
under way.
"""

import hashlib
import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.hashers import make_password
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction

import evaluation
from leaderboard.board import versions
from leaderboard.challenge.halves.kept import Half, draw_by
from leaderboard.core import clock
from leaderboard.hosts.registry import hash_token
from leaderboard.journey.reasons import FAILED_LATER, INTERRUPTED
from leaderboard.models import (
    Alarm,
    AlgorithmImage,
    Announcement,
    AuditEntry,
    Case,
    CaseSet,
    ChallengeDate,
    DataAcceptance,
    DataTerms,
    EqualEntry,
    Equality,
    FaqSection,
    Finding,
    Host,
    Invitation,
    Maintenance,
    Membership,
    NewsItem,
    OutgoingMail,
    Phase,
    PreRegistration,
    ProcessHeartbeat,
    Question,
    ReferenceRow,
    RefusedAddress,
    Registration,
    RulesAcceptance,
    Run,
    Submission,
    Team,
    TeamApproval,
    User,
)
from leaderboard.states import Role, RunState, SubmissionState
from tests.bench import results
from tests.bench.plan import ACCEPTED, ENDED, LAST, SCORED, Fate, Size
from tests.bench.results import Kind
from tests.bench.rows import Made, Writer

PASSWORD = "correct horse battery"
ORGANISER = "organiser@example.org"
GIB = 1 << 30
HOUR = timedelta(hours=1)
_REFERENCE_NUMBERS = {"all": {"dice": 0.2, "dice_ci": [0.1, 0.3], "hit_rate": 0.4}, "focal": {"n": 90, "dice": 0.3}}
SENTENCE = "A frozen text encoder conditions a 3D U-Net at four scales by cross-attention. "


def fill(size: Size, *, seed: int = 1, trusted: bool = False) -> None:
    """Write everything, in one transaction, into a database that holds none of it.

    `trusted` spares the database the check of millions of foreign keys; it takes a superuser of the database.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        if trusted:
            cursor.execute("SET LOCAL session_replication_role = replica")
        _Filling(size, random.Random(seed), clock.now()).run()


class _Filling:
    """One filling of a database, step by step; each step reads what the steps before it made."""

    def __init__(self, size: Size, rng: random.Random, now: datetime) -> None:
        self.size, self.rng, self.now = size, rng, now

    def run(self) -> None:
        """Everything, each thing after what it refers to."""
        self.hosts = self._make_hosts()
        self.teams = self._make_teams()
        self.people = self._make_people()
        self.kinds = results.kinds(self.size.kinds, self.size.findings, self.rng)
        self.case_sets = [self._make_case_set(name) for name in ("public-cases", "hidden-cases")]
        self.phases = self._make_phases()
        self._show_references()
        self._invite_and_approve()
        self.images = self._make_images()
        self.fates: list[Fate] = []
        self.submissions = self._make_submissions()
        self.runs = self._make_runs()
        self._find_equal_entries()
        self._record_decisions()
        self._write_news()
        made = Made(self.hosts, self.kinds, self.case_sets, self.submissions, self.fates, self.runs)
        Writer(self.size, made, self.rng, self.now).write()
        for phase in self.phases:
            versions.make(phase.pk)

    def _digest(self, *of: object) -> str:
        return "sha256:" + hashlib.sha256(repr(of).encode()).hexdigest()

    # --- who is there -------------------------------------------------------------------------------------------------

    def _make_hosts(self) -> list[Host]:
        slots = [{"name": f"slot{number}", "gpus": [str(number)]} for number in range(self.size.slots)]
        for name in ("sweeper@server-1", "control@server-1", "scoring@server-1", "web@server-1"):
            ProcessHeartbeat.objects.create(name=name, at=self.now)
        Alarm.objects.create(key="hosts", since=self.now - HOUR)
        Announcement.objects.create(subject="A change", body="Words.")
        RefusedAddress.objects.create(email="gone@example.org", refused_at=self.now)
        return Host.objects.bulk_create(
            Host(
                name=f"gpu-{number}",
                token_hash=hash_token(f"token-{number}"),
                slots=slots,
                engine="29.0 on Linux 6.12",
                version="1.2",
                free_bytes=400 * GIB,
                seen_at=self.now,
            )
            for number in range(self.size.hosts)
        )

    def _make_teams(self) -> list[Team]:
        return Team.objects.bulk_create(
            Team(
                name=f"Team {number:03}",
                slug=f"team-{number:03}",
                affiliation=f"Institute {number % 90} for Image Computing",
                join_code=self._digest("join", number)[7:20],
            )
            for number in range(self.size.teams)
        )

    def _make_people(self) -> list[User]:
        """The organiser, and the members of each team, its captain first."""
        password = make_password(PASSWORD)
        organiser = User(username="organiser", email=ORGANISER, name="Olga", is_staff=True, is_superuser=True)
        organiser.role = Role.OWNER
        members = [
            Membership(team=team, user=_person(f"{team.slug}-{number}", f"Person {number}"), is_captain=number == 0)
            for index, team in enumerate(self.teams)
            for number in range(self.size.of_team(index, self.size.members))
        ]
        people = [organiser, *(one.user for one in members)]
        for one in people:
            one.password = password
        User.objects.bulk_create(people)
        Membership.objects.bulk_create(members)
        self.captains = [one.user for one in members if one.is_captain]
        RulesAcceptance.objects.bulk_create(RulesAcceptance(user=one, version=settings.RULES_VERSION) for one in people)
        EmailAddress.objects.bulk_create(
            EmailAddress(user=one, email=one.email, verified=True, primary=True) for one in people
        )
        self._write_to(people)
        return people

    def _write_to(self, people: list[User]) -> None:
        """A message to each, all of which were sent but the last one."""
        sent = {"state": OutgoingMail.State.SENT, "ended_at": self.now - HOUR}
        waits = {"body": "Open this address: ..."}
        OutgoingMail.objects.bulk_create(
            OutgoingMail(
                to=one.email,
                sender="challenge@example.org",
                subject="Please confirm your address",
                created_at=self.now - HOUR,
                due_at=self.now + HOUR,
                **(waits if one is people[-1] else sent),
            )
            for one in people
        )

    def _write_news(self) -> None:
        """News, questions and dates as organisers write them, and who waited for registration."""
        published = {"published_at": self.now - HOUR}
        NewsItem.objects.bulk_create(
            NewsItem(title=f"News {number}", slug=f"news-{number}", body=SENTENCE * 5, **published)
            for number in range(40)
        )
        section = FaqSection.objects.create(name="Taking part")
        Question.objects.bulk_create(
            Question(section=section, question=f"Question {one}?", slug=f"question-{one}", answer=SENTENCE, **published)
            for one in range(30)
        )
        if not ChallengeDate.objects.exists():
            ChallengeDate.objects.create(label="Results are announced", day=self.now.date())
        Registration.objects.get_or_create(pk=1)
        pause = self.now - timedelta(days=400)
        Maintenance.objects.create(begins_at=pause, ends_at=pause + timedelta(hours=1), words="A larger disk.")
        PreRegistration.objects.bulk_create(
            PreRegistration(email=f"waits-{number}@example.org", asked_at=self.now, confirmed_at=self.now)
            for number in range(100)
        )

    # --- what is asked ------------------------------------------------------------------------------------------------

    def _kind(self, case: int) -> Kind:
        return self.kinds[case % len(self.kinds)]

    def _make_case_set(self, name: str) -> CaseSet:
        made = CaseSet.objects.create(name=name, digest=self._digest(name))
        if name == "public-cases":
            CaseSet.objects.filter(pk=made.pk).update(allows_downloads=True, copied_at=self.now)
            terms = DataTerms.objects.create(case_set=made, version=1, text="For research.", published_at=self.now)
            DataAcceptance.objects.bulk_create(
                DataAcceptance(user=person, terms=terms, accepted_at=self.now) for person in self.people
            )
        cases = Case.objects.bulk_create(
            Case(
                case_set=made,
                name=f"case_{number:03}.nii.gz",
                shape=list(results.GRID),
                spacing_mm=list(results.SPACING_MM),
                volume=self._digest(name, "volume", number),
                volume_bytes=180_000_000,
                reference=self._digest(name, "reference", number),
                reference_bytes=40_000,
            )
            for number in range(self.size.cases)
        )
        Finding.objects.bulk_create(
            Finding(
                case=case,
                channel=channel,
                text=f"{3 + channel} mm nodule in the posterobasal segment of the right lower lobe",
                category=self._kind(number).categories[channel],
                entity_count=self._kind(number).entities[channel],
                voxels=self._kind(number).voxels[channel],
            )
            for number, case in enumerate(cases)
            for channel in range(len(self._kind(number).categories))
        )
        half = draw_by(hashlib.sha256(name.encode()).digest(), made, Half(made).cases)
        made.cases.filter(name__in=half).update(in_public_half=True)
        return made

    def _make_phases(self) -> list[Phase]:
        return Phase.objects.bulk_create(self._phase(number) for number in range(self.size.phases))

    def _phase(self, number: int) -> Phase:
        hidden = number % 2 == 1
        opened = 40 if number == 1 else 30 * number / self.size.phases
        return Phase(
            name=f"{'Test' if hidden else 'Validation'} phase {number}",
            slug=f"{'test' if hidden else 'validation'}-{number}",
            description="The cases of this phase come from three hospitals.",
            case_set=self.case_sets[hidden],
            evaluation_version=evaluation.VERSION,
            opens_at=self.now - timedelta(days=90 - opened),
            closes_at=self.now + timedelta(days=10 + number),
            cases_are_public=not hidden,
            publication=Phase.Publication.HALF if hidden else Phase.Publication.EVERYTHING,
            counting=Phase.Counting.BEST if hidden else Phase.Counting.LAST,
            runs_total=max(20, self.size.runs),
            batch_size=self.size.batch_size,
        )

    def _show_references(self) -> None:
        """Results from elsewhere on the boards of each phase."""
        told = {"table": "baselines", "not_comparable": "Another case set.", "source": "A paper", "cases": 200}
        ReferenceRow.objects.bulk_create(
            ReferenceRow(phase=phase, algorithm=f"Baseline {one}", numbers=_REFERENCE_NUMBERS, **told)
            for phase in self.phases
            for one in range(17)
        )

    # --- what teams handed in -----------------------------------------------------------------------------------------

    def _invite_and_approve(self) -> None:
        """Of every team an invitation that somebody may answer, and an approval in the first phase."""
        times = {"created_at": self.now - HOUR, "sent_at": self.now - HOUR, "expires_at": self.now + 300 * HOUR}
        Invitation.objects.bulk_create(
            Invitation(
                team=team,
                email=f"invited@{team.slug}.example.org",
                token_hash=self._digest("invitation", team.slug)[7:],
                invited_by=captain,
                **times,
            )
            for team, captain in zip(self.teams, self.captains, strict=True)
        )
        approved = {"state": TeamApproval.State.APPROVED, "decided_at": self.now - HOUR, "decided_by": self.people[0]}
        TeamApproval.objects.bulk_create(
            TeamApproval(team=team, phase=self.phases[0], asked_by=captain, asked_at=self.now - 2 * HOUR, **approved)
            for team, captain in zip(self.teams, self.captains, strict=True)
        )

    def _make_images(self) -> list[AlgorithmImage]:
        config = {"Entrypoint": ["python", "/app/segment.py"], "Labels": {"version": "1"}, "Env": ["A=b"] * 40}
        return AlgorithmImage.objects.bulk_create(
            AlgorithmImage(
                image_id=self._digest("image", number),
                archive=self._digest("archive", number),
                archive_bytes=9_000_000_000,
                unpacked_bytes=21_000_000_000,
                layers=12,
                warnings=["The image has no user of its own."] if number % 3 else [],
                config=config,
            )
            for number in range(self.size.teams)
        )

    def _make_submissions(self) -> list[Submission]:
        made = [
            self._submission(team, number)
            for number in range(self.size.runs)
            for team in range(self.size.teams)
            if number < self.size.of_team(team, self.size.runs)
        ]
        return Submission.objects.bulk_create(made, batch_size=1000)

    def _submission(self, team: int, number: int) -> Submission:
        is_last = number == self.size.of_team(team, self.size.runs) - 1
        fate = SCORED if number < 2 else self._chosen(LAST if is_last else ENDED)
        self.fates.append(fate)
        accepted = self._accepted_at(number, is_last=is_last)
        disqualified = fate is SCORED and number > 1 and self.rng.random() < 0.03
        rejected = fate.state == SubmissionState.REJECTED
        return Submission(
            team=self.teams[team],
            phase=self.phases[number % self.size.phases],
            submitted_by=self.captains[team],
            track=Submission.Track.OVERALL if team % 5 == 4 else Submission.Track.MAIN,
            algorithm=f"Grounder {team}.{number}",
            method=SENTENCE * self.rng.randint(3, 40),
            external_data="none" if team % 2 else "CT-RATE, public; BiomedVLP-CXR-BERT, public. " * 3,
            state=fate.state,
            reason_code="no_entrypoint" if rejected else "",
            reason="The image has no ENTRYPOINT and no CMD: it cannot be started." if rejected else "",
            upload=self._digest("upload", team, number),
            upload_file=f"{team}-{number}.upload",
            upload_name="image.tar.gz",
            upload_bytes=9_140_000_000,
            image=self.images[team] if fate.state == ACCEPTED else None,
            accepted_at=accepted,
            quota_day=accepted.astimezone(UTC).date(),
            charged=fate.charged,
            disqualified_at=self.now if disqualified else None,
            disqualified_reason="The method used the test cases." if disqualified else "",
        )

    def _chosen(self, fates: dict[Fate, int]) -> Fate:
        return self.rng.choices(list(fates), list(fates.values()))[0]

    def _accepted_at(self, number: int, *, is_last: bool) -> datetime:
        """Spread over the weeks in which all phases are open; the last ones within hours of the present."""
        if is_last:
            return self.now - HOUR * self.rng.uniform(1, 8)
        share = (number + self.rng.random()) / self.size.runs
        return self.now - timedelta(days=45) + timedelta(days=44) * share

    def _make_runs(self) -> list[Run]:
        made = []
        for index, (submission, fate) in enumerate(zip(self.submissions, self.fates, strict=True)):
            for number in range(1, 1 + (self.size.reruns if index == 0 else bool(fate.path))):
                made.append(self._run(submission, fate, number))
        return Run.objects.bulk_create(made, batch_size=1000)

    def _run(self, submission: Submission, fate: Fate, number: int) -> Run:
        begun = submission.accepted_at + 0.1 * HOUR * self.rng.uniform(1, 3) + number * HOUR / 100
        state, has_begun = fate.path[-1], len(fate.path) > 1 and fate.path[1] != RunState.CANCELLED
        has_ended = state in {RunState.SCORED, RunState.FAILED, RunState.CANCELLED}
        reason_code = {RunState.FAILED: "failures_in_row", RunState.HALTED: "host_lost"}.get(state, "")
        reason = f"{FAILED_LATER.said}." if state == RunState.FAILED else ""
        return Run(
            submission=submission,
            number=number,
            token=self._digest("run", submission.pk, number)[7:23],
            state=state,
            reason_code=reason_code,
            reason=f"{INTERRUPTED.title}. {INTERRUPTED.means}" if state == RunState.HALTED else reason,
            evaluation_version=evaluation.VERSION if state == RunState.SCORED else "",
            created_at=submission.accepted_at + HOUR / 30,
            started_at=begun if has_begun else None,
            ended_at=begun + HOUR * 0.4 if has_ended else None,
            faults=1 if state == RunState.HALTED else 0,
            retry_at=self.now + HOUR if state == RunState.HALTED and self.rng.random() < 0.8 else None,
        )

    def _find_equal_entries(self) -> None:
        """Every tenth team has handed in the upload of the one before, and each of its submissions shares in it."""
        found = [
            Equality(kind=Equality.Kind.UPLOAD, key=self._digest("shared", number), found_at=self.now)
            for number in range(1, self.size.teams, 10)
        ]
        Equality.objects.bulk_create(found)
        for equality, number in zip(found, range(1, self.size.teams, 10), strict=True):
            pair = {self.teams[number - 1].pk, self.teams[number].pk}
            EqualEntry.objects.bulk_create(
                EqualEntry(equality=equality, submission=one, added_at=self.now)
                for one in self.submissions
                if one.team_id in pair
            )
        Submission.objects.update(compared_at=self.now)
        Run.objects.update(compared_at=self.now)

    def _record_decisions(self) -> None:
        disqualified = [one for one in self.submissions if one.disqualified_at]
        entries: list[tuple[Any, ...]] = [
            ("create team", "team", team.pk, team.name, f"Person 0 of {team.slug}", team.created_at, {}, {})
            for team in self.teams
        ]
        before, after = {"disqualified_reason": ""}, {"disqualified_reason": "The method used the test cases."}
        entries += [
            ("disqualify", "submission", one.pk, one.algorithm, "Olga", self.now, before, after) for one in disqualified
        ]
        changed = [{"changed": {"fields": ["Disqualified reason"]}}]
        LogEntry.objects.bulk_create(
            LogEntry(
                user=self.people[0],
                content_type=ContentType.objects.get_for_model(Submission),
                object_id=str(one.pk),
                object_repr=str(one),
                action_flag=CHANGE,
                change_message=json.dumps(changed),
            )
            for one in [*disqualified, *self.submissions[: self.size.teams]]
        )
        AuditEntry.objects.bulk_create(
            AuditEntry(
                action=action, target_type=kind, target_id=str(pk), target=name, by=by, at=at, before=old, after=new
            )
            for action, kind, pk, name, by, at, old, new in entries
        )


def _person(username: str, name: str) -> User:
    return User(username=username, email=f"{username}@example.org", name=name)
