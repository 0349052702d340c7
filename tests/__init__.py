"""The tests are sorted by the part of the system that they need: unit, contract, integration, acceptance."""
