"""The image configuration: checked, rebuilt from the few fields that matter, and summarised for people.

Rebuilt means written anew. What stays: platform, layers, Entrypoint, Cmd, Env, User, WorkingDir. What goes,
and why:

* Volumes: each would be an unbounded folder on the host, or a tmpfs that hides weights stored there;
* Healthcheck, OnBuild, ExposedPorts, StopSignal, Shell, ArgsEscaped: without effect in the sandbox, or
  unwanted;
* Labels: a container inherits them, and tools on a host act on labels; ours must be the only ones;
* history, times, authors: so that equal content is an equal image.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from containers.intake.errors import SAVE_AGAIN, ImageRejected, quoted
from containers.intake.layout import wrong_platform
from containers.intake.limits import ArchiveLimits
from containers.intake.strict_json import known_keys, parse
from containers.protocol.contract import ENVIRONMENT

_WHAT: Final = "The image configuration"
_DIFF_ID: Final = re.compile(r"sha256:[0-9a-f]{64}")

_TOP_KEYS: Final = frozenset(
    """
    architecture author comment config container container_config created docker_version history id os
    os.features os.version parent rootfs variant Size throwaway moby.buildkit.buildinfo.v1
    moby.buildkit.cache.v0 buildkit.dockerfile.v0
    """.split()  # noqa: SIM905 (thirty quoted words would fill a page)
)
_CONFIG_KEYS: Final = frozenset(
    """
    ArgsEscaped AttachStderr AttachStdin AttachStdout Cmd CpuShares Domainname Entrypoint Env ExposedPorts
    Healthcheck Hostname Image Labels MacAddress Memory MemorySwap NetworkDisabled OnBuild OpenStdin
    PortSpecs Shell StdinOnce StopSignal StopTimeout Tty User Volumes VolumesFrom WorkingDir
    """.split()  # noqa: SIM905 (thirty quoted words would fill a page)
)

# What the sandbox sets itself, so that a value in the image has no effect. NVIDIA_* is in every CUDA base
# image and worth no warning.
_OVERRIDDEN_ENV: Final = frozenset({*ENVIRONMENT, "LD_PRELOAD"})
_NVIDIA: Final = "NVIDIA_"

_ARGUMENT_BYTES: Final = 100_000  # Linux starts no program with a text of 128 KiB
_SUMMARY_ITEMS: Final = 100
_SUMMARY_CHARACTERS: Final = 500


@dataclass(frozen=True)
class ImageConfig:
    """A checked configuration. `rebuilt` are the bytes whose sha256 is the image's id."""

    rebuilt: bytes
    diff_ids: list[str]
    summary: dict[str, Any]
    warnings: list[str]


