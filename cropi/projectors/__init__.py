"""How a gradient is made small."""
