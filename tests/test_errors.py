"""An error names the rule, the value, and the way out."""

import re

import numpy as np
import pytest

import floatlab as fl
from floatlab import errors
from floatlab.errors import FloatlabError, FormatError, OptionError, check_option, nearest_name

CLASSES = [
    thing
    for name in errors.__all__
    if isinstance(thing := getattr(errors, name), type) and thing is not FloatlabError
]


@pytest.mark.parametrize("error", CLASSES)
def test_every_error_is_ours_and_one_that_a_numpy_user_expects(error):
    assert issubclass(error, FloatlabError)
    assert issubclass(error, ValueError | TypeError | RuntimeError)
    assert error.__doc__


def test_an_option_that_is_allowed_passes_silently():
    assert check_option("rounding", "to_odd", ["nearest_even", "to_odd"]) is None
    assert check_option("overflow", None, [None, "nan"]) is None


def test_a_wrong_option_names_the_choices_the_value_and_the_nearest():
    with pytest.raises(OptionError) as caught:
        check_option("rounding", "nearest_evn", ["nearest_even", "to_odd"])
    assert str(caught.value) == (
        "rounding must be one of: nearest_even, to_odd. Got 'nearest_evn'. Use \"nearest_even\"."
    )


@pytest.mark.parametrize("value", [None, 3, "xyz", ["to_odd"], b"to_odd"])
def test_a_value_like_no_choice_gets_no_guess(value):
    with pytest.raises(FormatError, match="Use one of these names"):
        check_option("rounding", value, ["nearest_even", "to_odd"], FormatError)


def test_the_choices_may_be_any_iterable():
    with pytest.raises(OptionError, match="a, b"):
        check_option("option", "c", (name for name in "ab"))


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("flaot16", "float16"), ("FLOAT16", "float16"), ("bfloat", "bfloat16"), ("", None), ("qqq", None)],
)
def test_the_nearest_name_is_found_or_none_is(name, nearest):
    assert nearest_name(name, ["float16", "bfloat16"]) == nearest


# -- two formats of one name -------------------------------------------------------------------------

LONG = fl.get_format("float16")
SHORT = fl.FloatFormat("float16", 4, 3, specials="fn")


def parameter(fmt):
    p = fl.Tensor([1.0, 2.0], requires_grad=True, format=fmt)
    p.grad = fl.Tensor([1.0, 1.0], format=fmt)
    return p


def add_two_tensors():
    return fl.Tensor([1.0], format=LONG) + fl.Tensor([1.0], format=SHORT)


def backward_into_another_format():
    p = parameter(LONG)
    p.grad = fl.Tensor([1.0, 1.0], format=SHORT)
    p.sum().backward()


def load_another_model():
    saved = fl.nn.Linear(2, 1, rng=0).to(SHORT).state_dict()
    fl.nn.Linear(2, 1, rng=0).to(LONG).load_state_dict(saved)


def load_another_optimizer():
    saved = fl.optim.SGD([parameter(SHORT)]).state_dict()
    fl.optim.SGD([parameter(LONG)]).load_state_dict(saved)


def step_a_converted_weight():
    model = fl.nn.Linear(2, 1, rng=0).to(LONG)
    sgd = fl.optim.SGD(model.parameters())
    for fmt in (LONG, SHORT):
        model.to(fmt)
        for p in model.parameters():
            p.grad = fl.Tensor(np.ones(p.shape), format=fmt)
        sgd.step()


MIXTURES = [
    lambda: fl.array([1.0], LONG) + fl.array([1.0], SHORT),
    lambda: np.maximum(fl.array([1.0], LONG), fl.array([1.0], SHORT)),
    lambda: fl.matmul(fl.array([1.0], LONG), fl.array([1.0], LONG), formats=(SHORT, SHORT)),
    lambda: fl.testing.ulp_distance(fl.array([1.0], LONG), fl.array([1.0], SHORT)),
    add_two_tensors,
    backward_into_another_format,
    load_another_model,
    load_another_optimizer,
    step_a_converted_weight,
]


