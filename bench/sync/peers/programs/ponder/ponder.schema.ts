import { onchainTable, primaryKey } from "ponder";
export const movement = onchainTable("movement", (t) => ({
  id: t.text().primaryKey(), account: t.hex().notNull(), token: t.hex().notNull(), amount: t.bigint().notNull(), incoming: t.boolean().notNull(),
}));
export const balance = onchainTable("balance", (t) => ({
  account: t.hex().notNull(), token: t.hex().notNull(), amount: t.bigint().notNull(),
}), (table) => ({ pk: primaryKey({ columns: [table.account, table.token] }) }));
