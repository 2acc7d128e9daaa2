"""The admin API: what its description says, who may use it, and what it refuses."""

import json
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
import yaml

from s3ish.server.admin import buckets, explain, groups, roles, routes, users
from tests.api.conftest import DOMAIN, LIMITED, OTHER, READER, ROOT
from tests.api.iam_support import allowing, client, code_of

SPECIFICATION = yaml.safe_load((Path(__file__).parents[2] / "docs/admin-api.yaml").read_text())
CALLS = [
    (method, path, operation)
    for path, methods in SPECIFICATION["paths"].items()
    for method, operation in methods.items()
    if method != "parameters"
]
ALL = {"Version": "2012-10-17", "Statement": [allowing("s3:*")]}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": "sts:AssumeRole"}],
}


class Admin:
    """Calls of the admin API, signed with the keys of a user."""

    def __init__(self, raw, keys=ROOT):
        self._raw, self._keys = raw, keys

    def __call__(self, method, path, body=None, **more):
        """Make a call, and return its status and what the answer says."""
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = self._raw(method, f"/-/admin/{path}", data, keys=self._keys, **more)
        return answer.status, json.loads(answer.body) if answer.body else None

    def outcome(self, method, path, body=None, **more):
        """Make a call, and return its status and error code."""
        status, told = self(method, path, body, **more)
        return status, told and told.get("error", {}).get("code")


@pytest.fixture
def admin(raw):
    """Calls of the root user; what they made is gone after the test."""
    admin = Admin(raw)
    before = {kind: _names(admin, kind) for kind in ("users", "groups", "roles", "policies")}
    yield admin
    for kind in ("users", "roles"):
        for name in _names(admin, kind) - before[kind]:
            assert admin("DELETE", f"{kind}/{name}") == (204, None)
    for name in _names(admin, "groups") - before["groups"]:
        shown = admin("GET", f"groups/{name}")[1]
        for policy in shown["policies"]:
            admin("DELETE", f"groups/{name}/policies/{policy.rpartition('/')[2]}")
        for policy in shown["inline"]:
            admin("DELETE", f"groups/{name}/inline/{policy}")
        assert admin("DELETE", f"groups/{name}") == (204, None)
    for name in _names(admin, "policies") - before["policies"]:
        assert admin("DELETE", f"policies/{name}") == (204, None)


def _names(admin, kind):
    return {it["name"] for it in admin("GET", kind)[1][kind]}


@pytest.fixture
def furnished(admin):
    """A server that has all that the paths in the description name."""
    admin("PUT", "policies/own", ALL)
    admin("PUT", "policies/unused", ALL)
    admin("POST", "groups", {"name": "staff"})
    admin("POST", "groups", {"name": "empty"})
    admin("POST", "users", {"name": "alice", "key": {"access_key": "alice-key"}})
    admin("POST", "users", {"name": "beth", "groups": ["staff"]})
    admin("POST", "roles", {"name": "reader", "trust": TRUST})
    for holder in ("users/beth", "groups/staff", "roles/reader"):
        assert admin("PUT", f"{holder}/inline/own", ALL) == (204, None)
    return admin


def _schema(of):
    if "$ref" in of:
        *_, section, name = of["$ref"].split("/")
        return SPECIFICATION["components"][section][name]
    return of


@pytest.mark.parametrize(("method", "path", "operation"), CALLS, ids=lambda it: it if isinstance(it, str) else "")
def test_the_description_is_true(raw, bucket, furnished, method, path, operation):
    """Each example is answered with what is described, and each field that is answered is described."""
    refused = raw("GET", "/", keys=None) if "{request}" in path else None
    names = {"user": "alice", "key": "alice-key", "group": "staff", "role": "reader", "policy": "own"}
    names["bucket"] = bucket
    names["request"] = refused and refused.headers["x-amz-request-id"]
    if method == "delete" and path.endswith("/policies/{policy}"):
        names["policy"] = "readonly" if "{" in path.removesuffix("{policy}") else "unused"
        if "{user}" in path or "{group}" in path or "{role}" in path:
            furnished("PUT", path.removeprefix("/-/admin/").format(**names))
    if path.endswith("/boundary"):
        furnished("PUT", f"{path.removeprefix('/-/admin/').format(**names)}/readonly")
    if path.endswith(("/inline/{policy}", "groups/{group}/users/{user}")):
        names["user"] = "beth"
    if (method, path) == ("delete", "/-/admin/groups/{group}"):
        names["group"] = "empty"
    examples = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("examples")
    for example in (examples or {"none": {"value": None}}).values():
        status, told = furnished(method.upper(), path.removeprefix("/-/admin/").format(**names), example["value"])
        assert str(status) == next(iter(operation["responses"])), told
        described = _schema(operation["responses"][str(status)])
        if told is None:
            assert "content" not in described
            continue
        properties = _schema(described["content"]["application/json"]["schema"])["properties"]
        assert told.keys() <= properties.keys()
        assert properties.keys() - told.keys() <= {"next", "key"}


