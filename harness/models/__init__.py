"""Asking models: an OpenAI-compatible endpoint, and a cache so that no answer is paid for twice."""

from harness.models.cached import NOTHING_KNOWN, AnswerCache, CachedModel, answer_key
from harness.models.embeddings import CachedEmbedder, OpenAIEmbedder, vector_key
from harness.models.openai_chat import ChatClient, OpenAIChat
from harness.models.shutdowns import shutdown_dates

__all__ = [
    "NOTHING_KNOWN",
    "AnswerCache",
    "CachedEmbedder",
    "CachedModel",
    "ChatClient",
    "OpenAIChat",
    "OpenAIEmbedder",
    "answer_key",
    "shutdown_dates",
    "vector_key",
]
