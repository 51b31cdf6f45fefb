"""A backup: the database and every file that its rows need, in one folder, taken while everything goes on.

    FOLDER/blobs/<kind>/...          files by digest, shared by all backups in FOLDER: a nightly one copies what is new
    FOLDER/<UTC time>/tables/<name>  every table as PostgreSQL's COPY writes it
    FOLDER/<UTC time>/manifest.json  tables, migrations, sequences, and the digest of each file

Why database and files fit, though they are read at different instants:

1. The lock "stores" is taken. Whoever deletes a file of the stores holds this lock (retention.tidy, uploads.delete),
   so from here to the end no file disappears.
2. All tables are read in one repeatable-read transaction: the database of one instant.
3. The files that these rows name are copied. Each was there at that instant, since a file is stored before the row that
   names it is committed and deleted only after no row needs it; by 1 it still is; and a file named by its content never
   changes. What is stored or committed later belongs to no row of the dump.

What a row names and the store does not have was lost before (or let go with its archived phase): the backup is true to
that, and says so.

A backup that was broken off is never taken for a whole one: it is written to a hidden folder, which gets its name by a
rename, after everything in it is on the disk. Each file is hashed when it is copied, in both directions.

It does not use pg_dump: the server's image has no PostgreSQL programs, and theirs must fit the database's version.

A backup holds the reference masks, the secrets of public halves, people's addresses (of who pre-registered, too), and
hashes of passwords and of hosts' tokens: its folders are for one user alone. It does not hold settings and secrets
(SECRET_KEY and the rest of the environment), nor sessions, nor messages to people.
"""

import fcntl
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, NamedTuple

from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.models import F
from psycopg import sql

from leaderboard.challenge import case_files
from leaderboard.core import audit, blobs, clock, locks, verification
from leaderboard.core.audit import Actor
from leaderboard.journey import lifecycle
from leaderboard.models import Attempt, Batch, CaseSet, Host, ResumableUpload, Submission
from leaderboard.operations import retention
from leaderboard.states import OPEN_BATCH_STATES, BatchState
from leaderboard.submissions import uploads

logger = logging.getLogger(__name__)

FORMAT = 1
UNFINISHED = ".unfinished-"
NAME = "%Y%m%dT%H%M%SZ"
BLOBS = "blobs"
# A session's key is as good as a password, and so is the link of a message that waits. (When a backup is restored, that
# message has long been sent.)
WITHOUT_ROWS = frozenset({"django_session", "leaderboard_outgoingmail"})
# Migrations write to these what a new site begins with: rows there are no sign of use.
FILLED_AT_FIRST = frozenset({"leaderboard_challengedate", "leaderboard_registration"})
FENCE_LEAP = 1000
# Copies of what may be downloaded are made anew from the volumes and references, after a restore too.
STORES = (blobs.images, blobs.weights, blobs.volumes, blobs.references, blobs.outputs, blobs.pdfs, blobs.pictures)


class BackupError(Exception):
    """A backup cannot be made, found, or restored here. The text says why."""


class Made(NamedTuple):
    """A backup: its folder, how many files it names, how many bytes were copied for it, and what is missing."""

    folder: Path
    files: int
    copied_bytes: int
    missing: list[str]


# --- making one ------------------------------------------------------------------------------------------------------


