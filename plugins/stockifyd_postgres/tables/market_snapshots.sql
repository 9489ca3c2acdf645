-- by day: timestamp
-- An underlying and one expiry at an instant. Open interest in units, spot_change_pct in percent, iv a fraction.
CREATE TABLE IF NOT EXISTS {table} (
  "timestamp" timestamptz NOT NULL,
  symbol_id integer NOT NULL,
  expiry date NOT NULL,
  exchange text,
  segment text,
  spot_price double precision,
  spot_change double precision,
  spot_change_pct double precision,
  total_call_oi bigint,
  total_put_oi bigint,
  pcr_ratio double precision,
  atm_iv double precision,
  atm_iv_change double precision,
  max_pain_strike double precision,
  days_to_expiry integer,
  lot_size integer,
  tick_size double precision,
  quality text,
  PRIMARY KEY (symbol_id, expiry, "timestamp")
){by_day};
ALTER TABLE {table} ADD COLUMN IF NOT EXISTS quality text; -- made before there was one
-- A symbol over all its expiries at an instant.
CREATE OR REPLACE VIEW {schema}.symbol_snapshots AS
SELECT "timestamp", symbol_id, max(spot_price) AS spot_price, max(spot_change) AS spot_change,
       max(spot_change_pct) AS spot_change_pct, sum(total_call_oi)::bigint AS total_call_oi, sum(total_put_oi)::bigint AS total_put_oi,
       sum(total_put_oi)::double precision / nullif(sum(total_call_oi), 0)::double precision AS pcr_ratio, count(*) AS expiries
  FROM {table} GROUP BY "timestamp", symbol_id;
