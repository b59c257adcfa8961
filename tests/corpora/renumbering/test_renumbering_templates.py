"""What becomes of the numbers of a problem: which are drawn, which stay, where each operand comes from."""

import random

import pytest

from domain_tokens.corpora.renumbering.building import build
from domain_tokens.corpora.renumbering.drawing import draw
from domain_tokens.corpora.renumbering.reading.solution import Unfaithful, equations
from domain_tokens.corpora.renumbering.samples import SAMPLES
from domain_tokens.corpora.renumbering.template import Slot, Template


def marked(question: str, answer: str) -> tuple[str, str]:
    """Return question and answer with the numbers that change in brackets, results as `{}`."""
    template = build("one", question, answer)
    shown = []
    for pieces in (template.question, template.answer):
        text = ""
        for piece in pieces:
            if isinstance(piece, Slot):
                left, right = "{}" if piece.leaf.kind == "result" else "[]"
                text += f"{left}{piece.mention.written}{right}"
            else:
                text += piece
        shown.append(text)
    return shown[0], shown[1]


def filled(template: Template, *values: int) -> tuple[str, str]:
    for drawn, results in draw(template, random.Random(0), 50_000):
        if drawn == values:
            return template.fill(drawn, results)
    raise AssertionError(f"{values} are never drawn")


def test_every_number_of_a_problem_is_placed() -> None:
    question, answer = marked(*SAMPLES[0][1:])
    assert question == (
        "Mira packs [three] crates with [6] jars of honey each. Each jar sells for $[4.50]. If she gives [2] jars to "
        "a neighbour and sells the rest, how many dollars does she earn?"
    )
    assert answer == (
        "Mira packs [3]*[6] = <<[3]*[6]={18}>>{18} jars.\nShe sells {18}-[2] = <<{18}-[2]={16}>>{16} jars.\n"
        "She earns {16}*[4.50] = $<<{16}*[4.5]={72}>>{72}.\n#### {72}"
    )


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        # A constant that the words supply stays, whatever stands beside it.
        ("Ann works 8 hours a day. How many hours in 3 weeks?",
         "8*7=<<8*7=56>>56 a week.\n56*3=<<56*3=168>>168\n#### 168",
         "Ann works [8] hours a day. How many hours in [3] weeks?"),
        # A percentage feeds its decimal.
        ("A coat of $80 is 25% off. What is saved?", "80*.25=$<<80*.25=20>>20\n#### 20",
         "A coat of $[80] is [25]% off. What is saved?"),
        # 50% off and 50% of it are the same operand: it stays.
        ("A coat of $80 is 50% off. What is the price?", "80*.5=$<<80*.5=40>>40\n#### 40",
         "A coat of $[80] is 50% off. What is the price?"),
        # Times, years, ordinals, fractions and legs are no amounts.
        ("On the 3rd of May 1990 at 8:30 pm, 1/4 of 60 cats with 4 legs left. How many stayed?",
         "60*1/4=<<60*1/4=15>>15 left.\n60-15=<<60-15=45>>45 stayed.\n#### 45",
         "On the 3rd of May 1990 at 8:30 pm, 1/4 of [60] cats with 4 legs left. How many stayed?"),
        # `the two` are those that were named before.
        ("Al has 30 pens and Bo 10. What do the two own on average?",
         "30+10=<<30+10=40>>40\n40/2=<<40/2=20>>20\n#### 20",
         "Al has [30] pens and Bo [10]. What do the two own on average?"),
        # Words between the numbers of an equation without an annotation.
        ("3 vans hold 12 boxes each. 7 boxes fall out. How many are left?",
         "There are 3 vans * 12 boxes/van = 36 boxes.\n36 - 7 = <<36-7=29>>29\n#### 29",
         "[3] vans hold [12] boxes each. [7] boxes fall out. How many are left?"),
        # 4 pens and 4 cats are two numbers, and one step reads one of them.
        ("Ann has 4 red pens and 4 cats. Each cat eats 3 fish. How many fish?", "4*3=<<4*3=12>>12\n#### 12",
         "Ann has 4 red pens and 4 cats. Each cat eats [3] fish. How many fish?"),
        # 5 is what week 2 and week 3 would come to.
        ("In week 2 and week 3 Ann buys 5 bags of 9 pens. How many pens?", "5*9=<<5*9=45>>45\n#### 45",
         "In week 2 and week 3 Ann buys 5 bags of [9] pens. How many pens?"),
        # The solution says the number again in a word, or counts something else with it.
        ("Ann has 2 bags of 8 pens. How many pens?", "Both bags hold 2*8=<<2*8=16>>16 pens.\n#### 16",
         "Ann has 2 bags of [8] pens. How many pens?"),
        ("Tom has 8 pens and buys 5. How many?", "There are 5 days. He has 8+5=<<8+5=13>>13\n#### 13",
         "Tom has [8] pens and buys 5. How many?"),
        ("In April, Ann reads 4 pages a day for 30 days. How many?", "4*30=<<4*30=120>>120\n#### 120",
         "In April, Ann reads [4] pages a day for 30 days. How many?"),
        ("A pool of 60 gallons is filled to 150%. How many gallons?", "60*1.5=<<60*1.5=90>>90\n#### 90",
         "A pool of [60] gallons is filled to 150%. How many gallons?"),
        ("Ann has 3 friends: Bo, Cy and Di. Each gets 8 pens. How many pens?", "3*8=<<3*8=24>>24\n#### 24",
         "Ann has 3 friends: Bo, Cy and Di. Each gets [8] pens. How many pens?"),
        ("Ann has 2 bags of 80 pens. The second bag is red. How many pens?", "2*80=<<2*80=160>>160\n#### 160",
         "Ann has 2 bags of [80] pens. The second bag is red. How many pens?"),
        ("A pound is 16 ounces. Ann buys 3 pounds. How many ounces?", "3*16=<<3*16=48>>48\n#### 48",
         "A pound is 16 ounces. Ann buys [3] pounds. How many ounces?"),
    ],
    ids=[
        "week", "percent", "half", "no-amounts", "the-two", "words", "two-things", "sum-of-two-that-stay", "both",
        "something-else", "a-month", "more-than-all", "named", "the-second", "a-pound",
    ],
)  # fmt: skip
def test_what_changes_in_a_question(question: str, answer: str, expected: str) -> None:
    assert marked(question, answer)[0] == expected


