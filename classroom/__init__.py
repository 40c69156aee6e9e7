"""For teachers: make the students' release of the assignments, and grade what comes back.

release         the students' notebooks, and a zip with all that they need
grade           a folder of submissions to grades, marks and feedback pages
collect         what was handed in: found, recognised, read
cells           the notebook that is graded: the student's answers among the cells as released
marks           what a teacher types, kept for the text it was given for
sandbox         a container and a process for each submission, watched
one_submission  grade one of them with nbgrader
checks          errors hidden, names replaced, code that answers hardly need
"""
