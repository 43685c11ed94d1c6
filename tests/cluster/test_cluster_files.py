"""The cluster files: valid by Ray's own rules, closed to the world, with a token everywhere."""

import json
import os
import re
import stat
import subprocess
import sys
from importlib.metadata import requires, version
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from packaging.requirements import Requirement

from tests.cluster.kuberay_schema import RAY_CLUSTER

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"
RAY_FILES = ("gpu.yaml", "gcp.yaml", "local.yaml")
CLOUDS = ("gpu.yaml", "gcp.yaml")
TOKEN = "~/.ray/auth_token"


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def read(name: str) -> dict[str, Any]:
    return yaml.safe_load((CLUSTER / name).read_text())


@pytest.mark.parametrize("name", RAY_FILES)
def test_ray_takes_the_file(name: str):
    code = (
        "import sys, yaml\n"
        "from ray.autoscaler._private.util import prepare_config, validate_config\n"
        "validate_config(prepare_config(yaml.safe_load(open(sys.argv[1]))))\n"
    )
    # In a process of its own: Ray reads its environment when it is imported.
    done = subprocess.run(
        [sys.executable, "-c", code, str(CLUSTER / name)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    wrong = subprocess.run(
        [sys.executable, "-c", code.replace("sys.argv[1]))", "sys.argv[1])) | {'max_worker': 1}"),
         str(CLUSTER / name)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert wrong.returncode != 0


def test_kubernetes_takes_the_file():
    jsonschema.validate(read("kuberay.yaml"), RAY_CLUSTER)
    wrong = read("kuberay.yaml")
    wrong["spec"]["workerGroupSpecs"][0]["minReplica"] = 0
    with pytest.raises(jsonschema.ValidationError, match="minReplica"):
        jsonschema.validate(wrong, RAY_CLUSTER)


@pytest.mark.parametrize("name", [*RAY_FILES, "kuberay.yaml", "slurm.sh"])
def test_each_file_begins_with_what_its_reader_needs(name: str):
    lines = (CLUSTER / name).read_text().splitlines()
    head = [line for line in lines[:24] if line.startswith("#")]
    text = " ".join(line.lstrip("#! ") for line in head)
    assert re.search(r"Change these three lines", text)
    assert re.search(r"Costs", text)
    assert re.search(r"Stop it", text)


@pytest.mark.parametrize("name", RAY_FILES)
def test_a_token_is_wanted_by_head_and_workers(name: str):
    config = read(name)
    assert config["file_mounts"][TOKEN] == "cluster/ray-token"
    for part in ("head", "worker"):
        (start,) = [c for c in config[f"{part}_start_ray_commands"] if "ray start" in c]
        assert "RAY_AUTH_MODE=token" in start
        assert f"chmod 600 {TOKEN}" in start
    # And by whoever works on the head.
    assert any("RAY_AUTH_MODE=token" in command for command in config["setup_commands"])
    assert "cluster/ray-token" in config["rsync_exclude"]
    assert "/cluster/ray-token" in (ROOT / ".gitignore").read_text().split()


def test_kubernetes_has_the_token_from_a_secret():
    spec = read("kuberay.yaml")["spec"]
    pods = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    parts = [c for pod in pods for c in pod["template"]["spec"]["containers"]]
    for part in [*parts, spec["autoscalerOptions"]]:
        found = {v["name"]: v for v in part["env"]}
        assert found["RAY_AUTH_MODE"]["value"] == "token"
        assert "secretKeyRef" in found["RAY_AUTH_TOKEN"]["valueFrom"]
    assert spec["headGroupSpec"]["serviceType"] == "ClusterIP"


@pytest.mark.parametrize("name", [*RAY_FILES, "kuberay.yaml", "slurm.sh"])
def test_nothing_listens_to_the_world(name: str):
    text = (CLUSTER / name).read_text()
    assert "0.0.0.0" not in text
    assert "::/0" not in text
    for start in re.findall(r"ray start[^\n]*(?:\n\s+--[^\n]*)*", text):
        if "--head" in start:
            assert re.search("dashboard-host=127.0.0.1|include-dashboard=false", start)


def test_on_aws_every_machine_has_a_group_and_a_profile_of_ours():
    # Ray adds rules that are given to it to its own group, which lets everybody reach port 22; it
    # leaves machines alone that name their groups.
    types = read("gpu.yaml")["available_node_types"]
    nodes = {name: one["node_config"] for name, one in types.items()}
    assert all(node["SecurityGroupIds"] for node in nodes.values())
    assert nodes["head"]["IamInstanceProfile"] == {"Name": "zooscope-head"}
    assert nodes["gpu"]["IamInstanceProfile"] == {"Name": "zooscope-worker"}
    assert all(node["MetadataOptions"] == {"HttpTokens": "required"} for node in nodes.values())
    assert nodes["gpu"]["InstanceMarketOptions"]["MarketType"] == "spot"


@pytest.mark.parametrize("name", CLOUDS)
def test_idle_machines_go_and_the_head_does_no_work(name: str):
    config = read(name)
    assert config["idle_timeout_minutes"] <= 10
    assert config["available_node_types"]["gpu"]["min_workers"] == 0
    assert config["available_node_types"]["head"]["resources"]["CPU"] == 0
    assert any("--num-cpus=0" in c for c in config["head_start_ray_commands"])


def test_policies_allow_what_is_needed_and_no_more():
    policies = {
        name: json.loads((CLUSTER / f"aws-{name}-policy.json").read_text())["Statement"]
        for name in ("head", "worker")
    }
    actions = {
        name: {action for s in statements for action in listed(s["Action"])}
        for name, statements in policies.items()
    }
    assert {a.split(":")[0] for a in actions["worker"]} == {"s3"}
    assert not any("*" in action for own in actions.values() for action in own)
    put = {"s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:AbortMultipartUpload"}
    assert put <= actions["worker"] <= actions["head"]
    for statement in policies["head"]:
        if statement["Resource"] == "*":
            assert statement["Sid"] in {"SeeMachines", "StartWorkers"}


def test_versions_are_pinned_for_all_that_runs_need():
    lines = (CLUSTER / "constraints.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    all_wanted = [Requirement(text) for text in requires("zooscope") or ()]
    for wanted in all_wanted:
        if wanted.marker is None or wanted.marker.evaluate({"extra": "s3"}):
            name = wanted.name.lower()
            assert name in pinned, f"{name}: python cluster/lock.py"
            assert wanted.specifier.contains(pinned[name], prereleases=True)
    # `make test-min` tests with the lowest that is allowed.
    [least] = [s.version for w in all_wanted if w.name == "ray" for s in w.specifier]
    tested = [".".join(each.split(".")[:2]) for each in (pinned["ray"], least)]
    assert version("ray").rpartition(".")[0] in tested


def test_images_are_fetched_from_a_bucket_once(tmp_path: Path):
    source, target = tmp_path / "bucket" / "images", tmp_path / "here"
    (source / "mnist").mkdir(parents=True)
    (source / "mnist" / "train.parquet").write_bytes(b"x" * 3_000_000)
    run = [sys.executable, str(CLUSTER / "fetch_images.py"), f"file://{source}", str(target)]
    place = target / "mnist" / "train.parquet"
    for _ in range(2):
        done = subprocess.run(run, capture_output=True, text=True, check=True)
        assert "1 files are in" in done.stderr
        assert [p for p in target.rglob("*") if p.is_file()] == [place]
        assert place.read_bytes() == b"x" * 3_000_000
        os.utime(place, ns=(1, 1))
    assert place.stat().st_mtime_ns == 1


FAKES = {
    "scontrol": "printf 'one\\ntwo\\n'",
    "srun": 'while [ "${1#-}" != "$1" ]; do [ "$1" = -w ] && shift; shift; done; exec "$@"',
    "hostname": "echo 127.0.0.1 10.1.2.3",
    "ray": 'echo "ray $*" "$RAY_AUTH_MODE" >> "$LOG"; '
    'if [ "$1" = status ]; then printf " 1 node_a\\n 1 node_b\\n"; fi',
    "work": 'echo "work $*" >> "$LOG"; exit 3',
}


def test_slurm_starts_every_machine_then_runs_the_command(tmp_path: Path):
    for name, code in FAKES.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{code}\n")
        (tmp_path / name).chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "SLURM_JOB_ID": "12", "SLURM_JOB_NODELIST": "[one-two]", "SLURM_CPUS_PER_TASK": "8",
        "LOG": str(tmp_path / "log"),
    }  # fmt: skip
    run = ["bash", str(CLUSTER / "slurm.sh")]
    done = subprocess.run([*run, "work", "--out", "zoo"], env=environment, cwd=tmp_path, timeout=60)
    assert done.returncode == 3
    said = (tmp_path / "log").read_text().splitlines()
    where = "10.1.2.3:20012"
    assert f"work --out zoo --address {where}" in said
    starts = [line for line in said if line.startswith("ray start")]
    assert any("--head" in s and "--port=20012" in s for s in starts)
    assert any(f"--address={where}" in s and "--head" not in s for s in starts)
    assert all(s.endswith(" token") and "--num-cpus=8" in s for s in starts)
    refused = subprocess.run(run, env=environment, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "wants the command to run" in refused.stderr
    assert (CLUSTER / "slurm.sh").stat().st_mode & stat.S_IXUSR
