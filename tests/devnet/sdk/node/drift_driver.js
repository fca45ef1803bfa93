"use strict";
// Answers what @drift-labs/sdk's own user maths says of a Drift account: whole numbers as text, where driftpy has floats here and there.
//
// A case is driftpy's: {"user": address, "slot": n, "time": n, "accounts": {address: {"owner": address, "data": base64}}}; perp positions need
// the State. An answer has amounts in millionths of the quote token, by margin category, for cross margin and for isolated positions.

require("./absent");
const { createHash } = require("node:crypto");
const { PublicKey } = require("@solana/web3.js");
const { CustomBorshAccountsCoder } = require("@drift-labs/sdk/lib/node/decode/customCoder");
const { decodeUser } = require("@drift-labs/sdk/lib/node/decode/user");
const { DriftClient } = require("@drift-labs/sdk/lib/node/driftClient");
const { getOracleClient } = require("@drift-labs/sdk/lib/node/factory/oracleClient");
const { User } = require("@drift-labs/sdk/lib/node/user");
const idl = require("@drift-labs/sdk/lib/node/idl/drift.json");
const { bytesOf, serve } = require("./lines");

const coder = new CustomBorshAccountsCoder(idl);
const program = { account: { prelaunchOracle: { coder: { accounts: coder } } } };
const beginning = (name) => createHash("sha256").update(`account:${name}`).digest("hex").slice(0, 16);
const KINDS = new Map(["SpotMarket", "PerpMarket", "State"].map((name) => [beginning(name), name]));

const oracleClients = new Map();
const oracleClient = (source) => {
  const name = Object.keys(source)[0];
  if (!oracleClients.has(name)) oracleClients.set(name, getOracleClient(source, { commitment: "confirmed" }, program));
  return oracleClients.get(name);
};

/** What a DriftClient knows, from the accounts of one case. */
class Known {
  constructor(asked) {
    this.asked = asked;
    this.held = new Map();
    for (const address of Object.keys(asked.accounts)) {
      const data = bytesOf(asked, address);
      const kind = KINDS.get(data.subarray(0, 8).toString("hex"));
      if (kind) {
        const decoded = coder.decode(kind, data);
        this.held.set(`${kind} ${decoded.marketIndex ?? 0}`, decoded);
      }
    }
  }
  of(kind, index) {
    const found = this.held.get(`${kind} ${index}`);
    if (found === undefined) throw new Error(`the case has no ${kind} ${index}`);
    return found;
  }
  priced(oracle, source) {
    const account = this.asked.accounts[oracle.toBase58()];
    const data = account === undefined ? Buffer.alloc(0) : Buffer.from(account.data, "base64");
    return { data: oracleClient(source).getOraclePriceDataFromBuffer(data), slot: this.asked.slot };
  }
  getStateAccountAndSlot() {
    return { data: this.of("State", 0), slot: this.asked.slot };
  }
  getSpotMarketAccountAndSlot(index) {
    return { data: this.of("SpotMarket", index), slot: this.asked.slot };
  }
  getMarketAccountAndSlot(index) {
    return { data: this.of("PerpMarket", index), slot: this.asked.slot };
  }
  getOraclePriceDataAndSlotForSpotMarket(index) {
    const market = this.of("SpotMarket", index);
    return this.priced(market.oracle, market.oracleSource);
  }
  getOraclePriceDataAndSlotForPerpMarket(index) {
    const { amm } = this.of("PerpMarket", index);
    return this.priced(amm.oracle, amm.oracleSource);
  }
}

const calculated = (user, category, strict) => {
  const said = user.getMarginCalculation(category, { strict });
  const isolated = [...said.isolatedMarginCalculations].map(([index, one]) => [index, [one.totalCollateral.toString(), one.marginRequirement.toString()]]);
  return { total_collateral: said.totalCollateral.toString(), margin_requirement: said.marginRequirement.toString(), isolated: Object.fromEntries(isolated) };
};

serve((asked) => {
  Date.now = () => asked.time * 1000;
  const client = Object.create(DriftClient.prototype);
  client.accountSubscriber = new Known(asked);
  client.program = program;
  // Without a market maker's price the SDK takes the oracle's; it divides by the average before it looks, and that may be none.
  client.getMMOracleDataForPerpMarket = (index) =>
    client.getPerpMarketAccount(index).amm.mmOraclePrice.isZero()
      ? { ...client.getOracleDataForPerpMarket(index), isMMOracleActive: false }
      : DriftClient.prototype.getMMOracleDataForPerpMarket.call(client, index);
  const held = { data: decodeUser(bytesOf(asked, asked.user)), slot: asked.slot };
  const subscriber = { isSubscribed: true, getUserAccountAndSlot: () => held };
  const user = new User({ driftClient: client, userAccountPublicKey: new PublicKey(asked.user), accountSubscription: { type: "custom", userAccountSubscriber: subscriber } });
  return {
    initial: calculated(user, "Initial", false),
    maintenance: calculated(user, "Maintenance", false),
    strict: calculated(user, "Initial", true),
    free_collateral: user.getFreeCollateral("Initial").toString(),
    health: user.getHealth(),
    being_liquidated: user.isBeingLiquidated(),
    tokens: Object.fromEntries(user.getActiveSpotPositions().map((one) => [one.marketIndex, user.getTokenAmount(one.marketIndex).toString()])),
  };
});
