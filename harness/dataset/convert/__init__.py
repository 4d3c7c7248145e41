"""Training data in the shapes other tools write, as chat JSONL."""

from harness.dataset.convert.files import SOURCES, ConvertedFile, Unconverted, convert_file

__all__ = ["SOURCES", "ConvertedFile", "Unconverted", "convert_file"]