def test_the_numbers_of_a_fraction_are_no_results() -> None:
    """The 3 of `2/3`, where a step before has come to 3."""
    question, answer = marked(
        "A box of 6 pens is for 2 girls. Of 30 caps 2/3 are red. How many pens and red caps has a girl?",
        "6/2=<<6/2=3>>3 pens.\n30*2/3=<<30*2/3=20>>20 caps.\n3+20=<<3+20=23>>23\n#### 23",
    )
    assert "Of [30] caps 2/3 are red" in question
    assert answer.splitlines()[1:3] == ["[30]*2/3=<<[30]*2/3={20}>>{20} caps.", "{3}+{20}=<<{3}+{20}={23}>>{23}"]


@pytest.mark.parametrize("answer", ["12+5=17\n#### 17", "12+5 = <<12+5=17>>17\n#### 17"])
def test_the_first_sign_of_a_solution_belongs_to_its_first_equation(answer: str) -> None:
    (equation,) = equations(answer)
    assert (equation.start, [one.value for one in equation.operands]) == (0, [12, 5])
    expected = answer.replace("12", "[12]").replace("+5", "+[5]").replace("17", "{17}")
    assert marked("Tom has 12 pens and buys 5. How many?", answer)[1] == expected


def test_one_value_in_two_places_stays_one_value() -> None:
    template = build("one", "A box has 5 red and 5 blue pens. 2 are lost. How many are left?",
                     "5+5=<<5+5=10>>10\n10-2=<<10-2=8>>8\n#### 8")  # fmt: skip
    question, answer = filled(template, 7, 3)
    assert question == "A box has 7 red and 7 blue pens. 3 are lost. How many are left?"
    assert answer == "7+7=<<7+7=14>>14\n14-3=<<14-3=11>>11\n#### 11"


