"""The lists of what a model-written program may name: built-ins, modules and their names, attributes."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


BUILTINS = _words("""
    abs all any bin bool chr complex dict divmod enumerate filter float format frozenset hex int isinstance iter len
    list map max min next oct ord pow print range repr reversed round set slice sorted str sum tuple zip
    ArithmeticError AssertionError AttributeError Exception IndexError KeyError LookupError NotImplementedError
    OverflowError RuntimeError StopIteration TypeError ValueError ZeroDivisionError
""")

# Without what makes a program more than a function of its text: `datetime.now`, `random`, `time`.
IMPORTS = {
    "math": _words("""
        acos acosh asin asinh atan atan2 atanh cbrt ceil comb copysign cos cosh degrees dist e erf erfc exp exp2 expm1
        fabs factorial floor fma fmod frexp fsum gamma gcd hypot inf isclose isfinite isinf isnan isqrt lcm ldexp
        lgamma log log10 log1p log2 modf nan nextafter perm pi pow prod radians remainder sin sinh sqrt sumprod tan
        tanh tau trunc ulp
    """),
    "fractions": _words("Fraction"),
    "decimal": _words("""
        Decimal getcontext ROUND_CEILING ROUND_DOWN ROUND_FLOOR ROUND_HALF_DOWN ROUND_HALF_EVEN ROUND_HALF_UP ROUND_UP
        ROUND_05UP
    """),
    "datetime": _words("date datetime time timedelta"),
    "statistics": _words("""
        fmean geometric_mean harmonic_mean mean median median_high median_low mode multimode pstdev pvariance quantiles
        stdev variance
    """),
    "itertools": _words("""
        accumulate chain combinations combinations_with_replacement compress count cycle dropwhile filterfalse groupby
        islice pairwise permutations product repeat starmap takewhile zip_longest
    """),
    "functools": _words("cache lru_cache reduce"),
    "collections": _words("Counter OrderedDict defaultdict deque"),
    "numbers": _words("Integral Number Rational Real"),
    "typing": _words("""
        Any Callable Dict Final Iterable Iterator List Literal Mapping Optional Sequence Set Tuple TypeAlias Union
    """),
    "__future__": _words("annotations division"),
}
"""The modules that a program may import, and what it may take from each."""

# Methods and properties of numbers, texts, containers, fractions, decimals and dates. No `format` and `format_map`,
# which read attributes that a text names (`syntax` has a rule for `format`), and nothing of `str` that encodes.
_METHODS = _words("""
    as_integer_ratio bit_count bit_length conjugate denominator from_decimal from_float imag is_integer
    limit_denominator numerator real
    capitalize casefold center count endswith expandtabs find index isalnum isalpha isascii isdecimal isdigit islower
    isnumeric isspace istitle isupper join ljust lower lstrip partition removeprefix removesuffix replace rfind rindex
    rjust rpartition rsplit rstrip split splitlines startswith strip swapcase title upper zfill
    append clear copy extend insert pop remove reverse sort
    add difference difference_update discard intersection intersection_update isdisjoint issubset issuperset
    symmetric_difference symmetric_difference_update union update
    fromkeys get items keys popitem setdefault values
    appendleft elements extendleft maxlen most_common move_to_end popleft rotate subtract total
    from_iterable
    compare exp is_finite is_infinite is_nan is_signed is_zero ln log10 max min normalize prec quantize rounding sqrt
    to_integral_value
    combine day days fromisoformat fromordinal hour isocalendar isoformat isoweekday microsecond microseconds minute
    month second seconds strftime strptime toordinal total_seconds weekday year
""")

ATTRIBUTES = _METHODS.union(*IMPORTS.values())
"""The attributes that a program may read, of whatever object."""

SETTABLE = _words("prec rounding")
"""The attributes that a program may set: those of decimal's context."""
