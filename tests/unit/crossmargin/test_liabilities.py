"""Which documents of liabilities are taken in: each rule by itself, over a store of its own."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from aggregator.margin.liabilities import parse_envelope, parse_statement, signed, verified
from chains.model import VenueSpec
from crossmargin.documents import Document, moment
from crossmargin.errors import DeskError, NoSuchThing, UsageError
from crossmargin.exits import ExitCode
from crossmargin.liabilities import Conflict, Forged, Liabilities, Superseded, TooEarly, make_key, read_key, sign
from indexer.store import MEMORY, LiabilityRow, Store

NOW = 1_769_860_800
CHAIN = "eip155:1"
ALICE, BOB = "a1" * 20, "b0" * 20
SIGNER, OTHER, STRANGER = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2, 3))


def hexed(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes_raw().hex()


def vault(name: str = "vault", *keys: Ed25519PrivateKey, imports: bool = True) -> VenueSpec:
    options: dict[str, Any] = {"liabilities": "none"}
    if imports:
        options = {
            "liabilities": "import",
            "liability_keys": [hexed(key) for key in keys or (SIGNER, OTHER)],
            "liability_max_age_s": 600,
        }
    return VenueSpec(id=name, protocol="escrow", chain_id=CHAIN, address=b"\x0e" * 20, start_block=1, options=options)


VENUES = [vault(), vault("second"), vault("free", imports=False)]


class Office:
    """A store with a hand on the clock."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.venues = VENUES
        self.now = NOW

    def take_in(self, text: str) -> Document:
        return Liabilities(self.venues, self.store, lambda: self.now).take_in(text)

    def listed(self, venue: str | None = None) -> list[dict[str, Any]]:
        with self.store.reading() as reader:
            document = Liabilities(self.venues, self.store, lambda: self.now).listing(reader, venue)
        return list(document["liabilities"])

    def known(self) -> list[tuple[str, str, str]]:
        """Account, moment and maintenance requirement of the newest."""
        return [
            (row["account"].lower()[-40:], row["as_of"], row["maintenance_requirement_usd"]) for row in self.listed()
        ]

    def counts(self) -> tuple[int, int]:
        """How many documents and how many rows are there."""
        query = "SELECT (SELECT count(*) FROM liability_document), (SELECT count(*) FROM liability)"
        ((documents, rows),) = self.store.query(query, timeout_s=9, max_rows=1).rows
        return documents, rows


@pytest.fixture
def office() -> Iterator[Office]:
    with Store.open(MEMORY) as store:
        yield Office(store)


def document(
    as_of: int = NOW, maintenance: Mapping[str, str] | None = None, *, venue: str = "vault", chain: str = CHAIN
) -> dict[str, Any]:
    """What is required of some accounts, by their addresses."""
    return {
        "version": 1,
        "venue": venue,
        "as_of": moment(as_of),
        "accounts": [
            {
                "account": f"{chain}:0x{owner}",
                "initial_requirement_usd": amount,
                "maintenance_requirement_usd": amount,
                "pnl_usd": "0",
            }
            for owner, amount in (maintenance or {ALICE: "100"}).items()
        ],
    }


def envelope(said: dict[str, Any], key: Ed25519PrivateKey = SIGNER) -> str:
    return json.dumps(signed(parse_statement(json.dumps(said)), key))


def test_a_document_that_is_signed_as_it_must_be_is_taken_in(office: Office) -> None:
    said = document(NOW, {ALICE: "100", BOB: "0"})

    answer = office.take_in(envelope(said))

    assert answer == {
        "venue": "vault",
        "document": parse_statement(json.dumps(said)).digest,
        "as_of": "2026-01-31T12:00:00Z",
        "key": hexed(SIGNER),
        "state": "accepted",
        "accounts": 2,
        "newest": 2,
    }
    assert office.known() == [(ALICE, moment(NOW), "100.00000000"), (BOB, moment(NOW), "0.00000000")]


