-- The ledger: how far each consumer's rows are in this database, moved in the transaction of the rows.
CREATE TABLE IF NOT EXISTS stockifyd.offsets (
  consumer text NOT NULL,                 -- the Kafka group, else the pipeline
  sink text NOT NULL,
  cluster text NOT NULL,
  topic text NOT NULL,
  partition int NOT NULL,
  next_offset bigint NOT NULL CHECK (next_offset >= 0),
  owner_epoch bigint NOT NULL DEFAULT 0,  -- rises with every claim: an earlier owner's swap finds nothing
  owner text,
  last_offset bigint,                     -- the last message stored: a topic made anew is recognised by it
  last_ts timestamptz,
  last_crc bigint,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (consumer, sink, cluster, topic, partition)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- Which database a ledger began in: one restored elsewhere must not be taken for it.
CREATE TABLE IF NOT EXISTS stockifyd.ledgers (
  consumer text NOT NULL,
  sink text NOT NULL,
  system_identifier text NOT NULL,
  database text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (consumer, sink)
);

-- Offsets that their topic lost before they were read.
CREATE TABLE IF NOT EXISTS stockifyd.gaps (
  consumer text NOT NULL,
  sink text NOT NULL,
  cluster text NOT NULL,
  topic text NOT NULL,
  partition int NOT NULL,
  from_offset bigint NOT NULL,
  to_offset bigint NOT NULL,
  reason text NOT NULL,
  noticed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (consumer, sink, cluster, topic, partition, from_offset)
);
