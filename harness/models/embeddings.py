"""Texts as vectors, from an OpenAI-compatible embeddings endpoint; kept as answers are."""

from harness.errors import EndpointError
from harness.models.cached import AnswerCache, Stored
from harness.models.exchange import ExchangeError
from harness.models.failures import failure_of, short
from harness.models.openai_chat import MOST_TOKENS, ChatClient
from harness.protocols import Embedder
from harness.records import Embedding, Failure
from harness.serial import digest, finite_number, read_json

PATH = "/embeddings"
# What a 32-bit float holds, which is what the models work with.
SIGNIFICANT_DIGITS = 8


class OpenAIEmbedder:
    """An embedding model at an endpoint; the client may be shared with models that chat."""

    def __init__(self, model: str, client: ChatClient) -> None:
        self._model = model
        self._client = client

    def __repr__(self) -> str:
        return f"OpenAIEmbedder({self._model!r}, {self._client!r})"

    @property
    def name(self) -> str:
        """The model id."""
        return self._model

    async def embed(self, text: str) -> Embedding | Failure:
        """The vector of a text, or why there is none."""
        endpoint, key = self._client.endpoint, self._client.key
        place = f"{self._model} at {endpoint.label}"
        try:
            reply = await self._client.post({"model": self._model, "input": text}, path=PATH)
        except ExchangeError as error:
            return failure_of(error, model=self._model, endpoint=endpoint, key=key)
        except EndpointError as error:
            return Failure(kind="connection", message=f"{place}: {error}", fatal=True)
        except UnicodeEncodeError:
            what = "the text is not valid Unicode (remove lone surrogates)"
            return Failure(kind="bad_request", message=f"{place}: {what}")
        return read_embedding(reply, place=place, key=key)


def read_embedding(text: str, *, place: str = "endpoint", key: str | None = None) -> Embedding | Failure:
    """The vector in the text of an HTTP 200 answer, or a `malformed` Failure saying what it is.

    Args:
        text: The body of the answer.
        place: Model and endpoint, for the message.
        key: A secret to cut out of the message.
    """
    try:
        data = read_json(text)
        answer = data if isinstance(data, dict) else {}
        vector = _vector(answer["data"][0]["embedding"])
    except (ValueError, LookupError, TypeError, RecursionError):
        what = f"the answer is no list of embeddings: {short(text[:200], key)}"
        remedy = "check that the model gives embeddings, and that base_url ends in /v1"
        return Failure(kind="malformed", message=f"{place}: {what} ({remedy})")
    usage = answer.get("usage")
    tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    is_count = isinstance(tokens, int) and not isinstance(tokens, bool) and 0 <= tokens <= MOST_TOKENS
    return Embedding(vector=vector, prompt_tokens=tokens if is_count else None)


def _vector(values: list[object]) -> tuple[float, ...]:
    if not values:
        raise ValueError("no components")
    return tuple(map(_component, values))


def _component(value: object) -> float:
    number = finite_number(value)
    if number is None:
        raise ValueError("no component of a vector")
    return float(f"{number:.{SIGNIFICANT_DIGITS}g}")


class CachedEmbedder:
    """An embedding model whose vectors are kept in an AnswerCache, as CachedModel's answers are."""

    def __init__(self, embedder: Embedder, cache: AnswerCache, *, endpoint: str, read: bool = True) -> None:
        self._embedder = embedder
        self._endpoint = endpoint
        self._stored = Stored(cache, Embedding, endpoint=endpoint, model=embedder.name, read=read)

    @property
    def name(self) -> str:
        """The model id."""
        return self._embedder.name

    async def embed(self, text: str) -> Embedding | Failure:
        """The stored vector, or a new one, stored before it is returned.

        Raises:
            StorageError: The vector came but could not be written.
        """
        key = vector_key(text, endpoint=self._endpoint, model=self.name)
        return await self._stored.get(key, lambda: self._embedder.embed(text))


def vector_key(text: str, *, endpoint: str, model: str) -> str:
    """The digest a vector is stored under."""
    return digest({"endpoint": endpoint, "model": model, "embedded": text})
