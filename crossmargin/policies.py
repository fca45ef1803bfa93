"""Which policy is in force at which block, and how another one comes to be.

A file is scheduled when all of this holds, asked in this order:

1. it can be read, has a version and every class that an asset names, and its pools name what is there;   else `BadPolicy`, `UsageError`
2. its version names no other content;                                           else `VersionTaken`
3. it counts from no moment that is past, and from none before one that is published (in an emergency: before none that is in
   force);                                                                       else `Retroactive`
4. it tightens nothing that accounts are liquidated by, or its notice is kept, or it is an emergency;   else `NoticeTooShort`

One that does not count yet is withdrawn by its version (`Retroactive` where it counts, `NoSuchThing` where there is none), unless what
comes after it tightens what would then be before it, with too little notice (`NoticeTooShort`). It stays in the ledger.
"""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from aggregator.gather import Catalogue
from aggregator.governance.changes import Change, changes
from aggregator.governance.terms import LONGEST_NOTE, Terms, read_terms
from aggregator.margin.inputs import Cut
from aggregator.margin.policy_text import PolicyError
from crossmargin.documents import Document, harmless, moment
from crossmargin.errors import BadPolicy, NoSuchThing, UsageError
from crossmargin.packaged import config
from crossmargin.policy_history import BEGINNING, Entry, FileState, History
from crossmargin.policy_names import unknown_in_pools
from crossmargin.refusals import NoticeTooShort, NotScheduled, Retroactive, VersionTaken
from crossmargin.settings import Settings, SettingsError
from crossmargin.watch import Clock
from indexer.store import PolicyLedger, PolicyRow, Reader, Store, Withdrawal

FIRST, SCHEDULED, ACCEPTED = "first", "scheduled", "accepted"


def moment_of(cuts: Mapping[str, Cut]) -> int:
    """Return the moment of a cut: the time of its latest block, or the later one of the past up to which a chain went on beyond it."""
    return max((cut.now for cut in cuts.values()), default=BEGINNING)


