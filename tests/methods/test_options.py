"""All built-in methods: every option has a type that is checked, and every function has the contract's signature."""

import inspect
from typing import Literal, get_args, get_origin, get_type_hints

import pytest

from baselines.scgpt.module import OBJECTIVES, ObjectiveName
from benchmark.core.contracts import Method, MethodOptions, offer
from benchmark.core.errors import UnitBenchError
from benchmark.core.registry import make, plugins
from methods.patch.backbones import BACKBONES
from methods.patch.method import Backbone

CLASSES = {
    name: plugin.load()
    for name, plugin in plugins("methods").items()
    if plugin.entry.value.startswith(("baselines.", "methods."))
}
FUNCTIONS = {
    name: function
    for contract in (Method, MethodOptions)
    for name, function in vars(contract).items()
    if inspect.isfunction(function) and not name.startswith("_")
}
by_method = pytest.mark.parametrize("name", CLASSES)


def options(name: str) -> dict[str, type]:
    """The options of a method with their types."""
    hints = get_type_hints(CLASSES[name].__init__, include_extras=True)
    return {option: hints.get(option) for option in inspect.signature(CLASSES[name]).parameters}


WORDS = [
    (name, option)
    for name in CLASSES
    for option, kind in options(name).items()
    if get_origin(kind) is Literal and any(isinstance(value, str) for value in get_args(kind))
]


@by_method
def test_every_option_has_a_type_that_is_known_at_run_time(name):
    assert None not in options(name).values()


def test_options_that_take_one_of_some_words_say_so_by_their_types():
    assert {("patch", "lattice"), ("context", "objective"), ("scgpt_spatial", "objective")} < set(WORDS)


@pytest.mark.parametrize(("name", "option"), WORDS)
def test_an_unknown_word_is_refused_in_one_line_that_names_the_nearest(name, option):
    word = next(value for value in get_args(options(name)[option]) if isinstance(value, str))
    message = rf"^method '{name}': option {option}: unknown '{word}x'; did you mean '{word}'\?$"
    with pytest.raises(UnitBenchError, match=message):
        make("methods", name, {option: f"{word}x"})


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("patch", {"lattice": "x"}, r"method 'patch': option lattice: unknown 'x'; known: physical, released"),
        ("patch", {"channels": "moram"}, r"channel 'moram': not installed; did you mean 'moran'\?"),
        ("patch", {"size": 0}, r"method 'patch': option size: Input should be greater than 0, not 0"),
        ("patch", {"size": 2.5}, r"method 'patch': option size: Input should be a valid integer.*, not 2.5"),
        ("patch", {"donors": 0}, r"method 'patch': option donors: Input should be greater than 0, not 0"),
        ("patch", {"donors": 1.5}, r"option donors: Input should be less than or equal to 1, not 1.5"),
        (
            "pca",
            {"neighbours": -1},
            r"method 'pca': option neighbours: Input should be greater than or equal to 0, not -1",
        ),
        ("noise", {"d": 0}, r"method 'noise': option d: Input should be greater than 0, not 0"),
        ("scgpt_official", {"seen": "dlpfc"}, r"option seen: Input should be a valid list, not 'dlpfc'"),
    ],
)
def test_a_value_of_another_type_or_range_is_refused_in_one_line(name, given, message):
    with pytest.raises(UnitBenchError, match=message) as error:
        make("methods", name, given)
    assert "\n" not in str(error.value)


def test_words_are_those_that_the_code_knows():
    assert set(get_args(Backbone)) == {"trunk", *BACKBONES}
    assert set(get_args(ObjectiveName)) == set(OBJECTIVES)


@by_method
def test_functions_have_the_signatures_of_the_contract(name):
    offered = {function: offer(CLASSES[name], function) for function in FUNCTIONS}
    assert offered["fit"]
    for function, implementation in offered.items():
        if implementation:
            parameters = inspect.signature(implementation).parameters
            assert [*parameters] == [*inspect.signature(FUNCTIONS[function]).parameters], function
            assert inspect.getdoc(implementation), function
