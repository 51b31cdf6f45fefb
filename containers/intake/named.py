"""The paths that an image's configuration names: what its program is going to use, as far as that can be told.

Where a path stands does not matter: it may be a word of ENTRYPOINT or CMD, a script in a shell's text, an option's
value, a variable, the working directory, the home. Each is followed through the image's links, and what is really there
is opened wherever it lies (`modes`). A word that is no path of the image does no harm.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final

from containers.intake.errors import quoted
from containers.intake.image_config import ImageConfig
from containers.intake.image_filesystem import ImageFilesystem, hiding
from containers.intake.program import candidates, interpreter
from containers.intake.tree import File, Node

_WORD: Final = re.compile(r"""[^\s;&|<>()$`"'=:,]+""")  # of a shell's text, of --option=path, of lists a:b and a,b
_MAX_WORDS: Final = 5000
_SHOWN: Final = 5


def named_places(config: ImageConfig, home: str, filesystem: ImageFilesystem) -> Mapping[str, Node]:
    """Where what the configuration names really is, and what is there, links on the way among it.

    home: that of the image's user. Of scripts their interpreters are named, too.
    """
    places = filesystem.places(_paths(config, home))
    scripts = [node.script for node in places.values() if isinstance(node, File)]
    return {**places, **filesystem.places(path for script in scripts if (path := interpreter(script)))}


def _paths(config: ImageConfig, home: str) -> Iterator[str]:
    """Absolute paths, as they are written."""
    command = config.command
    yield from (config.folder, home)
    yield from islice(candidates(command), _MAX_WORDS)
    yield from map(command.path, islice(_words(command.words), _MAX_WORDS))
    yield from (word for word in islice(_words(config.variables), _MAX_WORDS) if word.startswith("/"))


def hidden_warnings(places: Mapping[str, Node]) -> list[str]:
    """Sentences for the team about what is named and nobody will see."""
    hidden = [place for place, node in places.items() if hiding(place) and node != {}]
    if not hidden:
        return []
    folders = ", ".join(sorted({folder for place in hidden if (folder := hiding(place))}))
    shown = ", ".join(quoted("/" + place) for place in hidden[:_SHOWN])
    warning = (
        f"The server mounts folders of its own over {folders}, so these paths, which the image's settings name, will "
        f"not be there: {shown}. Put them elsewhere, below /opt for example."
    )
    return [warning]


def _words(texts: Iterable[str]) -> Iterator[str]:
    """Each text, and the words in it."""
    for text in texts:
        yield text
        yield from _WORD.findall(text)
