"""What an asset is worth: observations of price feeds become one mark with its bounds and its provenance."""
