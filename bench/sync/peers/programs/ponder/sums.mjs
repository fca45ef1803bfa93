// Prints, per token and direction, how many movements ponder stored and their sum. Argument: PGlite's folder.
import { PGlite } from "@electric-sql/pglite";

const db = await PGlite.create(process.argv[2]);
const { rows } = await db.query(
  "SELECT token, incoming, count(*)::text AS count, sum(amount)::text AS total FROM bench.movement GROUP BY token, incoming",
);
console.log(JSON.stringify(rows));
await db.close();
