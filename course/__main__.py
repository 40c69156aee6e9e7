"""python -m course: the commands, for a Python that may be too old for the course itself."""

import sys

if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit(
        "This course needs Python 3.11, 3.12 or 3.13 (TensorFlow 2.21 has no others); this is Python "
        "{}.{}. If you have one of them beside it, name it: make run PYTHON=python3.12".format(*sys.version_info)
    )

from course.commands import main

if __name__ == "__main__":  # the processes of `prepare` import this file, too
    main()
