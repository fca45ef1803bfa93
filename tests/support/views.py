"""What analysts see of a venue's positions and history."""

from __future__ import annotations

from indexer.store import Store

_UNNAMED = """
SELECT 'position', market_address FROM public.fct_position WHERE symbol IS NULL OR decimals IS NULL
UNION ALL SELECT 'event', token_address FROM public.lending_event WHERE amount IS NULL
UNION ALL SELECT 'market', market_address FROM public.dim_market WHERE symbol IS NULL
"""
_TWICE = """
SELECT 'position' FROM public.fct_position GROUP BY chain_id, venue_id, unit_id, market_address, side HAVING count(*) > 1
UNION ALL SELECT 'market' FROM public.dim_market GROUP BY chain_id, venue_id, market_address, asset_address HAVING count(*) > 1
"""
_COUNT = """
SELECT
    (SELECT count(*) FROM public.fct_position), (SELECT count(*) FROM public.lending_event), (SELECT count(*) FROM public.dim_market)
"""


def assert_views_name_every_token(store: Store) -> None:
    """See that positions, events and markets are shown, each once, with the token that is meant."""
    for sql in (_UNNAMED, _TWICE):
        assert store.query(sql, timeout_s=30, max_rows=10).rows == []
    assert all(count > 0 for count in store.query(_COUNT, timeout_s=30, max_rows=1).rows[0])
