"""`cluster/aws_setup.py` against a server that speaks EC2, IAM and S3; then Ray's preparation."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.zoogen.s3_fixture import KEYS, s3_server  # noqa: F401

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "cluster" / "aws_setup.py"
MINE = "203.0.113.7/32"
BOOTSTRAP = """
import json, sys, yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.autoscaler._private.aws.config import bootstrap_aws
config = prepare_config(yaml.safe_load(open(sys.argv[1])))
validate_config(config)
print("CONFIG" + json.dumps(bootstrap_aws(config)["available_node_types"]))
"""


@pytest.fixture
def account(
    s3_server: str,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> dict[str, str]:
    found = {**os.environ, **KEYS, "AWS_ENDPOINT_URL": s3_server, "HOME": str(tmp_path)}
    found["AWS_REGION"] = found["AWS_DEFAULT_REGION"] = "us-west-2"
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


def set_up(
    account: dict[str, str], token: Path, cidr: str = MINE
) -> subprocess.CompletedProcess[str]:
    flags = ["--bucket", "zooscope-test", "--cidr", cidr, "--token", str(token)]
    return subprocess.run(
        [sys.executable, str(SCRIPT), *flags], env=account, capture_output=True, text=True
    )


def prepared(account: dict[str, str], path: Path) -> dict[str, Any]:
    """The node types of a file as Ray would start them."""
    done = subprocess.run(
        [sys.executable, "-c", BOOTSTRAP, str(path)], env=account, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.partition("CONFIG")[2])


def client(service: str) -> Any:
    import boto3

    return boto3.client(service, region_name="us-west-2")


def rules() -> dict[str, set[str]]:
    """Who reaches which port, by security group."""
    found: dict[str, set[str]] = {}
    for group in client("ec2").describe_security_groups()["SecurityGroups"]:
        if group["GroupName"] != "default":
            found[group["GroupName"]] = {
                f"{rule.get('FromPort', 'all')} from {who}"
                for rule in group["IpPermissions"]
                for who in [
                    *(r["CidrIp"] for r in rule["IpRanges"]),
                    *(f"{p['GroupId']}" for p in rule["UserIdGroupPairs"]),
                ]
            }
    return found


def test_what_is_made_lets_nobody_in_and_ray_leaves_it_so(account, tmp_path):
    token = tmp_path / "token"
    done = set_up(account, token)
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert len(token.read_text()) == 64
    lines = done.stdout.splitlines()
    (group,) = [line.split("[")[1].rstrip("]") for line in lines if "SecurityGroupIds" in line]
    wanted = {f"all from {group}", f"22 from {MINE}"}
    assert rules()["zooscope"] == wanted

    # The three lines as they were printed, then what Ray makes of the file.
    text = (ROOT / "cluster" / "gpu.yaml").read_text()
    text = text.replace("sg-CHANGE-ME", group).replace("s3://BUCKET", "s3://zooscope-test")
    (tmp_path / "gpu.yaml").write_text(text)
    assert yaml.safe_load(text)["provider"]["region"] == "us-west-2"
    types = prepared(account, tmp_path / "gpu.yaml")
    assert {name: t["node_config"]["SecurityGroupIds"] for name, t in types.items()} == {
        "head": [group], "gpu": [group],
    }  # fmt: skip
    assert rules()["zooscope"] == wanted

    # Again, from another address: the rules are the new ones alone, the token stays.
    before = token.read_text()
    assert set_up(account, token, cidr="198.51.100.0/24").returncode == 0
    assert rules()["zooscope"] == {f"all from {group}", "22 from 198.51.100.0/24"}
    assert set(rules()) <= {"zooscope", "rays"}
    assert token.read_text() == before


def test_rays_own_group_would_let_the_world_in(account, tmp_path):
    """Why groups are named: rules in the file are added to Ray's, which open port 22."""
    config = yaml.safe_load((ROOT / "cluster" / "gpu.yaml").read_text())
    for one in config["available_node_types"].values():
        del one["node_config"]["SecurityGroupIds"]
    only_me = {"FromPort": 22, "ToPort": 22, "IpProtocol": "tcp", "IpRanges": [{"CidrIp": MINE}]}
    config["provider"]["security_group"] = {"GroupName": "rays", "IpPermissions": [only_me]}
    (tmp_path / "gpu.yaml").write_text(yaml.safe_dump(config))
    prepared(account, tmp_path / "gpu.yaml")
    assert {f"22 from {MINE}", "22 from 0.0.0.0/0"} <= rules()["rays"]


def test_roles_have_the_policies_that_lie_beside_it(account, tmp_path):
    assert set_up(account, tmp_path / "token").returncode == 0
    iam = client("iam")
    for part in ("head", "worker"):
        name = f"zooscope-{part}"
        policy = iam.get_role_policy(RoleName=name, PolicyName=name)["PolicyDocument"]
        kept = json.loads((ROOT / "cluster" / f"aws-{part}-policy.json").read_text())
        assert [s["Sid"] for s in policy["Statement"]] == [s["Sid"] for s in kept["Statement"]]
        text = json.dumps(policy)
        assert not any(word in text for word in ("BUCKET", "REGION", "ACCOUNT"))
        assert "arn:aws:s3:::zooscope-test/*" in text
        profile = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
        assert [role["RoleName"] for role in profile["Roles"]] == [name]
    closed = client("s3").get_public_access_block(Bucket="zooscope-test")
    assert all(closed["PublicAccessBlockConfiguration"].values())


@pytest.mark.parametrize(
    ("cidr", "said"), [("0.0.0.0/0", "the whole world"), ("here", "is an address range")]
)
def test_the_world_is_refused(account, tmp_path, cidr, said):
    done = set_up(account, tmp_path / "token", cidr=cidr)
    assert done.returncode != 0
    assert said in done.stderr
    assert not (tmp_path / "token").exists()
