"""From what is delivered to a webhook to a signal, or to a refusal that is kept."""