def test_the_envelope_is_kept_as_it_came(office: Office) -> None:
    text = json.dumps(json.loads(envelope(document())), indent=3) + "\n"

    office.take_in(text)

    query = "SELECT envelope, received_at, as_of FROM liability_document"
    assert office.store.query(query, timeout_s=9, max_rows=9).rows == [(text, NOW, NOW)]


@pytest.mark.parametrize(
    "text, refusal, complaint",
    [
        ("{", UsageError, "these are no liabilities: this is no JSON"),
        (json.dumps(document()), UsageError, "these are no liabilities: the envelope lacks document"),
        (
            envelope(document(venue="volt")),
            NoSuchThing,
            'no venue "volt" that imports liabilities; did you mean "vault"?',
        ),
        (envelope(document(venue="free")), UsageError, 'venue "free" imports no liabilities'),
        (envelope(document(), STRANGER), Forged, 'may not speak for "vault"'),
        (envelope(document(chain="eip155:10")), UsageError, "is not on eip155:1"),
        (
            envelope(document(NOW + 301)),
            TooEarly,
            "the document is as of 2026-01-31T12:05:01Z, and here it is 2026-01-31T12:00:00Z",
        ),
    ],
)
def test_whatever_breaks_a_rule_is_refused_and_leaves_nothing(
    office: Office, text: str, refusal: type[DeskError], complaint: str
) -> None:
    with pytest.raises(refusal) as refused:
        office.take_in(text)

    assert complaint in str(refused.value)
    assert office.counts() == (0, 0)


def test_a_signature_that_is_not_of_this_document_is_forged(office: Office) -> None:
    said = json.loads(envelope(document()))
    said["document"]["accounts"][0]["maintenance_requirement_usd"] = "1"

    with pytest.raises(Forged, match="the signature is not that of the key"):
        office.take_in(json.dumps(said))

    assert office.counts() == (0, 0)


def test_a_document_signed_for_one_venue_says_nothing_of_another(office: Office) -> None:
    said = json.loads(envelope(document()))
    said["document"]["venue"] = "second"

    with pytest.raises(Forged):
        office.take_in(json.dumps(said))


def test_clocks_may_differ_by_five_minutes(office: Office) -> None:
    assert office.take_in(envelope(document(NOW + 300)))["state"] == "accepted"


def test_the_same_document_again_is_known_and_changes_nothing(office: Office) -> None:
    """However it is spaced, and even after newer ones came."""
    first = envelope(document(NOW - 60))
    office.take_in(first)
    office.take_in(envelope(document(NOW, {ALICE: "7"})))

    again = office.take_in(json.dumps(json.loads(first), indent=1))

    assert (again["state"], again["newest"]) == ("known", 0)
    assert office.counts() == (2, 2)
    assert office.known() == [(ALICE, moment(NOW), "7.00000000")]


def test_the_newest_moment_wins_in_whatever_order_documents_come(office: Office) -> None:
    office.take_in(envelope(document(NOW - 60, {ALICE: "1"})))
    office.take_in(envelope(document(NOW, {ALICE: "2"})))

    answer = office.take_in(envelope(document(NOW - 30, {ALICE: "3", BOB: "4"})))

    assert (answer["state"], answer["accounts"], answer["newest"]) == ("accepted", 2, 1)
    assert office.known() == [(ALICE, moment(NOW), "2.00000000"), (BOB, moment(NOW - 30), "4.00000000")]
    assert office.counts() == (3, 4)


def test_a_document_of_which_everything_is_older_than_known_is_superseded(office: Office) -> None:
    office.take_in(envelope(document(NOW, {ALICE: "1", BOB: "1"})))

    with pytest.raises(Superseded, match="something newer than 2026-01-31T11:59:59Z is known"):
        office.take_in(envelope(document(NOW - 1, {ALICE: "2", BOB: "2"})))

    assert office.counts() == (1, 2)


