"""Records that have grown since samples of them were made."""


def as_then(now, then):
    """Return what a record says now as the sample spells it: without fields that came later and are empty.

    A later field needs no new format if its default says what was true without it.
    """
    if isinstance(now, dict) and isinstance(then, dict):
        return {name: as_then(it, then.get(name)) for name, it in now.items() if name in then or it}
    if isinstance(now, list) and isinstance(then, list) and len(now) == len(then):
        return [as_then(*pair) for pair in zip(now, then, strict=True)]
    return now
