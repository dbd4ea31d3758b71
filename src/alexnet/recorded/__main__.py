"""`python -m alexnet.recorded NAME --data DATA`: makes one recorded run anew and keeps its evidence."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from alexnet.errors import AlexNetError
from alexnet.recorded.record import record
from alexnet.recorded.runs import find, names


def main() -> int:
    """Exit code 0 when every run asked for is recorded."""
    parser = argparse.ArgumentParser(prog="python -m alexnet.recorded", description=__doc__)
    parser.add_argument("name", nargs="*", help="recorded runs; without any, the list is printed")
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder that holds the data sets")
    parser.add_argument("--work", type=Path, default=Path(), help="where stores/ and runs/ are made")
    parser.add_argument("--results", type=Path, default=Path("results"))
    arguments = parser.parse_args()
    if not arguments.name:
        print("\n".join(names()))
    try:
        for name in arguments.name:
            record(find(name), arguments.data, arguments.work, arguments.results)
    except AlexNetError as error:
        print(f"alexnet: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
