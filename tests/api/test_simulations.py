"""What policies would decide, as IAM is asked for it before a request is sent.

https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_testing-policies.html
"""

import json

import pytest

from tests.api.iam_support import allowing, client, code_of

ACCOUNT = "000000000000"
FILE, OTHER_FILE = "arn:aws:s3:::b/k", "arn:aws:s3:::b/other"
ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"


def document(*statements, **more):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **more})


def denying(action, resource="*", **more):
    return allowing(action, resource, **more) | {"Effect": "Deny"}


def given(name, *values, kind="string"):
    return {"ContextKeyName": name, "ContextKeyValues": list(values), "ContextKeyType": kind}


def simulate(iam, *policies, actions=("s3:GetObject",), resources=(FILE,), **more):
    found = iam.simulate_custom_policy(
        PolicyInputList=list(policies), ActionNames=list(actions), ResourceArns=list(resources), **more
    )
    return found["EvaluationResults"]


def outcome(iam, *policies, **more):
    [found] = simulate(iam, *policies, **more)
    return found["EvalDecision"]


READ = document(allowing("s3:GetObject", "arn:aws:s3:::b/*"))


def test_policies_allow_deny_or_say_nothing(iam):
    assert outcome(iam, READ) == "allowed"
    assert outcome(iam, READ, document(denying("s3:Get*", FILE))) == "explicitDeny"
    assert outcome(iam, READ, actions=["s3:PutObject"]) == "implicitDeny"
    assert outcome(iam, READ, resources=["*"]) == "implicitDeny"
    assert outcome(iam, document(allowing("*")), actions=["ec2:RunInstances"], resources=["*"]) == "allowed"
    assert outcome(iam, document(allowing("ec2:Run*")), actions=["ec2:RunInstances"], resources=["*"]) == "allowed"
    assert outcome(iam, document(allowing("s3:*")), actions=["ec2:RunInstances"], resources=["*"]) == "implicitDeny"


def test_there_is_one_result_an_action_which_is_the_strictest_of_its_resources(iam):
    policy = document(allowing("s3:*", "arn:aws:s3:::b/*"), denying("s3:PutObject", OTHER_FILE))
    reading, writing = simulate(iam, policy, actions=["s3:GetObject", "s3:PutObject"], resources=[FILE, OTHER_FILE])
    assert (reading["EvalActionName"], reading["EvalDecision"]) == ("s3:GetObject", "allowed")
    assert (writing["EvalActionName"], writing["EvalDecision"]) == ("s3:PutObject", "explicitDeny")
    of_each = {it["EvalResourceName"]: it["EvalResourceDecision"] for it in writing["ResourceSpecificResults"]}
    assert of_each == {FILE: "allowed", OTHER_FILE: "explicitDeny"}


def test_the_statements_that_decide_are_shown_with_their_places(iam):
    policy = '{"Id": "a{[\\"", "Statement": [\n  {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},\n {"Effect": '
    policy += '"Deny", "Action": "s3:GetObject", "Resource": "*"} ]}'
    [found] = simulate(iam, READ, policy)
    [match] = found["MatchedStatements"]
    assert match["SourcePolicyId"] == "PolicyInputList.2"
    assert match["StartPosition"] == {"Line": 3, "Column": 2}
    assert match["EndPosition"] == {"Line": 3, "Column": 63}
    [found] = simulate(iam, READ, policy, actions=["s3:PutObject"])
    assert [(it["SourcePolicyId"], it["StartPosition"]["Line"]) for it in found["MatchedStatements"]] == [
        ("PolicyInputList.2", 2)
    ]
    [single] = simulate(iam, '{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}')
    assert single["MatchedStatements"][0]["StartPosition"] == {"Line": 1, "Column": 14}


def test_conditions_are_asked_of_what_the_call_gives_and_what_is_missing_is_named(iam):
    condition = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}, "Bool": {"aws:SecureTransport": "true"}}
    policy = document(allowing("s3:GetObject", "arn:aws:s3:::b/${aws:username}", Condition=condition))
    [found] = simulate(iam, policy, resources=["*"])
    assert found["EvalDecision"] == "implicitDeny"
    assert sorted(found["MissingContextValues"]) == ["aws:SecureTransport", "aws:SourceIp", "aws:username"]
    entries = [given("aws:sourceip", "10.1.2.3", kind="ip"), given("AWS:SecureTransport", "true", kind="boolean")]
    [found] = simulate(iam, policy, ContextEntries=[*entries, given("aws:username", "k")])
    assert (found["EvalDecision"], found["MissingContextValues"]) == ("allowed", [])
    tags = document(
        allowing("s3:PutObject", Condition={"ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": ["a"]}})
    )
    for keys, decided in ((["a"], "allowed"), (["a", "b"], "implicitDeny")):
        entry = given("s3:RequestObjectTagKeys", *keys, kind="stringList")
        assert outcome(iam, tags, actions=["s3:PutObject"], ContextEntries=[entry]) == decided


