"""Honest programs: what models write for word problems."""

_TEXT = r"""def simple_math_problem():
    prices = {'pen': 2, 'book': 6}
    return sum(p * 9 for p in prices.values())
# next
def simple_math_problem() -> int:
    '''Costs \$6.'''
    total = 0
    for day in range(1, 8):
        if day % 7 == 0:
            continue
        total += 9
    return total
# next
from __future__ import annotations
def simple_math_problem() -> float:
    price: dict[str, float] | None = {'pen': 2.5}
    return price['pen'] * 4
# next
def helper(a, *more, b=2, **kw):
    return a * b + sum(more)

def simple_math_problem():
    return helper(9, *[1, 2], b=6)
# next
import math
from math import ceil as up, floor
def simple_math_problem():
    return up(53.2) + floor(math.sqrt(16)) + math.pi
# next
from fractions import Fraction
def simple_math_problem():
    half = Fraction(1, 2)
    return int((half * 108).numerator)
# next
from fractions import Fraction as F
def simple_math_problem():
    return float(F('3/4') + F(0.25).limit_denominator(10))
# next
from decimal import Decimal, ROUND_HALF_UP
def simple_math_problem():
    return float(Decimal('53.995').quantize(Decimal('0.01'), rounding=ROUND_HALF_UP))
# next
from datetime import datetime, timedelta
def simple_math_problem():
    start = datetime.strptime('2024-01-01', '%Y-%m-%d')
    return (start + timedelta(days=54)).day
# next
import datetime
def simple_math_problem():
    return (datetime.date(2024, 3, 1) - datetime.date(2024, 1, 7)).days
# next
import statistics
def simple_math_problem():
    return statistics.mean([50, 54, 58]) + statistics.median([1, 2])
# next
from itertools import combinations, product
def simple_math_problem():
    return len(list(combinations(range(9), 2))) + sum(1 for a, b in product([1, 2], repeat=2) if a != b)
# next
from functools import lru_cache, reduce
@lru_cache(maxsize=None)
def f(n):
    return n if n < 2 else f(n - 1) + f(n - 2)
def simple_math_problem():
    return reduce(lambda a, b: a * b, [1, 2, 3]) + f(30)
# next
from collections import Counter, defaultdict, deque
def simple_math_problem():
    d = defaultdict(int)
    for x in 'aab':
        d[x] += 1
    q = deque([1]); q.append(2)
    return d['a'] + q.popleft() + Counter('aab').most_common(1)[0][1]
# next
from __future__ import annotations
from typing import List, Optional
def simple_math_problem(xs: List[int] = [6, 9]) -> Optional[float]:
    x: float = xs[0] * xs[-1]
    return x
# next
def simple_math_problem():
    i = 0
    while True:
        i += 1
        if i * i > 50:
            break
    else:
        i = 0
    return i if i else -1
# next
def simple_math_problem():
    a, (b, *c) = 1, (2, 3, 4)
    x = [[r * s for s in c] for r in (a, b)]
    del x[0][0]
    return x[1][-1] + len({v for row in x for v in row}) + {1: 2}.get(3, 4)
# next
def simple_math_problem():
    try:
        return 1 // 0
    except (ZeroDivisionError, ValueError) as error:
        assert str(error)
        return 54
    finally:
        pass
# next
def simple_math_problem():
    count = 0
    def bump():
        nonlocal count
        count += 6
    for _ in range(9):
        bump()
    return count
# next
total = 0
def add():
    global total
    total += 54
def simple_math_problem():
    add()
    return total
# next
def simple_math_problem():
    text = f'{6 * 9:>5.1f}' + '{:,.2f} {}'.format(5400.5, 'x') + '%d' % 3
    return len(text.strip().split(',')) + int('54'.zfill(5)) + len(text)
# next
def simple_math_problem():
    if (n := 54) > 50 and not n % 2 or n is None:
        return round(n / 7, 2)
# next
def simple_math_problem():
    return divmod(54, 9)[0] + pow(2, 5, 7) + abs(-1) + min(3, 1) + max([1, 2]) + 2 ** -1
# next
def simple_math_problem():
    return sorted([3, 1, 2], key=lambda x: -x)[0] + list(zip('ab', [1, 2]))[1][1] + 7 // 2
# next
def simple_math_problem():
    return 2 ** 100 % 1000 + (1 << 70) + 0x36 + 1_000 + 5e-1
# next
import math
def simple_math_problem():
    return math.factorial(2000) // math.factorial(1998)
# next
import math
def simple_math_problem():
    return (math.factorial(5000) * 7 + 3) // (math.factorial(5000) // 9) % 97
# next
def simple_math_problem():
    größe = 6
    cachaça = 9
    苹果 = größe * cachaça
    return 苹果
# next
def simple_math_problem():
    ﬁve = 5
    return five * 9
# next
def simple_math_problem():
    return sum([0.1] * 10)
# next
def simple_math_problem():
    return len(str({'b', 'a', 'c'})) + hash_free
hash_free = 1
# next
def simple_math_problem():
    s = set()
    s.add(1); s |= {2}
    return len(s.union([3])) + 'abc'.index('c')
# next
import math
assert math.isclose(0.1 + 0.2, 0.3)
def simple_math_problem():
    return -0.0
# next
from math import *
def simple_math_problem():
    return gcd(54, 24) + comb(5, 2) + tau
# next
def simple_math_problem():
    def f(n):
        return 1 if n == 0 else n * f(n - 1)
    return f(20)
# next
def simple_math_problem():
    return isinstance(True, int) + bool(3) * 2
# next
def simple_math_problem():
    print('a step', 6 * 9)
    return 54
print(simple_math_problem())
"""

PROGRAMS = [program.strip() + "\n" for program in _TEXT.split("# next\n")]
