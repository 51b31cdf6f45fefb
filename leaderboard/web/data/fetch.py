#!/usr/bin/env python3
"""Downloads a case set of the ReXGrounding Challenge, as `python3 fetch.py FOLDER NAME ...`.

Needs Python 3.9 or newer and nothing else. NAMEs are cases, or parts of their names: then only these are fetched. Break
it off whenever you like: started again, it goes on where it was, and fetches nothing twice. Each file is checked by its
SHA-256 before it gets its name.

KEY is yours, for some days: whoever has it downloads in your name, under the terms that you accepted. Do not pass it
on; a new script is on the page.
"""

from __future__ import annotations

import hashlib
import http.client
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

Result = TypeVar("Result")
ADDRESS = ""
KEY = ""
CHUNK = 1 << 20
TRIES = 8
FINAL = (401, 403, 404)  # nothing that passes by itself


def ask(path: str, headers: Mapping[str, str] | None = None) -> Any:
    """Open a file of the case set."""
    known = {"Authorization": f"Bearer {KEY}", **(headers or {})}
    request = urllib.request.Request(ADDRESS + path, headers=known)  # noqa: S310  the site's own address
    return urllib.request.urlopen(request, timeout=60)  # noqa: S310


def say(words: str) -> None:
    """A line for who waits."""
    sys.stderr.write(f"{words}\n")


def digest_of(path: Path) -> str:
    """The SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def fetch(name: str, digest: str, folder: Path) -> str:
    """Have the file, whole. It comes as NAME.part, and goes on at its end."""
    target = folder / name
    if target.exists() and digest_of(target) == digest:
        return "is here"
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    receive(name, part)
    if digest_of(part) != digest:
        part.unlink()
        raise OSError("what came is not what was meant to come")
    part.replace(target)
    return "fetched"


def receive(name: str, part: Path) -> None:
    """What is missing of a file, to its end."""
    here = part.stat().st_size if part.exists() else 0
    try:
        answer = ask(name, {"Range": f"bytes={here}-"} if here else {})
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:  # nothing is missing
            return
        raise
    with answer, part.open("ab" if answer.status == http.client.PARTIAL_CONTENT else "wb") as file:
        left = int(answer.headers.get("Content-Length", 0))
        while chunk := answer.read(CHUNK):
            file.write(chunk)
            left -= len(chunk)
    if left > 0:
        raise OSError("the line broke")


def patiently(act: Callable[..., Result], *arguments: Any) -> Result:
    """Try again after what passes: a broken line, a server that is being restarted."""
    tried = 0
    while True:
        try:
            return act(*arguments)
        except (OSError, http.client.HTTPException) as error:
            problem = error
        if isinstance(problem, urllib.error.HTTPError) and problem.code in FINAL:
            sys.exit(f"{problem.code}: {problem.read(2000).decode('utf-8', 'replace').strip()}")
        tried += 1
        if tried == TRIES:
            sys.exit(f"{problem!r}. What is here stays: start me again later.")
        say(f"  {problem!r}; once more")
        time.sleep(min(60, 2**tried))


def read_list() -> list[tuple[str, str]]:
    """The name and digest of each file; no name leads out of the folder."""
    with ask("SHA256SUMS") as answer:
        lines = [line.partition("  ") for line in answer.read().decode().splitlines()]
    files = [(name, digest) for digest, _, name in lines]
    if any(step in {"", ".", ".."} or "\\" in step for name, _ in files for step in name.split("/")):
        sys.exit("The list of files cannot be read.")
    return files


def main(folder: str = ".", *names: str) -> None:
    """Fetch all, or what the names say; dataset.json comes in any case."""
    files = patiently(read_list)
    wanted = [one for one in files if not names or "/" not in one[0] or any(name in one[0] for name in names)]
    for number, (name, digest) in enumerate(wanted, start=1):
        say(f"{number} of {len(wanted)}: {name} {patiently(fetch, name, digest, Path(folder))}")


if __name__ == "__main__":
    main(*sys.argv[1:])
