"""The commands of organisers and operators."""

import json
import os
import stat
import subprocess
import sys
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from leaderboard.challenge.halves.commitment import commitment_to, opening
from leaderboard.core import clock
from leaderboard.core.text import printable
from leaderboard.hosts.registry import hash_token
from leaderboard.models import Case, CaseSet, Host, Phase, ReferenceRow, Submission
from leaderboard.submissions import uploads
from tests.leaderboard import cast, gpu_host, masks

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def phase():
    phase = cast.phase(cast.case_set(2))
    for case in Case.objects.all():
        masks.give_reference(case, masks.cube())
    return phase


@pytest.fixture
def files(tmp_path):
    """An image (that is none) and a method description."""
    (tmp_path / "image.tar").write_bytes(b"no archive")
    (tmp_path / "method.md").write_text(cast.METHOD)
    return {"image": tmp_path / "image.tar", "method": tmp_path / "method.md"}


def run(command: str, *arguments: object, **options: object) -> str:
    out = StringIO()
    call_command(command, *arguments, stdout=out, **options)
    return out.getvalue()


def scored(phase) -> Submission:
    """A submission whose run has gone through: one case found, one lost."""
    host = cast.host()
    submission = cast.submit_checked(cast.team_of(cast.person("Alice")), phase)
    order = gpu_host.claim(host, gpu_host.waiting(submission.runs.get()))
    gpu_host.report(host, order, [gpu_host.finished(order, 0, masks.nifti(masks.cube()))])
    gpu_host.score_reported(submission.runs.get())
    order = gpu_host.claim(host, gpu_host.waiting(submission.runs.get()))
    gpu_host.report(host, order, [gpu_host.lost(order, 0, "failed", "timed_out")], exit_code=137)
    gpu_host.score_reported(submission.runs.get())
    cast.let_a_minute_pass()
    return submission


def test_submit_hands_in_for_a_team_and_its_captain(phase, files):
    team = cast.team_of(cast.person("Alice"))
    said = json.loads(run("submit", team=team.slug, phase=phase.slug, json=True, **files))
    submission = Submission.objects.get()
    assert (said["id"], said["state"], said["charged"]) == (submission.pk, "received", True)
    assert submission.submitted_by == team.memberships.get().user
    assert files["image"].exists(), "the file on the disk is the caller's"


def test_submit_hands_in_masks_where_the_phase_takes_them(phase, files, tmp_path):
    team = cast.team_of(cast.person("Alice"))
    Phase.objects.update(takes="both", cases_are_public=True)
    files["masks"] = files.pop("image").rename(tmp_path / "masks.zip")
    assert json.loads(run("submit", team=team.slug, phase=phase.slug, json=True, **files))["entry"] == "masks"


def test_submit_says_what_a_team_would_read_when_it_is_refused(phase, files):
    team = cast.team_of(cast.person("Alice"))
    files["method"].write_text("short")
    with pytest.raises(CommandError, match="Describe the method"):
        run("submit", team=team.slug, phase=phase.slug, **files)


def test_submit_hands_in_what_a_phase_asks_for(phase, files, tmp_path):
    team = cast.team_of(cast.person("Alice"))
    Phase.objects.update(commitment="required", pdf="required")
    (tmp_path / "method.pdf").write_bytes(b"%PDF-1.7")
    about = {"team": team.slug, "phase": phase.slug, **files}
    with pytest.raises(CommandError, match="commit to this"):
        run("submit", pdf=tmp_path / "method.pdf", **about)
    with pytest.raises(CommandError, match="is no PDF"):
        run("submit", pdf=files["method"], commit=True, **about)
    said = json.loads(run("submit", pdf=tmp_path / "method.pdf", commit=True, json=True, **about))
    submission = Submission.objects.get()
    assert (said["commitment"], said["pdf"]) == (phase.commitment_text, submission.pdf)
    assert submission.pdf_name == "method.pdf"


