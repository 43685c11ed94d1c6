"""What `cluster/gpu.yaml` needs in an AWS account, made once: `python cluster/aws_setup.py --help`.

A bucket that nobody else reads; a role for the head, which may start workers and use the bucket,
and one for the workers, which may use the bucket alone; a security group in which machines reach
one another and your address reaches port 22; a token, without which nobody submits work. What is
there is left, or brought back to this; what the three lines of `gpu.yaml` are to be is printed.
"""

import ipaddress
import json
import os
import re
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

HERE = Path(__file__).parent
NAME = "zooscope"
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
REGION = re.compile(r"[a-z]{2,3}(-[a-z]+)+-[0-9]{1,2}")
ROLES = {f"{NAME}-head": "aws-head-policy.json", f"{NAME}-worker": "aws-worker-policy.json"}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Make bucket, roles, security group and token for `ray up cluster/gpu.yaml`."""

    bucket: Annotated[str, tyro.conf.arg(metavar="NAME")]
    """Made if you have none of that name."""
    cidr: Annotated[str, tyro.conf.arg(metavar="ADDRESS/32")]
    """Who may reach port 22: your own address."""
    region: Annotated[str, tyro.conf.arg(metavar="NAME")] = "us-west-2"
    """Where everything is made."""
    token: Annotated[Path, tyro.conf.arg(metavar="FILE")] = HERE / "ray-token"
    """Made if it is not there."""


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    wanted = tyro.cli(Wanted, args=arguments, prog="python cluster/aws_setup.py")
    if not BUCKET.fullmatch(wanted.bucket):
        sys.exit(f"--bucket is a name such as zoos-of-ours, got {wanted.bucket!r}")
    if not REGION.fullmatch(wanted.region):
        sys.exit(f"--region is a name such as us-west-2, got {wanted.region!r}")
    try:
        network = ipaddress.ip_network(wanted.cidr)
    except ValueError:
        sys.exit(f"--cidr is an address range such as 203.0.113.7/32, got {wanted.cidr!r}")
    if network.prefixlen == 0:
        sys.exit("--cidr is the whole world: give your own address, for example 203.0.113.7/32")
    try:
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        sys.exit("this needs boto3: pip install 'zooscope[s3]'")

    def client(service: str) -> Any:
        return boto3.client(service, region_name=wanted.region)

    try:
        account = client("sts").get_caller_identity()["Account"]
        make_bucket(client("s3"), wanted.bucket, region=wanted.region)
        for role, policy in ROLES.items():
            text = (HERE / policy).read_text()
            for old, new in (("BUCKET", wanted.bucket), ("REGION", wanted.region)):
                text = text.replace(old, new)
            make_role(client("iam"), role, json.loads(text.replace("ACCOUNT", account)))
        make_spot_role(client("iam"))
        group = make_group(client("ec2"), wanted.cidr)
    except (ClientError, BotoCoreError) as error:
        sys.exit(f"AWS refuses: {error}")
    make_token(wanted.token)
    print("in cluster/gpu.yaml:")
    print(f"  region: {wanted.region}")
    print(f"  SecurityGroupIds: &groups [{group}]")
    print(f"  'ZOOSCOPE_STORE=s3://{wanted.bucket}'")
    return 0


def make_bucket(s3: Any, name: str, *, region: str) -> None:
    """Private, and half-done uploads of killed machines are cleared after a day."""
    where = {} if region == "us-east-1" else {"LocationConstraint": region}
    extra = {"CreateBucketConfiguration": where} if where else {}
    _unless(s3, ("BucketAlreadyOwnedByYou",), lambda: s3.create_bucket(Bucket=name, **extra))
    closed = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(
        Bucket=name, PublicAccessBlockConfiguration=dict.fromkeys(closed, True)
    )
    rule = {
        "ID": "half-done-uploads",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [rule]})


def make_role(iam: Any, name: str, policy: dict[str, Any]) -> None:
    """A role with this policy alone, in an instance profile of the same name."""
    there = ("EntityAlreadyExists", "LimitExceeded")
    trust = json.dumps(TRUST)
    _unless(iam, there, lambda: iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust))
    iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=json.dumps(policy))
    _unless(iam, there, lambda: iam.create_instance_profile(InstanceProfileName=name))
    profile = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
    if not profile["Roles"]:
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)


def make_spot_role(iam: Any) -> None:
    """What an account needs before its first spot machine."""
    there = ("InvalidInput", "EntityAlreadyExists")
    service = "spot.amazonaws.com"
    _unless(iam, there, lambda: iam.create_service_linked_role(AWSServiceName=service))


def make_group(ec2: Any, cidr: str) -> str:
    """A group whose rules are these two; returns its id."""
    vpcs = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    if not vpcs:
        sys.exit("this account has no default VPC in the region: aws ec2 create-default-vpc")
    vpc = vpcs[0]["VpcId"]
    filters = [{"Name": "group-name", "Values": [NAME]}, {"Name": "vpc-id", "Values": [vpc]}]
    found = ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    if not found:
        text = "zooscope: machines reach one another, one address reaches port 22"
        ec2.create_security_group(GroupName=NAME, Description=text, VpcId=vpc)
        found = ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    (group,) = found
    if group["IpPermissions"]:
        ec2.revoke_security_group_ingress(
            GroupId=group["GroupId"], IpPermissions=group["IpPermissions"]
        )
    ec2.authorize_security_group_ingress(
        GroupId=group["GroupId"],
        IpPermissions=[
            {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group["GroupId"]}]},
            {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": cidr}]},
        ],
    )
    return group["GroupId"]


def make_token(path: Path) -> None:
    """64 hex digits that this user alone can read."""
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
    path.chmod(0o600)


def _unless(client: Any, codes: tuple[str, ...], act: Callable[[], object]) -> None:
    """Do it, unless the answer is one of these."""
    try:
        act()
    except client.exceptions.ClientError as error:
        if error.response["Error"]["Code"] not in codes:
            raise


if __name__ == "__main__":
    sys.exit(main())
