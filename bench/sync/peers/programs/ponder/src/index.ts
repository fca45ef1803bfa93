import { ponder } from "ponder:registry";
import { balance, movement } from "ponder:schema";

const note = async (event: any, context: any, incoming: boolean) => {
  const { account, token, amount } = event.args;
  await context.db.insert(movement).values({ id: event.id, account, token, amount, incoming });
  const change = incoming ? amount : -amount;
  await context.db.insert(balance).values({ account, token, amount: change }).onConflictDoUpdate((row: any) => ({ amount: row.amount + change }));
};
ponder.on("Vault:Deposit", ({ event, context }) => note(event, context, true));
ponder.on("Vault:Withdraw", ({ event, context }) => note(event, context, false));
