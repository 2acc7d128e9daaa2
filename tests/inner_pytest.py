"""Running tests in another pytest, which knows the plugin of s3ish and no other one."""

import os
import subprocess
import sys


def run_pytest(folder, *names, environment=os.environ, **variables):
    """Run the tests of a folder, or those files of it; return what ended.

    Args:
        environment: what is in its environment, beside ``variables``.
    """
    plugin = ("-p", "s3ish.pytest_plugin", "-c", os.devnull, "--rootdir", folder)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugin, *(names or (folder,))],
        env={**environment, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **variables},
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
