"""Build the compiled kernel: `python -m evaluation.kernel.build [FOLDER] [--sanitize]`.

Without a folder it goes where this Python looks for packages. With `--sanitize`, every access to memory and every
undefined operation is checked (AddressSanitizer and UndefinedBehaviorSanitizer), for tests.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from evaluation.kernel import SOURCE, source_digest

FILE_NAME = "rexg_kernel.abi3.so"
# No rounding but that of each single operation, so that all machines find the same bits.
FLAGS = (
    "-std=c11",
    "-shared",
    "-fPIC",
    "-fno-math-errno",
    "-ffp-contract=off",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
    "-Wno-unused-parameter",  # each function gets the module, and none needs it
)
FAST = ("-O3", "-DNDEBUG")
SANITIZED = ("-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


class CannotBuild(Exception):
    """There is no compiler, or it fails; the message says what to do."""


def build(folder: Path, *, sanitize: bool = False) -> Path:
    """The compiled module, made anew in a folder. Raises `CannotBuild`."""
    name, *options = shlex.split(os.environ.get("CC", "")) or ["cc"]
    compiler = shutil.which(name)
    if compiler is None:
        raise CannotBuild(f"there is no C compiler {name}: install gcc, or name one in the environment variable CC")
    headers = sysconfig.get_path("include")
    if not Path(headers, "Python.h").is_file():
        raise CannotBuild(f"{headers} has no Python.h: install Python's headers (on Debian the package python3-dev)")
    if not os.access(folder, os.W_OK | os.X_OK):  # also where the file system is mounted to be read only
        raise CannotBuild(f"cannot write in {folder}")
    unresolved = ("-undefined", "dynamic_lookup") if sys.platform == "darwin" else ()  # Python itself has the rest
    target = folder / FILE_NAME
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    done = subprocess.run(
        [
            *(compiler, *options, *FLAGS, *(SANITIZED if sanitize else FAST)),
            *(f'-DKERNEL_SOURCE="{source_digest()}"', f"-I{headers}"),
            *(str(SOURCE), "-o", str(temporary), "-lm", *unresolved),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        temporary.unlink(missing_ok=True)
        raise CannotBuild(f"{compiler} failed:\n{done.stderr}")
    return temporary.replace(target)


def main() -> int:
    """The command line; the exit code is 1 without a kernel."""
    parser = argparse.ArgumentParser(prog="python -m evaluation.kernel.build", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(sysconfig.get_path("platlib")))
    parser.add_argument("--sanitize", action="store_true")
    options = parser.parse_args()
    try:
        built = build(options.folder, sanitize=options.sanitize)
    except CannotBuild as error:
        sys.stderr.write(f"the scoring's kernel is not built, so NumPy does its work: {error}\n")
        return 1
    sys.stdout.write(f"{built}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
