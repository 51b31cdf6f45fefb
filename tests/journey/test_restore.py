"""A backup of a server at work comes to life on another machine: the run that was under way ends there, as here."""

from pathlib import Path

import pytest
from django.core.management import call_command

from containers.sandbox.spec import LABEL_INSTANCE
from leaderboard.models import RunCase
from leaderboard.submissions.uploads import from_disk
from tests.journey import algorithms
from tests.journey.stack import Stack, wait_for
from tests.leaderboard import cast
from tests.leaderboard.second_machine import Machine

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine, pytest.mark.timeout(300)]
PATIENCE_SECONDS = 120


class StackElsewhere(Stack):
    """All processes on another machine's database and store, with the host's old token."""

    def __init__(self, folder: Path, machine: Machine, token: Path) -> None:
        super().__init__(folder)
        self._machine = machine
        (folder / "token").write_text(token.read_text())

    def start(self) -> None:
        for part in self.commands():
            self.start_part(part)

    def _environment(self, part: str) -> dict[str, str]:
        environment = super()._environment(part)
        if part != "sandbox":
            environment |= {"DATABASE_URL": self._machine.database_url, "STORE_DIR": str(self._machine.store)}
        return environment


@pytest.fixture
def machine(template_database: str, db, tmp_path: Path):
    machine = Machine(tmp_path, template_database)
    yield machine
    machine.remove()


def test_a_run_under_way_ends_on_the_machine_to_which_it_was_restored(stack, engine, base, phase, machine, tmp_path):
    team = cast.team_of(cast.person("Alice"))
    image = algorithms.archive(engine, base, "time.sleep(1)", tmp_path / "slow.tar.gz")
    under_way = cast.submit(team, phase, upload=from_disk(image))
    wait_for(lambda: under_way.runs.filter(batches__done__gte=1, batches__is_canary=False).exists(), "the middle", 90)
    waiting = cast.submit(team, phase, upload=from_disk(image))
    call_command("backup", tmp_path / "backups")

    (tmp_path / "elsewhere").mkdir()
    restored = machine.manage_in_a_process("restore", str(tmp_path / "backups"))
    assert restored.returncode == 0, restored.stderr
    assert machine.ask("SELECT count(*) FROM leaderboard_run WHERE state = 'running'") == [(1,)]
    elsewhere = StackElsewhere(tmp_path / "elsewhere", machine, tmp_path / "token")
    try:
        elsewhere.start()
        scored = "SELECT count(*) FROM leaderboard_run WHERE state = 'scored'"
        wait_for(lambda: machine.ask(scored) == [(2,)], "both runs to end there", PATIENCE_SECONDS)
        wait_for(lambda: under_way.runs.get().state == "scored", "the run to end here, undisturbed", PATIENCE_SECONDS)
    finally:
        elsewhere.stop()
        _remove_containers(engine, elsewhere.instance)
    here = dict(RunCase.objects.filter(run__submission=under_way).values_list("case__name", "result__dice"))
    for submission in (under_way, waiting):
        there = machine.ask(
            "SELECT c.name, (r.result->>'dice')::float FROM leaderboard_runcase r JOIN leaderboard_case c "
            f"ON c.id = r.case_id JOIN leaderboard_run u ON u.id = r.run_id WHERE u.submission_id = {submission.pk}"
        )
        assert dict(there) == here
    assert machine.ask("SELECT count(*) FROM leaderboard_submission WHERE charged") == [(2,)]
    assert machine.ask("SELECT DISTINCT faults FROM leaderboard_run") == [(0,)]


def _remove_containers(engine, instance: str) -> None:
    for container in engine.containers(all=True, filters={"label": f"{LABEL_INSTANCE}={instance}"}):
        engine.remove_container(container["Id"], force=True)
