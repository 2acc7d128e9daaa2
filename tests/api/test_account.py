"""The account as a whole by the IAM query API: counts, all that there is, and a report of keys."""

import csv
import io
import json

import pytest

from tests.api.conftest import LIMITED
from tests.api.iam_support import allowing, client, code_of

ACCOUNT = "000000000000"
READ = {"Version": "2012-10-17", "Statement": [allowing("s3:GetObject")]}
TRUST = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}]}


@pytest.fixture
def furnished(iam, new_user):
    """A user in a group, a role and a managed policy with two versions, which is attached to the user."""
    name, keys = new_user(json.dumps(READ))
    iam.create_group(GroupName="account.group")
    iam.put_group_policy(GroupName="account.group", PolicyName="g", PolicyDocument=json.dumps(READ))
    iam.add_user_to_group(GroupName="account.group", UserName=name)
    iam.create_role(RoleName="account.role", AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.put_role_policy(RoleName="account.role", PolicyName="r", PolicyDocument=json.dumps(READ))
    arn = iam.create_policy(PolicyName="account.policy", PolicyDocument=json.dumps(READ))["Policy"]["Arn"]
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(READ))
    iam.attach_user_policy(UserName=name, PolicyArn=arn)
    yield name, keys, arn
    iam.detach_user_policy(UserName=name, PolicyArn=arn)
    iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
    iam.delete_policy(PolicyArn=arn)
    iam.delete_role_policy(RoleName="account.role", PolicyName="r")
    iam.delete_role(RoleName="account.role")
    iam.remove_user_from_group(GroupName="account.group", UserName=name)
    iam.delete_group_policy(GroupName="account.group", PolicyName="g")
    iam.delete_group(GroupName="account.group")


def test_a_summary_counts_what_there_is(iam, new_user):
    before = iam.get_account_summary()["SummaryMap"]
    new_user()
    after = iam.get_account_summary()["SummaryMap"]
    assert after["Users"] == before["Users"] + 1
    assert (after["UsersQuota"], after["GroupsQuota"], after["VersionsPerPolicyQuota"]) == (5000, 300, 5)
    assert {name: value for name, value in after.items() if value != before[name]} == {"Users": after["Users"]}


def details(iam, **more):
    """All details, over all pages, by the name of the list."""
    found = {"UserDetailList": [], "GroupDetailList": [], "RoleDetailList": [], "Policies": []}
    for page in iam.get_paginator("get_account_authorization_details").paginate(**more):
        for field, those in found.items():
            those += page[field]
    return found


@pytest.mark.parametrize("size", [1, 1000])
def test_all_users_groups_roles_and_policies_are_shown_at_once(iam, furnished, size):
    name, _, arn = furnished
    found = details(iam, PaginationConfig={"PageSize": size})
    [user] = [it for it in found["UserDetailList"] if it["UserName"] == name]
    assert [policy["PolicyDocument"] for policy in user["UserPolicyList"]] == [READ]
    assert user["AttachedManagedPolicies"] == [{"PolicyName": "account.policy", "PolicyArn": arn}]
    assert user["GroupList"] == ["account.group"]
    [group] = [it for it in found["GroupDetailList"] if it["GroupName"] == "account.group"]
    assert group["GroupPolicyList"] == [{"PolicyName": "g", "PolicyDocument": READ}]
    [role] = [it for it in found["RoleDetailList"] if it["RoleName"] == "account.role"]
    assert (role["AssumeRolePolicyDocument"], role["RolePolicyList"][0]["PolicyDocument"]) == (TRUST, READ)
    [policy] = [it for it in found["Policies"] if it["Arn"] == arn]
    versions = [(it["VersionId"], it["IsDefaultVersion"], it["Document"]) for it in policy["PolicyVersionList"]]
    assert versions == [("v2", False, READ), ("v1", True, READ)]
    assert len(found["Policies"]) == len({it["Arn"] for it in found["Policies"]})
    assert "arn:aws:iam::aws:policy/AdministratorAccess" in {it["Arn"] for it in found["Policies"]}


def test_details_can_be_of_some_kinds_alone(iam, furnished):
    found = details(iam, Filter=["Role", "LocalManagedPolicy"])
    assert (found["UserDetailList"], found["GroupDetailList"]) == ([], [])
    assert "account.role" in {it["RoleName"] for it in found["RoleDetailList"]}
    assert all(it["Arn"].startswith(f"arn:aws:iam::{ACCOUNT}:") for it in found["Policies"])
    assert code_of(iam.get_account_authorization_details, Filter=["Key"]) == "ValidationError"


def test_a_report_says_which_keys_there_are_and_when_they_were_used(server, iam, new_user):
    name, keys = new_user(json.dumps(READ))
    assert iam.generate_credential_report()["State"] == "COMPLETE"

    def row(user):
        report = iam.get_credential_report()
        assert report["ReportFormat"] == "text/csv"
        rows = list(csv.DictReader(io.StringIO(report["Content"].decode())))
        assert all(None not in it and None not in it.values() for it in rows)
        return next(it for it in rows if it["user"] == user)

    assert row("<root_account>")["arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    before = row(name)
    assert (before["access_key_1_active"], before["access_key_2_active"]) == ("true", "false")
    client(server, "sts", keys).get_caller_identity()
    assert row(name)["access_key_1_last_used_date"] != "N/A"
    iam.update_access_key(UserName=name, AccessKeyId=keys[0], Status="Inactive")
    assert row(name)["access_key_1_active"] == "false"


def test_what_the_account_has_not_is_said_so(iam):
    assert code_of(iam.get_account_password_policy) == "NoSuchEntity"
    assert iam.list_open_id_connect_providers()["OpenIDConnectProviderList"] == []
    arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/login.example.com"
    assert code_of(iam.get_open_id_connect_provider, OpenIDConnectProviderArn=arn) == "NoSuchEntity"
    assert iam.list_saml_providers()["SAMLProviderList"] == []
    assert iam.list_server_certificates()["ServerCertificateMetadataList"] == []


@pytest.mark.parametrize(
    "name",
    [
        "get_account_summary",
        "get_account_authorization_details",
        "generate_credential_report",
        "get_credential_report",
        "get_account_password_policy",
        "list_open_id_connect_providers",
    ],
)
def test_who_was_given_nothing_of_iam_sees_nothing_of_the_account(server, name):
    assert code_of(getattr(client(server, "iam", LIMITED), name)) == "AccessDenied"