@pytest.mark.parametrize("key", [SIGNER, OTHER])
def test_something_else_of_the_same_moment_is_a_conflict(office: Office, key: Ed25519PrivateKey) -> None:
    """Whichever of the venue's keys says it, and whatever else the document says."""
    office.take_in(envelope(document(NOW - 9, {ALICE: "1"})))
    office.take_in(envelope(document(NOW, {ALICE: "1"})))

    with pytest.raises(Conflict, match=f"something else was said of {CHAIN}:0x.* as of 2026-01-31T11:59:51Z"):
        office.take_in(envelope(document(NOW - 9, {BOB: "5", ALICE: "1.00000001"}), key))

    assert office.counts() == (2, 2)


def test_the_same_of_the_same_moment_is_no_conflict(office: Office) -> None:
    """A second document may repeat the first for some accounts, and another key may confirm it."""
    office.take_in(envelope(document(NOW, {ALICE: "1"})))

    office.take_in(envelope(document(NOW, {ALICE: "1.0", BOB: "2"})))
    office.take_in(envelope(document(NOW, {ALICE: "1"}), OTHER))

    assert office.known() == [(ALICE, moment(NOW), "1.00000000"), (BOB, moment(NOW), "2.00000000")]
    assert office.counts() == (3, 3)  # ALICE by either key, BOB by one


def test_venues_have_ledgers_of_their_own(office: Office) -> None:
    office.take_in(envelope(document(NOW, {ALICE: "1"})))
    office.take_in(envelope(document(NOW - 60, {ALICE: "2"}, venue="second")))

    assert [(row["venue"], row["maintenance_requirement_usd"]) for row in office.listed()] == [
        ("second", "2.00000000"),
        ("vault", "1.00000000"),
    ]
    assert [row["venue"] for row in office.listed("second")] == ["second"]


def test_what_a_key_said_counts_no_more_once_it_is_taken_out_of_the_configuration(office: Office) -> None:
    """It may have been stolen; neither may it keep the right key from speaking."""
    office.take_in(envelope(document(NOW - 60, {ALICE: "1"}), OTHER))
    office.take_in(envelope(document(NOW + 300, {ALICE: "0"}), SIGNER))
    office.venues = [vault("vault", OTHER)]

    assert office.known() == [(ALICE, moment(NOW - 60), "1.00000000")]
    assert office.take_in(envelope(document(NOW, {ALICE: "5"}), OTHER))["state"] == "accepted"
    assert office.take_in(envelope(document(NOW + 300, {ALICE: "6"}), OTHER))["state"] == "accepted"


def test_the_list_says_how_old_each_is_by_this_machines_clock(office: Office) -> None:
    office.take_in(envelope(document(NOW - 590)))
    (fresh,) = office.listed()
    office.now = NOW + 11
    (old,) = office.listed()

    assert (fresh["state"], fresh["age_s"], fresh["max_age_s"]) == ("known", 590, 600)
    assert (old["state"], old["age_s"]) == ("unknown", 601)


def test_a_list_of_a_venue_that_imports_nothing_is_refused(office: Office) -> None:
    with pytest.raises(UsageError, match='"free" imports no liabilities'):
        office.listed("free")
    with pytest.raises(NoSuchThing, match=r"use one of|did you mean"):
        office.listed("nowhere")
    office.venues = []
    with pytest.raises(NoSuchThing, match="none is configured"):
        office.listed("vault")


def test_reads_go_up_to_a_moment_and_by_owner(office: Office) -> None:
    for as_of, amount in ((NOW - 60, "1"), (NOW, "2")):
        office.take_in(envelope(document(as_of, {ALICE: amount, BOB: amount})))
    keys = [bytes.fromhex(hexed(SIGNER))]

    def read(until: int, owner: str | None = None) -> list[tuple[str, int]]:
        rows: list[LiabilityRow] = reader.liabilities(
            VENUES[0], keys, until=until, owner=None if owner is None else bytes.fromhex(owner)
        )
        return [(row.owner.hex(), int(row.maintenance_requirement_usd)) for row in rows]

    with office.store.reading() as reader:
        assert read(NOW - 61) == []
        assert read(NOW - 1) == [(ALICE, 1), (BOB, 1)]
        assert read(NOW) == [(ALICE, 2), (BOB, 2)]
        assert read(NOW, BOB) == [(BOB, 2)]
        assert reader.liabilities(VENUES[0], []) == []


