"""The kernel in which a submission runs: IPython's, under an audit hook that no cell can take away.

The hook sees what Python itself does (open a file, start a program, connect), not what a library does in C. It keeps
an honest mistake harmless and makes a dishonest try visible; the teacher's guide says what it does not contain.
"""

import builtins
import functools
import json
import os
import sys
import threading
import types

ORIGINALS = dict(vars(builtins))  # before a student's first line
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
WRITES = {  # audit event: which of its arguments are paths that change
    "os.remove": (0,),
    "os.rename": (0, 1),
    "os.rmdir": (0,),
    "os.mkdir": (0,),
    "os.link": (1,),
    "os.symlink": (1,),
    "os.truncate": (0,),
    "os.chmod": (0,),
    "os.chown": (0,),
    "os.utime": (0,),
    "shutil.rmtree": (0,),
}
READS = ("os.listdir", "os.scandir", "os.chdir", "sqlite3.connect")
PROGRAMS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "pty.spawn")
QUIET = {"uname", "lscpu", "fc-list", "ldconfig", "gcc", "cc", "ld", "arch", "sysctl"}  # libraries ask these at import
LOCAL = {"", "localhost", "127.0.0.1", "::1", "0.0.0.0"}


def main():
    """Start the kernel; argv[1] holds the guard's arguments as JSON, before the kernel's own."""
    from ipykernel.kernelapp import IPKernelApp

    settings = json.loads(sys.argv.pop(1))
    limit_files()
    sys.addaudithook(guard(**settings))
    IPKernelApp.launch_instance()


def limit_files():
    """Let no file of this process grow beyond 1 GB, and no crash leave a core."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (10**9, 10**9))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def guard(hidden, own, writable, log):
    """Return the audit hook.

    hidden: folders that a submission may not read (list of str), but for those in own; of notebooks and gradebooks it
    may read none but those in writable, the only folders it may change.
    What is refused raises PermissionError in the cell, and becomes a line of JSON in the file log.
    """
    open_log = lambda: os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)  # noqa: E731
    line_to, lines, mine = open_log(), [], threading.local()

    def note(kind, what):
        lines.append(kind)
        if len(lines) > 50:
            return
        line = json.dumps([kind, str(what)[:300]]).encode() + b"\n"
        try:
            os.write(line_to, line)
        except OSError:  # a forked process closes what it was given before it becomes another program
            mine.opening = True
            os.write(open_log(), line)
            mine.opening = False

    def refuse(kind, what):
        note(kind, what)
        raise PermissionError(f"Grading does not allow this submission to {kind} {what}.")

    def below(path, folders):
        return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)

    def whole(path, folder=-1):
        path = os.fsdecode(path)
        if folder is not None and folder >= 0 and os.path.exists(f"/proc/self/fd/{folder}"):
            path = os.path.join(os.path.realpath(f"/proc/self/fd/{folder}"), path)
        return os.path.realpath(path)

    def read(path):
        if isinstance(path, str | bytes | os.PathLike):
            path = whole(path)
            secret = path.endswith((".ipynb", "gradebook.db")) and not below(path, writable)
            if secret or (below(path, hidden) and not below(path, own)):
                refuse("read", path)

    def write(path, folder=-1):
        if isinstance(path, str | bytes | os.PathLike):
            path = whole(path, folder)
            if not below(path, writable) and not path.startswith("/dev/"):
                refuse("write", path)

    def program(words):
        words = [os.fsdecode(word) for word in (words if isinstance(words, list | tuple) else [words])]
        command = " ".join(words)
        foreign = functools.reduce(lambda text, folder: text.replace(folder, ""), own, command)
        if any(word in foreign for word in (".ipynb", "gradebook", *hidden)):
            refuse("read", f"by a program: {command}")
        if os.path.basename(words[0]) not in QUIET:
            note("program", command)

    def kill(pid, signal):
        import psutil

        if pid == os.getpid():
            return
        try:
            started = pid > 0 and os.getpid() in [each.pid for each in psutil.Process(pid).parents()]
        except psutil.NoSuchProcess:
            return
        if not started:
            refuse("stop", f"process {pid}")

    def hook(event, given):
        if getattr(mine, "opening", False):
            return
        if event == "open":
            path, _, flags = given
            (write if (flags or 0) & WRITING else read)(path)
            if flags and flags & WRITING:
                read(path)
        elif event in WRITES:
            folder = given[-1] if event != "os.truncate" and isinstance(given[-1], int) else -1
            for index in WRITES[event]:
                write(given[index], folder)
        elif event in READS:
            read(given[0] if given[0] is not None else ".")
        elif event in PROGRAMS:
            program(given[0] if event in ("os.system", "pty.spawn") else given[1])
        elif event in ("os.kill", "os.killpg"):
            kill(*given)
        elif event in ("socket.connect", "socket.getaddrinfo"):
            address = given[1] if event == "socket.connect" else given
            host = address[0] if isinstance(address, tuple) else ""  # a name is a socket on this machine
            if (os.fsdecode(host) if host else "") not in LOCAL:
                refuse("reach", host)

    return hook


def changed(names, namespace, modules):
    """Return those of names (list of str) that no longer are what Python or a library defines.

    names: what the tests use, dotted where they reach into a module.  modules: names that are bound by `import`.
    """
    found = []
    for name in names:
        root, *rest = name.split(".")
        value = namespace.get(root, getattr(builtins, root, None))
        if not rest and root in ORIGINALS:
            shadowed = value is not ORIGINALS[root] and callable(value)
            if shadowed or getattr(builtins, root, None) is not ORIGINALS[root]:
                found.append(name)
            continue
        if root in modules and root in namespace:
            if rest and not isinstance(value, types.ModuleType | type):
                found.append(name)
                continue
            for part in rest:
                value = getattr(value, part, None)
            if _from_a_cell(value):
                found.append(name)
    return found


def _from_a_cell(value):
    code = getattr(value, "__code__", None)
    where = code.co_filename if isinstance(code, types.CodeType) else ""
    return (
        getattr(value, "__module__", None) == "__main__"
        or "ipykernel_" in where
        or where.startswith("<ipython")
        or type(value).__module__ in ("__main__", "unittest.mock")
    )
