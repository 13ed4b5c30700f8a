"""The page that writes: its JavaScript against the layers, draws and texts of the program."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import pytest

import darknet_py as dn
from darknet_py.activations import ACTIVATIONS
from darknet_py.dialect import ALEXEYAB, DIALECTS, UPSTREAM, Dialect
from darknet_py.exporting import html_page
from darknet_py.inference.generation import Session, generate
from darknet_py.inference.sampling import Sampling
from darknet_py.layers import LAYERS, Layer
from darknet_py.network import Network
from darknet_py.rand import Rand
from darknet_py.reporting.page import read_passage
from darknet_py.text.symbols import Symbols
from tests.support.commands import invoke
from tests.support.networks import Array, make_network
from tests.support.page import needs_node, of, run_page
from tests.support.recorded import recorded_network

pytestmark = pytest.mark.filterwarnings("ignore::darknet_py.errors.DarknetWarning")

INPUTS = 6
NET = f"[net] inputs={INPUTS} batch=1 time_steps=1"
LAST = f"[connected] output={INPUTS} activation=linear"
BYTES = {"inputs": 256, "tokens": False, "names": None, "prompt": [10, 10]}


def network(*sections: str, dialect: Dialect = UPSTREAM, seed: int = 1) -> Network:
    return make_network(*sections, dialect=dialect, dtype=np.float32, seed=seed)


def layer_outputs(net: Network, symbols: Sequence[int]) -> list[Array]:
    """Of every layer, (symbols, outputs), as `predict` computes them."""
    column = np.array(symbols)[:, None]
    counts = range(1, len(net.layers) + 1)
    return [net.forward(column, net.initial_state(1), count=n)[0][:, 0].copy() for n in counts]


def assert_computes(nets: Sequence[Network], half: bool = False) -> None:
    """Every layer of each network gives the same under node, to 1e-5."""
    drawn = [np.random.default_rng(3).integers(0, net.inputs, 12).tolist() for net in nets]
    tasks = [
        {"do": "outputs", **of(net, half), "symbols": symbols}
        for net, symbols in zip(nets, drawn, strict=True)
    ]
    for net, symbols, found in zip(nets, drawn, run_page(*tasks), strict=True):
        for index, expected in enumerate(layer_outputs(net, symbols)):
            actual = np.array([step[index] for step in found], np.float64)
            np.testing.assert_allclose(
                actual, expected, rtol=1e-5, atol=1e-5, err_msg=f"{net.cfg.text()}\nlayer {index}"
            )


# --- layers --------------------------------------------------------------------------------------

SECTIONS = [
    *(
        f"[rnn] output=5 hidden={hidden} activation={name} batch_normalize={norm} "
        f"shortcut={shortcut} logistic={logistic}"
        for hidden, name, norm, shortcut, logistic in [
            *[(4, "tanh", 0, 0, 0), (3, "tanh", 1, 0, 0), (4, "tanh", 0, 1, 0)],
            *[(5, "leaky", 1, 0, 1), (9, "relu", 0, 0, 2), (3, "logistic", 1, 1, 2)],
        ]
    ),
    *(
        f"[gru] output={size} batch_normalize={norm} tanh={tanh}"
        for size, norm, tanh in [(4, 0, 0), (5, 0, 1), (3, 1, 0), (7, 1, 1)]
    ),
    *(
        f"[crnn] {sizes} activation=leaky batch_normalize={norm} shortcut={norm}"
        for sizes in ("output=5 hidden=4 size=1", "output_filters=5 hidden_filters=3")
        for norm in (0, 1)
    ),
    "[crnn] output=6 hidden=4 size=3 pad=1 groups=2 activation=tanh",
    *(f"[lstm] output={size} batch_normalize={norm}" for size, norm in [(4, 0), (5, 1)]),
    *(f"[connected] output=5 activation={name}" for name in ACTIVATIONS),
    "[connected] output=5 activation=tanh batch_normalize=1",
    *(f"[activation] activation={name}" for name in ACTIVATIONS),
    "[batchnorm]",
    "[dropout] probability=.5",
    "[softmax] groups=3 temperature=.5",
    "[logistic]",
    "[cost]",
]
ENDS = [
    *(f"[softmax] groups={groups}" for groups in (1, 2, 6)),
    *(f"[softmax] temperature={temperature}" for temperature in (".5", "2", "1e-30", "1e-40")),
    *("[softmax]\n[cost]", "[logistic]", "[logistic]\n[cost] type=smooth", "[cost]", ""),
]


def sections(text: str) -> list[str]:
    return text.split("\n") if text else []


@needs_node
@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_every_layer_computes_as_in_the_program(dialect: Dialect) -> None:
    """First, where it may take symbols, and above another layer."""
    nets = []
    for section in SECTIONS:
        nets.append(network(NET, section, LAST, "[softmax]", dialect=dialect))
        below = "[connected] output=6 activation=linear"
        nets.append(network(NET, below, section, LAST, "[softmax]", dialect=dialect))
    nets += [network(NET, LAST, *sections(end), dialect=dialect) for end in ENDS]
    nets += [network(NET, *sections(end), dialect=dialect) for end in ENDS if end]
    assert {layer.kind for net in nets for layer in net.layers} == set(LAYERS)
    assert_computes(nets)


@needs_node
def test_random_networks_compute_as_in_the_program() -> None:
    random = Random(5)
    nets = []
    for seed in range(40):
        middle = [random.choice(SECTIONS) for _ in range(random.randint(1, 4))]
        # Each [softmax] needs a number of inputs that its groups divide.
        middle = [part for section in middle for part in (section, LAST)]
        end = sections(random.choice(ENDS))
        dialect = random.choice([UPSTREAM, ALEXEYAB])
        nets.append(network(NET, *middle, *end, dialect=dialect, seed=seed))
    assert_computes(nets)


@needs_node
def test_rolling_statistics_of_every_size() -> None:
    """Variances of 0 and infinity, as young and damaged networks have them."""
    nets = []
    for dialect in DIALECTS.values():
        for section in ("[connected] output=6 activation=tanh batch_normalize=1", "[batchnorm]"):
            net = network(NET, LAST, section, "[softmax]", dialect=dialect)
            for tensor in net.tensors():
                if tensor.is_variance:
                    tensor.values[:3] = [0, 1e-12, np.inf]
                elif tensor.name.endswith("rolling_mean"):
                    tensor.values[:2] = 0
                elif tensor.name in ("0.bias", "0.weight"):
                    tensor.values[:2] *= 1e-6
            nets.append(net)
    assert_computes(nets)


@needs_node
@pytest.mark.filterwarnings("ignore:overflow")
def test_stair_of_infinity() -> None:
    assert_computes([recorded_network("stair-infinity")])


@needs_node
def test_pages_know_every_activation() -> None:
    (names,) = run_page({"do": "activations"})
    assert set(names) == set(ACTIVATIONS)


# --- numbers -------------------------------------------------------------------------------------


@needs_node
def test_halves_are_decoded_as_numpy_does() -> None:
    (found,) = run_page({"do": "halves"})
    expected = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float64)
    np.testing.assert_array_equal(np.array(found, np.float64), expected)
    assert np.isinf(expected).sum() == 2
    assert np.count_nonzero(np.abs(expected[1:1024]) < 2**-14) == 1023  # subnormal


@needs_node
def test_half_pages_compute_with_rounded_matrices() -> None:
    net = network(NET, "[gru] output=5 tanh=1 batch_normalize=1", LAST, "[softmax]")
    for tensor in net.tensors():
        if tensor.decayed:
            tensor.values.flat[0] = 3e-7  # subnormal in 16 bits
    whole, halved = of(net), of(net, half=True)
    for tensor in net.tensors():
        if tensor.decayed:
            tensor.values[...] = tensor.values.astype(np.float16)
    assert_computes([net], half=True)
    matrices = sum(tensor.size for tensor in net.tensors() if tensor.decayed)
    sizes = [len(base64.b64decode(data["numbers"])) for data in (whole, halved)]
    assert sizes[0] - sizes[1] == 2 * matrices


@needs_node
def test_base64() -> None:
    data = np.random.default_rng(1).bytes(1_000_003)
    lengths = [0, 1, 2, 3, 4, 5, 196_608, 196_609, len(data)]
    tasks = [{"do": "bytes", "text": base64.b64encode(data[:n]).decode()} for n in lengths]
    for length, found in zip(lengths, run_page(*tasks), strict=True):
        assert bytes(found) == data[:length]


# --- draws and texts -----------------------------------------------------------------------------


@needs_node
def test_draws_are_those_of_rand() -> None:
    seeds = [0, 1, 2, 12345, 2**31 - 1, 2**31, 2**31 + 5, 2**32 - 1]
    places = [0, 1, 30, 31, 10**6 + 7]
    cases = [(seed, place) for seed in seeds for place in places]
    tasks = [{"do": "draws", "seed": s, "drawn": place, "count": 100} for s, place in cases]
    for (seed, place), found in zip(cases, run_page(*tasks), strict=True):
        assert found == Rand(seed, place).draws(100).tolist()
    (found,) = run_page({"do": "uniform", "seed": 3, "count": 1000})
    np.testing.assert_array_equal(np.array(found, np.float32), Rand(3).uniform(0, 1, 1000))


@needs_node
def test_a_symbol_is_chosen_as_in_the_program() -> None:
    """Also of equal odds, of odds below the cut-off, and where rounding leaves a rest."""
    rng = np.random.default_rng(8)
    rows = rng.dirichlet(np.full(12, 0.3), 2000).astype(np.float32)
    rows[:200] = np.round(rows[:200], 1) + np.float32(1e-3)
    rows[200:400] *= np.float32(1e-5)
    rows[-600:, -1] = 0
    uniform = rng.random(len(rows), np.float32)
    uniform[::3] = 1
    uniform[1::9] = 0
    ways = [(1, 0, 1), (1, 1, 1), (1, 3, 1), (1, 11, 1), (1, 40, 1), (0, 0, 1), (0, 3, 0.5)]
    ways += [(1, 0, 0.9), (1, 0, 0.01), (1, 0, 0.999), (1, 5, 0.7)]
    for temperature, top_k, top_p in ways:
        how = {"temperature": temperature, "topK": top_k, "topP": top_p}
        given = {"rows": rows.tolist(), "uniform": uniform.tolist()}
        (found,) = run_page({"do": "choose", **given, **how})
        sampling = Sampling(top_k=top_k, top_p=top_p, greedy=temperature == 0)
        expected = sampling.choose(rows.copy(), uniform)
        odds = sampling.odds(rows.copy())
        if not sampling.is_plain:
            # The sum of the k is rounded in another order, which decides what a draw of 1 reaches.
            assert (np.take_along_axis(odds, np.array(found)[:, None], axis=-1) > 0).all()
            expected[uniform == 1] = np.array(found)[uniform == 1]
        np.testing.assert_array_equal(found, expected)


def assert_same_text(
    net: Network, prompt: Sequence[int], sampling: Sampling, seed: int, text: Sequence[int]
) -> None:
    """`text` is that of `generate`, or leaves it at a draw that falls between two symbols."""
    expected = list(generate(net, list(prompt), len(text), seed=seed, sampling=sampling))
    if text == expected:
        return
    place = next(i for i, (a, b) in enumerate(zip(text, expected, strict=True)) if a != b)
    session = Session(net)
    session.feed([*(prompt or [0]), *expected[:place]])
    p = sampling.odds(session.probabilities(sampling.temperature))
    uniform = Rand(seed, net.initial_draws).uniform(0, 1, place + 1)[-1]
    assert np.abs(np.cumsum(p, dtype=np.float64) - uniform).min() < 1e-5, f"at symbol {place}"
    if sampling.greedy:
        assert abs(p[text[place]] - p[expected[place]]) < 1e-5


@needs_node
def test_the_same_seed_gives_the_text_of_generate() -> None:
    byte = "[net] inputs=256 batch=1 time_steps=1"
    ends = "[connected] output=256 activation=linear", "[softmax]"
    nets = [
        network(byte, "[rnn] output=12 activation=tanh", *ends),
        network(byte, "[gru] output=9 tanh=1", "[dropout]", "[lstm] output=7", *ends),
        network(byte, "[lstm] output=8 batch_normalize=1", ends[0], "[softmax] temperature=.5"),
        network(byte, "[rnn] output=8", ends[0], "[softmax] groups=4", "[cost]"),
        network(byte, "[rnn] output=8", ends[0], "[logistic]"),
    ]
    samplings = [
        *(Sampling(temperature) for temperature in (0.05, 0.7, 1, 1.5)),
        *(Sampling(0.9, top_k=k) for k in (1, 3, 40, 300)),
        *(Sampling(0.9, top_p=p) for p in (0.5, 0.95)),
        Sampling(greedy=True),
    ]
    cases = [
        (net, prompt, sampling, seed)
        for net in nets
        for number, sampling in enumerate(samplings)
        for prompt, seed in [([10, 10], number), ([*"Once é".encode()], 2**32 - 1 - number)]
    ]
    cases.append((nets[0], [], samplings[1], 7))
    tasks = [
        {
            "do": "write",
            **of(net),
            "prompt": prompt,
            "length": 150,
            "seed": seed,
            "temperature": 0 if sampling.greedy else sampling.temperature,
            "topK": sampling.top_k,
            "topP": sampling.top_p,
        }
        for net, prompt, sampling, seed in cases
    ]
    same = 0
    for case, found in zip(cases, run_page(*tasks), strict=True):
        net, prompt, sampling, seed = case
        assert_same_text(net, prompt, sampling, seed, found["text"])
        expected = list(generate(net, prompt, 150, seed=seed, sampling=sampling))
        same += found["text"] == expected
    assert same >= 0.9 * len(cases)


@needs_node
@pytest.mark.parametrize(
    "end", ["[softmax]", "[softmax] temperature=.4 groups=2", "[logistic]", "[cost]"]
)
def test_surprise_is_the_loss_of_valid(end: str) -> None:
    net = network(NET, "[rnn] output=8 activation=tanh", LAST.replace("linear", "logistic"), end)
    prompt = np.random.default_rng(2).integers(0, INPUTS, 30)
    write = {"length": 0, "seed": 0, "temperature": 1, "topK": 0, "topP": 1}
    (found,) = run_page({"do": "write", **of(net), "prompt": prompt.tolist(), **write})
    assert found["losses"][0] == 0
    expected, _ = net.losses(prompt[:-1, None], prompt[1:, None], net.initial_state(1))
    np.testing.assert_allclose(found["losses"][1:], expected[:, 0], rtol=1e-5, atol=1e-6)


@needs_node
@pytest.mark.parametrize("layer", [0, 1, 3])
def test_units_along_a_text(layer: int) -> None:
    net = network(
        NET, "[lstm] output=9", "[rnn] output=8 activation=tanh", LAST, "[softmax]", seed=4
    )
    symbols = np.random.default_rng(2).integers(0, INPUTS, 200).tolist()
    task = {"do": "trace", **of(net), "symbols": symbols, "layer": layer, "count": 6}
    (found,) = run_page(task)
    np.testing.assert_allclose(found["followed"], layer_outputs(net, symbols)[layer], atol=1e-5)
    assert found["caughtUp"] == found["followed"]
    assert found["slowest"] == read_passage(net, symbols, layer, Symbols.of(net)).units


# --- symbols -------------------------------------------------------------------------------------


@needs_node
def test_bytes_become_characters_as_python_reads_them() -> None:
    random = Random(2)
    texts = ["aé€😀b\n".encode(), b"\xf0\x9f\x98", b"\xed\xa0\x80\xc0\x80\xf4\x90\x80\x80\xff"]
    texts += [b"\xef\xbb\xbfa", b"\xe0\x80\x80\xf0\x80\x80\x80\xf8\xc3(\xe2\x82(\xf0\x9f\x98("]
    pool = b"a\n\x80\xbf\xc2\xc3\xe0\xe2\xed\xf0\xf4\xf5\x9f\xa0\x90\x82"
    texts += [bytes(random.choices(pool, k=random.randint(1, 30))) for _ in range(500)]
    tasks = [{"do": "pieces", "described": BYTES, "symbols": list(text)} for text in texts]
    for text, found in zip(texts, run_page(*tasks), strict=True):
        waiting = len(found["begun"])
        whole = text[: len(text) - waiting]
        assert "".join(found["texts"]) == whole.decode("utf-8", "replace"), text
        assert found["ends"] == sorted(set(found["ends"]))
        assert (found["ends"] or [0])[-1] == len(whole)
        first = 0
        for end, piece in zip(found["ends"], found["texts"], strict=True):
            assert text[first:end].decode("utf-8", "replace") == piece
            first = end


def read(symbols: Symbols, text: str) -> list[int] | None:
    """The symbols of a text; None where it has what is no symbol."""
    try:
        return list(map(int, symbols.read(text.encode(), "--prompt")))
    except dn.CorpusError:
        return None


@needs_node
def test_prompts_are_read_as_the_program_reads_them(tmp_path: Path) -> None:
    names = ["the", "New York", "7", "", "the", "\n", "York", "a.b", "é ", "New York City"]
    file = tmp_path / "names"
    file.write_text("".join(f"{name}\n".replace("\n\n", "<NEWLINE>\n") for name in names))
    tokens = network(
        "[net] inputs=10 batch=1 time_steps=1 tokenized=1",
        *("[connected] output=10 activation=linear", "[softmax]"),
    )
    for symbols in (Symbols.of(tokens), Symbols.of(tokens, file)):
        described = of(tokens, symbols=symbols)["description"]["symbols"]
        prompts = ["the 3  New York", "New York City\nthe", "7 9 \n 2", "", "aXb a.b", "é  York 9"]
        prompts += ["10", "0007", "1234567890", "-1", "Yorkshire", "New  York"]
        tasks = [{"do": "read", "described": described, "text": text} for text in prompts]
        for text, found in zip(prompts, run_page(*tasks), strict=True):
            assert found == read(symbols, text) or "numbers from 0 to 9" in found, text
            assert isinstance(found, str) == (read(symbols, text) is None), text
        task = {"do": "pieces", "described": described, "symbols": list(range(10))}
        (found,) = run_page(task)
        assert "".join(found["texts"]) == symbols.text(range(10))
    task = {"do": "read", "described": BYTES, "text": "é\n😀"}
    (found,) = run_page(task)
    assert bytes(found) == "é\n😀".encode()
    (found,) = run_page({**task, "described": {**BYTES, "inputs": 128}})
    assert "byte 195" in found


@needs_node
def test_the_likeliest_characters_are_whole_and_those_of_the_program() -> None:
    letters = "aé€b\n中"
    net = network(
        "[net] inputs=256 batch=1 time_steps=1",
        *("[gru] output=9 tanh=1", "[rnn] output=8 activation=tanh", "[lstm] output=7"),
        *("[connected] output=256 activation=linear", "[softmax]"),
    )
    bias = next(tensor for tensor in net.tensors() if tensor.name == "3.bias").values
    bias[...] = -30
    bias[[*letters.encode()]] = 3
    task = {"do": "following", **of(net), "temperature": 0.9, "count": 10}
    for prompt in (b"a", b"b\n", "€é".encode()):
        (found,) = run_page({**task, "prompt": [*prompt]})
        session = Session(net)
        session.feed([*prompt])
        expected = session.likeliest(10, 0.9)
        assert [bytes(symbols) for symbols in found["symbols"]] == [each for _, each in expected]
        np.testing.assert_allclose(found["p"], [p for p, _ in expected], rtol=1e-3)
        assert found["isUnmoved"]
        for symbols, shown in zip(found["symbols"], found["shown"], strict=True):
            if (text := bytes(symbols).decode("utf-8", "replace"))[-1] != "\ufffd":
                assert shown.replace("⏎", "\n") == text
    # What has begun is part of the character.
    (found,) = run_page({**task, "prompt": [*b"a\xe2\x82"]})
    assert "€" in found["shown"]
    assert found["symbols"][found["shown"].index("€")] == [0xAC]


@needs_node
def test_labels_are_whole_and_speakable() -> None:
    def shown(symbols: bytes, begun: bytes = b"") -> list[tuple[str, str]]:
        task = {"do": "labels", "described": BYTES, "symbols": [*symbols], "begun": [*begun]}
        return [(label["shown"], label["spoken"]) for label in run_page(task)[0]]

    assert shown(b"a \n") == [("a", "a"), ("␣", "space"), ("⏎", "line break")]
    assert shown(b"\x1b\x7f") == [("␛", "byte 1B"), ("␡", "byte 7F")]
    assert shown(b"\xa9", b"\xc3") == [("é", "é")]
    assert shown(b"\x98", b"\xf0\x9f") == [("…98", "byte 98, within a character")]
    assert shown(b"\xc3\x80") == [("C3…", "byte C3, the start of a character"), ("80", "byte 80")]
    named = {"inputs": 4, "tokens": True, "names": ["New York", "\n", ""], "prompt": []}
    (labels,) = run_page({"do": "labels", "described": named, "symbols": [0, 1, 2, 3]})
    assert [label["shown"] for label in labels] == ["New York", "⏎", "#2", "3"]
    assert [label["spoken"] for label in labels] == ["New York", "line break", "token 2", "3"]
    assert run_page({"do": "visible", "text": "a\tb\n\r\x00"}) == ["a\tb\n␍␀"]


# --- the file ------------------------------------------------------------------------------------


def data_of(page: str, name: str) -> str:
    found = re.findall(rf'<script type="[^"]*" id="{name}">(.*?)</script>', page, re.DOTALL)
    assert len(found) == 1
    return str(found[0])


@pytest.fixture
def trained(run_inputs: None) -> None:
    assert (
        invoke("train", "net.cfg", "text.txt", "--batches", "20", "--seed", "1", "-q").status == 0
    )


@pytest.mark.usefixtures("trained")
def test_a_page_is_complete_in_itself() -> None:
    outcome = invoke("export", "backup", "page.html")
    assert outcome.status == 0, outcome.stderr
    assert outcome.stdout == b""
    page = Path("page.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert re.findall(r'(?:src|href)="([^"]*)"', page) == ["data:,"]
    assert not re.findall(r"https?:|@import|url\(|fetch\(|XMLHttp|\bimport\b|^export ", page, re.M)
    assert "default-src 'none'" in page
    net = dn.load_network("backup")
    assert json.loads(data_of(page, "network"))["initial_draws"] == net.initial_draws
    numbers = np.frombuffer(base64.b64decode(data_of(page, "numbers")), "<f4")
    np.testing.assert_array_equal(np.sort(numbers), np.sort(net.parameters))
    # A page is written again, unless someone changed it.
    assert invoke("export", "backup", "page.html", "--half").status == 0
    halved = Path("page.html").read_text(encoding="utf-8")
    assert len(halved) < len(page)
    Path("page.html").write_text(halved + " ", encoding="utf-8")
    assert "--force" in invoke("export", "backup", "page.html", "-q").error()
    (written,) = dn.export(net, "other.html", half=True)
    assert written == Path("other.html")
    assert data_of(written.read_text(), "numbers") == data_of(halved, "numbers")


@needs_node
def test_the_script_of_a_page_is_one_program(tmp_path: Path) -> None:
    file = tmp_path / "page.js"
    file.write_text(html_page.script(), encoding="utf-8")
    subprocess.run(["node", "--check", file], check=True)
    folder = Path(html_page.__file__).parent / "page"
    assert {f"{name}.mjs" for name in html_page.MODULES} == {p.name for p in folder.glob("*.mjs")}


def test_names_cannot_end_the_data(tmp_path: Path) -> None:
    names = ["</script><script>alert(1)</script>", "<!--", "]]>", "\u2028", "a"]
    (tmp_path / "names").write_text("\n".join(names) + "\n", encoding="utf-8")
    net = network(
        "[net] inputs=5 batch=1 time_steps=1 tokenized=1",
        *("[connected] output=5 activation=linear", "[softmax]"),
    )
    (path,) = dn.export(net, tmp_path / "page.html", tokens=tmp_path / "names")
    page = path.read_text(encoding="utf-8")
    assert page.count("<script") == page.count("</script") == 3
    assert json.loads(data_of(page, "network"))["symbols"]["names"] == names


@pytest.mark.usefixtures("trained")
def test_what_no_page_can_hold_is_refused_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def error(*options: str) -> str:
        message = invoke("export", "backup", "page.html", "-q", *options).error()
        assert not Path("page.html").exists()
        return message

    with monkeypatch.context() as patch:
        patch.setattr(html_page, "MAX_BYTES", 1000)
        assert "--half needs half of that" in error()
        assert "needs half" not in error("--half")
    with monkeypatch.context() as patch:
        patch.setattr(LAYERS["rnn"], "step", Layer.step)
        assert "layer 0: [rnn] has no step" in error()
    assert "only for networks of tokens" in error("--tokens", "text.txt")
    for option in (["--half"], ["--tokens", "text.txt"]):
        outcome = invoke("export", "backup", "net.npz", *option)
        assert outcome.status == 2
        assert f"{option[0]} is only for a page" in outcome.stderr
    net = dn.load_network("backup")
    net.parameters[-1] = 1e6  # the last entry of a matrix
    with pytest.raises(dn.DarknetError, match="--half"):
        dn.export(net, "page.html", half=True)
    for given, name in (({"half": True}, "half"), ({"tokens": "text.txt"}, "tokens")):
        with pytest.raises(ValueError, match=f"^{name} is only for a page"):
            dn.export(net, "net.npz", **given)
    with pytest.raises(ValueError, match=r"^half must be"):
        dn.export(net, "page.html", half="yes")  # type: ignore[arg-type]
    narrow = network(NET, "[connected] output=5", "[softmax]")
    with pytest.raises(dn.CfgError, match="5 outputs and the network 6 inputs"):
        dn.export(narrow, "page.html")
    assert not Path("page.html").exists()
