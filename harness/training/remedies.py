"""What a person can do about a fine-tuning provider's trouble."""

NO_KEY = "set OPENAI_API_KEY, or api_key_env in the model's table"
ENVIRONMENT = (
    "no connection can be set up: check HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE and SSL_CERT_DIR"
)
NOT_AN_API = "check base_url: it usually ends in /v1"
UNREACHABLE = "is the server running, and base_url and the proxy settings right? run again: a job under way is taken up again"

_BY_STATUS = {
    401: "check the key: OPENAI_API_KEY, or api_key_env in the model's table",
    403: "check the key's project, permissions and region",
    404: "check the job's or model's name, and that base_url ends in /v1",
    429: "run again later, and check the plan and billing",
}


def remedy_of_status(status: int, code: str | None) -> str:
    """What to do about an HTTP error of the fine-tuning routes."""
    # OpenAI has not let new organisations create jobs since May 2026, and ends job creation in January 2027.
    if code == "training_not_available":
        return (
            "OpenAI takes no new fine-tuning jobs from this organisation; judge a model you have with "
            '--candidate, train at another endpoint, or here with backend = "local"'
        )
    if status >= 500:
        return "run again later: a job under way is taken up again"
    return _BY_STATUS.get(status, "check the model and the training settings")


def remedy_of_failure(words: str) -> str:
    """What to do about a failed job, by the provider's own words."""
    if "file" in words or "xample" in words:
        return "mend the file, then run again"
    if "quota" in words or "billing" in words:
        return "check the plan and billing, then run again"
    return "run again to train anew"
