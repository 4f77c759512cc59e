"""Who does what to whom, in any tense: the verb after its subject, its passive, and what a question takes apart."""

from __future__ import annotations

import random
from dataclasses import dataclass

from training.minimal_pairs.grammar import Extras, Fill
from training.minimal_pairs.harvest import listed
from training.minimal_pairs.inflection import Verb

# Not in progressive forms, nor as news: what goes on in a mind is not a scene.
STATIVE = frozenset(
    listed("""
    love hate trust like know hear see want prefer despise resent envy fear doubt understand recognize remember forget
    notice respect admire please own need suspect depend underestimate rely miss astonish find expect favor pity mean
    owe
    """)
)


@dataclass(frozen=True)
class Phrase:
    """Somebody or something: as in a sentence, without an article, and how a clause about it starts."""

    text: str
    bare: str
    who: str = "who"
    many: bool = False


@dataclass(frozen=True)
class Tense:
    """Auxiliary and form of the verb: one and many subjects, active and passive; ``main`` has no auxiliary."""

    name: str
    one: str
    many: str
    active: str  # form of ``Verb`` after the auxiliary, with words before it
    passive: str
    main: bool = False
    past: bool = False
    later: bool = False


def _tense(name: str, one: str, many: str, active: str, passive: str, **more: bool) -> Tense:
    return Tense(name, one, many, active, passive, **more)


TENSES = (
    _tense("past", "was", "were", "{v.past}", "{v.participle}", main=True, past=True),
    _tense("present", "is", "are", "{v.present}", "{v.participle}", main=True),
    _tense("progressive", "is", "are", "{v.progressive}", "being {v.participle}"),
    _tense("was doing", "was", "were", "{v.progressive}", "being {v.participle}", past=True),
    _tense("perfect", "has", "have", "{v.participle}", "been {v.participle}"),
    _tense("future", "will", "will", "{v.plain}", "be {v.participle}", later=True),
    _tense("may", "may", "may", "{v.plain}", "be {v.participle}", later=True),
    _tense("can", "can", "can", "{v.plain}", "be {v.participle}"),
    _tense("should", "should", "should", "{v.plain}", "be {v.participle}", later=True),
    _tense("must", "must", "must", "{v.plain}", "be {v.participle}", later=True),
)
DEV_TENSES = (
    _tense("going to", "is", "are", "going to {v.plain}", "going to be {v.participle}", later=True),
    _tense("past perfect", "had", "had", "{v.participle}", "been {v.participle}", past=True),
    _tense("might", "might", "might", "{v.plain}", "be {v.participle}", later=True),
    _tense("would", "would", "would", "{v.plain}", "be {v.participle}"),
)
DENIED = _tense("denied", "did not", "did not", "{v.plain}", "{v.participle}", past=True)
LIKELY = (8, 4, 3, 1, 2, 3, 1, 1, 1, 1)


def some_tense(verb: Verb, chance: random.Random, dev: bool) -> Tense:
    """One that the verb has; those of dev when asked for."""
    if dev:
        return chance.choice(DEV_TENSES)
    (found,) = chance.choices(TENSES, LIKELY)
    return TENSES[0] if verb.base in STATIVE and "doing" in found.name + found.active else found


def event(a: Phrase, b: Phrase, verb: Verb, tense: Tense, extras: Extras) -> Fill:
    """Words for the frames of ``lists/roles.txt``: ``a`` does it to ``b``."""
    return Fill(
        extras,
        A=a.text,
        B=b.text,
        a=a.bare,
        b=b.bare,
        v=verb,
        whoA=a.who,
        whoB=b.who,
        oneA="the ones" if a.many else "the one",
        oneB="the ones" if b.many else "the one",
        be="was" if tense.past else "is",
        beA=_be(a.many, tense.past),
        beB=_be(b.many, tense.past),
        beN="are" if b.many else "is",
        got=_got(b.many, tense, verb.participle),
        s=_Form(verb.plain if a.many else verb.present),
        ing=verb.progressive,
        pp=verb.participle,
        **_forms(a.many, b.many, verb, tense),
    )


@dataclass(frozen=True)
class _Form:
    plain: str


def _be(many: bool, past: bool) -> str:
    if past:
        return "were" if many else "was"
    return "are" if many else "is"


def _got(many: bool, tense: Tense, participle: str) -> str:
    """``got chased``, ``will get chased``."""
    if tense.main:
        return f"{'got' if tense.past else 'get' if many else 'gets'} {participle}"
    if tense is DENIED:
        return f"did not get {participle}"
    passive = tense.passive.removesuffix(" {v.participle}")
    aux = tense.many if many else tense.one
    return f"{aux} {_GOT[passive]} {participle}"


_GOT = {"being": "getting", "been": "gotten", "be": "get", "going to be": "going to get"}


def _forms(many_a: bool, many_b: bool, verb: Verb, tense: Tense) -> dict[str, str]:
    active, passive = tense.active.format(v=verb), tense.passive.format(v=verb)
    aux_a, aux_b = (tense.many if many else tense.one for many in (many_a, many_b))
    if not tense.main:
        if tense is DENIED:
            return {"V": f"did not {active}", "P": f"{'were' if many_b else 'was'} not {passive}"}
        return {
            "V": f"{aux_a} {active}",
            "P": f"{aux_b} {passive}",
            **{"aux": aux_a, "rest": active, "paux": aux_b, "prest": passive},
        }
    if not tense.past and many_a:
        active = verb.plain
    aux = "did" if tense.past else "do" if many_a else "does"
    return {
        "V": active,
        "P": f"{aux_b} {passive}",
        **{"aux": aux, "rest": verb.plain, "paux": aux_b, "prest": passive},
    }
