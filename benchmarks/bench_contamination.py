"""Measure what the contamination gate finds of planted questions, what it finds elsewhere, how fast, and its memory.

make bench-contamination

The questions are those of GSM8K's test set, SVAMP and HellaSwag, from the folder that DOMAIN_TOKENS_DATA names. Each
kind of copy is made of 300 of GSM8K's; a copy counts as found if the gate takes out this question.
"""

import argparse
import json
import os
import random
import re
import resource
import string
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from domain_tokens.corpora.contamination.gate import Gate, Place, clean
from domain_tokens.corpora.contamination.index import ContaminationIndex, Question
from domain_tokens.corpora.held_out import kept_rows, question_of
from domain_tokens.local_data.row import Row
from domain_tokens.recipe import Source
from domain_tokens.tokenization.intervention import load_intervention
from domain_tokens.tokenization.numerals import english
from domain_tokens.tokenization.rewriter import rewriter_of

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("DOMAIN_TOKENS_DATA", ROOT.parent / "shared" / "data"))
NUM_PLANTED = 300
CLEAN = {
    "GSM8K, train": ("gsm8k/train.jsonl", "question"),
    "TinyGSM": ("tinygsm/sample_1000.jsonl", "user"),
    "OpenStax, prealgebra": ("openstax/prealgebra-bundle.jsonl", "text"),
    "OpenStax, contemporary mathematics": ("openstax/contemporary-mathematics.jsonl", "text"),
    "C4": ("web/c4_300.jsonl", "text"),
    "FineWeb-Edu": ("web/fineweb_edu_150.jsonl", "text"),
}
MEGABYTES = (10, 200)  # read before memory is measured
RNG = random.Random(0)
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")

Copy = Callable[[str], str]


