-- by day: timestamp
-- One option at an instant. Prices in rupees, open interest and volume in units, iv a fraction.
CREATE TABLE IF NOT EXISTS {table} (
  "timestamp" timestamptz NOT NULL,
  symbol_id integer NOT NULL,
  expiry date NOT NULL,
  strike_price double precision NOT NULL,
  option_type text NOT NULL CHECK (option_type IN ('CE', 'PE')),
  ltp double precision,
  bid double precision,
  ask double precision,
  bid_qty bigint,
  ask_qty bigint,
  prev_close double precision,
  price_change double precision,
  volume bigint,
  prev_volume bigint,
  oi bigint,
  prev_oi bigint,
  oi_change bigint,
  iv double precision,
  delta double precision,
  gamma double precision,
  theta double precision,
  vega double precision,
  rho double precision,
  quality text,
  PRIMARY KEY (symbol_id, expiry, strike_price, option_type, "timestamp")
){by_day};
ALTER TABLE {table} ADD COLUMN IF NOT EXISTS quality text; -- made before there was one
