"""Decides whether a fine-tuned chat model ships."""
