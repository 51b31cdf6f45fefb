"""`./dev bench NAME [options]`: choose a benchmark."""

import importlib
import sys

NAMES = (
    "batches",
    "board",
    "capacity",
    "certainty",
    "estimates",
    "fairness",
    "last-hour",
    "many-uploads",
    "pages",
    "run",
    "scores",
    "scoring",
    "streams",
    "uploads",
)


def main() -> None:
    """Run the benchmark that the first argument names."""
    if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
        raise SystemExit(f"usage: ./dev bench {{{','.join(NAMES)}}} [options]")
    name = sys.argv.pop(1)
    sys.argv[0] = f"./dev bench {name}"
    importlib.import_module(f"tests.bench.{name.replace('-', '_')}").main()


if __name__ == "__main__":
    main()
