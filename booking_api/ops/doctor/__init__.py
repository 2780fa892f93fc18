"""What is wrong with this deployment, looked at from a process beside it; nothing is changed.

Each module looks at one area and says what it found, in `Diagnosis`es; `examination.py` has them
look at the same time, each for so long at most.
"""