def test_a_boundary_and_the_policy_of_a_bucket_take_part(iam, new_user):
    name, _ = new_user()
    bounds = [document(allowing("s3:PutObject"))]
    [found] = simulate(iam, READ, PermissionsBoundaryPolicyInputList=bounds)
    assert found["EvalDecision"] == "implicitDeny"
    assert found["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}
    [found] = simulate(iam, READ, PermissionsBoundaryPolicyInputList=[READ])
    assert found["EvalDecision"] == "allowed"
    assert found["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": True}
    arn = f"arn:aws:iam::{ACCOUNT}:user/{name}"
    of_bucket = document({**allowing("s3:PutObject", "arn:aws:s3:::b/*"), "Principal": {"AWS": arn}})
    [found] = simulate(iam, READ, actions=["s3:PutObject"], CallerArn=arn, ResourcePolicy=of_bucket)
    assert found["EvalDecision"] == "allowed"
    assert [match["SourcePolicyType"] for match in found["MatchedStatements"]] == ["resource"]
    denial = document({**denying("s3:*", "arn:aws:s3:::b/*"), "Principal": "*"})
    assert outcome(iam, READ, CallerArn=arn, ResourcePolicy=denial) == "explicitDeny"
    assert outcome(iam, READ, resources=["arn:aws:s3:::other/k"], CallerArn=arn) == "implicitDeny"


def test_of_a_caller_that_is_named_nothing_is_told_that_the_call_does_not_give(iam, new_user):
    name, _ = new_user(Tags=[{"Key": "pay", "Value": "90"}])
    arn = f"arn:aws:iam::{ACCOUNT}:user/{name}"
    asking = document(allowing("s3:GetObject", Condition={"StringLike": {"aws:PrincipalTag/pay": "9*"}}))
    [found] = simulate(iam, asking, CallerArn=arn)
    assert (found["EvalDecision"], found["MissingContextValues"]) == ("implicitDeny", ["aws:PrincipalTag/pay"])
    theirs = {"PolicySourceArn": arn, "ActionNames": ["s3:GetObject"], "PolicyInputList": [asking]}
    for more in ({}, {"CallerArn": arn}):
        assert iam.simulate_principal_policy(**theirs, **more)["EvaluationResults"][0]["EvalDecision"] == "allowed"


def test_what_a_user_has_and_its_groups_is_simulated(iam, new_user):
    name, _ = new_user(document(allowing("s3:GetObject", "arn:aws:s3:::*/${aws:username}/*")))
    iam.create_group(GroupName="sim.writers")
    iam.put_group_policy(GroupName="sim.writers", PolicyName="w", PolicyDocument=document(allowing("s3:PutObject")))
    iam.add_user_to_group(GroupName="sim.writers", UserName=name)
    iam.attach_user_policy(UserName=name, PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    arn = iam.get_user(UserName=name)["User"]["Arn"]

    def ask(action, resource=f"arn:aws:s3:::b/{name}/k", **more):
        return iam.simulate_principal_policy(
            PolicySourceArn=arn, ActionNames=[action], ResourceArns=[resource], **more
        )["EvaluationResults"][0]

    assert ask("s3:PutObject")["MatchedStatements"][0]["SourcePolicyType"] == "group"
    reading = ask("s3:GetObject")
    assert {match["SourcePolicyType"] for match in reading["MatchedStatements"]} == {"user", "aws-managed"}
    iam.detach_user_policy(UserName=name, PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    assert ask("s3:GetObject")["EvalDecision"] == "allowed"
    assert ask("s3:GetObject", "arn:aws:s3:::b/another/k")["EvalDecision"] == "implicitDeny"
    assert ask("s3:DeleteObject")["EvalDecision"] == "implicitDeny"
    assert ask("s3:DeleteObject", PolicyInputList=[document(allowing("s3:*"))])["EvalDecision"] == "allowed"
    iam.remove_user_from_group(GroupName="sim.writers", UserName=name)
    assert ask("s3:PutObject")["EvalDecision"] == "implicitDeny"
    iam.delete_group_policy(GroupName="sim.writers", PolicyName="w")
    iam.delete_group(GroupName="sim.writers")


def test_what_a_role_has_is_simulated(iam):
    trust = document({"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"})
    arn = iam.create_role(RoleName="sim.role", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    condition = {"ArnEquals": {"aws:PrincipalArn": arn}}
    policy = document(allowing("s3:GetObject", Condition=condition))
    iam.put_role_policy(RoleName="sim.role", PolicyName="p", PolicyDocument=policy)
    found = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=["s3:GetObject", "s3:PutObject"])
    assert [it["EvalDecision"] for it in found["EvaluationResults"]] == ["allowed", "implicitDeny"]
    keys = iam.get_context_keys_for_principal_policy(PolicySourceArn=arn)["ContextKeyNames"]
    assert keys == ["aws:PrincipalArn"]
    iam.delete_role_policy(RoleName="sim.role", PolicyName="p")
    iam.delete_role(RoleName="sim.role")


def test_the_keys_that_policies_ask_for_are_named(iam):
    condition = {"StringLike": {"s3:prefix": "${aws:username}/*"}, "Null": {"aws:SourceIp": "false"}}
    text = document(allowing("s3:*", "arn:aws:s3:::b/${aws:PrincipalTag/team, 'none'}/${*}", Condition=condition))
    keys = iam.get_context_keys_for_custom_policy(PolicyInputList=[text])["ContextKeyNames"]
    assert sorted(keys) == ["aws:PrincipalTag/team", "aws:SourceIp", "aws:username", "s3:prefix"]
    old = json.dumps({"Version": "2008-10-17", "Statement": allowing("s3:*", "arn:aws:s3:::b/${aws:username}")})
    assert iam.get_context_keys_for_custom_policy(PolicyInputList=[old])["ContextKeyNames"] == []


def test_long_answers_come_in_pages(iam):
    actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    pages = iam.get_paginator("simulate_custom_policy").paginate(
        PolicyInputList=[READ], ActionNames=actions, PaginationConfig={"PageSize": 2}
    )
    found = [[it["EvalActionName"] for it in page["EvaluationResults"]] for page in pages]
    assert found == [actions[:2], actions[2:]]


MANY = {"ActionNames": ["s3:GetObject"] * 30, "ResourceArns": [FILE] * 30}
HUNDRED = {f"a:{number}": "true" for number in range(111)}


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"ActionNames": ["s3:Get*"]}, "InvalidInput"),
        ({"ActionNames": ["s3:NoSuchAction"]}, "InvalidInput"),
        ({"ActionNames": ["GetObject"]}, "InvalidInput"),
        ({"ResourceArns": ["bucket"]}, "InvalidInput"),
        ({"PolicyInputList": ["{}"]}, "InvalidInput"),
        ({"PermissionsBoundaryPolicyInputList": [READ, READ]}, "InvalidInput"),
        ({"CallerArn": f"arn:aws:iam::{ACCOUNT}:role/r"}, "InvalidInput"),
        ({"CallerArn": f"arn:aws:iam::{ACCOUNT}:user/is.not.there"}, "NoSuchEntity"),
        ({"ResourceOwner": "123456789012"}, "InvalidInput"),
        ({"ResourcePolicy": READ}, "InvalidInput"),
        ({"ContextEntries": [given("aws:username", "x", kind="text")]}, "InvalidInput"),
        ({"ActionNames": ["s3:GetObject"] * 40, "ResourceArns": [FILE] * 40}, "InvalidInput"),
        (MANY | {"PolicyInputList": [document(*[allowing("s3:*")] * 112)]}, "InvalidInput"),
        (MANY | {"PolicyInputList": [document(allowing("s3:*", Condition={"Null": HUNDRED}))]}, "InvalidInput"),
    ],
)
def test_what_cannot_be_simulated_is_refused(iam, wrong, code):
    arguments = {"PolicyInputList": [READ], "ActionNames": ["s3:GetObject"], "ResourceArns": [FILE], **wrong}
    assert code_of(iam.simulate_custom_policy, **arguments) == code


