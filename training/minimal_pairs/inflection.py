"""Forms of English words: verbs, plurals, articles, numbers in words, and sentences with a capital and a stop."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

IRREGULAR = {
    line.split()[0]: line.split()[1:]
    for line in """
    beat beat beaten|bite bit bitten|bring brought brought|build built built|buy bought bought|catch caught caught
    choose chose chosen|cut cut cut|draw drew drawn|drive drove driven|eat ate eaten|feed fed fed|fight fought fought
    find found found|fly flew flown|forget forgot forgotten|forgive forgave forgiven|get got got|give gave given
    hear heard heard|hide hid hidden|hit hit hit|hold held held|hurt hurt hurt|keep kept kept|know knew known
    lead led led|leave left left|lend lent lent|lose lost lost|make made made|meet met met|overtake overtook overtaken
    pay paid paid|put put put|read read read|ride rode ridden|rise rose risen|run ran run|see saw seen|sell sold sold
    send sent sent|shake shook shaken|shoot shot shot|show showed shown|sing sang sung|sit sat sat|sleep slept slept
    speak spoke spoken|spend spent spent|stand stood stood|steal stole stolen|sweep swept swept|swim swam swum
    take took taken|teach taught taught|tell told told|throw threw thrown|understand understood understood
    wake woke woken|wear wore worn|win won won|write wrote written|begin began begun|break broke broken|fall fell fallen
    go went gone|grow grew grown|sew sewed sewn|set set set|shut shut shut|rebuild rebuilt rebuilt
    freeze froze frozen|unfreeze unfroze unfrozen|forbid forbade forbidden|bind bound bound|bend bent bent|dig dug dug
    deal dealt dealt|do did done|undo undid undone|redo redid redone|drink drank drunk|feel felt felt
    grind ground ground|hang hung hung|lay laid laid|light lit lit|mislead misled misled|overhear overheard overheard
    override overrode overridden|overthrow overthrew overthrown|outrun outran outrun|outsell outsold outsold
    withdraw withdrew withdrawn|withhold withheld withheld|quit quit quit|ring rang rung|seek sought sought
    shrink shrank shrunk|slide slid slid|spin spun spun|split split split|spread spread spread|stick stuck stuck
    sting stung stung|strike struck struck|swing swung swung|tear tore torn|upset upset upset|weep wept wept
    think thought thought|come came come|become became become|sink sank sunk|swear swore sworn|say said said
    mean meant meant|kneel knelt knelt|lie lied lied|let let let|overtake overtook overtaken|blow blew blown
    have had had|bleed bled bled
    foresee foresaw foreseen|rewrite rewrote rewritten|misunderstand misunderstood misunderstood|bet bet bet
    """.replace("\n", "|").split("|")
    if line.split()
}
PLURALS = {"man": "men", "woman": "women", "child": "children", "person": "people", "wolf": "wolves", "wife": "wives"}
PLURALS |= {"sheep": "sheep", "deer": "deer", "fish": "fish", "moose": "moose", "bison": "bison", "calf": "calves"}
PLURALS |= {"leaf": "leaves", "shelf": "shelves", "loaf": "loaves", "thief": "thieves", "scarf": "scarves"}
PLURALS |= {"salesman": "salesmen", "photo": "photos", "rhino": "rhinos", "hippo": "hippos"}
PLURALS |= {"fisherman": "fishermen", "policeman": "policemen", "mouse": "mice", "goose": "geese", "knife": "knives"}
DOUBLED = frozenset(
    (
        *("kidnap", "admit", "permit", "unpin", "unplug", "unzip", "unclip", "unwrap", "forget", "begin", "refer"),
        *(
            "transfer",
            "prefer",
            "submit",
            "commit",
            "outrun",
            "upset",
            "forbid",
            "unstop",
            "overrun",
            "equip",
            "control",
            "outwit",
        ),
    )
)
NUMBERS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
VOWELS = "aeiou"
_SHORT = re.compile(r"[^aeiou]*(?:qu)?[aeiou][^aeiouwxy]")


@dataclass(frozen=True)
class Verb:
    """A verb by its base form, with a particle where it has one: ``look after``."""

    base: str
    particle: str = ""

    @classmethod
    def of(cls, text: str) -> Verb:
        """``text`` as ``base`` or ``base particle``."""
        base, _, particle = text.partition(" ")
        return cls(base, particle)

    def _with(self, form: str) -> str:
        return f"{form} {self.particle}".strip()

    @cached_property
    def plain(self) -> str:
        """``chase``."""
        return self._with(self.base)

    @cached_property
    def present(self) -> str:
        """``chases``."""
        return self._with(with_s(self.base))

    @cached_property
    def past(self) -> str:
        """``chased``."""
        return self._with(IRREGULAR[self.base][0] if self.base in IRREGULAR else _with_ed(self.base))

    @cached_property
    def participle(self) -> str:
        """``chased``, as in a passive."""
        return self._with(IRREGULAR[self.base][1] if self.base in IRREGULAR else _with_ed(self.base))

    @cached_property
    def progressive(self) -> str:
        """``chasing``."""
        return self._with(_with_ing(self.base))


def with_s(word: str) -> str:
    """A verb's third person, or a regular plural."""
    if word.endswith(("s", "sh", "ch", "x", "z", "o")) and not word.endswith(("io", "oo", "ano")):
        return word + "es"
    if word.endswith("y") and word[-2] not in VOWELS:
        return word[:-1] + "ies"
    return word + "s"


def plural(noun: str) -> str:
    """Of the last word of ``noun``."""
    *before, last = noun.split(" ")
    return " ".join([*before, PLURALS.get(last, with_s(last))])


def _with_ed(base: str) -> str:
    if base.endswith("e"):
        return base + "d"
    if base.endswith("y") and base[-2] not in VOWELS:
        return base[:-1] + "ied"
    return base + (base[-1] if _doubles(base) else "") + "ed"


def _with_ing(base: str) -> str:
    if base.endswith("ie"):
        return base[:-2] + "ying"
    if base.endswith("e") and not base.endswith(("ee", "oe", "ye")):
        return base[:-1] + "ing"
    return base + (base[-1] if _doubles(base) else "") + "ing"


def _doubles(base: str) -> bool:
    """Whether the last letter is written twice before an ending: one syllable such as ``hit``, and those listed."""
    return base in DOUBLED or _SHORT.fullmatch(base) is not None


def with_article(noun: str) -> str:
    """``a dog``, ``an old dog``."""
    silent = noun.startswith(("hour", "honest", "heir"))
    spoken_you = noun.startswith(("uni", "use", "euro", "one "))
    return f"{'an' if (noun[0] in VOWELS and not spoken_you) or silent else 'a'} {noun}"


def in_words(number: int) -> str:
    """``number`` in words up to twenty, in digits beyond."""
    return NUMBERS[number] if number < len(NUMBERS) else f"{number:,}"


def sentence(text: str, stop: str = ".") -> str:
    """``text`` with a capital and a stop."""
    return text[0].upper() + text[1:] + stop
