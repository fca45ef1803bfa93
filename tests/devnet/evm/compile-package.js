// Compiles the named sources of npm packages, with what they import, and prints {contract name: {abi, bytecode}} as JSON.
// A name that begins with a dot is a file beside this one. A package that asks for a newer compiler than its code needs is compiled by the one that is here.
// The vaults of Morpho take OpenZeppelin 5, all else 4.
"use strict";

const fs = require("fs");
const path = require("path");
const solc = require("solc");

const modules = path.join(__dirname, "node_modules");
const names = process.argv.slice(2);

function read(name) {
  const file = name.startsWith("./") ? path.join(__dirname, name) : path.join(modules, name);
  return fs.readFileSync(file, "utf8").replace("pragma solidity ^0.8.20;", "pragma solidity ^0.8.0;");
}

function found(name) {
  try {
    return { contents: read(name) };
  } catch (error) {
    return { error: String(error) };
  }
}

const settings = {
  remappings: ["sphere-mezo-solidity-files/domains/metamorpho/:@openzeppelin/contracts/=openzeppelin-5/"],
  optimizer: { enabled: false }, // nobody looks at the code itself, and optimizing took fifteen times as long
  evmVersion: "paris",
  metadata: { bytecodeHash: "none" },
  outputSelection: Object.fromEntries(names.map((name) => [name, { "*": ["abi", "evm.bytecode.object"] }])),
};
const sources = Object.fromEntries(names.map((name) => [name, { content: read(name) }]));
const input = JSON.stringify({ language: "Solidity", sources, settings });
const output = JSON.parse(solc.compile(input, { import: found }));
const problems = (output.errors || []).filter((problem) => problem.severity === "error");
if (problems.length > 0) {
  process.stderr.write(problems.map((problem) => problem.formattedMessage).join("\n"));
  process.exit(1);
}

const artifacts = {};
for (const name of names) {
  for (const [contract, made] of Object.entries(output.contracts[name] || {})) {
    artifacts[contract] = { abi: made.abi, bytecode: "0x" + made.evm.bytecode.object };
  }
}
process.stdout.write(JSON.stringify(artifacts));
