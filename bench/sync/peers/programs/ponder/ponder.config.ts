import { createConfig } from "ponder";
import { parseAbi } from "viem";
const task = JSON.parse(process.env.BENCH_TASK!);
export default createConfig({
  database: { kind: "pglite", directory: task.folder },
  chains: { bench: { id: task.chain_id, rpc: task.url, ...(task.rps ? { maxRequestsPerSecond: task.rps } : {}) } },
  contracts: {
    Vault: {
      abi: parseAbi([
        "event Deposit(address indexed account, address indexed token, uint256 amount)",
        "event Withdraw(address indexed account, address indexed token, uint256 amount)",
      ]),
      chain: "bench", address: task.vault, startBlock: task.start, endBlock: task.head,
    },
  },
});
