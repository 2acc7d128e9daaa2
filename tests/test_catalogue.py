"""The catalogue held against AWS's own model of the API, as botocore carries it.

What the model has and the server does not is listed here by name; an entry that is no longer a gap fails the test.
"""

import gzip
import json
import sys
import types
from pathlib import Path

import botocore
import pytest

from s3ish.api.catalogue import catalogue, declared_in
from s3ish.wire.shape import wire

FOLDER = Path(botocore.__file__).parent / "data/s3/2006-03-01"
OPERATIONS = {operation.name: operation for operation in catalogue()}
BUILT = [operation.name for operation in catalogue() if operation.supported]

NOT_IN_THE_MODEL = {"PostObject"}  # the browser's form upload is documented but not modelled
SUPERSEDED = {
    "GetBucketLifecycle",  # these six share method and path with the operations that replaced them
    "GetBucketNotification",
    "PutBucketLifecycle",
    "PutBucketNotification",
}

KNOWN_GAPS = {
    "the pipeline adds it to every answer that is charged": {"RequestCharged"},
    "no object of INTELLIGENT_TIERING goes to an archive tier": {"ArchiveStatus"},
    "no restore runs a query": {"RestoreOutputPath"},
    "annotations are replicated with their object alone": {"Annotations.ReplicationStatus"},
    "only directory buckets have it": {"BucketLocationName", "BucketLocationType"},
    "only said in an error, as a header of it": {"DeleteMarker"},
    "metadata comes from HTTP headers alone, so none is ever missing": {"MissingMeta"},
    "no tables are made, so none has an ARN": {
        f"GetBucketMetadataConfigurationResult.MetadataConfigurationResult.{table}TableConfigurationResult.TableArn"
        for table in ("Annotation", "Inventory", "Journal")
    },
    "uploads are not versioned": {"VersionId", "Uploads.VersionId"},
    "the root element is the member itself": {"LocationConstraint"},
}
"""Members of responses that are not written, by the reason."""

REFUSED_WHOLE = ("RestoreObject.RestoreRequest.SelectParameters.", "RestoreObject.RestoreRequest.OutputLocation.")
"""Structures of requests that are refused whatever they say, so that nothing in them is read."""


def model():
    packed = FOLDER / "service-2.json.gz"
    return json.loads(
        gzip.decompress(packed.read_bytes()) if packed.exists() else (FOLDER / "service-2.json").read_bytes()
    )


MODEL = model()
SHAPES = MODEL["shapes"]


def members(name, place, *, payload):
    """Yield a path and the place on the wire of every member of a structure, following the payload."""
    shape = SHAPES[name]
    for member, reference in shape["members"].items():
        location = reference.get("location")
        if location:
            yield member, ({"querystring": "query", "uri": "label"}.get(location, location), reference["locationName"])
        elif member == shape.get("payload"):
            inner = SHAPES[reference["shape"]]
            if inner["type"] == "structure" and not inner.get("eventstream"):
                yield from nested(reference["shape"], member, ())
            else:
                yield member, ("stream", "")
        elif payload:
            yield from element(member, reference, member, ())


def nested(name, path, seen):
    for member, reference in SHAPES[name]["members"].items():
        yield from element(member, reference, f"{path}.{member}", (*seen, name))


def element(member, reference, path, seen):
    inner = SHAPES[reference["shape"]]
    tag = reference.get("locationName", member).rpartition(":")[2]
    if inner["type"] == "list":
        item = inner["member"]
        flattened = reference.get("flattened") or inner.get("flattened")
        tag = tag if flattened else item.get("locationName", "member")
        yield path, ("elements", tag)
        inner_name = item["shape"]
    else:
        yield path, ("element", tag)
        inner_name = reference["shape"]
    if SHAPES[inner_name]["type"] == "structure" and inner_name not in seen:
        yield from nested(inner_name, path, seen)


