"""What a guest has used, as the administrator asks."""

from tests.cloud import Local
from tests.compute.clients import Networked
from tests.settle import settle


def test_a_guest_in_numbers(local: Local) -> None:
    client = Networked(local)
    server = client.built(networks="auto")
    path = f"/servers/{server['id']}/diagnostics"
    client.member.get(path, status=403)
    found = client.admin.get(path)
    assert (found["state"], found["driver"], found["hypervisor"]) == ("running", "libvirt", "fake")
    assert (found["num_cpus"], found["num_nics"], found["num_disks"]) == (1, 1, 1)
    assert found["memory_details"] == {"maximum": 128, "used": None}
    mac = server["addresses"]["private"][0]["OS-EXT-IPS-MAC:mac_addr"]
    assert found["nic_details"][0]["mac_address"] == mac
    assert found["cpu_details"] == [{"id": 0, "time": 0, "utilisation": None}]
    assert found["disk_details"][0]["read_bytes"] == 0
    old = client.admin.at("2.47").get(path)
    assert (old["memory"], old["cpu0_time"]) == (128 << 10, 0)
    client.act(server, "os-stop")
    settle(local)
    assert "shutdown" in client.admin.message("GET", path, 409)
    client.admin.get(f"/servers/{'0' * 8}-0000-0000-0000-{'0' * 12}/diagnostics", status=404)
