"""What runs an experiment? Prediction, training, records, and jobs that go on where they stopped.

- `prediction.py`: what will be lost, from one fp32 step.
- `loop.py`, `training.py`: a network trained in a precision.
- `pace.py`: how far a run comes whose steps are shorter than fp32's.
- `common.py`: what the experiments share.
- `runner.py`: many runs side by side, and their journal.
- `rows.py`: the records of a folder as rows.
"""
