"""Generic transforms: decode and flatten."""
