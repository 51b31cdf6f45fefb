"""Every exception that may end a batch has its code, and there is one place that says which."""

import errno
from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages

import pytest

import containers
from containers.host.blob_cache import CacheFull
from containers.host.provision import InputUnavailable
from containers.protocol.faults import HostFault, fault_of
from containers.protocol.orders import OrderRejected
from containers.protocol.reports import MAX_DETAIL, Fault, fault_report
from containers.protocol.verdicts import FAULTS
from containers.sandbox.engine import EngineRefused, EngineUnavailable
from containers.sandbox.images import ImageUnavailable
from containers.sandbox.watch import ContainerSurvivedKill

NO_SPACE = "No space left on device"


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (HostFault("what happened"), Fault("internal", "what happened")),
        (HostFault("no GPU", code="no_gpu_runtime"), Fault("no_gpu_runtime", "no GPU")),
        (EngineUnavailable("gone"), Fault("engine_unavailable", "gone")),
        (EngineRefused("no"), Fault("internal", "no")),
        (EngineRefused("write x: no space left on device"), Fault("disk_full", "write x: no space left on device")),
        (ContainerSurvivedKill("still there"), Fault("internal", "still there")),
        (ImageUnavailable("no image"), Fault("image_unavailable", "no image")),
        (InputUnavailable("no input"), Fault("input_unavailable", "no input")),
        (CacheFull("no room"), Fault("disk_full", "no room")),
        (OrderRejected("odd"), Fault("order_unreadable", "odd")),
        (OSError(errno.ENOSPC, NO_SPACE), Fault("disk_full", f"[Errno {errno.ENOSPC}] {NO_SPACE}")),
        (OSError(errno.EDQUOT, "Quota"), Fault("disk_full", f"[Errno {errno.EDQUOT}] Quota")),
        (PermissionError(errno.EACCES, "Denied"), Fault("internal", f"[Errno {errno.EACCES}] Denied")),
        (ZeroDivisionError("unforeseen"), Fault("internal", "ZeroDivisionError: unforeseen")),
    ],
)
def test_an_exception_becomes_a_fault(error: Exception, fault: Fault) -> None:
    assert fault_of(error) == fault


def all_host_faults(kind: type[HostFault] = HostFault) -> Iterator[type[HostFault]]:
    yield kind
    for further in kind.__subclasses__():
        yield from all_host_faults(further)


def test_every_exception_of_a_host_has_a_code_of_the_closed_list() -> None:
    for room in ("host", "sandbox"):
        for module in walk_packages(import_module(f"{containers.__name__}.{room}").__path__):
            if module.name != "worker":  # which starts from the environment
                import_module(f"{containers.__name__}.{room}.{module.name}")
    kinds = set(all_host_faults())
    assert len(kinds) > 5
    assert {kind.default_code for kind in kinds} <= set(FAULTS)


def test_an_endless_detail_is_cut_to_what_a_report_may_hold() -> None:
    report = fault_report(1, ["case0.nii.gz"], Fault("internal", "x" * 5000))
    assert report.fault == Fault("internal", "x" * MAX_DETAIL)
    assert [case.status for case in report.cases] == ["untouched"]
