"""What does the machine around us do? Files, processes, terminals, the floating-point environment, the source itself.

- `cluster.py`: workers on other machines.
- `environment.py`: does this thread compute as IEEE 754 says?
- `files.py`: a file written whole or not at all.
- `html.py`: tables and small pictures for a notebook.
- `journal.py`: what a long job has finished, a line each.
- `partial.py`: a long file, written a part at a time.
- `processes.py`: one call for each item, on all cores, which leaves Ctrl-C to the first process.
- `timing.py`: how long calls take, in turns.
- `terminal.py`: text on any terminal, whatever letters it knows.
- `provenance.py`: which source made a result.
"""
