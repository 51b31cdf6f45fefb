"""The demonstration: a challenge small enough for a minute, and real in every part.

The cases are generated, imported like the real ones and hidden; the images are built from the template in
containers/example/ and handed in like any team's. Nothing here reaches into a run: rows are earned.
"""

import hashlib
import hmac
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import docker
from django.conf import settings
from django.utils.text import slugify

from containers.example import base as example
from leaderboard.challenge import importing, reference_rows
from leaderboard.challenge.casesets.official import read_case_set
from leaderboard.core import clock
from leaderboard.core.audit import Actor
from leaderboard.demo import cases as demo_cases
from leaderboard.demo import telling
from leaderboard.journey import submitting
from leaderboard.models import CaseSet, Phase, Submission, Team, User
from leaderboard.people import addresses, rules, teams
from leaderboard.states import Role
from leaderboard.submissions import uploads

Say = Callable[[str], None]
MIB = 1 << 20
DEVELOPMENT_SEED = 38
ORGANISER = "organiser@example.org"


class Entrant(NamedTuple):
    """A team of the demonstration and what it hands in."""

    team: str
    affiliation: str
    captain: str
    algorithm: str
    variant: str
    develops: bool = False  # hands in to the development phase, too


# In the order in which they stand on the board: reading more of the sentence pays, and so does not crashing.
ENTRANTS = (
    Entrant("Lingula", "Institute for Pulmonary Imaging", "ada@example.org", "WordGrounder", "words", develops=True),
    Entrant("Fissure", "University Hospital North", "ben@example.org", "WordGrounder-fragile", "fragile"),
    Entrant("Hilum", "Radiology Lab East", "cai@example.org", "WordGrounder-stuck", "stuck"),
    Entrant("Carina", "Faculty of Informatics", "dia@example.org", "SideOnly", "side-only", develops=True),
    Entrant("Pleura", "Independent", "eli@example.org", "Threshold", "threshold"),
)
CAPTAIN = ENTRANTS[0].captain
SLUGS = ("development", "test")
# The one that waits for a clock begins while the others' images are made.
HANDED_IN = ("stuck", "fragile", "threshold", "side-only", "words")


def make_challenge(say: Say) -> list[Phase]:
    """The demo's phases, made once: a development phase on public cases and a test phase on hidden ones."""
    ours = Phase.objects.filter(slug__in=SLUGS)
    if not ours:
        _make_organiser()
        _make_phase(
            "Development phase",
            "development",
            "Public validation cases: you see every case, its log and its scores.",
            _import_cases("demo-validation", "val", DEVELOPMENT_SEED, say),
            cases_are_public=True,
            counting=Phase.Counting.BEST,
            runs_per_day=10,
            runs_total=100,
        )
        test = _make_phase(
            "Test phase",
            "test",
            "Hidden cases. The last run that a team hands in before the deadline counts.",
            _import_cases("demo-test", "test", demo_cases.SEED, say),
        )
        for name, table in reference_rows.published().items():
            reference_rows.import_table(test, name, table, by=Actor.command_line())
        development = Phase.objects.get(slug="development")
        ours.update(try_outs_on=development)
        telling.tell(development.case_set)
    return list(ours.all().order_by("slug"))


def _make_phase(name: str, slug: str, description: str, case_set: CaseSet, **policies: Any) -> Phase:
    now = clock.now()
    return Phase.objects.create(
        name=name,
        slug=slug,
        description=description,
        case_set=case_set,
        opens_at=now - timedelta(days=1),
        closes_at=now + timedelta(days=30),
        gpus=0,
        cpus=2,
        batch_size=4,
        case_seconds=10,
        startup_seconds=20,
        memory_bytes=1536 * MIB,
        shm_bytes=64 * MIB,
        tmp_bytes=128 * MIB,
        output_bytes=64 * MIB,
        max_archive_bytes=2000 * MIB,
        max_unpacked_bytes=4000 * MIB,
        **policies,
    )


def entrants_of(phase: Phase) -> list[Entrant]:
    """Who hands in to the phase, best first."""
    return [entrant for entrant in ENTRANTS if not phase.cases_are_public or entrant.develops]


