"""What a file is that is marked as executable and that Linux on amd64 starts by no means, told by its beginning."""

from typing import Final

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_ELF: Final = b"\x7fELF"
_BIG_ENDIAN: Final = 2
_MACHINE_BYTES: Final = slice(18, 20)
#: By ELF's numbers. 0 is none that could be told.
_OURS: Final = frozenset({0, 3, 62})  # i386, too
_OTHERS: Final = {8: "MIPS", 20: "PowerPC", 21: "PowerPC", 22: "S/390", 40: "ARM", 183: "ARM (aarch64)", 243: "RISC-V"}
_OTHER_SYSTEMS: Final = (
    (b"MZ", "a program for Windows"),
    (b"\xcf\xfa\xed\xfe", "a program for macOS"),
    (b"\xca\xfe\xba\xbe", "a program for macOS or a class of Java"),
)


def foreign_format(beginning: bytes) -> str:
    """What such a file is, in words; empty for a script, a program for amd64, and what cannot be told."""
    if beginning.startswith(b"#!"):
        return ""
    if beginning.startswith(_ELF):
        machine = _machine(beginning)
        return "" if machine in _OURS else f"a program for {_OTHERS.get(machine, 'another processor')}, not for amd64"
    if beginning.startswith(_BYTE_ORDER_MARK + b"#!"):
        return "a script with a byte order mark before its #!"
    for magic, words in _OTHER_SYSTEMS:
        if beginning.startswith(magic):
            return words
    return "neither a program nor a script whose first line begins with #!"


def _machine(elf: bytes) -> int:
    return int.from_bytes(elf[_MACHINE_BYTES], "big" if elf[5:6] == bytes([_BIG_ENDIAN]) else "little")
