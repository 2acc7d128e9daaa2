"""s3ish in a container that a test starts, for testcontainers.

    with S3ishContainer() as container:
        s3 = boto3.client("s3", **container.server.client_arguments)

https://testcontainers-python.readthedocs.io/
"""

from collections.abc import Sequence
from typing import Any

from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import HttpWaitStrategy

from s3ish.testing.running import Running

PORT = 9000


class S3ishContainer(DockerContainer):
    """A container of the profile for tests.

    Args:
        image: one that was built from the project's Dockerfile.
        access_key, secret_key: the root user's keys.
        buckets: made before it serves: ``name[:public][:versioned][:lock]``.
        token: of the test controls, which are asked from outside the container.
        options: those of ``DockerContainer``.
    """

    def __init__(
        self,
        image: str = "s3ish:test",
        *,
        access_key: str = "test",
        secret_key: str = "test",  # noqa: S107 - of the profile for tests
        buckets: Sequence[str] = (),
        token: str = "controls",  # noqa: S107 - as above
        **options: Any,
    ) -> None:
        super().__init__(image, **options)
        self._keys, self._token = (access_key, secret_key), token
        self.with_command("serve --test")
        self.with_exposed_ports(PORT)
        variables = {
            "S3ISH_ACCESS_KEY": access_key,
            "S3ISH_SECRET_KEY": secret_key,
            "S3ISH_ALLOW_WELL_KNOWN_KEYS": "true",
            "S3ISH_TEST_TOKEN": token,
        }
        if buckets:
            variables["S3ISH_DEFAULT_BUCKETS"] = buckets if isinstance(buckets, str) else ",".join(buckets)
        for name, value in variables.items():
            self.with_env(name, value)
        self.waiting_for(HttpWaitStrategy(PORT, "/-/ready"))

    @property
    def server(self) -> Running:
        """The server in it, once it has started."""
        endpoint = f"http://{self.get_container_host_ip()}:{self.get_exposed_port(PORT)}"
        return Running(endpoint, *self._keys, token=self._token)
