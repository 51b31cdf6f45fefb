"""The chain of the record: a gap or a change shows, a rollback and a person who is forgotten leave it whole."""

import threading

import pytest
from django.db import DatabaseError, connection, transaction

from leaderboard.core import audit, chain, clock, verification
from leaderboard.core.audit import Actor
from leaderboard.core.chain import START
from leaderboard.core.refusal import Refused
from leaderboard.desk.acting import Outcome, act_on
from leaderboard.desk.acts import ACTS
from leaderboard.hosts import registry
from leaderboard.models import AuditEntry, Host, RecordCheck, User
from leaderboard.people import ending
from tests.leaderboard import cast

pytestmark = pytest.mark.django_db


def decide(host: Host, times: int, why: str = "") -> None:
    """So many decisions."""
    for number in range(times):
        (registry.end_draining if number % 2 else registry.drain)(host, by=cast.OPERATOR, why=why)


def numbers() -> list[int | None]:
    return list(AuditEntry.objects.order_by("number").values_list("number", flat=True))


def by_hand(statement: str) -> None:
    """What whoever owns the database can do."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE leaderboard_auditentry DISABLE TRIGGER USER")
        cursor.execute(statement)
        cursor.execute("ALTER TABLE leaderboard_auditentry ENABLE TRIGGER USER")


@transaction.atomic
def as_our_code(setting: str, change: str) -> None:
    """What the database lets our own code do."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL leaderboard.{setting} = 'yes'")
        cursor.execute(f"UPDATE leaderboard_auditentry SET {change}")


@pytest.fixture
def record(host: Host) -> None:
    """Six entries, chained and verified."""
    decide(host, 6, why="A new driver.")
    assert verification.verify_all().problems == []


def test_entries_are_numbered_in_their_order_and_each_covers_the_one_before(record):
    assert numbers() == [1, 2, 3, 4, 5, 6]
    assert [one.pk for one in AuditEntry.objects.order_by("number")] == sorted(
        AuditEntry.objects.values_list("pk", flat=True)
    )
    assert len({one.digest for one in AuditEntry.objects.all()}) == 6
    assert verification.latest().entries == 6
    assert verification.latest().digest == chain.last().digest


def test_what_is_rolled_back_or_only_played_leaves_no_gap(host):
    by = cast.OPERATOR
    for _ in range(3):
        with transaction.atomic():
            registry.drain(host, by=by)
            transaction.set_rollback(True)
        host.refresh_from_db()
        [outcome] = act_on(ACTS["drain-host"], [host], {}, by=by, why="", dry_run=True)
        assert len(outcome.entries) == 1
    with audit.noting() as noted:
        decide(host, 2)
    assert len(noted) == 2
    assert verification.verify_all().problems == []
    assert numbers() == [1, 2]


def test_an_entry_that_is_taken_out_shows(record):
    by_hand("DELETE FROM leaderboard_auditentry WHERE number = 3")
    assert verification.verify_all().problems == ["Entry 3 is gone."]
    by_hand("DELETE FROM leaderboard_auditentry WHERE number = 4")
    assert verification.verify_all().problems == ["Entries 3 to 4 are gone."]


def test_a_gap_that_is_closed_by_new_numbers_shows(record):
    by_hand("DELETE FROM leaderboard_auditentry WHERE number = 3")
    by_hand("UPDATE leaderboard_auditentry SET number = number - 1 WHERE number > 3")
    assert "Entry 3 was changed." in verification.verify_all().problems


def test_an_end_that_is_cut_off_shows_also_when_others_follow(record, host):
    by_hand("DELETE FROM leaderboard_auditentry WHERE number > 4")
    [problem] = verification.verify_all().problems
    assert problem.startswith("Entry 6, which was seen ")
    decide(host, 2)
    assert verification.verify_all().problems == ["Entry 6 is another one than was seen before."]
    assert verification.verify_all().problems, "it is not forgotten"


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ("why = 'Another reason.'", "why"),
        ("\"by\" = 'Somebody else'", "by"),
        ("target = 'gpu-2'", "target"),
        ("before = '{\"draining\": 1}'", "before.draining"),
        ("after = '{}'", "after.draining"),
        ("after = after || '{\"more\": 1}'", "after.more"),
        ("seals = seals - 'why'", "why"),
        ("seals = jsonb_set(seals, '{why}', jsonb_build_array('', seals -> 'why' -> 1, '99')), why = 'x'", "why"),
    ],
)
def test_words_that_are_changed_show(record, change, part):
    by_hand(f"UPDATE leaderboard_auditentry SET {change} WHERE number = 2")
    assert f"Entry 2 was changed: {part}." in verification.verify_all().problems


