"use strict";
// Answers what marginfi-client-v2's own maths says of an account.
//
// A case is {"account": address, "banks": {bank: its price account}, "accounts": {address: {"data": base64}}}. An answer has, by kind of
// requirement, [assets, liabilities] in USD as decimal text, with the banks' share values as they are stored (the SDK accrues nothing), and
// the amounts held and owed by bank. E-mode is the SDK's too, from one pair for each entry of each bank's configuration.

const { PublicKey } = require("@solana/web3.js");
const { Bank } = require("@mrgnlabs/marginfi-client-v2/dist/models/bank");
const { MarginfiAccount, MarginRequirementType } = require("@mrgnlabs/marginfi-client-v2/dist/models/account/pure");
const { parsePriceInfo } = require("@mrgnlabs/marginfi-client-v2/dist/services/price");
const { MARGINFI_IDL } = require("@mrgnlabs/marginfi-client-v2/dist/idl");
const { bytesOf, serve } = require("./lines");

// The SDK decodes with its own anchor, by its description with the names in camel case.
const anchor = require.resolve("@coral-xyz/anchor", { paths: [require.resolve("@mrgnlabs/marginfi-client-v2")] });
const { BorshCoder } = require(anchor);
const { convertIdlToCamelCase } = require(anchor.replace(/index\.js$/, "idl.js"));
const coder = new BorshCoder(convertIdlToCamelCase(MARGINFI_IDL));

const KINDS = {
  initial: MarginRequirementType.Initial,
  maintenance: MarginRequirementType.Maintenance,
  equity: MarginRequirementType.Equity,
};

/** What each bank, as one that lends, lets count for more. */
const emodePairs = (banks) =>
  banks.flatMap((bank) =>
    bank.emode.emodeEntries.map((entry) => ({
      liabilityBank: bank.address,
      liabilityBankTag: bank.emode.emodeTag,
      collateralBankTag: entry.collateralBankEmodeTag,
      collateralBanks: banks.filter((other) => other.emode.emodeTag === entry.collateralBankEmodeTag).map((other) => other.address),
      assetWeightInit: entry.assetWeightInit,
      assetWeightMaint: entry.assetWeightMaint,
    })),
  );

/** Each bank of a pair's collateral at the least of its pairs' weights, or its own. */
const favour = (banks, pairs) => {
  for (const [address, bank] of banks) {
    const of = pairs.filter((pair) => pair.collateralBanks.some((key) => key.equals(bank.address)));
    if (of.length === 0) continue;
    const least = (weight) => of.map((pair) => pair[weight]).reduce((one, other) => (one.lt(other) ? one : other));
    banks.set(address, Bank.withEmodeWeights(bank, { assetWeightInit: least("assetWeightInit"), assetWeightMaint: least("assetWeightMaint") }));
  }
};

serve((asked) => {
  const banks = new Map();
  const prices = new Map();
  for (const [address, oracle] of Object.entries(asked.banks)) {
    const bank = Bank.fromAccountParsed(new PublicKey(address), coder.accounts.decode("bank", bytesOf(asked, address)));
    banks.set(address, bank);
    prices.set(address, parsePriceInfo(bank.config.oracleSetup, bytesOf(asked, oracle), bank.config.fixedPrice));
  }
  const decoded = coder.accounts.decode("marginfiAccount", bytesOf(asked, asked.account));
  const account = MarginfiAccount.fromAccountParsed(new PublicKey(asked.account), decoded);
  favour(banks, account.computeActiveEmodePairs(emodePairs([...banks.values()])));
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
