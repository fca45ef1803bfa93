"""`--version` and `check`."""

from __future__ import annotations

from crossmargin.cli.context import Context
from crossmargin.cli.output import emit, facts
from crossmargin.packaged import program_version


def version(context: Context) -> None:
    """Print the version."""
    emit(context, {"version": program_version()}, lambda console: console.print(f"crossmargin {program_version()}"))


def check(context: Context) -> None:
    """Print the configuration as understood; whatever is wrong with it has been raised by then."""
    from crossmargin.app import policy_of
    from crossmargin.settings.shown import effective
    from crossmargin.starts import told

    settings = told(context.settings())
    policy_of(settings)
    document = effective(settings)
    emit(context, document, lambda console: facts(console, document))
