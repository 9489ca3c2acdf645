"""Option chains: the canonical message, flatten_chain, the simulator."""
