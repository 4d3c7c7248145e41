"""What `auto` means: the epochs, batch size and learning-rate multiplier of a job that leaves them open.

The epochs follow the formula of OpenAI's cookbook, which every real job found so far agrees with. The
batch follows its rule of 0.2 percent of the examples, but starts at 4 rather than at 1: the local recipe's learning
rate was measured at that batch, and on a processor a batch of 1 wastes most of every step. The
multiplier is 1.0, which stands for the local recipe's rate (OpenAI's defaults are 1.0, 1.8 or 2.0,
by model, of rates it does not tell).
"""

from harness.localserver.state.objects import Hyperparameters

# openai-cookbook, examples/Chat_finetuning_data_prep.ipynb
TARGET_EPOCHS = 3
MIN_TARGET_EXAMPLES = 100
MAX_TARGET_EXAMPLES = 25_000
MAX_DEFAULT_EPOCHS = 25

BATCH_PER_MILLE = 2
MIN_BATCH = 4
MAX_BATCH = 256

LEARNING_RATE_MULTIPLIER = 1.0

# The value of OpenAI's guide to DPO, and of the paper's main experiments (Rafailov et al. 2023).
BETA = 0.1


def resolved(asked: Hyperparameters, *, examples: int) -> Hyperparameters:
    """The same hyperparameters with a number for every `auto`."""
    return Hyperparameters(
        n_epochs=default_epochs(examples) if asked.n_epochs == "auto" else asked.n_epochs,
        batch_size=default_batch(examples) if asked.batch_size == "auto" else asked.batch_size,
        learning_rate_multiplier=LEARNING_RATE_MULTIPLIER
        if asked.learning_rate_multiplier == "auto"
        else asked.learning_rate_multiplier,
        beta=BETA if asked.beta == "auto" else asked.beta,
    )


def default_epochs(examples: int) -> int:
    """Three; more for so few examples that a hundred are not seen, fewer for so many that 25,000 are."""
    if examples * TARGET_EPOCHS < MIN_TARGET_EXAMPLES:
        return min(MAX_DEFAULT_EPOCHS, MIN_TARGET_EXAMPLES // examples)
    if examples * TARGET_EPOCHS > MAX_TARGET_EXAMPLES:
        return max(1, MAX_TARGET_EXAMPLES // examples)
    return TARGET_EPOCHS


def default_batch(examples: int) -> int:
    """0.2 percent of the examples, within 4..256."""
    return min(MAX_BATCH, max(MIN_BATCH, examples * BATCH_PER_MILLE // 1000))
