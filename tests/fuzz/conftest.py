from hypothesis import settings

# `pytest tests/fuzz --hypothesis-profile=long`: for half an hour, and other inputs at every run.
settings.register_profile("long", max_examples=2500, deadline=None)
