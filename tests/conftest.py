"""Fixtures that every test may ask for."""

pytest_plugins = ["kit.fixtures_kafka", "kit.fixtures_postgres"]
