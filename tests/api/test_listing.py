"""ListObjects, ListObjectsV2 and ListObjectVersions."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote_plus

import pytest

TREE = ["a", "a/", "a/1", "a/2/x", "a/2/y", "a/3", "a1", "b/1", "b/2", "c", "c//d", "\u00e9", "\U0001f600"]


def fill(raw, bucket, keys):
    for key in keys:
        raw("PUT", f"/{bucket}/{quote(key, safe='/')}", "x")


@pytest.fixture
def tree(raw, bucket):
    fill(raw, bucket, reversed(TREE))
    return bucket


def keys(found):
    return [item["Key"] for item in found.get("Contents", [])]


def prefixes(found):
    return [item["Prefix"] for item in found.get("CommonPrefixes", [])]


def both(found):
    return keys(found), prefixes(found)


def model(prefix, delimiter, after=""):
    """Which keys and common prefixes a listing has, by the book."""
    plain, rolled = [], []
    for key in sorted(TREE, key=str.encode):
        if not key.startswith(prefix):
            continue
        at = key.find(delimiter, len(prefix)) if delimiter else -1
        if at < 0:
            if key.encode() > after.encode():
                plain.append(key)
        elif (common := key[: at + len(delimiter)]) not in rolled and common.encode() > after.encode():
            rolled.append(common)
    return plain, rolled


CASES = [
    ("", ""),
    ("", "/"),
    ("a", ""),
    ("a", "/"),
    ("a/", "/"),
    ("a/2", "/"),
    ("a/2/", "/"),
    ("c/", "/"),
    ("", "2/"),
    ("", "a"),
    ("", "1"),
    ("missing", "/"),
    ("\u00e9", ""),
    ("", "\u00e9"),
    ("", "nowhere" * 100),
]


# --- what is listed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("prefix", "delimiter"), CASES)
def test_prefix_and_delimiter(s3, tree, prefix, delimiter):
    chosen = {"Bucket": tree, "Prefix": prefix} | ({"Delimiter": delimiter} if delimiter else {})
    second, first = s3.list_objects_v2(**chosen), s3.list_objects(**chosen)
    assert both(second) == both(first) == model(prefix, delimiter)
    assert second["KeyCount"] == len(keys(second)) + len(prefixes(second))
    assert second["Prefix"] == unquote_plus(first["Prefix"]) == prefix, "botocore decodes that of the second form only"
    assert second.get("Delimiter", "") == first.get("Delimiter", "") == delimiter
    versions = s3.list_object_versions(**chosen)
    found = [item["Key"] for item in versions.get("Versions", [])], prefixes(versions)
    assert found == model(prefix, delimiter)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize(("prefix", "delimiter"), [("", ""), ("", "/"), ("a/", "/"), ("", "1")])
def test_pages(s3, tree, prefix, delimiter, size):
    chosen = {"Bucket": tree, "Prefix": prefix, "MaxKeys": size} | ({"Delimiter": delimiter} if delimiter else {})
    plain, rolled = model(prefix, delimiter)
    everything = sorted([*plain, *rolled], key=str.encode)

    pages, token = [], {}
    while True:
        found = s3.list_objects_v2(**chosen, **token)
        pages.append(sorted([*keys(found), *prefixes(found)], key=str.encode))
        assert found.get("ContinuationToken") == token.get("ContinuationToken")
        if not found["IsTruncated"]:
            assert "NextContinuationToken" not in found
            break
        token = {"ContinuationToken": found["NextContinuationToken"]}
    assert [name for page in pages for name in page] == everything
    assert all(len(page) == size for page in pages[:-1])
    assert pages[-1] or not everything

    names, marker = [], {}
    while True:
        found = s3.list_objects(**chosen, **marker)
        names += sorted([*keys(found), *prefixes(found)], key=str.encode)
        if not found["IsTruncated"]:
            break
        marker = {"Marker": found["NextMarker"] if delimiter else keys(found)[-1]}
    assert names == everything


@pytest.mark.parametrize("after", ["", "a", "a/", "a/1", "a/2/x", "a/2/zzz", "b/", "zzz", "\u00e9", "0"])
@pytest.mark.parametrize("delimiter", ["", "/"])
def test_start_after_and_marker(s3, tree, after, delimiter):
    chosen = {"Bucket": tree} | ({"Delimiter": delimiter} if delimiter else {})
    second = s3.list_objects_v2(**chosen, StartAfter=after)
    first = s3.list_objects(**chosen, Marker=after)
    assert keys(second) == keys(first) == model("", delimiter, after)[0]
    within = after[: after.find("/") + 1] if delimiter else ""
    assert prefixes(first) == [prefix for prefix in prefixes(second) if prefix != within]
    assert set(prefixes(second)) >= set(model("", delimiter, after)[1])
    assert second.get("StartAfter", "") == first["Marker"] == after


def test_the_order_is_that_of_the_bytes(raw, s3, bucket):
    names = ["\uffff", "\U00010000", "a", "B", "b", "A", "~", "0", "a\x7f", "aa", "a!", "\u00fc", "z"]
    fill(raw, bucket, names)
    assert keys(s3.list_objects_v2(Bucket=bucket)) == sorted(names, key=str.encode)


def test_wildcards_mean_themselves(raw, s3, bucket):  # case 41
    fill(raw, bucket, ["a%b", "a_b", "axb", "a*b", "[a]"])
    assert keys(s3.list_objects_v2(Bucket=bucket, Prefix="a%")) == ["a%b"]
    assert keys(s3.list_objects_v2(Bucket=bucket, Prefix="a_")) == ["a_b"]
    assert keys(s3.list_objects_v2(Bucket=bucket, Prefix="a*")) == ["a*b"]
    assert keys(s3.list_objects_v2(Bucket=bucket, Prefix="[")) == ["[a]"]


def test_a_bucket_without_objects(s3, raw, bucket):
    found = s3.list_objects_v2(Bucket=bucket)
    assert (found["KeyCount"], found["IsTruncated"], found["MaxKeys"], found["Name"]) == (0, False, 1000, bucket)
    assert "Contents" not in found
    answer = raw("GET", f"/{bucket}?list-type=2")
    assert answer.xml.tag == "ListBucketResult"
    assert b'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"' in answer.body


def test_an_entry(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"body", StorageClass="STANDARD_IA")["ETag"]
    (entry,) = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert (entry["Key"], entry["ETag"], entry["Size"], entry["StorageClass"]) == ("k", etag, 4, "STANDARD_IA")
    assert timedelta(0) <= datetime.now(UTC) - entry["LastModified"] < timedelta(minutes=1)
    assert "Owner" not in entry


def test_times_have_milliseconds(raw, bucket):
    raw("PUT", f"/{bucket}/k", "x")
    text = raw("GET", f"/{bucket}").xml.findtext("Contents/LastModified")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)


def test_owners(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    owner = s3.list_buckets()["Owner"]
    assert s3.list_objects(Bucket=bucket)["Contents"][0]["Owner"] == owner
    assert s3.list_objects_v2(Bucket=bucket, FetchOwner=True)["Contents"][0]["Owner"] == owner
    assert "Owner" not in s3.list_objects_v2(Bucket=bucket, FetchOwner=False)["Contents"][0]
    assert s3.list_object_versions(Bucket=bucket)["Versions"][0]["Owner"] == owner


def test_what_changes_shows_at_once(s3, bucket):
    for body in (b"1", b"22"):
        s3.put_object(Bucket=bucket, Key="k", Body=body)
        assert [item["Size"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [len(body)]
    s3.delete_object(Bucket=bucket, Key="k")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


# --- how many -------------------------------------------------------------------------------------------------------


def test_a_page_has_a_thousand_at_most(s3, raw, bucket):  # case 126
    names = [f"k{number:04}" for number in range(1001)]
    fill(raw, bucket, names)
    for asked, count in ((None, 1000), (0, 0), (1, 1), (1000, 1000), (1001, 1000), (2**31 - 1, 1000)):
        for form in ("prefix=", "list-type=2", "versions="):
            answer = raw("GET", f"/{bucket}?{form}" + ("" if asked is None else f"&max-keys={asked}"))
            assert answer.body.count(b"<Key>") == count
            assert answer.xml.findtext("MaxKeys") == str(1000 if asked is None else asked)
            assert answer.xml.findtext("IsTruncated") == ("true" if count else "false")
    pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=bucket))
    assert [page["KeyCount"] for page in pages] == [1000, 1]
    assert [key for page in pages for key in keys(page)] == names
    found = s3.list_objects_v2(Bucket=bucket, Delimiter="k0", MaxKeys=1)
    assert (both(found), found["IsTruncated"]) == (([], ["k0"]), True), "one prefix stands for many keys"


def test_only_a_delimiter_gives_a_next_marker(s3, tree):
    assert "NextMarker" not in s3.list_objects(Bucket=tree, MaxKeys=1)
    assert s3.list_objects(Bucket=tree, MaxKeys=1, Delimiter="/")["NextMarker"] == "a"


@pytest.mark.parametrize(
    "asked", ["-1", "abc", "1e3", "%205", "%2B5", "2147483648", "-2147483649", "99999999999999999999", "%EF%BC%91"]
)
@pytest.mark.parametrize("form", ["", "list-type=2&", "versions=&"])
def test_max_keys_that_are_none(raw, bucket, asked, form):  # case 126
    answer = raw("GET", f"/{bucket}?{form}max-keys={asked}")
    assert answer.outcome == (400, "InvalidArgument")
    below = {"list-type=2&": ("maxKeys", f"Argument maxKeys must be an integer between 0 and {2**31 - 1}")}
    below |= {"": below["list-type=2&"], "versions=&": ("max-keys", "max-keys cannot be negative")}
    other = ("max-keys", "Provided max-keys not an integer or within integer range")
    named = answer.xml.findtext("ArgumentName"), answer.xml.findtext("Message")
    assert named == (below[form] if asked == "-1" else other)


@pytest.mark.parametrize(("asked", "count"), [("", 1000), ("05", 5), ("-0", 0), ("0" * 50 + "7", 7), ("1001", 1001)])
@pytest.mark.parametrize("form", ["", "list-type=2&", "versions=&"])
def test_max_keys_comes_back_as_it_was_read(raw, bucket, asked, count, form):
    answer = raw("GET", f"/{bucket}?{form}max-keys={asked}")
    assert (answer.status, answer.xml.findtext("MaxKeys")) == (200, str(count))


# --- tokens ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["", "x", "AAAAAAAAAAAAAAAA", "%00", "a" * 3000, "%F0%9F%98%80"])  # case 127
def test_tokens_that_are_none(raw, tree, token):
    answer = raw("GET", f"/{tree}?list-type=2&continuation-token={token}")
    assert answer.outcome == (400, "InvalidArgument")
    assert answer.xml.findtext("ArgumentName") == "continuation-token"


def test_tokens_are_of_one_bucket_and_cannot_be_changed(s3, refused, raw, tree, new_bucket):  # case 83
    token = s3.list_objects_v2(Bucket=tree, MaxKeys=1)["NextContinuationToken"]
    assert tree not in token
    refused("InvalidArgument", 400, s3.list_objects_v2, Bucket=new_bucket(), ContinuationToken=token)
    for place in range(0, len(token), 3):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        refused("InvalidArgument", 400, s3.list_objects_v2, Bucket=tree, ContinuationToken=changed)


def test_a_token_outweighs_start_after(s3, tree):
    token = s3.list_objects_v2(Bucket=tree, MaxKeys=2)["NextContinuationToken"]
    found = s3.list_objects_v2(Bucket=tree, ContinuationToken=token, StartAfter="b/1", MaxKeys=1)
    assert keys(found) == [TREE[2]]
    assert (found["ContinuationToken"], "StartAfter" in found) == (token, False)


@pytest.mark.parametrize("value", ["x", ""])
@pytest.mark.parametrize(
    ("form", "name", "message"),
    [
        ("", "continuation-token", "continuation-token only supported in REST.GET.BUCKET with list-type=2"),
        ("list-type=1&", "start-after", "startAfter only supported in REST.GET.BUCKET with list-type=2"),
        ("list-type=2&", "marker", "Marker unsupported with REST.GET.BUCKET in list-type=2"),
    ],
)
def test_what_the_other_version_takes_is_refused(raw, tree, form, name, message, value):
    answer = raw("GET", f"/{tree}?{form}{name}={value}")
    assert answer.outcome == (400, "InvalidArgument")
    assert [answer.xml.findtext(part) for part in ("Message", "ArgumentName", "ArgumentValue")] == [message, name, None]


@pytest.mark.parametrize("kind", ["1", "0", "bogus", ""])
def test_any_other_kind_of_list_is_the_first(raw, tree, kind):
    answer = raw("GET", f"/{tree}?list-type={kind}").xml
    assert (answer.findtext("Marker"), answer.findtext("KeyCount")) == ("", None)


@pytest.mark.parametrize(("asked", "owners"), [("true", 1), ("TRUE", 1), ("false", 0), ("1", 0), ("bogus", 0), ("", 0)])
def test_owners_are_shown_to_who_asks(raw, tree, asked, owners):
    answer = raw("GET", f"/{tree}?list-type=2&max-keys=1&fetch-owner={asked}")
    assert (answer.status, answer.body.count(b"<Owner>")) == (200, owners)


@pytest.mark.parametrize("marker", ["p/", "p/a", "p/b/c", "p/zz"])
def test_a_marker_within_a_common_prefix_stands_for_all_of_it(s3, bucket, marker):
    for key in ("p/b", "p/c", "q"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    for found in (
        s3.list_objects(Bucket=bucket, Delimiter="/", Marker=marker),
        s3.list_object_versions(Bucket=bucket, Delimiter="/", KeyMarker=marker),
    ):
        assert "CommonPrefixes" not in found
        assert [item["Key"] for item in found.get("Contents") or found["Versions"]] == ["q"]
    assert prefixes(s3.list_objects(Bucket=bucket, Delimiter="/", Marker="p")) == ["p/"]
    assert keys(s3.list_objects(Bucket=bucket, Marker="p/b")) == ["p/c", "q"]


def test_elements_stand_in_the_order_in_which_s3_writes_them(raw, tree):
    def order(query):
        return list(dict.fromkeys(element.tag for element in raw("GET", f"/{tree}?{query}").xml))

    last = ["MaxKeys", "Delimiter", "EncodingType", "IsTruncated"]
    asked = "delimiter=%2F&encoding-type=url&max-keys=3"
    assert order(asked) == ["Name", "Prefix", "Marker", "NextMarker", *last, "Contents", "CommonPrefixes"]
    token = ["Name", "Prefix", "NextContinuationToken", "KeyCount"]
    assert order(f"list-type=2&{asked}") == [*token, *last, "Contents", "CommonPrefixes"]
    marks = ["Name", "Prefix", "KeyMarker", "VersionIdMarker", "NextKeyMarker", "NextVersionIdMarker"]
    assert order(f"versions=&{asked}") == [*marks, *last, "Version", "CommonPrefixes"]


def test_a_token_outlives_what_it_names(s3, tree):
    token = s3.list_objects_v2(Bucket=tree, MaxKeys=3)["NextContinuationToken"]
    for key in TREE[:4]:
        s3.delete_object(Bucket=tree, Key=key)
    assert keys(s3.list_objects_v2(Bucket=tree, ContinuationToken=token, MaxKeys=1)) == [TREE[4]]


# --- encoding -------------------------------------------------------------------------------------------------------

ODD = ["a b+c", "d&e<f>\"'", "\u00fc/\U0001f600", "x\x01y", "line\r\nbreak", "100%", "safe-_.~*"]


@pytest.mark.parametrize("form", ["", "list-type=2&", "versions=&"])
def test_encoding_url(raw, bucket, form):  # case 40
    fill(raw, bucket, ODD)
    answer = raw("GET", f"/{bucket}?{form}encoding-type=url")
    assert answer.body.isascii()
    assert answer.xml.findtext("EncodingType") == "url"
    loud = raw("GET", f"/{bucket}?{form}encoding-type=URL")
    assert loud.body.replace(b"<EncodingType>URL", b"<EncodingType>url") == answer.body
    found = [element.text for element in answer.xml.iter("Key")]
    assert [unquote_plus(text) for text in found] == sorted(ODD, key=str.encode)
    assert "%C3%BC/%F0%9F%98%80" in found, "slashes stay as they are"


def test_encoding_url_is_for_all_that_echoes_keys(raw, bucket):
    fill(raw, bucket, ["p q/a b/1", "p q/a b/2", "p q/c d"])
    answer = raw("GET", f"/{bucket}?encoding-type=url&prefix=p%20q%2F&delimiter=%20b%2F&marker=p%20q&max-keys=1").xml
    texts = {name: answer.findtext(name) for name in ("Prefix", "Delimiter", "Marker", "NextMarker")}
    assert {name: unquote_plus(text) for name, text in texts.items()} == {
        "Prefix": "p q/",
        "Delimiter": " b/",
        "Marker": "p q",
        "NextMarker": "p q/a b/",
    }
    assert not any(" " in text for text in texts.values())
    assert unquote_plus(answer.findtext("CommonPrefixes/Prefix")) == "p q/a b/"


def test_without_encoding_the_text_is_plain(raw, bucket):  # case 129
    fill(raw, bucket, ["a b+c", "<&>\"'", "line\r\nbreak\t"])
    found = [element.text for element in raw("GET", f"/{bucket}").xml.iter("Key")]
    assert found == ["<&>\"'", "a b+c", "line\r\nbreak\t"]


@pytest.mark.parametrize("form", ["", "list-type=2&", "versions=&"])
@pytest.mark.parametrize("value", ["base64", "URLS", "%20url", ""])
def test_encodings_that_are_none(raw, bucket, form, value):
    answer = raw("GET", f"/{bucket}?{form}encoding-type={value}")
    assert answer.outcome == (400, "InvalidArgument")
    assert answer.xml.findtext("ArgumentName") == "encoding-type"
    assert answer.xml.findtext("Message") == "Invalid Encoding Method specified in Request"


@pytest.mark.parametrize("name", ["prefix", "delimiter", "marker", "start-after", "key-marker"])
@pytest.mark.parametrize("text", ["%3C%26%3E%22%27%5D%5D%3E", "%20", "%2B", "%0D%0A", "%F0%9F%98%80", "x" * 1024])
def test_parameters_come_back_exactly(raw, bucket, name, text):  # cases 126, 129
    form = {"start-after": "list-type=2&", "key-marker": "versions=&"}.get(name, "")
    answer = raw("GET", f"/{bucket}?{form}{name}={text}")
    element = {"start-after": "StartAfter", "key-marker": "KeyMarker"}.get(name, name.capitalize())
    assert (answer.status, answer.xml.findtext(element)) == (200, unquote_plus(text))


@pytest.mark.parametrize("query", ["prefix=%FF", "delimiter=%ED%A0%80", "marker=%C0%AF", "list-type=2&start-after=%F5"])
def test_parameters_that_are_not_text(raw, bucket, query):  # case 39
    assert raw("GET", f"/{bucket}?{query}").outcome == (400, "InvalidURI")


@pytest.mark.parametrize("query", ["prefix=a&prefix=b", "list-type=2&list-type=2", "max-keys=1&max-keys=2"])
def test_parameters_that_are_there_twice(raw, bucket, query):  # case 60
    assert raw("GET", f"/{bucket}?{query}").outcome == (400, "InvalidArgument")


# --- versions -------------------------------------------------------------------------------------------------------


@pytest.fixture
def history(s3, versioned):
    """A bucket with three versions of ``a``, a covered ``b``, and ``c/1``; the ids in the order of a listing."""
    put = lambda key: s3.put_object(Bucket=versioned, Key=key, Body=key.encode())["VersionId"]  # noqa: E731
    a = [put("a") for _ in range(3)][::-1]
    b = put("b")
    marker = s3.delete_object(Bucket=versioned, Key="b")["VersionId"]
    c = put("c/1")
    return versioned, [("a", a[0]), ("a", a[1]), ("a", a[2]), ("b", marker), ("b", b), ("c/1", c)]


def entries(answer):
    """Key, version and kind of what a raw version listing has, in its order."""
    return [
        (element.findtext("Key"), element.findtext("VersionId"))
        for element in answer.xml
        if element.tag in ("Version", "DeleteMarker")
    ]


def test_versions(s3, history):
    bucket, expected = history
    found = s3.list_object_versions(Bucket=bucket)
    versions = [(item["Key"], item["VersionId"]) for item in found["Versions"]]
    assert versions == [entry for entry in expected if entry != expected[3]]
    assert [item["IsLatest"] for item in found["Versions"]] == [True, False, False, False, True]
    (marker,) = found["DeleteMarkers"]
    assert (marker["Key"], marker["VersionId"], marker["IsLatest"]) == (*expected[3], True)
    assert marker["Owner"] == s3.list_buckets()["Owner"]
    assert "ETag" not in marker
    assert (found["KeyMarker"], found["VersionIdMarker"], found["IsTruncated"]) == ("", "", False)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_pages_of_versions(s3, history, size):
    bucket, expected = history
    found, markers, latest = [], {}, []
    while True:
        page = s3.list_object_versions(Bucket=bucket, MaxKeys=size, **markers)
        items = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        assert len(items) == size or not page["IsTruncated"]
        found += [(item["Key"], item["VersionId"]) for item in items]
        latest += [item["VersionId"] for item in items if item["IsLatest"]]
        if not page["IsTruncated"]:
            break
        markers = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
    assert sorted(found) == sorted(expected)
    assert set(latest) == {expected[0][1], expected[3][1], expected[5][1]}


def test_the_paginator_of_versions(s3, history):
    bucket, expected = history
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, PaginationConfig={"PageSize": 2})
    found = [item for page in pages for item in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]]
    assert sorted((item["Key"], item["VersionId"]) for item in found) == sorted(expected)


def test_a_key_marker_alone_goes_behind_the_key(s3, history):
    bucket, _ = history
    found = s3.list_object_versions(Bucket=bucket, KeyMarker="a")
    assert {item["Key"] for item in found["Versions"]} == {"b", "c/1"}


def test_versions_with_a_delimiter(s3, history):
    bucket, _ = history
    found = s3.list_object_versions(Bucket=bucket, Delimiter="/", MaxKeys=1, KeyMarker="b")
    assert (prefixes(found), found["IsTruncated"], "Versions" in found) == (["c/"], False, False)


@pytest.mark.parametrize("marker", ["null", "own"])
def test_a_marker_of_a_version_within_a_common_prefix_stands_for_all_of_it(s3, history, marker):
    bucket, _ = history
    version = s3.put_object(Bucket=bucket, Key="c/0", Body=b"x")["VersionId"] if marker == "own" else marker
    found = s3.list_object_versions(Bucket=bucket, Delimiter="/", KeyMarker="c/0", VersionIdMarker=version)
    assert (prefixes(found), "Versions" in found) == ([], False)
    found = s3.list_object_versions(Bucket=bucket, KeyMarker="c/0", VersionIdMarker=version)
    assert {item["Key"] for item in found["Versions"]} == {"c/1"}, "no delimiter, no common prefix"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("version-id-marker=x", "A version-id marker cannot be specified without a key marker."),
        ("version-id-marker=", "A version-id marker cannot be specified without a key marker."),
        ("key-marker=a&version-id-marker=", "A version-id marker cannot be empty."),
        ("key-marker=a&version-id-marker=x", "Invalid version id specified"),
        ("key-marker=a&version-id-marker=NULL", "Invalid version id specified"),
    ],
)
def test_version_markers_that_are_none(raw, history, query, message):
    bucket, _ = history
    answer = raw("GET", f"/{bucket}?versions=&{query}")
    assert answer.outcome == (400, "InvalidArgument")
    assert answer.xml.findtext("ArgumentName") == "version-id-marker"
    assert answer.xml.findtext("Message") == message


def test_the_null_version_as_a_marker(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.put_object(Bucket=bucket, Key="l", Body=b"x")
    found = s3.list_object_versions(Bucket=bucket, KeyMarker="k", VersionIdMarker="null")
    assert [item["Key"] for item in found["Versions"]] == ["l"]
