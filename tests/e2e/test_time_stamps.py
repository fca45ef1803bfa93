"""Time stamps of a real authority (OpenSSL's), as a witness from outside that a snapshot was there."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest

from aggregator.audit import stamps
from aggregator.audit.manifest import Link
from aggregator.audit.signing import Signer
from aggregator.audit.snapshot import write_snapshot
from aggregator.audit.verifier import UNWITNESSED, canonical
from aggregator.book import BookInputs, judged
from aggregator.gather import SOUND, Catalogue
from aggregator.margin.inputs import Cut
from chains.model import Finality
from tests.support.product import crossmargin
from tests.unit.aggregator.audit.test_verifier import FIRST_SLOT, OPERATOR, history, sealed
from tests.unit.aggregator.builders import CHAIN, block, policy

SETTINGS = """
[tsa]
default_tsa = one
[one]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
[stamping]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
"""


def openssl(*arguments: str) -> bytes:
    return subprocess.run(["openssl", *arguments], capture_output=True, check=True).stdout


class Authority:
    """A certificate authority with a time-stamping one below it, that answers over HTTP."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        folder.mkdir()
        self.settings = folder / "settings.cnf"
        self.settings.write_text(SETTINGS.format(folder=folder))
        (folder / "serial").write_text("01\n")
        self._certify("ca", f"/CN={name} root", "authority", ["-x509"])
        self._certify("tsa", f"/CN={name}", "stamping", ["-x509", *self._of("ca")])
        self.certificate = folder / "ca.pem"

    def _certify(self, name: str, subject: str, extensions: str, more: list[str]) -> None:
        key, certificate = self.folder / f"{name}.key", self.folder / f"{name}.pem"
        request = ["req", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate)]
        rest = ["-subj", subject, "-days", "30", "-config", str(self.settings), "-extensions", extensions]
        openssl(*request, *rest, *more)

    def _of(self, name: str) -> list[str]:
        return ["-CA", str(self.folder / f"{name}.pem"), "-CAkey", str(self.folder / f"{name}.key")]

    def stamp(self, query: bytes) -> bytes:
        (self.folder / "query.tsq").write_bytes(query)
        arguments = ["ts", "-reply", "-config", str(self.settings), "-queryfile", str(self.folder / "query.tsq")]
        openssl(*arguments, "-out", str(self.folder / "reply.tsr"))
        return (self.folder / "reply.tsr").read_bytes()


class Handler(BaseHTTPRequestHandler):
    """Answers with what a function makes of a query."""

    answer: ClassVar[Any]

    def do_POST(self) -> None:
        assert self.headers["Content-Type"] == "application/timestamp-query"
        body = type(self).answer(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(answer: Callable[[bytes], bytes]) -> Iterator[str]:
    handler = type("Answering", (Handler,), {"answer": staticmethod(answer)})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authorities") / "clock", "Clock")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authorities") / "other", "Other clock")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A snapshot of nobody."""
    catalogue = Catalogue(venues=(), feeds=(), assets=(), policy=policy())
    cuts = {CHAIN: Cut(block=block(), finality=Finality.FINALIZED)}
    inputs = BookInputs(cuts=cuts, catalogue=catalogue, condition=SOUND, venues=(), observations=())
    signer = Signer(OPERATOR, history())
    return write_snapshot(tmp_path, judged(inputs), slot_time=FIRST_SLOT, link=Link(), signer=signer)[0]


def verify(folder: Path, *certificates: Path) -> subprocess.CompletedProcess[str]:
    asked = [word for path in certificates for word in ("--tsa-cert", str(path))]
    return crossmargin(folder.parent, "snapshot", "verify", str(folder), "--json", *asked)


def notes(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout)["notes"])


def test_a_stamped_snapshot_was_there_at_that_time(authority: Authority, other: Authority, folder: Path) -> None:
    before = verify(folder, authority.certificate)
    with serving(authority.stamp) as url:
        done = crossmargin(folder.parent, "snapshot", "witness", str(folder), "--tsa", url, "--json")
    assert done.returncode == 0, done.stderr
    stamp = json.loads(done.stdout)

    without, held, both, wrong = (
        verify(folder, *each)
        for each in ((), [authority.certificate], [other.certificate, authority.certificate], [other.certificate])
    )

    assert (before.returncode, wrong.returncode) == (4, 4)
    assert "no authority that is trusted stamped the time of this manifest" in before.stderr
    assert any(note.startswith("time stamps were not looked at") for note in notes(without))
    assert UNWITNESSED in notes(without)
    assert f"it was there at {stamp['time']}, says CN=Clock" in notes(held)
    assert UNWITNESSED not in notes(held)
    assert notes(both) == notes(held)
    check = ["ts", "-verify", "-data", str(folder / "manifest.json"), "-in", stamp["timestamp"]]
    openssl(*check, "-CAfile", str(authority.certificate))


def test_what_was_stamped_cannot_be_written_anew(authority: Authority, folder: Path) -> None:
    with serving(authority.stamp) as url:
        assert crossmargin(folder.parent, "snapshot", "witness", str(folder), "--tsa", url).returncode == 0
    content = json.loads((folder / "manifest.json").read_text()) | {"stale_chains": ["another"]}
    (folder / "manifest.json").write_bytes(canonical(content))
    sealed(folder)

    assert verify(folder).returncode == 0
    changed = verify(folder, authority.certificate)

    assert changed.returncode == 4
    assert "it is the time stamp of something else" in changed.stderr


def test_a_changed_stamp_is_none(authority: Authority, folder: Path) -> None:
    answer = authority.stamp(stamps.request((folder / "manifest.json").read_bytes()).as_bytes())
    manifest, trusted = (folder / "manifest.json").read_bytes(), stamps.certificates(authority.certificate)
    assert stamps.checked(answer, manifest, trusted).authority == "CN=Clock"
    chance, refused = random.Random(1), 0
    for _ in range(200):
        raw = bytearray(answer)
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        try:
            held = stamps.checked(bytes(raw), manifest, trusted)
        except (stamps.BadStamp, ValueError):
            refused += 1
        else:
            assert held == stamps.checked(answer, manifest, trusted)

    assert refused > 150


def test_an_answer_that_is_no_stamp_of_it_is_not_kept(authority: Authority, folder: Path) -> None:
    other_stamp = authority.stamp(stamps.request(b"something else").as_bytes())
    old_stamp = authority.stamp(stamps.request((folder / "manifest.json").read_bytes()).as_bytes())
    for answer, code, told in (
        (b"hello", 4, "it is no time stamp"),
        (other_stamp, 4, "it is the time stamp of something else"),
        (old_stamp, 4, "it answers another question"),
    ):
        with serving(lambda _, answer=answer: answer) as url:  # type: ignore[misc]
            done = crossmargin(folder.parent, "snapshot", "witness", str(folder), "--tsa", url)
        assert (done.returncode, told in done.stderr) == (code, True), done.stderr
    silent = crossmargin(folder.parent, "snapshot", "witness", str(folder), "--tsa", "http://127.0.0.1:9/")
    nobody = crossmargin(folder.parent, "snapshot", "witness", str(folder))

    assert (silent.returncode, nobody.returncode) == (1, 2)
    assert not list(folder.glob("timestamp-*"))
