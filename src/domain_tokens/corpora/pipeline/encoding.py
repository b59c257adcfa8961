"""The datatrove step that writes token files, using `BulkEncoder`."""

from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from datatrove.data import DocumentsPipeline
from datatrove.pipeline.tokens import DocumentTokenizer
from datatrove.pipeline.tokens.tokenizer import TokenizedFile
from datatrove.utils.batching import batched

from domain_tokens.runs.files import sha256_file
from domain_tokens.tokenization.fast_encoder import BulkEncoder


class BulkDocumentTokenizer(DocumentTokenizer):
    """`DocumentTokenizer` with the same arguments and the same files, byte for byte, faster.

    `tokenizer_name_or_path` is the `tokenizer.json` of a saved tokenizer of the experiment. Loss masks are not
    supported: they need to know where in the text a token comes from.
    """

    def write_unshuffled(self, data: DocumentsPipeline, filename: str) -> TokenizedFile:
        """Write the ids of documents, a batch at a time and without a Python object for each of them."""
        shuffles = bool(self.shuffle_documents or self.shuffle_chunk_size)
        file = TokenizedFile(
            self.local_working_dir if shuffles and self.local_working_dir else self.output_folder,
            filename,
            save_index=self.save_index or shuffles,
            upload_block_size=self.upload_block_size,
            tokenizer_name_or_path=self.tokenizer_name_or_path,
            save_final_metadata=self.save_final_metadata,
            token_size=self.token_size,
        )
        for documents in batched(data, self.batch_size):
            with self.track_time(unit="batch"):
                ids = self.tokenizer.encode([document.text for document in documents])
                file.write_bytes(np.concatenate(ids).astype("<u2").tobytes(), np.cumsum([*map(len, ids)]).tolist())
                for one in ids:
                    self.stat_update("tokens", value=len(one))
        file.close()
        return file

    @cached_property
    def tokenizer(self) -> "_Encoder":
        """The encoder, made in the process that uses it."""
        assert not self.save_loss_metadata, "a loss mask needs offsets, which the bulk encoder does not give"
        file = Path(self.tokenizer_name_or_path)
        return _encoder(file, sha256_file(file), self.eos_token)


@lru_cache(maxsize=1)  # a process has many tasks, and an encoder takes a second to make
def _encoder(file: Path, sha256: str, end_token: str | None) -> "_Encoder":
    return _Encoder(file, end_token)


class _Encoder:
    """The part of the `tokenizers.Tokenizer` interface that `DocumentTokenizer` uses."""

    def __init__(self, file: Path, end_token: str | None) -> None:
        self._encoder = BulkEncoder(file.parent)
        end = [] if end_token is None else [self._encoder.reference.token_to_id(end_token)]
        self._end = np.array(end, dtype=np.uint16)

    def get_vocab_size(self) -> int:
        """Return the length of the tokenizer."""
        return self._encoder.reference.get_vocab_size()

    def encode(self, texts: list[str]) -> list[np.ndarray]:
        """Return the ids of each text, with the end-of-text token behind them."""
        return [np.append(ids, self._end) for ids in self._encoder.encode_batch(texts)]
