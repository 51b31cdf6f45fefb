"""The program that an image's configuration names: can it be started at all?

What fails in every container, whoever runs it, is refused with its cause: a team reads of it now, and not as "could not
start" after a wait in the queue. What may work, or is likely to fail only in part, is a warning or nothing.
"""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from containers.intake.errors import ImageRejected, quoted
from containers.intake.image_filesystem import Hidden, ImageFilesystem, Unknown
from containers.intake.tree import File, Node

_DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SHELLS: Final = frozenset({"ash", "bash", "dash", "ksh", "sh", "zsh"})
#: Interpreters that read lines with CR LF like any others.
_TOLERANT: Final = re.compile(r"(python|perl|ruby|node|julia|Rscript|lua)[0-9.]*")
#: Programs that a GPU runtime brings into the container.
_FROM_HOST: Final = "nvidia-"
_COMMAND_WORD: Final = re.compile(r"\s*([^\s;&|<>()$`\"']+)")
_MAX_ARGUMENTS: Final = 100
_DOS2UNIX: Final = (
    "Convert it with dos2unix (and keep it so with the line `*.sh text eol=lf` in .gitattributes), then build the "
    "image again."
)


@dataclass(frozen=True)
class Command:
    """What an image starts: ENTRYPOINT and CMD together, with the folder and the search path they are started in."""

    words: list[str]
    folder: str
    search_path: str | None

    def path(self, word: str) -> str:
        """A word as an absolute path."""
        return posixpath.join(self.folder or "/", word)


def check_program(command: Command, filesystem: ImageFilesystem) -> list[str]:
    """Sentences for the team about the program and its scripts. Raises ImageRejected where it can never start."""
    program = command.words[0]
    try:
        if "/" in program:
            _check_start(command, program, filesystem)
        elif not _is_on_path(command, filesystem):
            where = "is in no folder of the image's PATH: it will not start."
            return [f"The program {quoted(program)} {where}{_about_words(program)}"]
    except Unknown:
        return []
    return _warnings(command, filesystem)


def candidates(command: Command) -> Iterator[str]:
    """The absolute paths at which a command's program is looked for, in order."""
    program = command.words[0]
    if "/" in program:
        yield command.path(program)
    else:
        for folder in dict.fromkeys((command.search_path or _DEFAULT_PATH).split(":")):
            yield posixpath.join(command.path(folder), program)


def interpreter(line: bytes) -> str:
    """The program that a script's first line names; empty where that is no absolute path, or cannot be seen whole."""
    words = line[2:].split(maxsplit=1) if line.startswith(b"#!") and line.endswith(b"\n") else []
    path = words[0].decode("utf-8", "surrogateescape") if words else ""
    return path if path.startswith("/") else ""


# --- The program itself -----------------------------------------------------------------------------------------------


def _check_start(command: Command, program: str, filesystem: ImageFilesystem) -> None:
    if posixpath.basename(program).startswith(_FROM_HOST):
        return
    try:
        found = filesystem.find(command.path(program))
    except Hidden as hidden:
        raise _unusable(
            f"The program {quoted(program)} lies below {hidden.args[0]}, where the server mounts a folder of its own. "
            "Put it elsewhere, /opt for example."
        ) from hidden
    if found is None:
        raise _unusable(
            f"The program {quoted(program)} is not in the image. Correct ENTRYPOINT or CMD, or COPY it."
            f"{_about_words(program)}"
        )
    if isinstance(found, dict):
        raise _unusable(f"The program {quoted(program)} is a folder. Correct ENTRYPOINT or CMD.")
    if not isinstance(found, File):
        return
    if not found.executable:
        raise _unusable(
            f"The program {quoted(program)} is not executable, not even for its owner. Add RUN chmod a+rx for it to "
            "the Dockerfile, or name its interpreter in ENTRYPOINT."
        )
    if found.foreign:
        raise _unusable(
            f"The program {quoted(program)} is {found.foreign}: the server's Linux on amd64 does not start it. Build "
            "the image with docker build --platform linux/amd64, give a script a first line such as #!/bin/sh, or name "
            "its interpreter in ENTRYPOINT."
        )
    _check_first_line(program, found.script, filesystem)


def _about_words(program: str) -> str:
    """What is often meant by a program that is a whole line of a shell."""
    if " " in program.strip():
        return ' Each word is a text of its own: ENTRYPOINT ["python", "run.py"].'
    return " Variables are replaced by a shell alone, which ENTRYPOINT [...] has none of." if "$" in program else ""


def _check_first_line(program: str, line: bytes, filesystem: ImageFilesystem) -> None:
    if not line.startswith(b"#!"):
        return
    if line.endswith(b"\r\n"):
        raise _unusable(
            f"The script {quoted(program)} has the line ends of Windows (CR LF), with which Linux starts no script. "
            f"{_DOS2UNIX}"
        )
    wanted = interpreter(line)
    if wanted and _is_missing(wanted, filesystem):
        raise _unusable(
            f"The script {quoted(program)} begins with {quoted('#!' + wanted)}, which is not in the image. "
            "Install it in the Dockerfile, or name another interpreter."
        )


def _is_missing(path: str, filesystem: ImageFilesystem) -> bool:
    try:
        return filesystem.find(path) is None
    except (Unknown, Hidden):
        return False


def _is_on_path(command: Command, filesystem: ImageFilesystem) -> bool:
    if command.words[0].startswith(_FROM_HOST):
        return True
    return not all(_is_missing(path, filesystem) for path in candidates(command))


def _unusable(message: str) -> ImageRejected:
    return ImageRejected("unusable_entrypoint", message)


# --- Its scripts ------------------------------------------------------------------------------------------------------


def _warnings(command: Command, filesystem: ImageFilesystem) -> list[str]:
    """About scripts with the line ends of Windows among the arguments; shells stumble over them, Python does not."""
    name = posixpath.basename(command.words[0])
    if _TOLERANT.fullmatch(name):
        return []
    scripts = command.words[1:_MAX_ARGUMENTS]
    if name in _SHELLS and "-c" in scripts:  # the shell form of ENTRYPOINT and CMD
        scripts = [word[1] for script in scripts if (word := _COMMAND_WORD.match(script))]
    stumbling = [
        script
        for script in scripts
        if not script.startswith("-") and _stumbles(_found(command.path(script), filesystem), by_shell=name in _SHELLS)
    ]
    return [
        f"The script {quoted(script)} has the line ends of Windows (CR LF), which shells do not understand. {_DOS2UNIX}"
        for script in stumbling[:1]
    ]


def _stumbles(found: Node | None, *, by_shell: bool) -> bool:
    if not isinstance(found, File) or not found.script.endswith(b"\r\n"):
        return False
    return by_shell or found.script.startswith(b"#!")


def _found(path: str, filesystem: ImageFilesystem) -> Node | None:
    try:
        return filesystem.find(path)
    except (Unknown, Hidden):
        return None
