"""Teaching: rows, packs, low-rank changes and the trainer, a process of its own."""
