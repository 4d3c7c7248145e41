"""Asking models: an OpenAI-compatible endpoint, and a cache so that no answer is paid for twice."""

from harness.models.cached import AnswerCache, CachedModel, answer_key
from harness.models.embeddings import CachedEmbedder, OpenAIEmbedder, vector_key
from harness.models.openai_chat import ChatClient, OpenAIChat
from harness.models.shutdowns import shutdown_dates

__all__ = [
    "AnswerCache",
    "CachedEmbedder",
    "CachedModel",
    "ChatClient",
    "OpenAIChat",
    "OpenAIEmbedder",
    "answer_key",
    "vector_key",
    "shutdown_dates",
]
