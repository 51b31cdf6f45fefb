"""Names that a reader takes for each other, and names that one does not."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import connection

from leaderboard.core.refusal import Refused
from leaderboard.core.text import check_no_link
from leaderboard.models import Team
from leaderboard.people import names, teams
from tests.leaderboard import cast

LOOK_LIKE_LINGULA = {
    "a Cyrillic letter": "Lіngula",
    "two of them": "Lіngulа",
    "a Greek letter": "Lιngula",
    "another case": "lINGULA",
    "a digit": "L1ngula",
    "spaces": "Lin gula",
    "punctuation": "Lin-gu.la!",
    "a zero-width space": "Lin\u200bgula",
    "a zero-width joiner": "Lingula\u200d",
    "a word joiner": "\u2060Lingula",
    "a soft hyphen": "Lin\u00adgula",
    "a variation selector": "Lingula\ufe0f",
    "a combining joiner": "Lin\u034fgula",
    "a filler": "Lingula\u3164",
    "a Braille blank": "Lin\u2800gula",
    "a dotless letter with a dot": "Lı\u0307ngula",
    "a capital with a dot": "Lİngula",
    "a tag character": "Lingula\U000e0041",
    "full width": "Ｌｉｎｇｕｌａ",
    "mathematical letters": "𝐋𝑖𝓃𝔤𝕦𝖑𝚊",
    "letters in circles": "Ⓛingula",
    "Cherokee": "Ꮮingula",
    "a bar": "Lingu|a",
}


@pytest.mark.parametrize("name", LOOK_LIKE_LINGULA.values(), ids=LOOK_LIKE_LINGULA.keys())
@pytest.mark.django_db
def test_a_name_that_looks_like_a_teams_is_refused(name):
    cast.team_of(cast.person("Alice"), name="Lingula")
    with pytest.raises(Refused, match="There is a team"):
        teams.create_team(cast.person("Mallory"), name=name)


HONEST = (
    *("Lingula", "Lingual", "Léon", "Leon", "β-Net", "Net", "Γ-Net", "Y-Net", "肺结节 AI", "肺炎 AI", "C++ CT"),
    *(
        "C CT",
        "Ünal Lab",
        "Unal Lab",
        "Команда M",
        "Команда K",
        "µCT",
        "Ωmega X",
        "Omega X",
        "Team α",
        "Team 2",
        "Team 3",
    ),
)


@pytest.mark.django_db
def test_honest_names_of_many_scripts_stand_beside_each_other():
    for number, name in enumerate(HONEST):
        teams.create_team(cast.person(f"Person{number}"), name=name)
    assert {team.name for team in Team.objects.all()} == set(HONEST)
    assert Team.objects.values("slug").distinct().count() == len(HONEST)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("modern", "modem"),
        ("AIpha", "Alpha"),
        ("O2", "02"),
        ("Нilum", "Hilum"),
        ("Саrina", "Carina"),
        ("MODEM", "modem"),
    ],
)
def test_they_have_one_skeleton(one, other):
    assert names.skeleton(one) == names.skeleton(other)


def test_the_table_is_the_one_by_which_stored_names_were_compared():
    """Another version of the library has other data: write a migration that makes the stored skeletons anew."""
    table = repr(sorted(names._table().items())).encode()
    assert hashlib.sha256(table).hexdigest()[:16] == "584af9af3bc107a0"


@pytest.mark.parametrize("name", ["\u3164", "...", "\u200b", "!?"])
@pytest.mark.django_db
def test_a_name_of_which_nothing_is_seen_is_refused(name):
    with pytest.raises(Refused, match="at least one"):
        teams.create_team(cast.person("Alice"), name=name)


@pytest.mark.parametrize(
    "name", ["Win at evil.com", "Evil.ORG", "lab.example.de/win", "Ann <ann@evil.net>", "http://x"]
)
def test_a_name_of_which_mail_programs_make_a_link_is_refused(name):
    with pytest.raises(ValidationError, match="Leave addresses"):
        check_no_link(name)


def test_names_may_have_dots():
    for name in ("Dr. med. Ann Lee", "U.S. Lab", "Univ.-Klinik St.Gallen", "Dept. Radiology/Oncology", "Perception.AI"):
        check_no_link(name)


@pytest.mark.django_db
def test_a_team_that_ended_leaves_its_name_to_others():
    alice = cast.person("Alice")
    teams.leave_team(alice, cast.team_of(alice, name="Lingula"))
    assert teams.create_team(cast.person("Bob"), name="Lіngula").slug


@pytest.mark.django_db(transaction=True)
def test_of_two_who_found_look_alikes_at_the_same_instant_one_wins_and_the_other_reads_why():
    people = [cast.person(name) for name in ("Alice", "Mallory")]

    def found(person, name):
        try:
            return str(teams.create_team(person, name=name))
        except Refused as refusal:
            return str(refusal)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(found, people, ("Lingula", "Lіngula")))
    assert Team.objects.count() == 1
    assert sum("There is a team" in answer for answer in answers) == 1


# --- teams of before --------------------------------------------------------------------------------------------------


@pytest.fixture
def old_teams(db) -> tuple[Team, Team]:
    """Two that look alike, founded before names were compared."""
    return Team.objects.create(name="Lingula", slug="one"), Team.objects.create(name="Lіngula", slug="two")


def migrated() -> None:
    import_module("leaderboard.migrations.0009_accounts").look_at_names(apps, None)


def test_teams_of_before_that_look_alike_both_stay(old_teams):
    migrated()
    assert list(Team.objects.order_by("pk").values_list("name", "skeleton")) == [
        ("Lingula", names.skeleton("Lingula")),
        ("Lіngula", None),
    ]


@pytest.mark.parametrize("before", [migrated, lambda: None], ids=["compared", "founded during an upgrade"])
@pytest.mark.parametrize("left", [0, 1])
def test_a_third_one_is_refused_beside_either(old_teams, before, left):
    before()
    old_teams[left].delete()
    with pytest.raises(Refused, match="There is a team"):
        teams.create_team(cast.person("Mallory"), name="L1ngula")


# --- in the administration --------------------------------------------------------------------------------------------


@pytest.fixture
def rename(admin_client):
    def change(team, name):
        words = {"name": name, "slug": team.slug, "affiliation": "", "why": "asked"}
        forms = {f"memberships-{field}": "0" for field in ("TOTAL_FORMS", "INITIAL_FORMS")}
        return admin_client.post(f"/admin/leaderboard/team/{team.pk}/change/", words | forms)

    return change


def test_a_team_is_not_renamed_into_anothers_look_alike(old_teams, rename):
    third = Team.objects.create(name="Hilum", slug="hilum")
    answer = rename(third, "L1ngula")
    assert "There is a team" in answer.content.decode()
    third.refresh_from_db()
    assert third.name == "Hilum"


def test_a_renamed_team_holds_its_new_name_and_gives_up_the_old_one(db, rename):
    team = Team.objects.create(name="Hilum", slug="hilum", skeleton=names.skeleton("Hilum"))
    assert rename(team, "Carina").status_code == 302
    assert teams.create_team(cast.person("Bob"), name="Hi1um")
    with pytest.raises(Refused):
        teams.create_team(cast.person("Mallory"), name="Саrina")


def test_a_team_of_before_keeps_its_name_when_something_else_is_changed(old_teams, rename):
    assert rename(old_teams[1], "Lіngula").status_code == 302
