"""The tests, by how much of the system they need: unit, contract, integration, acceptance."""
