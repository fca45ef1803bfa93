// Compiles *.sol of contracts/, or of the folder that is named, with what they import of packages, and prints {contract name: {abi, bytecode}} as JSON.
"use strict";

const fs = require("fs");
const path = require("path");
const solc = require("solc");

const folder = process.argv[2] || path.join(__dirname, "contracts");
const names = fs.readdirSync(folder).filter((name) => name.endsWith(".sol")).sort();
const sources = Object.fromEntries(
  names.map((name) => [name, { content: fs.readFileSync(path.join(folder, name), "utf8") }]),
);

function found(name) {
  try {
    return { contents: fs.readFileSync(path.join(__dirname, "node_modules", name), "utf8") };
  } catch (error) {
    return { error: String(error) };
  }
}

const settings = {
  optimizer: { enabled: false }, // nobody looks at the code itself, and optimizing takes two thirds of the time
  evmVersion: "paris",
  metadata: { bytecodeHash: "none" },
  outputSelection: Object.fromEntries(names.map((name) => [name, { "*": ["abi", "evm.bytecode.object"] }])),
};

const output = JSON.parse(solc.compile(JSON.stringify({ language: "Solidity", sources, settings }), { import: found }));
const problems = (output.errors || []).map((problem) => problem.formattedMessage);
if (problems.length > 0) {
  process.stderr.write(problems.join("\n"));
  process.exit(1);
}

const artifacts = {};
for (const contracts of Object.values(output.contracts)) {
  for (const [name, contract] of Object.entries(contracts)) {
    artifacts[name] = { abi: contract.abi, bytecode: "0x" + contract.evm.bytecode.object };
  }
}
process.stdout.write(JSON.stringify(artifacts));
