"""Files of requests: every format read right, and every malformed record named exactly."""

from __future__ import annotations

import csv
import io
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedit_lifecycle.errors import BadRecordError, UsageError
from kedit_lifecycle.facts import lines
from kedit_lifecycle.facts.json_list import read_json_list
from kedit_lifecycle.facts.readers import load_requests, read_requests
from kedit_lifecycle.facts.request import Condition, EditRequest, Probe

GOOD: dict[str, Any] = {"subject": "France", "prompt": "The capital of {} is", "target_new": "Rome"}
FULL: dict[str, Any] = {
    "case_id": 7,
    "requested_rewrite": {
        "subject": "France",
        "prompt": "The capital of {} is",
        "relation_id": "P36",
        "target_new": {"str": "Rome"},
        "target_true": {"str": "Paris"},
    },
    "paraphrase_prompts": ["France has the capital"],
    "neighborhood_prompts": ["The capital of Île-de-France is"],
    "attribute_prompts": ["The capital of Italy is"],
    "generation_prompts": ["In France's capital"],
}
FLAT = {
    "case_id": 7,
    "subject": "France",
    "prompt": "The capital of France is",
    "relation_id": "P36",
    "target_new": " Rome",
    "ground_truth": ["Paris"],
    "paraphrase_prompt": "France has the capital",
    "rephrase_prompt": "In France's capital, people eat",
    "locality_prompt": "The capital of Île-de-France is",
    "locality_ground_truth": "Paris",
}

words = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0{}"), min_size=1, max_size=12
).filter(lambda text: bool(text.strip()))
word_lists = st.lists(words, max_size=3).map(tuple)
answers = st.lists(words, min_size=1, max_size=2).map(tuple)
probes = st.builds(
    Probe,
    category=words,
    prompt=words,
    answers=answers,
    conditions=st.lists(st.builds(Condition, prompt=words, answers=answers), max_size=2).map(tuple),
    any_of=st.none() | words,
)
requests = st.builds(
    EditRequest,
    subject=words,
    prompt=words.map(lambda text: text + " {} "),
    target_new=words,
    target_true=st.none() | words,
    relation=st.none() | words,
    paraphrases=word_lists,
    neighborhood=word_lists,
    generation_prompts=word_lists,
    probes=st.lists(probes, max_size=2).map(tuple),
    reason=st.none() | words,
    source=st.none() | words,
)


def _write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def _jsonl(*records: Any) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def _error(path: Path) -> str:
    with pytest.raises(BadRecordError) as caught:
        load_requests(path)
    return str(caught.value)


def _fields(request: EditRequest) -> dict[str, Any]:
    return request.model_dump(mode="json")


# --- what is good is read as it is -------------------------------------------------------------


@given(st.lists(requests, min_size=1, max_size=4), st.booleans(), st.sampled_from(["\n", "\r\n", "\n\n  \n"]))
def test_json_lines_round_trip(
    tmp_path_factory: pytest.TempPathFactory, wanted: list[EditRequest], ascii_only: bool, newline: str
) -> None:
    text = newline.join(json.dumps(_fields(one), ensure_ascii=ascii_only) for one in wanted)
    path = _write(tmp_path_factory.mktemp("facts"), "facts.jsonl", b"\xef\xbb\xbf" + text.encode())
    assert load_requests(path).requests == tuple(wanted)


@given(st.lists(requests, min_size=1, max_size=4), st.sampled_from([None, 1]), st.integers(1, 40))
def test_a_json_list_reads_the_same_in_chunks_of_any_size(
    wanted: list[EditRequest], indent: int | None, chunk: int
) -> None:
    text = json.dumps([_fields(one) for one in wanted], indent=indent, ensure_ascii=False)
    parsed = list(read_json_list(io.BytesIO(text.encode()), chunk))
    assert [one.record for one in parsed] == [_fields(one) for one in wanted]
    starts = [number for number, line in enumerate(text.split("\n"), 1) if line in (" {", "{")] or [1] * len(
        wanted
    )
    assert [one.line for one in parsed] == starts


