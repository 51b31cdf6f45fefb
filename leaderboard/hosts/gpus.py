"""The GPUs that a host says it offers: taken over without trusting it, told to organisers, and compared with a need."""

from datetime import datetime
from typing import Any

from containers.protocol.orders import Fields
from containers.protocol.verdicts import REJECTIONS, unmet_requirement
from leaderboard.core.text import storable
from leaderboard.hosts import slots
from leaderboard.models import Host

MAX_DEVICES = 256
_TEXT = 200


def read(said: object) -> dict[str, Any]:
    """What a host said of its GPUs, as it is kept; {} when it has none. Fields of a newer host are left out.

    Raises containers.protocol.orders.OrderRejected.
    """
    fields = _lenient(said, "gpus")
    if not fields.value:
        return {}
    kept = {name: fields.text(name, _TEXT) for name in ("driver", "cuda", "handover")}
    devices = [_device(device) for device in fields.items("devices", 0, MAX_DEVICES)]
    found: dict[str, Any] = storable(kept | {"devices": devices})
    return found


def _device(said: object) -> dict[str, Any]:
    fields = _lenient(said, "device")
    has_size = fields.value.get("memory_bytes") is not None
    return {
        **{name: fields.text(name, _TEXT) for name in ("id", "name", "uuid")},
        "memory_bytes": fields.integer("memory_bytes", 0, 2**50) if has_size else None,
    }


def _lenient(value: object, where: str) -> Fields:
    return Fields(value, where, frozenset(value) if isinstance(value, dict) else frozenset())


def summary(host: Host) -> str:
    """One line for organisers: "2 x NVIDIA A100-SXM4-80GB (86 GB); driver 550.54.15, CUDA 12.4"."""
    if not host.gpus:
        return ""
    kinds: dict[str, int] = {}
    for device in host.gpus["devices"]:
        size = device["memory_bytes"]
        kind = device["name"] + (f" ({size / 1e9:.0f} GB)" if size else "")
        kinds[kind] = kinds.get(kind, 0) + 1
    found = ", ".join(f"{number} x {kind}" if number > 1 else kind for kind, number in kinds.items())
    return f"{found}; driver {host.gpus['driver']}, CUDA {host.gpus['cuda']}"


def unmet_need(host: Host, said: str) -> str:
    """What a team reads when its image needs a newer driver; `said` is what the host, or its engine, reported."""
    condition, gpus = unmet_requirement(said), host.gpus or {}
    if condition is None or not gpus.get("cuda"):
        return REJECTIONS["unmet_requirement"]
    return (
        f"The image needs {condition} (its NVIDIA_REQUIRE_... variables), and the GPU hosts have CUDA {gpus['cuda']} "
        f"with driver {gpus['driver']}. Build it from a CUDA base image that they can run, and submit it again."
    )


def another_is_newer(host: Host, at: datetime) -> bool:
    """Whether another host that takes work runs a newer CUDA version than this one."""
    others = slots.hosts_that_take_work(at).exclude(pk=host.pk)
    return any(_cuda(other) > _cuda(host) for other in others if other.slots)


def _cuda(host: Host) -> list[int]:
    parts = str((host.gpus or {}).get("cuda", "")).split(".")
    return [int(part) for part in parts] if all(part.isascii() and part.isdecimal() for part in parts) else []
