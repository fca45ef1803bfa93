"use strict";
// One JSON document a line on stdin, one answer a line on stdout, in order; what an SDK prints goes to stderr.

const readline = require("node:readline");

for (const level of ["log", "info", "warn", "debug"]) console[level] = (...said) => console.error(...said);

/** Answers each line with what `answer(case)` returns, or with {"error": what it threw}. */
exports.serve = async (answer) => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    let said;
    try {
      said = await answer(JSON.parse(line));
    } catch (problem) {
      said = { error: problem instanceof Error ? `${problem.name}: ${problem.message}` : String(problem) };
    }
    process.stdout.write(JSON.stringify(said) + "\n");
  }
};

/** The bytes of an account of a case. */
exports.bytesOf = (asked, address) => {
  const account = asked.accounts[address];
  if (account === undefined) throw new Error(`the case has no account ${address}`);
  return Buffer.from(account.data, "base64");
};
