-- by day: timestamp
-- What `classify_buildup` says of one option at an instant, against the row of `option_contracts` of time `since`, some minutes
-- before; null where there was none. Prices in rupees, open interest in units.
CREATE TABLE IF NOT EXISTS {table} (
  "timestamp" timestamptz NOT NULL,
  symbol_id integer NOT NULL,
  expiry date NOT NULL,
  strike_price double precision NOT NULL,
  option_type text NOT NULL CHECK (option_type IN ('CE', 'PE')),
  price_change double precision,
  oi_change bigint,
  buildup text CHECK (buildup IN ('long_buildup', 'short_buildup', 'long_unwinding', 'short_covering')),
  since timestamptz CHECK (since <= "timestamp"),
  PRIMARY KEY (symbol_id, expiry, strike_price, option_type, "timestamp")
){by_day};
