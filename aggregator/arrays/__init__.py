"""The whole book as arrays: every account's house numbers at once, and again what a price or a position changed."""
