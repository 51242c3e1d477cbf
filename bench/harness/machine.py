"""The machine: its cores, its name, and how a process is pinned to a core with a priority that counts."""

import os
import platform
import resource
import subprocess

SERVER_CORE = 0
GENERATOR_CORE = 1
FILES_WANTED = 12_000

# What could not be had on this machine, said once in the report.
notes = []


def note(text):
    if text not in notes:
        notes.append(text)
        print(f"note: {text}", flush=True)


def check():
    """Raises the limits that the measurements need, and notes what does not rise."""
    if len(os.sched_getaffinity(0)) < 2:
        note("one core only: server and generator share it, and every figure contains the generator")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FILES_WANTED and hard >= FILES_WANTED:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    elif hard < FILES_WANTED:
        note(f"at most {hard} open files: the idle connection cell is smaller (raise it with ulimit -n)")
    if os.geteuid() != 0:
        note("not root: priorities stay as they are, other processes on the machine disturb more")


def cores():
    allowed = sorted(os.sched_getaffinity(0))
    return {"server": allowed[SERVER_CORE], "generator": allowed[min(GENERATOR_CORE, len(allowed) - 1)]}


def placed(role):
    """For subprocess's preexec_fn: the process gets a session of its own, a high priority, and its core.

    Kernels with sched_autogroup_enabled share the CPU between sessions first and let `nice` rank only inside one:
    hence both the nice value of the process and that of its session's group.
    """
    core = cores()[role] if role != "floating" else None

    def prepare():
        os.setsid()
        try:
            with open("/proc/self/autogroup", "w") as group:
                group.write("-15")
        except OSError:
            pass
        try:
            os.setpriority(os.PRIO_PROCESS, 0, -15)
        except OSError:
            pass
        if core is not None:
            os.sched_setaffinity(0, {core})

    return prepare


def cpu_model():
    try:
        with open("/proc/cpuinfo") as info:
            for line in info:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()


def memory_gib():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def first_line(command):
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return (done.stdout.strip().splitlines() or [""])[0]
    except FileNotFoundError:
        return None


def description(versions):
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory_gib(), 1),
        "kernel": platform.release(),
        "system": first_line(["sh", "-c", ". /etc/os-release; echo $PRETTY_NAME"]),
        "versions": versions,
        "commit": first_line(["git", "describe", "--always", "--dirty"]),
    }


def cpu_seconds(pid):
    """The scheduler's own clock, over the threads that live now."""
    nanoseconds = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as schedstat:
            nanoseconds += int(schedstat.read().split()[0])
    return nanoseconds * 1e-9


def resident_bytes(pid):
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
