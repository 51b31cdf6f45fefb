"""A backup goes to another machine: the same standings, and a queue that goes on."""

import io
import json
import stat
import threading
from pathlib import Path

import pytest
from django.core.mail import EmailMessage
from django.core.management import CommandError, call_command
from django.db import connection

from leaderboard import migrations
from leaderboard.core import blobs, clock
from leaderboard.journey import pipeline, planning
from leaderboard.models import AlgorithmImage, Batch, Case, CasePicture, CaseSet, Host, Submission, Weights
from leaderboard.operations import backup, retention
from leaderboard.states import SubmissionState
from leaderboard.submissions import uploads
from tests.leaderboard import cast, gpu_host, masks
from tests.leaderboard.second_machine import Machine

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backups"


@pytest.fixture
def bare_machine(db, tmp_path: Path):
    """Nobody has migrated its database yet."""
    machine = Machine(tmp_path)
    yield machine
    machine.remove()


@pytest.fixture
def machine(template_database: str, db, tmp_path: Path):
    """Its database was only migrated."""
    machine = Machine(tmp_path, template_database)
    yield machine
    machine.remove()


@pytest.fixture
def phase():
    cases = cast.case_set(3)
    for number, case in enumerate(cases.cases.all()):
        masks.give_files(case, number, masks.cube())
    return cast.phase(cases)


@pytest.fixture
def host() -> Host:
    made = cast.host()
    made.takes_weights = True
    made.save()
    return made


def accepted(team, phase) -> Submission:
    """A submission whose image and weights were checked and stored."""
    submission = cast.submit(team, phase)
    archive = blobs.images.put(io.BytesIO(b"an image"))
    image, _ = AlgorithmImage.objects.get_or_create(
        image_id="sha256:" + "2" * 64,
        defaults={"archive": archive.digest, "archive_bytes": archive.size, "unpacked_bytes": 1, "layers": 1},
    )
    packed = blobs.weights.put(io.BytesIO(b"weights"))
    sizes = {"archive_bytes": packed.size, "unpacked_bytes": 1, "files": 1}
    weights, _ = Weights.objects.get_or_create(archive=packed.digest, defaults=sizes)
    Submission.objects.filter(pk=submission.pk).update(state=SubmissionState.ACCEPTED, image=image, weights=weights)
    uploads.delete(submission.upload_file)
    submission.refresh_from_db()
    planning.new_run(submission, by="test")
    pipeline.fill_slots()
    return submission


def run_to_the_end(submission: Submission, host) -> None:
    run = submission.runs.get()
    while waiting := run.batches.filter(state="waiting").first():
        order = gpu_host.claim(host, waiting)
        done = [gpu_host.finished(order, n, masks.nifti(masks.cube(4 + n))) for n in range(len(order["cases"]))]
        gpu_host.report(host, order, done)
        gpu_host.score_reported(run)
    run.refresh_from_db()
    assert run.state == "scored"


ARRAYS = "SELECT evaluation_version, layout, digest, cases, findings FROM leaderboard_runscores"


def test_a_backup_restores_to_identical_standings_and_files(team, phase, host, folder, bare_machine):
    run_to_the_end(accepted(team, phase), host)
    cast.let_a_minute_pass()
    waiting = cast.submit(team, phase)
    pdf = blobs.pdfs.put(io.BytesIO(b"%PDF-1.7"))
    Submission.objects.filter(pk=waiting.pk).update(pdf=pdf.digest)
    picture = blobs.pictures.put(io.BytesIO(b"a picture"))
    CasePicture.objects.create(case=Case.objects.earliest("pk"), picture=picture.digest, width=9, height=3)
    CaseSet.objects.update(copied_at=clock.now())
    call_command("backup", folder)
    said = bare_machine.manage_in_a_process("restore", str(folder))
    assert said.returncode == 0, said.stderr
    assert bare_machine.ask("SELECT copied_at FROM leaderboard_caseset") == [(None,)], "copies are made anew"
    here = io.StringIO()
    call_command("standings", phase=phase.slug, json=True, stdout=here)
    there = bare_machine.manage("standings", phase=phase.slug, json=True)
    assert json.loads(there.stdout)["rows"]
    assert json.loads(there.stdout) == json.loads(here.getvalue())
    with connection.cursor() as cursor:
        cursor.execute(ARRAYS)
        assert bare_machine.ask(ARRAYS) == cursor.fetchall() != []
    for store in backup.STORES:
        ours, theirs = set(store.digests()), set(blobs.Store(store.kind, bare_machine.store).digests())
        assert ours == theirs != set(), store.kind
    assert (bare_machine.store / "uploads" / waiting.upload_file).read_bytes() == b"an archive"


