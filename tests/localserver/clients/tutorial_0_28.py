# ruff: noqa: T201, SIM115, PTH123 - as people write scripts
"""A script as people wrote them in 2023 for openai 0.28: but for where it is sent, nothing in it knows of this server."""

import sys
import time

import openai

openai.api_base, openai.api_key, path = sys.argv[1:]

file = openai.File.create(file=open(path, "rb"), purpose="fine-tune")

job = openai.FineTuningJob.create(training_file=file.id, model="gpt-3.5-turbo")

print(openai.FineTuningJob.list(limit=10))

while openai.FineTuningJob.retrieve(job.id)["status"] not in ("succeeded", "failed"):
    time.sleep(0.05)

print(openai.FineTuningJob.list_events(id=job.id, limit=10))

job = openai.FineTuningJob.retrieve(job.id)
completion = openai.ChatCompletion.create(
    model=job["fine_tuned_model"],
    messages=[
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "Hello!"},
    ],
)
print(completion.choices[0].message)

another = openai.FineTuningJob.create(training_file=file["id"], model="gpt-3.5-turbo")
print(openai.FineTuningJob.cancel(another.id))

print(openai.Model.delete(job["fine_tuned_model"]))
