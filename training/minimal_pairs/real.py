"""Minimal pairs from real sentences: a word edited, two phrases exchanged, or two sentences about different things.

Only edits whose label is sure are made; where just the meaning surely changes, entailment is left open.
"""

from __future__ import annotations

import random
import re
from itertools import pairwise

from training.minimal_pairs.frames import EXCHANGED, OPPOSED, SAME
from training.minimal_pairs.inflection import NUMBERS, Verb
from training.minimal_pairs.measures import DAYS, MONTHS
from training.minimal_pairs.relations import Item, Relation
from training.minimal_pairs.words import VERBS_BETWEEN_PEOPLE, VERBS_ON_THINGS, Lexicon, listed

MORE_VERBS = listed("feed ride eat drink cut cook pet chew wash climb play read write")
TRIES = 60  # sentences looked at for one that an edit applies to
LONGEST = 24  # words of a sentence to edit
_SCENE = re.compile(
    r"^(An?|The|Two|Three) ((?:\w+ ){0,2}?\w+) (is|are) (\w+ing) (an?|the|his|her|two|some) ((?:\w+ )?\w+)"
    r"( (?:in|on|at|near|by|outside|during) [\w ,']+)?\.?$"
)
_BY_ROUTE = re.compile(r"\bfrom ([A-Z][a-z]+) to ([A-Z][a-z]+)\b(?! [A-Z])")
_COMPARED = re.compile(
    r"\b([A-Z]\w+|the \w+|my \w+) (is|are|was|were) (\w+er|more \w+|less \w+) than ([A-Z]\w+|the \w+|my \w+)\b"
)
_NUMBER = re.compile(rf"\b({'|'.join(NUMBERS[2:13])}|\d{{1,4}})\b", re.IGNORECASE)
_AUXILIARY = re.compile(r"\b(is|are|was|were|can|could|will|would|should|must)\b(?! not\b)(?!n't)")
# Of verbs whose passive is natural; a form that is not here cannot be told from its ending.
PARTICIPLES = {
    verb.progressive: verb.participle for verb in map(Verb, (*VERBS_BETWEEN_PEOPLE, *VERBS_ON_THINGS, *MORE_VERBS))
}
_NAMED = {name: group for group in (MONTHS, DAYS) for name in group}


def _usable(text: str) -> bool:
    return 4 <= len(text.split()) <= LONGEST and text.isascii()


def _sample(words: Lexicon, chance: random.Random) -> list[str]:
    count = min(TRIES, len(words.sentences))
    return [text for text in chance.sample(words.sentences, count) if _usable(text)] if count else []


def real_scenes(words: Lexicon, chance: random.Random) -> Item | None:
    """A caption in the passive, and with its two sides exchanged."""
    for text in _sample(words, chance):
        if not (match := _SCENE.match(text)):
            continue
        article, subject, auxiliary, act, other_article, other, place = match.groups()
        participle = PARTICIPLES.get(act)
        if participle is None or other.split()[-1] not in (*words.people, *words.animals, *words.things):
            continue
        singular = "are" if other_article in ("two", "some") else "is"
        rest = place or ""
        passive = f"{other_article} {other} {singular} being {participle} by {article.lower()} {subject}{rest}."
        exchanged = f"{other_article} {other} {singular} {act} {article.lower()} {subject}{rest}."
        wrong = f"{article} {subject} {auxiliary} being {participle} by {other_article} {other}{rest}."
        others = ((_capital(passive), SAME), (_capital(exchanged), OPPOSED), (_capital(wrong), OPPOSED))
        return Item("real scenes", text, others)
    return None


def real_routes(words: Lexicon, chance: random.Random) -> Item | None:
    """From A to B in a real question or sentence, and the other way."""
    for text in _sample(words, chance):
        if (match := _BY_ROUTE.search(text)) and match.group(1).lower() != match.group(2).lower():
            a, b = match.groups()
            same, wrong = (
                text[: match.start()] + new + text[match.end() :] for new in (f"to {b} from {a}", f"from {b} to {a}")
            )
            return _unlabelled("real routes", text, same, wrong)
    return None


def real_comparisons(words: Lexicon, chance: random.Random) -> Item | None:
    """Which of two is more, exchanged."""
    for text in _sample(words, chance):
        if match := _COMPARED.search(text):
            a, verb, more, b = match.groups()
            wrong = text[: match.start()] + f"{b} {verb} {more} than {a}" + text[match.end() :]
            return _unlabelled("real comparisons", text, None, _capital(wrong))
    return None


def real_numbers(words: Lexicon, chance: random.Random) -> Item | None:
    """Another number in the place of one; the same number in words or digits."""
    for text in _sample(words, chance):
        if match := _NUMBER.search(text):
            found = match.group(1)
            value = NUMBERS.index(found.lower()) if found.lower() in NUMBERS else int(found)
            written = NUMBERS[value] if value < len(NUMBERS) else None
            same = str(value) if found.isalpha() else written
            wrong = value + chance.choice([1, 2, 3, 10])
            other = NUMBERS[wrong] if found.isalpha() and wrong < len(NUMBERS) else str(wrong)
            put = [text[: match.start()] + new + text[match.end() :] if new else None for new in (same, other)]
            return _unlabelled("real numbers", text, put[0], _capital(put[1] or ""))
    return None


def real_dates(words: Lexicon, chance: random.Random) -> Item | None:
    """Another month or weekday in the place of one."""
    for text in _sample(words, chance):
        named = [word for word in re.findall(r"[A-Z][a-z]+", text) if word in _NAMED and word != "May"]
        if named:
            word = chance.choice(named)
            other = chance.choice([name for name in _NAMED[word] if name != word])
            return _unlabelled("real dates", text, None, text.replace(word, other))
    return None


def real_negations(words: Lexicon, chance: random.Random) -> Item | None:
    """A denial put into a real statement."""
    for text in _sample(words, chance):
        if text.endswith("?") or " not " in text or "n't" in text or " no " in text:
            continue
        if match := _AUXILIARY.search(text):
            denied = text[: match.end()] + " not" + text[match.end() :]
            same = f"It is not the case that {text[0].lower()}{text[1:]}" if text[0] in "AT" else None
            others = ((denied, OPPOSED), *(((same, OPPOSED),) if same else ()))
            return Item("real negations", text, others)
    return None


def unrelated(words: Lexicon, chance: random.Random) -> Item | None:
    """Two real sentences about different things, with little in common besides the commonest words."""
    texts = _sample(words, chance)
    for text, other in pairwise(texts):
        content = [set(re.findall(r"[a-z]{4,}", each.lower())) for each in (text, other)]
        if content[0] and content[1] and not content[0] & content[1] and text[-1] != "?" and other[-1] != "?":
            return Item("unrelated", text, ((other, Relation.UNRELATED),))
    return None


def _unlabelled(kind: str, text: str, same: str | None, wrong: str) -> Item:
    """Of questions as of statements: only whether both say the same is sure."""
    others = ((same, SAME),) if same else ()
    return Item(kind, text, (*others, (wrong, EXCHANGED)), "question")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
