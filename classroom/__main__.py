"""python -m classroom release | grade | export | alike: the teacher's commands."""

import argparse
import importlib.util
import os
import sys
from pathlib import Path

from course.paths import BUILD, CourseError


def main(arguments=None):
    """Run one command; a problem that a person can fix ends in one message, without a traceback."""
    if importlib.util.find_spec("nbgrader") is None:
        sys.exit(
            "CourseError: this needs nbgrader, which is not installed. `make assignments` and `make grade` bring it, "
            "or `python3 -m course install --lock grading`."
        )
    from classroom.alike import alike
    from classroom.export import export
    from classroom.grade import grade
    from classroom.release import release

    parser = argparse.ArgumentParser(prog="python -m classroom", description="The teacher's commands.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    added = commands.add_parser("release", help="write the students' notebooks, and build/assignments.zip")
    added.set_defaults(call=release)
    added = commands.add_parser("grade", help="grade a folder of submissions into build/grades")
    added.add_argument("folder", help="STUDENT/NAME.ipynb, STUDENT_NAME.ipynb and the like")
    added.add_argument("--assignment", help="grade only this one (also what a file is that tells nothing of itself)")
    added.add_argument("--jobs", type=int, default=2, help="how many at a time (default: 2)")
    added.add_argument(
        "--timeout", type=int, default=60, help="seconds for a cell; five times that for a notebook (60)"
    )
    added.add_argument("--memory", type=int, default=4096, help="MB for a submission (default: 4096)")
    added.add_argument("--uncontained", action="store_true", help="run students' code without a container, as you")
    added.add_argument("--out", type=Path, default=BUILD / "grades", help="where grades go (default: build/grades)")
    added.set_defaults(call=grade)
    added = commands.add_parser("alike", help="show submissions that have much code in common side by side")
    added.add_argument("folder", help="as for grade")
    added.add_argument("--assignment", help="compare only this one")
    added.add_argument(
        "--out", type=Path, default=BUILD / "grades", help="where alike.html goes (default: build/grades)"
    )
    added.set_defaults(call=alike)
    added = commands.add_parser("export", help="write build/grades as Canvas or Moodle imports them")
    added.add_argument("system", choices=("canvas", "moodle"))
    added.add_argument("roster", help="what the system exported: the gradebook, or Moodle's participants, as CSV")
    added.add_argument("--out", type=Path, default=BUILD / "grades", help="where grades are (default: build/grades)")
    added.set_defaults(call=export)
    given = parser.parse_args(arguments)
    try:
        given.call(**{name: value for name, value in vars(given).items() if name != "call"})
    except (CourseError, OSError, ValueError, RuntimeError) as error:
        if os.environ.get("COURSE_DEBUG"):
            raise
        sys.exit(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. What was finished is kept; run the same command to go on.")


if __name__ == "__main__":
    main()
