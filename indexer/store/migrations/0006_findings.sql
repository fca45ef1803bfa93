-- Where the store and the chain were found to differ, until it is mended.
CREATE TABLE finding (
    chain_id VARCHAR NOT NULL,
    interest VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    block_number BIGINT NOT NULL,
    block_hash BLOB NOT NULL,
    log_index INTEGER NOT NULL,
    tx_hash BLOB NOT NULL,
    address BLOB NOT NULL,
    topic0 BLOB NOT NULL,
    evidence VARCHAR NOT NULL
);

CREATE VIEW public.finding AS
SELECT
    chain_id, interest, kind, block_number,
    nullif(main.written(chain_id, block_hash), '0x') AS block_hash,
    nullif(log_index, -1) AS log_index,
    nullif(main.written(chain_id, tx_hash), '0x') AS tx_hash,
    main.written(chain_id, address) AS contract_address,
    nullif(main.written(chain_id, topic0), '0x') AS topic0,
    evidence
FROM main.finding;
COMMENT ON VIEW public.finding IS 'Logs in which the store and the chain were found to differ, until a restatement or a proof settles it.';
COMMENT ON COLUMN public.finding.chain_id IS 'CAIP-2 id of the chain';
COMMENT ON COLUMN public.finding.interest IS 'Whose rows it concerns, as fct_coverage calls it';
COMMENT ON COLUMN public.finding.kind IS 'missing: the chain has the log and the store has not; extra: the other way round; unbalanced: from this block on a total of the contract is not the sum of what is stored';
COMMENT ON COLUMN public.finding.block_number IS 'Block of the log';
COMMENT ON COLUMN public.finding.block_hash IS 'Hash of that block, NULL for unbalanced';
COMMENT ON COLUMN public.finding.log_index IS 'Place among the logs of the block, NULL for unbalanced';
COMMENT ON COLUMN public.finding.tx_hash IS 'Transaction of the log, NULL for unbalanced';
COMMENT ON COLUMN public.finding.contract_address IS 'Contract that emitted the log, or that keeps the total';
COMMENT ON COLUMN public.finding.topic0 IS 'First topic of the log, NULL for unbalanced';
COMMENT ON COLUMN public.finding.evidence IS 'How it was found';
COMMENT ON COLUMN public.fct_coverage.level IS 'Strength of the proof: fetched, bloom, totals, agreed, proven from weak to strong; contradicted where something is known to be wrong; docs/completeness.md says what each means';
