"""Counting by words gives what the model's tokenizer gives."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import BPE, WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from headwater.errors import FatalError
from streams.prepare.canonical import normalise
from streams.prepare.tokens import load_counter
from tests.unit.prepare.texts import PATIENT

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_VOCABULARY = ["[UNK]", "[CLS]", "[SEP]", *_LETTERS, *(f"##{letter}" for letter in _LETTERS), "tea", "##time", ".", ","]


def bert_like() -> Tokenizer:
    tokenizer = Tokenizer(WordPiece({token: n for n, token in enumerate(_VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer()
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.add_special_tokens(["[UNK]", "[CLS]", "[SEP]"])
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    return tokenizer


@pytest.fixture(scope="module")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = bert_like()
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=8)
    file = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer.save(str(file))
    return file


@PATIENT
@given(text=st.text() | st.lists(st.sampled_from(["tea", "teatime", "[SEP]", " ", "\n", "x.y", "\u00a0"])).map("".join))
def test_words_cost_what_the_text_costs(tokenizer_file: Path, text: str) -> None:
    canonical = normalise(text)
    assert load_counter(tokenizer_file)(canonical) == len(bert_like().encode(canonical).ids)


def test_the_files_own_truncation_and_padding_do_not_count(tokenizer_file: Path) -> None:
    count = load_counter(tokenizer_file)
    assert count("") == 2
    assert count("tea " * 100) == 102


def test_a_tokenizer_whose_tokens_span_spaces_is_asked_for_the_whole_text(tmp_path: Path) -> None:
    tokenizer = Tokenizer(BPE({"a": 0, " ": 1, "a ": 2, "a a": 3}, [("a", " "), ("a ", "a")]))
    file = tmp_path / "tokenizer.json"
    tokenizer.save(str(file))
    assert load_counter(file)("a a") == 1


def test_a_missing_file_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="HEADWATER_TRITON__TOKENIZER_FILE"):
        load_counter(tmp_path / "none.json")
