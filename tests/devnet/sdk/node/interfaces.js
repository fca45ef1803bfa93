"use strict";
// Prints as JSON what packages describe in JavaScript alone: Jupiter Lend's interface descriptions, which are object literals in a bundle, and
// Solend's packed accounts, as [path, offset, size] of each field.

const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");

console.warn = console.info = console.log = () => {};

const bundle = path.join(__dirname, "node_modules/@jup-ag/lend-read/dist/index.mjs");
const literals = fs.readFileSync(bundle, "utf8").matchAll(/^(?:const|var|let) \w+ = (\{\n\s+"?address"?: "[\s\S]*?\n\});$/gm);
const jupiter = [...literals].map(([, text]) => vm.runInNewContext(`(${text})`));

const fieldsOf = (layout, at, above) =>
  layout.fields.flatMap((field) => {
    const name = [...above, field.property].filter(Boolean);
    const here = at;
    at += field.span;
    return [...(name.length ? [[name.join("."), here, field.span]] : []), ...(field.fields ? fieldsOf(field, here, name) : [])];
  });

const described = (layout) => ({ size: layout.span, fields: fieldsOf(layout, 0, []) });
const state = require("@solendprotocol/solend-sdk/state");
const solend = Object.fromEntries(
  ["LendingMarketLayout", "ReserveLayout", "ObligationLayout", "ObligationCollateralLayout", "ObligationLiquidityLayout"].map((name) => [name, described(state[name])]),
);

process.stdout.write(JSON.stringify({ jupiter, solend }));
