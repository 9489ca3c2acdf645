"""From YAML to the validated, immutable description of a pipeline."""

from stockifyd.spec.findings import Finding, Mark
from stockifyd.spec.loading import Loaded, Promise, load, load_all, loads, spec_files
from stockifyd.spec.model import ComponentSpec, Delivery, Guarantee, Instance, Spec

__all__ = [
    "ComponentSpec",
    "Delivery",
    "Finding",
    "Guarantee",
    "Instance",
    "Loaded",
    "Mark",
    "Promise",
    "Spec",
    "load",
    "load_all",
    "loads",
    "spec_files",
]
