"""Every act of organisers, by its name: in addresses, and after `manage.py act`.

Each module here has the acts about one kind of thing, in `ACTS`.
"""

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules

from leaderboard.desk.acting import Act

_MODULES = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)]
ACTS: Mapping[str, Act] = {act.name: act for module in _MODULES for act in module.ACTS}
