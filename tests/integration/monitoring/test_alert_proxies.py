"""A message goes through the proxy of the environment, or through none when the file says so."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from pipeline.monitoring.alerts.channels import choose_proxies, send
from pipeline.monitoring.alerts.messages import Message
from tests.integration.monitoring.receivers import receiving

MESSAGE = Message(title="t", body="b", severity="warning")


@pytest.mark.parametrize(("proxies", "reached"), [("environment", [1, 0]), ("off", [0, 1])])
def test_the_file_decides_about_proxies(monkeypatch: pytest.MonkeyPatch, proxies: str, reached: list[int]) -> None:
    with receiving(2) as (proxy, channel):
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, "none.example.org")
        choose_proxies(proxies)

        send(SecretStr(channel.url), MESSAGE)

        assert [len(proxy.messages), len(channel.messages)] == reached
