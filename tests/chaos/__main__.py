"""`./dev chaos`: rounds of submissions and failures, a table, and an exit code."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from deploy.local import LocalError
from deploy.local.supervisor import Interrupted
from tests.chaos.disturbances import KINDS, Round, described, plan
from tests.chaos.services import Lab, running_lab


def main(arguments: Sequence[str]) -> int:
    """Play the rounds; 0 when every one went well."""
    options = _options(arguments)
    print(f"seed {options.seed}", flush=True)
    try:
        with running_lab(_say) as lab:
            return _play(lab, _rounds(options))
    except LocalError as error:
        print(f"chaos: {error}", file=sys.stderr)
        return 1
    except (Interrupted, KeyboardInterrupt):
        return 130


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=len(KINDS), help="how many (default: each kind of failure once)")
    parser.add_argument("--seed", type=int, default=None, help="which sequence (default: a new one, which is printed)")
    parser.add_argument("--first", type=int, default=1, help="begin with this round of the sequence, to repeat one")
    parser.add_argument("--only", default="", help="only rounds in which this fails: part of a name")
    parser.add_argument("--round", type=described, default=None, help="this one alone, as it was printed")
    options = parser.parse_args(arguments)
    if options.only and not any(options.only in name for name in KINDS):
        parser.error(f"nothing is called {options.only!r}: {', '.join(KINDS)}")
    if options.seed is None:
        options.seed = secrets.randbelow(10**6)
    return options


def _rounds(options: argparse.Namespace) -> list[Round]:
    if options.round is not None:
        return [options.round]
    sequence = islice(plan(options.seed), options.first - 1, None)
    chosen = (one for one in sequence if any(options.only in what.name for what in one.disturbances))
    return list(islice(chosen, options.rounds))


def _play(lab: Lab, rounds: Sequence[Round]) -> int:
    _set_up_django(lab)
    from tests.chaos import rounds as game  # needs Django's settings

    challenge = game.prepare(lab)
    print(f"An undisturbed run takes {challenge.seconds:.1f} s.\n")
    print(f"{'round':>5}  {'teams':>5}  {'seconds':>7}  {'later':>6}  {'verdict':<7}  what failed when", flush=True)
    failed = 0
    for one in rounds:
        outcome = game.play(lab, challenge, one)
        word = "WRONG" if outcome.problems else "ok"
        delay = max(0.0, outcome.seconds - challenge.seconds)
        print(f"{one.number:>5}  {one.teams:>5}  {outcome.seconds:>7.1f}  {delay:>6.1f}  {word:<7}  {one}", flush=True)
        for problem in outcome.problems:
            print(f"       {problem}", flush=True)
        if outcome.problems:
            failed += 1
            print(f"       evidence: {_keep_evidence(lab, one, outcome)}", flush=True)
            if any("not scored" in problem for problem in outcome.problems):
                break  # what is stuck would disturb the rounds that follow
    print(f"\n{len(rounds)} rounds, {failed} wrong" if failed else f"\nchaos ok: {len(rounds)} rounds")
    return 1 if failed else 0


def _set_up_django(lab: Lab) -> None:
    os.environ.update(lab.stack.environment())
    del os.environ["TMPDIR"]  # the server's alone: what is left there is the server's
    import django
    from django.conf import settings

    # A pool waits for a database that is away; what fails next must not wait for our own questions.
    settings.DATABASES["default"]["OPTIONS"] = {}
    django.setup()


def _keep_evidence(lab: Lab, one: Round, outcome: Any) -> Path:
    """The logs and the submissions' histories, in a folder that stays."""
    from leaderboard.board.disclosure import Disclosure, Reader
    from leaderboard.core import clock
    from leaderboard.progress.organiser_view import everything

    folder = Path(tempfile.mkdtemp(prefix=f"chaos-round-{one.number}-"))
    shutil.copytree(lab.state.logs, folder / "logs")
    for submission in outcome.submissions:
        found = everything(submission, Disclosure(Reader.ORGANISER, submission.phase, clock.now()))
        (folder / f"submission-{submission.pk}.json").write_text(json.dumps(found, indent=1))
    return folder


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