class Policies:
    """The policies of one store, and the file of its configuration."""

    def __init__(self, settings: Settings, store: Store, clock: Clock) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._read: dict[str, Terms] = {}

    def history(self, reader: Reader) -> History:
        """Return what the ledger holds; of an empty one, the configured file."""
        rows = reader.policies()
        return self._history(rows) if rows else History(entries=(self._configured(),))

    def in_force(self, reader: Reader, time: int) -> Entry:
        return self.history(reader).at(time)

    def over(self, catalogue: Catalogue, reader: Reader, cuts: Mapping[str, Cut]) -> tuple[Catalogue, Entry]:
        """Return a catalogue with the policy that is in force at a cut, and that policy."""
        entry = self.in_force(reader, moment_of(cuts))
        return under(catalogue, entry), entry

    def begin(self, *, accept: bool = False) -> FileState:
        """Enter the configured file where the ledger is empty or it is to be accepted; raises `NotScheduled`, `Retroactive`."""
        now = int(self._clock())
        with self._store.policies() as ledger:
            rows = ledger.rows()
            if not rows:
                _enter(ledger, self._first(now), now=now, who=user(), manner=FIRST)
                return "in force"
            history, configured = self._history(rows), self._configured()
            state = history.state_of(configured.terms, now)
            if accept and state in {"strange", "superseded"}:
                taken = Entry(terms=configured.terms, effective_from=now)
                _check_version(taken.terms, history)
                _enter(ledger, taken, now=now, who=user(), manner=ACCEPTED, emergency=True)
                return "in force"
        self._refuse_strange(state, history.at(now))
        return state

    def check(self, reader: Reader) -> FileState:
        """Say what the configured file is to the ledger, without writing; raises `NotScheduled`."""
        history, now = self.history(reader), int(self._clock())
        state = history.state_of(self._configured().terms, now)
        self._refuse_strange(state, history.at(now))
        return state

    def schedule(self, text: str, *, emergency: bool, who: str) -> Document:
        """Enter a policy by the rules above, all of it or nothing."""
        terms, now = self.read(text), int(self._clock())
        if terms.head.version is None:
            raise UsageError(
                'the policy has no version; write [policy] version = "2026-11-28.1", a word that names no other'
            )
        since = now if terms.head.effective_from is None else terms.head.effective_from
        with self._store.policies() as ledger:
            rows = ledger.rows() or [_row(self._first(now), now=now, who=who, manner=FIRST)]
            history = self._history(rows)
            if (known := _check_version(terms, history)) is not None:
                return _entry(known) | {"state": "known", "changes": []}
            _check_moment(since, now, history, emergency=emergency)
            found = changes(history.at(since).terms, terms)
            _check_notice(found, since - now, history.at(now), emergency=emergency)
            if not ledger.rows():
                ledger.add(rows[0])
            entry = Entry(terms=terms, effective_from=since)
            row = _enter(ledger, entry, now=now, who=who, manner=SCHEDULED, emergency=emergency)
        told = _entry(Entry(terms=terms, effective_from=since, row=row))
        return told | {"state": "scheduled", "changes": [change_of(change) for change in found]}

    def withdraw(self, version: str, *, note: str, emergency: bool, who: str) -> Document:
        """Take a policy back before it counts; the ledger keeps it, and says when and by whom it was withdrawn."""
        now = int(self._clock())
        if len(note) > LONGEST_NOTE:
            raise UsageError(f"the note must be a text of up to {LONGEST_NOTE} characters")
        with self._store.policies() as ledger:
            history = self._history(ledger.rows())
            entry = _of_version(version, history)
            if entry in history.withdrawn:
                return _entry(entry) | {"state": "known"}
            if entry.effective_from <= now:
                raise Retroactive(
                    f"policy {entry.named} counts since {_since(entry)}, and answers were given by it; schedule another one"
                )
            _check_left(entry, history, now, emergency=emergency)
            row = ledger.withdraw(entry.stored, Withdrawal(at=now, who=who, note=note, emergency=emergency))
        return _entry(replace(entry, row=row)) | {"state": "withdrawn"}

    def read(self, text: str) -> Terms:
        """Read a file that was sent, and check it against the configuration; raises `BadPolicy`."""
        try:
            terms = read_terms(text)
            check_names(self._settings, terms)
        except (PolicyError, SettingsError) as error:
            raise BadPolicy(str(error)) from error
        return terms

    def listing(self, reader: Reader) -> Document:
        """Return the ledger, in the order in which policies count."""
        history, now = self.history(reader), int(self._clock())
        current = history.at(now)
        state = history.state_of(self._configured().terms, now)
        return {
            "file": {"path": str(policy_path(self._settings)), "state": state},
            "policies": [
                _entry(entry) | {"state": _state(entry, current, now)}
                for entry in sorted((*history.entries, *history.withdrawn), key=lambda entry: entry.effective_from)
            ],
        }

    def shown(self, reader: Reader, time: int) -> Document:
        """Return the policy in force at a moment, with its rules and what follows it."""
        history = self.history(reader)
        entry = history.at(time)
        return _entry(entry) | {
            "at": moment(time),
            "rules": json.loads(entry.terms.canonical),
            "shortfall": asdict(entry.terms.floor),
            "next": [_entry(later) for later in history.after(time)],
        }

    def _first(self, now: int) -> Entry:
        configured = self._configured()
        if configured.effective_from > now:
            raise Retroactive(
                f"{policy_path(self._settings)} counts from {moment(configured.effective_from)} on only, and this store has no policy"
                " until then; leave effective_from out, or begin with a policy that is in force and schedule this one"
            )
        return configured

    def _configured(self) -> Entry:
        terms = terms_of(self._settings)
        return Entry(terms=terms, effective_from=terms.head.effective_from or BEGINNING)

    def _history(self, rows: Sequence[PolicyRow]) -> History:
        entries = [Entry(terms=self._terms(row), effective_from=row.effective_from, row=row) for row in rows]
        ordered = sorted(entries, key=lambda entry: entry.effective_from)
        return History(
            entries=tuple(entry for entry in ordered if not entry.is_withdrawn),
            withdrawn=tuple(entry for entry in ordered if entry.is_withdrawn),
        )

    def _terms(self, row: PolicyRow) -> Terms:
        """Read the file of an entry, once; what only governs is compared as this program reads it."""
        if row.source not in self._read:
            try:
                self._read[row.source] = read_terms(row.source)
            except PolicyError as error:
                raise PolicyError(
                    f"policy {row.version or row.digest} of the store's ledger cannot be read by this program ({error}); "
                    "answer with the version that entered it"
                ) from error
        return self._read[row.source]

    def _refuse_strange(self, state: FileState, current: Entry) -> None:
        if state == "strange":
            path = policy_path(self._settings)
            raise NotScheduled(
                f"{path} is not the policy in force ({current.named}), and is not scheduled; see what it would do with "
                f"`crossmargin policy preview {path}`, then enter it with `crossmargin policy schedule {path}`, "
                "or start once with --accept-policy to let it count from now on"
            )


def policy_path(settings: Settings) -> Path:
    """Return the configured file, or the one that ships with the program."""
    return settings.policy or config("policy.toml")


def terms_of(settings: Settings) -> Terms:
    """Read the configured file, and check it against the configuration; raises `SettingsError`."""
    path = policy_path(settings)
    try:
        terms = read_terms(path.read_text(encoding="utf-8"))
        check_names(settings, terms)
    except (OSError, UnicodeDecodeError, PolicyError) as error:
        raise SettingsError(path, (str(error),)) from error
    return terms


def check_names(settings: Settings, terms: Terms) -> None:
    """Refuse a policy that lacks a class which an asset names, or whose pools name what is not there.

    Raises `SettingsError` and `PolicyError`.
    """
    classes = terms.policy.classes
    missing = tuple(
        f'[[asset]] "{asset.id}": class "{asset.asset_class}" is not in the policy; use one of {", ".join(classes)}'
        for asset in settings.assets
        if asset.asset_class not in classes
    )
    if missing:
        raise SettingsError(settings.path, missing)
    if unknown := tuple(unknown_in_pools(settings, terms.policy)):
        raise PolicyError("; ".join(unknown))


