"""The search for secrets before anything is sent: found in every form and place, named, never shown."""

import base64
import html
import json
import random
from pathlib import Path
from urllib.parse import quote, quote_plus

import markupsafe
import pytest
import yaml

from domain_tokens.publishing import secrets
from domain_tokens.publishing.cards.markup import prose
from domain_tokens.publishing.secrets import Secret, check_no_secret, known_secrets
from domain_tokens.recipe import RecipeError

VALUE = 'q7/mZt2Lx=Vb9RkWc4"NsJd8Yp'  # signs that JSON and an address write in another way
ENVIRONMENT = {"MY_SERVICE_API_KEY": VALUE}


@pytest.fixture
def known() -> list[Secret]:
    return [one for one in known_secrets(ENVIRONMENT) if one.name == "MY_SERVICE_API_KEY"]


@pytest.mark.parametrize(
    "content",
    [
        VALUE.encode(),
        VALUE.encode("utf-16"),
        json.dumps({"key": VALUE}).encode(),
        b"https://x?key=q7%2FmZt2Lx%3DVb9RkWc4%22NsJd8Yp",
        *(base64.b64encode(b"user:"[:length] + VALUE.encode() + b"@host") for length in range(3, 6)),
    ],
)
@pytest.mark.parametrize("kind", ["bytes", "file"])
def test_a_value_of_the_environment_is_found(content: bytes, kind: str, known: list[Secret], tmp_path: Path) -> None:
    noise = random.Random(0).randbytes(100_000)
    whole = noise + content + noise
    file = tmp_path / "model.safetensors"
    file.write_bytes(whole)
    with pytest.raises(RecipeError) as error:
        check_no_secret("model.safetensors", file if kind == "file" else whole, known)
    assert "model.safetensors: holds the value of MY_SERVICE_API_KEY, so nothing was sent" in str(error.value)
    assert VALUE not in str(error.value) + repr(known)
    check_no_secret("model.safetensors", noise, known)


def test_a_secret_across_two_pieces_is_found(known: list[Secret], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_PIECE", 10_000)
    for start in range(9970, 10_010):
        with pytest.raises(RecipeError, match="MY_SERVICE_API_KEY"):
            check_no_secret("f", b"." * start + VALUE.encode() + b"." * 3000, known)
    check_no_secret("f", b"." * 50_000, known)
    lengths = [len(piece) for piece in secrets._pieces(bytes(100_000))]
    assert len(lengths) == 10
    assert max(lengths) < 15_000  # a large file is never whole in memory


def test_what_is_compared_is_long_enough_that_weights_do_not_hold_it() -> None:
    (found,) = (one for one in known_secrets({"A_KEY": VALUE[:20]}) if one.name == "A_KEY")
    assert len(found.spellings) > 10
    assert min(map(len, found.spellings)) >= 10


OTHERS = "Zoë's <key> & *p@ss* //w_: 50%"


@pytest.mark.parametrize(
    ("value", "content"),
    [
        (OTHERS, html.escape(OTHERS).encode()),
        (OTHERS, str(markupsafe.escape(OTHERS)).encode()),
        (OTHERS, prose(f"see {OTHERS}.").encode()),
        (OTHERS, yaml.safe_dump({"key": OTHERS}).encode()),
        (OTHERS, yaml.safe_dump({"key": OTHERS}, allow_unicode=True).encode()),
        (OTHERS, yaml.safe_dump({"key": f"{'long ' * 12}{OTHERS}"}, allow_unicode=True).encode()),
        (OTHERS, json.dumps(OTHERS, ensure_ascii=False).encode()),
        (OTHERS, OTHERS.encode("utf-16-be")),
        (OTHERS, b"key=" + quote(OTHERS).lower().replace("zo", "Zo").encode()),
        (OTHERS, b"key=" + quote_plus(OTHERS).encode()),
        (VALUE, VALUE.encode("utf-16-be")),
        (VALUE, b"/" + quote(VALUE).encode()),
        (VALUE, quote(VALUE, safe="").replace("%2F", "%2f").replace("%3D", "%3d").replace("%22", "%22").encode()),
        ("~~~???>>>~~~???>>>~~~", base64.urlsafe_b64encode(b"ab~~~???>>>~~~???>>>~~~cd")),
        (f'"{VALUE}"', VALUE.encode()),
        *((VALUE, base64.encodebytes(b"." * length + VALUE.encode() + b"." * 90)) for length in range(30, 60)),
        (VALUE * 5, base64.encodebytes(b"user:" + VALUE.encode() * 5)),
    ],
)
def test_other_spellings_of_a_value_are_found(value: str, content: bytes) -> None:
    known = known_secrets({"MY_SERVICE_API_KEY": value})
    noise = random.Random(0).randbytes(2000)
    check_no_secret("a.json", noise, known)
    with pytest.raises(RecipeError, match="the value of MY_SERVICE_API_KEY"):
        check_no_secret("a.json", noise + content + noise, known)


@pytest.mark.parametrize(
    "shape",
    [
        "hf_" + "aB3" * 11 + "x",
        "sk-proj-" + "aB3" * 9,
        "ghp_" + "aB3" * 12,
        "github_pat_" + "aB3_" * 11,
        "glpat-" + "aB3-" * 6,
        "AKIA" + "AB34" * 4,
        "AIza" + "aB3_x" * 7,
        "xoxb-" + "12345-" * 5,
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----",
        "hf_oauth_" + "aB3." * 9,
        "sk_live_" + "aB3" * 8,
        "npm_" + "aB3" * 12,
        "ASIA" + "AB34" * 4,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0." + "aB3-_" * 8,
        "https://me:correct-horse@example.org/x",
        json.dumps("postgres://me:correct-horse@example.org/x").replace("/", "\\/"),
    ],
)
def test_the_shape_of_a_key_is_found(shape: str) -> None:
    with pytest.raises(RecipeError) as error:
        check_no_secret("log.json", f"token={shape}\n".encode(), [])
    assert shape not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "hf_hub_download",
        "task-based-on-20-long-sentences-of-words",
        "sk-learn",
        "BEGIN PUBLIC KEY",
        "xoxb",
        "AKIA",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0",
        "ASIAN COUNTRIES OF 1990",
        "https://example.org/a:b@c",
        "see https://github.com/me/x.git@main:3",
        "https://${USER}:${TOKEN}@example.org",
        "postgres://me:<password>@host/database",
    ],
)
def test_words_that_only_begin_like_a_key(text: str) -> None:
    check_no_secret("card", f"{'of words ' * 9}{text} and so on".encode(), [])