def main() -> None:
    """Read the command line and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--show", action="store_true", help="also print what is taken out of text without copies")
    parser.add_argument("--copies", action="store_true", help="print only the first table")
    arguments = parser.parse_args()
    questions = [row["question"] for row in rows("gsm8k/test.jsonl")]
    all_questions = [Question("gsm8k", str(number), text) for number, text in enumerate(questions)]
    for name, file in (("svamp", "svamp/SVAMP.json"), ("hellaswag", "hellaswag/validation.jsonl")):
        texts = dict.fromkeys(next(question_of(row, "question")) for row in rows(file))
        all_questions += [Question(name, str(number), text) for number, text in enumerate(texts)]
    index = ContaminationIndex(all_questions)
    write(f"{len(all_questions):,} questions\n")
    plant(index, questions)
    if arguments.copies:
        return
    elsewhere(index, show=arguments.show)
    memory(index)


def plant(index: ContaminationIndex, questions: list[str]) -> None:
    """Print how many copies of each kind are found."""
    web = [row["text"] for row in rows("web/fineweb_edu_150.jsonl")]
    write(f"{'copy':<38} {'found':>7}  as")
    for name, copy in copies(web).items():
        chosen = RNG.sample(range(len(questions)), NUM_PLANTED)
        cleaned = clean(index, [copy(questions[number]) for number in chosen])
        kinds: Counter[str] = Counter()
        for number, one in zip(chosen, cleaned, strict=True):
            kinds.update(found.kind for found in one.found if found.question == number)
        report(name, kinds)
    answers = [row["answer"] for row in rows("gsm8k/test.jsonl")]
    chosen = RNG.sample(range(len(questions)), NUM_PLANTED)
    gate = Gate(index, "bench", refuses=False)
    other = [Row.at(f"other {number}", {"question": "Who is there?", "answer": "#### 1"}) for number in chosen]
    swapped = [Row.at(str(number), {"question": answers[number], "answer": questions[number]}) for number in chosen]
    kept_rows(gate, Source(name="rows", kind="file"), [*other, *swapped])
    report(
        "question and answer exchanged",
        Counter(one.kind for one in gate.removals if (one.place, one.evaluation_set) == (one.question, "gsm8k")),
    )


def elsewhere(index: ContaminationIndex, *, show: bool) -> None:
    """Print what is taken out of text into which no copy was planted, with the passages if they are to be shown."""
    write(f"\n{'text without copies':<38} {'texts':>6} {'taken out':>10} {'warnings':>9} {'MB/CPU-s':>9}")
    for name, (file, column) in CLEAN.items():
        texts = [row[column] for row in rows(file)]
        size = sum(len(text.encode()) for text in texts) / 1e6
        times = []
        for _ in range(5):
            since = time.process_time()
            found = list(clean(index, texts))
            times.append(time.process_time() - since)
        speed = size / sorted(times)[2]
        out = sum(bool(one.found) for one in found)
        warned = sum(one.warnings > 0 and not one.found for one in found)
        write(f"{name:<38} {len(texts):>6,} {out:>10,} {warned:>9,} {speed:>9.0f}")
        for text, one in zip(texts, found, strict=True):
            for finding in one.found if show else ():
                question = index.questions[finding.question]
                write(f"  {finding.kind}, {question.source} {question.item}: {question.text!r}")
                write(f"    {text[finding.start : finding.end]!r}")


def memory(index: ContaminationIndex) -> None:
    """Print the most memory in use after a little and after much text has passed the gate."""
    texts = [row["text"] for file in ("web/c4_300.jsonl", "web/fineweb_edu_150.jsonl") for row in rows(file)]
    gate = Gate(index, "bench", refuses=False)
    write("")
    for megabytes in MEGABYTES:
        for _ in gate.documents(stream(texts, megabytes)):
            pass
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        write(f"after {megabytes} MB of web text: {peak:.0f} MiB at most")


def stream(texts: list[str], megabytes: int) -> Iterator[tuple[Place, str]]:
    """Yield texts again and again."""
    size = sum(map(len, texts))
    repeated = (text for _ in range(megabytes * 1_000_000 // size + 1) for text in texts)
    for number, text in enumerate(islice(repeated, megabytes * 1_000_000 * len(texts) // size)):
        yield Place("web", f"row {number}"), text


def report(name: str, kinds: Counter[str]) -> None:
    """Write a line of the first table."""
    shown = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())
    write(f"{name:<38} {kinds.total() / NUM_PLANTED:>7.1%}  {shown}")


def write(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def rows(file: str) -> list[dict[str, str]]:
    """Read a file of the data folder."""
    if not (DATA / file).is_file():
        sys.exit(f"{DATA / file}: no such file; set DOMAIN_TOKENS_DATA to the data folder")
    with (DATA / file).open(encoding="utf-8") as lines:
        return json.load(lines) if file.endswith(".json") else [json.loads(line) for line in lines]


def copies(web: list[str]) -> dict[str, Copy]:
    """Return the ways to copy a question."""
    rewriter = rewriter_of(load_intervention(ROOT / "recipes/interventions/mul_tokens.yaml"))

    def other_numbers(text: str) -> str:
        return NUMBER.sub(lambda _: str(RNG.randint(2, 999)), text)

    def inside(text: str) -> str:
        page = RNG.choice(web)
        half = RNG.randrange(len(page))
        return f"{page[:half]}\n\n{text}\n\n{page[half:]}"

    return {
        "verbatim": str,
        "as a Markdown list": lambda text: "\n".join(f"- **{part}**" for part in sentences(text)),
        "as a numbered list": lambda text: "\n".join(f"{n}. {part}" for n, part in enumerate(sentences(text), 1)),
        "quoted, words in bold": lambda text: "\n".join(
            f"> {line}" for line in textwrap.wrap(re.sub(r"\b([a-z]{4,})\b", r"**\1**", text), 60)
        ),
        "split over lines": lambda text: "\n".join(textwrap.wrap(text, RNG.randint(20, 50))),
        "with a literal \\n": lambda text: text.replace(". ", ".\\n"),
        "upper case": str.upper,
        "without punctuation": lambda text: text.translate(str.maketrans("", "", string.punctuation)),
        "punctuation replaced by spaces": lambda text: re.sub(r"[^\w\s]", " ", text),
        "as HTML": lambda text: "<p>" + text.replace(". ", ".</p><p>") + "</p>",
        "as HTML, entities and comments": lambda text: re.sub(
            r" (\w+) ", r"&nbsp;<b>\1</b><!-- a word --> ", text.replace("'", "&#39;")
        ),
        "rewritten by mul_tokens": lambda text: rewriter.rewrite(text).text,
        "inside a web page": inside,
        "with other numbers": other_numbers,
        "with other numbers, inside a web page": lambda text: inside(other_numbers(text)),
        "numbers in words": in_words,
        "other numbers, in words": lambda text: in_words(other_numbers(text)),
        "docstring of a program": lambda text: (
            f'def f():\n    """\n{indented(text, "    ")}\n    """\n    return 6 * 9'
        ),
        "comment of a program": lambda text: f"n = 6 * 9\n{indented(text, '# ')}\nprint(n)",
        "one of 20 examples in a document": among_others,
        "numbers as LaTeX": lambda text: NUMBER.sub(r"$\g<0>$", text.replace("$", r"\$").replace("%", r"\%")),
        "letters as entities": lambda text: re.sub(r"\w", lambda one: f"&#{ord(one[0])};", text),
        "full-width letters": lambda text: re.sub(r"[!-~]", lambda one: chr(ord(one[0]) + 0xFEE0), text),
        "JSON in JSON": lambda text: json.dumps(json.dumps({"question": text})),
        "one word mistyped": lambda text: mistyped(text, 1),
        "three words mistyped": lambda text: mistyped(text, 3),
        "with a placeholder for each number": lambda text: NUMBER.sub("{n}", text),
        "a speaker before each sentence": lambda text: "\n".join(f"Ann: {part}" for part in sentences(text)),
        "a word put behind every tenth": lambda text: re.sub(r"((?:\S+ ){10})", r"\1um ", text),
    }


def in_words(text: str) -> str:
    """Spell whole numbers."""
    return re.sub(r"\d[\d,]*", lambda found: english(int(found[0].replace(",", ""))), text)


def indented(text: str, before: str) -> str:
    """Return the text in lines of up to 68 characters, each behind something."""
    return textwrap.indent(textwrap.fill(text, 68), before)


def among_others(text: str) -> str:
    """Return the question among 20 of GSM8K's training set with their answers."""
    shown = [
        f"Question: {row['question']}\nAnswer: {row['answer']}" for row in RNG.sample(rows("gsm8k/train.jsonl"), 20)
    ]
    shown[RNG.randrange(20)] = f"Question: {text}\nAnswer: 54"
    return "\n\n".join(shown)


def mistyped(text: str, number: int) -> str:
    """Exchange two letters in the middle of some words."""
    words = text.split(" ")
    for index in RNG.sample([place for place, word in enumerate(words) if len(word) > 3 and word.isalpha()], number):
        word = words[index]
        words[index] = f"{word[0]}{word[2]}{word[1]}{word[3:]}" if word[1] != word[2] else word[0] + word[2:]
    return " ".join(words)


def sentences(text: str) -> list[str]:
    """Split a text behind full stops and question marks."""
    return re.split(r"(?<=[.?!]) ", text)


if __name__ == "__main__":
    main()
