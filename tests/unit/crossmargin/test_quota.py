"""Quotas hold however many keys ask."""

from __future__ import annotations

from crossmargin.server.quota import MANY, Quota, Quotas


def test_no_key_gets_a_new_quota_because_many_others_ask() -> None:
    now = 1_000.0
    quotas, quota = Quotas(lambda: now), Quota(requests=2)
    for _ in range(2):
        assert not quotas.take("first", quota).exceeded

    for number in range(2 * MANY):
        quotas.take(f"key {number}", quota)

    assert quotas.take("first", quota).exceeded
    now += quota.seconds
    assert not quotas.take("first", quota).exceeded
    assert quotas.names == 1
