"""The parts of the build that need no build."""

from pathlib import Path

import pytest

from tests.support.triton_models import HOME, triton_module

calibration = triton_module("calibration")
variants = triton_module("variants")
weights = triton_module("weights")
build = triton_module("build")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"avx512_vnni", "avx512_bf16"}, "int8"),
        ({"avx_vnni", "amx_bf16"}, "int8"),
        ({"avx512_vnni"}, "fp32"),
        ({"amx_bf16"}, "fp32"),
        (set(), "fp32"),
    ],
)
def test_int8_only_where_the_cpu_has_both_instruction_sets(flags: set[str], expected: str) -> None:
    assert variants.best_variant(flags) == expected


def test_flags_are_read_from_the_system(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nflags\t\t: fpu avx_vnni\n")
    assert variants.cpu_flags(tmp_path / "cpuinfo") == {"fpu", "avx_vnni"}
    assert variants.cpu_flags(tmp_path / "absent") == set()


def test_calibration_texts_are_the_same_each_time_and_of_many_lengths() -> None:
    source = HOME / "export" / "calibration.txt"
    texts = calibration.calibration_texts(source, 200)
    assert texts == calibration.calibration_texts(source, 200)
    words = [len(text.split()) for text in texts]
    assert min(words) < 10
    assert max(words) > 150


def test_a_changed_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = dict(weights.Manifest.load(HOME / "manifest.yaml").weights["all-MiniLM-L6-v2"])
    assert weights.verified_folder(entry).is_dir()
    entry["files"] = {**entry["files"], "config.json": "0" * 64}
    with pytest.raises(weights.WeightsError, match=r"config\.json"):
        weights.verified_folder(entry)


def test_a_missing_distribution_says_how_to_install_it() -> None:
    with pytest.raises(weights.WeightsError, match="uv sync"):
        weights.verified_folder({"distribution": "absent-weights", "folder": "x", "files": {}})


def test_the_key_depends_on_the_variant() -> None:
    assert build.cache_key(variants.Variant.INT8) != build.cache_key(variants.Variant.FP32)


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    cached, out = tmp_path / "cached", tmp_path / "out"
    cached.mkdir()
    out.mkdir()
    (out / "letter.txt").write_text("mine")
    with pytest.raises(build.BuildError, match="name another folder"):
        build._install(cached, out)
    assert (out / "letter.txt").read_text() == "mine"
