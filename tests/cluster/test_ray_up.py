"""`ray up cluster/local.yaml` for real: over an own sshd on loopback, a zoo, and down again.

The sshd lives in a process namespace of its own, with a home of its own: `ray stop`, which `ray up`
and `ray down` run, ends every Ray that it sees.
"""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from tests.zoogen.s3_fixture import free_port

ROOT = Path(__file__).parents[2]
SSHD = "/usr/sbin/sshd"
PROGRAMS = ("ssh", "ssh-keygen", "rsync", "nc", "unshare")
NAMESPACE = ["unshare", "--pid", "--mount", "--fork", "--mount-proc", "--kill-child"]
ZOO = "--dataset digits --arch arch1 --recipe quick --members 4 --epochs 1"
pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(600)]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """One that is reached by ssh."""

    home: Path
    """What its user has at home, seen from here."""
    port: int
    key: Path
    pid: int
    """Of the first process in its namespace, seen from here."""

    def processes(self) -> list[str]:
        """Command lines of all that runs there, but for what belongs to ssh."""
        here = Path(f"/proc/{self.pid}/ns/pid").readlink()
        found: list[str] = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if (folder / "ns/pid").readlink() == here:
                    found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:  # it has just ended
                continue
        return [line for line in found if line and "sshd" not in line]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    missing += [] if Path(SSHD).exists() else ["sshd"]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    if os.getuid() or subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode:
        pytest.skip("process namespaces are not allowed here")
    home, port, key = tmp_path / "home", free_port(), tmp_path / "key"
    home.mkdir()
    for name in (key, tmp_path / "host"):
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(name)]
        subprocess.run(make, check=True)
    # What `setup_commands` would install is there already; and this Ray is to stay on loopback.
    (home / ".zooscope").symlink_to(Path(sys.prefix))
    (home / ".profile").write_text("export RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0\n")
    (home / ".bashrc").touch()
    settings = {
        "Port": port, "ListenAddress": "127.0.0.1", "HostKey": tmp_path / "host",
        "AuthorizedKeysFile": tmp_path / "key.pub", "PidFile": "none", "StrictModes": "no",
        "UsePAM": "no", "PermitRootLogin": "prohibit-password", "PasswordAuthentication": "no",
    }  # fmt: skip
    config = tmp_path / "sshd_config"
    config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    Path("/run/sshd").mkdir(exist_ok=True)
    # By another list of users, not by a mount over /root: Python itself may lie there.
    users = [line.split(":") for line in Path("/etc/passwd").read_text().splitlines()]
    passwd = tmp_path / "passwd"
    passwd.write_text(
        "".join(
            ":".join([*user[:5], str(home) if user[0] == "root" else user[5], "/bin/bash"]) + "\n"
            for user in users
        )
    )
    begin = f"mount --bind {passwd} /etc/passwd && exec {SSHD} -D -e -f {config}"
    log = (tmp_path / "sshd.log").open("w")
    server = subprocess.Popen([*NAMESPACE, "bash", "-c", begin], stderr=log, cwd="/")
    try:
        _await(port)
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        yield Machine(home=home, port=port, key=key, pid=int(children[0]))
    finally:
        server.kill()
        server.wait()
        log.close()


def test_up_a_zoo_and_down(machine: Machine, tmp_path: Path):
    config = yaml.safe_load((ROOT / "cluster" / "local.yaml").read_text())
    token = tmp_path / "token"
    token.write_text(secrets.token_hex(32))
    token.chmod(0o600)
    # The three lines, and what only a test needs: a port of its own for ssh and for Ray.
    config["cluster_name"] = f"zooscope-{secrets.token_hex(3)}"
    config["provider"] |= {"head_ip": "127.0.0.1", "worker_ips": []}
    config["auth"] = {
        "ssh_user": "root",
        "ssh_private_key": str(machine.key),
        "ssh_proxy_command": f"nc 127.0.0.1 {machine.port}",
    }
    config["file_mounts"]["~/.ray/auth_token"] = str(token)
    text = yaml.safe_dump(config).replace("--port=6379", f"--port={free_port()}")
    file = tmp_path / "local.yaml"
    file.write_text(text)
    try:
        ray("up", file, "-y", "--no-config-cache", "--no-restart")
        assert any("raylet" in line for line in machine.processes())
        assert (machine.home / "zooscope" / "zoogen" / "run.py").exists()
        kept = machine.home / ".ray" / "auth_token"
        assert kept.read_text() == token.read_text()
        assert kept.stat().st_mode & 0o777 == 0o600
        assert "1 local.cluster.node" in ray("exec", file, "ray status")

        said = ray("exec", file, f"python -m zoogen.run {ZOO} --address auto --out zoo")
        assert "complete, 4 networks" in said
        run = ["python", "-m", "zoogen.run", *ZOO.split(), "--local", "--out", "here"]
        subprocess.run([sys.executable, *run[1:]], cwd=tmp_path, check=True, capture_output=True)
        for here in (tmp_path / "here" / "shards").iterdir():
            there = machine.home / "zoo" / "shards" / here.name
            assert there.read_bytes() == here.read_bytes()
            assert pq.read_table(there).num_rows

        # Whoever does not know the token is not served.
        refused = ray("exec", file, f"RAY_AUTH_TOKEN={'0' * 64} ray status", fails=True)
        assert "local.cluster.node" not in refused
        assert "auth" in refused.lower()
    finally:
        ray("down", file, "-y")
    deadline = time.monotonic() + 20
    while machine.processes() and time.monotonic() < deadline:
        time.sleep(0.5)
    assert not machine.processes()


def ray(*words: object, fails: bool = False) -> str:
    """A command of Ray's launcher; what it and the machine said."""
    command, file, *rest = map(str, words)
    code = "from ray.scripts.scripts import main; import sys; sys.argv[0] = 'ray'; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, command, file, *rest],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        cwd=ROOT,
        env={**os.environ, "HOME": str(Path(file).parent), "RAY_USAGE_STATS_ENABLED": "0"},
    )
    assert fails == (done.returncode != 0), done.stdout
    return done.stdout


def _await(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
