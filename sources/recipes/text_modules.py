"""The text encoders: strings [n] to float32 [n, d], each with its tokenizer inside the graph.

A recipe returns the arguments (dict) for helpers.saved_model.save.
"""

import io
import json

import numpy as np
import sentencepiece
import tensorflow as tf
import tensorflow_text
from sentencepiece import sentencepiece_model_pb2

from sources import fetch
from sources.readers import tfjs_graph, weights

MINILM_TOKENS = 256  # its authors' longest text, the two marks at its ends included
BERT_INPUTS = ("input_word_ids", "input_mask", "input_type_ids")
WINDOWS = ((2, 0), (3, 1), (5, 2))  # how many word pieces a convolution sees, and how many of them come before


def text_encoder(origins: list[dict]) -> dict:
    """Return Google's universal-sentence-encoder-lite (English) as a module."""
    origin, archive = fetch.fetch_any(origins)
    with fetch.unpacked(archive, origin["file"]) as found:
        run, variables = tfjs_graph.load(found)
        vocabulary = json.loads((found / "vocab.json").read_text())
    tokenizer = tensorflow_text.SentencepieceTokenizer(model=_tokenizer_model(vocabulary), out_type=tf.int32)

    def call(inputs):
        tokens = tokenizer.tokenize(inputs).to_sparse()
        feeds = {"indices": tokens.indices, "values": tf.cast(tokens.values, tf.int64)}
        return tf.ensure_shape(run(feeds, "module_apply_default/Encoder_en/hidden_layers/l2_normalize"), [None, 512])

    own = list(variables.values())
    return {"call": call, "variables": own, "trainable": own, "keep": [tokenizer]}


def _tokenizer_model(vocabulary):
    """Return a serialised SentencePiece model (bytes) of the carrier's [piece, score] pairs.

    The carrier has no such model. Its text normalisation is SentencePiece's own NFKC table, which a throw-away model
    brings; its vocabulary then replaces the throw-away's.
    """
    scratch = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b c d e f g h a b c d"] * 50),
        model_writer=scratch,
        vocab_size=14,
        model_type="unigram",
        normalization_rule_name="nfkc",
        hard_vocab_limit=False,
        minloglevel=2,
    )
    model = sentencepiece_model_pb2.ModelProto.FromString(scratch.getvalue())
    del model.pieces[:]
    kind = sentencepiece_model_pb2.ModelProto.SentencePiece
    scores = [score for _, score in vocabulary]
    seen = set()
    for number, (piece, score) in enumerate(vocabulary):
        if score is None:  # pieces with a colon lost their score; the list is sorted by it, so the neighbours tell
            before = next(s for s in reversed(scores[:number]) if s is not None)
            after = next(s for s in scores[number:] if s is not None)
            score = (before + after) / 2
        if piece in seen:
            piece = f"\x01{number}"  # one piece is there twice, which SentencePiece refuses
        seen.add(piece)
        model.pieces.add(
            piece=piece if number else "<unk>",
            score=score,
            type=kind.UNKNOWN if number == 0 else kind.CONTROL if number < 6 else kind.NORMAL,
        )
    model.trainer_spec.vocab_size = len(vocabulary)
    model.trainer_spec.unk_id, model.trainer_spec.bos_id, model.trainer_spec.eos_id = 0, 1, 2
    model.trainer_spec.pad_id = -1
    model.normalizer_spec.add_dummy_prefix = True
    model.normalizer_spec.remove_extra_whitespaces = False
    model.normalizer_spec.escape_whitespaces = True
    return model.SerializeToString()


