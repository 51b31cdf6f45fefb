"""Sizes in words, in three digits: the same everywhere. The scripts of the pages say them by the same rule."""

from collections.abc import Sequence


def decimal_size(size: int) -> str:
    """Bytes of files and disks, in decimal units as disks are sold: `265 bytes`, `12 kB`, `9.14 GB`."""
    return _scaled(size, 1000, ("bytes", "kB", "MB", "GB", "TB"))


def binary_size(size: int) -> str:
    """Bytes of memory, in binary units: `32 GiB`."""
    return _scaled(size, 1024, ("bytes", "KiB", "MiB", "GiB", "TiB"))


def _scaled(size: int, base: int, units: Sequence[str]) -> str:
    if size == 1:
        return "1 byte"
    power = 0
    # What rounds to a whole unit is told in that one: 999,999 bytes are 1 MB, not 1000 kB.
    while round(size / base**power, _digits(size / base**power)) >= base and power < len(units) - 1:
        power += 1
    scaled = size / base**power
    text = f"{scaled:.{_digits(scaled) if power else 0}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} {units[power]}"


def _digits(scaled: float) -> int:
    return 2 if scaled < 10 else 1 if scaled < 100 else 0