def test_a_number_is_not_cut_where_a_chunk_ends() -> None:
    parsed = list(read_json_list(io.BytesIO(b"[1234567, 89, {}]"), 2))
    assert [one.record for one in parsed] == [1234567, 89, {}]


@given(st.lists(requests, min_size=1, max_size=4), st.sampled_from(",;\t"))
def test_csv_round_trip(
    tmp_path_factory: pytest.TempPathFactory, wanted: list[EditRequest], delimiter: str
) -> None:
    names = list(EditRequest.model_fields)
    table = io.StringIO()
    writer = csv.writer(table, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(names)
    for one in wanted:
        fields = _fields(one)
        writer.writerow(
            [json.dumps(fields[name]) if isinstance(fields[name], list) else fields[name] for name in names]
        )
    path = _write(tmp_path_factory.mktemp("facts"), "facts.csv", table.getvalue())
    assert load_requests(path).requests == tuple(_with_stripped_texts(one) for one in wanted)


def _with_stripped_texts(request: EditRequest) -> EditRequest:
    """What a CSV cell can carry: a text without white space around it, and None for no text."""
    texts = {name: value.strip() for name, value in _fields(request).items() if isinstance(value, str)}
    return request.model_copy(update=texts)


def test_csv_lists_may_be_json_or_separated_by_bars(tmp_path: Path) -> None:
    probes = '"[{""category"": ""hop"", ""prompt"": ""p"", ""answers"": [""a""]}]"'
    path = _write(
        tmp_path,
        "facts.csv",
        "subject,prompt,target_new,paraphrases,neighborhood,probes\n"
        f'France,The capital of {{}} is,Rome,one | two,"[""three | four"", ""five""]",{probes}\n'
        "\n"
        "Peru,The capital of {} is,Oslo,[odd] but a text,,\n",
    )
    first, second = load_requests(path).requests
    assert first.paraphrases == ("one", "two")
    assert first.neighborhood == ("three | four", "five")
    assert first.probes[0].answers == ("a",)
    assert second.paraphrases == ("[odd] but a text",)
    assert second.neighborhood == ()
    assert second.target_true is None


def test_a_full_counterfact_record(tmp_path: Path) -> None:
    (request,) = load_requests(_write(tmp_path, "cf.json", json.dumps([FULL]))).requests
    assert (
        request.model_dump()
        == EditRequest(
            **GOOD,
            target_true="Paris",
            relation="P36",
            paraphrases=("France has the capital",),
            neighborhood=("The capital of Île-de-France is",),
            generation_prompts=("In France's capital",),
            source="counterfact:7",
        ).model_dump()
    )


def test_a_flat_record_never_takes_a_rephrase_for_a_paraphrase(tmp_path: Path) -> None:
    (request,) = load_requests(_write(tmp_path, "cf.jsonl", _jsonl(FLAT))).requests
    assert (
        request.model_dump()
        == EditRequest(
            **GOOD,
            target_true="Paris",
            relation="P36",
            paraphrases=("France has the capital",),
            neighborhood=("The capital of Île-de-France is",),
            generation_prompts=("In France's capital, people eat",),
            source="counterfact:7",
        ).model_dump()
    )


def test_a_neighborhood_prompt_with_another_answer_is_a_probe(tmp_path: Path) -> None:
    record = {**FLAT, "locality_prompt": "The capital of Spain is", "locality_ground_truth": "Madrid"}
    (request,) = load_requests(_write(tmp_path, "cf.jsonl", _jsonl(record))).requests
    assert request.neighborhood == ()
    assert (request.probes[0].prompt, request.probes[0].answers) == ("The capital of Spain is", ("Madrid",))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("facts.txt", _jsonl(GOOD, GOOD)),
        ("facts.json", _jsonl(GOOD, GOOD)),
        ("facts", json.dumps([GOOD, GOOD])),
        ("facts.jsonl", json.dumps([GOOD, GOOD], indent=2)),
        ("facts.dat", "subject,prompt,target_new\n" + "France,The capital of {} is,Rome\n" * 2),
        ("facts.tsv", "subject\tprompt\ttarget_new\r\n" + "France\tThe capital of {} is\tRome\r\n" * 2),
    ],
)
def test_the_content_tells_the_format(tmp_path: Path, name: str, content: str) -> None:
    assert load_requests(_write(tmp_path, name, content)).requests == (EditRequest(**GOOD),) * 2


