"""A child of the fork server that does what a plan says instead of scoring.

The plan lies beside the reference of the case: one line of Python for each request, from child to child. What it may
use of this module is `say` and `die`; `answer` and `count` are the true answers with and without the prediction.
"""

import json
import os
import resource
import signal
import time
from pathlib import Path

from evaluation.isolation.messages import encode_answer
from evaluation.masks.prepared import open_reference
from evaluation.metrics.scoring import assess

PROGRAM = "from evaluation.isolation.forking import main; from tests.evaluation.isolation import scripted; "
PROGRAM += "main(orders, scripted.work)"
FILES = ("plan", "answer", "count")


def write_plan(job, *steps):
    """What happens to the requests about a job, from now on; the file is what is left of it."""
    plan, answer, count = (job.reference.with_name(name) for name in FILES)
    plan.write_text("".join(step + "\n" for step in steps))
    for path, prediction in ((answer, job.prediction), (count, None)):
        path.write_bytes(encode_answer(assess(job.case, lambda: open_reference(job.reference), prediction)))
    return plan


def work(requests, answers, memory_bytes):
    """Follow the plan."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def say(line):
        answers.write(line.encode() + b"\n")

    def die(number):
        os.kill(os.getpid(), number)

    say("ready")
    for request in requests:
        plan, *lines = (Path(json.loads(request)["reference"]).with_name(name) for name in FILES)
        answer, count = (line.read_text().strip() for line in lines)
        step, _, rest = plan.read_text().partition("\n")
        plan.write_text(rest)
        known = {"say": say, "die": die, "answer": answer, "count": count, "answers": answers}
        exec(step, {"os": os, "signal": signal, "time": time, **known})
