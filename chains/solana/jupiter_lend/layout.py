"""The programs' accounts as tables of fields: vaults, their ticks, branches and positions, and the Liquidity program's reserves.

Sources: the programs' interface descriptions in npm `@jup-ag/lend-read` 0.0.10 (structures without padding, `repr(C, packed)`), and their
Rust source of February 2026. Lists of ticks with debt (`TickHasDebtArray`) say nothing that a position's amounts need, and are not read.
"""

from __future__ import annotations

from chains.identifiers import from_base58
from chains.solana.layouts import Layout

VAULTS = "jupr81YtYssSyPt8jbnGuiWon5f6x9TcDEFxYe3Bdzi"
"""The vaults program on mainnet; the address of a venue."""

LIQUIDITY = from_base58("jupeiUmn818Jg1ekPURTpr4mFo29p46vygyykFJ3wZC")
ORACLES = from_base58("jupnw4B6Eqs7ft6rxpzYLJZYSnrpRgPcr589n5Kv4oc")

VAULT_AT = 8
"""Where every account of a vault says whose it is: its number, u16."""

CONFIG = Layout(
    name="VaultConfig",
    size=219,
    discriminator=bytes.fromhex("63562bd8b866774d"),
    fields={
        "vault_id": (8, "u16"),
        "supply_rate_magnifier": (10, "i16"),
        "borrow_rate_magnifier": (12, "i16"),
        "collateral_factor": (14, "u16"),
        "liquidation_threshold": (16, "u16"),
        "liquidation_max_limit": (18, "u16"),
        "withdraw_gap": (20, "u16"),
        "liquidation_penalty": (22, "u16"),
        "borrow_fee": (24, "u16"),
        "oracle": (26, "key"),
        "rebalancer": (58, "key"),
        "liquidity_program": (90, "key"),
        "oracle_program": (122, "key"),
        "supply_token": (154, "key"),
        "borrow_token": (186, "key"),
        "bump": (218, "u8"),
    },
)

STATE = Layout(
    name="VaultState",
    size=127,
    discriminator=bytes.fromhex("e4c452a562d2eb98"),
    fields={
        "vault_id": (8, "u16"),
        "branch_liquidated": (10, "u8"),
        "topmost_tick": (11, "i32"),
        "current_branch_id": (15, "u32"),
        "total_branch_id": (19, "u32"),
        "total_supply": (23, "u64"),
        "total_borrow": (31, "u64"),
        "total_positions": (39, "u32"),
        "absorbed_debt_amount": (43, "u128"),
        "absorbed_col_amount": (59, "u128"),
        "absorbed_dust_debt": (75, "u64"),
        "liquidity_supply_exchange_price": (83, "u64"),
        "liquidity_borrow_exchange_price": (91, "u64"),
        "vault_supply_exchange_price": (99, "u64"),
        "vault_borrow_exchange_price": (107, "u64"),
        "next_position_id": (115, "u32"),
        "last_update_timestamp": (119, "u64"),
    },
)

METADATA = Layout(
    name="VaultMetadata",
    size=44,
    discriminator=bytes.fromhex("f8b1f45d43137539"),
    fields={
        "vault_id": (8, "u16"),
        "lookup_table": (10, "key"),
        "supply_mint_decimals": (42, "u8"),
        "borrow_mint_decimals": (43, "u8"),
    },
    grows=True,
)

POSITION = Layout(
    name="Position",
    size=71,
    discriminator=bytes.fromhex("aabc8fe47a40f7d0"),
    fields={
        "vault_id": (8, "u16"),
        "nft_id": (10, "u32"),
        "position_mint": (14, "key"),
        "is_supply_only_position": (46, "u8"),
        "tick": (47, "i32"),
        "tick_id": (51, "u32"),
        "supply_amount": (55, "u64"),
        "dust_debt_amount": (63, "u64"),
    },
)

TICK = Layout(
    name="Tick",
    size=40,
    discriminator=bytes.fromhex("b05e43f785ad0773"),
    fields={
        "vault_id": (8, "u16"),
        "tick": (10, "i32"),
        "is_liquidated": (14, "u8"),
        "total_ids": (15, "u32"),
        "raw_debt": (19, "u64"),
        "is_fully_liquidated": (27, "u8"),
        "liquidation_branch_id": (28, "u32"),
        "debt_factor": (32, "u64"),
    },
)

