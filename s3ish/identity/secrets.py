"""Secret keys at rest: encrypted under the master key, or, where there is none, as they are.

They cannot be hashed, as passwords are: a signature is checked by computing it.
"""

from s3ish.objects.encodings.keyring import Keyring

_SEALED, _PLAIN = "sealed", "plain"


class Secrets:
    """Makes the texts that records keep of secret keys, and reads them.

    Args:
        keyring: encrypts; None if there is no master key.
    """

    def __init__(self, keyring: Keyring | None) -> None:
        self._keyring = keyring

    @property
    def are_encrypted(self) -> bool:
        """Whether secret keys are encrypted at rest."""
        return self._keyring is not None

    def keep(self, access_key: str, secret_key: str) -> str:
        """Return what a record says of the secret key of an access key."""
        if self._keyring is None:
            return f"{_PLAIN}:{secret_key}"
        sealed = self._keyring.seal(secret_key.encode(), _bound(access_key))
        return f"{_SEALED}:{self._keyring.first}:{sealed}"

    def reveal(self, access_key: str, kept: str) -> str:
        """Return the secret key. Raises ValueError if the master key is missing, or the text was changed."""
        kind, _, text = kept.partition(":")
        if kind == _PLAIN:
            return text
        name, colon, sealed = text.partition(":")
        if kind != _SEALED or not colon:
            raise ValueError("it is not what a secret key is kept as")
        if self._keyring is None:
            raise ValueError("the settings have no master key")
        return self._keyring.unseal(name, sealed, _bound(access_key)).decode()

    def is_as_new(self, kept: str) -> bool:
        """Whether ``keep`` would do the same now: encrypt with the first key, or not encrypt."""
        beginning = _PLAIN if self._keyring is None else f"{_SEALED}:{self._keyring.first}"
        return kept.startswith(f"{beginning}:")


def _bound(access_key: str) -> bytes:
    """What a sealed secret is, so that it cannot be put in the place of another one."""
    return b"s3ish secret key 1 of " + access_key.encode()
