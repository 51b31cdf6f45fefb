"""Teams' algorithm images: checking them, and running them in a sandbox on a GPU host.

    protocol/   what server, host and teams agree on: the contract, orders, reports, verdicts
    intake/     from a stranger's tarball to an image that an engine may load
    sandbox/    one container, from its exact configuration to what it left behind
    host/       the worker of a GPU host: batches one after the other, its promises, its caches
    example/    what a team starts from

Each package's `__init__` says what lives there, in reading order, and what it may import; import-linter holds it.
Nothing here knows Django or a database, and nothing but `host` needs `host`. The names below are the interface for the
server; each is imported on first use, so that who needs only the contract does not load the engine's client.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from containers.intake import ArchiveLimits, CheckedImage, ImageRejected, check_archive
    from containers.protocol.contract import CASES_FILE, ENVIRONMENT, IMAGES_DIR, INPUT_DIR, OUTPUT_DIR, SCRATCH_DIR
    from containers.protocol.orders import OrderRejected, parse_order
    from containers.protocol.reports import Report, parse_report
    from containers.protocol.verdicts import CASE_FAILURES, FAULTS

__version__ = "0.1.0"

_HOME = {
    "ArchiveLimits": "intake",
    "CASES_FILE": "protocol.contract",
    "CASE_FAILURES": "protocol.verdicts",
    "CheckedImage": "intake",
    "ENVIRONMENT": "protocol.contract",
    "FAULTS": "protocol.verdicts",
    "IMAGES_DIR": "protocol.contract",
    "INPUT_DIR": "protocol.contract",
    "ImageRejected": "intake",
    "OUTPUT_DIR": "protocol.contract",
    "OrderRejected": "protocol.orders",
    "Report": "protocol.reports",
    "SCRATCH_DIR": "protocol.contract",
    "check_archive": "intake",
    "parse_order": "protocol.orders",
    "parse_report": "protocol.reports",
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