def test_analysts_see_every_row_with_its_document(office: Office) -> None:
    office.take_in(envelope(document(NOW - 60, {ALICE: "1.5"})))
    office.take_in(envelope(document(NOW, {ALICE: "2"})))

    query = (
        "SELECT owner_address, epoch(as_of), maintenance_requirement_usd, signing_key, epoch(received_at) "
        "FROM public.fct_liability ORDER BY as_of"
    )
    rows = office.store.query(query, timeout_s=9, max_rows=9).rows
    assert [(owner, as_of, str(amount), key, received) for owner, as_of, amount, key, received in rows] == [
        (f"0x{ALICE}", NOW - 60, "1.50000000", hexed(SIGNER), NOW),
        (f"0x{ALICE}", NOW, "2.00000000", hexed(SIGNER), NOW),
    ]


def test_the_view_and_its_columns_have_comments(office: Office) -> None:
    query = (
        "SELECT comment FROM duckdb_views() WHERE view_name = 'fct_liability' UNION ALL "
        "SELECT comment FROM duckdb_columns() WHERE table_name = 'fct_liability'"
    )
    comments = [comment for (comment,) in office.store.query(query, timeout_s=9, max_rows=99).rows]
    assert len(comments) == 11
    assert all(comments)


@pytest.mark.parametrize(
    "refusal, status, code, exit_code",
    [
        (UsageError, 400, "usage", ExitCode.USAGE),
        (NoSuchThing, 404, "not-found", ExitCode.USAGE),
        (Forged, 403, "forged", ExitCode.UNVERIFIED),
        (TooEarly, 409, "too-early", ExitCode.FAILED),
        (Conflict, 409, "conflict", ExitCode.FAILED),
        (Superseded, 409, "superseded", ExitCode.FAILED),
    ],
)
def test_every_refusal_has_its_status_and_its_exit_code(
    refusal: type[DeskError], status: int, code: str, exit_code: ExitCode
) -> None:
    assert (refusal.http_status, refusal.code, refusal.exit_code) == (status, code, exit_code)


def test_a_key_is_made_for_its_owner_alone_and_signs(tmp_path: Path) -> None:
    path = tmp_path / "signer.pem"

    public = make_key(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    said = parse_envelope(json.dumps(sign(json.dumps(document()), path)))
    assert verified(said)
    assert said.key.hex() == public


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "signer.pem"
    make_key(path)
    before = path.read_bytes()
    (tmp_path / "link.pem").symlink_to(tmp_path / "elsewhere.pem")

    with pytest.raises(UsageError, match="a key is never overwritten"):
        make_key(path)
    with pytest.raises(UsageError, match="a key is never overwritten"):
        make_key(tmp_path / "link.pem")

    assert path.read_bytes() == before
    assert not (tmp_path / "elsewhere.pem").exists()


def test_what_is_no_key_is_refused_without_a_word_of_it(tmp_path: Path) -> None:
    path = tmp_path / "key"
    locked = SIGNER.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"canary"))
    curve = generate_private_key(SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"canary")
    )
    for content in (b"", b"canary", SIGNER.private_bytes_raw(), locked, curve):
        path.write_bytes(content)

        with pytest.raises(UsageError, match="holds no Ed25519 private key in PEM") as refused:
            read_key(path)

        assert "canary" not in str(refused.value)


def test_only_a_document_is_signed(tmp_path: Path) -> None:
    path = tmp_path / "signer.pem"
    make_key(path)

    with pytest.raises(UsageError, match="these are no liabilities"):
        sign('{"version": 1}', path)
