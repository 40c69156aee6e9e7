"""For teachers: make the students' release of the assignments, and grade what comes back.

release         the students' notebooks, and a zip with all that they need
grade           a folder of submissions to grades, marks and feedback pages
submissions     the files that students hand in: found, recognised, repaired
sandbox         a process and a folder for each submission, watched
one_submission  grade one of them with nbgrader
guarded_kernel  the kernel that a student's code runs in
"""
