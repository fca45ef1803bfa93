"use strict";
// Answers what klend-sdk's own maths says of a Kamino obligation.
//
// A case is {"market": address, "obligation": address, "reserves": [address], "slot": n, "prices": {reserve: market_price_sf as text},
// "accounts": {address: {"data": base64}}}. An answer has decimal numbers as text: `refreshed` as of the slot, with debts by the SDK's
// mirror of the program (`calculateFutureCumulativeBorrowRate`), and `estimated`, as its `getRatesForObligation` has them.

require("./absent");
const BN = require("bn.js");
const { KaminoMarket } = require("@kamino-finance/klend-sdk/dist/classes/market");
const { KaminoObligation } = require("@kamino-finance/klend-sdk/dist/classes/obligation");
const { KaminoReserve } = require("@kamino-finance/klend-sdk/dist/classes/reserve");
const { Fraction } = require("@kamino-finance/klend-sdk/dist/classes/fraction");
const { LendingMarket, Obligation } = require("@kamino-finance/klend-sdk/dist/@codegen/klend/accounts");
const { bytesOf, serve } = require("./lines");

const PROGRAM_SLOT_MS = 500; // the program counts two slots a second; with it the SDK does not adjust its rates

const reserveOf = (asked, address) => {
  const price = new Fraction(new BN(asked.prices[address])).toDecimal();
  const oracle = { mintAddress: "", decimals: 0, price, timestamp: 0n, valid: true };
  return KaminoReserve.fromAccountData(address, bytesOf(asked, address), oracle, null, PROGRAM_SLOT_MS);
};

const statsOf = (obligation) => {
  const stats = obligation.refreshedStats;
  const positions = (held) => Object.fromEntries([...held].map(([reserve, at]) => [reserve, [at.amount.toFixed(), at.marketValueRefreshed.toFixed()]]));
  return {
    deposited_value: stats.userTotalDeposit.toFixed(),
    borrowed_value: stats.userTotalBorrow.toFixed(),
    adjusted_debt_value: stats.userTotalBorrowBorrowFactorAdjusted.toFixed(),
    allowed_borrow_value: stats.borrowLimit.toFixed(),
    unhealthy_borrow_value: stats.borrowLiquidationLimit.toFixed(),
    deposits: positions(obligation.deposits),
    borrows: positions(obligation.borrows),
  };
};

serve((asked) => {
  const slot = BigInt(asked.slot);
  const reserves = new Map(asked.reserves.map((address) => [address, reserveOf(asked, address)]));
  const state = LendingMarket.decode(bytesOf(asked, asked.market));
  const market = KaminoMarket.loadWithReserves(null, state, reserves, asked.market, PROGRAM_SLOT_MS);
  const held = Obligation.decode(bytesOf(asked, asked.obligation));
  const rates = KaminoObligation.getRatesForObligation(market, held.deposits, held.borrows, slot);
  const mirrored = new Map([...reserves].map(([address, reserve]) => [address, reserve.calculateFutureCumulativeBorrowRate(slot)]));
  const obligation = (cumulative) => new KaminoObligation(market, asked.obligation, held, rates.collateralExchangeRates, cumulative);
  return { refreshed: statsOf(obligation(mirrored)), estimated: statsOf(obligation(rates.cumulativeBorrowRates)) };
});
