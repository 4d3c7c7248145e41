"""How likely was a token, and what else was? Read from the logits as the network gave them."""

import torch
from torch import Tensor

from harness.localserver.generation.decoder import Tokens
from harness.localserver.generation.requests import TokenLogprob


def token_logprob(logits: Tensor, token: int, *, alternatives: int, tokens: Tokens) -> TokenLogprob:
    """The log-probability of `token` by the logits (vocabulary,) before it, and so many of the likeliest tokens there."""
    logprobs = torch.log_softmax(logits.to("cpu", torch.float32), dim=0)
    likeliest = logprobs.topk(min(alternatives, len(logprobs)))

    def logprob_of(one: int, value: float, others: tuple[TokenLogprob, ...] = ()) -> TokenLogprob:
        data = tokens.token_bytes(one)
        return TokenLogprob(
            text=data.decode("utf-8", errors="replace"), data=data, logprob=value, alternatives=others
        )

    pairs = zip(likeliest.indices.tolist(), likeliest.values.tolist(), strict=True)
    return logprob_of(
        token, float(logprobs[token]), tuple(logprob_of(other, value) for other, value in pairs)
    )