def test_the_description_has_every_call_and_every_field():
    assert {(method.upper(), path) for method, path, _ in CALLS} == {
        (route.method, routes.PREFIX + route.path) for route in routes.ROUTES
    }
    for kind in (
        explain.Question,
        users.NewUser,
        users.NewKey,
        users.KeyState,
        groups.NewGroup,
        roles.NewRole,
        buckets.NewOwner,
    ):
        described = SPECIFICATION["components"]["schemas"][kind.__name__]
        assert set(described["properties"]) == set(kind.__struct_fields__), kind
        assert described["additionalProperties"] is False
    told = " ".join(operation["summary"] for _, _, operation in CALLS)
    for route in routes.ROUTES:
        assert route.action in told or route.action == "PutPolicy", route


def test_a_user_that_is_made_works_at_once(admin, server, bucket):
    status, made = admin("POST", "users", {"name": "alice", "policies": ["readwrite"], "key": {}})
    assert status == 201
    assert made["key"]["access_key"].startswith("AKIA")
    theirs = client(server, "s3", (made["key"]["access_key"], made["key"]["secret_key"]))
    theirs.put_object(Bucket=bucket, Key="k")
    shown = admin("GET", "users/alice")[1]
    assert "secret" not in json.dumps(shown)
    assert shown["policies"] == ["arn:aws:iam::aws:policy/readwrite"]
    assert shown["keys"][0]["last_used"]
    assert admin("PATCH", f"users/alice/keys/{made['key']['access_key']}", {"active": False}) == (204, None)
    assert code_of(theirs.put_object, Bucket=bucket, Key="k") == "InvalidAccessKeyId"
    assert admin("DELETE", "users/alice") == (204, None)
    assert admin.outcome("GET", "users/alice") == (404, "NoSuchEntity")


def test_a_key_may_be_chosen_once(admin):  # case 138
    wanted = {"access_key": "chosen-key", "secret_key": "chosen-secret"}
    assert admin("POST", "users", {"name": "one", "key": wanted})[1]["key"] == wanted
    assert admin.outcome("POST", "users", {"name": "two", "key": wanted}) == (409, "EntityAlreadyExists")
    assert admin.outcome("POST", "users/one/keys", {"access_key": ROOT[0]}) == (409, "EntityAlreadyExists")
    assert admin.outcome("POST", "users/one/keys", {"access_key": OTHER[0]}) == (409, "EntityAlreadyExists")
    for bad in ("ASIAFORSESSIONS", "a/b", "a b", "x" * 129, "ab"):
        assert admin.outcome("POST", "users/one/keys", {"access_key": bad}) == (400, "InvalidInput")
    assert admin.outcome("POST", "users/one/keys", {"secret_key": "short"}) == (400, "InvalidInput")


def test_what_is_made_in_one_call_is_made_as_a_whole_or_not_at_all(admin):
    for wanted in ({"groups": ["none"]}, {"policies": ["none"]}, {"tags": {"aws:x": "y"}}, {"path": "none"}):
        assert admin("POST", "users", {"name": "half", "key": {}, **wanted})[0] in (400, 404)
    assert admin.outcome("GET", "users/half") == (404, "NoSuchEntity")


def test_a_document_that_is_put_again_takes_the_place_of_the_one_that_counts(admin, server, bucket):
    admin("PUT", "policies/one", {"Statement": [allowing("s3:PutObject")]})
    key = admin("POST", "users", {"name": "alice", "policies": ["one"], "key": {}})[1]["key"]
    theirs = client(server, "s3", (key["access_key"], key["secret_key"]))
    theirs.put_object(Bucket=bucket, Key="k")
    for number in range(2, 9):
        status, told = admin("PUT", "policies/one", {"Statement": [allowing("s3:GetObject")]})
        assert (status, told["version"], told["attachments"]) == (200, f"v{number}", 1)
    assert code_of(theirs.put_object, Bucket=bucket, Key="k") == "AccessDenied"
    assert admin.outcome("DELETE", "policies/one") == (409, "DeleteConflict")