def test_a_lease_ends_with_the_machine_and_what_comes_after_a_restore_meets_nothing_of_before(
    team, phase, host, folder, machine
):
    submission = accepted(team, phase)
    order = gpu_host.claim(host, gpu_host.waiting(submission.runs.get()))
    call_command("backup", folder)
    assert machine.manage("restore", str(folder)).returncode == 0
    check_that_its_late_answer_is_refused(machine, order)
    check_that_a_new_row_does_not_collide(machine, phase)
    said = machine.manage("restore", str(folder))
    assert (said.returncode, "in use" in said.stderr) == (1, True), "nobody restores over a database in use"


def check_that_a_new_row_does_not_collide(machine, phase) -> None:
    assert machine.manage("add_host", "new-host").returncode == 0
    ids = machine.ask(
        "INSERT INTO leaderboard_caseset (name, digest, imported_at) VALUES ('x', '', now()) RETURNING id"
    )
    assert ids[0][0] > phase.case_set_id


def check_that_its_late_answer_is_refused(machine, order) -> None:
    states = machine.ask("SELECT state, fence, lease_until FROM leaderboard_batch")
    assert states == [("waiting", order["fence"] + backup.FENCE_LEAP, None)]
    assert machine.ask("SELECT fault FROM leaderboard_attempt WHERE ended_at IS NOT NULL") == [("host_lost",)]
    assert machine.ask("SELECT state, faults FROM leaderboard_run") == [("canary", 0)]
    assert machine.ask("SELECT seen_at FROM leaderboard_host WHERE token_hash <> ''") == [(None,)]
    assert Batch.objects.get().state == "leased", "the machine that was backed up goes on undisturbed"


def test_what_ends_while_the_backup_is_made_is_whole_in_it(team, phase, folder, machine, monkeypatch):
    """Between the dump and the copy: a check ends, its upload is forgotten, housekeeping goes round."""
    submission = cast.submit(team, phase)
    copy_files = backup._copy_files

    def disturbed(manifest, into):
        def elsewhere() -> None:
            Submission.objects.filter(pk=submission.pk).update(state=SubmissionState.REJECTED)
            uploads.delete(submission.upload_file)
            retention.tidy()
            connection.close()

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        return copy_files(manifest, into)

    monkeypatch.setattr(backup, "_copy_files", disturbed)
    call_command("backup", folder)
    assert machine.manage("restore", str(folder)).returncode == 0
    assert machine.ask("SELECT state FROM leaderboard_submission") == [("received",)]
    assert (machine.store / "uploads" / submission.upload_file).exists()
    retention.tidy()
    assert not uploads.path(submission.upload_file).exists(), "afterwards it goes"


def test_a_backup_that_was_broken_off_is_not_taken_for_a_whole_one(phase, folder, machine, monkeypatch):
    call_command("backup", folder)
    whole = backup.backups(folder)

    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "_copy_files", broken)
    monkeypatch.setattr(backup, "NAME", "%Y%m%dT%H%M%SZ1")
    with pytest.raises(CommandError, match="No space left"):
        call_command("backup", folder)
    assert backup.backups(folder) == whole
    monkeypatch.undo()
    monkeypatch.setattr(backup, "NAME", "%Y%m%dT%H%M%SZ2")
    call_command("backup", folder)
    assert not list(folder.glob(".unfinished-*")), "the next one clears it away"


def test_a_second_backup_copies_only_what_is_new_and_old_ones_go(phase, folder, monkeypatch):
    first = backup.make(folder)
    assert first.copied_bytes > 0
    monkeypatch.setattr(backup, "NAME", "%Y%m%dT%H%M%SZ2")
    new = blobs.references.put(io.BytesIO(masks.nifti(masks.cube(2))))
    gone = Case.objects.all()[0].reference
    Case.objects.update(reference=new.digest)
    second = backup.make(folder, keep=1)
    assert second.copied_bytes == new.size
    assert backup.backups(folder) == [second.folder.name]
    kept = blobs.Store("references", folder / "blobs")
    assert kept.exists(new.digest)
    assert not kept.exists(gone)


