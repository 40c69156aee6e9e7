"""For teachers: make the students' release of the assignments, and grade what comes back.

release         the students' notebooks, and a zip with all that they need
grade           a folder of submissions to grades, marks and feedback pages
export          grades as Canvas or Moodle imports them
alike           pairs of submissions with much code in common
collect         the files that students hand in: found and recognised
cells           a notebook's cells: the student's answers, the released tests
marks           what a teacher types, kept for the answer it was given for
sandbox         a process and a folder for each submission, contained and watched
one_submission  grade one of them with nbgrader
checks          whether a notebook bent what its tests use
"""
