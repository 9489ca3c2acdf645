"""stockifyd: a daemon that runs pipelines declared in YAML."""

__version__ = "0.1.0"
