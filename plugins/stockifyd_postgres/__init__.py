"""PostgreSQL and TimescaleDB through PgBouncer: the exactly-once sink."""
