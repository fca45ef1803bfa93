SELECT count(*) FROM "{database}"."{schema}"."{table}"
