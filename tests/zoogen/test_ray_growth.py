"""Machines asked of Ray's own autoscaler, here with machines that are processes.

In a process namespace of its own: Ray's tool for such clusters begins with `ray stop --force`,
which ends every Ray that it sees.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import os
os.environ.update(RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0", RAY_USAGE_STATS_ENABLED="0")
import logging, sys
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
import ray
from ray.cluster_utils import AutoscalingCluster
from zoogen.errors import ZooError
from zoogen.ray_growth import grown
from zoogen.ray_session import resources
kinds = {"gpu": {"resources": {"CPU": 1, "GPU": 1}, "node_config": {}, "min_workers": 0,
                 "max_workers": 2}}
class Cluster(AutoscalingCluster):
    def _generate_config(self, head_resources, worker_node_types, autoscaler_v2=False, **more):
        head = {"resources": dict(head_resources), "node_config": {}, "max_workers": 0}
        return {
            "cluster_name": "fake", "max_workers": 4, "upscaling_speed": 100.0,
            "provider": {"type": "fake_multinode", "disable_node_updaters": True,
                         "disable_launch_config_check": True}, "head_node_type": "ray.head.default",
            "available_node_types": {**worker_node_types, "ray.head.default": head},
            "auth": {}, "file_mounts": {}, "cluster_synced_files": [], "docker": {},
            "initialization_commands": [], "setup_commands": [], "head_setup_commands": [],
            "worker_setup_commands": [], "head_start_ray_commands": [],
            "worker_start_ray_commands": [], **more,
        }
cluster = Cluster(head_resources={"CPU": 0}, worker_node_types=kinds,
                             idle_timeout_minutes=1)
cluster.start()
try:
    ray.init("auto", logging_level="ERROR", log_to_driver=False)
    found = resources()
    print("FOUND", found.gpus, found.cpus)
    try:
        with grown(found, None):
            pass
    except ZooError as error:
        print("REFUSED", error)
    with grown(found, 2, patience_s=120) as more:
        print("GROWN", more.gpus, more.nodes)
    with grown(resources(), 3, patience_s=1) as fewer:
        print("FEWER", fewer.gpus)
finally:
    ray.shutdown()
    cluster.shutdown()
"""


@pytest.mark.slow
@pytest.mark.ray
def test_machines_come_when_asked_and_work_begins_with_those_that_came():
    space = ["unshare", "--pid", "--mount", "--fork", "--mount-proc", "--kill-child"]
    if os.getuid() or not shutil.which("unshare") or subprocess.run([*space, "true"]).returncode:
        pytest.skip("process namespaces are not allowed here")
    done = subprocess.run(
        [*space, sys.executable, "-c", CODE],
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line}
    assert lines["FOUND"] == "FOUND 0 0"
    assert "say how many machines with a GPU" in lines["REFUSED"]
    assert lines["GROWN"] == "GROWN 2 3"
    assert lines["FEWER"] == "FEWER 2"
    assert "waiting for machines: 0 of 2 GPUs are there" in done.stdout
    assert "2 of 3 GPUs came; beginning with these" in done.stdout
