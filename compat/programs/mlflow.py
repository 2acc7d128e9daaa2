"""MLflow: runs with artifacts and a model, written past its server and through it, in parts too, read back, removed."""

import contextlib
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import mlflow
from mlflow.artifacts import download_artifacts

LARGE = random.Random("large").randbytes(30 << 20)
START_SECONDS = 120
PARTS = {
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "true",
    "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": str(10 << 20),
    "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE": str(6 << 20),
}


class Upper(mlflow.pyfunc.PythonModel):
    """A model that says it louder."""

    def predict(self, model_input: list[str]) -> list[str]:
        """Return the words in capitals."""
        return [word.upper() for word in model_input]


def run_with(folder: Path) -> str:
    """Make a run with artifacts and a model; compare what comes back, and return where it is."""
    (folder / "deep ä").mkdir(exist_ok=True)
    (folder / "deep ä" / "small.txt").write_text("small")
    (folder / "large").write_bytes(LARGE)
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(folder), "files")
        mlflow.log_dict({"a": 1}, "settings.json")
        model = mlflow.pyfunc.log_model(name="model", python_model=Upper(), pip_requirements=["mlflow"])
    there = Path(download_artifacts(run_id=run.info.run_id, artifact_path="files"))
    assert (there / "large").read_bytes() == LARGE, "other bytes came back"
    assert (there / "deep ä" / "small.txt").read_text() == "small"
    assert mlflow.artifacts.load_dict(f"{run.info.artifact_uri}/settings.json") == {"a": 1}
    assert mlflow.pyfunc.load_model(model.model_uri).predict(["word"]) == ["WORD"]
    client = mlflow.MlflowClient()
    listed = {each.path for each in client.list_artifacts(run.info.run_id, "files")}
    assert listed == {"files/deep ä", "files/large"}, listed
    return run.info.run_id


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Have its server keep artifacts in the bucket until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    place = ["--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination"]
    words = [*place, f"s3://{os.environ['BUCKET']}/served", "--port", str(port), "--workers", "1"]
    own = PARTS | {"MLFLOW_S3_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"]}
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *words], env=os.environ | own, stdout=log, stderr=log
        )
        try:
            deadline = time.monotonic() + START_SECONDS
            while not answers(f"http://127.0.0.1:{port}/health"):
                assert process.poll() is None, (folder / "server.log").read_text()[-600:]
                assert time.monotonic() < deadline, "the server does not start"
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def answers(address: str) -> bool:
    """Return whether a server says that it is well."""
    try:
        with urllib.request.urlopen(address) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def main() -> None:
    """Make a run whose artifacts go straight to the bucket, and one whose artifacts go through a server."""
    bucket = os.environ["BUCKET"]
    os.environ |= PARTS | {"MLFLOW_S3_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"]}
    with tempfile.TemporaryDirectory() as name:
        folder, files = Path(name), Path(name, "files")
        files.mkdir()
        mlflow.set_tracking_uri(f"sqlite:///{folder}/own.db")
        mlflow.set_experiment(experiment_id=mlflow.create_experiment("own", f"s3://{bucket}/own"))
        first = run_with(files)
        with serve(folder) as address:
            mlflow.set_tracking_uri(address)
            mlflow.set_experiment("served")
            run_with(files)
        mlflow.set_tracking_uri(f"sqlite:///{folder}/own.db")
        mlflow.MlflowClient().delete_run(first)
        collect = [sys.executable, "-m", "mlflow", "gc", "--backend-store-uri", f"sqlite:///{folder}/own.db"]
        subprocess.run(collect, check=True, capture_output=True)
    left = boto3.client("s3").list_objects_v2(Bucket=bucket, Prefix=f"own/{first}/")
    assert left["KeyCount"] == 0, left
    assert "Uploads" not in boto3.client("s3").list_multipart_uploads(Bucket=bucket), "an upload was left open"
    print("2 runs with artifacts and a model")


if __name__ == "__main__":
    main()
