"""Teams' algorithm images: checking them, and running them in a sandbox on a GPU host.

    contract, outcomes      what teams may rely on; how an end is judged
    orders, reports         what the server asks, what the host answers
    images/                 intake: from a stranger's tarball to an image the engine may load
    sandbox                 the exact configuration of every container and volume
    holder/, harvest        the output volume: kept alive, looked at, read
    clocks, watch, runner   one container from launch to report
    client, cache, journal  the host's line to the server, its files, its promises
    attempt, agent, worker  one batch; one worker process; its Celery app

Nothing here knows Django or a database. The names below are the interface for the server; they are imported
on first use, so that a process that needs only the contract does not load the engine's client.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from containers.contract import CASES_FILE, ENVIRONMENT, IMAGES_DIR, INPUT_DIR, OUTPUT_DIR, SCRATCH_DIR
    from containers.images import ArchiveLimits, CheckedImage, ImageRejected, check_archive
    from containers.orders import OrderRejected, parse_order
    from containers.outcomes import CASE_FAILURES, FAULTS
    from containers.reports import Report, parse_report

__version__ = "0.1.0"

_HOME = {
    "ArchiveLimits": "images",
    "CASES_FILE": "contract",
    "CASE_FAILURES": "outcomes",
    "CheckedImage": "images",
    "ENVIRONMENT": "contract",
    "FAULTS": "outcomes",
    "IMAGES_DIR": "contract",
    "INPUT_DIR": "contract",
    "ImageRejected": "images",
    "OUTPUT_DIR": "contract",
    "OrderRejected": "orders",
    "Report": "reports",
    "SCRATCH_DIR": "contract",
    "check_archive": "images",
    "parse_order": "orders",
    "parse_report": "reports",
}

__all__ = [
    "CASES_FILE",
    "CASE_FAILURES",
    "ENVIRONMENT",
    "FAULTS",
    "IMAGES_DIR",
    "INPUT_DIR",
    "OUTPUT_DIR",
    "SCRATCH_DIR",
    "ArchiveLimits",
    "CheckedImage",
    "ImageRejected",
    "OrderRejected",
    "Report",
    "check_archive",
    "parse_order",
    "parse_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
