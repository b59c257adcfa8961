"""GSM8K without a worked solution: the prompt ends with `####`, so the model writes only the number."""

from domain_tokens.evaluation.tasks.gsm8k import GSM8K


class DirectGSM8K(GSM8K):
    """The questions of `gsm8k`, with the answer begun."""

    name = "gsm8k_direct"
    beginning = "####"
    max_new_tokens = 16


TASK = DirectGSM8K()
