"""What the accounts of Kamino Lend (klend) are: an obligation, a reserve and a lending market, as tables of the fields that are read.

Source: the IDL of klend 1.22.0 (`klend-sdk`); sizes and offsets of these fields are the same since klend 1.7. Two fields had another
meaning once: the market's bytes at 144 were `global_unhealthy_borrow_value` (1.7), and `interest_rate_basis` was padding before 1.25.
"""

from __future__ import annotations

from chains.solana.layouts import Layout, Table

PROGRAM = bytes.fromhex("04b2acb11258cce3682c418ba872ff3df91102712f15af12b6be69b3435b0008")
"""KLend2g3cP87fffoy8q1mQqGKjrxjC8boSyAYavgmjD."""

DISCRIMINATOR = 8

_LAST_UPDATE: Table = {"slot": (0, "u64"), "stale": (8, "u8"), "price_status": (9, "u8")}

DEPOSIT: Table = {
    "deposit_reserve": (0, "key"),
    "deposited_amount": (32, "u64"),
}

BORROW: Table = {
    "borrow_reserve": (0, "key"),
    "cumulative_borrow_rate_bsf": (32, "u256"),
    "last_borrowed_at_timestamp": (80, "u64"),
    "borrowed_amount_sf": (88, "u128"),
}

OBLIGATION = Layout(
    name="Obligation",
    size=3344,
    discriminator=bytes.fromhex("a8ce8d6a584caca7"),
    fields={
        "lending_market": (32, "key"),
        "owner": (64, "key"),
        "deposits": (96, (8, 136, DEPOSIT)),
        "borrows": (1208, (5, 200, BORROW)),
        "elevation_group": (2285, "u8"),
        "has_debt": (2287, "u8"),
        "autodeleverage_target_ltv_pct": (2321, "u8"),
        "lowest_reserve_deposit_max_ltv_pct": (2322, "u8"),
        "autodeleverage_margin_call_started_timestamp": (2336, "u64"),
        "obligation_orders": (2344, "bytes:256"),
    },
)

LIQUIDITY: Table = {
    "mint_pubkey": (0, "key"),
    "total_available_amount": (96, "u64"),
    "borrowed_amount_sf": (104, "u128"),
    "market_price_sf": (120, "u128"),
    "market_price_last_updated_ts": (136, "u64"),
    "mint_decimals": (144, "u64"),
    "deposit_limit_crossed_timestamp": (152, "u64"),
    "borrow_limit_crossed_timestamp": (160, "u64"),
    "cumulative_borrow_rate_bsf": (168, "u256"),
    "accumulated_protocol_fees_sf": (216, "u128"),
    "accumulated_referrer_fees_sf": (232, "u128"),
    "pending_referrer_fees_sf": (248, "u128"),
    "absolute_referral_rate_sf": (264, "u128"),
    "rewards_amount_available": (312, "u64"),
}

COLLATERAL: Table = {"mint_pubkey": (0, "key"), "mint_total_supply": (32, "u64")}

CURVE_POINT: Table = {"utilization_rate_bps": (0, "u32"), "borrow_rate_bps": (4, "u32")}

TOKEN_INFO: Table = {
    "name": (0, "bytes:32"),
    "heuristic_lower": (32, "u64"),
    "heuristic_upper": (40, "u64"),
    "heuristic_exp": (48, "u64"),
    "max_twap_divergence_bps": (56, "u64"),
    "max_age_price_seconds": (64, "u64"),
    "max_age_twap_seconds": (72, "u64"),
    "scope_price_feed": (80, "key"),
    "scope_price_chain": (112, (4, 2, {"index": (0, "u16")})),
    "scope_twap_chain": (120, (4, 2, {"index": (0, "u16")})),
    "switchboard_price_aggregator": (128, "key"),
    "pyth_price": (192, "key"),
    "block_price_usage": (224, "u8"),
}

CONFIG: Table = {
    "status": (0, "u8"),
    "host_fixed_interest_rate_bps": (2, "u16"),
    "interest_rate_basis": (9, "u8"),
    "protocol_take_rate_pct": (14, "u8"),
    "protocol_liquidation_fee_pct": (15, "u8"),
    "loan_to_value_pct": (16, "u8"),
    "liquidation_threshold_pct": (17, "u8"),
    "min_liquidation_bonus_bps": (18, "u16"),
    "max_liquidation_bonus_bps": (20, "u16"),
    "bad_debt_liquidation_bonus_bps": (22, "u16"),
    "deleveraging_margin_call_period_secs": (24, "u64"),
    "borrow_rate_curve": (64, (11, 8, CURVE_POINT)),
    "borrow_factor_pct": (152, "u64"),
    "deposit_limit": (160, "u64"),
    "borrow_limit": (168, "u64"),
    "token_info": (176, (1, 384, TOKEN_INFO)),
    "elevation_groups": (624, "bytes:20"),
    "disable_usage_as_coll_outside_emode": (644, "u8"),
    "autodeleverage_enabled": (646, "u8"),
    "debt_maturity_timestamp": (920, "u64"),
    "debt_term_seconds": (928, "u64"),
    "rewards_amount_per_slot": (936, "u64"),
}

RESERVE = Layout(
    name="Reserve",
    size=8624,
    discriminator=bytes.fromhex("2bf2ccca1af73b7f"),
    fields={
        "version": (8, "u64"),
        "last_update": (16, (1, 16, _LAST_UPDATE)),
        "lending_market": (32, "key"),
        "liquidity": (128, (1, 1232, LIQUIDITY)),
        "collateral": (2560, (1, 1096, COLLATERAL)),
        "config": (4856, (1, 944, CONFIG)),
    },
)

ELEVATION_GROUP: Table = {
    "max_liquidation_bonus_bps": (0, "u16"),
    "id": (2, "u8"),
    "ltv_pct": (3, "u8"),
    "liquidation_threshold_pct": (4, "u8"),
    "max_reserves_as_collateral": (6, "u8"),
    "debt_reserve": (8, "key"),
}

MARKET = Layout(
    name="LendingMarket",
    size=4664,
    discriminator=bytes.fromhex("f6723262489d1c78"),
    fields={
        "quote_currency": (88, "bytes:32"),
        "referral_fee_bps": (120, "u16"),
        "emergency_mode": (122, "u8"),
        "autodeleverage_enabled": (123, "u8"),
        "price_refresh_trigger_to_max_age_pct": (125, "u8"),
        "liquidation_max_debt_close_factor_pct": (126, "u8"),
        "insolvency_risk_unhealthy_ltv_pct": (127, "u8"),
        "min_full_liquidation_value_threshold": (128, "u64"),
        "max_liquidatable_debt_market_value_at_once": (136, "u64"),
        "global_unhealthy_borrow_value": (144, "u64"),
        "global_allowed_borrow_value": (152, "u64"),
        "elevation_groups": (200, (32, 72, ELEVATION_GROUP)),
        "min_value_skip_liquidation_ltv_checks": (3240, "u64"),
        "min_value_skip_liquidation_bf_checks": (3280, "u64"),
        "individual_autodeleverage_margin_call_period_secs": (3288, "u64"),
        "obligation_order_execution_enabled": (3304, "u8"),
        "price_triggered_liquidation_disabled": (3307, "u8"),
        "mature_reserve_debt_liquidation_enabled": (3308, "u8"),
        "obligation_borrow_debt_term_liquidation_enabled": (3309, "u8"),
        "reserve_rewards_max_apr_bps": (3358, "u16"),
    },
)
