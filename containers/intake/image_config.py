"""The image configuration: checked, rebuilt from the few fields that matter, and summarised for people.

Rebuilt means written anew. What stays: platform, layers, Entrypoint, Cmd, Env, User, WorkingDir. What comes: HOME in
Env, where the image leaves it to the engine, which would look for it under the number that a container gets here. What
goes, and why:

* Volumes: each would be an unbounded folder on the host, or a tmpfs that hides weights stored there;
* Healthcheck, OnBuild, ExposedPorts, StopSignal, Shell, ArgsEscaped: without effect in the sandbox, or
  unwanted;
* Labels: a container inherits them, and tools on a host act on labels; ours must be the only ones;
* history, times, authors: so that equal content is an equal image.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from containers.intake.errors import BUILD_AGAIN, SAVE_AGAIN, ImageRejected, quoted
from containers.intake.home import normal_home
from containers.intake.layout import OUR_PLATFORM, platform_names, wrong_platform
from containers.intake.limits import ArchiveLimits
from containers.intake.program import Command
from containers.intake.strict_json import known_keys, parse
from containers.protocol.contract import ENVIRONMENT

_WHAT: Final = "The image configuration"
_DIFF_ID: Final = re.compile(r"sha256:[0-9a-f]{64}")

# What is read. Everything else is the builder's own affair: it reaches neither the rebuilt configuration nor an engine.
_TOP_KEYS: Final = ("architecture", "config", "history", "os", "rootfs")
_CONFIG_KEYS: Final = ("Cmd", "Entrypoint", "Env", "Healthcheck", "Labels", "User", "Volumes", "WorkingDir")

# What the sandbox sets itself, so that a value in the image has no effect. NVIDIA_* is in every CUDA base
# image and worth no warning; HOME is the image's own.
_OVERRIDDEN_ENV: Final = frozenset({*ENVIRONMENT, "LD_PRELOAD"}) - {"HOME"}
_NVIDIA: Final = "NVIDIA_"

_ARGUMENT_BYTES: Final = 100_000  # Linux starts no program with a text of 128 KiB
_VARIABLES: Final = 1000  # engines compare each with all others: 10,000 cost one a quarter of a minute at every start
_SUMMARY_ITEMS: Final = 100
_SUMMARY_CHARACTERS: Final = 500


@dataclass(frozen=True)
class ImageConfig:
    """A checked configuration. image_id: the digest of the one that was uploaded.

    Engines know the image by it, unless they keep it in containerd's store: then by its manifest's or index's digest.
    """

    image_id: str
    diff_ids: list[str]
    summary: dict[str, Any]
    warnings: list[str]
    _run: dict[str, Any]

    @property
    def command(self) -> Command:
        """What the image starts."""
        words = self._run.get("Entrypoint", []) + self._run.get("Cmd", [])
        return Command(words, self.folder, self._variable("PATH"))

    @property
    def folder(self) -> str:
        """WORKDIR, empty where there is none."""
        folder: str = self._run.get("WorkingDir", "")
        return folder

    @property
    def user(self) -> str:
        """USER, empty where there is none."""
        user: str = self._run.get("User", "")
        return user

    @property
    def variables(self) -> list[str]:
        """The values of ENV."""
        return [entry.partition("=")[2] for entry in self._run.get("Env", ())]

    @property
    def home(self) -> str | None:
        """HOME in ENV, where that is an absolute path."""
        home = self._variable("HOME")
        return normal_home(home) if home and home.startswith("/") else None

    def rebuilt(self, diff_ids: list[str], home: str) -> bytes:
        """The configuration written anew, whose sha256 is the rebuilt image's id, with these layers and this HOME."""
        env = [entry for entry in self._run.get("Env", ()) if not entry.startswith("HOME=")]
        document = {
            "architecture": "amd64",
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": self._run | {"Env": [*env, f"HOME={home}"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
        return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()

    def _variable(self, name: str) -> str | None:
        values = [entry.partition("=")[2] for entry in self._run.get("Env", ()) if entry.startswith(f"{name}=")]
        return values[-1] if values else None


def read_config(data: bytes, limits: ArchiveLimits) -> ImageConfig:
    """Checks the configuration of an image."""
    document = known_keys(parse(data, what=_WHAT, max_depth=limits.json_depth), _TOP_KEYS, what=_WHAT)
    _check_platform(document)
    settings = known_keys(_object(document, "config"), _CONFIG_KEYS, what=_WHAT)
    diff_ids = _diff_ids(document, limits)
    run = _run_settings(settings)
    names = [entry.partition("=")[0] for entry in run.get("Env", ())]
    return ImageConfig(
        image_id="sha256:" + hashlib.sha256(data).hexdigest(),
        diff_ids=diff_ids,
        summary=_summary(document, settings, run, names),
        warnings=_warnings(settings, names),
        _run=run,
    )


def _check_platform(document: dict[str, Any]) -> None:
    for name, expected in zip(platform_names(document, unknown="an unknown platform"), OUR_PLATFORM, strict=True):
        if name != expected:
            raise wrong_platform(name)


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
    if len(run["Env"]) > _VARIABLES:
        raise ImageRejected(
            "bad_config",
            f"The image sets {len(run['Env'])} variables; at most {_VARIABLES} are allowed. Remove the ENV lines that "
            "nothing reads from the Dockerfile, or put the values into a file of the image.",
        )
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
        raise ImageRejected("bad_config", f"{key} in the image configuration is not a list of texts. {BUILD_AGAIN}")
    return value


def _text(document: dict[str, Any], key: str) -> str:
    value = "" if document.get(key) is None else document[key]
    if not isinstance(value, str):
        raise ImageRejected("bad_config", f"{key} in the image configuration is not a text. {BUILD_AGAIN}")
    return value


def _warnings(settings: dict[str, Any], env_names: list[str]) -> list[str]:
    warnings = []
    overridden = sorted({name for name in env_names if name in _OVERRIDDEN_ENV})
    if overridden:
        warnings.append(f"The server sets these variables itself, over the image's ENV: {', '.join(overridden)}.")
    if settings.get("User"):
        warnings.append(
            "Of the image's USER the name, the home and its files are kept, the number is not: every container runs "
            "under a number of the server's own."
        )
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
