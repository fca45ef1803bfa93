SELECT schedule, since FROM snapshot_schedule ORDER BY entry
