"""What a question says: its numbers, its names, and the small words between its nouns."""

import re
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property

from domain_tokens.corpora.programs.wording.lists import word_list, word_set
from domain_tokens.corpora.programs.wording.nouns import is_plural

_TOKEN = re.compile(r"[A-Za-z]+|[.?!:]")
_NUMBER = re.compile(
    r"(?:(?P<whole>\d{1,3}(?:,\d{3})+|\d+)|(?=\.\d))(?P<decimals>\.\d+)?"
    r"(?:/(?P<lower>\d+)| (?P<upper>\d+)/(?P<under>\d+))?(?P<percent>\s?%|\s?percent)?"
)
_SMALL = word_list(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = word_list("twenty thirty forty fifty sixty seventy eighty ninety")
_VALUES = {
    **{word: Fraction(number) for number, word in enumerate(_SMALL)},
    **{word: Fraction(10 * number) for number, word in enumerate(_TENS, 2)},
    "once": Fraction(1), "single": Fraction(1), "twice": Fraction(2), "double": Fraction(2), "doubled": Fraction(2),
    "doubles": Fraction(2), "pair": Fraction(2), "both": Fraction(2), "thrice": Fraction(3), "triple": Fraction(3),
    "tripled": Fraction(3), "dozen": Fraction(12), "dozens": Fraction(12), "hundred": Fraction(100),
    "thousand": Fraction(1000), "million": Fraction(10**6), "half": Fraction(1, 2), "third": Fraction(1, 3),
    "thirds": Fraction(1, 3), "quarter": Fraction(1, 4), "quarters": Fraction(1, 4), "fourth": Fraction(1, 4),
    "fourths": Fraction(1, 4), "fifth": Fraction(1, 5), "fifths": Fraction(1, 5), "sixth": Fraction(1, 6),
    "eighth": Fraction(1, 8), "tenth": Fraction(1, 10),
}  # fmt: skip
NUMBER_WORDS = frozenset(_VALUES)
"""Words that stand for numbers."""

_COUNTED = re.compile(rf"(?<![$€£\d.,])\b(?:\d[\d,]*|{'|'.join([*_SMALL, *_TENS])}|many) ([a-z]+)")
_ENGLISH = word_set("the a an of to in for at how what each and has are much many does is with if it he she they per")
# Spanish, Portuguese, French, Italian, German and Dutch, without what is an English word or may be a name in English.
_OTHER_LANGUAGES = word_set(
    "el los un una unos del y que por para con cuando si cada tiene compra um uma os das dos em com quantos quantas "
    "tem le les une et combien chaque est dans pour il gli che quanti quante ogni sono der das ein eine einen und wie "
    "viele jeder jede jedes es gibt ist sind mit von het een van hoeveel elke heeft"
)
_LINKS = word_set(
    "of for from in on at by with without to into per during the a an his her their its my our your each one every "
    "this that all"
)
_ADJECTIVES = ("ian", "ish", "ese", "ench", "erman", "ican")  # of nations; they are no persons
_NO_NAMES = word_set(
    "i student problem solution question answer assume january february march april may june july august september "
    "october november december monday tuesday wednesday thursday friday saturday sunday christmas halloween easter "
    "usa us uk tv cd dvd"
)
# Names that begin a question may be any word; these are names.
_FIRST_NAMES = word_set(
    "aaron adam alan alex alice alicia allison amanda amber amy ana andrea andrew andy angela anita ann anna anne "
    "annie anthony ashley barbara becky ben benjamin bella beth betty bill billy bob bobby brad brandon brenda brian "
    "bruce bryan caleb cameron carl carla carlos carol caroline cassie catherine charles charlie charlotte chloe "
    "chris christina christine cindy claire connor courtney craig crystal cynthia daisy dan daniel danny dave david "
    "dean debbie dennis derek diana diane don donald donna dorothy doug dylan ed eddie edward elena eli elijah "
    "elizabeth ella ellen emily emma eric erica erin ethan eva evan evelyn felix fiona frank fred gabriel gary gavin "
    "george gina gloria grace greg hailey hank hannah harold harper harry heather helen henry howard ian irene "
    "isabel isabella isaac jack jackson jacob jake james jamie jane janet jasmine jason jay jeff jeffrey jen jenna "
    "jennifer jenny jeremy jerry jesse jessica jill jim jimmy joan joe joel john johnny jon jonathan jordan jose "
    "joseph josh joshua joy joyce juan judy julia julian julie justin karen kate katherine kathy katie kayla keith "
    "kelly ken kenneth kevin kim kimberly kyle larry laura lauren leah lee leo leonard leslie liam lily linda lisa "
    "logan lori louis lucas lucy luis luke lydia madison maggie marcus marcy margaret maria marie mark martha martin "
    "mary mason matt matthew max megan melissa mia michael michelle mike molly nancy natalie nate nathan nick nicole "
    "nina noah nora oliver olivia oscar owen pam pamela pat patricia patrick paul paula peter phil philip rachel "
    "ralph randy ray rebecca reese renee ricky rita rob robert robin roger ron ronald ronnie rosa rose ross ruby "
    "russell ruth ryan sally sam samantha samuel sandra sandy sara sarah scott sean seth shane sharon sheila sherry "
    "simon sofia sophia sophie stan stella stephanie stephen steve steven sue susan suzy tammy tara taylor ted "
    "teresa terry thomas tiffany tim tina toby todd tom tommy tony tracy travis trevor tyler vanessa victor victoria "
    "vincent violet walter wanda wendy will william willie zach zachary zoe"
)

# What is said of persons: Mira buys.
_PERSONS_DO = word_set(
    "has had buys bought sells sold gets got gave gives wants wanted needs needed spends spent earns earned makes "
    "made pays paid works worked eats ate drinks drank reads read runs ran walks walked saves saved bakes baked "
    "collects collected plays played goes went uses used decides decided drives drove owns owned finds found "
    "picks picked plans planned plants planted puts put receives received rides rode scores scored swims swam "
    "takes took writes wrote"
)
_NO_SUBJECTS = _ENGLISH | word_set(
    "she it we you this that these those there who everyone everybody nobody someone anyone one another both all when "
    "then now today yesterday mother father brother sister mom dad grandma grandpa uncle aunt"
)
# First names that are words, too; others are names even where the question does not have them.
_ALSO_WORDS = word_set(
    "amber andy art bill bob carol chase connor craig crystal daisy dean don frank gene grace harper heather jack "
    "jasmine jay joe john joy june lily lee logan luis mark mason max nick noah olive pat paula ray rob robin "
    "rose ruby sandy sue taylor tony tyler victor violet wanda will zoe"
)


class Question:
    """A question, read as far as it is needed.

    Args:
        text (`str`): the question.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def words(self) -> list[str]:
        """Its words in small letters, and the marks at the ends of sentences."""
        return [token.lower() for token in self._tokens]

    @cached_property
    def _tokens(self) -> list[str]:
        return _TOKEN.findall(self.text)

    @cached_property
    def _capital(self) -> dict[str, tuple[str, bool]]:
        """Words that never have a small first letter: how they are spelled, and whether they are names for sure.

        They are if they have a capital within a sentence, or if several sentences begin with them and one of
        these says what a person does.
        """
        found: dict[str, tuple[str, bool]] = {}
        small = set()
        begins = True
        subjects = self._subjects()
        for token, word in zip(self._tokens, self.words, strict=True):
            if not token[0].isalpha():
                begins = True
                continue
            if token[0] == word[0]:
                small.add(word)
            else:
                found[word] = (token, not begins or found.get(word, ("", False))[1] or word in subjects)
            begins = False
        return {word: spelled for word, spelled in found.items() if word not in small}

    def _subjects(self) -> set[str]:
        """Return words that begin several sentences, in one of which they are persons who do something."""
        beginnings: Counter[str] = Counter()
        doers = set()
        for before, word, verb in zip([".", *self.words], self.words, self.words[1:], strict=False):
            if not before[0].isalpha() and word not in _NO_SUBJECTS and not is_plural(word):
                beginnings[word] += 1
                if verb in _PERSONS_DO:
                    doers.add(word)
        return {word for word in doers if beginnings[word] > 1}

    def spelled(self, word: str) -> str:
        """Return a word in small letters with the capitals that it has within the question's sentences."""
        if self._is_other_name(word):
            return word.capitalize()
        token, within = self._capital.get(word, (word, False))
        return token if within or word in _FIRST_NAMES else word

    def _is_other_name(self, word: str) -> bool:
        """Return whether a word is a first name and nothing else, and the question does not have it."""
        return word in _FIRST_NAMES and word not in _ALSO_WORDS and word not in self._word_set

    @cached_property
    def _word_set(self) -> frozenset[str]:
        return frozenset(self.words)

    def is_person(self, word: str) -> bool:
        """Return whether a word is a name of the question, most likely of a person."""
        if self._is_other_name(word):
            return True
        if word not in self._capital or word in _NO_NAMES or len(word) < 2:
            return word in _FIRST_NAMES and word in ("mom", "dad")
        token, within = self._capital[word]
        return (within or word in _FIRST_NAMES) and not word.endswith(_ADJECTIVES) and not token[1:].isupper()

    def between(self, first: str, second: str) -> list[str] | None:
        """Return the small words between two words of the question, if nothing else stands between them."""
        words, start = self.words, 0
        for _ in range(words.count(first)):
            start = words.index(first, start) + 1
            for length in range(4):
                after = words[start + length : start + length + 1]
                if after and (after[0] == second or after[0].rstrip("s") == second.rstrip("s")):
                    return words[start : start + length]
                if not after or after[0] not in _LINKS:
                    break
        return None

    @cached_property
    def _given(self) -> tuple[frozenset[Fraction], frozenset[Fraction]]:
        return _numbers_in(self.text, self.words)

    def gives(self, number: Fraction) -> bool:
        """Return whether the question has a number, in digits, in words, or as a part such as a half."""
        return abs(number) in self._given[0]

    def gives_percent(self, number: Fraction) -> bool:
        """Return whether the question has a number as a percentage: one fifth as 20%."""
        return 100 * number in self._given[1]

    @cached_property
    def is_english(self) -> bool:
        """Whether it may be English: not if it has more small words of its neighbours than of English."""
        words = set(self.words)
        num_other = len(words & _OTHER_LANGUAGES)
        return num_other < 2 or num_other <= len(words & _ENGLISH)

    @cached_property
    def _counted(self) -> frozenset[str]:
        return frozenset(_COUNTED.findall(self.text.lower()))

    def counts(self, word: str) -> bool:
        """Return whether the question has a number of something, as in 40 sales; $40 is not a number of anything."""
        return word != "dollars" and word in self._counted

    @cached_property
    def unit_of_money(self) -> str:
        """What its money is counted in; nothing unless it is dollars."""
        small = self.words
        other = "cents" in small or "cent" in small or "¢" in self.text or "€" in self.text or "£" in self.text
        return "dollars" if not other and ("$" in self.text or "dollars" in small or "dollar" in small) else ""


def _numbers_in(text: str, words: Sequence[str]) -> tuple[frozenset[Fraction], frozenset[Fraction]]:
    """Return the numbers of a text with these words, and those that are percentages."""
    found: set[Fraction] = set()
    percents = set()
    for match in _NUMBER.finditer(text):
        whole, decimals = match["whole"], match["decimals"]
        value = Fraction(f"{(whole or '0').replace(',', '')}{decimals or ''}"[:30])
        found.add(value)
        if match["percent"]:
            percents.add(value)
        if match["lower"] and int(match["lower"]):
            found |= {value / int(match["lower"]), Fraction(int(match["lower"]))}
        if match["upper"] and int(match["under"]):
            found.add(value + Fraction(int(match["upper"]), int(match["under"])))
    values = [_VALUES.get(word) for word in words]
    found.update(value for value in values if value is not None)
    for first, second in zip(values, values[1:], strict=False):
        if first is not None and second is not None:
            found.add(first + second if first > second else first * second)  # twenty five, two hundred, three quarters
    return frozenset(found), frozenset(percents)
