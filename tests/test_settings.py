"""The environment, read once."""

from pathlib import Path

import pytest

from pais_lite import Settings
from pais_lite.errors import ConfigurationError
from pais_lite.settings import ApiKey


def test_defaults_are_those_of_the_contract() -> None:
    settings = Settings.load({}, env_file=None)
    assert settings.agent_name is None
    assert (settings.agent_host, settings.agent_port) == ("0.0.0.0", 8000)
    assert settings.agent_instructions == "You are a helpful assistant."
    assert (settings.agentic_loop_max_steps, settings.memory_context_limit) == (5, 6)
    assert (settings.memory_max_sessions, settings.memory_max_session_events) == (1000, 500)
    assert (settings.max_request_bytes, settings.max_concurrent_runs) == (10485760, 256)
    assert (settings.run_timeout, settings.sse_keepalive_seconds, settings.shutdown_grace_seconds) == (
        300,
        15,
        25,
    )
    assert settings == Settings()


def test_variables_are_read_and_converted() -> None:
    settings = Settings.load(
        {
            "AGENT_NAME": "greeter",
            "AGENT_PORT": "9000",
            "MEMORY_ENABLED": "No",
            "MEMORY_TYPE": "NULL",
            "RUN_TIMEOUT": "1.5",
            "DEBUG_MOCK_RESPONSES": '["a", {"tool_calls": []}]',
            "AGENT_API_KEYS": "alice:one, two",
            "CORS_ALLOW_ORIGINS": "https://a.example, https://b.example:8443",
            "LOG_LEVEL": "warning",
        },
        env_file=None,
    )
    assert settings.agent_name == "greeter"
    assert settings.agent_port == 9000
    assert not settings.memory_enabled
    assert settings.memory_type == "null"
    assert settings.run_timeout == 1.5
    assert settings.debug_mock_responses == ("a", {"tool_calls": []})
    assert settings.agent_api_keys == (ApiKey("alice", "one"), ApiKey("user", "two"))
    assert settings.cors_allow_origins == ("https://a.example", "https://b.example:8443")
    assert settings.log_level == "WARNING"


def test_an_empty_variable_counts_as_unset() -> None:
    assert Settings.load({"AGENT_PORT": "", "AGENT_NAME": ""}, env_file=None) == Settings()


def test_agent_log_level_wins_over_log_level() -> None:
    assert (
        Settings.load({"LOG_LEVEL": "ERROR", "AGENT_LOG_LEVEL": "DEBUG"}, env_file=None).log_level == "DEBUG"
    )


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("AGENT_PORT", "eighty", "a whole number from 0 to 65535"),
        ("AGENT_PORT", "65536", "a whole number from 0 to 65535"),
        ("AGENT_NAME", "two words", "letters, digits"),
        ("MEMORY_ENABLED", "maybe", "true or false"),
        ("MEMORY_TYPE", "disk", "one of local, redis, null"),
        ("RUN_TIMEOUT", "nan", "a number from 0.1 to 86400"),
        ("RUN_TIMEOUT", "soon", "a number from 0.1 to 86400"),
        ("MODEL_API_URL", "localhost:11434", "a URL that begins with http:// or https://"),
        ("DEBUG_MOCK_RESPONSES", "hello", "a JSON list"),
        ("DEBUG_MOCK_RESPONSES", "[]", "a JSON list"),
        ("DEBUG_MOCK_RESPONSES", "[1]", "a JSON list"),
        ("CORS_ALLOW_ORIGINS", "example.com", "origins such as"),
        ("LOG_LEVEL", "LOUD", "one of DEBUG"),
        ("ON_DISCONNECT", "ignore", "one of cancel, continue"),
    ],
)
def test_a_complaint_names_the_variable_the_value_and_what_was_expected(
    name: str, value: str, expected: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.load({name: value}, env_file=None)
    assert caught.value.message.startswith(f"{name}: {value!r} is not ")
    assert expected in caught.value.message


def test_all_complaints_come_at_once() -> None:
    with pytest.raises(ConfigurationError, match=r"AGENT_PORT.*; RUN_TIMEOUT"):
        Settings.load({"AGENT_PORT": "x", "RUN_TIMEOUT": "y"}, env_file=None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AGENT_API_KEYS", "alice:s3cret,bob:s3cret"),
        ("AGENT_API_KEYS", "a b c:s3cret"),
        ("AGENT_API_KEYS", "alice:s3cret\N{SNOWMAN}"),
        ("MEMORY_REDIS_URL", "http://user:s3cret@host"),
    ],
)
def test_a_complaint_about_a_secret_does_not_show_it(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.load({name: value}, env_file=None)
    assert name in caught.value.message
    assert "s3cret" not in caught.value.message


def test_redis_without_a_url_is_an_error_and_never_a_fallback() -> None:
    with pytest.raises(ConfigurationError, match="MEMORY_REDIS_URL"):
        Settings.load({"MEMORY_TYPE": "redis"}, env_file=None)


def test_the_env_file_is_read_for_what_the_environment_does_not_set(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("# settings\nexport AGENT_NAME=\"from-file\"\nAGENT_PORT=1234\nMODEL_NAME='quoted'\n")
    settings = Settings.load({"AGENT_PORT": "4321"}, env_file=env_file)
    assert (settings.agent_name, settings.agent_port, settings.model_name) == ("from-file", 4321, "quoted")


def test_overrides_win_and_may_be_values_or_texts() -> None:
    settings = Settings.load({"AGENT_PORT": "1"}, env_file=None, agent_port=2, run_timeout="3")
    assert (settings.agent_port, settings.run_timeout) == (2, 3.0)


def test_an_override_that_is_no_setting_is_named() -> None:
    with pytest.raises(ConfigurationError, match="no setting 'agent_prot'"):
        Settings.load({}, env_file=None, agent_prot=1)