def make(folder: Path, *, keep: int | None = None) -> Made:
    """Back up into `folder`; with `keep`, forget all but the newest so many. Raises BackupError, OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    with _alone_in(folder):
        for left in folder.glob(f"{UNFINISHED}*"):
            shutil.rmtree(left)
        name = datetime.now(UTC).strftime(NAME)
        if (folder / name).exists():
            raise BackupError(f"There is a backup {name} already: wait a second.")
        unfinished = folder / f"{UNFINISHED}{name}"
        for private in (folder / BLOBS, unfinished, unfinished / "tables"):
            private.mkdir(exist_ok=True, mode=0o700)
        with locks.held("stores"):
            manifest = _dump(unfinished / "tables")
            made = _copy_files(manifest, folder)
        _write(unfinished / "manifest.json", json.dumps(manifest | {"missing": made.missing}, indent=1).encode())
        _to_disk(unfinished / "tables", unfinished)
        unfinished.rename(folder / name)
        _to_disk(folder)
        if keep is not None:
            _forget_old(folder, keep)
        return made._replace(folder=folder / name)


@transaction.atomic
def _dump(folder: Path) -> dict[str, Any]:
    """Write every table to `folder`, as of one instant, and say what there is."""
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        tables = {table: _columns(cursor, table) for table in sorted(connection.introspection.table_names(cursor))}
        for table, columns in tables.items():
            with _new_file(folder / table) as file:
                if table not in WITHOUT_ROWS:
                    with cursor.copy(_copy(table, columns, "TO STDOUT")) as rows:
                        for chunk in rows:
                            file.write(chunk)
                _flush(file)
        cursor.execute("SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = current_schema()")
        sequences = dict(cursor.fetchall())
        migrations = _applied(cursor)
    return {
        "format": FORMAT,
        "at": clock.now().isoformat(),
        "migrations": migrations,
        "tables": tables,
        "sequences": sequences,
        "blobs": {store.kind: sorted(digests) for store, digests in _needed_blobs().items()},
        "uploads": dict(_waiting_uploads()),
    }


def _needed_blobs() -> dict[blobs.Store, set[str]]:
    """Every file that a row of the present transaction needs, by store."""
    return {
        blobs.images: retention.needed_images(),
        blobs.weights: retention.needed_weights(),
        blobs.outputs: retention.needed_outputs(),
        blobs.pdfs: retention.needed_pdfs(),
        blobs.volumes: case_files.needed_volumes(),
        blobs.references: case_files.needed_references(),
        blobs.pictures: case_files.needed_pictures(),
    }


def _waiting_uploads() -> Iterator[tuple[str, str]]:
    waiting = Submission.objects.filter(state__in=retention.WAITING)
    for row in waiting.values_list("upload_file", "upload", "weights_file", "weights_upload"):
        yield from ((file, digest) for file, digest in (row[:2], row[2:]) if file)
    # What has not come in whole is sent again: after a restore its upload goes on with what is here (resumable.py).
    yield from ResumableUpload.objects.exclude(digest="").values_list("file", "digest")


def _copy_files(manifest: dict[str, Any], folder: Path) -> Made:
    copied, missing = 0, []
    wanted = [
        (blobs.Store(store.kind, folder / BLOBS), digest, store.path(digest))
        for store in STORES
        for digest in manifest["blobs"].get(store.kind, ())
    ]
    kept_uploads = blobs.Store("uploads", folder / BLOBS)
    wanted += [(kept_uploads, digest, uploads.path(file)) for file, digest in manifest["uploads"].items()]
    for target, digest, source in wanted:
        if target.exists(digest):
            continue
        try:
            copied += target.put(source, expected=digest).size
        except (FileNotFoundError, blobs.DigestMismatch) as error:
            logger.warning("backup: %s %s is lost: %s", target.kind, digest, error)
            missing.append(f"{target.kind} {digest}")
    return Made(folder, len(wanted), copied, missing)


def _forget_old(folder: Path, keep: int) -> None:
    """Remove all but the newest `keep` backups, and the files that only the others named."""
    kept = backups(folder)[-keep:]
    for name in set(backups(folder)) - set(kept):
        (folder / name).rename(folder / f"{UNFINISHED}{name}")
        shutil.rmtree(folder / f"{UNFINISHED}{name}")
    manifests = [_read_manifest(folder / name) for name in kept]
    for kind in (*(store.kind for store in STORES), "uploads"):
        store = blobs.Store(kind, folder / BLOBS)
        named = {digest for manifest in manifests for digest in _named(manifest, kind)}
        for digest in set(store.digests()) - named:
            store.remove_if_older(digest, 0)


def _named(manifest: dict[str, Any], kind: str) -> list[str]:
    if kind == "uploads":
        return list(manifest["uploads"].values())
    named: list[str] = manifest["blobs"].get(kind, [])  # a backup of an older version knows fewer kinds
    return named


# --- going back to one -----------------------------------------------------------------------------------------------


def backups(folder: Path) -> list[str]:
    """The names of the whole backups in `folder`, oldest first."""
    return sorted(path.parent.name for path in folder.glob("[0-9]*/manifest.json"))


def restore(folder: Path, name: str | None = None) -> list[str]:
    """Bring the newest backup in `folder`, or the one called `name`, to an empty database and an empty store.

    What it could not bring because it was lost before the backup is returned. Broken off, it can be repeated: the
    rows come last, in one transaction. Raises BackupError, OSError.
    """
    names = backups(folder)
    if not names or (name or names[-1]) not in names:
        raise BackupError(f"There is no whole backup {name or ''} in {folder}.".replace("  ", " "))
    chosen = folder / (name or names[-1])
    manifest = _read_manifest(chosen)
    if manifest["format"] != FORMAT:
        raise BackupError(f"{chosen} was made by another version of this program (format {manifest['format']}).")
    _refuse_used_database()
    _bring_files(manifest, folder)
    _remake_schema(manifest)
    with transaction.atomic():
        _load(manifest, chosen / "tables")
        call_command("migrate", interactive=False, verbosity=0)  # to this version, before any code of it reads a row
        _go_on()
        audit.record(Actor.command_line(), "restore backup", verification.latest(), after={"backup": chosen.name})
    missing: list[str] = manifest["missing"]
    return missing


def _refuse_used_database() -> None:
    """Only a database in which nobody has ever done anything may be overwritten."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            if table.startswith("leaderboard_") and table not in FILLED_AT_FIRST:
                cursor.execute(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(table)))
                if cursor.fetchone()[0]:
                    raise BackupError(f"This database is in use: {table} has rows. Restore to an empty one.")