def test_one_record_over_several_lines(tmp_path: Path) -> None:
    assert len(load_requests(_write(tmp_path, "one.json", json.dumps(GOOD, indent=1))).requests) == 1


def test_a_given_format_is_not_guessed(tmp_path: Path) -> None:
    path = _write(tmp_path, "facts.txt", "subject,prompt,target_new\nFrance,{} x,Rome\n")
    assert len(load_requests(path, "csv").requests) == 1
    with pytest.raises(BadRecordError, match="not valid JSON"):
        load_requests(path, "jsonl")


def test_reading_is_lazy(tmp_path: Path) -> None:
    path = _write(tmp_path, "facts.jsonl", _jsonl(GOOD) + "broken\n")
    assert next(read_requests(path)).requests == (EditRequest(**GOOD),)


# --- what is bad is named ----------------------------------------------------------------------

BAD_RECORDS = [
    ({**GOOD, "subject": None}, "subject: must be a string, not null"),
    ({**GOOD, "subject": 3}, "subject: must be a string, not a number"),
    ({"prompt": "{} is", "target_new": "x"}, "subject: missing"),
    ({**GOOD, "subject": " "}, "subject is empty"),
    ({**GOOD, "target_new": ""}, "target_new is empty"),
    ({**GOOD, "prompt": "The capital of Spain is"}, "the subject 'France' is not in the prompt"),
    ({**GOOD, "prompt": "{} and {}"}, "exactly once"),
    ({**GOOD, "target_true": 4}, "target_true"),
    ({**GOOD, "paraphrases": "one"}, "paraphrases"),
    ({**GOOD, "paraphrases": ["one", 2]}, "paraphrases.1"),
    ({**GOOD, "probes": [{"category": "hop", "prompt": "p"}]}, "probes.0.answers"),
    ({**GOOD, "target_knew": "x"}, "target_knew: no such field; did you mean target_new?"),
    ({**GOOD, "subject": "Fr\0ance"}, "subject: holds a NUL character"),
    ({**GOOD, "paraphrases": ["a", "\ud800"]}, "paraphrases: is not valid Unicode"),
    ([GOOD], "a record must be an object with fields, not list"),
    ("France", "a record must be an object with fields, not str"),
    ({**FULL, "requested_rewrite": "x"}, "requested_rewrite: must be an object, not a string"),
    ({**FULL, "requested_rewrite": [1]}, "requested_rewrite.0: must be an object, not a number"),
    ({**FULL, "requested_rewrite": []}, "requested_rewrite: is empty"),
    ({**FULL, "requested_rewrite": {}}, "requested_rewrite.subject: missing"),
    (
        {**FULL, "requested_rewrite": {**FULL["requested_rewrite"], "target_new": {"id": "Q1"}}},
        "requested_rewrite.target_new.str: missing",
    ),
    ({**FULL, "paraphrase_prompts": [None]}, "paraphrase_prompts.0: must be a string, not null"),
    ({**FULL, "case_id": {}}, "case_id: must be a number or a string"),
    ({**FLAT, "paraphrase_prompt": 5}, "paraphrase_prompt: must be a list of strings, not a number"),
    ({**FLAT, "portability": {}}, "portability: no such field"),
]


@pytest.mark.parametrize(("record", "problem"), BAD_RECORDS)
def test_a_bad_record_is_named_by_file_line_and_field(tmp_path: Path, record: Any, problem: str) -> None:
    path = _write(tmp_path, "facts.jsonl", _jsonl(GOOD) + "\n" + _jsonl(record, GOOD))
    assert _error(path).startswith(f"{path}, line 3 (record 2): ")
    assert problem in _error(path)
    kept = load_requests(path, keep_going=True)
    assert len(kept.requests) == 2
    assert [str(error) for error in kept.skipped] == [_error(path)]


