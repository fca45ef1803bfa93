"""`python -m bench [NAME …]`: run the benchmarks."""

import sys
from importlib import import_module

BENCHMARKS = (
    "accounts",
    "api",
    "decode",
    "engines",
    "fold",
    "journal",
    "margin",
    "mirror",
    "publish",
    "scale",
    "snapshot",
    "store",
    "streams",
    "stress",
)


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    for name in names or BENCHMARKS:
        import_module(f"bench.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
