"""What a phase keeps to itself it keeps at every address: that it is a draft, results, and whose they are.

The addresses are those of `tests.bench.addresses`, which are all there are, as visitors, teams and organisers ask them;
beside them there are the commands that print what everybody may see, and the messages about runs.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from io import StringIO
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import transaction
from django.test import override_settings

from leaderboard import api, web
from leaderboard.board import versions
from leaderboard.core import clock
from leaderboard.models import (
    BoardRow,
    BoardVersion,
    ChallengeDate,
    ListedRun,
    OutgoingMail,
    PendingNotice,
    Phase,
    ReferenceRow,
    Run,
    RunCase,
    Standing,
    StateChange,
    Submission,
    TeamAlias,
    User,
)
from leaderboard.notices import runs
from leaderboard.people import tokens
from tests.bench import addresses, population
from tests.bench.addresses import ADDRESSES, Address
from tests.bench.measuring import Site
from tests.bench.plan import Size
from tests.leaderboard.web.rivals import Rivals, write_private_words

pytestmark = pytest.mark.django_db
SECRET = "Phase of the Moon"
SLUG = "phase-of-the-moon"
NO_SLUG = "phase-of-the-noon"
MARK = 0.7313
SHOWN_MARK = re.compile(rf"0\.{int(MARK * 1000)}")
#: What differs from one answer to the next: the address, tokens of forms, tags.
OF_REQUEST = re.compile(
    rf'{SLUG}|{NO_SLUG}|csrfmiddlewaretoken" value="[^"]+|X-CSRFToken": "[^"]+|(?:ETag|RateLimit).*'
)
OF_PHASES = re.compile(r"\{(public|hidden)_phase\}")


class Walk:
    """A small challenge, and whoever asks its addresses: each address as it is meant, by each reader.

    `readers`: nobody, a captain (of whom the population's runs are), a rival, an organiser; by the key of the person.
    """

    def __init__(self) -> None:
        population.fill(Size(4, 3, cases=2, members=2, hosts=1, slots=1, batch_size=1, kinds=2, distinct=1, reruns=1))
        self.watched = addresses.watched()
        rival = User.objects.filter(membership__is_captain=True).latest("membership__team__slug")
        self.readers = {"nobody": None, "captain": self.watched["captain"], "rival": rival.pk}
        self.readers["organiser"] = self.watched["organiser"]
        self.tokens = {who: tokens.compose(who[0].upper() * 30) for who, person in self.readers.items() if person}
        self.site, self.store = Site(), settings.STORE_DIR
        for who, token in self.tokens.items():
            addresses.give_token(self.readers[who], token)
            self.site.client(self.readers[who]).get("/")  # signs in

    def phase(self, kind: str) -> Phase:
        """The phase on public, or on hidden cases."""
        return Phase.objects.get(slug=self.watched[f"{kind}_phase"])

    def make_boards_anew(self) -> None:
        """As if its boards had been made by what is so now alone."""
        BoardVersion.objects.all().delete()
        BoardRow.objects.all().delete()
        ListedRun.objects.all().delete()
        for phase in Phase.objects.all():
            versions.make(phase.pk)

    def ask(self, one: Address, who: str, **names: Any) -> tuple[int, str]:
        """Its status, and what it says in all; nothing of it stays."""
        sent = one.request({**self.watched, **names})
        person, headers = self.readers[who], dict(sent["headers"])
        if one.path.startswith("/api/"):
            headers = {"Authorization": f"Bearer {self.tokens[who]}"} if who in self.tokens else {}
        with transaction.atomic():
            response = self.site.client(person).generic(
                sent["method"], sent["path"], sent["data"], content_type=sent["content_type"], headers=headers
            )
            content = b"".join(response.streaming_content) if response.streaming else response.content
            transaction.set_rollback(True)
        told = [f"{name}: {value}" for name, value in response.headers.items() if name != "Set-Cookie"]
        return response.status_code, "\n".join([*told, content.decode(errors="replace")])


@pytest.fixture(scope="module")
def challenge(django_db_setup, django_db_blocker, module_store) -> Iterator[Walk]:
    unlimited: dict[str, Any] = {"API_REQUESTS_PER_MINUTE": 10**6, "MFA_RATE_LIMITS": {}}
    unlimited |= {"ACCOUNT_RATE_LIMITS": dict.fromkeys(settings.ACCOUNT_RATE_LIMITS)}
    with django_db_blocker.unblock(), override_settings(**unlimited), transaction.atomic():
        with pytest.MonkeyPatch.context() as patch:
            at = clock.now()
            patch.setattr(clock, "now", lambda: at)  # answers differ by what is told alone
            yield Walk()
        transaction.set_rollback(True)


@pytest.fixture(autouse=True)
def boards_keep_up() -> None:
    """Each test says when boards are made, and nothing that is asked stays."""


@pytest.fixture
def walk(challenge, db, settings) -> Walk:
    """The same for each test, which changes it for itself alone."""
    settings.STORE_DIR = challenge.store
    return challenge


def each_once(asked: Iterable[Address]) -> list[Address]:
    """Without those that are the same request, meant for somebody else."""
    found: dict[object, Address] = {}
    for one in asked:
        found.setdefault((one.method, one.path, one.body), one)
    return list(found.values())


#: The addresses, each once, but those of the administration and of the desk: that nobody else gets in there,
#: `test_rivals` holds.
OF_ORGANISERS = ("/admin/", "/organisers/")
SITE = each_once(one for one in ADDRESSES if not one.state and not one.path.startswith(OF_ORGANISERS))
PAGES = [one for one in SITE if one.method == "GET"]


def at(*paths: str) -> list[Address]:
    """The pages at these paths."""
    return [one for one in PAGES if one.path in paths]


# --- drafts -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def draft(walk) -> Phase:
    """A draft that would be open, with everything that a phase can have beside runs."""
    now = clock.now()
    draft = Phase.objects.create(
        name=SECRET,
        slug=SLUG,
        is_draft=True,
        case_set=walk.phase("public").case_set,
        cases_are_public=True,
        opens_at=now - timedelta(days=1),
        closes_at=now + timedelta(hours=30),
        requires_approval=True,
        max_archive_bytes=10**15,
        try_outs_on=walk.phase("public"),
    )
    ChallengeDate.objects.create(phase=draft, moment=ChallengeDate.Moment.CLOSES, label=f"End of the {SECRET}")
    ReferenceRow.objects.create(
        phase=draft, table="t", algorithm="A", not_comparable=SECRET, source=SECRET, numbers={"all": {"dice": 0.2}}
    )
    walk.make_boards_anew()
    return draft


@pytest.mark.usefixtures("draft")
@pytest.mark.parametrize("who", ["nobody", "captain"])
def test_nobody_reads_of_a_draft_at_any_address(walk, who):
    found = {}
    for one in SITE:
        status, said = walk.ask(one, who)
        if any(secret in said for secret in (SECRET, SLUG, str(10**15))):
            found[one.name] = status
    assert found == {}


@pytest.mark.usefixtures("draft")
@pytest.mark.parametrize("who", ["nobody", "captain"])
def test_whoever_guesses_the_name_of_a_draft_is_answered_like_whoever_names_no_phase(walk, who):
    unlike, asked = [], 0
    for one in SITE:
        if not (OF_PHASES.search(one.path) or SLUG in str(body_of(one, walk, SLUG))):
            continue
        asked += 1
        theirs, none = (walk.ask(one, who, public_phase=slug, hidden_phase=slug) for slug in (SLUG, NO_SLUG))
        if (theirs[0], OF_REQUEST.sub("", theirs[1])) != (none[0], OF_REQUEST.sub("", none[1])):
            unlike.append((one.name, theirs[0], none[0]))
    assert unlike == []
    assert asked > 20


def body_of(one: Address, walk: Walk, slug: str) -> object:
    """What is sent where the phases of the address are named so."""
    return one.request({**walk.watched, "public_phase": slug, "hidden_phase": slug})["data"]


@pytest.mark.usefixtures("draft")
def test_organisers_find_a_draft_where_it_will_be_and_it_says_that_it_is_one(walk):
    names = {"public_phase": SLUG, "hidden_phase": SLUG}
    boards = [one for one in PAGES if one.path in ("/leaderboard/{public_phase}/", "/guidelines/")]
    assert len(boards) == 2
    for one in boards:
        status, said = walk.ask(one, "organiser", **names)
        assert (status, SECRET in said) == (200, True), one.name
        assert "Organisers alone see this phase." in said or f"{SECRET} (draft)" in said
    status, said = walk.ask(Address("/leaderboard/{hidden_phase}/", 0), "organiser")
    assert f"{SECRET} (draft)" in said, "among the phases to choose from"
    status, said = walk.ask(Address("/api/v1/phases", 0), "organiser")
    assert (status, SLUG in said, '"is_draft": true' in said) == (200, True, True)
    status, said = walk.ask(Address("/leaderboard/", 0), "organiser")
    assert (status, SLUG in said) == (302, False), "it is not the phase that matters now"


def test_a_draft_has_no_board_and_no_command_shows_it_to_everybody(draft):
    assert not BoardVersion.objects.filter(phase=draft).exists()
    with pytest.raises(CommandError) as refusal:
        call_command("standings", phase=SLUG)
    assert SLUG not in str(refusal.value).partition("Known")[2]
    shown = StringIO()
    call_command("standings", phase=SLUG, unrounded=True, stdout=shown)
    assert SECRET in shown.getvalue(), "organisers see its reference row"


def test_a_draft_that_is_published_is_there(walk, draft):
    Phase.objects.filter(pk=draft.pk).update(is_draft=False)
    versions.make(draft.pk)
    for path in ("/leaderboard/{hidden_phase}/", "/api/v1/phases", "/dates.ics", "/guidelines/", "/"):
        status, said = walk.ask(Address(path, 0), "nobody", hidden_phase=SLUG)
        assert (status, SECRET in said) == (200, True), path


def test_pages_and_api_ask_for_phases_by_their_reader():
    """Nowhere there does a phase come from another question than those that leave drafts out."""
    asked: dict[str, set[str]] = {}
    for package in (web, api):
        for path in Path(package.__path__[0]).rglob("*.py"):
            for found in re.findall(r"Phase\.objects\.?(\w*)|_or_404\((Phase)\b", path.read_text()):
                asked.setdefault("".join(found), set()).add(path.name)
    assert asked.pop("known_to") == {"context.py"}
    assert set(asked) == {"published"}


# --- results ----------------------------------------------------------------------------------------------------------


def marked(value: Any) -> Any:
    """The same with each number that is a score being one that would be known anywhere."""
    if isinstance(value, float):
        return MARK
    if isinstance(value, dict):
        return {name: marked(each) for name, each in value.items()}
    return [marked(each) for each in value] if isinstance(value, list) else value


def mark_numbers(phase: Phase) -> None:
    """Let all runs of a phase have reached the same."""
    for one in Standing.objects.filter(run__submission__phase=phase):
        Standing.objects.filter(pk=one.pk).update(dice=MARK, summary=marked(one.summary), groups=marked(one.groups))
    for case in RunCase.objects.filter(run__submission__phase=phase):
        RunCase.objects.filter(pk=case.pk).update(result=marked(case.result))


def everywhere(walk: Walk, who: str, pages: Sequence[Address] = PAGES) -> dict[str, int]:
    """At which of these addresses this reader finds the marked number."""
    found = {}
    for one in pages:
        status, said = walk.ask(one, who)
        if SHOWN_MARK.search(said):
            found[one.name] = status
    return found


def tell_of_a_run(walk: Walk) -> None:
    """What the team is told by mail of its run that was scored."""
    run = Submission.objects.get(pk=walk.watched["scored_hidden"]).latest_run
    assert run is not None
    scored = {"from_state": "scoring", "to_state": "scored", "at": clock.now() - timedelta(minutes=2), "by": "server"}
    PendingNotice.objects.create(change=StateChange.objects.create(submission=run.submission, run=run, **scored))
    runs.write_due()


def printed(walk: Walk) -> set[str]:
    """In which commands that everybody's board is printed by, and in whose messages, it stands."""
    found = {f"mail to {mail.to}" for mail in OutgoingMail.objects.all() if SHOWN_MARK.search(mail.body)}
    for track, as_json in product(Submission.Track.values, (False, True)):
        table = StringIO()
        call_command("standings", phase=walk.watched["hidden_phase"], track=track, json=as_json, stdout=table)
        found |= {f"standings {track} {as_json}"} if SHOWN_MARK.search(table.getvalue()) else set()
    return found


@pytest.mark.parametrize("why", ["nothing is published", "there is an embargo after a reveal"])
def test_what_a_phase_withholds_stands_nowhere(walk, why):
    phase, now = walk.phase("hidden"), clock.now()
    withheld: dict[str, dict[str, Any]] = {
        "nothing is published": {"publication": Phase.Publication.NOTHING},
        "there is an embargo after a reveal": {
            "embargo_until": now + timedelta(days=9),
            "closes_at": now - timedelta(hours=2),
            "revealed_at": now - timedelta(hours=1),
        },
    }
    mark_numbers(phase)
    Phase.objects.filter(pk=phase.pk).update(**withheld[why])
    walk.make_boards_anew()
    tell_of_a_run(walk)
    for who in ("nobody", "captain"):
        assert everywhere(walk, who) == {}, who
    assert printed(walk) == set()
    run = Address("/runs/{scored_hidden}/", 0)
    assert "the results are withheld until" in walk.ask(run, "captain")[1]
    assert SHOWN_MARK.search(walk.ask(run, "organiser")[1])


def test_without_that_the_same_numbers_stand_where_they_are_looked_for(walk):
    mark_numbers(walk.phase("hidden"))
    walk.make_boards_anew()
    tell_of_a_run(walk)
    public = ("/leaderboard/{hidden_phase}/", "/leaderboard/{hidden_phase}/board.csv", "/")
    own = ("/runs/", "/runs/{scored_hidden}/")
    assert {f"GET {path} as public" for path in public} <= set(everywhere(walk, "nobody", at(*public)))
    assert {f"GET {path} as captain" for path in own} <= set(everywhere(walk, "captain", at(*own)))
    captains = User.objects.get(pk=walk.readers["captain"]).email
    told = printed(walk)
    assert f"mail to {captains}" in told
    assert len([one for one in told if one.startswith("standings")]) == 4


def test_an_embargo_keeps_what_a_reveal_opens_closed(walk):
    phase, now = walk.phase("hidden"), clock.now()
    assert phase.publication == Phase.Publication.HALF
    revealed = {"closes_at": now - timedelta(hours=2), "revealed_at": now - timedelta(hours=1)}
    opened = [f"/leaderboard/{phase.slug}/{rest}" for rest in ("half.txt", "main/shake-up/")]
    for until, status in ((now, 200), (now + timedelta(seconds=1), 404)):
        Phase.objects.filter(pk=phase.pk).update(embargo_until=until, **revealed)
        walk.make_boards_anew()
        assert [walk.ask(Address(path, 0), "nobody")[0] for path in opened] == [status, status]


def test_a_board_under_embargo_says_until_when(walk):
    phase = walk.phase("hidden")
    Phase.objects.filter(pk=phase.pk).update(embargo_until=clock.now() + timedelta(days=9))
    walk.make_boards_anew()
    for path in ("/leaderboard/{hidden_phase}/", "/leaderboard/{hidden_phase}/main/versions/1/", "/"):
        assert "under embargo</a> until" in " ".join(walk.ask(Address(path, 0), "nobody")[1].split()), path
    assert '"embargo_until"' in walk.ask(Address("/api/v1/phases", 0), "nobody")[1]
    _, said = walk.ask(Address("/guidelines/", 0), "nobody")
    assert "no results before" in said
    assert "no scores before" in said


# --- names ------------------------------------------------------------------------------------------------------------

#: Who holds a team's own link reads which team it leads to.
OWN_LINKS = ("/team/join/", "/team/invitation/")


def names_read(walk: Walk, who: str, rivals: Rivals, pages: Sequence[Address] = PAGES) -> dict[str, set[str]]:
    """In which columns the words of other teams stand that this reader finds, by address."""
    found = {}
    for one in (one for one in pages if not one.path.startswith(OWN_LINKS)):
        _, said = walk.ask(one, who)
        if read := rivals.read_in(said, but=one.path.format_map(walk.watched)):
            found[one.name] = read
    return found


def test_boards_without_names_tell_of_no_team_at_any_address(walk):
    rival = User.objects.get(pk=walk.readers["rival"])
    write_private_words(rival)
    Phase.objects.update(anonymous_until_reveal=True)
    walk.make_boards_anew()
    rivals = Rivals(rival)
    assert names_read(walk, "rival", rivals) == {}
    assert names_read(walk, "nobody", rivals) == {}
    _, said = walk.ask(Address("/leaderboard/{public_phase}/", 0), "rival")
    own = TeamAlias.objects.get(phase=walk.phase("public"), team=rival.membership.team)
    assert re.search(rf">Team {own.number}</bdi></a>\s*<span class=\"tag\">you</span>", said)
    assert len(re.findall(r'<span class="tag">you</span>', said)) == 1
    assert "Teams are named at" in said


def test_with_names_the_same_words_stand_where_they_are_looked_for(walk):
    rival = User.objects.get(pk=walk.readers["rival"])
    write_private_words(rival)
    walk.make_boards_anew()
    board = "/leaderboard/{hidden_phase}/board.csv"
    paths = ("/", "/leaderboard/{public_phase}/", board, "/api/v1/phases/{hidden_phase}/board")
    found = names_read(walk, "nobody", Rivals(rival), at(*paths))
    assert {f"GET {path} as public" for path in paths} <= set(found)


def test_an_anonymous_row_names_neither_team_nor_submission_by_any_key(walk):
    Phase.objects.update(anonymous_until_reveal=True)
    Run.objects.update(ended_at=clock.now() - timedelta(hours=1))
    walk.make_boards_anew()
    slug = walk.watched["public_phase"]
    table = StringIO()
    call_command("standings", phase=slug, json=True, stdout=table)
    rows = [re.findall(r'"submission": ([^,}]+)', table.getvalue()), re.findall(r'"team": "(.+?)"', table.getvalue())]
    assert set(rows[0]) == {"null"}
    assert rows[1]
    assert all(re.fullmatch(r"team-\d+", name) for name in rows[1])
    _, said = walk.ask(Address("/leaderboard/{public_phase}/", 0), "nobody")
    named = set(re.findall(r'id="(?:team|open|row)-([^"]+)"', said)) | set(re.findall(r"open=([^&\"#]+)", said))
    assert named
    assert all(re.fullmatch(r"(after\.)?team-\d+|reference\.\d+", name) for name in named)
    opened = next(name for name in named if name.startswith("team-"))
    _, said = walk.ask(Address(f"/leaderboard/{slug}/?open={opened}", 0), "nobody")
    assert "named at the reveal, with their methods" in said
    instants = re.findall(r'datetime="([^"]+)"', said.partition("Counting run of")[2].partition("</table>")[0])
    assert instants
    assert all(one.endswith("T00:00:00Z") for one in instants), "the day is told, in UTC"
