"""Did I see that coming, and have I understood it? Predictions before an experiment, and checks of exercises.

- `predictions.py`: what was expected, beside what came.
- `shown.py`: what both look like in a notebook.
- `limit.py`: what stops an answer that never ends.
- `exercise.py`: an exercise, and how an answer to it is judged.
- `exercises/`: those of the notebooks.
- `checks.py`: which exercise, and whose answer.
"""

from __future__ import annotations

from floatlab.course.checks import check, grade
from floatlab.course.exercise import Verdict
from floatlab.course.predictions import Prediction, predict

__all__ = ["Prediction", "Verdict", "check", "grade", "predict"]