def test_a_damaged_backup_is_not_restored(phase, folder, bare_machine):
    call_command("backup", folder)
    blob = blobs.Store("references", folder / "blobs").path(Case.objects.all()[0].reference)
    blob.write_bytes(b"rotten")
    said = bare_machine.manage("restore", str(folder))
    assert said.returncode == 1
    assert "damaged" in said.stderr
    assert bare_machine.ask("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'leaderboard%'") == [(0,)]


def test_a_file_that_the_store_has_lost_is_named_and_the_rest_comes_back(phase, folder, machine):
    volume = Case.objects.all()[0].volume
    blobs.volumes.path(volume).unlink()
    with pytest.raises(CommandError, match="lost 1 files"):
        call_command("backup", folder)
    said = machine.manage("restore", str(folder))
    assert (said.returncode, volume in said.stderr) == (0, True)


def test_a_database_that_was_only_migrated_counts_as_empty(phase, folder, machine):
    call_command("backup", folder)
    assert machine.manage("restore", str(folder)).returncode == 0


def test_two_backups_into_one_folder_do_not_meet(phase, folder):
    with backup._alone_in(backup.make(folder).folder.parent), pytest.raises(CommandError, match="under way"):
        call_command("backup", folder)


def test_a_backup_is_for_one_user_and_holds_no_session_and_no_link_of_a_message(client, phase, folder):
    client.force_login(cast.person("Bob"))
    EmailMessage("a subject", "https://a.link/as-good-as-a-password", to=["bob@example.org"]).send()
    made = backup.make(folder)
    for path in folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert (made.folder / "tables" / "django_session").read_bytes() == b""
    assert (made.folder / "tables" / "leaderboard_outgoingmail").read_bytes() == b""
    assert (made.folder / "tables" / "leaderboard_user").read_bytes() != b""


def without_column(table: Path, columns: list[str], column: str) -> None:
    """Take a column out of a table's file and list of columns."""
    place = columns.index(column)
    columns.remove(column)
    rows = [line.split("\t") for line in table.read_text().splitlines()]
    table.write_text("".join("\t".join(row[:place] + row[place + 1 :]) + "\n" for row in rows))


# What came after 0004: migrations, tables, columns of older tables.
NAMES = sorted(path.stem for path in Path(migrations.__file__).parent.glob("0*.py"))
NEWER = tuple(name for name in NAMES if name >= "0005" or "_squashed_" in name)
NEWER_TABLES = (
    *("auditentry", "draft", "imageprovenance", "outgoingmail", "resumableupload", "throttle", "turn", "weights"),
    "runscores",
    *("dataacceptance", "dataterms"),
    *("equalentry", "equality", "imagelayer", "layeruse"),
    *("announcement", "noticestop", "pendingnotice", "refusedaddress", "tolddeadline"),
    *("handover", "invitation", "teamapproval"),
    *("newsitem", "faqsection", "question", "challengedate", "registration", "preregistration"),
    *("apianswer", "apitoken"),
    *("boardrow", "boardversion", "boardcertainty", "listedrun", "referencerow", "teamalias"),
    *("halfsecret", "casenumbersecret"),
    *("siteline", "likelydouble"),
    *("rescoredcase", "rescoredrun", "rescoring"),
    "recordcheck",
    *("objection", "rundecision", "teamdisqualification"),
    "phasechanges",
    "maintenance",
    *("casepicture", "casesetimport", "deletedhalf", "storedvolume"),
)
NEWER_COLUMNS = (
    *(("user", "country"), ("user", "orcid"), ("user", "role")),
    *(("caseset", "is_ranked"), ("phase", "is_ranked")),
    *(("submission", "ticket"), ("team", "skeleton"), ("host", "gpus"), ("host", "hello_at"), ("host", "serves")),
    *(("run", "hints"), ("run", "hints_asked_at"), ("attempt", "received")),
    *(("run", "hints_tries"), ("run", "failure_kind"), ("submission", "note")),
    *(("phase", "commitment"), ("phase", "commitment_text"), ("phase", "pdf")),
    *(("submission", "commitment"), ("submission", "committed_at")),
    *(("submission", "pdf"), ("submission", "pdf_name"), ("submission", "pdf_bytes")),
    *(
        ("submission", "withdrawn_at"),
        ("submission", "brought_back_at"),
        ("submission", "compared_at"),
        ("run", "compared_at"),
        ("runcase", "mask_digest"),
    ),
    *(("submission", "kind"), ("submission", "cases_of_id")),
    *(("phase", f"try_{one}") for one in ("outs_on_id", "out_cases", "outs_per_day", "out_required_from")),
    *(("phase", "cases_published_at"), ("phase", "findings_published_at")),
    *(("phase", f"post_challenge_{one}") for one in ("opens_at", "closes_at", "per_day", "total")),
    *(
        ("caseset", "allows_downloads"),
        ("caseset", "copied_at"),
        ("caseset", "half_commitment"),
        ("case", "reference_bytes"),
    ),
    *(("host", "takes_weights"), ("submission", "weights_id"), ("submission", "entry")),
    *(("phase", "takes"), ("phase", "masks_are_ranked"), ("phase", "max_masks_bytes")),
    *(("team", f"join_link_{name}") for name in ("is_on", "made_by_id", "made_at")),
    *(("phase", "show_submitters"), ("submission", "shows_submitter")),
    *(("phase", "evaluation_version"), ("caseset", "mends_id"), ("caseset", "revision")),
    *(("phase", "requires_approval"), ("team", "is_of_organisers")),
    *(("run", "put_first_at"), ("run", "put_first_why"), ("host", "machine")),
    *(("phase", name) for name in ("is_draft", "embargo_until", "anonymous_until_reveal")),
    *(("submission", f"weights_{name}") for name in ("upload", "file", "name", "bytes")),
    ("submission", "kept_limits"),
)


