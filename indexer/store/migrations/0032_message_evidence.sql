-- The message itself, as a bridge has it, with what proves it, and how sure it was found to be when it was imported.
ALTER TABLE transfer ADD COLUMN evidence VARCHAR;
ALTER TABLE transfer ADD COLUMN grade VARCHAR DEFAULT 'D';
ALTER TABLE transfer ADD COLUMN checked VARCHAR DEFAULT 'there is no evidence';

CREATE OR REPLACE VIEW public.fct_transfer AS
SELECT
    protocol, message, source_chain, destination_chain, asset AS asset_id, amount_raw, decimals, sender, recipient,
    make_timestamp(sent_at * 1000000) AS sent_at,
    source_tx, state, delivered_block, source,
    make_timestamp(imported_at * 1000000) AS imported_at,
    digest AS import_digest,
    count(*) OVER (PARTITION BY protocol, message) - 1 AS said_before,
    grade AS evidence_grade, checked AS evidence_detail
FROM main.transfer
QUALIFY row_number() OVER (PARTITION BY protocol, message ORDER BY import_number DESC) = 1;
COMMENT ON VIEW public.fct_transfer IS 'Imported messages of bridges, the last that was said of each; what is on its way counts nothing until it is there.';
COMMENT ON COLUMN public.fct_transfer.protocol IS 'The bridge, such as wormhole, layerzero or cctp';
COMMENT ON COLUMN public.fct_transfer.message IS 'The bridge''s id of the message';
COMMENT ON COLUMN public.fct_transfer.source_chain IS 'CAIP-2 id of the chain that it left';
COMMENT ON COLUMN public.fct_transfer.destination_chain IS 'CAIP-2 id of the chain where it arrives';
COMMENT ON COLUMN public.fct_transfer.asset_id IS 'CAIP-19 asset as it arrives, on the destination chain';
COMMENT ON COLUMN public.fct_transfer.amount_raw IS 'Amount in raw units of the asset as it arrives';
COMMENT ON COLUMN public.fct_transfer.decimals IS 'Decimals of the asset as it arrives, as said';
COMMENT ON COLUMN public.fct_transfer.sender IS 'CAIP-10 account on the source chain';
COMMENT ON COLUMN public.fct_transfer.recipient IS 'CAIP-10 account on the destination chain';
COMMENT ON COLUMN public.fct_transfer.sent_at IS 'When it was sent, UTC';
COMMENT ON COLUMN public.fct_transfer.source_tx IS 'Transaction on the source chain that sent it';
COMMENT ON COLUMN public.fct_transfer.state IS 'sent, proven (its sending was proven to the destination) or delivered';
COMMENT ON COLUMN public.fct_transfer.delivered_block IS 'Block of the destination chain in which it arrived, NULL before';
COMMENT ON COLUMN public.fct_transfer.source IS 'Whom the one who imported it named as its source';
COMMENT ON COLUMN public.fct_transfer.imported_at IS 'When it was imported, UTC';
COMMENT ON COLUMN public.fct_transfer.import_digest IS 'sha256: and the hash of all that was imported with it';
COMMENT ON COLUMN public.fct_transfer.said_before IS 'How often something else was said of the message before';
COMMENT ON COLUMN public.fct_transfer.evidence_grade IS 'B: who signed it, or the log by which the destination accepted it, was checked; D: somebody''s word';
COMMENT ON COLUMN public.fct_transfer.evidence_detail IS 'Why it is no surer, and what of it is the import''s word; empty where nothing is';
