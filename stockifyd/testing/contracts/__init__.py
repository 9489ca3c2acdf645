"""The contracts: what a pipeline builds on when it calls a component, as tests that an author inherits."""
