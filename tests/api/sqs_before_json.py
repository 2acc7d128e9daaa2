"""A model of the Simple Queue Service as botocore had it before 2023: forms, answered in XML.

It is made from today's, which says the same but for the names of what is repeated.
"""

import botocore.loaders
import msgspec

VERSION = "2012-11-05"
_ITEMS = {
    "AttributeNameList": "AttributeName",
    "MessageAttributeNameList": "MessageAttributeName",
    "MessageSystemAttributeList": "MessageSystemAttributeName",
    "QueueUrlList": "QueueUrl",
}
_MAPPINGS = {"Attributes": "Attribute", "MessageAttributes": "MessageAttribute"}


def loader(folder):
    """Return what loads that model for a session, given a folder to write it into."""
    model = botocore.loaders.Loader().load_service_model("sqs", "service-2", VERSION)
    metadata = model["metadata"]
    for name in ("protocols", "targetPrefix", "jsonVersion", "awsQueryCompatible"):
        metadata.pop(name, None)
    metadata |= {"protocol": "query", "xmlNamespace": f"http://queue.amazonaws.com/doc/{VERSION}/"}
    shapes = model["shapes"]
    for name, shape in shapes.items():
        if shape["type"] == "list":
            shape["member"]["locationName"] = _ITEMS.get(name, shape["member"]["shape"])
        if shape["type"] == "map":
            shape["key"]["locationName"], shape["value"]["locationName"] = "Name", "Value"
        for member, reference in shape.get("members", {}).items():
            if member in _MAPPINGS:
                reference["locationName"] = _MAPPINGS[member]
    shapes["QueueDoesNotExist"]["error"] = {"code": "AWS.SimpleQueueService.NonExistentQueue"}
    for name, operation in model["operations"].items():
        if "output" in operation:
            operation["output"]["resultWrapper"] = f"{name}Result"
    place = folder / "sqs" / VERSION
    place.mkdir(parents=True)
    (place / "service-2.json").write_bytes(msgspec.json.encode(model))
    return botocore.loaders.create_loader(str(folder))
