"use strict";
// Answers what marginfi-client-v2's own maths says of an account.
//
// A case is {"account": address, "banks": {bank: its price account}, "accounts": {address: {"data": base64}}}. An answer has, by kind of
// requirement, [assets, liabilities] in USD as decimal text, with the banks' share values as they are stored (the SDK accrues nothing), and
// the amounts held and owed by bank.


const { PublicKey } = require("@solana/web3.js");
const { Bank } = require("@mrgnlabs/marginfi-client-v2/dist/models/bank");
const { MarginfiAccount, MarginRequirementType } = require("@mrgnlabs/marginfi-client-v2/dist/models/account/pure");
const { parsePriceInfo } = require("@mrgnlabs/marginfi-client-v2/dist/services/price");
const { MARGINFI_IDL } = require("@mrgnlabs/marginfi-client-v2/dist/idl");
const { bytesOf, serve } = require("./lines");


const KINDS = {
  initial: MarginRequirementType.Initial,
  maintenance: MarginRequirementType.Maintenance,
  equity: MarginRequirementType.Equity,
};

serve((asked) => {
  const banks = new Map();
  const prices = new Map();
  for (const [address, oracle] of Object.entries(asked.banks)) {
    const bank = Bank.fromBuffer(new PublicKey(address), bytesOf(asked, address), MARGINFI_IDL);
    banks.set(address, bank);
    prices.set(address, parsePriceInfo(bank.config.oracleSetup, bytesOf(asked, oracle), bank.config.fixedPrice));
  }
  const decoded = MarginfiAccount.decode(bytesOf(asked, asked.account), MARGINFI_IDL);
  const account = MarginfiAccount.fromAccountParsed(new PublicKey(asked.account), decoded);
  const said = {};
  for (const [name, kind] of Object.entries(KINDS)) {
    const { assets, liabilities } = account.computeHealthComponentsLegacy(banks, prices, kind);
    said[name] = [assets.toFixed(), liabilities.toFixed()];
  }
  said.amounts = Object.fromEntries(
    account.activeBalances.map((balance) => {
      const { assets, liabilities } = balance.computeQuantity(banks.get(balance.bankPk.toBase58()));
      return [balance.bankPk.toBase58(), [assets.toFixed(), liabilities.toFixed()]];
    }),
  );
  return said;
});