def read_config(data: bytes, limits: ArchiveLimits) -> ImageConfig:
    """Checks the configuration of an image and rebuilds it."""
    document = known_keys(parse(data, what=_WHAT, max_depth=limits.json_depth), _TOP_KEYS, what=_WHAT)
    _check_platform(document)
    settings = known_keys(_object(document, "config"), _CONFIG_KEYS, what=_WHAT)
    diff_ids = _diff_ids(document, limits)
    run = _run_settings(settings)
    rebuilt = {
        "architecture": "amd64",
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": run,
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    encoded = json.dumps(rebuilt, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    names = [entry.partition("=")[0] for entry in run.get("Env", ())]
    return ImageConfig(encoded, diff_ids, _summary(document, settings, run, names), _warnings(settings, names))


def _check_platform(document: dict[str, Any]) -> None:
    system, architecture = document.get("os"), document.get("architecture")
    if system != "linux":
        raise wrong_platform(_name(system))
    if architecture != "amd64":
        raise wrong_platform(_name(architecture))


def _name(value: Any) -> str:
    return value if isinstance(value, str) and re.fullmatch(r"\w{1,20}", value) else "an unknown platform"


def _diff_ids(document: dict[str, Any], limits: ArchiveLimits) -> list[str]:
    rootfs = known_keys(_object(document, "rootfs"), ("type", "diff_ids"), what=_WHAT)
    diff_ids = _texts(rootfs, "diff_ids")
    if rootfs.get("type") != "layers" or not all(_DIFF_ID.fullmatch(diff_id) for diff_id in diff_ids):
        raise ImageRejected("bad_config", f"{_WHAT} does not list its layers by sha256. {SAVE_AGAIN}")
    if not diff_ids:
        raise ImageRejected("no_layers", "The image has no layer, so nothing to run. Build it with docker build.")
    if len(diff_ids) > limits.layers:
        raise ImageRejected(
            "too_many_layers",
            f"The image has {len(diff_ids)} layers; at most {limits.layers} are allowed. Join RUN and COPY "
            "lines of the Dockerfile, or use a multi-stage build.",
        )
    return diff_ids


def _run_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that a container is started with, as the engine wants them; empty ones left out."""
    run: dict[str, Any] = {key: _texts(settings, key) for key in ("Entrypoint", "Cmd", "Env")}
    run |= {key: _text(settings, key) for key in ("User", "WorkingDir")}
    command = run["Entrypoint"] + run["Cmd"]
    if not command or not command[0]:
        raise ImageRejected(
            "no_entrypoint",
            "The image does not say what to run. Add an ENTRYPOINT to the Dockerfile and build it again.",
        )
    if not all(entry.partition("=")[0] and "=" in entry for entry in run["Env"]):
        raise ImageRejected("bad_config", "An ENV of the image is not NAME=value. Correct it in the Dockerfile.")
    for instruction, texts in (("ENV", run["Env"]), ("ENTRYPOINT or CMD", command)):
        if any(len(text.encode()) > _ARGUMENT_BYTES for text in texts):
            raise ImageRejected(
                "bad_config",
                f"An {instruction} of the image has a text of more than {_ARGUMENT_BYTES:,} bytes, with which no "
                "program can be started. Put it into a file of the image.",
            )
    if run["WorkingDir"] and not run["WorkingDir"].startswith("/"):
        raise ImageRejected(
            "bad_config",
            f"The WORKDIR {quoted(run['WorkingDir'])} is not an absolute path. Correct it in the Dockerfile.",
        )
    return {key: value for key, value in run.items() if value}


def _texts(document: dict[str, Any], key: str) -> list[str]:
    value = [] if document.get(key) is None else document[key]
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ImageRejected("bad_config", f"{key} in the image configuration is not a list of texts. {SAVE_AGAIN}")
    return value


def _text(document: dict[str, Any], key: str) -> str:
    value = "" if document.get(key) is None else document[key]
    if not isinstance(value, str):
        raise ImageRejected("bad_config", f"{key} in the image configuration is not a text. {SAVE_AGAIN}")
    return value


def _warnings(settings: dict[str, Any], env_names: list[str]) -> list[str]:
    warnings = []
    overridden = sorted({name for name in env_names if name in _OVERRIDDEN_ENV})
    if overridden:
        warnings.append(f"The server sets these variables itself, over the image's ENV: {', '.join(overridden)}.")
    if settings.get("User"):
        warnings.append("The image's USER has no effect: every container runs as an unprivileged user of the server.")
    if settings.get("Volumes"):
        warnings.append("The image's VOLUME has no effect: files stored there stay readable, and nothing is writable.")
    if settings.get("Healthcheck"):
        warnings.append("The image's HEALTHCHECK has no effect.")
    if not settings.get("Entrypoint"):
        warnings.append("The image has no ENTRYPOINT; its CMD is run instead.")
    return warnings


def _summary(
    document: dict[str, Any], settings: dict[str, Any], run: dict[str, Any], env_names: list[str]
) -> dict[str, Any]:
    """What organisers see of the image, bounded. Values of ENV are left out: people keep secrets there."""
    history = document.get("history")
    steps = history if isinstance(history, list) else []
    labels = _object(settings, "Labels")
    overridden = {name for name in env_names if name in _OVERRIDDEN_ENV or name.startswith(_NVIDIA)}
    return {
        "entrypoint": _cut(run.get("Entrypoint", ())),
        "cmd": _cut(run.get("Cmd", ())),
        "env": _cut(env_names),
        "env_overridden": _cut(sorted(overridden)),
        "user": run.get("User", "")[:_SUMMARY_CHARACTERS],
        "working_dir": run.get("WorkingDir", "")[:_SUMMARY_CHARACTERS],
        "volumes": _cut(sorted(_object(settings, "Volumes"))),
        "labels": dict(zip(_cut(labels), _cut(labels.values()), strict=True)),
        "history": _cut(step.get("created_by", "") for step in steps if isinstance(step, dict)),
    }


def _object(document: dict[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key)
    return value if isinstance(value, dict) else {}


def _cut(texts: Iterable[Any]) -> list[str]:
    return [str(text)[:_SUMMARY_CHARACTERS] for text in list(texts)[:_SUMMARY_ITEMS]]
