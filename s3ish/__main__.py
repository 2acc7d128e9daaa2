"""``python -m s3ish``, and the console script."""

import gc

# Before the imports: they make a hundred thousand objects that stay, and no garbage; to look through them again and
# again would be an eighth of the start. Afterwards requests make little that only the collector finds.
gc.set_threshold(20_000, 50, 50)

from s3ish.cli.main import main  # noqa: E402

if __name__ == "__main__":
    main()
