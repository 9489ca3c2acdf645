"""A seeded simulator of option chains; imported only where it is used."""

from stockifyd_optionchain.simulator.simulator import Produced, Simulator
from stockifyd_optionchain.simulator.underlyings import UNDERLYINGS, Underlying

__all__ = ["UNDERLYINGS", "Produced", "Simulator", "Underlying"]
