"""Shapes: declared once, written and read back the same, and nothing else let in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3ish.errors import InvalidArgument, MalformedXML, MissingRequestBodyError
from s3ish.wire import shape as shapes
from s3ish.wire.fields import (
    Rows,
    attribute,
    body,
    element,
    elements,
    elsewhere,
    group,
    header,
    headers,
    ignored,
    label,
    query,
    rows,
    status,
    stream,
)
from s3ish.wire.fields import text as text_of
from s3ish.wire.scalars import EntityTag, Instant
from s3ish.wire.shape import shape
from s3ish.wire.xml import NAMESPACE

XSI = "http://www.w3.org/2001/XMLSchema-instance"
TEXT = st.text(
    st.characters(
        exclude_categories=["Cs"],
        exclude_characters="".join(chr(code) for code in range(32) if chr(code) not in "\t\n\r") + "\ufffe\uffff",
    ),
    max_size=12,
)


@shape
class Tag:
    key: str = element("Key", default=...)
    value: str = element("Value", default=...)


@shape
class Grantee:
    kind: str | None = attribute(f"{{{XSI}}}type")
    id: str | None = element("ID")


@shape(root="Everything")
class Everything:
    name: str = element("Name", default=...)
    count: int | None = element("Count")
    flag: bool | None = element("Flag")
    moment: Instant | None = element("Moment")
    state: str | None = element("State", choices=("On", "Off"))
    tag: Tag | None = element("Tag")
    grantee: Grantee | None = element("Grantee")
    colours: list[str] = elements("Colour")
    numbers: list[int] = elements("Number", wrapper="Numbers")
    tags: list[Tag] = elements("Member", wrapper="TagSet")


@shape
class Request:
    bucket: str = label("Bucket")
    limit: int = query("max-keys", default=1000)
    quiet: bool | None = query("quiet")
    kind: str | None = query("encoding-type", choices=("url",))
    since: Instant | None = header("If-Modified-Since")
    storage: str | None = header("x-amz-storage-class", choices=("STANDARD", "GLACIER"))
    metadata: dict[str, str] = headers("x-amz-meta-")


@shape
class DocumentRequest:
    document: Everything = body("Everything")


@shape
class OptionalRequest:
    document: Everything | None = body("Everything", required=False)


@shape
class Response:
    code: int = status(200)
    etag: str | None = header("ETag")
    moment: Instant | None = header("Last-Modified")
    count: int | None = header("x-amz-mp-parts-count")
    flag: bool | None = header("x-amz-delete-marker")
    metadata: dict[str, str] = headers("x-amz-meta-")
    content: object = stream()


@shape(root="Page")
class Page:
    encoding_type: str | None = element("EncodingType")
    prefix: str | None = element("Prefix", url=True)
    keys: list[str] = elements("Key", url=True)


@shape
class Row:
    key: str = element("Key", default=..., url=True)
    tag: EntityTag = element("ETag", default=...)
    moment: Instant | None = element("Moment")
    owner: Tag | None = element("Owner")
    colours: list[str] = elements("Colour")


@shape
class Prefix:
    prefix: str = element("Prefix", default=..., url=True)


@shape(root="Table")
class Table:
    encoding_type: str | None = element("EncodingType")
    found: Rows[Row] = rows("Row")
    prefixes: Rows[Prefix] = rows("CommonPrefixes")


@shape(root="Location")
class Location:
    region: str = text_of()


@shape
class Enclosing:
    result: Everything | None = body("Result")


def read(inner, root="Everything", namespace=f' xmlns="{NAMESPACE}"'):
    return shapes.read_document(Everything, f"<{root}{namespace}>{inner}</{root}>".encode())


NAME = "<Name>n</Name>"
TAGS = st.builds(Tag, key=TEXT, value=TEXT)
VALUES = st.builds(
    Everything,
    name=TEXT,
    count=st.none() | st.integers(-(10**18), 10**18),
    flag=st.none() | st.booleans(),
    moment=st.none() | st.integers(0, 4 * 10**12).map(lambda number: number * 1_000_000),
    state=st.sampled_from([None, "On", "Off"]),
    tag=st.none() | TAGS,
    grantee=st.none() | st.builds(Grantee, kind=TEXT.filter(bool), id=st.none() | TEXT),
    colours=st.lists(TEXT, max_size=3),
    numbers=st.lists(st.integers(0, 10), max_size=3),
    tags=st.lists(TAGS, max_size=3),
)


# case 129
@given(VALUES)
def test_what_is_written_is_read_back(value):
    assert shapes.read_document(Everything, shapes.write_document(value, "Everything")) == value


@shape
class Sealed:
    """A structure with a value that must not be shown."""

    name: str = header("x-name", default="")
    key: str | None = header("x-key", secret=True)


def test_a_secret_is_not_shown():
    assert repr(Sealed(name="a", key="the key")) == "Sealed(name='a', key=Ellipsis)"
    assert repr(Sealed(name="a")) == "Sealed(name='a', key=None)"


def test_a_structure_equals_its_like_and_shows_its_fields():
    assert Tag(key="a", value="b") == Tag(key="a", value="b") != Tag(key="a", value="c")
    assert Tag(key="a", value="b") != ("a", "b")
    assert repr(Tag(key="a", value="b")) == "Tag(key='a', value='b')"


def test_what_a_document_looks_like():
    value = Everything(name="a<b", count=1, flag=True, moment=Instant(0), colours=["x", "y"], numbers=[1])
    assert shapes.write_document(value, "Root").decode() == (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Root xmlns="{NAMESPACE}"><Name>a&lt;b</Name><Count>1</Count>'
        "<Flag>true</Flag><Moment>1970-01-01T00:00:00.000Z</Moment><Colour>x</Colour><Colour>y</Colour>"
        "<Numbers><Number>1</Number></Numbers><TagSet></TagSet></Root>"
    )


def test_the_attribute_of_a_grantee():
    value = Everything(name="", grantee=Grantee(kind='a"b'))
    assert f'<Grantee xmlns:xsi="{XSI}" xsi:type="a&quot;b"></Grantee>' in shapes.write_document(value, "R").decode()


@pytest.mark.parametrize("namespace", [f' xmlns="{NAMESPACE}"', "", f' xmlns:x="{NAMESPACE}"', ' xmlns=""'])
def test_with_and_without_a_namespace(namespace):
    assert read(NAME, namespace=namespace).name == "n"


def test_order_and_white_space_do_not_matter():
    found = read("\n <Count> 5 </Count>\n<!-- x --><Colour>a</Colour> <Name>n</Name><Colour> b</Colour>\n")
    assert found == Everything(name="n", count=5, colours=["a", " b"])


# case 128
@pytest.mark.parametrize(
    "inner",
    [
        "",
        NAME + NAME,
        NAME + "<Unknown/>",
        NAME + "<name>n</name>",
        NAME + "<Count>x</Count>",
        NAME + "<Count>1.5</Count>",
        NAME + "<Count></Count>",
        NAME + "<Count>99999999999999999999</Count>",
        NAME + "<Count><Deeper>1</Deeper></Count>",
        NAME + "<Flag>maybe</Flag>",
        NAME + "<Moment>yesterday</Moment>",
        NAME + "<Moment>99999-01-01T00:00:00Z</Moment>",
        NAME + "<State>on</State>",
        NAME + "<State></State>",
        NAME + "<Tag><Key>k</Key></Tag>",
        NAME + "<Tag><Key>k</Key><Value>v</Value><Value>v</Value></Tag>",
        NAME + "<Tag>text</Tag>",
        NAME + "<TagSet><Other/></TagSet>",
        NAME + "<TagSet/><TagSet/>",
        NAME + "<Member><Key>k</Key><Value>v</Value></Member>",
        NAME + "stray text",
        "<Name><![CDATA[n]]><b/></Name>",
    ],
)
def test_wrong_documents(inner):
    with pytest.raises(MalformedXML):
        read(inner)


@pytest.mark.parametrize("root", ["Other", "everything", "EverythingElse"])
def test_another_root(root):
    with pytest.raises(MalformedXML):
        read(NAME, root=root)


@given(st.text(max_size=60))
def test_any_content_is_read_or_refused(inner):
    try:
        assert isinstance(read(inner), Everything)
    except MalformedXML:
        return


# --- requests --------------------------------------------------------------------------------------------------------


def request(query_=None, headers_=None):
    return shapes.wire(Request).read_request({"Bucket": "b"}, query_ or {}, headers_ or {})


def test_a_request_takes_each_field_from_its_place():
    found = request(
        {"max-keys": "5", "quiet": "true", "encoding-type": "url", "other": "x"},
        {
            "if-modified-since": "Thu, 01 Jan 1970 00:00:01 GMT",
            "x-amz-storage-class": "GLACIER",
            "x-amz-meta-a": "1",
            "x-amz-meta-b": "2",
            "max-keys": "7",
        },
    )
    assert found == Request(
        bucket="b",
        limit=5,
        quiet=True,
        kind="url",
        since=Instant(10**9),
        storage="GLACIER",
        metadata={"a": "1", "b": "2"},
    )


def test_defaults():
    assert request() == Request(bucket="b")
    assert request().limit == 1000


# case 126
@pytest.mark.parametrize(
    ("query_", "headers_"),
    [
        ({"max-keys": "a"}, {}),
        ({"max-keys": ""}, {}),
        ({"max-keys": "1e3"}, {}),
        ({"max-keys": "9" * 5000}, {}),
        ({"quiet": "1"}, {}),
        ({"encoding-type": "URL"}, {}),
        ({"encoding-type": ""}, {}),
        ({}, {"if-modified-since": "yesterday"}),
        ({}, {"x-amz-storage-class": "standard"}),
    ],
)
def test_wrong_parameters(query_, headers_):
    with pytest.raises(InvalidArgument) as caught:
        request(query_, headers_)
    assert len(str(caught.value.details["ArgumentValue"])) <= 256
    assert caught.value.details["ArgumentName"] in [*query_, *headers_, "If-Modified-Since"]


def test_bodies():
    document = b"<Everything><Name>n</Name></Everything>"
    for cls in (DocumentRequest, OptionalRequest):
        assert shapes.wire(cls).read_request({}, {}, {}, document).document.name == "n"
        with pytest.raises(MalformedXML):
            shapes.wire(cls).read_request({}, {}, {}, b"<Other/>")
    assert shapes.wire(OptionalRequest).read_request({}, {}, {}).document is None
    with pytest.raises(MissingRequestBodyError):
        shapes.wire(DocumentRequest).read_request({}, {}, {})


# --- responses -------------------------------------------------------------------------------------------------------


def test_headers_and_stream_of_a_response():
    async def flow():
        yield b"x"

    source = flow()
    written = shapes.write(
        Response(code=206, etag='"e"', moment=Instant(0), count=3, flag=False, metadata={"a": "1"}, content=source),
        200,
    )
    assert written.status == 206
    assert written.headers == [
        ("etag", '"e"'),
        ("last-modified", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("x-amz-mp-parts-count", "3"),
        ("x-amz-delete-marker", "false"),
        ("x-amz-meta-a", "1"),
    ]
    assert written.flow is source
    assert written.body == b""


def test_a_response_with_content_is_a_document():
    written = shapes.write(Everything(name="n"), 200)
    assert written.status == 200
    assert shapes.read_document(Everything, written.body).name == "n"
    assert written.headers == [("content-type", "application/xml")]


def test_a_response_whose_body_is_one_structure():
    written = shapes.write(Enclosing(result=Everything(name="n")), 201)
    assert written.status == 201
    assert shapes.read_document(Everything, written.body, "Result").name == "n"
    assert shapes.write(Enclosing(result=None), 204).body == b""


def test_the_text_of_a_root():
    assert shapes.write_document(Location(region="a&b"), "Location").endswith(b">a&amp;b</Location>")


# case 40
@pytest.mark.parametrize(("encoding", "key"), [(None, "a b/&#1;&amp;"), ("url", "a%20b/%01%26")])
def test_keys_are_encoded_where_the_client_asks(encoding, key):
    document = shapes.write_document(Page(encoding_type=encoding, prefix="a b/\x01&", keys=["a b/\x01&"]), "Page")
    assert f"<Prefix>{key}</Prefix><Key>{key}</Key>" in document.decode()


# case 40
@pytest.mark.parametrize(("encoding", "key"), [(None, "a b/&#1;&amp;"), ("url", "a%20b/%01%26")])
def test_rows_are_written_as_structures_are(encoding, key):
    name = "a b/\x01&"
    found = [(name, "0a-1", None, None, ()), ("k", "0b", Instant(0), Tag(key="<", value="v"), ["x", "y"])]
    document = shapes.write_document(Table(encoding_type=encoding, found=found, prefixes=[(name,)]), "Table").decode()
    assert document.endswith(
        f"<Row><Key>{key}</Key><ETag>&quot;0a-1&quot;</ETag></Row>"
        "<Row><Key>k</Key><ETag>&quot;0b&quot;</ETag><Moment>1970-01-01T00:00:00.000Z</Moment>"
        "<Owner><Key>&lt;</Key><Value>v</Value></Owner><Colour>x</Colour><Colour>y</Colour></Row>"
        f"<CommonPrefixes><Prefix>{key}</Prefix></CommonPrefixes></Table>"
    )
    assert shapes.write_document(Table(), "Table").decode().endswith(f'<Table xmlns="{NAMESPACE}"></Table>')


# --- groups, and what is not read -------------------------------------------------------------------------------------


@shape
class Sum:
    small: str | None = header("x-sum-small")
    large: int | None = header("x-sum-large")
    chosen: str | None = query("sum", choices=("a", "b"))


@shape
class GroupedRequest:
    name: str | None = header("x-name")
    sum: Sum | None = group()
    old = ignored("x-old", "x-older", because="it is an example", choices=("yes", "no"))
    key = ignored("old", because="it is an example", place="query", choices=("1",))
    size = elsewhere("x-size", where="by the test")


@shape
class SumElements:
    small: str | None = element("Small")
    large: int | None = element("Large")
    several: list[str] = elements("Several")


@shape(root="Grouped")
class Grouped:
    name: str = element("Name", default=...)
    sum: SumElements | None = group()
    last: str | None = element("Last")


@shape
class Encoded:
    encoding_type: str | None = element("EncodingType")
    prefixes: Rows[Prefix] = rows("Prefixes")


@shape
class Prefix:
    prefix: str = element("Prefix", default=..., url=True)


@shape
class EncodedPage:
    key: str = element("Key", default=..., url=True)
    page: Encoded | None = group()


@pytest.mark.parametrize(("kind", "shown"), [("url", "a%26"), (None, "a&amp;")])
def test_how_keys_are_encoded_may_stand_in_a_group(kind, shown):
    page = EncodedPage(key="a&", page=Encoded(encoding_type=kind, prefixes=[("a&",), ("b",)]))
    text = shapes.write_document(page, "Page").decode()
    assert f"<Key>{shown}</Key>" in text
    assert f"<Prefixes><Prefix>{shown}</Prefix></Prefixes><Prefixes><Prefix>b</Prefix></Prefixes></Page>" in text
    assert "<Key>a&amp;</Key></Page>" in shapes.write_document(EncodedPage(key="a&"), "Page").decode()


@shape
class GroupedResponse:
    etag: str | None = header("ETag")
    sum: Sum | None = group()


def read_grouped(query_=None, headers_=None):
    return shapes.wire(GroupedRequest).read_request({}, query_ or {}, headers_ or {})


def test_a_group_of_a_request_is_there_if_one_of_its_fields_is():
    assert read_grouped() == GroupedRequest()
    assert read_grouped({}, {"x-name": "n"}) == GroupedRequest(name="n")
    assert read_grouped({}, {"x-sum-large": "5"}).sum == Sum(large=5)
    assert read_grouped({"sum": "a"}, {"x-sum-small": "s"}).sum == Sum(small="s", chosen="a")
    assert read_grouped().sum is None


@pytest.mark.parametrize(
    ("query_", "headers_"), [({}, {"x-sum-large": "x"}), ({"sum": "c"}, {}), ({"old": "2"}, {}), ({}, {"x-older": ""})]
)
def test_wrong_values_in_a_group_and_of_what_is_not_read(query_, headers_):
    with pytest.raises(InvalidArgument) as caught:
        read_grouped(query_, headers_)
    assert [caught.value.details["ArgumentName"].lower()] == [*query_, *headers_]


def test_what_is_not_read_is_known_by_name_and_has_no_attribute():
    found = read_grouped({"old": "1"}, {"x-old": "yes", "x-older": "no", "x-size": "1"})
    assert vars(found) == {}
    assert not {"old", "key", "size"} & {*dir(found)}
    places = shapes.wire(GroupedRequest)
    assert places.names_at("header") == {"x-name", "x-sum-small", "x-sum-large", "x-old", "x-older", "x-size"}
    assert places.names_at("query") == {"sum", "old"}


def test_a_shape_takes_what_its_base_does_not_read_and_no_more():
    @shape
    class More(GroupedRequest):
        more: str | None = header("x-more")

    assert shapes.wire(More).names_at("query") == {"sum", "old"}
    assert shapes.wire(More).read_request({}, {}, {"x-old": "no", "x-more": "1"}) == More(more="1")
    with pytest.raises(TypeError):
        GroupedRequest(old="yes")
    with pytest.raises(TypeError):
        Sum(medium="x")


@pytest.mark.parametrize(
    "value",
    [
        Grouped(name="n"),
        Grouped(name="n", sum=SumElements(large=3), last="l"),
        Grouped(name="n", sum=SumElements(small="<s>", several=["a", "b"])),
    ],
)
def test_a_group_stands_beside_the_other_elements(value):
    document = shapes.write_document(value, "Grouped")
    assert b"sum" not in document
    assert shapes.read_document(Grouped, document) == value


def test_elements_of_a_group_are_written_one_beside_the_other():
    value = Grouped(name="n", sum=SumElements(small="s", large=1), last="l")
    inner = b"<Name>n</Name><Small>s</Small><Large>1</Large><Last>l</Last></Grouped>"
    assert shapes.write_document(value, "Grouped").endswith(inner)


@pytest.mark.parametrize("inner", ["<Large>1</Large><Large>1</Large>", "<Large>x</Large>", "<Medium>1</Medium>"])
def test_elements_of_a_group_are_held_to_the_same_rules(inner):
    with pytest.raises(MalformedXML):
        shapes.read_document(Grouped, f"<Grouped><Name>n</Name>{inner}</Grouped>".encode())


def test_headers_of_a_group_are_written_where_it_is_there():
    assert shapes.write(GroupedResponse(etag="e"), 200).headers == [("etag", "e")]
    written = shapes.write(GroupedResponse(etag="e", sum=Sum(small="s", large=2)), 200)
    assert written.headers == [("etag", "e"), ("x-sum-small", "s"), ("x-sum-large", "2")]


@shape
class OnceResponse:
    etag: str = header("ETag")
    sum: Sum | None = group(once=True)


def test_headers_of_a_group_that_responses_share_are_written_once():
    shared = Sum(small="s", large=2)
    first, second = (shapes.write(OnceResponse(etag=etag, sum=shared), 200).headers for etag in "ab")
    assert first == [("etag", "a"), ("x-sum-small", "s"), ("x-sum-large", "2")]
    assert second == [("etag", "b"), *first[1:]]
    assert all(one is other for one, other in zip(first[1:], second[1:], strict=True))
    assert shapes.write(OnceResponse(etag="c", sum=Sum(small="t")), 200).headers == [
        ("etag", "c"),
        ("x-sum-small", "t"),
    ]
    assert shapes.write(OnceResponse(etag="d"), 200).headers == [("etag", "d")]


# --- how long lists may be --------------------------------------------------------------------------------------------


@shape
class Pair:
    left: str = element("Left", default=...)
    right: list[str] = elements("Right", limit=2)


@shape
class Limited:
    pairs: list[Pair] = elements("Pair", limit=3)
    names: list[str] = elements("Name", wrapper="Names", limit=4)


def limited(pairs=0, rights=0, names=0):
    pair = "<Pair><Left/>" + "<Right/>" * rights + "</Pair>"
    return f"<Limited>{pair * pairs}<Names>{'<Name/>' * names}</Names></Limited>".encode()


def test_lists_are_read_up_to_their_limit():  # case 163
    found = shapes.read_document(Limited, limited(3, 2, 4), "Limited")
    assert ([len(pair.right) for pair in found.pairs], len(found.names)) == ([2, 2, 2], 4)
    for longer in (limited(4), limited(1, 3), limited(0, 0, 5)):
        with pytest.raises(MalformedXML):
            shapes.read_document(Limited, longer, "Limited")


def test_how_many_elements_a_document_can_have():
    assert shapes.wire(Pair).most_elements == 4
    assert shapes.wire(Limited).most_elements == 1 + 3 * 4 + 1 + 4


@shape
class GroupWithLists:
    first: str | None = element("First")
    lists: Limited | None = group()


def test_lists_of_a_group_have_their_limits():
    assert shapes.wire(GroupWithLists).most_elements == 2 + shapes.wire(Limited).most_elements - 1
    assert len(shapes.read_document(GroupWithLists, limited(3)).lists.pairs) == 3
    with pytest.raises(MalformedXML):
        shapes.read_document(GroupWithLists, limited(4))
