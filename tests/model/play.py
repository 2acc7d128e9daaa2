"""Rules of a machine, and random sequences of them from a seed.

A sequence that fails is tried again without what it does not need to fail, and told.
"""

import random
from collections import Counter
from contextlib import suppress

STEPS = 60
TRIES = 200
"""How many shorter sequences are tried of one that fails."""
OFTEN = 0.7
"""How many of its rules a sequence uses, so that each sequence goes deep into some."""


def rule(needs=lambda machine: True, **draws):
    """Make a method one of the rules.

    Args:
        needs: tells whether it makes sense now, given the machine.
        draws: of what its arguments are drawn: a sequence, or a function of a ``random.Random``.
    """

    def mark(method):
        method.rule = needs, draws
        return method

    return mark


def draw(choose, source):
    """Draw a value."""
    return source(choose) if callable(source) else choose.choice(source)


def each(*sources):
    """Return a source of tuples with a value of each source."""
    return lambda choose: tuple(draw(choose, source) for source in sources)


def subset(*items, least=0):
    """Return a source of sets with some of the items."""
    return lambda choose: set(choose.sample(items, choose.randint(least, len(items))))


def mapping(keys, values):
    """Return a source of dictionaries with some of the keys."""
    return lambda choose: {key: draw(choose, values) for key in sorted(subset(*keys)(choose))}


def rules_of(kind):
    """Return the names of the rules of a machine."""
    return [name for name in sorted(dir(kind)) if hasattr(getattr(kind, name), "rule")]


def play(kind, seed, told=None):
    """Play a sequence on a new machine of a kind.

    Args:
        told: counts which rules were played.

    Raises:
        AssertionError: store and model differ; the text says after which sequence.
    """
    choose = random.Random(f"{kind.__name__} {seed}")
    names = [name for name in rules_of(kind) if choose.random() < OFTEN]
    history = []

    def go_on(machine):
        for _ in range(STEPS):
            possible = [name for name in names if getattr(machine, name).rule[0](machine)]
            name = choose.choice(possible or rules_of(kind))
            arguments = {it: draw(choose, source) for it, source in getattr(machine, name).rule[1].items()}
            history.append((name, arguments))
            getattr(machine, name)(**arguments)

    try:
        run(kind, go_on)
    except Exception as error:
        needed = shortened(kind, history)
        lines = "\n".join(f"  {name}({arguments})" for name, arguments in needed)
        raise AssertionError(f"{kind.__name__}, seed {seed}: {error!r} after\n{lines}") from error
    finally:
        if told is not None:
            told.update(Counter(name for name, _ in history))


def run(kind, steps):
    """Make a machine, do steps with it and all that is looked at in the end."""
    machine = kind()
    try:
        steps(machine)
        machine.finish()
    finally:
        machine.close()


def shortened(kind, history):
    """Return a sequence that fails, too, without steps that it does not need."""
    tries, length = 0, len(history) // 2
    while length and tries < TRIES:
        start = 0
        while start < len(history) and tries < TRIES:
            shorter = history[:start] + history[start + length :]
            tries += 1
            if fails(kind, shorter):
                history = shorter
            else:
                start += length
        length //= 2
    return history


def fails(kind, history):
    """Tell whether a sequence fails."""

    def again(machine):
        for name, arguments in history:
            if getattr(machine, name).rule[0](machine):
                getattr(machine, name)(**arguments)

    with suppress(Exception):
        run(kind, again)
        return False
    return True
