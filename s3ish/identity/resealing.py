"""Secret keys follow the master key: what an older one has encrypted, or none, is encrypted by the one of now."""

from msgspec.structs import replace

from s3ish.identity.directory import Directory
from s3ish.identity.records import AccessKey, UserRecord
from s3ish.identity.registry import Registry, Replace
from s3ish.identity.secrets import Secrets

PAUSE_SECONDS = 60.0
_AT_ONCE = 50


async def reseal(registry: Registry) -> None:
    """Keep again the secret keys of some users that are not kept as a new one would be. Raises S3Error.

    What cannot be read, because its master key is not among the settings, stays.
    """
    await registry.keep_up()
    old = [user.id for user in registry.directory.all(UserRecord) if _resealed(user, registry.secrets) != user]
    for user_id in old[:_AT_ONCE]:

        def decide(directory: Directory, user_id: str = user_id) -> tuple[Replace | None, None]:
            user = directory.by_id(UserRecord, user_id)
            wanted = user and _resealed(user, registry.secrets)
            return (Replace(wanted) if wanted and wanted != user else None), None

        await registry.change(decide)


def _resealed(user: UserRecord, secrets: Secrets) -> UserRecord:
    if user.fixed or all(secrets.is_as_new(key.secret) for key in user.keys):
        return user
    return replace(user, keys=tuple(_kept(key, secrets) for key in user.keys))


def _kept(key: AccessKey, secrets: Secrets) -> AccessKey:
    if secrets.is_as_new(key.secret):
        return key
    try:
        return replace(key, secret=secrets.keep(key.id, secrets.reveal(key.id, key.secret)))
    except ValueError:
        return key
