"""Every figure that floatlab draws. Each takes plain arrays, formats or records, and returns a Matplotlib figure.

A figure shows itself in a notebook, and `save` writes it. Nothing here touches pyplot or its global state: a figure
belongs to whoever asked for it. Beside each chart of a format stands a function that returns the data it draws, as
columns for pandas: `plot_ranges` and `range_data`.

- `colours.py`: what a colour means.
- `description.py`: what a figure says in words.
- `figure.py`: how a figure shows itself, and how it is saved.
- `style.py`: paper, type, axes and labels.
- `inputs.py`, `edges.py`: what can be drawn, and where a format begins and ends.
- The others: a file for each chart.
"""

from floatlab.plots.accumulation import accumulation_data, plot_accumulation
from floatlab.plots.agreement import agreement_data, plot_agreement
from floatlab.plots.bits import bit_data, plot_bits
from floatlab.plots.cliff import plot_cliff
from floatlab.plots.codes import code_data, plot_codes
from floatlab.plots.colours import format_colour
from floatlab.plots.compare import compare_data, plot_compare
from floatlab.plots.experiments import plot_experiment
from floatlab.plots.figure import save
from floatlab.plots.gradients import plot_gradients
from floatlab.plots.histogram import histogram_data, plot_histogram
from floatlab.plots.memory import plot_memory
from floatlab.plots.operation import operation_data, plot_operation
from floatlab.plots.precision import plot_precision, precision_data
from floatlab.plots.quantization import plot_quantization, quantization_data
from floatlab.plots.ranges import plot_ranges, range_data
from floatlab.plots.rounding import plot_rounding, rounding_data
from floatlab.plots.rules import plot_rules, rule_data
from floatlab.plots.style import SIZES, subplots
from floatlab.plots.sweep import plot_sweep
from floatlab.plots.telemetry import plot_layers, plot_underflow
from floatlab.plots.training import plot_training
from floatlab.plots.updates import plot_lost_updates
from floatlab.plots.values import plot_values, value_data

__all__ = [
    "SIZES",
    "accumulation_data",
    "agreement_data",
    "bit_data",
    "code_data",
    "compare_data",
    "format_colour",
    "histogram_data",
    "operation_data",
    "plot_accumulation",
    "plot_agreement",
    "plot_bits",
    "plot_cliff",
    "plot_codes",
    "plot_compare",
    "plot_experiment",
    "plot_gradients",
    "plot_histogram",
    "plot_layers",
    "plot_lost_updates",
    "plot_memory",
    "plot_operation",
    "plot_precision",
    "plot_quantization",
    "plot_ranges",
    "plot_rounding",
    "plot_rules",
    "plot_sweep",
    "plot_training",
    "plot_underflow",
    "plot_values",
    "precision_data",
    "quantization_data",
    "range_data",
    "rounding_data",
    "rule_data",
    "save",
    "subplots",
    "value_data",
]
