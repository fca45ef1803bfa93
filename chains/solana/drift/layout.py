"""The program's accounts as tables of fields: users, spot and perp markets, the state, and the program's own price accounts.

Source: the program's own interface description, version 2.156.0 (@drift-labs/sdk, `src/idl/drift.json`). Versions since 2.95 have the same
sizes and keep these fields where they are; the flag of a perp position and its isolated balance stand where earlier versions kept what an
LP position needed (`per_lp_base`, `last_base_asset_amount_per_lp`).
"""

from __future__ import annotations

from chains.solana.layouts import Layout, Table

PROGRAM = "dRiftyHA39MWEi3m9aunc5MzRF1JYuBsbn6VPcn33UH"
"""The program on mainnet."""

SLOTS = 8
"""So many spot positions, and so many perp positions, has each account."""

SPOT_AT, SPOT_SIZE = 104, 40
PERP_AT, PERP_SIZE = 424, 96

SPOT_POSITION: Table = {
    "scaled_balance": (0, "u64"),
    "open_bids": (8, "i64"),
    "open_asks": (16, "i64"),
    "market_index": (32, "u16"),
    "balance_type": (34, "u8"),
    "open_orders": (35, "u8"),
}

PERP_POSITION: Table = {
    "last_cumulative_funding_rate": (0, "i64"),
    "base_asset_amount": (8, "i64"),
    "quote_asset_amount": (16, "i64"),
    "quote_break_even_amount": (24, "i64"),
    "quote_entry_amount": (32, "i64"),
    "open_bids": (40, "i64"),
    "open_asks": (48, "i64"),
    "lp_shares": (64, "u64"),
    "isolated_position_scaled_balance": (72, "u64"),
    "last_quote_asset_amount_per_lp": (80, "i64"),
    "max_margin_ratio": (90, "u16"),
    "market_index": (92, "u16"),
    "open_orders": (94, "u8"),
    "position_flag": (95, "u8"),
}

USER = Layout(
    name="User",
    size=4376,
    discriminator=bytes.fromhex("9f755fe3ef973aec"),
    fields={
        "authority": (8, "key"),
        "spot_positions": (SPOT_AT, (SLOTS, SPOT_SIZE, SPOT_POSITION)),
        "perp_positions": (PERP_AT, (SLOTS, PERP_SIZE, PERP_POSITION)),
        "max_margin_ratio": (4340, "u32"),
        "sub_account_id": (4346, "u16"),
        "status": (4348, "u8"),
        "margin_mode": (4355, "u8"),
        "pool_id": (4356, "u8"),
    },
)

SPOT_MARKET = Layout(
    name="SpotMarket",
    size=776,
    discriminator=bytes.fromhex("64b1086ba8414127"),
    fields={
        "pubkey": (8, "key"),
        "oracle": (40, "key"),
        "mint": (72, "key"),
        "name": (136, "bytes:32"),
        "last_oracle_price_twap": (192, "i64"),
        "last_oracle_price_twap_5min": (200, "i64"),
        "total_factor": (408, "u32"),
        "deposit_balance": (432, "u128"),
        "borrow_balance": (448, "u128"),
        "cumulative_deposit_interest": (464, "u128"),
        "cumulative_borrow_interest": (480, "u128"),
        "last_interest_ts": (568, "u64"),
        "initial_asset_weight": (640, "u32"),
        "maintenance_asset_weight": (644, "u32"),
        "initial_liability_weight": (648, "u32"),
        "maintenance_liability_weight": (652, "u32"),
        "imf_factor": (656, "u32"),
        "liquidator_fee": (660, "u32"),
        "if_liquidation_fee": (664, "u32"),
        "optimal_utilization": (668, "u32"),
        "optimal_borrow_rate": (672, "u32"),
        "max_borrow_rate": (676, "u32"),
        "decimals": (680, "u32"),
        "market_index": (684, "u16"),
        "oracle_source": (687, "u8"),
        "status": (688, "u8"),
        "asset_tier": (689, "u8"),
        "paused_operations": (690, "u8"),
        "scale_initial_asset_weight_start": (720, "u64"),
        "min_borrow_rate": (728, "u8"),
        "pool_id": (735, "u8"),
    },
)

PERP_MARKET = Layout(
    name="PerpMarket",
    size=1216,
    discriminator=bytes.fromhex("0adf0c2c6bf537f7"),
    fields={
        "pubkey": (8, "key"),
        "oracle": (40, "key"),
        "last_oracle_price": (72, "i64"),
        "last_oracle_price_twap": (96, "i64"),
        "base_asset_amount_with_amm": (336, "i128"),
        "base_asset_amount_with_unsettled_lp": (352, "i128"),
        "quote_asset_amount": (384, "i128"),
        "cumulative_funding_rate_long": (608, "i128"),
        "cumulative_funding_rate_short": (624, "i128"),
        "oracle_source": (926, "u8"),
        "net_unsettled_funding_pnl": (944, "i64"),
        "quote_asset_amount_with_unsettled_lp": (952, "i64"),
        "name": (1000, "bytes:32"),
        "unrealized_pnl_max_imbalance": (1072, "u64"),
        "expiry_price": (1088, "i64"),
        "imf_factor": (1120, "u32"),
        "unrealized_pnl_imf_factor": (1124, "u32"),
        "margin_ratio_initial": (1136, "u32"),
        "margin_ratio_maintenance": (1140, "u32"),
        "unrealized_pnl_initial_asset_weight": (1144, "u32"),
        "unrealized_pnl_maintenance_asset_weight": (1148, "u32"),
        "market_index": (1160, "u16"),
        "status": (1162, "u8"),
        "contract_type": (1163, "u8"),
        "contract_tier": (1164, "u8"),
        "paused_operations": (1165, "u8"),
        "quote_spot_market_index": (1166, "u16"),
        "pool_id": (1173, "u8"),
        "high_leverage_margin_ratio_initial": (1174, "u16"),
        "high_leverage_margin_ratio_maintenance": (1176, "u16"),
    },
)

STATE = Layout(
    name="State",
    size=992,
    discriminator=bytes.fromhex("d8926b5e684bb6b1"),
    fields={
        "slots_before_stale_for_margin": (912, "i64"),
        "confidence_interval_max_size": (920, "u64"),
        "too_volatile_ratio": (928, "i64"),
        "liquidation_margin_buffer_ratio": (960, "u32"),
        "exchange_status": (974, "u8"),
    },
)

PRELAUNCH_ORACLE = Layout(
    name="PrelaunchOracle",
    size=120,
    discriminator=bytes.fromhex("5c0e8bea48f4441a"),
    fields={
        "price": (8, "i64"),
        "confidence": (24, "u64"),
        "last_update_slot": (32, "u64"),
        "amm_last_update_slot": (40, "u64"),
    },
)

PYTH_LAZER_ORACLE = Layout(
    name="PythLazerOracle",
    size=48,
    discriminator=bytes.fromhex("9f07a1f922517985"),
    fields={
        "price": (8, "i64"),
        "publish_time": (16, "u64"),
        "posted_slot": (24, "u64"),
        "exponent": (32, "i32"),
        "conf": (40, "u64"),
    },
)
