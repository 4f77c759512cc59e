"""Kinds of minimal pairs about yes and no: negation, its scope, opposites, switches, implicatives, modality, aspect."""

from __future__ import annotations

import random

from training.minimal_pairs.frames import EXCHANGED, IMPLIED, NEUTRAL, OPPOSED, SAME, finish, moment, said
from training.minimal_pairs.inflection import Verb
from training.minimal_pairs.relations import Item, Relation
from training.minimal_pairs.words import Lexicon, frames_of, listed

# Ways to switch one thing on, and ways to do the opposite.
SWITCHES = (
    (("turn on", "enable", "activate", "switch on"), ("turn off", "disable", "deactivate", "switch off")),
    (("increase", "raise", "turn up"), ("decrease", "lower", "turn down", "reduce")),
    (("open", "unlock"), ("close", "lock")),
    (("start", "launch", "run"), ("stop", "quit", "shut down")),
    (("show", "display", "unhide"), ("hide", "stop showing")),
    (("add", "include", "insert"), ("remove", "delete", "exclude")),
    (("install", "set up"), ("uninstall",)),
    (("connect", "link", "pair"), ("disconnect", "unlink", "unpair")),
    (("allow", "permit", "unblock"), ("block", "forbid", "deny")),
    (("accept", "approve"), ("reject", "decline", "refuse")),
    (("mute", "silence"), ("unmute",)),
    (("subscribe to", "sign up for"), ("unsubscribe from", "cancel")),
    (("pin", "stick"), ("unpin",)),
    (("import", "load"), ("export", "save")),
    (("encrypt", "encode"), ("decrypt", "decode")),
    (("expand", "unfold"), ("collapse", "fold")),
)
SWITCHED = (
    (
        ("dark mode", "the dark theme"),
        ("notifications", "alerts"),
        ("the wifi", "wireless"),
        ("two factor authentication", "2FA"),
    ),
    (
        ("the volume", "the sound level"),
        ("the brightness", "the screen brightness"),
        ("the font size", "the text size"),
    ),
    (("the front door", "the main door"), ("the window", "the windows"), ("the garage", "the garage door")),
    (("the server", "the web server"), ("the backup", "the backup job"), ("the app", "the application")),
    (("the sidebar", "the side panel"), ("hidden files", "invisible files"), ("line numbers", "the line numbers")),
    (("a user", "a new user"), ("the column", "this column"), ("the attachment", "the attached file")),
    (("the plugin", "the extension"), ("the driver", "the device driver"), ("the update", "the software update")),
    (("the printer", "my printer"), ("the headphones", "my headset"), ("the account", "my account")),
    (("cookies", "all cookies"), ("pop-ups", "popup windows"), ("remote access", "remote login")),
    (("the invitation", "the invite"), ("the request", "the pull request"), ("the offer", "the proposal")),
    (("the microphone", "the mic"), ("the channel", "this channel"), ("the call", "the phone call")),
    (("the newsletter", "the mailing list"), ("the premium plan", "premium"), ("the channel", "this channel")),
    (("the message", "this message"), ("the tab", "this tab"), ("the note", "this note")),
    (("the contacts", "the address book"), ("the settings", "the configuration"), ("the data", "the data set")),
    (("the disk", "the hard drive"), ("the file", "this file"), ("the message", "the text message")),
    (("the section", "this section"), ("the menu", "the side menu"), ("all folders", "every folder")),
)
SWITCHING = (
    ("command", "{S} {X}"),
    ("command", "please {S} {X}"),
    ("command", "{S} {X} now"),
    ("question", "how do I {S} {X}"),
    ("question", "can you {S} {X} for me"),
    ("question", "what is the best way to {S} {X}"),
    ("question", "where can I {S} {X}"),
    ("query", "how to {S} {X}"),
    ("query", "{S} {X} windows 11"),
)
OPPOSITES = listed("""
    open closed|full empty|awake asleep|alive dead|present absent|legal illegal|true false|safe dangerous|wet dry
    married single|visible hidden|public private|hot cold|happy sad|rich poor|hard soft|early late|clean dirty
    strong weak|possible impossible|innocent guilty|correct wrong|friendly hostile|loud quiet
    """)
