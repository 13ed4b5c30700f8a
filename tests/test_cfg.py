"""cfg files: what is read, what is refused and in which words, and what is written back."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darknet_py.cfg import MAX_CFG_BYTES, Cfg, bundled_cfgs, find_cfg, parse_cfg, read_cfg
from darknet_py.errors import CfgError, CostWarning, DarknetWarning
from darknet_py.network import Network
from darknet_py.options import POLICIES, NetOptions, override
from tests.support.networks import cfg_text
from tests.support.recorded import RECORDED

SOFTMAX = "[softmax]\n"


def sections(cfg: Cfg) -> list[tuple[str, dict[str, str]]]:
    """All that the sections say, but for the places."""
    return [
        (section.name, {key: option.value for key, option in section.options.items()})
        for section in cfg.sections
    ]


def net_options(*lines: str) -> NetOptions:
    return NetOptions.of(parse_cfg("\n".join(["[net]", *lines, SOFTMAX]), "my.cfg").net)


def refused(text: str) -> str:
    """The message with which the cfg is refused, by the parser or when the network is built."""
    with pytest.raises(CfgError) as caught:
        Network(parse_cfg(text, "my.cfg"))
    return str(caught.value)


# --- what is read --------------------------------------------------------------------------------


def test_sections_keys_and_values() -> None:
    cfg = parse_cfg("[net]\nbatch=4\n\n[rnn]\noutput=3\nactivation=tanh\n[softmax]\n")
    assert sections(cfg) == [
        ("net", {"batch": "4"}),
        ("rnn", {"output": "3", "activation": "tanh"}),
        ("softmax", {}),
    ]


def test_places_are_file_and_line() -> None:
    cfg = parse_cfg("# one\n[net]\n\nbatch=4\n[softmax]\n", "my.cfg")
    assert cfg.net.place == "my.cfg:2"
    assert cfg.net.options["batch"].place == "my.cfg:4"
    assert cfg.layers[0].place == "my.cfg:5"


@pytest.mark.parametrize(
    ("alias", "name"), [("network", "net"), ("conn", "connected"), ("soft", "softmax")]
)
def test_aliases(alias: str, name: str) -> None:
    first = "" if name == "net" else "[net]\n"
    names = [section.name for section in parse_cfg(f"{first}[{alias}]\n[rnn]\n").sections]
    assert name in names
    assert alias not in names


def test_the_first_of_two_equal_keys_wins() -> None:
    assert net_options("inputs=3", "inputs=4").inputs == 3


def test_keys_are_of_their_section() -> None:
    cfg = parse_cfg("[net]\nbatch=1\n[rnn]\nbatch=2\n[rnn]\nbatch=3\n")
    assert [section.options["batch"].value for section in cfg.sections] == ["1", "2", "3"]


PLAIN = "[net]\nsteps=1,2\nbatch=16\n[connected]\noutput=4\n"


@pytest.mark.parametrize(
    "text",
    [
        " [ n e t ] \n\t steps = 1 , 2 \nba tch\t=\t1 6\n [connected]\t\n output = 4 ",
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", " \r\n\r\n"),
        "\ufeff" + PLAIN,
        "\ufeff" + PLAIN.replace("\n", "\r\n"),
        "\n\n# comment\n; another\n  # indented [rnn]\n" + PLAIN.replace("\n", "\n;x=y\n"),
    ],
    ids=["blanks", "CRLF", "CRLF and blanks", "BOM", "BOM and CRLF", "comments"],
)
def test_blanks_line_ends_marks_and_comments_mean_nothing(text: str, tmp_path: Path) -> None:
    path = tmp_path / "some.cfg"
    path.write_bytes(text.encode())
    assert sections(read_cfg(path)) == sections(parse_cfg(PLAIN))


def test_a_value_may_hold_an_equals_sign_and_a_comment_sign() -> None:
    assert parse_cfg("[net]\na=b=c#d\n[x]\n").net.options["a"].value == "b=c#d"


def test_comments_in_another_encoding_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "latin1.cfg"
    path.write_bytes(b"# r\xe9seau\n" + PLAIN.encode())
    cfg = read_cfg(path)
    assert sections(cfg) == sections(parse_cfg(PLAIN))
    assert cfg.text().encode("utf-8", "surrogateescape").startswith(b"# r\xe9seau\n")


DEFAULTS = {
    "inputs": 9,
    "batch": 1,
    "subdivisions": 1,
    "time_steps": 1,
    "learning_rate": 0.001,
    "momentum": 0.9,
    "decay": 0.0001,
    "adam": False,
    "B1": 0.9,
    "B2": 0.999,
    "eps": 1e-7,
    "policy": "constant",
    "burn_in": 0,
    "power": 4,
    "max_batches": 0,
    "step": 1,
    "scale": 1,
    "gamma": 1,
    "clip": 0,
    "clip_norm": 0,
    "state": "zero",
}


def test_defaults_are_those_of_darknet() -> None:
    options = net_options("inputs=9")
    assert {key: getattr(options, key) for key in DEFAULTS} == DEFAULTS


def test_every_key_is_read() -> None:
    values = {
        "inputs": 9,
        "batch": 12,
        "subdivisions": 3,
        "time_steps": 5,
        "learning_rate": 0.25,
        "momentum": 0.5,
        "decay": 0.002,
        "adam": True,
        "B1": 0.8,
        "B2": 0.95,
        "eps": 0.1,
        "policy": "steps",
        "burn_in": 7,
        "power": 2,
        "max_batches": 99,
        "step": 6,
        "scale": 0.1,
        "gamma": 0.98,
        "clip": 1,
        "clip_norm": 3,
        "state": "carry",
    }
    assert values.keys() == DEFAULTS.keys()
    text = "[net]\nsteps=10,20\nscales=.5,2\n[softmax]\n"
    options = NetOptions.of(override(parse_cfg(text), values).net)
    assert {key: getattr(options, key) for key in values} == values
    assert options.steps == (10, 20)
    assert options.scales == (0.5, 2)
    assert options.streams == 4
    assert options.symbols == 60


def test_inputs_may_be_height_times_width_times_channels() -> None:
    assert net_options("height=2", "width=3", "channels=4").inputs == 24
    assert net_options("height=2", "width=3", "channels=4", "inputs=5").inputs == 5


@pytest.mark.parametrize("policy", POLICIES)
def test_policies_have_darknets_names(policy: str) -> None:
    needed = ["max_batches=5", "steps=1", "scales=2"]
    assert net_options("inputs=2", f"policy={policy}", *needed).policy == policy
    assert policy in ("constant", "step", "steps", "exp", "poly", "sigmoid", "random")


@pytest.mark.parametrize(
    ("value", "number"), [("+5", 5), ("-.5", -0.5), ("5.", 5), ("1e-3", 1e-3), ("1E+2", 100)]
)
def test_forms_of_a_number(value: str, number: float) -> None:
    assert net_options("inputs=2", f"gamma={value}").gamma == number


@pytest.mark.parametrize("path", sorted(RECORDED.glob("*/*.cfg")), ids=lambda p: p.parent.name)
def test_recorded_cfgs_build_and_write_back(path: Path) -> None:
    cfg = read_cfg(path)
    assert sections(parse_cfg(cfg.text())) == sections(cfg)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", CostWarning)
        Network(cfg)


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        *((f"inputs={value}", "a whole number from 1") for value in ("x", "3.5", "1e3", "-3", "0")),
        ("batch=99999999999", "a whole number from 1 to 2147483647"),
        (f"time_steps={'9' * 5000}", "a whole number from 1 to 2147483647"),
        *((f"decay={value}", "a number") for value in ("x", "nan", "inf", ".", "0x1", "9" * 5000)),
        ("B1=1.5", "a number of at least 0 and up to 0.999999"),
        ("B1=1e39", "a number of at least 0 and up to 0.999999"),
        ("power=-1e39", "a number of at least 0"),
        ("eps=0", "a number above 0"),
        ("eps=1e39", "a number above 0 that single precision holds, up to 3.4e38"),
        ("adam=yes", "a whole number"),
        ("burn_in=-1", "a whole number from 0"),
        ("policy=linear", "'constant', 'step', 'steps', 'exp', 'poly', 'sigmoid' or 'random'"),
        ("state=keep", "'zero' or 'carry'"),
        ("steps=1,x", "a whole number from 0"),
        ("steps=1,", "a whole number from 0"),
        ("scales=.1,1e999", "a number that single precision holds, up to 3.4e38"),
    ],
)
def test_a_bad_value_is_named_with_what_it_should_be(option: str, expected: str) -> None:
    needed = "inputs=2\npolicy=steps\nsteps=1\nscales=1"
    message = refused(f"[net]\n\n{option}\n{needed}\n{SOFTMAX}")
    key, value = option.split("=")
    assert message.startswith(f"my.cfg:3: {key}='{value[:30]}")
    assert f"': expected {expected}" in message.replace("...", "")
    assert len(message) < 200


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("[rnn]\noutput=0", "a whole number from 1"),
        ("[rnn]\nlogistic=3", "a whole number from 0 to 2"),
        ("[rnn]\nshortcut=.5", "a whole number"),
        ("[rnn]\nactivation=Leaky", "'logistic', 'loggy', 'relu'"),
        ("[connected]\nlearning_rate=x", "a number"),
        ("[softmax]\ntemperature=0", "a number above 0"),
    ],
)
def test_a_bad_value_of_a_layer_is_named(section: str, expected: str) -> None:
    message = refused(f"[net]\ninputs=9\n{section}\n")
    key, _, value = section.partition("\n")[2].partition("=")
    assert message.startswith(f"my.cfg:4: {key}='{value}': expected {expected}")


@pytest.mark.parametrize(
    ("lines", "parts"),
    [
        ("inputs=2\nbatch=5\nsubdivisions=2", ["batch=5", "subdivisions=2"]),
        ("inputs=2\npolicy=poly\nmax_batches=0", ["policy=poly", "max_batches"]),
        ("inputs=2\npolicy=steps\nscales=1", ["steps is missing"]),
        ("inputs=2\npolicy=steps\nsteps=1", ["scales is missing"]),
        ("inputs=2\npolicy=steps\nsteps=1,2\nscales=1", ["steps has 2", "scales 1"]),
        ("batch=1", ["inputs is missing"]),
        ("height=99999\nwidth=99999\nchannels=1", ["inputs"]),
    ],
)
def test_options_that_do_not_fit_together_are_named(lines: str, parts: list[str]) -> None:
    message = refused(f"# first\n[net]\n{lines}\n{SOFTMAX}")
    assert message.startswith("my.cfg:2: [net]: ")
    for part in parts:
        assert part in message


def test_groups_that_do_not_divide_are_named() -> None:
    message = refused("[net]\ninputs=9\n[softmax]\ngroups=2")
    assert message.startswith("my.cfg:3: [softmax]: groups=2")


@pytest.mark.parametrize(
    "line",
    ["batch", "=4", "batch=", "=", "[", "[]", "[rnn", "rnn]", "batch:4", " \tbatch = ", "[rnn]x"],
)
def test_a_line_that_is_neither_key_nor_section_is_shown(line: str) -> None:
    message = refused(f"[net]\ninputs=2\n{line}\n{SOFTMAX}")
    assert message.startswith("my.cfg:3: ")
    assert line.strip() in message
    assert "expected " in message


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("[rnn]\noutput=3\n", "my.cfg:1: [rnn]"),
        ("\nbatch=4\n[net]\n", "my.cfg:2: 'batch=4'"),
        ("[net]\ninputs=3\n", "my.cfg: only [net]"),
        ("# nothing\n\n", "my.cfg: no section"),
        ("[net]\n# a\0b\n", "my.cfg:2: NUL"),
        ("[net]\n# \ud800\n", "my.cfg is not a text"),
        (PLAIN + "#" * MAX_CFG_BYTES, "my.cfg is larger than 1 MiB"),
        ("[net]\ninputs=2\n[conv_lstm]\n[softmax]\n", "my.cfg:3: unknown section [conv_lstm]"),
    ],
)
def test_a_text_that_describes_no_network(text: str, start: str) -> None:
    assert refused(text).startswith(start)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\x7fELF\x02\x01\x01" + bytes(range(256)), "some.cfg:1: "),
        (b"\xff\xfe" + PLAIN.encode("utf-16-le"), "some.cfg:1: "),
        (b"[net]\n# a\0b\n", "some.cfg:2: "),
        (PLAIN.encode() + b"#" * MAX_CFG_BYTES, "larger than 1 MiB"),
    ],
    ids=["binary", "UTF-16", "NUL", "large"],
)
def test_a_file_that_is_no_cfg_is_named(content: bytes, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "some.cfg"
    path.write_bytes(content)
    with pytest.raises(CfgError) as caught:
        read_cfg(path)
    message = str(caught.value)
    assert str(path) in message
    assert expected in message
    assert message.isprintable()
    assert len(message) < len(str(path)) + 200


@pytest.mark.parametrize(
    "header",
    [
        struct.pack("<iiii", 0, 1, 0, 7),
        struct.pack("<iiiQ", 0, 2, 5, 7),
        struct.pack("<iiii", 1001, 0, 0, 7),
    ],
    ids=["0.1.0", "0.2.5", "transposed"],
)
@pytest.mark.parametrize("size", [0, 100, MAX_CFG_BYTES], ids=["header", "small", "large"])
def test_a_weights_file_is_named_as_one(header: bytes, size: int, tmp_path: Path) -> None:
    path = tmp_path / "some.weights"
    path.write_bytes(header + bytes(range(1, 251)) * (size // 250))
    for read in (read_cfg, find_cfg):
        with pytest.raises(CfgError) as caught:
            read(path)
        assert str(caught.value) == f"{path} is a weights file; give a cfg file here"


def test_a_file_of_1_MiB_is_read(tmp_path: Path) -> None:
    path = tmp_path / "some.cfg"
    path.write_bytes(PLAIN.encode().ljust(MAX_CFG_BYTES, b"#"))
    assert len(read_cfg(path).layers) == 1


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.cfg", tmp_path):
        for read in (read_cfg, find_cfg):
            with pytest.raises(CfgError) as caught:
                read(path)
            assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["nosuch", "x" * 5000, "a\0b"], ids=["plain", "long", "NUL"])
def test_a_name_that_is_neither_file_nor_bundled(name: str) -> None:
    with pytest.raises(CfgError) as caught:
        find_cfg(name)
    assert name[:10].split("\0")[0] in str(caught.value)


def test_bundled_cfgs_are_found_by_name() -> None:
    assert "tiny" in bundled_cfgs()
    for name, path in bundled_cfgs().items():
        assert sections(find_cfg(name)) == sections(read_cfg(path))


def test_only_a_file_hides_a_bundled_cfg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny").mkdir()
    assert find_cfg("tiny").path == str(bundled_cfgs()["tiny"])
    with pytest.raises(CfgError, match="tiny is a folder; give a cfg file"):
        find_cfg("./tiny")
    Path("tiny").rmdir()
    Path("tiny").write_text(PLAIN)
    assert find_cfg("tiny").path == "tiny"


# --- what is only warned about -------------------------------------------------------------------


def test_unknown_keys_are_warned_about_when_the_network_is_built() -> None:
    text = cfg_text("[net] inputs=3 hue=.1", "[rnn] output=3 hiden=4", "[softmax] end=1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cfg = parse_cfg(text, "my.cfg")
    with pytest.warns(DarknetWarning) as caught:
        Network(cfg)
    messages = [str(warning.message).partition(" in ")[0] for warning in caught]
    assert messages == [
        f"my.cfg:{place}: Unused field: {option}"
        for place, option in ((3, "hue='.1'"), (7, "hiden='4'"), (10, "end='1'"))
    ]


def test_known_keys_are_not_warned_about() -> None:
    layer = "output=3\nbatch_normalize=1\nactivation=tanh\nlearning_rate=.5\n"
    text = f"[net]\ninputs=3\n[rnn]\nhidden=4\nshortcut=1\nlogistic=0\n{layer}[connected]\n{layer}"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Network(parse_cfg(f"{text}[softmax]\ngroups=1\ntemperature=2\nnoloss=0\n"))


def test_a_cost_after_a_softmax_is_ignored_with_a_warning() -> None:
    cfg = parse_cfg(
        "[net]\ninputs=3\n[connected]\noutput=3\n[softmax]\n[cost]\ntype=sse\n", "my.cfg"
    )
    with pytest.warns(DarknetWarning) as caught:
        net = Network(cfg)
    assert [str(warning.message) for warning in caught] == [
        "my.cfg:6: [cost] after [softmax], which has a loss, is ignored"
    ]
    assert [layer.kind for layer in net.layers] == ["connected", "softmax"]


# --- any text ------------------------------------------------------------------------------------

BLANKS = st.text(" \t\r", max_size=3)
WORDS = st.text(st.characters(codec="utf-8", exclude_characters=" \t\r\n\0=[]#;\ufeff"), min_size=1)
KEYS = st.one_of(st.sampled_from(["inputs", "batch", "steps", "gamma", "a"]), WORDS)
VALUES = st.text(
    st.characters(codec="utf-8", exclude_characters="\n\0"), min_size=1, max_size=20
).filter(lambda value: value.strip(" \t\r"))
COMMENTS = st.builds(
    "{}{}{}".format,
    BLANKS,
    st.sampled_from("#;"),
    st.text(st.characters(exclude_characters="\n\0", codec="utf-8"), max_size=8),
)
OPTIONS = st.builds("{}{}{}={}{}".format, BLANKS, KEYS, BLANKS, VALUES, BLANKS)
LINES = st.lists(st.one_of(OPTIONS, COMMENTS, BLANKS), max_size=6)
HEADS = st.builds("{}[{}]{}".format, BLANKS, WORDS, BLANKS)


@st.composite
def cfg_texts(draw: st.DrawFn) -> str:
    lines = [*draw(st.lists(COMMENTS, max_size=2)), draw(st.sampled_from(["[net]", "[ network ]"]))]
    lines += draw(LINES)
    for head in draw(st.lists(HEADS, min_size=1, max_size=3)):
        lines += [head, *draw(LINES)]
    return draw(st.sampled_from(["", "\ufeff"])) + draw(st.sampled_from(["\n", "\r\n"])).join(lines)


# A key of [net]; with a dot it would be one of layers.
NET_KEYS = KEYS.filter(lambda key: "." not in key)


@given(cfg_texts(), st.dictionaries(NET_KEYS, VALUES, max_size=3))
def test_text_parses_to_the_same_sections(text: str, overrides: dict[str, str]) -> None:
    cfg = override(parse_cfg(text), overrides)
    again = parse_cfg(cfg.text())
    assert sections(again) == sections(cfg)
    for key, value in overrides.items():
        assert again.net.options[key].value == value.translate(dict.fromkeys(map(ord, " \t\r")))


HOSTILE = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from([b"\n", b"=", b"[net]\n", b"[softmax]\n", b"\n[", b"]\n", b"\r", b"\0"]),
        st.builds(
            lambda key, value: b"\n" + key.encode() + b"=" + value + b"\n",
            st.sampled_from(["inputs", "batch", "steps", "policy", "height", "eps", "clip"]),
            st.one_of(
                st.binary(max_size=8),
                st.sampled_from([b"9" * 400, b"1e400", b"-0", b"nan", b"poly", b"steps", b","]),
            ),
        ),
    ),
    max_size=12,
).map(b"".join)


def error_in(content: bytes) -> str:
    """The message of the CfgError, empty where there is none."""
    try:
        cfg = parse_cfg(content.decode("utf-8", "surrogateescape"), "my.cfg")
        assert sections(parse_cfg(cfg.text())) == sections(cfg)
        NetOptions.of(cfg.net)
    except CfgError as error:
        return str(error)
    return ""


@given(st.one_of(HOSTILE, HOSTILE.map(lambda end: b"[net]\ninputs=3\n" + end + b"\n[softmax]\n")))
def test_hostile_bytes_raise_nothing_but_a_printable_error(content: bytes) -> None:
    message = error_in(content)
    assert not message or message.startswith("my.cfg")
    assert message.isprintable()


STRANGE = "\x1b[2J\x07\udcff\u2028" + "x" * 3000


def test_what_is_strange_is_shown_printable_and_short() -> None:
    with pytest.warns(DarknetWarning) as caught:
        Network(parse_cfg(f"[net]\ninputs=3\n{STRANGE}={STRANGE}\n[softmax]\n"))
    for message in (refused(f"[net]\ninputs=3\n[{STRANGE}]\n"), str(caught[0].message)):
        assert message.isprintable()
        assert len(message) < 300