def change_of(change: Change) -> dict[str, Any]:
    """Write a change of a rule."""
    return asdict(change)


def described(terms: Terms) -> dict[str, Any]:
    """Write what a file says of itself."""
    head = terms.head
    return {
        "version": head.version,
        "digest": terms.digest,
        "effective_from": None if head.effective_from is None else moment(head.effective_from),
        "note": head.note,
        "approved_by": list(head.approved_by),
        "notice_s": head.notice_s,
    }


def user() -> str:
    """Return the name of the system's user, as far as the system knows it."""
    try:
        return getpass.getuser()
    except OSError:
        return "unknown"


def under(catalogue: Catalogue, entry: Entry) -> Catalogue:
    """Return a catalogue under another policy."""
    return replace(catalogue, policy=entry.terms.policy, policy_stamp=entry.stamp)


def _enter(
    ledger: PolicyLedger, entry: Entry, *, now: int, who: str, manner: str, emergency: bool = False
) -> PolicyRow:
    row = _row(entry, now=now, who=who, manner=manner, emergency=emergency)
    ledger.add(row)
    return row


def _row(entry: Entry, *, now: int, who: str, manner: str, emergency: bool = False) -> PolicyRow:
    terms = entry.terms
    return PolicyRow(
        digest=terms.digest,
        version=terms.head.version,
        canonical=terms.canonical,
        source=terms.text,
        effective_from=entry.effective_from,
        logged_at=now,
        note=terms.head.note,
        approved_by=", ".join(terms.head.approved_by),
        who=who,
        manner=manner,
        emergency=emergency,
    )


def _check_version(terms: Terms, history: History) -> Entry | None:
    """Return the entry that this very file made before; a version names one content and one moment."""
    version = terms.head.version
    for entry in history.named(version):
        if entry.is_withdrawn:
            raise VersionTaken(f"version {version} was withdrawn; give this one a new version")
        if entry.terms.text == terms.text:
            return entry
        raise VersionTaken(
            f"version {version} names another policy ({entry.terms.digest}, from {_since(entry)}); give this one a new version"
        )
    return None


def _of_version(version: str, history: History) -> Entry:
    found = history.named(version)
    if not found:
        known = ", ".join(entry.named for entry in history.entries) or "none"
        raise NoSuchThing(f'no policy has the version "{harmless(version, longest=80)}"; there are: {known}')
    return found[0]


def _check_left(entry: Entry, history: History, now: int, *, emergency: bool) -> None:
    """Refuse where what follows a withdrawn policy would tighten, too soon, what is before it; raises `NoticeTooShort`."""
    left = history.without(entry)
    following = [other for other in left.entries if other.effective_from >= entry.effective_from]
    if following:
        since = following[0].effective_from
        found = changes(left.at(since - 1).terms, left.at(since).terms)
        _check_notice(found, since - now, history.at(now), emergency=emergency)


def _check_moment(since: int, now: int, history: History, *, emergency: bool) -> None:
    if since < now:
        raise Retroactive(
            f"effective_from {moment(since)} is past, and answers were given by another policy since; name a moment after {moment(now)}"
        )
    later = [entry for entry in history.after(now) if entry.effective_from > since]
    if later and not emergency:
        raise Retroactive(
            f"policy {later[-1].named} is published from {_since(later[-1])} on; name that moment or a later one for this one"
        )


def _check_notice(found: Sequence[Change], notice_s: int, current: Entry, *, emergency: bool) -> None:
    """Refuse a tightening that comes too soon, unless it is an emergency; raises `NoticeTooShort`."""
    tightened = [change.key for change in found if change.tightens]
    wanted = current.terms.head.notice_s
    if tightened and notice_s < wanted and not emergency:
        raise NoticeTooShort(
            f"this tightens {', '.join(tightened)}, and the policy in force promises {wanted} s of notice: {notice_s} s are left "
            "until effective_from; name a later moment, or say --emergency, which is kept with it"
        )


def _since(entry: Entry) -> str:
    return "the beginning" if entry.effective_from == BEGINNING else moment(entry.effective_from)


def _state(entry: Entry, current: Entry, now: int) -> str:
    if entry.is_withdrawn:
        return "withdrawn"
    if entry is current:
        return "in force"
    return "scheduled" if entry.effective_from > now else "superseded"


def _entry(entry: Entry) -> dict[str, Any]:
    row = entry.row
    since = None if entry.effective_from == BEGINNING else moment(entry.effective_from)
    return described(entry.terms) | {
        "effective_from": since,
        "logged_at": None if row is None else moment(row.logged_at),
        "logged_by": None if row is None else row.who,
        "manner": None if row is None else row.manner,
        "emergency": row is not None and row.emergency,
        "withdrawn": _withdrawn(row),
    }


def _withdrawn(row: PolicyRow | None) -> dict[str, Any] | None:
    if row is None or row.withdrawal is None:
        return None
    told = row.withdrawal
    return {"at": moment(told.at), "by": told.who, "note": told.note, "emergency": told.emergency}
