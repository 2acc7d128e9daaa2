"""``python -m s3ish``, and the console script."""

from s3ish.cli import main

if __name__ == "__main__":
    main()
