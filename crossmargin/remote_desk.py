"""A desk that asks the running service over loopback HTTP: the same documents, the same refusals."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from crossmargin.documents import Document
from crossmargin.errors import DeskError, ServiceError
from crossmargin.exits import ExitCode
from crossmargin.liquidation_asked import Asked, query_of
from crossmargin.service_file import Service
from crossmargin.sql.answers import CONTENT_TYPES, ROWS_HEADER, TRUNCATED_HEADER, Answer, Form

TIMEOUT_S = 120.0
BACKUP_TIMEOUT_S = 3600.0
PUBLISH_TIMEOUT_S = 3600.0
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
            return (
                _document(self._body("GET", "/healthz", timeout_s=GREETING_TIMEOUT_S, known=False)).get("status")
                == "ok"
            )
        except DeskError:
            return False

    def health(self, account: str, at: str | None) -> Document:
        return self._ask("GET", f"/v1/accounts/{quote(account, safe='')}/health{_query(at=at)}")

    def positions(self, account: str, at: str | None) -> Document:
        return self._ask("GET", f"/v1/accounts/{quote(account, safe='')}/positions{_query(at=at)}")

    def accounts(self) -> Document:
        found: list[Document] = []
        page: Document = {"next": ""}
        while page["next"] is not None:
            page = self._ask("GET", f"/v1/accounts{_query(cursor=page['next'] or None)}")
            found += page["accounts"]
        return {"accounts": found, "next": None}

    def account(self, account: str) -> Document:
        return self._ask("GET", f"/v1/accounts/{quote(account, safe='')}")

    def prices(self, at: str | None) -> Document:
        return self._ask("GET", f"/v1/prices{_query(at=at)}")

    def status(self) -> Document:
        return self._ask("GET", "/v1/status")

    def sql(self, query: str) -> Document:
        return self._ask("POST", "/v1/sql", {"query": query})

    def rows(self, query: str, form: Form, *, formulas: bool) -> Answer:
        asked, accept = json.dumps({"query": query, "formulas": formulas}), {"Accept": CONTENT_TYPES[form]}
        body, headers = self._exchange("POST", "/v1/sql", asked, accept)
        truncated = headers.get(TRUNCATED_HEADER) == "true"
        return Answer(
            body=body, content_type=CONTENT_TYPES[form], rows=int(headers.get(ROWS_HEADER, 0)), truncated=truncated
        )

    def schema(self) -> Document:
        return self._ask("GET", "/v1/schema")

    def publish(self) -> Document:
        return self._ask("POST", "/v1/publish", {}, timeout_s=PUBLISH_TIMEOUT_S)

    def publish_parts(self) -> Document:
        return self._ask("POST", "/v1/lake/parts", {}, timeout_s=PUBLISH_TIMEOUT_S)

    def inputs(self, digest: str) -> str:
        return self._body("GET", f"/v1/inputs/{quote(digest, safe='')}").decode("utf-8")

    def snapshots(self) -> Document:
        return self._ask("GET", "/v1/snapshots")

    def create_snapshot(self, at: str | None) -> Document:
        return self._ask("POST", "/v1/snapshots", {"at": at})

    def back_up(self, name: str | None, keep: int | None) -> Document:
        return self._ask("POST", "/v1/backups", {"name": name, "keep": keep}, timeout_s=BACKUP_TIMEOUT_S)

    def liabilities(self, venue: str | None) -> Document:
        return self._ask("GET", f"/v1/liabilities{_query(venue=venue)}")

    def import_liabilities(self, envelope: str) -> Document:
        return _document(self._body("POST", "/v1/liabilities", envelope))

    def price_histories(self, identity: str | None) -> Document:
        return self._ask("GET", f"/v1/price-histories{_query(identity=identity)}")

    def import_prices(self, history: Document) -> Document:
        return self._ask("POST", "/v1/price-histories", history)

    def liquidity(self) -> Document:
        return self._ask("GET", "/v1/liquidity")

    def import_liquidity(self, said: Document) -> Document:
        return self._ask("POST", "/v1/liquidity", said)

    def transfers(self) -> Document:
        return self._ask("GET", "/v1/transfers")

    def import_transfers(self, said: Document) -> Document:
        return self._ask("POST", "/v1/transfers", said)

    def haircuts(self, value_usd: float, at: str | None) -> Document:
        return self._ask("GET", f"/v1/haircuts{_query(value_usd=repr(value_usd), at=at)}")

    def stress(
        self,
        severity: str,
        scenarios: Sequence[str],
        shocks: Sequence[str],
        at: str | None,
        *,
        fund_usd: float | None,
        accrue_days: int = 0,
    ) -> Document:
        named, moves = ",".join(scenarios) or None, ",".join(shocks) or None
        fund = None if fund_usd is None else repr(fund_usd)
        accrued = str(accrue_days) if accrue_days else None
        asked = _query(severity=severity, scenario=named, shock=moves, fund_usd=fund, accrue_days=accrued, at=at)
        return self._ask("GET", f"/v1/stress{asked}")

    def at_risk(self, at: str | None) -> Document:
        return self._ask("GET", f"/v1/at-risk{_query(at=at)}")

    def liquidations(self, asked: Asked, at: str | None) -> Document:
        return self._ask("GET", f"/v1/liquidations{_query(**query_of(asked), at=at)}")

    def freeze(self, asked: Asked, at: str | None) -> Document:
        days = ",".join(map(str, asked.days)) or None
        return self._ask("GET", f"/v1/liquidations/freeze{_query(**query_of(asked), days=days, at=at)}")

    def lag(self, asked: Asked, at: str | None) -> Document:
        said = query_of(asked)
        return self._ask("GET", f"/v1/liquidations/lag{_query(**said, lag_hours=repr(asked.lag_h), at=at)}")

    def forecasts(self, at: str | None, *, top: int, seed: int) -> Document:
        return self._ask("GET", f"/v1/forecasts{_query(at=at, top=str(top), seed=str(seed))}")

    def run_risk(self) -> Document:
        return self._ask("POST", "/v1/risk-runs", {}, timeout_s=PUBLISH_TIMEOUT_S)

    def recommend_haircuts(self) -> Document:
        return self._ask("GET", "/v1/haircuts/recommendation")

    def what_if(self, account: str, actions: Sequence[str], shocks: Sequence[str], at: str | None) -> Document:
        asked = {"actions": list(actions), "shocks": list(shocks), "at": at}
        return self._ask("POST", f"/v1/accounts/{quote(account, safe='')}/what-if", asked)

    def advise(self, account: str, usd: float | None, at: str | None) -> Document:
        asked = _query(usd=None if usd is None else repr(usd), at=at)
        return self._ask("GET", f"/v1/accounts/{quote(account, safe='')}/advice{asked}")

    def link(self, account: str, envelope: str, *, who: str) -> Document:
        return self._ask("POST", f"/v1/accounts/{quote(account, safe='')}/members", {"envelope": envelope, "who": who})

    def revoke(self, account: str, wallet: str, *, note: str, who: str) -> Document:
        said = {"wallet": wallet, "note": note, "who": who}
        return self._ask("POST", f"/v1/accounts/{quote(account, safe='')}/members/revoke", said)

    def policy(self, at: str | None) -> Document:
        return self._ask("GET", f"/v1/policy{_query(at=at)}")

    def policies(self) -> Document:
        return self._ask("GET", "/v1/policies")

    def preview_policy(self, text: str) -> Document:
        return self._ask("POST", "/v1/policies/preview", {"policy": text})

    def schedule_policy(self, text: str, *, emergency: bool, who: str) -> Document:
        return self._ask("POST", "/v1/policies", {"policy": text, "emergency": emergency, "who": who})

    def withdraw_policy(self, version: str, *, note: str, emergency: bool, who: str) -> Document:
        said = {"version": version, "note": note, "emergency": emergency, "who": who}
        return self._ask("POST", "/v1/policies/withdraw", said)

    def audit_parity(self, venue: str | None, sample: int | None, at: str | None) -> Document:
        return self._ask("POST", "/v1/parity", {"venue": venue, "sample": sample, "at": at})

    def create_api_key(
        self, name: str, scopes: Sequence[str], *, quota: int | None, expires_in_s: int | None, who: str
    ) -> Document:
        order = {"name": name, "scopes": list(scopes), "quota_per_minute": quota, "expires_in_s": expires_in_s}
        return self._ask("POST", "/v1/keys", {**order, "who": who})

    def api_keys(self) -> Document:
        return self._ask("GET", "/v1/keys")

    def revoke_api_key(self, key_id: str) -> Document:
        return self._ask("POST", f"/v1/keys/{quote(key_id, safe='')}/revoke")

    def add_webhook(self, url: str, wanted: Document, *, who: str) -> Document:
        return self._ask("POST", "/v1/webhooks", {"url": url, **wanted, "who": who})

    def webhooks(self) -> Document:
        return self._ask("GET", "/v1/webhooks")

    def remove_webhook(self, webhook_id: str) -> Document:
        return self._ask("POST", f"/v1/webhooks/{quote(webhook_id, safe='')}/remove")

    def test_webhook(self, webhook_id: str) -> Document:
        return self._ask("POST", f"/v1/webhooks/{quote(webhook_id, safe='')}/test")

    def webhook_log(self, webhook_id: str) -> Document:
        return self._ask("GET", f"/v1/webhooks/{quote(webhook_id, safe='')}/log")

    def _ask(
        self, method: str, path: str, body: Document | None = None, *, timeout_s: float = TIMEOUT_S
    ) -> dict[str, Any]:
        written = None if body is None else json.dumps(body)
        return _document(self._body(method, path, written, timeout_s=timeout_s))

    def _body(
        self, method: str, path: str, body: str | None = None, *, timeout_s: float = TIMEOUT_S, known: bool = True
    ) -> bytes:
        return self._exchange(method, path, body, {}, timeout_s=timeout_s, known=known)[0]

    def _exchange(
        self,
        method: str,
        path: str,
        body: str | None,
        more: Mapping[str, str],
        *,
        timeout_s: float = TIMEOUT_S,
        known: bool = True,
    ) -> tuple[bytes, Mapping[str, str]]:
        """`known`: say who asks; not before it is known that the service is there, and no other program on its port."""
        where = urlsplit(self._service.url)
        connection = HTTPConnection(where.hostname or "", where.port, timeout=timeout_s)
        headers = {"Authorization": f"Bearer {self._service.token}"} if known else {}
        headers |= more
        try:
            connection.request(method, path, None if body is None else body.encode("utf-8"), headers)
            answer = connection.getresponse()
            said, told = answer.read(), dict(answer.getheaders())
        except (OSError, HTTPException) as error:
            message = f"the service at {self._service.url} did not answer ({error}); see whether process {self._service.pid} lives"
            raise ServiceError(message) from error
        finally:
            connection.close()
        if answer.status >= FIRST_FAILURE:
            raise Refused(_document(said))
        return said, told


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