COMPLEMENTS = frozenset(
    {"open", "alive", "legal", "true", "present", "possible", "awake", "correct", "innocent", "visible"}
)
OF_PEOPLE = frozenset(listed("awake alive married happy rich innocent friendly strong present guilty"))
STATES = ("{X} is {A}", "{X} was {A} yesterday", "everyone says that {X} is {A}", "{X} seems {A}", "{X} became {A}")
# What the act says of the deed: done, not done, or nothing.
DONE = (
    "managed to",
    "remembered to",
    "happened to",
    "was able to and did",
    "got to",
    "went on to",
    "did not forget to",
)
NOT_DONE = (
    "failed to",
    "forgot to",
    "refused to",
    "neglected to",
    "declined to",
    "did not manage to",
    "was too tired to",
)
UNKNOWN = ("hoped to", "wanted to", "planned to", "promised to", "tried to", "decided to", "agreed to", "was asked to")
KNOWN = (
    "knew that",
    "realized that",
    "forgot that",
    "regretted that",
    "noticed that",
    "was glad that",
    "did not know that",
)
CLAIMED = ("believed that", "said that", "hoped that", "thought that", "claimed that", "feared that", "suspected that")


def negation(words: Lexicon, chance: random.Random) -> Item:
    """Did and did not; the second denial takes the first away."""
    verb, more = chance.choice(words.on_things), moment(chance)
    who, thing = words.agents(chance, 1)[0], f"the {chance.choice(words.things)}"
    did, did_not = f"{who} {verb.past} {thing}{more}", f"{who} did not {verb.plain} {thing}{more}"
    passive, denied = f"{thing} was {verb.participle} by {who}{more}", f"it is not true that {did}"
    twice = f"it is not true that {did_not}"
    never = f"{thing} was not {verb.participle} by {who}{more}"
    if chance.random() < 0.5:
        anchor, same, wrong = did, chance.choice([passive, twice]), chance.sample([did_not, denied, never], 2)
    else:
        anchor, same, wrong = did_not, chance.choice([never, denied]), chance.sample([did, passive, twice], 2)
    other = f"{who} did not {chance.choice([v for v in words.on_things if v != verb]).plain} {thing}{more}"
    others = ((said(same), SAME), *((said(text), OPPOSED) for text in wrong), (said(other), NEUTRAL))
    return Item("negation", said(anchor), others)


def scope(words: Lexicon, chance: random.Random) -> Item:
    """What the denial is of."""
    first, second = chance.sample(words.actions, 2)
    a, b = words.agents(chance)
    anchor = f"{a} {first.past} but {b} did not {second.plain}"
    others = (
        (said(f"{b} did not {second.plain} but {a} {first.past}"), SAME),
        (said(f"{a} did not {first.plain} but {b} {second.past}"), OPPOSED),
        (said(f"{a} {first.past}"), IMPLIED),
        (said(f"{b} {second.past}"), OPPOSED),
    )
    return Item("negation scope", said(anchor), others)


def switches(words: Lexicon, chance: random.Random) -> Item:
    """Turn it on, turn it off: commands, questions and searches whose single word decides."""
    row = chance.choice([SWITCHES.index(entry) for entry in frames_of(SWITCHES, words.split)])
    on, off = SWITCHES[row] if chance.random() < 0.5 else SWITCHES[row][::-1]
    mood, frame = chance.choice(frames_of(SWITCHING, words.split))
    thing, alias = chance.choice(SWITCHED[row])
    way, same_way = chance.sample(on, 2) if len(on) > 1 else (on[0], on[0])
    same_thing = alias if way == same_way or chance.random() < 0.4 else thing

    def put(act: str, what: str) -> str:
        return finish(frame.format(S=act, X=what), mood)

    wrong = {put(chance.choice(off), what) for what in (thing, alias)}
    other = chance.choice([entry[0] for entry in SWITCHED[row] if entry[0] != thing])
    others = (
        (put(same_way, same_thing), SAME),
        *((text, EXCHANGED) for text in sorted(wrong)),
        (put(way, other), EXCHANGED),
    )
    return Item("switches", put(way, thing), others, mood)  # type: ignore[arg-type]


def switched(words: Lexicon, chance: random.Random) -> Item:
    """The same as statements: who did it, and what did not follow."""
    row = chance.choice([SWITCHES.index(entry) for entry in frames_of(SWITCHES, words.split)])
    on, off = SWITCHES[row] if chance.random() < 0.5 else SWITCHES[row][::-1]
    thing, alias = chance.choice(SWITCHED[row])
    who = words.agents(chance, 1)[0]
    way = chance.choice(on)
    same = chance.choice([act for act in on if act != way] or [way])
    others = (
        (said(f"{who} {Verb.of(same).past} {alias if same == way else thing}"), SAME),
        (said(f"{who} {Verb.of(chance.choice(off)).past} {thing}"), OPPOSED),
        (said(f"{who} did not {way} {thing}"), OPPOSED),
    )
    return Item("switches", said(f"{who} {Verb.of(way).past} {thing}"), others)


