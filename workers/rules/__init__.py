"""The rules: whether, how much and when to trade. Pure functions of plain values, without clock and I/O."""
