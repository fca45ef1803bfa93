"""How the house's policy changes: what a file says of itself, which one is in force, what a change does to the whole book."""