@pytest.mark.parametrize(("record", "problem"), BAD_RECORDS)
def test_a_bad_record_of_a_list_is_named_too(tmp_path: Path, record: Any, problem: str) -> None:
    text = "[\n" + json.dumps(GOOD) + ",\r\n\n" + json.dumps(record) + ",\n" + json.dumps(GOOD) + "\n]"
    path = _write(tmp_path, "facts.json", text)
    assert _error(path).startswith(f"{path}, line 4 (record 2): ")
    assert problem in _error(path)
    assert len(load_requests(path, keep_going=True).requests) == 2


GOOD_LINE = _jsonl(GOOD).encode()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"subject": "France",\n', "not valid JSON"),
        (b'{"subject": "a" "b"}\n', "at column 17"),
        (GOOD_LINE.strip() + b" trailing\n", "more after the value"),
        (b'{"subject": "\xff"}\n', "not UTF-8: byte 0xff at column 14"),
        (b'{"subject":\x00 "x"}\n', "NUL byte at column 12"),
        (b'{"subject": "a", "subject": "b"}\n', "subject: given twice"),
        (b'{"subject": ' + b"[" * 100_000 + b"\n", "nested too deeply"),
        (b'{"subject": ' + b"1" * 5000 + b"}\n", "not usable"),
        (b"NaN\n", "must be an object"),
    ],
)
def test_a_bad_line_does_not_take_others_with_it(tmp_path: Path, line: bytes, problem: str) -> None:
    path = _write(tmp_path, "facts.jsonl", GOOD_LINE + line + GOOD_LINE)
    assert f"{path}, line 2 (record 2): " in _error(path)
    assert problem in _error(path)
    assert len(load_requests(path, keep_going=True).requests) == 2


def test_a_huge_line_is_named_and_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST_RECORD", 4096)
    path = _write(tmp_path, "facts.jsonl", GOOD_LINE + b'"' + b"x" * 20_000 + b'"\n' + GOOD_LINE)
    kept = load_requests(path, keep_going=True)
    assert len(kept.requests) == 2
    (skipped,) = kept.skipped
    assert f"{path}, line 2 (record 2): longer than" in str(skipped)


@pytest.mark.parametrize(
    ("after", "line", "problem"),
    [
        ("]", None, ""),
        ("", 3, "the list ends without its ]"),
        ("\n{}", 4, "expected , or ]"),
        (",\n]", 4, "not valid JSON"),
        (",\n{broken}]", 4, "not valid JSON"),
        ("]\n\nmore", 5, "expected the end of the file"),
        (',\n{"subject": "\xff', 4, "not UTF-8"),
        (',\n{"subject":\n\n "unclosed', 6, "Unterminated string"),
        (',\n"\x00"]', 4, "Invalid control character"),
    ],
)
def test_a_list_whose_syntax_breaks(tmp_path: Path, after: str, line: int | None, problem: str) -> None:
    """The records before the break are good, and the break's line is named."""
    text = "[\n" + json.dumps(GOOD) + ",\n" + json.dumps(GOOD) + after
    path = _write(tmp_path, "facts.json", text.encode("latin-1"))
    kept = load_requests(path, keep_going=True)
    assert len(kept.requests) == 2
    assert [problem in str(error) for error in kept.skipped] == [True] * (line is not None)
    if line:
        assert f"{path}, line {line} (record 3): " in str(kept.skipped[0])