def test_words_articles_thousands_and_cents_are_written_as_they_were() -> None:
    template = build("one", "Two friends buy a 9-foot rope for $1,500. How many feet does each get for $750?",
                     "9*2=<<9*2=18>>18\n1,500+18=<<1500+18=1518>>1518\n#### 1,518")  # fmt: skip
    question, answer = filled(template, 4, 8, 2000)
    assert question == "Four friends buy an 8-foot rope for $2,000. How many feet does each get for $750?"
    assert answer == "8*4=<<8*4=32>>32\n2,000+32=<<2000+32=2032>>2032\n#### 2,032"


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        ("Tom has 8 pens and buys 5. How many?", "8+5=<<8+5=14>>14\n#### 14", "does not hold"),
        ("Tom has 8 pens and buys 5. How many?", "8+6=<<8+6=14>>14\n#### 14", "comes from nowhere"),
        ("Tom has 8 pens and buys 5. How many?", "8+5=<<8+5=13>>13, and 9 more\n#### 13", "comes from nowhere"),
        ("Tom has 8 pens and buys 5. How many?", "8+5=<<8+5=13>>13\n#### 14", "final number"),
        ("Tom has 8 pens and buys 5. How many?", "8+5=<<8+5=13>>13", "final number"),
        ("Tom has some pens. How many?", "He has many.\n#### 13", "no equation"),
        ("Tom has 8 pens and buys 5 for $3 each. What does he pay?",
         "8+5=<<8+5=13>>13\n5*3=<<5*3=15>>15\n#### 15", "do not lead"),
        ("Is 8 + 5 a prime number?", "8+5=<<8+5=13>>13\n#### 13", "numbers themselves"),
        ("Of 13 pens 8 are red and 5 blue. How many have a colour?", "8+5=<<8+5=13>>13\n#### 13", "no step reads"),
        # With a number that stays, twice the same number, and three numbers.
        ("Ed has 175 balls. Of the first 100 balls he hits 2/5, of the next 75 balls 1/3. How many does he miss?",
         "3/5*100=<<3/5*100=60>>60\n2/3*75=<<2/3*75=50>>50\n60+50=<<60+50=110>>110\n#### 110", "no step reads"),
        ("Of 30 balls 15 are red and 15 blue. Red balls cost $4 and blue balls $7. What do they cost?",
         "15*4=<<15*4=60>>60\n15*7=<<15*7=105>>105\n60+105=<<60+105=165>>165\n#### 165", "no step reads"),
        ("She orders 18 items: 6 slippers for $2, 4 combs for $3 and 8 caps for $5. What does she pay?",
         "6*2=<<6*2=12>>12\n4*3=<<4*3=12>>12\n8*5=<<8*5=40>>40\n12+12+40=<<12+12+40=64>>64\n#### 64",
         "no step reads"),
        ("Of 40 pens 5 boxes of 8 are full. How many pens are in them?", "5*8=<<5*8=40>>40\n#### 40", "no step reads"),
        ("On the 13th of May Tom buys 8 bags of 5 pens. How many?", "8*5=<<8*5=40>>40\n#### 40", "that stays"),
        ("Ann was born in 1990. How old was she in 2010?", "2010-1990=<<2010-1990=20>>20\n#### 20", "may change"),
        ("Tom has 8 pens and buys 5. How many?", "8+5=<<8+5=13>>13\n#### 13\n#### 14", "no final number"),
        ("Tom has 8 pens, buys 5 and finds 2. How many?", "8+5=<<8+5=13>>13+2=15\n#### 15", "overlap"),
        ("Tom has 8 pens, buys 5 and loses 2. How many?", "8+5=14\n14-2=12\n#### 12", "comes from nowhere"),
        # One more or less than a number that changes; a number that stays and is a result.
        ("A fence of 10 posts has 9 gaps of 3 feet. How long is it?", "9*3=<<9*3=27>>27\n#### 27", "no step reads"),
        ("On the 15th of May Ann packs 3 boxes of 5 pens. How many?", "3*5=<<3*5=15>>15\n#### 15", "that stays"),
        # The pens of Ann or those of Ben: in the number, in the text, and where nothing else reads 12.
        ("Ann has 6 bags of 2 pens, Ben has 12 pens. How many times as many has she?",
         "6*2=<<6*2=12>>12\n12/12=<<12/12=1>>1\n#### 1", "an operand that may be two things"),
        ("Ben has 8 pens and loses 3. Ann has 2 bags of 4 pens. How many have they?",
         "8-3=<<8-3=5>>5\n2*4=<<2*4=8>>8\nWith these 8 they have 5+8=<<5+8=13>>13\n#### 13",
         "solution's text that may be two things"),
        ("Ann has 6 bags of 2 pens and Ben has 12 pens. How many have they?",
         "6*2=<<6*2=12>>12\n12+12=<<12+12=24>>24\n#### 24", "only where a result may be meant"),
        # Nobody adds the 2 of `half`.
        ("Ben has 14 pens. Ann has half as many. How many has she?",
         "14/2=<<14/2=7>>7\n7+2=<<7+2=9>>9\n#### 9", "comes from nowhere"),
        ("A bird eats 3 snails on the first day and 2 more each day. How many in 3 days?",
         "On the second day it eats 3+2=<<3+2=5>>5.\nOn the third day 5+2=<<5+2=7>>7.\n3+5+7=<<3+5+7=15>>15\n#### 15",
         "one by one"),
    ],
)  # fmt: skip
def test_a_broken_template_is_refused(question: str, answer: str, reason: str) -> None:
    with pytest.raises(Unfaithful, match=reason):
        build("one", question, answer)


def test_long_runs_of_spaces_and_signs_take_no_time() -> None:
    long = " " * 5_000 + "- " * 5_000 + "1 " * 5_000
    answer = f"8{long}+5 = <<8+5=13>>13 {long}= 7\n#### 13"
    with pytest.raises(Unfaithful):
        build("one", "Tom has 8 pens and buys 5. How many?", answer)