@pytest.mark.parametrize(
    "change", ["at = now()", "user_id = 7", "action = 'x'", "target_type = 'x'", "target_id = '0'", "digest = 'x'"]
)
def test_what_never_changes_shows_when_it_did(record, change):
    by_hand(f"UPDATE leaderboard_auditentry SET {change} WHERE number = 2")
    assert "Entry 2 was changed." in verification.verify_all().problems


def test_the_database_lets_nobody_renumber_and_chains_an_entry_once(record):
    for setting in ("chains", "forgets_a_person"):
        with pytest.raises(DatabaseError, match="append-only"):
            as_our_code(setting, "number = number + 100")


def test_names_go_only_with_an_account_that_ends(record):
    with pytest.raises(DatabaseError, match="names go with an account"):
        as_our_code("forgets_a_person", "why = 'nothing'")


# --- people -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def alicia(host: Host) -> User:
    """Somebody who decided, of whom others decided, and who is named in a reason; all of it chained."""
    alicia, bob = cast.person("Alicia"), cast.person("Bob")
    team = cast.team_of(bob)
    with transaction.atomic():
        audit.record(Actor.person(alicia), "drain", host, before={"draining": False}, after={"draining": True})
        audit.record(Actor.person(bob), "make captain", team, after={"captain": "Alicia", "user_id": alicia.pk})
        audit.record(
            Actor.person(bob),
            "change user",
            alicia,
            before={"name": "Alicia"},
            after={"name": "Al"},
            why="Alicia asked.",
        )
    assert verification.verify_all().problems == []
    return alicia


def test_a_person_who_is_forgotten_leaves_the_chain_whole(alicia):
    digests = list(AuditEntry.objects.order_by("number").values_list("digest", flat=True))
    ending.end_account(alicia)
    assert "Alicia" not in str(list(AuditEntry.objects.values()))
    found = verification.verify_all()
    assert found.problems == []
    assert found.entries == len(digests) + 1
    after = list(AuditEntry.objects.order_by("number").values_list("digest", flat=True))
    assert after[:-1] == digests


def test_of_what_was_forgotten_no_salt_is_left_to_guess_by_and_the_rest_is_still_sealed(alicia):
    number, pk = AuditEntry.objects.get(action="make captain").number, alicia.pk
    ending.end_account(alicia)
    seals = AuditEntry.objects.get(number=number).seals or {}
    assert seals["after.captain"][0] == ""
    assert seals["after.captain"][2] == str(pk)
    assert len(seals["by"]) == 2
    by_hand(f"UPDATE leaderboard_auditentry SET \"by\" = 'x' WHERE number = {number}")
    assert verification.verify_all().problems == [f"Entry {number} was changed: by."]


def test_a_second_person_named_in_the_same_entry_can_go_too(alicia):
    bob = User.objects.get(name="Bob")
    ending.end_account(alicia)
    assert verification.verify_all().problems == []
    ending.end_account(bob)
    assert verification.verify_all().problems == []
    assert "Bob" not in str(list(AuditEntry.objects.values("by", "before", "after", "why", "target")))


def test_where_somebody_was_forgotten_nothing_else_can_be_written(alicia):
    """By whoever owns the database: the seal says for whom it was opened, and that is not proof enough."""
    pk = alicia.pk
    ending.end_account(alicia)
    assert verification.verify_all().problems == []
    opened = f"seals = jsonb_set(seals, '{{why}}', jsonb_build_array('', seals -> 'why' -> 1, '{pk}'))"
    by_hand(f"UPDATE leaderboard_auditentry SET {opened}, why = 'Another reason.' WHERE action = 'make captain'")
    number = AuditEntry.objects.get(action="make captain").number
    assert verification.verify_all().problems == [f"Entry {number} was changed: why."]


# --- breaks that people know of ---------------------------------------------------------------------------------------


def owner() -> User:
    return cast.person("Otis", is_staff=True, is_superuser=True, role="owner")


def acknowledge(by: User, *, dry_run: bool = False) -> Outcome:
    rows, why = [RecordCheck.objects.get()], "A restored disk."
    [outcome] = act_on(ACTS["acknowledge-break"], rows, {}, by=Actor.person(by), why=why, dry_run=dry_run)
    return outcome


