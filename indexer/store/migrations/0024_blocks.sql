-- The blocks that are stored, for analysts.
CREATE VIEW public.dim_block AS
SELECT
    chain_id,
    number AS block_number,
    main.written(chain_id, hash) AS block_hash,
    make_timestamp(time * 1000000) AS block_time
FROM main.block;
COMMENT ON VIEW public.dim_block IS 'Every stored block: of the window that can still change, and below it those that something rests on.';
COMMENT ON COLUMN public.dim_block.chain_id IS 'CAIP-2 id of the chain';
COMMENT ON COLUMN public.dim_block.block_number IS 'Height (Solana: slot; signed prices: Unix second)';
COMMENT ON COLUMN public.dim_block.block_hash IS 'Hash of the block';
COMMENT ON COLUMN public.dim_block.block_time IS 'Time of the block, UTC';