def submit_for_teams(phases: list[Phase], say: Say) -> list[Submission]:
    """One submission to each phase for each entrant that has none there yet.

    To hidden phases as soon as the image is made, to public ones afterwards: what happens on hidden cases is seen up to
    a minute later.
    """
    known = set(Submission.objects.filter(phase__in=phases).values_list("phase_id", "team__name"))
    missing = [(phase, one) for phase in phases for one in entrants_of(phase) if (phase.pk, one.team) not in known]
    with tempfile.TemporaryDirectory(prefix="rexg-demo-") as folder:
        for variant in _build_images({one.variant for _, one in missing}, Path(folder), say):
            for phase, entrant in missing:
                if entrant.variant == variant and not phase.cases_are_public:
                    _submit(entrant, phase, Path(folder), say)
        for phase, entrant in missing:
            if phase.cases_are_public:
                _submit(entrant, phase, Path(folder), say)
    return list(
        Submission.objects.filter(phase__in=phases, team__name__in=[one.team for one in ENTRANTS]).order_by("pk")
    )


def as_it_is(submissions: list[Submission]) -> list[Submission]:
    """The same submissions as the database has them now, with what a line about each says."""
    rows = Submission.objects.filter(pk__in=[one.pk for one in submissions]).order_by("pk")
    return list(rows.select_related("phase", "team", "cases_of").prefetch_related("runs"))


def password() -> str:
    """The password of the demo's accounts: fixed for an installation, unknown to everybody else."""
    return hmac.new(settings.SECRET_KEY.encode(), b"demo accounts", hashlib.sha256).hexdigest()[:12]


def check_over_http(phase: Phase) -> str:
    """What is wrong with the leaderboard as a visitor reads it; empty when the expected rows stand in order."""
    address = f"{settings.SITE_URL}/leaderboard/{phase.slug}/"
    with urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310  our own address
        reader = _BoardReader()
        reader.feed(answer.read().decode())
    expected = [slugify(entrant.team) for entrant in entrants_of(phase)]
    if reader.teams != expected:
        return f"{address} shows the teams {reader.teams}, expected {expected}."
    return ""


class _BoardReader(HTMLParser):
    """The teams of a leaderboard page, in order of their rows."""

    def __init__(self) -> None:
        super().__init__()
        self.teams: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A row is a table body with the team's slug in its id."""
        name = dict(attrs).get("id") or ""
        if tag == "tbody" and name.startswith("team-"):
            self.teams.append(name.removeprefix("team-"))


def _import_cases(name: str, split: str, seed: int, say: Say) -> CaseSet:
    with tempfile.TemporaryDirectory(prefix="rexg-demo-") as folder:
        files = Path(folder)
        say(f"Generating {demo_cases.CASES} synthetic chest CTs: {name}")
        dataset = demo_cases.generate_demo(files, split=split, seed=seed)
        checked = read_case_set(dataset, split=split, images_dir=files / "images", masks_dir=files / "masks")
        case_set, _ = importing.import_case_set(name, checked, by=Actor.command_line())
    return case_set


def _build_images(variants: set[str], folder: Path, say: Say) -> Iterator[str]:
    """Some variants of the example, one after the other, once its archives lie in the folder."""
    if not variants:
        return
    say("Building the example images")
    with closing(docker.from_env(timeout=600)) as client:
        base = example.build_base(client)
        for variant in sorted(variants, key=HANDED_IN.index):
            tag = f"{settings.INSTANCE}-demo:{variant}"
            example.build_image(client, variant, base=base, tag=tag)
            example.save_image(client, tag, folder / f"{variant}.tar")
            example.save_weights(variant, folder / f"{variant}-weights.tar.gz")
            yield variant


def _submit(entrant: Entrant, phase: Phase, folder: Path, say: Say) -> None:
    captain = _make_person(entrant.captain)
    team = Team.objects.filter(name=entrant.team).first()
    if team is None:
        team = teams.create_team(captain, name=entrant.team, affiliation=entrant.affiliation)
    weights = folder / f"{entrant.variant}-weights.tar.gz"
    submitting.submit(
        user=captain,
        team=team,
        phase=phase,
        upload=uploads.from_disk(folder / f"{entrant.variant}.tar"),
        weights=uploads.from_disk(weights) if weights.exists() else None,
        track=Submission.Track.MAIN,
        algorithm=entrant.algorithm,
        method=example.method_of(entrant.variant),
        external_data="none",
    )
    say(f"{entrant.team} handed in {entrant.algorithm} to the {phase.name}")


def _make_person(email: str) -> User:
    user = User.objects.filter(email=email).first()
    if user is None:
        name = email.partition("@")[0].capitalize()
        user = User.objects.create_user(username=email, email=email, password=password(), name=name)
        addresses.confirm(user)
        rules.accept_rules(user)
    return user


def _make_organiser() -> None:
    organiser = _make_person(ORGANISER)
    organiser.is_staff = organiser.is_superuser = True
    organiser.role = Role.OWNER
    organiser.save()