def test_lists_come_in_pages(admin):
    for number in range(5):
        admin("POST", "groups", {"name": f"page{number}"})
    first = admin("GET", "groups?limit=2")[1]
    assert [it["name"] for it in first["groups"]] == ["page0", "page1"]
    rest = admin("GET", f"groups?limit=1000&after={first['next']}")[1]
    assert [it["name"] for it in rest["groups"]] == ["page2", "page3", "page4"]
    assert "next" not in rest
    for query in ("limit=0", "limit=1001", "limit=x", "limit=-1", f"limit={1:09}002", f"limit={1:09}{0:05000}"):
        assert admin.outcome("GET", f"groups?{query}") == (400, "ValidationError")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b"[" * 100_000,
        {"name": 1},
        {"nam": "x"},
        {"name": "x", "other": 1},
        {},
        {"name": "x", "key": {"id": "x"}},
    ],
)
def test_bodies_that_are_none_are_refused(admin, body):
    assert admin.outcome("POST", "users", body) == (400, "InvalidInput")
    assert admin.outcome("GET", "users/x") == (404, "NoSuchEntity")


@pytest.mark.parametrize("description", ["x" * 1001, "\0", "\x1f", "\x7f"])
def test_descriptions_that_clients_could_not_read_are_refused(admin, description):
    role = {"name": "described", "trust": TRUST, "description": description}
    assert admin.outcome("POST", "roles", role) == (400, "ValidationError")


def test_a_body_with_another_field_is_told_which_there_are(admin):
    _, answer = admin("POST", "groups", {"nam": "x"})
    assert (
        answer["error"]["message"]
        == "The body is not what is asked for: there is no field 'nam'; there are: name, path"
    )
    _, answer = admin("POST", "groups", {"name": 1})
    assert answer["error"]["message"] == "The body is not what is asked for: name: expected `str`, got `int`"


def test_a_trust_policy_that_is_no_text_is_refused(admin):
    assert admin.outcome("POST", "roles", b'{"name": "x", "trust": "\xff"}') == (400, "InvalidInput")


def test_a_body_that_is_too_long_is_refused(admin):
    assert admin.outcome("PUT", "policies/long", b"{" + b" " * 300_000) == (400, "MaxMessageLengthExceeded")
    assert admin.outcome("PUT", "policies/long", b"{" + b"x" * 7_000) == (409, "LimitExceeded")
    assert admin.outcome("PUT", "policies/deep", b'{"a":' * 1_000) == (400, "MalformedPolicyDocument")


@pytest.mark.parametrize("name", ["a%20b", "a%2Fb", "a%00b", "%F0%9F%98%80", "*", "a%5Cb"])
def test_names_that_are_none_are_refused(admin, name):
    signed = quote(unquote(name), safe="/-_.~")
    for path, expected in (
        (f"policies/{name}", (400, "ValidationError")),
        (f"roles/{name}/trust", (404, "NoSuchEntity")),
    ):
        signed_path = "/-/admin/" + path.replace(name, signed)
        assert admin.outcome("PUT", path, ALL if "policies" in path else TRUST, signed_path=signed_path) == expected
    assert admin.outcome("PUT", "policies/%FF", ALL) == (400, "InvalidURI")


@pytest.mark.parametrize("path", ["", "users/", "user", "users//keys", "users/x/keys/y/z", "policies/x/y", "../users"])
def test_paths_that_are_none(admin, path):
    assert admin.outcome("GET", path) == (404, "NoSuchEntity")


def test_methods_that_a_path_has_not(admin, raw):
    answer = raw("PUT", "/-/admin/users")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, POST")