def sentence_encoder(origins: list[dict]) -> dict:
    """Return all-MiniLM-L6-v2, a small language model's encoder: English texts to float32 [n, 384] of length one.

    The signature encode is the encoder without its tokenizer: it takes input_word_ids, input_mask and input_type_ids,
    int32 [n, tokens] each. The word pieces are in assets.extra/vocab.txt.
    """
    origin, archive = fetch.fetch_any(origins)
    with fetch.unpacked(archive, origin["file"]) as found:
        arrays = weights.from_safetensors(found / "model.safetensors")
        words = (found / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
    weight = {}
    for name, array in arrays.items():
        if not name.startswith("pooler") and array.dtype == np.float32:  # a mean needs neither it nor position_ids
            transposed = array.ndim == 2 and "embeddings" not in name
            weight[name] = tf.Variable(array.T if transposed else array, name=name)
    tokenizer = tensorflow_text.FastBertTokenizer(words, token_out_type=tf.int32, lower_case_nfd_strip_accents=True)
    start, end = words.index("[CLS]"), words.index("[SEP]")

    def call(inputs):
        tokens = tokenizer.tokenize(inputs)[:, : MINILM_TOKENS - 2]
        tokens, segments = tensorflow_text.combine_segments([tokens], start, end)
        ids = tokens.to_tensor(0)
        mask = tf.sequence_mask(tokens.row_lengths(), tf.shape(ids)[1], tf.int32)
        return _bert(weight, ids, mask, segments.to_tensor(0))

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32, name) for name in BERT_INPUTS])
    def encode(*inputs):
        return {"default": _bert(weight, *inputs)}

    own = list(weight.values())
    return {
        "call": call,
        "variables": own,
        "trainable": own,
        "signatures": {"encode": encode},
        "keep": [tokenizer],
        "extras": {"vocab.txt": "\n".join(words)},
    }


