"""How whole numbers up to 999 are spelled in English and Chinese, as regular expressions."""

_UNITS = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_DIGITS = "零一二三四五六七八九"

# Spelled out and not by a flag: the two engines fold letters differently.
ANY_ENGLISH = f"(?:{'|'.join(f'[{w[0]}{w[0].upper()}]{w[1:]}' for w in [*_UNITS, *_TENS, 'hundred', 'a hundred'])})"
CHINESE_NUMERAL = "零〇一二两三四五六七八九十百千万亿点"  # the characters of a number, for a character class


def english(number: int) -> str:
    """Return a number in English words: 54 is `fifty-four`."""
    if number >= 100:
        hundreds, rest = divmod(number, 100)
        return f"{_UNITS[hundreds]} hundred" + (f" and {english(rest)}" if rest else "")
    if number < 20:
        return _UNITS[number]
    return _TENS[number // 10 - 2] + (f"-{_UNITS[number % 10]}" if number % 10 else "")


def chinese(number: int) -> str:
    """Return a number in Chinese numerals: 54 is 五十四, 12 is 十二, 10 is 十."""
    return spell_chinese(number).replace("一?", "")


def spell_english(number: int) -> str:
    """Return a pattern of a number's English words: 54 is `fifty-four`, `Fifty-four` or `fifty four`."""
    words = _english(number)
    return words if words.startswith("(") else f"[{words[0]}{words[0].upper()}]{words[1:]}"


def spell_chinese(number: int) -> str:
    """Return a pattern of a number's Chinese numerals: 54 is 五十四, 12 is 十二 or 一十二."""
    if number >= 100:
        hundreds, rest = divmod(number, 100)
        if not rest:
            return f"{_DIGITS[hundreds]}百"
        # 105 is 一百零五, 115 一百一十五
        return f"{_DIGITS[hundreds]}百" + (
            f"零{_DIGITS[rest]}" if rest < 10 else f"{_DIGITS[rest // 10]}{_tens(rest)}"
        )
    if number >= 20:
        return f"{_DIGITS[number // 10]}{_tens(number)}"
    return f"一?{_tens(number)}" if number >= 10 else _DIGITS[number]


def _tens(number: int) -> str:
    return "十" + (_DIGITS[number % 10] if number % 10 else "")


def _english(number: int) -> str:
    if number >= 100:
        hundreds, rest = divmod(number, 100)
        start = f"{'(?:one|a)' if hundreds == 1 else _UNITS[hundreds]} hundred"
        return f"{start}(?: and)? {_english(rest)}" if rest else start
    if number < 20:
        return _UNITS[number]
    tens = _TENS[number // 10 - 2]
    return f"{tens}[- ]{_UNITS[number % 10]}" if number % 10 else tens
