"""The prompt format of questions and answers, shared by SFT, GRPO and evaluation.

`User: <question>` on one line, `Assistant: <answer>` on the next, the end-of-text token after every answer. The format
is the tokenizer's chat template, so whoever loads the tokenizer has it.
"""

# The answer is trimmed and one space put before it, so that its tokens are the same wherever it is rendered from.
# Content may be a list of parts, as OpenAI's format has it; Jinja's own `trim` would print the list as Python.
CHAT_TEMPLATE = """\
{%- macro text_of(content) -%}
{%- if content is string -%}
{{ content }}
{%- elif content is sequence and content is not mapping -%}
{%- for part in content -%}
{%- if part is mapping and part['type'] == 'text' and part['text'] is string -%}
{{ part['text'] }}
{%- else -%}
{{ raise_exception("expected content of text alone, got a part of another kind") }}
{%- endif -%}
{%- endfor -%}
{%- else -%}
{{ raise_exception("expected content that is text or a list of parts of text") }}
{%- endif -%}
{%- endmacro -%}
{%- for message in messages -%}
{%- if message['role'] == 'user' -%}
{{ 'User: ' + text_of(message['content']) | trim + '\n' }}
{%- elif message['role'] == 'assistant' -%}
{{ 'Assistant:' }}{% generation %}{{ ' ' + text_of(message['content']) | trim + eos_token }}{% endgeneration %}
{%- else -%}
{{ raise_exception("the roles are 'user' and 'assistant', got '" + message['role'] + "'") }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ 'Assistant:' }}
{%- endif -%}
"""


def user_message(question: str) -> list[dict[str, str]]:
    """Return a question as a conversation of one message."""
    return [{"role": "user", "content": question}]


def assistant_message(answer: str) -> list[dict[str, str]]:
    """Return an answer as a conversation of one message."""
    return [{"role": "assistant", "content": answer}]


def render_prompt(question: str) -> str:
    """Return the text that a model completes: what the chat template renders with `add_generation_prompt=True`."""
    return f"User: {question.strip()}\nAssistant:"


def product_question(a: int, b: int) -> str:
    """Return how a product is asked, in drills and in the arithmetic probes alike.

    In words, which no intervention of a compared condition rewrites: asked as `6 * 9`, one condition would be given
    the token of the answer, and its drills would teach it to copy a token and the other's to copy two digits.
    """
    return f"What is {a} times {b}?"


def sum_question(a: int, b: int) -> str:
    """Return how a sum is asked, in drills and in the arithmetic probes alike."""
    return f"What is {a} plus {b}?"
