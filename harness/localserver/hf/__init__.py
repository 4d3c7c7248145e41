"""Any Hugging Face causal language model, through transformers and peft (extra `hf`)."""
