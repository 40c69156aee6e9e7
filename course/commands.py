"""The parser: which commands there are, and how an error reaches a person."""

import argparse
import os
import sys

from course.check import check
from course.demo import demo
from course.doctor import doctor
from course.install import check_platform, install
from course.lock import lock
from course.paths import ROOT, CourseError
from course.prepare import prepare
from course.refresh import refresh_all
from course.run import run
from course.site import site


def main(arguments=None):
    """Run one command; a problem that a person can fix ends in one message, without a traceback."""
    given = _parser().parse_args((sys.argv[1:] if arguments is None else arguments) or ["--help"])
    try:
        if given.call is not doctor:  # which says itself what is wrong with a platform
            check_platform()
        given.call(**{name: value for name, value in vars(given).items() if name != "call"})
    except (CourseError, OSError, ValueError, RuntimeError) as error:
        if os.environ.get("COURSE_DEBUG"):
            raise
        sys.exit(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        again = "`python -m course run --resume` goes on" if given.call is run else "run the same command to go on"
        sys.exit(f"\nInterrupted. What was finished is kept; {again}.")


def _parser():
    parser = argparse.ArgumentParser(prog="python -m course", description="The course's commands.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name, call, told):
        added = commands.add_parser(name, help=told, description=told)
        added.set_defaults(call=call)
        return added

    added = command("install", install, "make a virtual environment and install a lock into it")
    added.add_argument("--venv", type=ROOT.joinpath, default=ROOT / ".venv", help="its folder (default: .venv)")
    added.add_argument("--lock", dest="name", default="core", help="a lock in requirements/ (default: core)")
    added = command("check", check, "say what a folder of photos is, and whether a photo of yours can be read")
    added.add_argument("folder", help="a folder that has one folder of photos per class")
    added.add_argument("own_photo", nargs="?", help="a photo to be named")
    command("prepare", prepare, "fetch and build every module and photo set")
    added = command("run", run, "run lessons with papermill into build/")
    added.add_argument("names", nargs="*", metavar="LESSON", help="for instance 01 or 01_official_model (default: all)")
    added.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), dest="parameters")
    added.add_argument("--full", action="store_true", help="04 and 05 on thousands of photos, downloaded before")
    added.add_argument("--resume", action="store_true", help="go on with the last run: what failed or never ran")
    added = command("refresh", refresh_all, "run lessons in place, as they are committed (TIMINGS=1: timing cells too)")
    added.add_argument("names", nargs="*", metavar="LESSON")
    added = command("demo", demo, "build and serve a page that names photos in the browser, with your model")
    added.add_argument("model", nargs="?", help="from lesson 04 or 09 (default: the newer one in build/)")
    added.add_argument("--photos", dest="photo_set", metavar="SET", help="what it was trained on: a set or a folder")
    added.add_argument("--build-only", action="store_true", help="write build/demo and end")
    added.add_argument("--local-network", action="store_true", help="let other devices open it, such as a phone")
    added.add_argument("--port", type=int, default=8000, help="where it is served (default: 8000)")
    command("site", site, "build the website into build/site, from the lessons as they ran")
    added = command("lock", lock, "compile pyproject.toml into requirements/")
    added.add_argument("--oldest", action="store_true", help="the lowest versions allowed, to test them")
    added = command("doctor", doctor, "say what this machine has, what is prepared, and the cure for what is missing")
    added.add_argument(
        "--deep", action="store_true", help="read every file of the cache, not those alone that look changed"
    )
    return parser
