"""Asking models: an OpenAI-compatible endpoint, and a cache so that no answer is paid for twice."""

from typing import TYPE_CHECKING

from harness.doors import door

if TYPE_CHECKING:
    from harness.models.cached import NOTHING_KNOWN, AnswerCache, CachedModel, answer_key
    from harness.models.embeddings import CachedEmbedder, OpenAIEmbedder, vector_key
    from harness.models.metered import SPENT_UP, MeteredEmbedder, MeteredModel, Purse
    from harness.models.openai_chat import ChatClient, OpenAIChat
    from harness.models.shutdowns import shutdown_dates

__all__ = [
    "NOTHING_KNOWN",
    "SPENT_UP",
    "AnswerCache",
    "CachedEmbedder",
    "CachedModel",
    "ChatClient",
    "MeteredEmbedder",
    "MeteredModel",
    "OpenAIChat",
    "OpenAIEmbedder",
    "Purse",
    "answer_key",
    "shutdown_dates",
    "vector_key",
]

__getattr__ = door(
    __name__,
    {
        "NOTHING_KNOWN": "cached",
        "SPENT_UP": "metered",
        "AnswerCache": "cached",
        "CachedEmbedder": "embeddings",
        "CachedModel": "cached",
        "ChatClient": "openai_chat",
        "MeteredEmbedder": "metered",
        "MeteredModel": "metered",
        "OpenAIChat": "openai_chat",
        "OpenAIEmbedder": "embeddings",
        "Purse": "metered",
        "answer_key": "cached",
        "shutdown_dates": "shutdowns",
        "vector_key": "embeddings",
    },
)
