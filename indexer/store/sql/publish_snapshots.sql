-- The ledger of snapshots without what names folders of this machine.
SELECT * REPLACE (
    '' AS path,
    CASE WHEN state = 'failed' THEN 'it failed; `crossmargin snapshot list` says why' ELSE detail END AS detail
) FROM snapshot
