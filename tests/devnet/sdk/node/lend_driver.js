"use strict";
// Answers what @jup-ag/lend-read's own maths says of positions of a vault of Jupiter Lend.
//
// A case is {"vault": number, "positions": [number, …], "time": Unix seconds, "accounts": {address: {"owner", "data": base64}}}. An answer has
// `positions`, by number {"tick", "col", "debt", "dust"} (raw, as decimal text; `debt` still has the dust in it) or {"error": what it threw},
// and `prices`, the vault's exchange prices at that time [supply, borrow], or {"error": …}. The SDK finds accounts at addresses that it derives.

require("./absent");
const { Connection, PublicKey } = require("@solana/web3.js");
const BN = require("bn.js");
const { serve } = require("./lines");

const NOWHERE = "http://127.0.0.1:1";

/** A connection that knows the accounts of a case and nothing else. */
class Given extends Connection {
  accounts = {};

  account(key) {
    const found = this.accounts[key.toBase58()];
    if (found === undefined) return null;
    return { data: Buffer.from(found.data, "base64"), owner: new PublicKey(found.owner), lamports: 1, executable: false, rentEpoch: 0 };
  }

  async getAccountInfo(key) {
    return this.account(key);
  }

  async getAccountInfoAndContext(key) {
    return { context: { slot: 0 }, value: this.account(key) };
  }

  async getMultipleAccountsInfo(keys) {
    return keys.map((key) => this.account(key));
  }

  async getMultipleAccountsInfoAndContext(keys) {
    return { context: { slot: 0 }, value: keys.map((key) => this.account(key)) };
  }
}

const given = new Given(NOWHERE);
const ready = import("@jup-ag/lend-read").then(({ Vault }) => Vault);

/** Returns what a computation says, or {"error": what it threw}. */
const said = async (compute) => {
  try {
    return await compute();
  } catch (problem) {
    return { error: String(problem.message) };
  }
};

async function position(vault, vaultId, positionId) {
  const found = await vault.getUserPosition({ vaultId, positionId });
  const { tick, colRaw, debtRaw, dustDebtRaw } = await vault.getCurrentPositionState({ vaultId, position: found });
  return { tick, col: colRaw.toString(), debt: debtRaw.toString(), dust: dustDebtRaw.toString() };
}

async function prices(vault, vaultId) {
  const { vaultConfig: config, vaultState: state } = await vault.getVaultConfigAndState(vaultId);
  const found = await vault.updateExchangePrices(
    config.supplyToken,
    config.borrowToken,
    state.liquiditySupplyExchangePrice,
    state.liquidityBorrowExchangePrice,
    state.vaultSupplyExchangePrice,
    state.vaultBorrowExchangePrice,
    new BN(config.supplyRateMagnifier),
    new BN(config.borrowRateMagnifier),
    state.lastUpdateTimestamp,
  );
  return [found.vaultSupplyExchangePrice.toString(), found.vaultBorrowExchangePrice.toString()];
}

serve(async (asked) => {
  const vault = new (await ready)(given);
  given.accounts = asked.accounts;
  Date.now = () => asked.time * 1000;
  const positions = {};
  for (const number of asked.positions) positions[number] = await said(() => position(vault, asked.vault, number));
  return { positions, prices: await said(() => prices(vault, asked.vault)) };
});