def _bert(weight, ids, mask, segments, blocks=6, heads=12):
    """BERT's encoder (Devlin et al. 2018, arXiv:1810.04805), then the mean of the token vectors, of length one.

    Its weights have the names that the published file gives them. All but attention sees the texts' tokens one after
    the other, [tokens, width], so that no time goes into what fills up shorter texts.
    """
    there, shape = mask > 0, tf.unstack(tf.shape(mask))
    places = tf.where(there)  # [tokens, 2], which text and where in it
    ones = tf.cast(there, tf.int32)
    rows = tf.reshape(tf.cumsum(tf.reshape(ones, [-1])), shape) * ones  # the way back: tokens from 1, 0 for none

    def embed(numbers, name):
        return tf.gather(weight[f"embeddings.{name}_embeddings.weight"], numbers)

    def dense(x, name):
        return tf.nn.bias_add(tf.matmul(x, weight[f"{name}.weight"]), weight[f"{name}.bias"])

    def norm(x, name):
        mean, variance = tf.nn.moments(x, -1, keepdims=True)
        scaled = (x - mean) * tf.math.rsqrt(variance + 1e-12)
        return scaled * weight[f"{name}.LayerNorm.weight"] + weight[f"{name}.LayerNorm.bias"]

    def by_head(x):  # [texts, heads, length, width / heads]
        with_none = tf.reshape(tf.pad(x, [[1, 0], [0, 0]]), [-1, heads, x.shape[-1] // heads])
        return tf.transpose(tf.gather(with_none, rows), [0, 2, 1, 3])

    x = embed(tf.gather_nd(ids, places), "word") + embed(places[:, 1], "position")
    x = norm(x + embed(tf.gather_nd(segments, places), "token_type"), "embeddings")
    unread = tf.where(there, 0.0, -1e9)[:, tf.newaxis, tf.newaxis]
    for number in range(blocks):
        block = f"encoder.layer.{number}"
        query, key, value = (by_head(dense(x, f"{block}.attention.self.{name}")) for name in ("query", "key", "value"))
        scores = tf.matmul(query, key, transpose_b=True) * query.shape[-1] ** -0.5
        read = tf.transpose(tf.matmul(tf.nn.softmax(scores + unread), value), [0, 2, 1, 3])
        read = tf.gather_nd(tf.reshape(read, [*shape, x.shape[-1]]), places)
        x = norm(x + dense(read, f"{block}.attention.output.dense"), f"{block}.attention.output")
        hidden = dense(x, f"{block}.intermediate.dense")
        hidden = hidden * 0.5 * (1 + tf.math.erf(hidden * 0.5**0.5))  # GELU; tf.nn.gelu's erfc takes twice as long
        x = norm(x + dense(hidden, f"{block}.output.dense"), f"{block}.output")
    total = tf.math.unsorted_segment_sum(x, places[:, 0], shape[0])
    return tf.math.l2_normalize(total, -1)  # scaled to length one, sum and mean are the same


def text_encoder_multilingual(origins: list[dict]) -> dict:
    """Return Google's universal-sentence-encoder-multilingual: texts in 16 languages to float32 [n, 512] of length one.

    Its carrier has rounded the word table to bytes. The table stays so and is frozen; what lies above it is trainable.
    """
    origin, archive = fetch.fetch_any(origins)
    with fetch.unpacked(archive, origin["file"]) as found:
        with np.load(found / "weights.npz", allow_pickle=False) as file:
            arrays = dict(file)
        tokenizer = tensorflow_text.SentencepieceTokenizer(
            model=(found / "sp.model").read_bytes(), out_type=tf.int32, add_bos=True, add_eos=True
        )
    parts = sum(name[0] == "q" for name in arrays)  # the table in parts: each has every 17th row and a scale of its own
    rows = np.stack([arrays.pop(f"q{part + 1}") for part in range(parts)], axis=1)
    epsilon, scale, lowest, _ = (arrays.pop(name) for name in ("eps", "scale", "lo", "bits"))
    table = tf.Variable(rows.reshape(-1, rows.shape[-1]), trainable=False, name="words")
    weight = {name: tf.Variable(array.astype(np.float32), name=name) for name, array in arrays.items()}

    def call(inputs):
        tokens = tokenizer.tokenize(inputs)
        ids = tokens.to_tensor(0)
        there = tf.sequence_mask(tokens.row_lengths(), tf.shape(ids)[1], tf.float32)[..., None]
        words = tf.cast(tf.gather(table, ids), tf.float32) * tf.gather(scale, ids % parts)[..., None]
        words += tf.gather(lowest, ids % parts)[..., None]
        return tf.ensure_shape(_use_multilingual(weight, words, there, float(epsilon)), [None, 512])

    own = list(weight.values())
    return {"call": call, "variables": [table, *own], "trainable": own, "keep": [tokenizer]}


def _use_multilingual(weight, words, there, epsilon):
    """Convolutions over word vectors, their mean, and dense layers (Yang et al. 2019, arXiv:1907.04307)."""

    def norm(x, gain, bias):
        mean, variance = tf.nn.moments(x, -1, keepdims=True)
        return (x - mean) * tf.math.rsqrt(variance + epsilon) * gain + bias

    def of_each_window(name):
        return tf.concat([weight[f"{name}{size}"] for size, _ in WINDOWS], -1)

    narrow = tf.tensordot(words, of_each_window("proj"), 1) + of_each_window("proj_b")  # one flat product
    narrow = norm(narrow, of_each_window("ln_g"), of_each_window("ln_b"))
    seen = [words]
    for (size, before), x in zip(WINDOWS, tf.split(narrow, len(WINDOWS), -1), strict=True):
        for step in (1, 2):
            around = tf.pad(x * there, [[0, 0], [before, size - 1 - before], [0, 0]])
            kernel = tf.reshape(weight[f"w{step}_{size}"], [size, x.shape[-1], x.shape[-1]])
            x += tf.nn.relu(tf.nn.conv1d(around, kernel, 1, "VALID") + weight[f"b{step}_{size}"])
        seen.append(x)
    x = norm(tf.concat(seen, -1), weight["ln_g"], weight["ln_b"])
    length = tf.reduce_sum(there, 1)
    x = (tf.matmul(tf.reduce_sum(x * there, 1), weight["cnn_W"]) + length * weight["cnn_b"]) * tf.math.rsqrt(length)
    first = tf.nn.relu(tf.matmul(x, weight["d0"]))
    second = tf.nn.relu(tf.matmul(x, weight["p1"]) + tf.matmul(first, weight["d1"]))
    third = tf.nn.relu(tf.matmul(second, weight["d2"]))
    return tf.math.l2_normalize(tf.tanh(tf.matmul(second, weight["p3"]) + tf.matmul(third, weight["d3"])), -1)
