"""Calls a script of the package as the command line does, in this process: a new one takes seconds
to import torch."""
import contextlib
import io
import os
import sys
import unittest.mock

from qama_export import command


def call(module, folder, arguments):
    """(exit status, standard error) of a script that runs in `folder`."""
    text, status = io.StringIO(), 0
    here = os.getcwd()
    os.chdir(folder)
    try:
        with unittest.mock.patch.object(sys, "argv", [module.__file__, *map(str, arguments)]), \
                contextlib.redirect_stderr(text), contextlib.redirect_stdout(io.StringIO()):
            command.run(module.main)
    except SystemExit as end:
        status = end.code
    finally:
        os.chdir(here)
    return status, text.getvalue()
