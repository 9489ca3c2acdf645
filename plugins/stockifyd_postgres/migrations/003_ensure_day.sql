-- Tables that get a partition for each UTC day, and the function that makes one for a writer without DDL.
CREATE TABLE IF NOT EXISTS stockifyd.day_tables (
  schema_name text NOT NULL,
  table_name text NOT NULL,
  PRIMARY KEY (schema_name, table_name)
);

-- CREATE ... LIKE and ATTACH, not CREATE ... PARTITION OF: that one waits behind every open writer.
CREATE OR REPLACE FUNCTION stockifyd.ensure_day(target regclass, day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  schema_name text;
  table_name text;
  part text;
BEGIN
  SELECT n.nspname, c.relname INTO schema_name, table_name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN stockifyd.day_tables d ON d.schema_name = n.nspname AND d.table_name = c.relname
   WHERE c.oid = target;
  IF NOT FOUND THEN
    RAISE EXCEPTION '% gets no partitions by day', target USING ERRCODE = 'insufficient_privilege', HINT = 'run `stockifyd migrate SPEC`';
  END IF;
  part := left(table_name, 54) || '_' || to_char(day, 'YYYYMMDD');
  IF to_regclass(format('%I.%I', schema_name, part)) IS NOT NULL THEN
    RETURN false;
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended(format('stockifyd.ensure_day %I.%I', schema_name, part), 0));
  IF to_regclass(format('%I.%I', schema_name, part)) IS NOT NULL THEN
    RETURN false;
  END IF;
  EXECUTE format('CREATE TABLE %I.%I (LIKE %s INCLUDING ALL)', schema_name, part, target);
  EXECUTE format('ALTER TABLE %s ATTACH PARTITION %I.%I FOR VALUES FROM (%L) TO (%L)', target, schema_name, part,
                 day::text || ' 00:00:00+00', (day + 1)::text || ' 00:00:00+00');
  RETURN true;
END $$;
REVOKE ALL ON FUNCTION stockifyd.ensure_day(regclass, date) FROM PUBLIC;
