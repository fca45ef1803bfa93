"""`lake`: what indexers publish there, and joining it."""

from __future__ import annotations

from time import sleep, time

from crossmargin import lakes
from crossmargin.cli.context import Context
from crossmargin.cli.desks import desk_of
from crossmargin.cli.output import emit, facts, words
from crossmargin.cli.progress import counted_on, told_on
from crossmargin.documents import Document
from indexer.store import StoreError


def publish(context: Context) -> None:
    """Publish the parts that are due, and say which."""
    with told_on(context, "publishing parts") as told, desk_of(context, told=told) as desk:
        document = desk.publish_parts()
    emit(context, document, lambda console: facts(console, document))


def join(context: Context, every_s: int | None) -> None:
    """Join the newest set once, or again and again."""
    settings = context.settings()
    if every_s is None:
        with counted_on(context, "joining"):
            document = lakes.joined(settings)
        _said(context, document)
        return
    lakes.lake_settings(settings)
    while True:
        try:
            document = lakes.joined(settings)
        except StoreError as error:
            context.stderr().print(words(context.redactor.scrub(str(error)), "yellow"), soft_wrap=True)
        else:
            if document["new"]:
                _said(context, document)
        sleep(every_s)


def show(context: Context) -> None:
    """Show the set that readers see."""
    _said(context, lakes.shown(context.settings()))


def tidy(context: Context, keep: int) -> None:
    """Remove old sets, and say how many files went."""
    _said(context, lakes.tidied(context.settings(), keep, time()))


def _said(context: Context, document: Document) -> None:
    emit(context, document, lambda console: facts(console, document))