def test_a_break_that_an_owner_acknowledged_is_told_no_more_and_another_one_is(record, host):
    by_hand("DELETE FROM leaderboard_auditentry WHERE number = 3")
    by_hand("UPDATE leaderboard_auditentry SET why = 'Another reason.' WHERE number = 5")
    broken = ["Entry 3 is gone.", "Entry 5 was changed: why."]
    assert verification.verify_all().problems == broken
    otis = owner()
    assert acknowledge(otis, dry_run=True).entries[0].before == {"problems": broken}
    assert verification.verify_all().problems == broken
    assert not acknowledge(otis).refused
    assert verification.verify_all().problems == []
    entry = AuditEntry.objects.get(action="acknowledge break")
    assert (entry.user_id, entry.why, entry.before["problems"]) == (otis.pk, "A restored disk.", broken)
    by_hand("UPDATE leaderboard_auditentry SET why = 'A third one.' WHERE number = 5")
    assert verification.verify_all().problems == ["Entry 5 was changed: why."]
    by_hand("DELETE FROM leaderboard_auditentry WHERE number = 4")
    assert "Entries 3 to 4 are gone." in verification.verify_all().problems


def test_an_end_that_was_cut_off_is_acknowledged_too_and_the_acknowledgement_is_chained(record, host):
    by_hand("DELETE FROM leaderboard_auditentry WHERE number > 4")
    verification.verify_all()
    acknowledge(owner())
    decide(host, 2)
    assert verification.verify_all().problems == []
    number = AuditEntry.objects.get(action="acknowledge break").number
    by_hand(f"UPDATE leaderboard_auditentry SET after = '{{}}' WHERE number = {number}")
    [problem] = verification.verify_all().problems
    assert problem.startswith(f"Entry {number} was changed: ")


def test_what_is_whole_is_not_acknowledged_nor_by_others_than_owners(record):
    assert "is whole" in acknowledge(owner()).refused
    olga = cast.person("Olga", is_staff=True, role="organiser")
    with pytest.raises(Refused, match="for owners"):
        acknowledge(olga)


# --- upgrades, and many at once ---------------------------------------------------------------------------------------


def test_entries_of_before_an_upgrade_and_of_a_server_beside_it_are_chained_by_the_sweeper(host):
    decide(host, 4)
    assert AuditEntry.objects.filter(number=None).count() == 4
    verification.look(clock.now())
    assert numbers() == [1, 2, 3, 4]
    decide(host, 1)  # by an older server, which knows nothing of it
    verification.look(clock.now())
    assert numbers() == [1, 2, 3, 4, 5]


def test_the_sweeper_verifies_by_and_by_and_then_pauses(host, monkeypatch):
    monkeypatch.setattr(chain, "AT_ONCE", 2)
    decide(host, 5)
    chain.extend(5)
    at = clock.now()
    reached = []
    for _ in range(4):
        verification.look(at)
        reached.append(verification.latest().reached)
    assert reached == [2, 4, 0, 0]
    assert RecordCheck.objects.get().entries == 5
    by_hand("DELETE FROM leaderboard_auditentry WHERE number = 1")
    verification.look(at)
    assert verification.latest().problems == [], "it pauses"
    for _ in range(3):
        verification.look(at + verification.EVERY)
    assert verification.latest().problems == ["Entry 1 is gone."]


@pytest.mark.django_db(transaction=True)
def test_many_who_chain_while_others_decide_make_one_chain(host):
    barrier = threading.Barrier(4)

    def write(name: str) -> None:
        made = cast.host(name, token=name)
        barrier.wait()
        for _ in range(10):
            decide(made, 2)
            chain.extend(3)
        connection.close()

    threads = [threading.Thread(target=write, args=(f"gpu-{number}9",)) for number in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert verification.verify_all().problems == []
    assert numbers() == list(range(1, 81))


@pytest.mark.django_db(transaction=True)
def test_no_decision_waits_for_the_chain_nor_the_chain_for_a_decision(host):
    decide(host, 1)
    held, go_on = threading.Event(), threading.Event()

    def decide_slowly() -> None:
        with transaction.atomic():
            audit.record(cast.OPERATOR, "drain", host)
            held.set()
            go_on.wait(10)
        connection.close()

    slow = threading.Thread(target=decide_slowly)
    slow.start()
    assert held.wait(10)
    try:
        assert chain.extend() == 1
        with transaction.atomic(), cast.another_process_at(chain.LOCK, ""):
            audit.record(cast.OPERATOR, "drain", host)
            assert chain.extend() == 0, "another one is at it"
    finally:
        go_on.set()
        slow.join()
    assert chain.extend_all() == 2
    assert chain.verify(START).problems == []
