SELECT count(*) || '-' || CAST(coalesce(sum(hash(row_of)), 0) AS VARCHAR) AS digest FROM ({question}) AS row_of
