"""manage.py submit: hand in an image, or masks, for a team, as the page does."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from leaderboard.board.disclosure import Disclosure, Reader, Viewer
from leaderboard.core import audit, clock, events
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.core.text import one_line
from leaderboard.journey import submitting
from leaderboard.models import Phase, Submission, Team, User
from leaderboard.progress.organiser_view import everything
from leaderboard.progress.stages import has_ended, shown_stage
from leaderboard.states import SubmissionKind
from leaderboard.submissions import pdfs, receiving, uploads
from leaderboard.submissions.admission import NoSpace

WAIT_SECONDS = 5


class Command(BaseCommand):
    """Submit, and wait for the end if asked."""

    help = "Submit a Docker image archive, or an archive of masks, for a team."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The same facts that the page asks for."""
        parser.add_argument("--team", required=True, help="the team's slug")
        parser.add_argument("--phase", required=True, help="the phase's slug")
        entry = parser.add_mutually_exclusive_group(required=True)
        entry.add_argument("--image", type=Path, help="docker save IMAGE | gzip > FILE (also xz, zstd)")
        entry.add_argument(
            "--masks", type=Path, help="zip or tar of one .nii.gz for each case, where a phase takes masks"
        )
        parser.add_argument(
            "--weights", type=Path, help="model weights apart from the image: a tar file (gzip, xz, zstd)"
        )
        parser.add_argument("--kind", default="scored", choices=SubmissionKind.values, help="what it is for")
        parser.add_argument("--track", default="main", help="main or overall")
        parser.add_argument("--method", required=True, type=Path, help="the method description, Markdown")
        parser.add_argument("--pdf", type=Path, help="a PDF of the method, where the phase asks for one")
        parser.add_argument(
            "--commit", action="store_true", help="the team makes the open-source commitment of the phase"
        )
        parser.add_argument("--name", default="", help="the algorithm's name on the board (default: the team's name)")
        parser.add_argument("--external-data", default="none", help="every external source, or: none")
        parser.add_argument("--user", default="", help="email of the member who submits (default: the captain)")
        parser.add_argument("--wait", action="store_true", help="wait until the run has ended")
        parser.add_argument("--json", action="store_true", help="print an organiser's view as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Submit; exit code 1 with the sentence that a team would read when refused."""
        submission = self._submit(options)
        while options["wait"] and not has_ended(submission, _to_organiser(submission)):
            events.wait(WAIT_SECONDS)
        submission = Submission.objects.get(pk=submission.pk)
        disclosure = _to_organiser(submission)
        if options["json"]:
            self.stdout.write(json.dumps(everything(submission, disclosure), indent=2))
        else:
            self.stdout.write(f"submission {submission.pk}: {shown_stage(submission, disclosure)}")

    def _submit(self, options: dict[str, Any]) -> Submission:
        team = _find(Team, "team", slug=options["team"])
        phase = _find(Phase, "phase", slug=options["phase"])
        user = self._user(team, options["user"])
        try:
            method = options["method"].read_text(encoding="utf-8")  # before the image is copied
            described = self._asked(options, phase)
            upload, weights = _received(options)
            submission = submitting.submit(
                user=user,
                team=team,
                phase=phase,
                upload=upload,
                weights=weights,
                kind=options["kind"],
                entry=Submission.Entry.MASKS if options["masks"] else Submission.Entry.IMAGE,
                track=options["track"],
                algorithm=options["name"] or team.name[:40],
                method=method,
                external_data=options["external_data"],
                **described,
            )
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(_unreadable(error, options)) from error
        except NoSpace as refusal:
            raise CommandError(f"{refusal} The store is in {settings.STORE_DIR}.") from refusal
        except Refused as refusal:
            raise CommandError(str(refusal)) from refusal
        with transaction.atomic():
            audit.record(Actor.command_line(), "submit for a team", submission, after={"user_id": user and user.pk})
        return submission

    def _asked(self, options: dict[str, Any], phase: Phase) -> dict[str, Any]:
        """What the phase asks for beside words."""
        asked: dict[str, Any] = {"commitment": one_line(phase.commitment_text) if options["commit"] else ""}
        if options["pdf"]:
            with options["pdf"].open("rb") as file:
                kept = pdfs.keep(file, size=options["pdf"].stat().st_size, name=options["pdf"].name, phase=phase)
            asked |= kept.described()
        return asked

    def _user(self, team: Team, email: str) -> User | None:
        if email:
            member: User = _find(User, "member", email__iexact=email, membership__team=team)
            return member
        captain = team.memberships.filter(is_captain=True).select_related("user").first()
        return captain.user if captain else None


def _received(options: dict[str, Any]) -> tuple[uploads.Upload, uploads.Upload | None]:
    """Copies of the archives; none stays when the second cannot be made. Raises OSError, Refused."""
    upload = uploads.from_disk(options["masks"] or options["image"])
    try:
        return upload, uploads.from_disk(options["weights"]) if options["weights"] else None
    except (OSError, Refused):
        receiving.let_go(upload)
        raise


def _unreadable(error: OSError | UnicodeDecodeError, options: dict[str, Any]) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"{options['method']} is not written in UTF-8."
    return f"{error.filename or options['masks'] or options['image']}: {error.strerror or error}"


def _to_organiser(submission: Submission) -> Disclosure:
    return Viewer(Reader.ORGANISER, clock.now()).of_submission(submission)


def _find(model: Any, word: str, **wanted: Any) -> Any:
    found = model.objects.filter(**wanted).first()
    if found is None:
        known = ", ".join(model.objects.values_list("slug", flat=True)) if hasattr(model, "slug") else ""
        raise CommandError(
            f"There is no such {word}: {next(iter(wanted.values()))}." + (f" Known: {known}" if known else "")
        )
    return found
