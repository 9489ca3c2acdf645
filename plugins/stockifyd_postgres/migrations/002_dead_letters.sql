-- Messages that can never be stored, written in the transaction that moves the ledger past them.
CREATE TABLE IF NOT EXISTS stockifyd.dead_letters (
  pipeline text NOT NULL,
  consumer text NOT NULL,
  sink text NOT NULL,
  cluster text NOT NULL,
  topic text NOT NULL,
  partition int NOT NULL,
  "offset" bigint NOT NULL,
  row_idx int,                            -- the row inside the message, where it is known
  error_class text NOT NULL,              -- REJECT: refused by a transform; POISON: refused by the database
  sqlstate text,
  stage text NOT NULL DEFAULT '',         -- the component that refused it
  reason text NOT NULL,
  payload bytea NOT NULL,
  message_key bytea,
  message_ts timestamptz,
  headers jsonb NOT NULL DEFAULT '[]',    -- [name, text] or [name, {"base64": ...}]
  attempts int NOT NULL DEFAULT 0,        -- times that `dlq retry` tried it in vain
  first_seen timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (consumer, sink, cluster, topic, partition, "offset")
);