def declared(kind):
    """Return every place on the wire that a shape reads or writes, nested ones included."""
    found = set()
    if kind is None:
        return found
    found |= {(unread.place, name) for unread in wire(kind).unread for name in unread.names}
    for spec, hint in wire(kind).specs.values():
        place = {"text": "element", "attribute": "element", "document": "stream"}.get(spec.place, spec.place)
        found.add((place, spec.name.rpartition("}")[2]))
        inner = getattr(hint, "__args__", (hint,))[0]
        if hasattr(inner, "__wire__"):
            found |= declared(inner)
    return found


@pytest.mark.parametrize("name", BUILT)
def test_every_shape_compiles(name):
    """Shapes are compiled when they are first needed: a mistake in one must not wait for the first request."""
    operation = OPERATIONS[name]
    assert callable(wire(operation.request).read_request)
    if operation.response:
        compiled = wire(operation.response)
        assert callable(compiled.write_headers)
        inner = compiled.specs[compiled.body_field][1] if compiled.body_field else operation.response
        assert callable(wire(inner).write_content)
    if body := wire(operation.request).body_field:
        assert callable(wire(wire(operation.request).specs[body][1]).read_element)


def gaps(side):
    missing = set()
    for name in BUILT:
        if name in NOT_IN_THE_MODEL:
            continue
        reference = MODEL["operations"][name].get(side)
        if reference is None:
            continue
        kind = OPERATIONS[name].request if side == "input" else OPERATIONS[name].response
        there = declared(kind)
        for path, place in members(reference["shape"], side, payload=True):
            if place not in there:
                missing.add(f"{name}.{path}")
    return missing


def test_the_catalogue_has_every_operation_of_the_model_and_no_other():
    names = set(MODEL["operations"]) - SUPERSEDED
    assert set(OPERATIONS) - NOT_IN_THE_MODEL == names


def test_a_new_file_adds_its_operations(tmp_path, monkeypatch):
    (tmp_path / "newly_written.py").write_text(
        "from s3ish.api.operation import unsupported\n"
        "from s3ish.api.put import put_object\n"
        "ONE = unsupported('One', 'GET /{Bucket}?one')\n"
        "FAMILY = (unsupported('Two', 'GET /{Bucket}?two'), unsupported('Three', 'PUT /{Bucket}?two'))\n"
    )
    package = types.ModuleType("newly_made")
    package.__path__ = [str(tmp_path)]
    monkeypatch.setitem(sys.modules, "newly_made", package)
    assert [operation.name for operation in declared_in(package)] == ["PutObject", "One", "Two", "Three"]
    assert [operation.name for operation in catalogue()].count("PutObject") == 1
    monkeypatch.delitem(sys.modules, "newly_made.newly_written")


def test_no_operation_is_declared_twice():
    names = [operation.name for operation in catalogue()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - NOT_IN_THE_MODEL))
def test_each_operation_has_the_route_of_the_model(name):
    http, operation = MODEL["operations"][name]["http"], OPERATIONS[name]
    path, _, query = http["requestUri"].partition("?")
    assert operation.method == http["method"]
    assert operation.route.split(" ")[1].partition("?")[0] == path
    wanted = {pair.partition("=")[0] for pair in query.split("&") if pair} - {"x-id"}
    assert {key for key, _ in operation.query} - {"x-id"} >= wanted


def test_every_member_of_a_request_in_the_model_is_read():
    assert {name for name in gaps("input") if not name.startswith(REFUSED_WHOLE)} == set()


def test_every_member_of_a_response_in_the_model_is_written_or_a_known_gap():
    missing = {name.partition(".")[2] for name in gaps("output")}
    assert missing == set().union(*KNOWN_GAPS.values())


def test_a_gap_is_found():
    assert ("header", "x-amz-request-charged") not in declared(OPERATIONS["PutObject"].response)
    assert ("header", "ETag") in declared(OPERATIONS["PutObject"].response)
