"""The life of a fine-tuning job: its files checked, its turn awaited, its trainer started, followed and stopped."""
