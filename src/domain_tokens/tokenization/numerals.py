"""How whole numbers up to 999 are spelled in English and Chinese, as text and as regular expressions."""

from num2words import num2words

_DIGITS = "零一二三四五六七八九"

CHINESE_NUMERAL = "零〇一二两三四五六七八九十百千万亿点"  # the characters of a number, for a character class


def english(number: int) -> str:
    """Return a number in English words: 54 is `fifty-four`."""
    return str(num2words(number))


def chinese(number: int) -> str:
    """Return a number in Chinese numerals: 54 is 五十四, 12 is 十二, 10 is 十; `num2words` has no Chinese."""
    return spell_chinese(number).replace("一?", "")


def spell_english(number: int) -> str:
    """Return a pattern of a number's English words: 54 is `fifty-four`, `Fifty-four` or `fifty four`."""
    words = english(number).replace("-", "[- ]").replace(" and ", " (?:and )?")
    return f"[{words[0]}{words[0].upper()}]{words[1:]}"


def spell_chinese(number: int) -> str:
    """Return a pattern of a number's Chinese numerals: 54 is 五十四, 12 is 十二 or 一十二."""
    if number >= 100:
        hundreds, rest = divmod(number, 100)
        if not rest:
            return f"{_DIGITS[hundreds]}百"
        last = f"零{_DIGITS[rest]}" if rest < 10 else f"{_DIGITS[rest // 10]}{_tens(rest)}"  # 一百零五, 一百一十五
        return f"{_DIGITS[hundreds]}百{last}"
    if number >= 20:
        return f"{_DIGITS[number // 10]}{_tens(number)}"
    return f"一?{_tens(number)}" if number >= 10 else _DIGITS[number]


def _tens(number: int) -> str:
    return "十" + (_DIGITS[number % 10] if number % 10 else "")


# Capitals are spelled out and not left to a flag: the two engines fold letters differently.
_SINGLE_WORDS = [spell_english(number) for number in (*range(20), *range(20, 100, 10))]
ANY_ENGLISH = f"(?:{'|'.join(_SINGLE_WORDS)}|a hundred|[Hh]undred)"
SHOUTED_ENGLISH = f"(?:{'|'.join(english(number).upper() for number in (*range(20), *range(20, 100, 10)))}|HUNDRED)"