@pytest.mark.parametrize(
    ("arn", "code"),
    [
        (f"arn:aws:iam::{ACCOUNT}:user/is.not.there", "NoSuchEntity"),
        (f"arn:aws:iam::{ACCOUNT}:user/other/path/reader", "NoSuchEntity"),
        (f"arn:aws:iam::{ACCOUNT}:root", "InvalidInput"),
        (f"arn:aws:iam::{ACCOUNT}:policy/readonly", "InvalidInput"),
        (f"arn:aws:iam::{ACCOUNT}:user/reader", "InvalidInput"),
    ],
)
def test_whose_policies_cannot_be_simulated_is_refused(iam, arn, code):
    assert code_of(iam.simulate_principal_policy, PolicySourceArn=arn, ActionNames=["s3:GetObject"]) == code
    assert code_of(iam.get_context_keys_for_principal_policy, PolicySourceArn=arn) == code


def test_a_simulation_needs_a_right_of_its_own(server, new_user):
    name, keys = new_user(document(allowing("iam:SimulateCustomPolicy")))
    theirs = client(server, "iam", keys)
    assert outcome(theirs, READ) == "allowed"
    arn = f"arn:aws:iam::{ACCOUNT}:user/{name}"
    refused = code_of(theirs.simulate_principal_policy, PolicySourceArn=arn, ActionNames=["s3:GetObject"])
    assert refused == "AccessDenied"
    assert code_of(theirs.get_context_keys_for_custom_policy, PolicyInputList=[READ]) == "AccessDenied"
