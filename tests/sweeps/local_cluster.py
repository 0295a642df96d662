"""A real Ray cluster on this machine, in a process of its own: a head and nodes that can be killed.

    python local_cluster.py TEMPORARY GCS_PORT DASHBOARD_PORT

Says `up` when it is; a line `kill N` on its standard input ends node N as a power cut would, `add`
brings a new one, `pid N` asks for the process of node N; it ends with its input.
"""

import socket
import sys
from pathlib import Path

from ray.cluster_utils import Cluster

NODE = {"num_cpus": 2, "num_gpus": 0}


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def main() -> None:
    temporary, gcs_port, dashboard_port = sys.argv[1:]
    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 0,
            "gcs_server_port": int(gcs_port),
            "include_dashboard": dashboard_port != "0",
            "dashboard_host": "127.0.0.1",
            "dashboard_port": int(dashboard_port) or None,
            "temp_dir": temporary,
            # Ray's own would clash with that of another cluster on this machine, and of a node.
            "dashboard_agent_listen_port": free_port(),
        },
    )
    # As `ray start` does: without it a job is told of any Ray that is found on this machine.
    Path(temporary, "ray_current_cluster").write_text(cluster.address)
    nodes = [add(cluster, f"{temporary}/{number}") for number in range(2)]
    say("up")
    for line in sys.stdin:
        words = line.split()
        if words[0] == "kill":
            cluster.remove_node(nodes[int(words[1])], allow_graceful=False)
        elif words[0] == "pid":
            (raylet,) = nodes[int(words[1])].all_processes["raylet"]
            say(str(raylet.process.pid))
            continue
        else:
            nodes.append(add(cluster, f"{temporary}/{len(nodes)}"))
        say("done")
    cluster.shutdown()


def add(cluster: Cluster, temporary: str) -> object:
    """A node with a folder of its own, as on a machine of its own: in one that nodes share, each
    that joins a job removes and fetches again the directory that the job runs in."""
    port = free_port()
    return cluster.add_node(**NODE, temp_dir=temporary, dashboard_agent_listen_port=port)


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
