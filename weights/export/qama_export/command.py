"""How the scripts of this package run: what goes wrong is one sentence and exit status 1.

run(main) is the last line of every script. QAMA_TRACEBACK=1 shows where an error comes from.
"""
import os
import signal
import sys
import tempfile
from contextlib import contextmanager
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


@contextmanager
def replacing(path):
    """A binary file for writing that takes the place of `path` once all of it is on the disk; the
    old file stays if anything fails. A link is followed. What is no regular file is written
    directly."""
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if os.path.exists(target) and not os.path.isfile(target):
        with open(target, "wb") as out:
            yield out
        return
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{path} cannot be written: folder {folder} does not exist")
    if os.path.exists(target):
        mode = os.stat(target).st_mode & 0o777
    else:
        mask = os.umask(0)
        os.umask(mask)
        mode = 0o666 & ~mask
    descriptor, temporary = tempfile.mkstemp(prefix=".qama-", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as out:
            yield out
            out.flush()
            os.fsync(descriptor)
        os.chmod(temporary, mode)
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


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
