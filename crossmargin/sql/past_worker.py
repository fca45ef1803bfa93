"""As `crossmargin.sql.worker`, over the Parquet copies of one snapshot, in whose folder the process starts."""

from __future__ import annotations

from pathlib import Path

import duckdb

from crossmargin.sql.check import Catalogue, catalogue
from crossmargin.sql.worker import CONFIG, serve, shut


class Copies:
    """The tables of a snapshot as public views."""

    def __init__(self) -> None:
        self._opened: tuple[duckdb.DuckDBPyConnection, Catalogue] | None = None

    def opened(self) -> tuple[duckdb.DuckDBPyConnection, Catalogue]:
        if self._opened is None:
            con = duckdb.connect(":memory:", config=CONFIG)
            con.execute("CREATE SCHEMA public")
            for path in sorted(Path.cwd().glob("*.parquet")):
                quoted = str(path).replace("'", "''")
                con.execute(f"CREATE VIEW public.{path.stem} AS SELECT * FROM read_parquet('{quoted}')")  # noqa: S608 - quoted
            shut(con, Path.cwd())
            self._opened = con, catalogue(con)
        return self._opened


def main() -> None:
    """Answer until the input ends."""
    serve(Copies())


if __name__ == "__main__":
    main()
