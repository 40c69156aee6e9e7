"""Beyond one machine: the job of lesson 11, which runs on this machine or on a Ray cluster, and its drills."""
