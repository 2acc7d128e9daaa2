"""Records that have grown, or lost fields, since samples of them were made."""

OF_BUCKETS = {"object_lock", "tags"}
"""Fields that no release has set; both are documents."""


def as_then(now, then):
    """Return what a record says now as the sample spells it: without fields that came later and are empty, with those
    that are gone.

    A later field needs no new format if its default says what was true without it.
    """
    if isinstance(now, dict) and isinstance(then, dict):
        if "versioning" in now:
            now = now | {name: then[name] for name in OF_BUCKETS & then.keys()}
        return {name: as_then(it, then.get(name)) for name, it in now.items() if name in then or it}
    if isinstance(now, list) and isinstance(then, list) and len(now) == len(then):
        return [as_then(*pair) for pair in zip(now, then, strict=True)]
    return now