def _bring_files(manifest: dict[str, Any], folder: Path) -> None:
    """Copy each file, checking its content; what an earlier try brought is not trusted."""
    lost = set(manifest["missing"])
    blobs.prepare()
    for store in STORES:
        kept = blobs.Store(store.kind, folder / BLOBS)
        for digest in _named(manifest, store.kind):
            if f"{store.kind} {digest}" not in lost:
                _bring(kept, digest, store)
    kept = blobs.Store("uploads", folder / BLOBS)
    for file, digest in manifest["uploads"].items():
        if f"uploads {digest}" not in lost:
            # By way of a store, which checks the content; then under the random name that its row has.
            checked = blobs.Store("uploads", Path(settings.FILE_UPLOAD_TEMP_DIR))
            _bring(kept, digest, checked)
            checked.path(digest).replace(uploads.path(file))
    shutil.rmtree(Path(settings.FILE_UPLOAD_TEMP_DIR) / "uploads", ignore_errors=True)


def _bring(source: blobs.Store, digest: str, target: blobs.Store) -> None:
    target.path(digest).unlink(missing_ok=True)
    try:
        target.put(source.path(digest), expected=digest)
    except (FileNotFoundError, blobs.DigestMismatch) as error:
        raise BackupError(f"The backup is damaged: {source.kind} {digest}: {error}") from error


def _remake_schema(manifest: dict[str, Any]) -> None:
    """The tables as they were at the backup, without a row of anybody's."""
    with connection.cursor() as cursor:
        there = connection.introspection.table_names(cursor)
        if "django_migrations" in there and sorted(_applied(cursor)) == sorted(manifest["migrations"]):
            return  # a database that this version migrated, for a backup of this version
        for table in there:
            cursor.execute(sql.SQL("DROP TABLE {} CASCADE").format(sql.Identifier(table)))
    _migrate({(app, name) for app, name in manifest["migrations"]})


