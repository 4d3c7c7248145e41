"""How fine-tunes leave the server: in the folders transformers, PEFT, vLLM and llama.cpp's converter read."""
