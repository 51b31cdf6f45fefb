"""What goes wrong on our side, as exceptions that carry the code under which a host reports them.

Every exception of a host's own that may end a batch is a HostFault. `fault_of` is the one place that turns any
exception into the fault of a report; the closed list of codes is FAULTS in verdicts.py.
"""

import errno
from typing import ClassVar

from containers.protocol.orders import OrderRejected
from containers.protocol.reports import Fault
from containers.protocol.verdicts import FaultCode

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class HostFault(Exception):
    """Our side failed: the team is not to blame, and the cases are run again.

    `code` is one of FAULTS, the class's own unless one is given; the message is the detail for organisers.
    """

    default_code: ClassVar[FaultCode] = "internal"

    def __init__(self, detail: str, *, code: FaultCode | None = None) -> None:
        super().__init__(detail)
        self.code: FaultCode = code or self.default_code


def fault_of(error: Exception) -> Fault:
    """The fault that a host reports for an exception, whatever it is: what nobody foresaw is ours as well."""
    match error:
        case HostFault():
            return Fault(error.code, str(error))
        case OrderRejected():
            return Fault("order_unreadable", str(error))
        case OSError() if error.errno in _DISK_FULL:
            return Fault("disk_full", str(error))
        case OSError():
            return Fault("internal", str(error))
        case _:
            return Fault("internal", f"{type(error).__name__}: {error}")