def _migrate(wanted: set[tuple[str, str]]) -> None:
    """Carry out these migrations, and no other, on a database without tables."""
    executor = MigrationExecutor(connection)
    loader = executor.loader
    if unknown := wanted - loader.disk_migrations.keys():
        raise BackupError(f"This version of the server has no migration {' '.join(min(unknown))}.")
    if not wanted >= loader.replacements.keys():  # a backup of before they were put together: one by one, as then
        wanted -= loader.replacements.keys()
        loader.replace_migrations = False  # type: ignore[attr-defined]  # Django has it
        loader.build_graph()
    everything = executor.migration_plan(loader.graph.leaf_nodes())
    executor.migrate([], [step for step in everything if (step[0].app_label, step[0].name) in wanted])


def _load(manifest: dict[str, Any], folder: Path) -> None:
    """Fill the tables; foreign keys are checked at their end."""
    with connection.cursor() as cursor:
        tables = manifest["tables"]
        if missing := set(tables) - set(connection.introspection.table_names(cursor)):
            raise BackupError(f"This version of the server has no table {', '.join(sorted(missing))}.")
        names = sql.SQL(", ").join(map(sql.Identifier, tables))
        cursor.execute(sql.SQL("TRUNCATE {}").format(names))
        for table, columns in tables.items():
            with (folder / table).open("rb") as file, cursor.copy(_copy(table, columns, "FROM STDIN")) as rows:
                for chunk in blobs.chunks(file):
                    rows.write(chunk)
        for sequence, value in manifest["sequences"].items():
            if value is not None:
                cursor.execute("SELECT setval(%s::regclass, %s)", [f'"{sequence}"', value])
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # no table can be altered while a check is due


def _go_on() -> None:
    """Make the rows true on this machine: no host is at work for it yet.

    Hosts keep their tokens, of which there are only hashes here: they go on as soon as the server's name leads to this
    machine. What they did for the lost one since the backup is refused: fences leap, so that no number comes twice.
    """
    at = clock.now()
    Host.objects.update(seen_at=None)
    CaseSet.objects.update(copied_at=None)
    Batch.objects.filter(state__in=OPEN_BATCH_STATES).update(fence=F("fence") + FENCE_LEAP, notified_at=None)
    Attempt.objects.filter(ended_at=None).update(ended_at=at, fault="host_lost")
    for batch in Batch.objects.filter(state=BatchState.LEASED).select_related("run__submission"):
        lifecycle.move(batch, BatchState.WAITING, why="restored from a backup", lease_until=None, done=0)
    Batch.objects.filter(state=BatchState.REPORTED).update(notified_at=at)


# --- small things ----------------------------------------------------------------------------------------------------


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Raises BackupError while another backup is made into the same folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise BackupError(f"Another backup into {folder} is under way.") from None
    finally:
        os.close(descriptor)


def _applied(cursor: Any) -> list[list[str]]:
    """The migrations of this database, app and name, in the order in which they ran."""
    cursor.execute("SELECT app, name FROM django_migrations ORDER BY id")
    return [list(row) for row in cursor.fetchall()]


def _columns(cursor: Any, table: str) -> list[str]:
    return [column.name for column in connection.introspection.get_table_description(cursor, table)]


def _copy(table: str, columns: list[str], direction: str) -> sql.Composed:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("COPY {} ({}) {}").format(sql.Identifier(table), names, sql.SQL(direction))


def _read_manifest(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return manifest


def _new_file(path: Path) -> IO[bytes]:
    """A file for one user alone."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _write(path: Path, content: bytes) -> None:
    with _new_file(path) as file:
        file.write(content)
        _flush(file)


def _flush(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _to_disk(*folders: Path) -> None:
    """Names in a folder are on the disk only when the folder itself was flushed."""
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
