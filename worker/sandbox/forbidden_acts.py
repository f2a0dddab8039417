"""What a child must not be able to do: each function is one act, done for real. It raises OSError where it is refused.

The same acts are done before the sandbox is entered, where they must work, so each cleans up after itself.
"""

import ctypes
import os
import resource
import signal
import socket
from pathlib import Path

from worker.sandbox.kernel import machine, system_call
from worker.sandbox.scene import Act, Scene
from worker.sandbox.system_calls import CONDITIONAL, REFUSED

_PTRACE_ATTACH, _PTRACE_DETACH = 16, 17
_PAGE = 4096


def _call(name: str, *arguments: object) -> int:
    processor = machine()
    assert processor is not None
    numbers = {**REFUSED, **CONDITIONAL}[name]
    number = numbers[processor != "x86_64"]
    assert number is not None
    return system_call(number, *arguments)


def write_outside(scene: Scene) -> None:
    scene.new(scene.around).write_text("written")


def write_to_inputs(scene: Scene) -> None:
    scene.new(scene.job / "inputs").write_text("written")


def overwrite_a_file(scene: Scene) -> None:
    with scene.secret.open("r+") as file:
        file.write("secret")


def delete_outside(scene: Scene) -> None:
    doomed = scene.around / "doomed"
    doomed.unlink()
    doomed.touch()


def read_passwords(_scene: Scene) -> None:
    Path("/etc/passwd").read_bytes()


def read_data_folder(scene: Scene) -> None:
    scene.secret.read_bytes()


def read_through_proc(scene: Scene) -> None:
    Path(f"/proc/self/root{scene.secret}").read_bytes()


def read_other_job(scene: Scene) -> None:
    (scene.other_job / "weights").read_bytes()


def list_data_folder(scene: Scene) -> None:
    list(scene.around.iterdir())


def read_parents_environment(scene: Scene) -> None:
    Path(f"/proc/{scene.parent}/environ").read_bytes()


def link_out(scene: Scene) -> None:
    link = scene.new(scene.job / "outputs")
    link.symlink_to(scene.secret)
    link.unlink()


def hard_link_in(scene: Scene) -> None:
    link = scene.new(scene.job / "outputs")
    link.hardlink_to(scene.secret)
    link.unlink()


def move_out(scene: Scene) -> None:
    inside, outside = scene.new(scene.job / "outputs"), scene.new(scene.other_job)
    inside.touch()
    inside.rename(outside)


def change_mode(scene: Scene) -> None:
    scene.secret.chmod(0o600)


def empty_a_file(scene: Scene) -> None:
    os.truncate(scene.around / "doomed", 0)


def connect_tcp(scene: Scene) -> None:
    socket.create_connection(("127.0.0.1", scene.port), timeout=5).close()


def send_udp(scene: Scene) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", ("127.0.0.1", scene.port))


def open_unix_socket(_scene: Scene) -> None:
    for end in socket.socketpair():
        end.close()


def fork(_scene: Scene) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def run_a_program(_scene: Scene) -> None:
    """In a fork where that is allowed, else in place: should it work there, no answer comes back."""
    try:
        child = os.fork()
    except OSError:
        os.execv("/bin/true", ["true"])  # noqa: S606
    if child == 0:
        os.execv("/bin/true", ["true"])  # noqa: S606
    os.waitpid(child, 0)


def signal_parent(scene: Scene) -> None:
    os.kill(scene.parent, signal.SIGCONT)


def signal_a_thread_of_the_parent(scene: Scene) -> None:
    _call("tgkill", scene.parent, scene.parent, int(signal.SIGCONT))


def limit_a_process(scene: Scene) -> None:
    limits = resource.prlimit(scene.victim, resource.RLIMIT_CORE)
    resource.prlimit(scene.victim, resource.RLIMIT_CORE, limits)


def trace_a_process(scene: Scene) -> None:
    _call("ptrace", _PTRACE_ATTACH, scene.victim, 0, 0)
    os.waitpid(scene.victim, 0)
    _call("ptrace", _PTRACE_DETACH, scene.victim, 0, 0)


def read_a_process(scene: Scene) -> None:
    """The victim is a fork, so what stands at an address here stands there too."""
    source, target = ctypes.create_string_buffer(8), ctypes.create_string_buffer(8)
    here = (ctypes.c_size_t * 2)(ctypes.addressof(target), 8)
    there = (ctypes.c_size_t * 2)(ctypes.addressof(source), 8)
    _call("process_vm_readv", scene.victim, here, 1, there, 1, 0)


def share_memory(_scene: Scene) -> None:
    segment = _call("shmget", 0, _PAGE, 0o600)
    _call("shmctl", segment, 0, None)


def hide_memory(_scene: Scene) -> None:
    os.close(_call("memfd_create", b"hidden", 0))


def watch_files(_scene: Scene) -> None:
    os.close(_call("inotify_init1", 0))


FORBIDDEN: dict[str, Act] = {
    "write a file beside the job's folder": write_outside,
    "write to the job's inputs": write_to_inputs,
    "overwrite a file of the data folder": overwrite_a_file,
    "delete a file of the data folder": delete_outside,
    "empty a file of the data folder": empty_a_file,
    "change the mode of a file of the data folder": change_mode,
    "read /etc/passwd": read_passwords,
    "read a file of the data folder": read_data_folder,
    "read it through /proc/self/root": read_through_proc,
    "list the data folder": list_data_folder,
    "read another job's file": read_other_job,
    "read the parent's environment": read_parents_environment,
    "make a symbolic link that leads outside": link_out,
    "make a hard link to a file outside": hard_link_in,
    "move a file into another job's folder": move_out,
    "connect by TCP": connect_tcp,
    "send by UDP": send_udp,
    "open a Unix socket": open_unix_socket,
    "fork": fork,
    "run a program": run_a_program,
    "send the parent a signal": signal_parent,
    "send a thread of the parent a signal": signal_a_thread_of_the_parent,
    "change another process's limits": limit_a_process,
    "trace another process": trace_a_process,
    "read another process's memory": read_a_process,
    "share memory with other processes": share_memory,
    "hold memory that the parent can't see": hide_memory,
    "watch files": watch_files,
}
