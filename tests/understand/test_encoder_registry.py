"""Encoders by name. Nets are tiny and random, made here with the libraries' own classes."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from openai_server import DIM, openai_server
from segue.config import Understanding
from segue.core.errors import BadPackage, BadSettings, MissingExtra, NotFound, UnreadableMedia
from segue.datasets.fetch import Unavailable
from segue.understand.encoders import registry
from segue.understand.encoders.clip import JointTexts
from segue.understand.encoders.naming import NamedPictures
from segue.understand.encoders.registry import make
from segue.understand.remote.endpoint import NoAnswer
from segue.understanding import Chosen, encoders_of, plan_of

WORDS = "[PAD] [UNK] [CLS] [SEP] a red blue photo of cat dog on the sofa stocks fell".split()  # noqa: SIM905
TEXTS = ["a cat on the sofa", "stocks fell", "the dog", ""]
PICTURES = [Image.new("RGB", (60, 40), colour) for colour in ("red", "blue", "white")]


def tokenizer(most):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors  # noqa: PLC0415
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415

    words = Tokenizer(models.WordLevel({w: n for n, w in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", model_max_length=most,
    )  # fmt: skip


SMALL = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def text_model(tmp_path_factory):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(7)
    folder = tmp_path_factory.mktemp("models") / "tiny-bert"
    config = transformers.BertConfig(vocab_size=len(WORDS), max_position_embeddings=64, **SMALL)
    transformers.BertModel(config).save_pretrained(folder)
    tokenizer(64).save_pretrained(folder)
    return folder


def joint_model(folder, kind):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(7)
    text = SMALL | {
        "vocab_size": len(WORDS), "max_position_embeddings": 16, "eos_token_id": 3,
        "bos_token_id": 2, "pad_token_id": 0, "projection_size": 16,
    }  # fmt: skip
    vision = SMALL | {"image_size": 32, "patch_size": 8}
    if kind == "clip":
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=12)
        from transformers.models.clip.image_processing_pil_clip import (  # noqa: PLC0415
            CLIPImageProcessorPil as Processor,
        )

        sizes = {
            "size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}
        }  # fmt: skip
    else:
        config = transformers.SiglipConfig(text_config=text, vision_config=vision)
        from transformers.models.siglip.image_processing_pil_siglip import (  # noqa: PLC0415
            SiglipImageProcessorPil as Processor,
        )

        sizes = {"size": {"height": 32, "width": 32}}
    model = transformers.AutoModel.from_config(config)
    with torch.no_grad():
        model.logit_scale.fill_(2.0)
        if kind == "siglip":
            model.logit_bias.fill_(-1.5)
    model.save_pretrained(folder)
    tokenizer(16).save_pretrained(folder)
    Processor(**sizes).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def clip_model(tmp_path_factory):
    return joint_model(tmp_path_factory.mktemp("models") / "tiny-clip", "clip")


@pytest.fixture(scope="module")
def siglip_model(tmp_path_factory):
    return joint_model(tmp_path_factory.mktemp("models") / "tiny-siglip", "siglip")


def is_unit(rows, n, dim):
    assert rows.shape == (n, dim)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    return True


@pytest.mark.parametrize("name", registry.ENCODERS)
def test_every_registered_encoder_resolves(name):
    encoder = make(name)
    assert encoder.name
    assert encoder.dim > 0
    assert hasattr(encoder, "encode")


@pytest.mark.parametrize("scheme", registry.SCHEMES)
def test_every_scheme_resolves_or_names_its_extra(scheme):
    assert scheme in registry.FORMS
    try:
        assert hasattr(registry.kind_of(f"{scheme}:x"), "encode")
    except MissingExtra as error:
        assert "pip install 'segue[" in str(error)  # noqa: PT017


def test_the_default_is_a_local_package():
    assert make().name == "use-multilingual-3@0.2.1"


@pytest.mark.parametrize(
    ("name", "near"),
    [("use-multilingal", "use-multilingual"), ("yamnett", "yamnet"), ("opencllip:x", "open_clip")],
)
def test_an_unknown_name_lists_the_nearest(name, near):
    with pytest.raises(NotFound, match=f"did you mean .*{near}"):
        make(name)
    with pytest.raises(NotFound, match="known: use-multilingual"):
        make("hf:")


def test_a_missing_library_names_its_extra(monkeypatch):
    monkeypatch.setattr(registry, "find_spec", lambda _module: None)
    with pytest.raises(MissingExtra, match=r"pip install 'segue\[deep\]'"):
        make("hf:some/model")
    with pytest.raises(MissingExtra, match=r"pip install 'segue\[deep,encoders\]'"):
        make("st:some/model")
    with pytest.raises(MissingExtra, match=r"pip install 'segue\[deep,open-clip\]'"):
        make("open_clip:ViT-B-32/tag")


def test_hf_pools_the_mean_over_the_tokens(text_model):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    encoder = make(f"hf:{text_model}")
    rows = encoder.encode(TEXTS)
    assert is_unit(rows, 4, 16)
    # by hand, one text at a time, so without any padding
    net = transformers.BertModel.from_pretrained(text_model).eval()
    for text, row in zip(TEXTS, rows, strict=True):
        tokens = tokenizer(64)([text], return_tensors="pt")
        with torch.inference_mode():
            mean = net(**tokens).last_hidden_state[0].mean(dim=0).numpy()
        np.testing.assert_allclose(row, mean / np.linalg.norm(mean), atol=1e-5)
    assert encoder.encode([]).shape == (0, 16)


def test_hf_cuts_long_texts_and_knows_prefixes(text_model):
    plain, prefixed = make(f"hf:{text_model}"), make(f"hf:{text_model}", prefix="the dog ")
    assert is_unit(make(f"hf:{text_model}", max_tokens=32).encode(["cat " * 5_000]), 1, 16)
    np.testing.assert_allclose(
        prefixed.encode(["on the sofa"]), plain.encode(["the dog on the sofa"]), atol=1e-6
    )
    assert prefixed.name != plain.name


def test_the_name_changes_with_the_weights(text_model, tmp_path):
    copy = tmp_path / text_model.name
    shutil.copytree(text_model, copy)
    assert make(f"hf:{copy}").name == make(f"hf:{text_model}").name
    assert make(f"hf:{copy}").name.startswith("hf-tiny-bert@")
    (copy / "README.md").write_text("words")
    assert make(f"hf:{copy}").name == make(f"hf:{text_model}").name
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    assert make(f"hf:{copy}").name != make(f"hf:{text_model}").name


def test_pickles_are_refused(text_model, tmp_path):
    torch = pytest.importorskip("torch")
    copy = tmp_path / "pickled"
    shutil.copytree(text_model, copy)
    (copy / "model.safetensors").unlink()
    with pytest.raises(BadPackage, match="no weights"):
        make(f"hf:{copy}").encode(["a"])
    torch.save({}, copy / "pytorch_model.bin")
    with pytest.raises(BadPackage, match="must be safetensors"):
        make(f"hf:{copy}").encode(["a"])


def test_a_damaged_model_is_a_bad_package(text_model, tmp_path):
    copy = tmp_path / "damaged"
    shutil.copytree(text_model, copy)
    (copy / "config.json").write_text('{"model_type": "nonsense"}')
    with pytest.raises(BadPackage, match="cannot load it"):
        make(f"hf:{copy}").encode(["a"])


def test_code_in_a_model_is_not_run(text_model, tmp_path):
    copy = tmp_path / "code"
    shutil.copytree(text_model, copy)
    touched = tmp_path / "touched"
    (copy / "own.py").write_text(f"open({str(touched)!r}, 'w')\nclass Own: pass\n")
    (copy / "config.json").write_text(
        '{"model_type": "own", "auto_map": {"AutoConfig": "own.Own", "AutoModel": "own.Own"}}'
    )
    with pytest.raises(BadPackage):
        make(f"hf:{copy}").encode(["a"])
    assert not touched.exists()


def test_paths_and_ids_that_lead_nowhere(tmp_path, monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    with pytest.raises(NotFound, match="no model folder"):
        _ = make(f"hf:{tmp_path}/absent").name
    with pytest.raises(BadSettings, match="neither a folder nor a hub's id"):
        _ = make("hf:a/b/c d").name
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(Unavailable, match="cannot be had from the hub"):
        _ = make("hf:nobody/nothing").name


def test_a_hubs_snapshot_is_named_by_its_commit(text_model, tmp_path, monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--some--model"
    shutil.copytree(text_model, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub._snapshot_download.constants, "HF_HUB_CACHE", str(tmp_path))
    encoder = make("hf:some/model")
    assert encoder.name == "hf-some/model@0123456789ab"
    assert is_unit(encoder.encode(TEXTS), 4, 16)
    assert make("hf:some/model@main").name == encoder.name


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_pictures_and_words_share_a_space(kind, request):
    folder = request.getfixturevalue(f"{kind}_model")
    encoder = make(f"clip:{folder}")
    dim = {"clip": 12, "siglip": 16}[kind]
    pictures = encoder.encode(PICTURES)
    assert is_unit(pictures, 3, dim)
    texts = JointTexts(encoder)
    assert is_unit(texts.encode(TEXTS[:3]), 3, dim)
    assert texts.dim == encoder.dim == dim
    assert texts.name == f"{encoder.name}.text"
    assert encoder.encode([]).shape == (0, dim)
    # one by one or together is the same
    np.testing.assert_allclose(encoder.encode(PICTURES[1:2])[0], pictures[1], atol=1e-5)
    np.testing.assert_allclose(texts.encode(["the dog"])[0], texts.encode(TEXTS)[2], atol=1e-5)


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_zero_shot_agrees_with_the_library(kind, request):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    folder = request.getfixturevalue(f"{kind}_model")
    prompts = ["a photo of cat", "dog"]
    found = make(f"clip:{folder}").zero_shot(PICTURES, prompts)
    net = transformers.AutoModel.from_pretrained(folder).eval()
    pixels = transformers.AutoImageProcessor.from_pretrained(folder)(PICTURES, return_tensors="pt")
    padding = "max_length" if kind == "siglip" else True
    tokens = tokenizer(16)(prompts, padding=padding, return_tensors="pt")
    wanted = ["input_ids"] if kind == "siglip" else ["input_ids", "attention_mask"]
    with torch.inference_mode():
        logits = net(**pixels, **{key: tokens[key] for key in wanted}).logits_per_image
    right = logits.sigmoid() if kind == "siglip" else logits.softmax(dim=1)
    np.testing.assert_allclose(found, right.numpy(), atol=1e-5)
    assert found.std() > 0.001
    if kind == "clip":
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_a_joint_model_names_what_it_sees(kind, request):
    pytest.importorskip("torch")
    joint = make(f"clip:{request.getfixturevalue(f'{kind}_model')}")
    named = NamedPictures(joint, ("cat", "dog", "the dog"))
    found = named.classify(PICTURES)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    prompts = [f"a photo of a {label}" for label in named.labels]
    asked = joint.zero_shot(PICTURES, prompts)
    assert found.argmax(axis=1).tolist() == asked.argmax(axis=1).tolist()
    assert named.name != make(f"clip:{joint.files.folder}").name  # another cache
    assert len(NamedPictures(joint).labels) == len(set(NamedPictures(joint).labels)) > 1000


def test_settings_let_a_joint_model_see_for_all_attributes(clip_model):
    pytest.importorskip("torch")
    chosen = Understanding(pictures=f"clip:{clip_model}", sound="none", speech="none")
    picture = encoders_of(chosen).picture
    assert isinstance(picture, NamedPictures)
    (attributes,) = (s for s in plan_of(Chosen(chosen)).cheap if s.name == "attributes")
    assert attributes.model_of is picture.joint
    assert attributes.every


def test_clip_refuses_what_is_no_joint_model(text_model):
    with pytest.raises(BadPackage, match="'bert' has no space of pictures and words"):
        make(f"clip:{text_model}").encode(PICTURES)


def test_a_broken_picture_is_unreadable(clip_model, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    with pytest.raises(UnreadableMedia, match=r"broken\.jpg: not a readable picture"):
        make(f"clip:{clip_model}").encode([tmp_path / "broken.jpg"])


def usable(module):
    """Whether a library is there and can be imported (torchvision must match torch's build)."""
    if importlib.util.find_spec(module) is None:
        return False
    try:
        importlib.import_module(module)
    except (ImportError, RuntimeError):
        return False
    return True


@pytest.mark.slow
def test_st_pools_as_its_modules_say(text_model, tmp_path):
    if not usable("sentence_transformers"):
        pytest.skip("needs segue[encoders]")
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415
    from sentence_transformers.sentence_transformer import modules as parts_of  # noqa: PLC0415

    parts = [parts_of.Transformer(str(text_model)), parts_of.Pooling(16, pooling_mode="cls")]
    folder = tmp_path / "tiny-st"
    library = SentenceTransformer(modules=parts, device="cpu")
    library.save(str(folder))
    encoder = make(f"st:{folder}")
    rows = encoder.encode(TEXTS)
    assert is_unit(rows, 4, 16)
    right = library.encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(rows, right, atol=1e-5)
    assert not np.allclose(rows, make(f"hf:{text_model}").encode(TEXTS), atol=1e-2)
    modules = folder / "modules.json"
    modules.write_text(modules.read_text().replace("sentence_transformers.", "os.", 1))
    with pytest.raises(BadPackage, match="not a module of sentence-transformers"):
        make(f"st:{folder}").encode(TEXTS)


OPEN_CLIP = """{
  "embed_dim": 12,
  "vision_cfg": {"image_size": 32, "layers": 1, "width": 16, "patch_size": 8, "head_width": 8},
  "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
}"""


@pytest.mark.slow
def test_open_clip_loads_a_checkpoint(tmp_path):
    if not usable("open_clip"):
        pytest.skip("needs segue[open-clip] with a torchvision that matches torch")
    import open_clip  # noqa: PLC0415
    import torch  # noqa: PLC0415
    from safetensors.torch import save_file  # noqa: PLC0415

    (tmp_path / "tiny-arch.json").write_text(OPEN_CLIP)
    open_clip.add_model_config(tmp_path / "tiny-arch.json")
    torch.manual_seed(7)
    net, _, prepare = open_clip.create_model_and_transforms("tiny-arch")
    weights = tmp_path / "mine.safetensors"
    save_file({key: value.contiguous() for key, value in net.state_dict().items()}, weights)
    encoder = make(f"open_clip:tiny-arch/{weights}")
    with torch.inference_mode():
        right = net.eval().encode_image(torch.stack([prepare(p) for p in PICTURES]), normalize=True)
    np.testing.assert_allclose(encoder.encode(PICTURES), right.numpy(), atol=1e-5)
    assert is_unit(encoder.encode_texts(["a cat", "a dog"]), 2, 12)
    found = encoder.zero_shot(PICTURES, ["a cat", "a dog", "the sea"])
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert encoder.name.startswith("open_clip-tiny-arch-mine@")
    with pytest.raises(NotFound, match="near: tiny-arch"):
        make(f"open_clip:tiny-arc/{weights}").encode(PICTURES)
    with pytest.raises(NotFound, match="no checkpoint 'nope'"):
        make("open_clip:ViT-B-32/nope").encode(PICTURES)
    torch.save({}, tmp_path / "mine.pt")
    with pytest.raises(BadPackage, match=r"must be \.safetensors"):
        make(f"open_clip:tiny-arch/{tmp_path}/mine.pt").encode(PICTURES)


@pytest.fixture
def server():
    with openai_server() as running:
        yield running


def remote(server, **settings):
    quick = {"timeout_s": 20.0, "tries": 1}
    return make(f"remote:{server.url}#bge-m3#r1", **quick | settings)


def test_a_server_encodes_in_order_and_in_batches(server):
    encoder = remote(server)
    rows = encoder.encode([f"cat number{n}" for n in range(70)])
    assert is_unit(rows, 70, DIM)
    assert [len(body["input"]) for body in server.asked].count(32) == 2
    assert server.asked[0]["model"] == "bge-m3"
    np.testing.assert_allclose(encoder.encode(["cat number69"])[0], rows[69], atol=1e-6)
    assert rows[0] @ rows[1] > 0.2  # a word in common
    assert encoder.dim == DIM
    assert encoder.encode([]).shape == (0, DIM)
    assert is_unit(encoder.encode(["", "x" * 100_000]), 2, DIM)
    assert max(len(text) for body in server.asked for text in body["input"]) == 8_000


def test_a_servers_encoder_is_named_by_address_model_and_revision(server):
    names = {
        remote(server).name,
        make(f"remote:{server.url}#bge-m3#r2").name,
        make(f"remote:{server.url}#other#r1").name,
        make("remote:http://127.0.0.1:9/v1#bge-m3#r1").name,
        remote(server, prefix="query: ").name,
    }
    assert len(names) == 5
    assert all(len(name) < 90 for name in names)
    with pytest.raises(BadSettings, match="name the model behind a #"):
        make("remote:http://127.0.0.1:9/v1")


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("too_few", "holds 0 vectors, expected 2"),
        ("not_finite", "without a direction"),
        ("ragged", "no vectors"),
        ("no_choices", "no vectors"),
        ("broken", "status 500"),
        ("huge", "more than 32000000 bytes"),
    ],
)
def test_a_server_that_gives_no_vectors_is_an_error(server, mode, reason):
    server.mode = mode
    with pytest.raises(NoAnswer, match=reason):
        remote(server).encode(["cat", "dog"])


def test_a_missing_server_is_unavailable_not_another_space():
    encoder = make("remote:http://127.0.0.1:9/v1#bge-m3", tries=1)
    with pytest.raises(Unavailable, match="ConnectError"):
        encoder.encode(["cat"])


def test_the_key_is_taken_from_the_environment(server, monkeypatch):
    monkeypatch.setenv("TINY_KEY", "s3cret")
    remote(server, key_variable="TINY_KEY").encode(["cat"])
    assert server.headers_seen[0]["Authorization"] == "Bearer s3cret"
    assert "s3cret" not in repr(replace(remote(server, key_variable="TINY_KEY")._remote.endpoint))