def test_submit_names_a_team_that_does_not_exist(phase, files):
    with pytest.raises(CommandError, match="no such team: nobody"):
        run("submit", team="nobody", phase=phase.slug, **files)


def test_submit_names_a_file_that_does_not_exist(phase, files):
    team = cast.team_of(cast.person("Alice"))
    files["image"].unlink()
    with pytest.raises(CommandError, match=r"image\.tar: No such file"):
        run("submit", team=team.slug, phase=phase.slug, **files)
    with pytest.raises(CommandError, match=r"image\.tar: No such file"):
        run("submit", team=team.slug, phase=phase.slug, **files | {"image": files["method"], "weights": files["image"]})
    assert not list(uploads.folder().iterdir())


def test_submission_tells_an_organiser_everything(phase):
    submission = scored(phase)
    said = json.loads(run("submission", submission.pk, json=True))
    (one,) = said["runs"]
    assert one["state"] == "scored"
    assert [(case["status"], case["reason_code"], case["seconds"]) for case in one["cases"]] == [
        ("scored", "", 1.0),
        ("failed", "timed_out", 1.0),
    ]
    assert one["attempts"][1]["container"]["exit_code"] == 137
    assert {"submission", "run", "batch 1", "batch 2"} == {change["what"] for change in said["history"]}
    assert "Dice 1.000" in run("submission", submission.pk)


def test_submission_says_that_there_is_none(phase):
    with pytest.raises(CommandError, match="no submission 99"):
        run("submission", 99)


def test_standings_prints_the_ranked_table(phase):
    scored(phase)
    said = json.loads(run("standings", phase=phase.slug, json=True))
    (row,) = said["rows"]
    assert (row["rank"], row["dice"], row["lost_cases"]) == (1, 0.5, 1)
    table = run("standings", phase=phase.slug)
    assert "1 of 2 cases" in table
    assert "0.500" in table


def test_import_reference_takes_published_tables_by_name_and_says_what_it_did(phase):
    asked = {"published": ["rexrank_100"], "phase": phase.slug}
    assert run("import_reference", dry_run=True, **asked).startswith("rexrank_100: would be 7 added (DVSM; ")
    assert not ReferenceRow.objects.exists()
    said = json.loads(run("import_reference", json=True, **asked))
    assert [len(said["rexrank_100"][word]) for word in ("added", "changed", "removed", "unchanged")] == [7, 0, 0, 0]
    assert run("import_reference", **asked) == "rexrank_100: 7 unchanged\n"
    assert run("standings", phase=phase.slug).splitlines()[1] == "Reference rows, not ranked:"


def test_import_reference_says_what_is_wrong_with_a_file_and_takes_nothing_of_it(phase, tmp_path):
    file = tmp_path / "rows.json"
    good = {"algorithm": "A", "numbers": {"all": {"dice": 0.2}}}
    table = {
        "source": "A paper",
        "not_comparable": "So",
        "rows": [good, {"algorithm": "B", "numbers": {"all": {"dice": 2}}}],
    }
    file.write_text(json.dumps({"ours": table}))
    with pytest.raises(CommandError, match=r"ours, row 2 \(B\), numbers.all.dice: Input should be less than"):
        run("import_reference", str(file), phase=phase.slug)
    assert not ReferenceRow.objects.exists()
    with pytest.raises(CommandError, match="Name a file, or"):
        run("import_reference", phase=phase.slug)
    with pytest.raises(CommandError, match="cannot be read"):
        run("import_reference", str(tmp_path / "none.json"), phase=phase.slug)
    with pytest.raises(CommandError, match=r"There is no phase finals\. Known: test"):
        run("import_reference", published=["rexrank_100"], phase="finals")


def test_import_reference_prints_the_schema_of_its_files():
    assert "not_comparable" in json.loads(run("import_reference", schema=True))["$defs"]["Table"]["required"]


