"""How the scripts of this package run: what goes wrong is one sentence and exit status 1.

run(main) is the last line of every script. QAMA_TRACEBACK=1 shows where an error comes from.
"""
import errno
import io
import os
import signal
import stat
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path

TRACEBACK_VARIABLE = "QAMA_TRACEBACK"


class Stopped(Exception):
    """The user stopped the work; the sentence says what is kept."""


def sentence_of(error):
    """What an exception says, on one line."""
    if isinstance(error, OSError) and error.strerror:
        names = [str(name) for name in (error.filename, error.filename2) if name is not None]
        text = f"{' and '.join(names)}: {error.strerror}" if names else error.strerror
    elif isinstance(error, MemoryError):
        text = "not enough memory"
    elif isinstance(error, KeyError):
        text = f"key {error} is missing"
    else:
        text = str(error)
    text = " ".join(text.split())
    if isinstance(error, (OSError, ValueError, RuntimeError, MemoryError)) and text:
        return text
    return f"{type(error).__name__}: {text}"


def run(main):
    """Calls main() and ends the process: 0, 1 after an error, 130 (128 + signal) when stopped."""
    name = Path(sys.argv[0]).stem
    try:
        main()
        sys.stdout.flush()
    except Stopped as stopped:
        print(f"{name}: stopped by the user: {stopped}", file=sys.stderr)
        sys.exit(128 + (stop.signal or signal.SIGINT))
    except KeyboardInterrupt:
        print(f"{name}: stopped by the user", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        # The reader of standard output left: nobody wants to hear of it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except Exception as error:  # whatever it is, a user is told in one sentence
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        print(f"{name}: error: {sentence_of(error)}", file=sys.stderr)
        sys.exit(1)


class _Stop:
    """Ctrl-C for work that has something to keep: the first SIGINT or SIGTERM is noted, a second
    one ends the program at once."""

    def __init__(self):
        self.signal = 0

    def watch(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self.note)

    def note(self, number, _frame):
        if self.signal:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self.signal = number
        if sys.stderr.isatty():
            print("\nstopping; Ctrl-C again ends the program at once", file=sys.stderr)


stop = _Stop()


def _is_strangers(link):
    """The kernel's rule for links that open() follows (protected_symlinks)."""
    folder = os.stat(os.path.dirname(link))
    everybodys = folder.st_mode & stat.S_ISVTX and folder.st_mode & stat.S_IWOTH
    return bool(everybodys) and os.lstat(link).st_uid not in (os.geteuid(), folder.st_uid)


def _target_of(path):
    """Where the links that begin at `path` end; None for one of /proc, as /dev/stdout is, which
    leads to a descriptor."""
    at = os.path.abspath(path)
    for _ in range(40):
        folder = os.path.realpath(os.path.dirname(at))
        at = os.path.join(folder, os.path.basename(at))
        if not os.path.islink(at):
            return at
        if folder.startswith("/proc/"):
            return None
        if _is_strangers(at):
            raise PermissionError(f"{path} is a link that somebody else put into a folder where "
                                  "everybody may write; it is not followed")
        at = os.path.join(folder, os.readlink(at))
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def _take_over(descriptor, old):
    """The old file's owner, group and permissions, as far as this user may give them away."""
    mode = stat.S_IMODE(old.st_mode) & 0o777
    for owner in (old.st_uid, -1):
        try:
            os.fchown(descriptor, owner, old.st_gid)
            break
        except PermissionError:
            continue
    else:
        # What the old group might do, another one may do only if all may.
        mode &= ~0o070 | (mode & 0o007) << 3
    os.fchmod(descriptor, mode)


@contextmanager
def replacing(path):
    """The one way in which this package writes a file: a binary file for writing that takes the
    place of `path` once all of it is on the disk; the old file stays if anything fails. A link is
    followed; one that somebody else put into a folder where everybody may write is refused. What is
    no regular file, and a descriptor (/dev/stdout), is written directly. The new file has the old
    one's permissions, and its owner where the system allows it. Killed, it leaves at most a file
    .qama-RANDOM beside the target. ValueError for `-`, which others take for a stream."""
    if str(path) == "-":
        raise ValueError("'-' is no file, expected FILE or /dev/stdout")
    target = _target_of(path)
    if target is None or (os.path.exists(target) and not os.path.isfile(target)):
        with open(path, "ab" if target is None else "wb") as out:
            yield out
        return
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{path} cannot be written: folder {folder} does not exist")
    old = os.stat(target) if os.path.exists(target) else None
    if old is not None and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    # Opened with O_EXCL, O_NOFOLLOW and O_CLOEXEC.
    descriptor, temporary = tempfile.mkstemp(prefix=".qama-", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as out:
            if old is None:
                mask = os.umask(0)
                os.umask(mask)
                os.fchmod(descriptor, 0o666 & ~mask)
            else:
                _take_over(descriptor, old)
            yield out
            out.flush()
            os.fsync(descriptor)
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    # The name, too. It is there for everybody already: a failure here does not change the file.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_text(path, text):
    with replacing(path) as out:
        out.write(text.encode("utf-8"))


def write_checkpoint(path, state):
    """torch.save ends the process where a write fails, so it writes into memory."""
    import torch  # not everybody who is here has it
    memory = io.BytesIO()
    torch.save(state, memory)
    with replacing(path) as out:
        out.write(memory.getbuffer())


def refuse_overwriting(outputs, inputs):
    """ValueError where an output file is an input or another output; option -> path or None."""
    seen = {}
    for option, path in {**inputs, **outputs}.items():
        if path is None:
            continue
        for other, before in seen.items():
            same = os.path.realpath(path) == os.path.realpath(before) or (
                os.path.exists(path) and os.path.exists(before) and os.path.samefile(path, before))
            if same and option in outputs:
                raise ValueError(f"{option} {path} is the file of {other}, too; it is not "
                                 "overwritten")
        seen[option] = path