@pytest.mark.parametrize("mix", MIXTURES, ids=range(len(MIXTURES)))
def test_formats_that_differ_are_told_apart_in_the_message_whatever_their_names_are(mix):
    with pytest.raises(FloatlabError, match=r"float16=e4m3b7fn"):
        mix()


MINE = fl.FloatFormat("My format", 5, 6)
HANDED_BACK = [
    lambda: fl.array([1.0], MINE) + np.array([1.0]),
    lambda: np.fft.fft(fl.array([1.0], MINE)),
    lambda: np.average(np.array([1.0, 2.0]), weights=fl.array([1.0, 2.0], MINE)),
    lambda: fl.decode([1.5], MINE),
    lambda: fl.matmul([1.0], [1.0], MINE, product_format="fp16"),
    lambda: fl.Tensor([1.0], format=MINE) + np.array([1.0]),
    lambda: fl.Tensor([1.0], format=MINE) + fl.Tensor([1.0]),
    lambda: fl.testing.ulp_distance(fl.array([1.0], MINE), fl.array([1.0], "fp32")),
    lambda: fl.nn.Linear(2, 1, rng=0).load_state_dict(fl.nn.Linear(2, 1, rng=0).to(MINE).state_dict()),
]


@pytest.mark.parametrize("call", HANDED_BACK, ids=range(len(HANDED_BACK)))
def test_a_way_out_names_a_format_of_ones_own_as_get_format_takes_it(call):
    with pytest.raises(FloatlabError) as caught:
        call()
    way_out = str(caught.value)
    said = re.findall(r"[\"'](%4dy%20format=[^\"']*)[\"']", way_out)
    assert said and fl.get_format(said[0]) == MINE, way_out


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("fp8", "a family.*e4m3.*448.*e5m2.*57344"),
        ("FP-8", "a family"),
        ("mxfp8", "a family.*mxfp8_e4m3.*448.*mxfp8_e5m2.*57344"),
        ("bfloat", '"bf16"'),
        ("fp6", '"e2m3".*"e3m2"'),
        ("float128", '"float64"'),
        ("int8", "an integer type"),
        ("posit16", "a posit"),
    ],
)
def test_a_word_that_people_say_gets_the_answer_that_they_need(word, says):
    with pytest.raises(FormatError, match=says):
        fl.get_format(word)


@pytest.mark.parametrize(
    ("word", "says"),
    [("mxfp8", "a block of numbers.*e8m0"), ("nvfp4", 'a block of numbers.*"e2m1".*"e4m3".*16')],
)
def test_where_numbers_have_a_format_each_a_block_format_is_refused(word, says):
    for use in (lambda: fl.finfo(word), lambda: fl.Tensor(1.0, format=word), lambda: fl.exp(1.0, word)):
        with pytest.raises(FormatError, match=says):
            use()


def test_what_the_answers_recommend_exists_and_no_name_is_hidden_by_one():
    from floatlab.formats import catalogue
    from floatlab.rounding.modes import MODES, OTHER_WORDS

    for answer in catalogue._OTHER_WORDS.values():
        for name in re.findall(r'"([^"]+)"', answer):
            fl.get_format(name)
    assert fl.get_format("e4m3").max == 448 and fl.get_format("e5m2").max == 57344
    assert fl.get_format("e2m3").max == 7.5 and fl.get_format("e3m2").max == 28
    assert not set(catalogue._OTHER_WORDS) & set(catalogue.NAMES)
    assert set(OTHER_WORDS.values()) <= set(MODES) and not set(OTHER_WORDS) & set(MODES)


@pytest.mark.parametrize(
    ("word", "mode"),
    [
        ("nearest", "nearest_even"),
        ("RNE", "nearest_even"),
        ("RTZ", "toward_zero"),
        ("round_half_even", "nearest_even"),
        ("Round-Half-Up", "nearest_away"),
        ("floor", "toward_negative"),
        ("ceil", "toward_positive"),
        ("trunc", "toward_zero"),
        ("SR", "stochastic"),
    ],
)
def test_what_others_call_a_mode_is_answered_with_its_name(word, mode):
    for call in (fl.quantize, fl.encode, fl.explain):
        with pytest.raises(OptionError, match=f'Use "{mode}"'):
            call(1.1, "fp16", rounding=word)