def test_standings_lists_the_phases_that_there_are(phase):
    with pytest.raises(CommandError, match=f"Known: {phase.slug}"):
        run("standings", phase="finals")


def test_add_host_prints_a_token_once_and_keeps_its_hash():
    token = run("add_host", "gpu-1").strip()
    assert Host.objects.get().token_hash == hash_token(token)
    with pytest.raises(CommandError, match="--renew"):
        run("add_host", "gpu-1")
    assert run("add_host", "gpu-1", renew=True).strip() != token


def test_add_host_writes_a_private_file_and_may_be_asked_again(tmp_path):
    file = tmp_path / "token"
    run("add_host", "gpu-1", token_file=file)
    token = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    run("add_host", "gpu-1", token_file=file)
    assert file.read_text() == token


def test_sweep_looks_once_when_asked_to(phase):
    run("sweep", once=True)


def test_make_cases_writes_what_import_cases_reads(tmp_path):
    folder = tmp_path / "cases"
    call_command("make_cases", folder, cases=2, shape=[64, 64, 32], spacing=[5.0, 5.0, 9.0], seed=3, workers=1)
    said = run(
        "import_cases",
        "made",
        dataset_json=folder / "dataset.json",
        split="test",
        images=folder / "images",
        masks=folder / "masks",
    )
    assert "2 cases imported" in said


def test_what_a_team_wrote_cannot_drive_a_terminal():
    assert printable("A\x1b[2J\u202e\x00b é") == "A\ufffd[2J\ufffd\ufffdb é"


@pytest.mark.parametrize("command", ["help", "showmigrations", "standings --phase test"])
def test_a_command_whose_words_nobody_reads_ends_without_a_traceback(phase, command):
    reader, writer = os.pipe()
    os.close(reader)
    manage = Path(__file__).parents[3] / "manage.py"
    name = connection.settings_dict["NAME"]
    address = os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{name}"
    told = subprocess.run(
        [sys.executable, manage, *command.split()],
        env={**os.environ, "DATABASE_URL": address},
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert told.stderr == b""
    assert told.returncode == 141


class TestShowHalf:
    @pytest.fixture
    def cases(self) -> CaseSet:
        cases = cast.draw_half(cast.case_set(4))
        cast.phase(cases, publication="half")
        return cases

    def test_it_shows_how_even_the_halves_are_and_no_case_before_the_reveal(self, cases):
        for shown in (run("show_half", "cases"), run("show_half", "cases", json=True)):
            assert cases.half_commitment in shown
            assert ("case_00" in shown, cases.half_secret.secret in shown) == (False, False)
        told = json.loads(shown)
        assert (told["public"], told["withheld"], told["holds"]) == (2, 2, True)
        assert {"code": "2d", "public": 2, "withheld": 2, "n": 4}.items() <= told["balance"][-2].items()

    def test_from_the_reveal_on_it_has_all_that_it_takes_to_check_the_commitment(self, cases):
        earlier = clock.now() - timedelta(minutes=1)
        Phase.objects.update(closes_at=earlier, revealed_at=earlier)
        told = json.loads(run("show_half", "cases", json=True))
        names = [one["name"] for one in told["cases"]]
        half = [one["name"] for one in told["cases"] if one["side"] == "public"]
        text = opening(bytes.fromhex(told["secret"]), names, half, cases.digest)
        assert commitment_to(text) == told["commitment"]
        assert "secret: " in run("show_half", "cases")

    def test_a_half_that_was_changed_is_an_error(self, cases):
        Case.objects.update(in_public_half=True)
        with pytest.raises(CommandError, match="not the one that was drawn"):
            run("show_half", "cases")

    def test_a_set_of_before_has_none_and_an_unknown_one_is_told(self):
        cast.case_set(4)
        assert "imported before there were any" in run("show_half", "cases")
        with pytest.raises(CommandError, match="Known: cases"):
            run("show_half", "nothing")
