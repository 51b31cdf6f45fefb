"""Cases shared out among child processes, as many at once as there are workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from evaluation.command.journal import Journal
from evaluation.command.progress import Progress, tell
from evaluation.hints import Hint, about_repeated_masks, look
from evaluation.hints.judging import MAX_CASES, is_poor
from evaluation.isolation import fork_server
from evaluation.isolation.fork_server import ForkServer
from evaluation.isolation.plain import PlainChildren
from evaluation.isolation.scorer import IsolatedScorer, Job
from evaluation.masks.correction import Correction
from evaluation.metrics.cases import Assessment
from evaluation.metrics.fit import Fit
from evaluation.results import CaseResult
from evaluation.system import isolation_lacks

WITHOUT_LIMITS = (
    "this system has no {}: scores are the same, but nothing limits the memory and time that a damaged file may take"
)

Children = ForkServer | PlainChildren

LOOK_SECONDS = 1.0  # between two looks at the progress while a case takes long

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")


def children() -> Children:
    """Where children come from: with limits if this system can give any, else without, and then that is said."""
    if lacks := isolation_lacks():
        tell(f"warning: {WITHOUT_LIMITS.format(', '.join(lacks))}")
        return PlainChildren()
    return fork_server.shared


def score_all(
    jobs: Sequence[Job], journal: Journal, *, children: Children, workers: int, cache_dir: Path | None, quiet: bool
) -> tuple[list[Assessment], list[Hint]]:
    """The assessment of each job, in their order, and what a look at the poorly scored ones found.

    What the journal knows is not scored again, and the rest goes into it.
    """
    with ExitStack() as stack:
        workers = max(1, min(workers, len(jobs)))
        pool = stack.enter_context(ThreadPoolExecutor(workers))
        # Closed before the pool waits for its threads: that ends the children, and with them what the threads wait for.
        each = (IsolatedScorer(prepared=cache_dir, fork_server=children) for _ in range(workers))
        scorers = [stack.enter_context(scorer) for scorer in each]
        known = journal.known

        fits: dict[str, Fit | None] = {}
        early = {job.case.name for job in jobs[:MAX_CASES]}

        def score(scorer: IsolatedScorer, job: Job) -> Assessment:
            assessment = scorer.assess(job)
            journal.add(job, assessment)
            if job.case.name in early and is_poor(assessment.result):
                fits[job.case.name] = scorer.fit(job)  # while the child has the masks at hand
            return assessment

        left = [job for job in jobs if job.case.name not in known]
        scored = iter(_shared_out(left, score, scorers, pool, Progress("cases scored", quiet=quiet)))
        assessments = [known[name] if (name := job.case.name) in known else next(scored) for job in jobs]
        results = [assessment.result for assessment in assessments]
        hints = look(jobs, results, _SharedOut(scorers, pool, fits, quiet), max_cases=MAX_CASES)
    return assessments, [*hints, *about_repeated_masks(assessments)]


@dataclass(frozen=True)
class _SharedOut:
    """The answers to a look's questions, from as many children as score."""

    scorers: Sequence[IsolatedScorer]
    pool: ThreadPoolExecutor
    known: Mapping[str, Fit | None]
    quiet: bool

    def fits(self, jobs: Sequence[Job]) -> list[Fit | None]:
        progress = Progress("poorly scored cases looked at", quiet=self.quiet)
        left = [job for job in jobs if job.case.name not in self.known]
        found = iter(_shared_out(left, IsolatedScorer.fit, self.scorers, self.pool, progress))
        return [self.known[name] if (name := job.case.name) in self.known else next(found) for job in jobs]

    def corrected(self, masks: Sequence[tuple[Job, Correction]]) -> list[CaseResult | None]:
        def score(scorer: IsolatedScorer, mask: tuple[Job, Correction]) -> CaseResult | None:
            return scorer.corrected(*mask)

        progress = Progress("corrected masks scored", quiet=self.quiet)
        return _shared_out(masks, score, self.scorers, self.pool, progress)


def _shared_out(
    items: Sequence[_Item],
    work: Callable[[IsolatedScorer, _Item], _Answer],
    scorers: Sequence[IsolatedScorer],
    pool: ThreadPoolExecutor,
    progress: Progress,
) -> list[_Answer]:
    """The work's answer for each item, in the order of the items; each thread of the pool takes a free scorer."""
    free: SimpleQueue[IsolatedScorer] = SimpleQueue()
    for scorer in scorers:
        free.put(scorer)

    def with_a_free_scorer(item: _Item) -> _Answer:
        scorer = free.get()
        try:
            return work(scorer, item)
        finally:
            free.put(scorer)

    futures = [pool.submit(with_a_free_scorer, item) for item in items]
    pending = set(futures)
    try:
        while pending:
            done, pending = wait(pending, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()
            progress.show(len(items) - len(pending), len(items))
    except BaseException:
        progress.interrupt()
        for future in pending:
            future.cancel()
        raise
    return [future.result() for future in futures]
