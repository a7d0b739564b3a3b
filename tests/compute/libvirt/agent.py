"""An agent's process for tests: carries out calls, one a line, and says what came of them."""

import sys
import threading
from pathlib import Path

import msgspec

from onestack.compute import Hypervisor
from onestack.compute.drivers.libvirt import LibvirtHypervisor, LibvirtOptions
from onestack.core.contract import contract


class Call(msgspec.Struct):
    number: int
    method: str
    arguments: msgspec.Raw


class Answer(msgspec.Struct):
    number: int
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: str | None = None


def main(folder: str, host: str, mark: str, address: str) -> None:
    driver = LibvirtHypervisor(Path(folder), LibvirtOptions(host, mark, address))
    lock = threading.Lock()

    def carry_out(call: Call) -> None:
        answer = Answer(call.number)
        try:
            if call.method in ("remove_all", "take_down"):
                getattr(driver, call.method)()
            else:
                said = contract(Hypervisor).method(call.method).run(driver, bytes(call.arguments))
                answer.result = msgspec.Raw(said)
        except Exception as error:
            answer.error = f"{type(error).__name__}: {error}"
        with lock:
            sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
            sys.stdout.buffer.flush()

    for line in sys.stdin.buffer:
        call = msgspec.json.decode(line, type=Call)
        threading.Thread(target=carry_out, args=(call,)).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
