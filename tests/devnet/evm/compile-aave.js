// Compiles what a market of Aave v3 is upgraded to, and prints {contract name: {bytecode, linkReferences}} as JSON.
// `patch`: 3.0.2 with the revisions that an upgrade needs, which its package has not: there all code is the first. `origin`: 3.6, behind `upgrades/`.
"use strict";

const fs = require("fs");
const path = require("path");
const solc = require("solc-0.8.27");

const modules = path.join(__dirname, "node_modules");
const core = "@aave/core-v3/contracts/protocol/";
const origin = "@aave-dao/aave-v3-origin/src/contracts/";
const tasks = {
  patch: [
    ...["SupplyLogic", "BorrowLogic", "LiquidationLogic", "EModeLogic", "BridgeLogic", "PoolLogic", "ConfiguratorLogic", "FlashLoanLogic"].map(
      (name) => `${core}libraries/logic/${name}.sol`,
    ),
    ...["pool/Pool", "pool/PoolConfigurator", "tokenization/AToken", "tokenization/StableDebtToken", "tokenization/VariableDebtToken"].map(
      (name) => `${core}${name}.sol`,
    ),
  ],
  origin: [
    ...["SupplyLogic", "BorrowLogic", "LiquidationLogic", "PoolLogic", "ConfiguratorLogic", "FlashLoanLogic"].map(
      (name) => `${origin}protocol/libraries/logic/${name}.sol`,
    ),
    ...["instances/ATokenInstance", "instances/VariableDebtTokenInstance", "instances/PoolConfiguratorInstance", "misc/DefaultReserveInterestRateStrategyV2"].map(
      (name) => `${origin}${name}.sol`,
    ),
    "./upgrades/MigratedPool.sol",
  ],
};

function read(name) {
  const file = name.startsWith("./") || name.startsWith("upgrades/") ? path.join(__dirname, name) : path.join(modules, name);
  return fs.readFileSync(file, "utf8").replace(/(_REVISION = )0x1;/, "$10x2;");
}

function found(name) {
  try {
    return { contents: read(name) };
  } catch (error) {
    return { error: String(error) };
  }
}

const task = process.argv[2];
const names = tasks[task];
const settings = {
  remappings: [`${origin}:openzeppelin-contracts/contracts/=openzeppelin-5/`],
  // Nobody looks at the code itself, and optimizing takes two thirds of the time; but the stack does not suffice for all of 3.0.2 as it is written.
  optimizer: { enabled: false, ...(task === "patch" && { details: { yul: true, yulDetails: { stackAllocation: true, optimizerSteps: ":" } } }) },
  evmVersion: "paris",
  metadata: { bytecodeHash: "none" },
  outputSelection: Object.fromEntries(names.map((name) => [name, { "*": ["evm.bytecode.object", "evm.bytecode.linkReferences"] }])),
};
const sources = Object.fromEntries(names.map((name) => [name, { content: read(name) }]));
const output = JSON.parse(solc.compile(JSON.stringify({ language: "Solidity", sources, settings }), { import: found }));
const problems = (output.errors || []).filter((problem) => problem.severity === "error");
if (problems.length > 0) {
  process.stderr.write(problems.map((problem) => problem.formattedMessage).join("\n"));
  process.exit(1);
}

const artifacts = {};
for (const name of names) {
  for (const [contract, made] of Object.entries(output.contracts[name] || {})) {
    artifacts[contract] = { bytecode: "0x" + made.evm.bytecode.object, linkReferences: made.evm.bytecode.linkReferences };
  }
}
process.stdout.write(JSON.stringify(artifacts));
