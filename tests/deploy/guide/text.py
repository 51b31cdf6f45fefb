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
    """The one command within a section's words that begins like this; AssertionError where the guide says it no more."""
    (found,) = {" ".join(code.split()) for code in re.findall(r"`([^`]+)`", sections()[heading]) if code.startswith(start)}
    return found


def said_in_point(heading: str, beginning: str) -> list[str]:
    """All that stands as code in the point of a list that begins like this, in its order."""
    (point,) = re.findall(rf"^\* {re.escape(beginning)}(.*?)(?=^\* |^$)", sections()[heading], re.MULTILINE | re.DOTALL)
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", point) if " " in code]
