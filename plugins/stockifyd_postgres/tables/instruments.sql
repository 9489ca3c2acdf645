-- What is traded: one row a symbol.
CREATE TABLE IF NOT EXISTS {table} (
  symbol_id integer PRIMARY KEY,
  symbol text NOT NULL,
  exchange text,
  segment text,
  lot_size integer,
  tick_size double precision,
  is_active boolean NOT NULL DEFAULT true
);
