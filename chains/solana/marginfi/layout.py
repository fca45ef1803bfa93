"""The program's accounts as tables of fields: groups, banks and accounts of members.

Source: the program's own interface description, version 0.1.7. Versions since 0.1.0 have the same sizes and keep these fields where
they are; fields that came later are zero before: the health cache with 0.1.2, e-mode and the confidence limit with 0.1.4, the
seven-point rate curve and fixed prices with 0.1.6.
"""

from __future__ import annotations

from chains.solana.layouts import Layout, Table

PROGRAM = "MFv2hWf31Z9kbCa1snEPYctwafyhdvnV7FZnsebVacA"
"""The program on mainnet."""

BALANCES = 16

BALANCE: Table = {
    "active": (0, "u8"),
    "bank_pk": (1, "key"),
    "bank_asset_tag": (33, "u8"),
    "asset_shares": (40, "i128"),
    "liability_shares": (56, "i128"),
    "emissions_outstanding": (72, "i128"),
    "last_update": (88, "u64"),
}

ACCOUNT = Layout(
    name="MarginfiAccount",
    size=2312,
    discriminator=bytes.fromhex("43b2826d7e721c2a"),
    fields={
        "group": (8, "key"),
        "authority": (40, "key"),
        "balances": (72, (BALANCES, 104, BALANCE)),
        "account_flags": (1800, "u64"),
        "program_version": (2085, "u8"),
        "last_update": (2208, "u64"),
        "account_index": (2216, "u16"),
        "third_party_index": (2218, "u16"),
        "bump": (2220, "u8"),
    },
)

EMODE_ENTRY: Table = {
    "collateral_bank_emode_tag": (0, "u16"),
    "flags": (2, "u8"),
    "asset_weight_init": (8, "i128"),
    "asset_weight_maint": (24, "i128"),
}

RATE_POINT: Table = {"util": (0, "u32"), "rate": (4, "u32")}

BANK = Layout(
    name="Bank",
    size=1864,
    discriminator=bytes.fromhex("8e31a6f2324261bc"),
    fields={
        "mint": (8, "key"),
        "mint_decimals": (40, "u8"),
        "group": (41, "key"),
        "asset_share_value": (80, "i128"),
        "liability_share_value": (96, "i128"),
        "collected_insurance_fees_outstanding": (184, "i128"),
        "collected_group_fees_outstanding": (240, "i128"),
        "total_liability_shares": (256, "i128"),
        "total_asset_shares": (272, "i128"),
        "last_update": (288, "i64"),
        "asset_weight_init": (296, "i128"),
        "asset_weight_maint": (312, "i128"),
        "liability_weight_init": (328, "i128"),
        "liability_weight_maint": (344, "i128"),
        "deposit_limit": (360, "u64"),
        "optimal_utilization_rate": (368, "i128"),
        "plateau_interest_rate": (384, "i128"),
        "max_interest_rate": (400, "i128"),
        "insurance_fee_fixed_apr": (416, "i128"),
        "insurance_ir_fee": (432, "i128"),
        "protocol_fixed_fee_apr": (448, "i128"),
        "protocol_ir_fee": (464, "i128"),
        "protocol_origination_fee": (480, "i128"),
        "zero_util_rate": (496, "u32"),
        "hundred_util_rate": (500, "u32"),
        "points": (504, (5, 8, RATE_POINT)),
        "curve_type": (544, "u8"),
        "operational_state": (608, "u8"),
        "oracle_setup": (609, "u8"),
        "oracle_keys": (610, (5, 32, {"key": (0, "key")})),
        "borrow_limit": (776, "u64"),
        "risk_tier": (784, "u8"),
        "asset_tag": (785, "u8"),
        "config_flags": (786, "u8"),
        "total_asset_value_init_limit": (792, "u64"),
        "oracle_max_age": (800, "u16"),
        "oracle_max_confidence": (804, "u32"),
        "fixed_price": (808, "i128"),
        "flags": (840, "u64"),
        "collected_program_fees_outstanding": (904, "i128"),
        "emode_tag": (920, "u16"),
        "emode": (944, (10, 40, EMODE_ENTRY)),
    },
)

GROUP = Layout(
    name="MarginfiGroup",
    size=1064,
    discriminator=bytes.fromhex("b617adf097ceb643"),
    fields={
        "admin": (8, "key"),
        "group_flags": (40, "u64"),
        "program_fee_fixed": (80, "i128"),
        "program_fee_rate": (96, "i128"),
        "same_asset_emode_init_leverage": (368, "u32"),
        "same_asset_emode_maint_leverage": (372, "u32"),
    },
)
"""The last two came after 0.1.7; they are zero until then."""
