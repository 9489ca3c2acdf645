-- When the primary last said that it lives: how far a replica is behind is told by the row that it has replayed.
CREATE TABLE IF NOT EXISTS stockifyd.heartbeat (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  beat_at timestamptz NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
INSERT INTO stockifyd.heartbeat (beat_at) VALUES (clock_timestamp()) ON CONFLICT DO NOTHING;

-- For readers too, who may write nothing else. Many may beat: a row stamped just now is left alone, and nobody waits for another.
CREATE OR REPLACE FUNCTION stockifyd.beat(OUT beat_at timestamptz, OUT lsn bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE stockifyd.heartbeat AS h SET beat_at = clock_timestamp() WHERE h.one IN (
    SELECT s.one FROM stockifyd.heartbeat AS s WHERE s.beat_at < clock_timestamp() - interval '500 milliseconds'
    OR s.beat_at > clock_timestamp() FOR UPDATE SKIP LOCKED);
  beat_at := clock_timestamp();
  lsn := pg_current_wal_insert_lsn() - '0/0';
END $$;
REVOKE ALL ON FUNCTION stockifyd.beat() FROM PUBLIC;
