"""Fixtures that every test may ask for, and property tests without a time limit: the machine may be busy."""

from hypothesis import settings

pytest_plugins = ["kit.fixtures_kafka", "kit.fixtures_postgres", "kit.fixtures_bed", "kit.fixtures_environment"]

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
