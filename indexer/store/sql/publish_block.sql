-- What macros ask of blocks, of those that are published.
CREATE OR REPLACE VIEW main.block AS
SELECT chain_id, block_number AS number, CAST(epoch(block_time) AS BIGINT) AS time FROM public.dim_block
