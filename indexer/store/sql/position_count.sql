SELECT count(*) FROM ({rows})