def opposites(words: Lexicon, chance: random.Random) -> Item:
    """Open and closed; what is not open is closed, what is not hot need not be cold."""
    adjective, opposite = chance.choice(frames_of(OPPOSITES, words.split)).split()
    complement = adjective in COMPLEMENTS
    if chance.random() < 0.5:
        adjective, opposite = opposite, adjective
    frame = chance.choice(frames_of(STATES, words.split))
    subject = f"the {chance.choice(words.people if {adjective, opposite} & OF_PEOPLE else words.things)}"

    def put(state: str) -> str:
        return said(frame.format(X=subject, A=state))

    denied = put(f"not {opposite}")
    others = [(put(opposite), OPPOSED), (put(f"not {adjective}"), OPPOSED), (denied, SAME if complement else IMPLIED)]
    return Item("opposites", put(adjective), tuple(others))


def implicatives(words: Lexicon, chance: random.Random) -> Item:
    """Managed to, failed to, hoped to: whether it was done."""
    verb, who = chance.choice(words.on_things), words.agents(chance, 1)[0]
    thing, more = f"the {chance.choice(words.things)}", moment(chance)
    did, did_not = said(f"{who} {verb.past} {thing}{more}"), said(f"{who} did not {verb.plain} {thing}{more}")
    table: tuple[tuple[tuple[str, ...], Relation, Relation], ...] = (
        (DONE, IMPLIED, OPPOSED),
        (NOT_DONE, OPPOSED, IMPLIED),
        (UNKNOWN, NEUTRAL, NEUTRAL),
    )
    acts, of_did, of_did_not = chance.choice(table)
    act = chance.choice(frames_of(acts, words.split)).replace("was able to and did", "was able to")
    return Item("implicatives", said(f"{who} {act} {verb.plain} {thing}{more}"), ((did, of_did), (did_not, of_did_not)))


def factives(words: Lexicon, chance: random.Random) -> Item:
    """What is known is so; what is believed need not be."""
    a, b = words.agents(chance)
    verb = chance.choice(words.actions)
    fact, denied = f"{b} {verb.past}", f"{b} did not {verb.plain}"
    if chance.random() < 0.5:
        act = chance.choice(frames_of(KNOWN, words.split))
        return Item("factives", said(f"{a} {act} {fact}"), ((said(fact), IMPLIED), (said(denied), OPPOSED)))
    act = chance.choice(frames_of(CLAIMED, words.split))
    return Item("factives", said(f"{a} {act} {fact}"), ((said(fact), NEUTRAL), (said(denied), NEUTRAL)))


def modality(words: Lexicon, chance: random.Random) -> Item:
    """Must, may, must not, need not."""
    verb, who = chance.choice(words.on_things), words.agents(chance, 1)[0]
    deed = f"{verb.plain} the {chance.choice(words.things)}"
    must, may = (f"{who} must {deed}", f"{who} has to {deed}"), (f"{who} may {deed}", f"{who} is allowed to {deed}")
    must_not = (f"{who} must not {deed}", f"{who} is not allowed to {deed}", f"{who} is forbidden to {deed}")
    need_not = (f"{who} need not {deed}", f"{who} does not have to {deed}")
    groups = {"must": must, "may": may, "must not": must_not, "need not": need_not}
    wrong = {
        "must": (must_not, need_not),
        "may": (must_not, must_not),
        "must not": (must, may),
        "need not": (must, must),
    }
    name = chance.choice(list(groups))
    anchor, same = chance.sample(groups[name], 2)
    others = tuple((said(chance.choice(group)), OPPOSED) for group in wrong[name])
    return Item("modality", said(anchor), ((said(same), SAME), *dict(others).items()))


def aspect(words: Lexicon, chance: random.Random) -> Item:
    """Already, not yet, still, no longer."""
    who, thing = words.agents(chance, 1)[0], f"the {chance.choice(words.things)}"
    verb = chance.choice(words.on_things)
    has, not_yet = f"{who} has already {verb.participle} {thing}", f"{who} has not {verb.participle} {thing} yet"
    still = f"{who} still has to {verb.plain} {thing}"
    goes_on, stopped = f"{who} is still {verb.progressive} {thing}", f"{who} is no longer {verb.progressive} {thing}"
    ended = f"{who} has stopped {verb.progressive} {thing}"
    cases = (
        (has, (f"{thing} has already been {verb.participle} by {who}", SAME), (not_yet, OPPOSED)),
        (not_yet, (still, SAME), (has, OPPOSED)),
        (goes_on, (f"{who} has not stopped {verb.progressive} {thing}", SAME), (stopped, OPPOSED)),
        (stopped, (ended, SAME), (goes_on, OPPOSED)),
    )
    anchor, *others = chance.choice(cases)
    return Item("aspect", said(anchor), tuple((said(text), relation) for text, relation in others))
