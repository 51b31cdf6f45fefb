"""manage.py rescore: score all runs of a phase anew, look at what changes, then apply it as a whole or discard it."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.models import CaseSet, Phase, Rescoring
from leaderboard.rescoring import decisions
from leaderboard.rescoring.preview import BoardPreview, Change, Preview, Standpoint, preview
from leaderboard.rescoring.progress import Progress, planned, progress_of, undecided

NOT_READY = 3


class Command(BaseCommand):
    """Start, status, preview, apply, discard. Ends with 1 if it is refused, with 3 if it is only too early."""

    help = "Score all runs of a phase anew from their kept masks: by newer metrics, or on mended references."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to do, of which phase."""
        actions = parser.add_subparsers(dest="action", required=True)
        start = actions.add_parser("start", help="begin, in the background")
        start.add_argument("--cases", help="the case set with the mended references or categories")
        start.add_argument("--reason", default="", help="why; the board tells everybody")
        start.add_argument("--dry-run", action="store_true", help="say what would be done")
        status = actions.add_parser("status", help="how far it is, and what it waits for")
        shown = actions.add_parser("preview", help="whose numbers and ranks change, by how much")
        apply = actions.add_parser("apply", help="rank the phase by the new numbers, all at once")
        apply.add_argument("--leave-out", action="store_true", help="runs whose masks are gone are ranked no more")
        apply.add_argument("--why", default="", help="for the record")
        discard = actions.add_parser("discard", help="leave everything as it is")
        discard.add_argument("--why", default="", help="for the record")
        for action in (start, status, shown, apply, discard):
            action.add_argument("phase", help="the phase's slug")
            action.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, and say what came of it."""
        phase = _found(Phase, "phase", "slug", options["phase"])
        try:
            told, lines = getattr(self, f"_{options['action']}")(phase, options)
        except Refused as refusal:
            code = NOT_READY if isinstance(refusal, decisions.NotReady) else 1
            raise CommandError(str(refusal), returncode=code) from refusal
        self.stdout.write(json.dumps(told, indent=2) if options["json"] else "\n".join(lines))

    def _start(self, phase: Phase, options: dict[str, Any]) -> "Told":
        cases = _found(CaseSet, "case set", "name", options["cases"]) if options["cases"] else None
        if options["dry_run"]:
            to_cases = decisions.check_start(phase, cases)
            progress = planned(phase, to_cases)
            about = {"phase": phase.slug, "from": phase.ranked_version, "to": to_cases.evaluation_version}
            said = f"{phase.slug}: would be scored anew by evaluation version {to_cases.evaluation_version}"
            return {**about, **progress.as_json()}, [said, *_of_progress(progress)]
        started = decisions.start(phase, cases=cases, reason=options["reason"], by=Actor.command_line())
        return _status_of(started)

    def _status(self, phase: Phase, _options: dict[str, Any]) -> "Told":
        found = phase.rescorings.select_related("phase", "to_cases").last()
        if found is None:
            said = f"{phase.slug}: ranked by evaluation version {phase.ranked_version}, and was never scored anew"
            return {"phase": phase.slug, "evaluation_version": phase.ranked_version, "state": None}, [said]
        return _status_of(found)

    def _preview(self, phase: Phase, _options: dict[str, Any]) -> "Told":
        found = undecided(phase)
        if found is None:
            raise Refused(f"The {phase.name} is not being scored anew. Start that with “rescore start {phase.slug}”.")
        progress, changes = progress_of(found), preview(found)
        if progress.waiting:
            said = f"{progress.waiting} of {progress.runs} runs are still to be scored anew"
            raise decisions.NotReady(f"{said}: see “rescore status {phase.slug}”.")
        told = {"from": found.from_version, "to": found.to_version, **progress.as_json(), **changes.as_json()}
        return told, [*_of_preview(changes), *_of_lost(progress)]

    def _apply(self, phase: Phase, options: dict[str, Any]) -> "Told":
        decisions.apply(phase, leave_out=options["leave_out"], why=options["why"], by=Actor.command_line())
        return self._status(phase, options)

    def _discard(self, phase: Phase, options: dict[str, Any]) -> "Told":
        decisions.discard(phase, why=options["why"], by=Actor.command_line())
        return self._status(phase, options)


Told = tuple[dict[str, Any], list[str]]
"""What is said as JSON, and in lines."""


def _found(model: Any, what: str, field: str, name: str) -> Any:
    row = model.objects.filter(**{field: name}).first()
    if row is None:
        known = ", ".join(model.objects.values_list(field, flat=True))
        raise CommandError(f"There is no {what} {name}. Known: {known or 'none yet'}")
    return row


def _status_of(rescoring: Rescoring) -> Told:
    progress, phase = progress_of(rescoring), rescoring.phase
    told = {
        "phase": phase.slug,
        "from": rescoring.from_version,
        "to": rescoring.to_version,
        "cases": rescoring.to_cases.name,
        "reason": rescoring.reason,
        "state": rescoring.state,
        "started_at": rescoring.started_at.isoformat(),
        "decided_at": rescoring.decided_at.isoformat() if rescoring.decided_at else None,
        **progress.as_json(),
    }
    said = f"{phase.slug}: evaluation version {rescoring.from_version} to {rescoring.to_version}, {rescoring.state}"
    if rescoring.state == Rescoring.State.DISCARDED:
        return told, [said]
    next_step = []
    if rescoring.state == Rescoring.State.UNDECIDED:
        next_step = [_what_next(progress, phase)]
    return told, [said, *_of_progress(progress), *next_step]


def _what_next(progress: Progress, phase: Phase) -> str:
    if not progress.goes_on and progress.waiting:
        return (
            "The server has other metrics now than those by which this was begun: it does not go on. Discard it, and "
            "start another."
        )
    if progress.waiting:
        return "It goes on in the background, while no live run waits for its scores."
    return f"All are done. Look at it with “rescore preview {phase.slug}”, then apply or discard it."


def _of_progress(progress: Progress) -> list[str]:
    return [
        f"scored anew: {progress.scored} of {progress.runs} runs, {progress.masks_measured} of {progress.masks} masks",
        *(f"trouble: {one}" for one in progress.troubles),
        *_of_lost(progress),
    ]


def _of_lost(progress: Progress) -> Iterator[str]:
    for one in progress.lost:
        yield (
            f"cannot be scored anew: submission {one.submission}, run {one.run}, {one.team}: {one.masks_missing} masks "
            "are not kept any more; it would keep its old numbers, without a rank"
        )


def _of_preview(changes: Preview) -> Iterator[str]:
    yield (
        f"{changes.runs_changed} of {changes.runs} runs change, in {changes.findings_changed} findings of theirs; the "
        f"largest change of a Dice is {changes.largest_change:+.4f}"
    )
    for board in changes.boards:
        yield from _of_board(board)


def _of_board(board: BoardPreview) -> Iterator[str]:
    reader = "as everybody sees it" if board.reader == "public" else "over all cases, for organisers"
    yield ""
    yield f"{board.track} track, {reader}: {board.moved} ranks and {board.changed} numbers change"
    for change in board.teams:
        yield f"  {_of_team(change)}"


def _of_team(change: Change) -> str:
    listed = "" if change.listed == "ranked" else f" ({change.listed.replace('_', '-')})"
    by = f" ({change.dice_change:+.4f})" if change.dice_change is not None else ""
    return f"{_place(change.before):>14} -> {_place(change.after):<14}{by}  {change.name}{listed}"


def _place(one: Standpoint | None) -> str:
    return f"{one.rank or '-'}  {one.dice:.4f}" if one else "not on it"
