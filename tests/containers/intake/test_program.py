"""A program that can never start is refused with its cause; what may start is not."""

from typing import Any

import pytest

from containers.intake import CheckedImage
from tests.containers.intake.build import Image, entry, folder, layer_of, link, second_name
from tests.containers.intake.conftest import Check, Refusal

CRLF = b"#!/bin/bash\r\necho hello\r\n"
SHELLS = layer_of(
    entry("usr/bin/bash", mode=0o755, data=b"\x7fELF"), link("bin", "usr/bin"), link("usr/bin/sh", "bash")
)


def script(name: str, data: bytes, mode: int = 0o755) -> bytes:
    return layer_of(entry(name, mode=mode, data=data))


def image(*layers: bytes, entrypoint: list[str], **config: Any) -> bytes:
    return Image([SHELLS, *layers], config={"Entrypoint": entrypoint} | config).saved()


REFUSED: dict[str, tuple[bytes, str]] = {
    "CR LF": (image(script("run.sh", CRLF), entrypoint=["/run.sh"]), "line ends of Windows"),
    "CR LF behind env": (
        image(script("run.py", b"#!/usr/bin/env python3\r\n"), entrypoint=["/run.py"]),
        "'/run.py' has the line ends of Windows",
    ),
    "CR LF with an option": (image(script("r", b"#!/bin/bash -e\r\n"), entrypoint=["/r"]), "dos2unix"),
    "CR LF below WORKDIR": (
        image(script("app/run.sh", CRLF), entrypoint=["./run.sh"], WorkingDir="/app"),
        "'./run.sh' has the line ends of Windows",
    ),
    "CR LF through links": (
        image(script("opt/run.sh", CRLF), layer_of(link("app", "opt"), link("r", "/app/run.sh")), entrypoint=["/r"]),
        "line ends of Windows",
    ),
    "CR LF by a hard link": (
        image(layer_of(entry("a", mode=0o755, data=CRLF), second_name("b", "a")), entrypoint=["/b"]),
        "line ends of Windows",
    ),
    "CR LF in a later layer": (
        image(script("run.sh", b"#!/bin/sh\n"), script("run.sh", CRLF), entrypoint=["/run.sh"]),
        "line ends of Windows",
    ),
    "no such file": (image(entrypoint=["/opt/run.sh"]), "'/opt/run.sh' is not in the image"),
    "a deleted file": (
        image(script("run.sh", b"#!/bin/sh\n"), layer_of(entry(".wh.run.sh")), entrypoint=["/run.sh"]),
        "not in the image",
    ),
    "below a deleted folder": (
        image(script("app/run.sh", b"#!/bin/sh\n"), layer_of(entry("app/.wh..wh..opq")), entrypoint=["/app/run.sh"]),
        "not in the image",
    ),
    "below a file": (image(script("app", b"x"), entrypoint=["/app/run.sh"]), "not in the image"),
    "a link to nowhere": (image(layer_of(link("run", "/opt/none")), entrypoint=["/run"]), "not in the image"),
    "a folder": (image(layer_of(folder("app")), entrypoint=["/app"]), "is a folder"),
    "not executable": (image(script("run.sh", b"#!/bin/sh\n", 0o600), entrypoint=["/run.sh"]), "not executable"),
    "no interpreter": (
        image(script("run.sh", b"#!/usr/bin/zsh\n"), entrypoint=["/run.sh"]),
        "begins with '#!/usr/bin/zsh', which is not in the image",
    ),
    "in /tmp": (image(script("tmp/run.sh", b"#!/bin/sh\n"), entrypoint=["/tmp/run.sh"]), "below /tmp"),
    "in a folder that is not there": (image(entrypoint=["/output/run.sh"]), "below /output"),
    "a CMD alone": (image(entrypoint=[], Cmd=["/run.sh"]), "not in the image"),
}


@pytest.mark.parametrize(("upload", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_it_refuses_what_can_never_start(refusal: Refusal, upload: bytes, sentence: str) -> None:
    refused = refusal(upload)
    assert refused.code == "unusable_entrypoint"
    assert sentence in str(refused)


ACCEPTED: dict[str, bytes] = {
    "a script": image(script("run.sh", b"#!/bin/bash\n"), entrypoint=["/run.sh"]),
    "a script of its owner": image(script("run.sh", b"#!/bin/bash\n", 0o700), entrypoint=["/run.sh"]),
    "a shell through links": image(script("run.sh", b"#! /bin/sh -e\n"), entrypoint=["/run.sh"]),
    "a first line without an end": image(script("run.sh", b"#!/bin/zsh"), entrypoint=["/run.sh"]),
    "a first line too long to be seen": image(script("r", b"#!/bin/zsh" + b"-" * 300 + b"\n"), entrypoint=["/r"]),
    "CR LF after the first line": image(script("r", b"#!/bin/sh\necho\r\n"), entrypoint=["/r"]),
    "mended by a later layer": image(script("r", CRLF), script("r", b"#!/bin/sh\n"), entrypoint=["/r"]),
    "a program on the PATH": image(entrypoint=["bash"]),
    "a program of the host": image(entrypoint=["/usr/bin/nvidia-smi"]),
    "a program of the kernel": image(entrypoint=["/proc/self/exe"]),
    "a link in circles": image(layer_of(link("a", "b"), link("b", "a")), entrypoint=["/a"]),
    "a folder over a link": image(layer_of(entry("bin/other")), entrypoint=["/bin/none"]),
    "a path with dots": image(script("app/r", b"#!/bin/sh\n"), entrypoint=["/app/../app/./r"]),
    "CR LF that Python reads": image(
        script("r.py", CRLF), script("usr/bin/python3", b""), entrypoint=["python3", "/r.py"]
    ),
}


@pytest.mark.parametrize("upload", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_it_takes_without_a_word_what_may_start(check: Check, upload: bytes) -> None:
    assert [warning for warning in check(upload).warnings if "opened" not in warning] == []


def about_the_program(image: CheckedImage) -> str:
    (warning,) = (warning for warning in image.warnings if "ENTRYPOINT" not in warning)
    return warning


@pytest.mark.parametrize(
    "entrypoint",
    [
        ["bash", "/run.sh"],
        ["/bin/bash", "-e", "run.sh"],
        ["/bin/sh", "-c", "/run.sh --fast && true"],
        ["/usr/bin/sh", "-c", " ./run.sh"],
    ],
)
def test_it_warns_of_a_script_over_which_a_shell_stumbles(check: Check, entrypoint: list[str]) -> None:
    warning = about_the_program(check(image(script("run.sh", CRLF), entrypoint=entrypoint, WorkingDir="/")))
    assert "run.sh' has the line ends of Windows" in warning
    assert "dos2unix" in warning


def test_it_warns_of_a_script_that_another_program_starts(check: Check) -> None:
    layers = script("run.sh", CRLF), script("tini", b"\x7fELF")
    assert "'/run.sh'" in about_the_program(check(image(*layers, entrypoint=["/tini", "--", "/run.sh"])))


def test_a_shell_stumbles_over_a_script_without_a_first_line_too(check: Check) -> None:
    assert "'/run.sh'" in about_the_program(check(image(script("run.sh", b"set -e\r\n"), entrypoint=["sh", "/run.sh"])))


def test_it_warns_of_a_program_that_is_on_no_path(check: Check) -> None:
    upload = image(entrypoint=["pyhton", "/run.py"], Env=["PATH=/usr/bin:/opt/bin"])
    assert "'pyhton' is in no folder of the image's PATH" in about_the_program(check(upload))
