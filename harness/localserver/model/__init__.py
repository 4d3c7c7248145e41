"""The model itself: its files, tokens, network and fine-tunes."""