def test_only_a_signature_in_the_header_counts(admin, raw, presign, server):
    assert Admin(raw, None).outcome("GET", "users") == (403, "AccessDenied")
    answer = raw("GET", presign("GET", "/-/admin/users"), keys=None)
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (403, "AccessDenied")
    assert Admin(raw, (ROOT[0], "wrong")).outcome("GET", "users") == (403, "SignatureDoesNotMatch")
    assert Admin(raw, ("nobody", "wrong")).outcome("GET", "users") == (403, "InvalidAccessKeyId")
    for payload in ("UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "0" * 64):
        outcome = admin.outcome("POST", "users", {"name": "unsigned"}, payload=payload)
        assert outcome == (403, "SignatureDoesNotMatch")
    assert admin.outcome("GET", "users/unsigned") == (404, "NoSuchEntity")
    for scheme in ("AWS s3ishadmin:x", "Bearer x", "AWS4-HMAC-SHA256 Credential=x"):
        answer = raw("GET", "/-/admin/users", headers={"Authorization": scheme}, keys=None)
        assert answer.status == 403


def test_a_bucket_that_the_host_names_has_such_keys(raw, new_bucket):
    bucket = new_bucket()
    host = f"{bucket}.{DOMAIN}"
    assert raw("PUT", "/-/admin/users", b"x", host=host).status == 200
    assert raw("GET", "/-/admin/users", host=host).body == b"x"


@pytest.mark.parametrize("keys", [OTHER, READER, LIMITED])
def test_who_has_no_policy_for_it_may_nothing(raw, keys):
    theirs = Admin(raw, keys)
    for method, path, _ in CALLS:
        names = {
            "bucket": "none",
            "user": "ci",
            "key": LIMITED[0],
            "group": "none",
            "role": "none",
            "policy": "readonly",
        }
        names["request"] = "0" * 16
        outcome = theirs.outcome(method.upper(), path.removeprefix("/-/admin/").format(**names), {"name": "x"})
        if (method, path) == ("post", "/-/admin/roles"):
            assert outcome == (400, "InvalidInput")  # what it does not say cannot be asked for
        else:
            assert outcome == (403, "AccessDenied"), path


def test_a_policy_gives_calls_one_by_one(admin, raw, server):  # case 138
    document = {
        "Version": "2012-10-17",
        "Statement": [
            allowing(["s3ish:CreateUser", "s3ish:GetUser"], "arn:aws:iam::000000000000:user/team/*"),
            allowing("s3ish:AddUserToGroup", "arn:aws:iam::000000000000:group/open"),
            allowing(
                "s3ish:AttachUserPolicy",
                Condition={"ArnEquals": {"iam:PolicyARN": "arn:aws:iam::aws:policy/readonly"}},
            ),
        ],
    }
    for group in ("open", "closed"):
        admin("POST", "groups", {"name": group})
    key = admin("POST", "users", {"name": "lead", "key": {}})[1]["key"]
    admin("PUT", "users/lead/inline/lead", document)
    lead = Admin(raw, (key["access_key"], key["secret_key"]))
    assert lead("POST", "users", {"name": "new", "path": "/team/", "groups": ["open"]})[0] == 201
    assert lead("GET", "users/new")[0] == 200
    denied = (403, "AccessDenied")
    assert lead.outcome("POST", "users", {"name": "else"}) == denied
    assert lead.outcome("POST", "users", {"name": "more", "path": "/team/", "groups": ["closed"]}) == denied
    assert lead.outcome("POST", "users", {"name": "more", "path": "/team/", "key": {}}) == denied
    assert lead.outcome("POST", "users", {"name": "more", "path": "/team/", "policies": ["readwrite"]}) == denied
    assert lead.outcome("POST", "users", {"name": "more", "path": "/team/", "tags": {"a": "b"}}) == denied
    assert lead.outcome("PUT", "users/lead/policies/readwrite") == denied
    assert lead.outcome("PUT", "users/new/policies/readonly") == (204, None)
    assert lead("POST", "users", {"name": "more", "path": "/team/", "policies": ["readonly"]})[0] == 201
    assert lead.outcome("PUT", "users/lead/inline/more", ALL) == denied
    assert lead.outcome("DELETE", "users/new") == denied
    status, told = lead("POST", "users/lead/keys", {})
    assert status == 403
    assert "s3ish:CreateAccessKey on resource: arn:aws:iam::000000000000:user/lead" in told["error"]["message"]
    session = client(server, "sts", ROOT).get_session_token()["Credentials"]
    headers = {"x-amz-security-token": session["SessionToken"]}
    of_session = Admin(raw, (session["AccessKeyId"], session["SecretAccessKey"]))
    answer = raw("GET", "/-/admin/users", headers=headers, keys=of_session._keys)
    assert answer.status == 403


@pytest.mark.parametrize(("folder", "noun"), [("users", "User"), ("roles", "Role")])
def test_who_makes_users_and_roles_can_be_held_to_bounded_ones(admin, raw, folder, noun):
    arn = "arn:aws:iam::aws:policy/readonly"
    acts = [f"s3ish:{act}" for act in (f"Create{noun}", f"Put{noun}Policy", f"Put{noun}PermissionsBoundary")]
    document = {"Statement": [allowing(acts, Condition={"StringEquals": {"iam:PermissionsBoundary": arn}})]}
    key = admin("POST", "users", {"name": "lead", "key": {}})[1]["key"]
    admin("PUT", "users/lead/inline/lead", document)
    lead, denied = Admin(raw, (key["access_key"], key["secret_key"])), (403, "AccessDenied")
    wanted = {"name": "made"} | ({"trust": TRUST} if folder == "roles" else {})
    assert lead.outcome("POST", folder, wanted) == denied
    assert lead.outcome("POST", folder, {**wanted, "boundary": "readwrite"}) == denied
    assert lead("POST", folder, {**wanted, "boundary": "readonly"})[1]["boundary"] == arn
    assert lead.outcome("PUT", f"{folder}/made/inline/own", ALL) == (204, None)
    assert lead.outcome("PUT", f"{folder}/made/boundary/readwrite") == denied
    assert lead.outcome("DELETE", f"{folder}/made/boundary") == denied
    assert lead.outcome("PUT", f"{folder}/made/boundary/readonly") == (204, None)
    assert admin.outcome("DELETE", f"{folder}/made/boundary") == (204, None)
    assert lead.outcome("PUT", f"{folder}/made/inline/own", ALL) == denied
    assert admin("GET", f"{folder}/made")[1]["boundary"] == ""
    assert admin.outcome("DELETE", f"{folder}/made/boundary") == (404, "NoSuchEntity")
    assert admin.outcome("PUT", f"{folder}/made/boundary/none") == (404, "NoSuchEntity")


def test_users_of_the_configuration_are_changed_there_alone(admin):
    fixed = {it["name"] for it in admin("GET", "users")[1]["users"] if it["source"] == "configuration"}
    assert fixed == {"other", "reader", "ci"}
    assert admin.outcome("DELETE", "users/ci") == (400, "UnmodifiableEntity")
    assert admin.outcome("POST", "users/ci/keys", {}) == (400, "UnmodifiableEntity")
    assert admin.outcome("DELETE", "policies/readonly") == (400, "UnmodifiableEntity")
    assert admin.outcome("POST", "users", {"name": "CI"}) == (409, "EntityAlreadyExists")


def test_a_bucket_goes_to_another_owner(raw, admin, s3, other, reader, refused, bucket, new_user):
    s3.put_object(Bucket=bucket, Key="k", Body=b"data")
    s3.put_bucket_ownership_controls(
        Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
    )
    s3.put_bucket_acl(Bucket=bucket, ACL="authenticated-read")
    s3.delete_bucket_ownership_controls(Bucket=bucket)
    refused("AccessDenied", 403, other.get_object, Bucket=bucket, Key="k")
    for keys in (OTHER, new_user(json.dumps({"Version": "2012-10-17", "Statement": [allowing("s3:*")]}))[1]):
        asked = "PUT", f"buckets/{bucket}/owner", {"owner": "other"}
        assert Admin(raw, keys)(*asked)[0] == 403
    given = {"bucket": bucket, "owner": "other", "display_name": "Somebody Else"}
    assert admin("PUT", f"buckets/{bucket}/owner", {"owner": "other"}) == (200, given)
    assert admin("GET", f"buckets/{bucket}/owner") == (200, given)
    assert other.get_object(Bucket=bucket, Key="k")["Body"].read() == b"data"
    assert bucket in [it["Name"] for it in other.list_buckets()["Buckets"]]
    assert bucket not in [it["Name"] for it in s3.list_buckets()["Buckets"]]
    acl = other.get_bucket_acl(Bucket=bucket)
    assert [it["Grantee"]["ID"] for it in acl["Grants"]] == [acl["Owner"]["ID"]] == ["other"]
    refused("AccessDenied", 403, reader.get_object, Bucket=bucket, Key="k")
    assert admin("PUT", f"buckets/{bucket}/owner", {"owner": "s3ish-root"})[0] == 200
    refused("AccessDenied", 403, other.get_object, Bucket=bucket, Key="k")
    for owner, name, outcome in (
        ("nobody", bucket, (404, "NoSuchEntity")),
        ("reader", bucket, (404, "NoSuchEntity")),
        ("other", "not-there", (404, "NoSuchBucket")),
    ):
        status, told = admin("PUT", f"buckets/{name}/owner", {"owner": owner})
        assert (status, told["error"]["code"]) == outcome