def test_a_field_given_twice_in_a_list_costs_only_its_record(tmp_path: Path) -> None:
    path = _write(tmp_path, "facts.json", '[{"subject": "a", "subject": "b"},\n' + json.dumps(GOOD) + "]")
    kept = load_requests(path, keep_going=True)
    assert len(kept.requests) == 1
    assert "line 1 (record 1): subject: given twice" in str(kept.skipped[0])


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (b"France,{} is\n", "2 cells, the header 4 columns"),
        (b"France,{} is,Rome,a,b\n", "5 cells, the header 4 columns"),
        (b",{} is,Rome,\n", "subject is empty"),
        (b"\xff,{} is,Rome,\n", "not UTF-8: byte 0xff at column 1"),
        (b"Fr\0ance,{} is,Rome,\n", "NUL byte"),
        (b'France,{} is,"Rome"x,\n', "not valid CSV"),
        (b'France,{} is,Rome,"[""a"", "\n', "paraphrases: not valid JSON"),
        (b"France,{} is," + b"x" * 200_000 + b",\n", "field larger"),
    ],
)
def test_a_bad_row_of_a_csv(tmp_path: Path, row: bytes, problem: str) -> None:
    good = b'"France\nor so",{} is,Rome,\n'
    path = _write(tmp_path, "facts.csv", b"subject,prompt,target_new,paraphrases\n" + good + row + good)
    assert f"{path}, line 4 (record 2): " in _error(path)
    assert problem in _error(path)
    assert len(load_requests(path, keep_going=True).requests) == 2


def test_a_quote_that_never_closes_names_the_row_it_began_in(tmp_path: Path) -> None:
    path = _write(
        tmp_path, "facts.csv", 'subject,prompt,target_new\nFrance,{} is,Rome\nPeru,{} is,"Oslo\nx,{},y\n'
    )
    assert "line 3 (record 2): not valid CSV" in _error(path)
    assert len(load_requests(path, keep_going=True).requests) == 1


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("subject,target_new", "prompt: no such column in the header"),
        ("subject,prompt,target_new,target_knew", "target_knew: no such field"),
        ("subject,prompt,target_new,subject", "subject: two columns of that name"),
        ("subject prompt target_new", "subject prompt target_new: no such field"),
    ],
)
def test_a_bad_header_of_a_csv(tmp_path: Path, header: str, problem: str) -> None:
    path = _write(tmp_path, "facts.csv", header + "\nFrance,x,y\n")
    assert f"{path}, line 1 (record 1): {problem}" in _error(path)


@pytest.mark.parametrize("keep_going", [False, True])
@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf", b"[]", b"[ \n ]"])
@pytest.mark.parametrize("name", ["facts.jsonl", "facts.json", "facts.unknown"])
def test_an_empty_file_says_so(tmp_path: Path, name: str, content: bytes, keep_going: bool) -> None:
    path = _write(tmp_path, name, content)
    with pytest.raises(BadRecordError, match="holds no records"):
        load_requests(path, keep_going=keep_going)


def test_an_unknown_format_asks_for_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot tell the format") as caught:
        load_requests(_write(tmp_path, "facts.dat", "a binary thing"))
    assert "--format" in caught.value.hint


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        load_requests(tmp_path / "missing.jsonl")
    with pytest.raises(UsageError, match="Is a directory"):
        load_requests(tmp_path)


@given(st.binary(max_size=300), st.sampled_from(["facts.json", "facts.jsonl", "facts.csv"]))
def test_no_bytes_at_all_bring_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    path = _write(tmp_path_factory.mktemp("facts"), name, content)
    with suppress(UsageError):  # nothing else is let through
        load_requests(path, keep_going=True)


@given(st.integers(0, 400), st.binary(min_size=1, max_size=3))
def test_damage_to_a_good_list_is_an_error_or_other_text(
    tmp_path_factory: pytest.TempPathFactory, position: int, damage: bytes
) -> None:
    text = json.dumps([FULL, GOOD, FULL], ensure_ascii=False).encode()
    broken = text[:position] + damage + text[position + len(damage) :]
    path = _write(tmp_path_factory.mktemp("facts"), "facts.json", broken)
    kept = load_requests(path, format="json", keep_going=True)
    assert len(kept.requests) + len(kept.skipped) <= 3
