"""Minimal pairs from real sentences: an edit that changes what they say beside one that does not, or unrelated ones.

Every sentence is changed twice: harmlessly (a lead-in, a moved adverbial, both sides of an "and", a contraction,
another spelling), which leaves what it says, and by the kind's edit; with both edits it says another thing again. So
neither an edit nor the number of shared words tells what is the same. Dev has other sentences, edited in the same ways.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise

from training.minimal_pairs.harvest import listed, word_lists
from training.minimal_pairs.inflection import NUMBERS, Verb
from training.minimal_pairs.kinds.measures import DAYS, MONTHS
from training.minimal_pairs.kinds.polarity import opposites_of
from training.minimal_pairs.kinds.roles import EXCHANGED, OPPOSED, SAME
from training.minimal_pairs.relations import Item, Mood, Relation
from training.minimal_pairs.words import Lexicon

Change = Callable[[str, random.Random], str | None]

MORE_VERBS = listed("feed ride eat drink cut cook pet chew wash climb play read write serve brush milk walk groom")
TRIES = 40  # sentences looked at for one that an edit applies to
LONGEST = 24  # words of a sentence to edit
_SCENE = re.compile(
    r"^(An?|The|Two|Three) ((?:\w+ ){0,2}?\w+) (is|are) (\w+ing) (an?|the|his|her|two|some) ((?:\w+ )?\w+)"
    r"( (?:in|on|at|near|by|outside|during) [\w ,']+)?\.?$"
)
_NAME = r"[A-Z][a-z]+(?: [A-Z][a-z]+)?"
_BY_ROUTE = re.compile(rf"\bfrom ({_NAME}) to ({_NAME})\b(?! [A-Z])")
_COMPARED = re.compile(
    r"^((?!(?:He|She|It|They|I|We|You|This|That|There|What|Who) )[A-Z]\w+|[Tt]he \w+|[Mm]y \w+) "
    r"(is|are|was|were) (\w+er|more \w+|less \w+) than ([A-Z]\w+|the \w+|my \w+)"
    r"(?=[.,?]|$| (?:in|by|at|with|and|on|when|but)\b)"
)
_NUMBER = re.compile(rf"\b({'|'.join(NUMBERS[2:13])}|\d{{1,4}})\b(?![.,]\d)(?!-)", re.IGNORECASE)
_AUXILIARY = re.compile(r"\b(is|are|was|were|can|could|will|would|should|must)\b(?! not\b)(?!n't)")
_MIDDLE_NAME = re.compile(r"(?<=[a-z,] )([A-Z][a-z]{2,})\b(?! [A-Z])(?!['-])")
_NOUN = re.compile(
    r"\b((?:[Tt]he|[Aa]n?) [a-z]{3,})\b"
    r"(?= (?:is|are|was|were|has|had|in|on|at|of|to|with|who|that|by|for|from)\b|[.,]|$)"
)
_LIST = re.compile(r"^(?:[\w' ]*,)*[\w' ]*\b(?:and|or|nor|&)(?: an?| the)? ?$")
_SIDES = re.compile(
    r"\b([A-Z][a-z]+|(?:the|an?) [a-z]+) (and|or) ([A-Z][a-z]+|(?:the|an?) [a-z]+)"
    r"(?=[.,?]|$| (?:is|are|was|were)\b)"
)
_LEAD = re.compile(r"^((?:In|On|At|After|Before|During|Since|By) [\w' ]{2,28}), ([\w'].*[\w'])\.?$")
_CONTRACTED = {"did not": "didn't", "is not": "isn't", "was not": "wasn't", "do not": "don't", "are not": "aren't"}
_CONTRACTED |= {"does not": "doesn't", "cannot": "can't", "could not": "couldn't", "would not": "wouldn't"}
# Starts that can be written small, and what a sentence rather than a phrase has.
_STARTS = re.compile(
    r"(?:The|An?|This|That|It|There|He|She|They|We|Some|Two|Three|His|Her|What|How|Why|When|Where|Is|Are|Do) "
)
_FINITE = re.compile(r"\b(?:is|are|was|were|has|have|had|can|will|would|did|does|do|must|could)\b")
LEADS = {
    "train": (
        "It is true that",
        "The fact is that",
        "It is a fact that",
        "In fact,",
        "Indeed,",
        "It is indeed true that",
    ),
    "dev": ("There is no doubt that", "It is the case that", "Truly,"),
}
ASKED = {"train": ("Tell me,", "Please tell me,", "I wonder:", "Quick question:"), "dev": ("Can you tell me:", "Well,")}
# Of verbs whose passive is natural; a form that is not here cannot be told from its ending.
PARTICIPLES = {
    verb.progressive: verb.participle
    for verb in map(Verb.of, (*word_lists()["between"], *word_lists()["on things"], *MORE_VERBS))
}
_NAMED = {name: group for group in (MONTHS, DAYS) for name in group}


def _usable(text: str) -> bool:
    return 4 <= len(text.split()) <= LONGEST and text.isascii() and text[0].isupper() and " ." not in text


def _matching(words: Lexicon, name: str, pattern: re.Pattern[str] | None) -> Sequence[str]:
    """Usable sentences that have ``pattern``; looked for once."""
    if name not in words.matching:
        known = [text for text in words.sentences if _usable(text)] if not name else _matching(words, "", None)
        words.matching[name] = [text for text in known if pattern is None or pattern.search(text)]
    return words.matching[name]


def harmless(text: str, words: Lexicon, chance: random.Random) -> Change:
    """A change that leaves what ``text`` says, and that applies to an edited copy of it as well."""
    ways: list[Change] = [_loose]
    if _LEAD.match(text):
        ways += [_move_lead] * 3
    if _SIDES.search(text):
        ways += [_other_side] * 3
    if any(long in text for long in _CONTRACTED):
        ways += [_contract] * 2
    lead = chance.choice((ASKED if text.endswith("?") else LEADS)[words.split])
    if _STARTS.match(text) and (text.endswith("?") or _FINITE.search(text)):
        ways += [lambda text, _: f"{lead} {text[0].lower()}{text[1:]}"] * 3
    return chance.choice(ways)


def _loose(text: str, chance: random.Random) -> str | None:
    return text.rstrip(".?!").lower() if text.rstrip(".?!") != text or text.lower() != text else None


def _move_lead(text: str, chance: random.Random) -> str | None:
    if not (match := _LEAD.match(text)):
        return None
    lead, rest = match.groups()
    return f"{_capital(rest)} {lead[0].lower()}{lead[1:]}."


def _other_side(text: str, chance: random.Random) -> str | None:
    match = _SIDES.search(text)
    if not match or match.group(1).split()[0] in ("both", "either", "between"):
        return None
    one, joint, other = match.groups()
    if one[0].isupper() != other[0].isupper() or (" " in one) != (" " in other):
        return None
    return text[: match.start()] + f"{other} {joint} {one}" + text[match.end() :]


def _contract(text: str, chance: random.Random) -> str | None:
    long = next((long for long in _CONTRACTED if long in text), None)
    return text.replace(long, _CONTRACTED[long], 1) if long else None


def edited(
    kind: str, words: Lexicon, chance: random.Random, pattern: re.Pattern[str] | None, edit: Change
) -> Item | None:
    """A sentence that has ``pattern``, changed harmlessly, by ``edit`` and by both."""
    found = _matching(words, kind if pattern else "", pattern)
    for _ in range(TRIES if found else 0):
        text = chance.choice(found)
        wrong = edit(text, chance)
        if wrong is None or wrong == text:
            continue
        change = harmless(text, words, chance)
        same, both = change(text, chance), change(wrong, chance)
        others: dict[str, Relation] = {}
        if same and both and same not in (text, wrong) and both not in (text, same):
            others = {same: SAME, both: EXCHANGED}
        if not others or chance.random() < 0.4:
            others.setdefault(wrong, EXCHANGED)
        mood: Mood = "question" if text.endswith("?") else "statement"
        return Item(kind, text, tuple(others.items()), mood)
    return None


def real_scenes(words: Lexicon, chance: random.Random) -> Item | None:
    """A caption in the passive, and with its two sides exchanged."""
    found = _matching(words, "real scenes", _SCENE)
    for _ in range(TRIES if found else 0):
        match = _SCENE.match(chance.choice(found))
        assert match is not None
        article, subject, auxiliary, act, other_article, other, place = match.groups()
        participle = PARTICIPLES.get(act)
        if participle is None or other.split()[-1] not in _known_nouns(words):
            continue
        singular = "are" if other_article in ("two", "some") else "is"
        rest, article = place or "", article.lower()
        one, two = f"{article} {subject}", f"{other_article} {other}"
        ways = [
            (
                f"{two} {singular} being {participle} by {one}{rest}.",
                f"{one} {auxiliary} being {participle} by {two}{rest}.",
            ),
            (f"there {auxiliary} {one} {act} {two}{rest}.", f"there {singular} {two} {act} {one}{rest}."),
            (f"it is {one} that {auxiliary} {act} {two}{rest}.", f"it is {two} that {singular} {act} {one}{rest}."),
            (f"{one} {auxiliary} {act} {two}{rest}.", f"{two} {singular} {act} {one}{rest}."),
        ]
        first, second = chance.sample(ways, 2)
        others = [(second[0], SAME), (second[1], OPPOSED)]
        if chance.random() < 0.5:
            others.append((first[1], OPPOSED))
        return Item("real scenes", _capital(first[0]), tuple((_capital(text), relation) for text, relation in others))
    return None


def _known_nouns(words: Lexicon) -> frozenset[str]:
    lists = word_lists()
    known = frozenset(word for name in ("people", "animals", "vehicles", "things") for word in lists[name])
    return known.union(*(words.things, words.people))


def real_routes(words: Lexicon, chance: random.Random) -> Item | None:
    """From A to B in a real question or sentence, and the other way."""
    return edited("real routes", words, chance, _BY_ROUTE, _other_way)


def _other_way(text: str, chance: random.Random) -> str | None:
    match = _BY_ROUTE.search(text)
    if not match or match.group(1) == match.group(2) or match.group(1) in _NAMED:
        return None
    a, b = match.groups()
    return text[: match.start()] + f"from {b} to {a}" + text[match.end() :]


def real_comparisons(words: Lexicon, chance: random.Random) -> Item | None:
    """Which of two is more, exchanged."""
    return edited("real comparisons", words, chance, _COMPARED, _compared)


def _compared(text: str, chance: random.Random) -> str | None:
    match = _COMPARED.match(text)
    if not match:
        return None
    a, verb, more, b = match.groups()
    return f"{_capital(b)} {verb} {more} than {a[0].lower() if ' ' in a else a[0]}{a[1:]}" + text[match.end() :]


def real_numbers(words: Lexicon, chance: random.Random) -> Item | None:
    """Another number in the place of one; the same number in words or digits."""
    found = edited("real numbers", words, chance, None, _renumber)
    if found and chance.random() < 0.4 and (same := _respell(found.anchor)):
        return Item(found.kind, found.anchor, ((same, SAME), *found.others), found.mood)
    return found


def _respell(text: str) -> str | None:
    match = _NUMBER.search(text)
    if not match:
        return None
    number = match.group(1)
    if number.isalpha():
        new = str(NUMBERS.index(number.lower()))
    elif int(number) in range(2, 13) and match.start() > 0:
        new = NUMBERS[int(number)]
    else:
        return None
    return text[: match.start()] + new + text[match.end() :]


def _renumber(text: str, chance: random.Random) -> str | None:
    match = _NUMBER.search(text)
    if not match:
        return None
    number = match.group(1)
    value = NUMBERS.index(number.lower()) if number.isalpha() else int(number)
    other = value + chance.choice([1, 2, 3, 10, -1])
    new = (
        NUMBERS[other]
        if number.isalpha() and 1 < other < len(NUMBERS)
        else str(max(other, value + 1 if other < 2 else 2))
    )
    return text[: match.start()] + (new.capitalize() if number[0].isupper() else new) + text[match.end() :]


def real_dates(words: Lexicon, chance: random.Random) -> Item | None:
    """Another month or weekday in the place of one."""
    return edited(
        "real dates", words, chance, re.compile(rf"\b({'|'.join(set(_NAMED) - {'May', 'March'})})\b"), _redate
    )


def _redate(text: str, chance: random.Random) -> str | None:
    named = [word for word in re.findall(r"\b[A-Z][a-z]+\b", text) if word in _NAMED and word not in ("May", "March")]
    if len(set(named)) != 1:
        return None
    other = chance.choice([name for name in _NAMED[named[0]] if name != named[0]])
    return re.sub(rf"\b{named[0]}\b", other, text)


def real_names(words: Lexicon, chance: random.Random) -> Item | None:
    """Two names in a real sentence change places."""
    return edited("real names", words, chance, None, _exchange_names)


_NO_NAMES = frozenset({*_NAMED, *listed("South North East West God Lord Mr Ms Mrs Dr Sir St")})


def _exchange_names(text: str, chance: random.Random) -> str | None:
    found = [match for match in _MIDDLE_NAME.finditer(text) if match.group(1) not in _NO_NAMES]
    found = [match for match in found if text[: match.start()].split()[-1][0].islower()]
    return _exchange(text, found, chance)


def real_nouns(words: Lexicon, chance: random.Random) -> Item | None:
    """Two nouns in a real sentence change places."""
    return edited("real nouns", words, chance, None, _exchange_nouns)


def _exchange_nouns(text: str, chance: random.Random) -> str | None:
    return _exchange(text, list(_NOUN.finditer(text)), chance)


def _exchange(text: str, found: list[re.Match[str]], chance: random.Random) -> str | None:
    """Two of ``found`` exchanged, unless they are sides of an "and", where that would change nothing."""
    if len(found) < 2:
        return None
    first, second = sorted(chance.sample(found, 2), key=lambda match: match.start())
    between = text[first.end() : second.start(1)]
    if first.group(1) == second.group(1) or _LIST.match(between):
        return None
    one, two = first.group(1), second.group(1)
    if first.start() == 0:
        one, two = f"{one[0].lower()}{one[1:]}", _capital(two)
    return text[: first.start(1)] + two + text[first.end() : second.start(1)] + one + text[second.end() :]


def real_opposites(words: Lexicon, chance: random.Random) -> Item | None:
    """A word in a real sentence replaced by its opposite."""
    return edited("real opposites", words, chance, None, _oppose)


@cache
def _opposite_words() -> dict[str, str]:
    """Single words, with an opposite that has the same forms around it."""
    some = ("people", "things", "places", "how", "frequency", "prepositions")
    pairs = [pair for pair in opposites_of("train") if pair.of in some and " " not in pair.one + pair.other]
    known = {pair.one: pair.other for pair in pairs if pair.one not in _AMBIGUOUS}
    return {pair.other: pair.one for pair in pairs if pair.other not in _AMBIGUOUS} | known


_AMBIGUOUS = frozenset(
    listed("on off in right even present kind mean well left fast light over under like still first last")
)


@cache
def _opposite_pattern() -> re.Pattern[str]:
    return re.compile(rf"\b({'|'.join(sorted(_opposite_words(), key=len, reverse=True))})\b(?!-)")


def _oppose(text: str, chance: random.Random) -> str | None:
    match = _opposite_pattern().search(text)
    if not match:
        return None
    other = _opposite_words()[match.group(1)]
    before = text[: match.start()]
    if before.endswith((" a ", " an ", "A ", "An ")):
        article = "an " if other[0] in "aeiou" else "a "
        start = before[: -2 if before[-2:].lower() == "a " else -3]
        before = start + (article if start else article.capitalize())
    return before + other + text[match.end() :]


def real_negations(words: Lexicon, chance: random.Random) -> Item | None:
    """A denial put into a real statement."""
    found = _matching(words, "", None)
    for _ in range(TRIES if found else 0):
        text = chance.choice(found)
        if text.endswith("?") or re.search(r"^No|\b(?:not|no|only|and|but|that|who|which|never|soon)\b|n't|,|;", text):
            continue
        if (match := _AUXILIARY.search(text)) and len(text[: match.start()].split()) < 6:
            denied = text[: match.end()] + " not" + text[match.end() :]
            change = harmless(text, words, chance)
            same, both = change(text, chance), change(denied, chance)
            others: dict[str, Relation] = {denied: OPPOSED}
            if same and both and same != text and both != denied:
                others |= {same: SAME, both: OPPOSED}
            if text.startswith(("A ", "An ", "The ", "This ", "There ")):
                others.setdefault(f"It is not the case that {text[0].lower()}{text[1:]}", OPPOSED)
            return Item("real negations", text, tuple(others.items()))
    return None


def unrelated(words: Lexicon, chance: random.Random) -> Item | None:
    """Two real sentences about different things, with little in common besides the commonest words."""
    known = _matching(words, "", None)
    texts = [chance.choice(known) for _ in range(4 if known else 0)]
    for text, other in pairwise(texts):
        content = [set(re.findall(r"[a-z]{4,}", each.lower())) for each in (text, other)]
        if content[0] and content[1] and not content[0] & content[1] and text[-1] != "?" and other[-1] != "?":
            return Item("unrelated", text, ((other, Relation.UNRELATED),))
    return None


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
