"""Advice: what to do next, by rules that each say what they saw."""
