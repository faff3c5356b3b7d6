"""cropi: which prompts are worth training on? (CROPI, arXiv 2510.26491.)"""

__version__ = "0.1.0"