def test_which_variables_hold_secrets(tmp_path: Path) -> None:
    environment = {
        "WANDB_API_KEY": "c0ffee5eed0d",
        "aws_secret_access_key": "aB3aB3aB3",
        "DB_PASSWORD": "correct-horse",
        "SSH_KEY": str(tmp_path),  # where one lies
        "EMPTY_TOKEN": "",
        "LOCAL_API_KEY": "disabled",
        "TOKENIZERS_PARALLELISM": "false-false",
        "PATH": "/usr/bin:/bin",
    }
    found = {one.name for one in known_secrets(environment)}
    assert found - {"the saved token of the Hub"} == {"WANDB_API_KEY", "aws_secret_access_key", "DB_PASSWORD"}


def test_the_token_of_the_hub_counts_wherever_it_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_saved")
    (found,) = known_secrets({})
    assert found.name == "the saved token of the Hub"
    with pytest.raises(RecipeError, match="the saved token of the Hub"):
        check_no_secret("f", b"...hf_saved...", [found])


KEY = "hf_" + "AbCdEfGhIj" * 4


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"text": f"my key:\n{KEY}"}),
        json.dumps({"text": f"é{KEY}"}),
        f"https://x?key%3D{KEY}",
        f"key={KEY}",
        KEY,
    ],
)
def test_the_shape_of_a_key_is_found_behind_an_escape(text: str) -> None:
    with pytest.raises(RecipeError, match="a token of the Hugging Face Hub"):
        check_no_secret("answers.json", text.encode(), [])
    check_no_secret("answers.json", text.replace(KEY, f"x{KEY}" if text == KEY else "hf_short").encode(), [])


@pytest.mark.parametrize(
    ("name", "value", "is_secret"),
    [
        ("HFTOKEN", VALUE, True), ("HF_TOKEN_2", VALUE, True), ("GITHUB_PAT", VALUE, True),
        ("PGPASSWORD", VALUE, True), ("MYSQL_PWD", VALUE, True), ("MY_SECRET_VALUE", VALUE, True),
        ("SSH_PASSPHRASE", VALUE, True),
        ("DATABASE_URL", f"postgres://me:{VALUE.replace('/', '-')}@host/db", True),
        ("TOKENIZERS_PARALLELISM", "no-such-value-1", False), ("DOMAIN_TOKENS_DATA", "/no/such/folder1", False),
        ("HOME_URL", "https://example.org/a:b", False),
    ],
)  # fmt: skip
def test_variables_that_hold_secrets(name: str, value: str, is_secret: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_saved_tokens", list)
    found = known_secrets({name: value})
    assert [one.name for one in found] == [name] * is_secret
    if is_secret:
        with pytest.raises(RecipeError, match=name):
            check_no_secret("a.json", f"x {VALUE.replace('/', '-') if 'URL' in name else VALUE} y".encode(), found)


def test_saved_tokens_are_looked_for_beside_the_one_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    (tmp_path / "token").write_text("hf_saved_one_123\n")
    (tmp_path / "stored").write_text("[work]\nhf_token = hf_stored_one_45%6\n")
    monkeypatch.setenv("HF_TOKEN", "hf_in_use_789012")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_STORED_TOKENS_PATH", str(tmp_path / "stored"))
    for token in ("hf_in_use_789012", "hf_saved_one_123", "hf_stored_one_45%6"):
        with pytest.raises(RecipeError, match="the saved token of the Hub"):
            check_no_secret("a.json", token.encode(), known_secrets({}))
