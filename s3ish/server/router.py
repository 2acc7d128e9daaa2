"""Which operation a request is: by method, by what it names, by query keys, by one header."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from s3ish.api.operation import Operation
from s3ish.api.subresources import NOT_OF_KEYS, OF_BUCKET_AT_KEYS, check_of_key, check_together, type_of
from s3ish.errors import AccessDenied, InvalidArgument, MethodNotAllowed

_OF_OBJECTS = frozenset(("partNumber", "uploadId"))
"""Parts of objects that a request about a bucket can name by mistake: it is not about the bucket as a whole."""
_OF_OTHERS = {"service": frozenset[str](), "bucket": _OF_OBJECTS, "object": OF_BUCKET_AT_KEYS | NOT_OF_KEYS}


class Router:
    """A table from method and level to candidates, the most specific first."""

    def __init__(self, catalogue: Iterable[Operation]) -> None:
        self._plain: dict[tuple[str, str], list[tuple[Operation, frozenset[str]]]] = {}
        self._keyed: dict[tuple[str, str], list[tuple[Operation, frozenset[str]]]] = {}
        operations = sorted(catalogue, key=_specificity, reverse=True)
        self._parts = {
            level: frozenset(
                it.query[0][0] for it in operations if it.level == level and it.query[:1] and not it.query[0][1]
            )
            | others
            for level, others in _OF_OTHERS.items()
        }
        resources = frozenset(name for operation in operations for name, value in operation.query[:1] if value is None)
        for operation in operations:
            place = (operation.method, operation.level)
            if operation.query:
                others = self._parts[operation.level].difference(name for name, _ in operation.query)
                self._keyed.setdefault(place, []).append((operation, others))
            else:
                self._plain.setdefault(place, []).append((operation, resources - operation.parameters))
        self.methods = frozenset(method for method, _ in [*self._plain, *self._keyed])

    def route(self, method: str, level: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Operation:
        """Return the operation of a request, at a key that of its bucket if S3 reads the part there too.

        A request that names a part of a bucket or an object (``?acl``) never falls through to the whole.

        Raises:
            MethodNotAllowed: no operation has this method here.
            InvalidArgument: the request is about several parts, or a part of no upload.
            InvalidRequest: it asks a key for what only a bucket has, or a bucket for what only a key has.
            NoLoggingStatusForKey: it asks for the logging of a key.
        """
        named = self._parts[level].intersection(query) if query else frozenset()
        if named:
            check_together(level, named)
        elif query and level == "object" and "annotationName" in query:
            raise InvalidArgument(
                "Unexpected query string parameter", ArgumentName="ResourceType", ArgumentValue="annotationName"
            )
        found = self._find(method, level, query, headers)
        if found:
            return found
        if method in self.methods and level == "object" and "partNumber" in query and "uploadId" not in query:
            raise InvalidArgument(
                "This operation does not accept partNumber without uploadId",
                ArgumentName="partNumber",
                ArgumentValue="partNumber",
            )
        if method == "GET" and level == "object":
            check_of_key(query)
        allowed = [other for other in sorted(self.methods) if self._find(other, level, query, headers)]
        raise MethodNotAllowed(
            Method=method[:32],
            ResourceType=type_of(level, named),
            headers={"allow": ", ".join(allowed)} if allowed else None,
        )

    def _find(self, method: str, level: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Operation | None:
        place = (method, level)
        if query:
            for operation, others in self._keyed.get(place, ()):
                if _selects(operation, query, headers) and others.isdisjoint(query):
                    return operation
        for operation, foreign in self._plain.get(place, ()):
            if (not operation.header or operation.header in headers) and foreign.isdisjoint(query):
                return operation
        if method == "GET" and level == "object" and not OF_BUCKET_AT_KEYS.isdisjoint(query):
            return self._find(method, "bucket", query, headers)
        return None

    def check_covered(
        self, operation: Operation, query: Mapping[str, str], headers: Mapping[str, str], uncovered: AbstractSet[str]
    ) -> None:
        """Refuse an operation that is another one without the query keys that the signature leaves out.

        A client with a presigned URL may add to it what is not signed, and must not come to another action by that.

        Raises:
            AccessDenied: the rest names another action, or none.
        """
        covered = {name: value for name, value in query.items() if name not in uncovered}
        signed = self._find(operation.method, operation.level, covered, headers)
        if signed is None or signed.action != operation.action:
            raise AccessDenied("The signature does not cover the operation. Please use AWS4-HMAC-SHA256.")


def _specificity(operation: Operation) -> tuple[int, int, bool]:
    return (len(operation.query), sum(value is not None for _, value in operation.query), bool(operation.header))


def _selects(operation: Operation, query: Mapping[str, str], headers: Mapping[str, str]) -> bool:
    for name, value in operation.query:
        if name not in query or (value is not None and query[name] != value):
            return False
    return not operation.header or operation.header in headers
