"""What the guide says: its sections, and the commands of each."""

from __future__ import annotations

import re
import textwrap

from tests.deploy.conftest import DEPLOY

_HEADING = re.compile(r"^##+ (.+)$", re.MULTILINE)
_BLOCK = re.compile(r"^( *)```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def sections() -> dict[str, str]:
    """Each section's text by its heading, in the guide's order; subsections are sections of their own."""
    _intro, *parts = _HEADING.split((DEPLOY / "README.md").read_text())
    return dict(zip(parts[::2], parts[1::2], strict=True))


def commands(heading: str) -> list[str]:
    """The commands of a section's blocks, each with the lines on which it goes on; comments alone are left out."""
    blocks = (textwrap.dedent(match[2]) for match in _BLOCK.finditer(sections()[heading]))
    joined = "\n".join(blocks).replace("\\\n", "\\\0").splitlines()
    return [line.replace("\0", "\n") for line in joined if line and not line.startswith("#")]


def said(heading: str, start: str) -> str:
    """The one command within a section's words that begins like this; AssertionError where it is not one."""
    found = {code for code in _codes(sections()[heading]) if code.startswith(start)}
    assert len(found) == 1, f'"{heading}" of the guide says {found} for {start}'
    return found.pop()


def said_in_point(heading: str, beginning: str) -> list[str]:
    """The commands in the point of a list that begins like this, in its order."""
    points = [
        point for point in re.split(r"^\* ", sections()[heading], flags=re.MULTILINE) if point.startswith(beginning)
    ]
    assert len(points) == 1, f'"{heading}" of the guide has {len(points)} points that begin with {beginning}'
    return [code for code in _codes(points[0].partition("\n\n")[0]) if " " in code]


def _codes(words: str) -> list[str]:
    """What stands as code in words, past the blocks, each in one line."""
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", _BLOCK.sub("", words))]