TICK_IDS = Layout(
    name="TickIdLiquidation",
    size=57,
    discriminator=bytes.fromhex("291cbec544d51fb5"),
    fields={
        "vault_id": (8, "u16"),
        "tick": (10, "i32"),
        "tick_map": (14, "u32"),
        "is_fully_liquidated_1": (18, "u8"),
        "liquidation_branch_id_1": (19, "u32"),
        "debt_factor_1": (23, "u64"),
        "is_fully_liquidated_2": (31, "u8"),
        "liquidation_branch_id_2": (32, "u32"),
        "debt_factor_2": (36, "u64"),
        "is_fully_liquidated_3": (44, "u8"),
        "liquidation_branch_id_3": (45, "u32"),
        "debt_factor_3": (49, "u64"),
    },
)

BRANCH = Layout(
    name="Branch",
    size=47,
    discriminator=bytes.fromhex("0e3f643219081d05"),
    fields={
        "vault_id": (8, "u16"),
        "branch_id": (10, "u32"),
        "status": (14, "u8"),
        "minima_tick": (15, "i32"),
        "minima_tick_partials": (19, "u32"),
        "debt_liquidity": (23, "u64"),
        "debt_factor": (31, "u64"),
        "connected_branch_id": (39, "u32"),
        "connected_minima_tick": (43, "i32"),
    },
)

UNREAD = frozenset(map(bytes.fromhex, ("5be83c1d7c6731fc", "5861a0756627672c")))
"""Accounts of the vaults program that say nothing of amounts: `TickHasDebtArray`, `VaultAdmin`."""

RESERVE = Layout(
    name="TokenReserve",
    size=192,
    discriminator=bytes.fromhex("15123b8778141f0c"),
    fields={
        "mint": (8, "key"),
        "vault": (40, "key"),
        "borrow_rate": (72, "u16"),
        "fee_on_interest": (74, "u16"),
        "last_utilization": (76, "u16"),
        "last_update_timestamp": (78, "u64"),
        "supply_exchange_price": (86, "u64"),
        "borrow_exchange_price": (94, "u64"),
        "max_utilization": (102, "u16"),
        "total_supply_with_interest": (104, "u64"),
        "total_supply_interest_free": (112, "u64"),
        "total_borrow_with_interest": (120, "u64"),
        "total_borrow_interest_free": (128, "u64"),
        "total_claim_amount": (136, "u64"),
        "interacting_protocol": (144, "key"),
        "interacting_timestamp": (176, "u64"),
        "interacting_balance": (184, "u64"),
    },
)

LENDING = Layout(
    name="Lending",
    size=196,
    discriminator=bytes.fromhex("87c75210f983b6f1"),
    fields={
        "mint": (8, "key"),
        "f_token_mint": (40, "key"),
        "lending_id": (72, "u16"),
        "decimals": (74, "u8"),
        "rewards_rate_model": (75, "key"),
        "liquidity_exchange_price": (107, "u64"),
        "token_exchange_price": (115, "u64"),
        "last_update_timestamp": (123, "u64"),
        "token_reserves_liquidity": (131, "key"),
        "supply_position_on_liquidity": (163, "key"),
        "bump": (195, "u8"),
    },
)

REWARDS = Layout(
    name="LendingRewardsRateModel",
    size=89,
    discriminator=bytes.fromhex("a6484783ac4aa6b5"),
    fields={
        "mint": (8, "key"),
        "start_tvl": (40, "u64"),
        "duration": (48, "u64"),
        "start_time": (56, "u64"),
        "yearly_reward": (64, "u64"),
        "next_duration": (72, "u64"),
        "next_reward_amount": (80, "u64"),
        "bump": (88, "u8"),
    },
)

ORACLE = Layout(
    name="Oracle",
    size=15,
    discriminator=bytes.fromhex("8bc283b38cb3e5f4"),
    fields={"nonce": (8, "u16"), "sources": (10, "u32")},
    grows=True,
)
"""The head of an oracle: behind it, its sources one after the other (`SOURCE`, `SOURCE_SIZE` bytes each), and a bump seed."""

SOURCE = Layout(
    name="source",
    size=66,
    discriminator=b"",
    fields={
        "source": (0, "key"),
        "invert": (32, "u8"),
        "multiplier": (33, "u128"),
        "divisor": (49, "u128"),
        "source_type": (65, "u8"),
    },
)
SOURCES_AT = 14