def as_of_before(made: Path) -> None:
    """Change a backup into what it would have been before the last migrations."""
    manifest = json.loads((made / "manifest.json").read_text())
    manifest["migrations"] = [row for row in manifest["migrations"] if row[1] not in NEWER]
    del manifest["blobs"]["pdfs"]
    for name in NEWER_TABLES:
        del manifest["tables"][f"leaderboard_{name}"]
        manifest["sequences"].pop(f"leaderboard_{name}_id_seq", None)
    for name, column in NEWER_COLUMNS:
        table = f"leaderboard_{name}"
        without_column(made / "tables" / table, manifest["tables"][table], column)
    (made / "manifest.json").write_text(json.dumps(manifest))
    applied = made / "tables" / "django_migrations"
    applied.write_text("".join(line for line in applied.open() if not any(name in line for name in NEWER)))


def test_a_backup_of_a_newer_version_is_refused_by_the_name_of_its_migration(team, folder, bare_machine):
    made = backup.make(folder).folder / "manifest.json"
    manifest = json.loads(made.read_text())
    manifest["migrations"].append(["leaderboard", "9999_what_is_to_come"])
    made.write_text(json.dumps(manifest))
    said = bare_machine.manage("restore", str(folder))
    assert (said.returncode, "has no migration leaderboard 9999_what_is_to_come" in said.stderr) == (1, True)


def test_a_backup_of_an_older_version_is_brought_up_to_date(team, phase, host, folder, bare_machine):
    """As if it had been made before the last migrations: they run after the rows are there."""
    run_to_the_end(accepted(team, phase), host)
    gpu_host.claim(host, gpu_host.waiting(accepted(team, phase).runs.get()))
    as_of_before(backup.make(folder).folder)
    said = bare_machine.manage("restore", str(folder))
    assert said.returncode == 0, said.stderr
    assert bare_machine.ask("SELECT ticket, kind FROM leaderboard_submission") == [("", "scored")] * 2
    assert bare_machine.ask("SELECT gpus FROM leaderboard_host") == [(None,)]
    assert bare_machine.ask("SELECT skeleton IS NULL FROM leaderboard_team") == [(False,)]
    under_way = "SELECT state, lease_until FROM leaderboard_batch WHERE state <> 'scored'"
    assert bare_machine.ask(under_way) == [("waiting", None)]
    # who was served last is known
    assert bare_machine.ask("SELECT kind, number FROM leaderboard_turn") == [("slot", 1)]
    assert bare_machine.ask("SELECT evaluation_version FROM leaderboard_phase") == [("1",)], "by which they were scored"
    assert bare_machine.ask(ARRAYS) == []  # runs of before get those that they had here
    assert bare_machine.manage("sweep", once=True).returncode == 0
    with connection.cursor() as cursor:
        cursor.execute(ARRAYS)
        assert bare_machine.ask(ARRAYS) == cursor.fetchall() != []
