"""A desk that asks the running service over loopback HTTP: the same documents, the same refusals."""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from crossmargin.documents import Document
from crossmargin.errors import DeskError, ServiceError
from crossmargin.exits import ExitCode
from crossmargin.service_file import Service

TIMEOUT_S = 120.0
GREETING_TIMEOUT_S = 2.0
FIRST_FAILURE = 400


class Refused(DeskError):
    """What the service refused, with the exit code that the same refusal has here."""

    def __init__(self, problem: Document) -> None:
        super().__init__(str(problem.get("detail")))
        self.code = str(problem.get("code"))
        self.exit_code = ExitCode(int(problem.get("exit_code", ExitCode.FAILED)))


class RemoteDesk:
    """See `Desk`."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def answers(self) -> bool:
        """Whether the service is really there."""
        try:
            return self._ask("GET", "/healthz", timeout_s=GREETING_TIMEOUT_S).get("status") == "ok"
        except DeskError:
            return False

    def health(self, account: str, at: str | None) -> Document:
        return self._ask("GET", f"/v1/accounts/{quote(account, safe='')}/health{_query(at=at)}")

    def positions(self, account: str, at: str | None) -> Document:
        return self._ask("GET", f"/v1/accounts/{quote(account, safe='')}/positions{_query(at=at)}")

    def accounts(self) -> Document:
        return self._ask("GET", "/v1/accounts")

    def account(self, account: str) -> Document:
        return self._ask("GET", f"/v1/accounts/{quote(account, safe='')}")

    def prices(self, at: str | None) -> Document:
        return self._ask("GET", f"/v1/prices{_query(at=at)}")

    def status(self) -> Document:
        return self._ask("GET", "/v1/status")

    def sql(self, query: str) -> Document:
        return self._ask("POST", "/v1/sql", {"query": query})

    def inputs(self, digest: str) -> str:
        return self._body("GET", f"/v1/inputs/{quote(digest, safe='')}").decode("utf-8")

    def snapshots(self) -> Document:
        return self._ask("GET", "/v1/snapshots")

    def create_snapshot(self, at: str | None) -> Document:
        return self._ask("POST", "/v1/snapshots", {"at": at})

    def liabilities(self, venue: str | None) -> Document:
        return self._ask("GET", f"/v1/liabilities{_query(venue=venue)}")

    def import_liabilities(self, envelope: str) -> Document:
        return _document(self._body("POST", "/v1/liabilities", envelope))

    def audit_parity(self, venue: str | None, sample: int | None, at: str | None) -> Document:
        return self._ask("POST", "/v1/parity", {"venue": venue, "sample": sample, "at": at})

    def _ask(
        self, method: str, path: str, body: Document | None = None, *, timeout_s: float = TIMEOUT_S
    ) -> dict[str, Any]:
        written = None if body is None else json.dumps(body)
        return _document(self._body(method, path, written, timeout_s=timeout_s))

    def _body(self, method: str, path: str, body: str | None = None, *, timeout_s: float = TIMEOUT_S) -> bytes:
        where = urlsplit(self._service.url)
        connection = HTTPConnection(where.hostname or "", where.port, timeout=timeout_s)
        headers = {"Authorization": f"Bearer {self._service.token}"} if body is not None else {}
        try:
            connection.request(method, path, None if body is None else body.encode("utf-8"), headers)
            answer = connection.getresponse()
            said = answer.read()
        except (OSError, HTTPException) as error:
            message = f"the service at {self._service.url} did not answer ({error}); see whether process {self._service.pid} lives"
            raise ServiceError(message) from error
        finally:
            connection.close()
        if answer.status >= FIRST_FAILURE:
            raise Refused(_document(said))
        return said


def _document(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except ValueError as error:
        raise ServiceError(f"the service gave no JSON ({error}); is another program on its port?") from error
    if not isinstance(said, dict):
        raise ServiceError("the service gave no document; is another program on its port?")
    return said


def _query(**asked: str | None) -> str:
    """Write the parameters that are given."""
    given = {name: value for name, value in asked.items() if value is not None}
    return f"?{urlencode(given)}" if given else ""
