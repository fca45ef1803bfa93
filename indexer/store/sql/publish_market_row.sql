-- The token behind every market that a position can name, by its written name.
CREATE TABLE main.market_row AS
SELECT DISTINCT chain_id, venue_id, main.written(chain_id, market) AS market_address, symbol, decimals FROM main.market
