"""The environment, read once."""

import dataclasses
from pathlib import Path

import pytest

from pais_lite import Settings
from pais_lite.errors import ConfigurationError
from pais_lite.peers import Peer
from pais_lite.settings import ApiKey
from pais_lite.settings.agents_own import AGENTS_OWN


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
        ("MODEL_API_URL", "http://[host", "a URL that begins with http:// or https://"),
        ("AGENT_PUBLIC_URL", "http://host:65536/x", "a URL that begins with http:// or https://"),
        ("AGENT_SUB_AGENTS", "a:http://[host", "name:url"),
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


def test_other_agents_come_from_either_variable_with_their_keys() -> None:
    settings = Settings.load(
        {
            "AGENT_SUB_AGENTS": "writer:http://writer:8000/, my-clerk:https://clerk.example/p",
            "PEER_AGENTS": "alpha,writer",
            "PEER_AGENT_ALPHA_CARD_URL": "http://alpha:8000",
            "PEER_AGENT_writer_CARD_URL": "http://writer:8000",
            "SUB_AGENT_MY_CLERK_API_KEY": "opensesame",
        },
        env_file=None,
    )
    assert settings.sub_agents == (
        Peer("writer", "http://writer:8000"),
        Peer("my-clerk", "https://clerk.example/p", "opensesame"),
        Peer("alpha", "http://alpha:8000"),
    )
    assert "opensesame" not in repr(settings)


def test_mcp_servers_are_found_by_their_exact_or_their_upper_cased_name() -> None:
    environ = {
        "MCP_SERVERS": "one,two-2",
        "MCP_SERVER_one_URL": "http://1",
        "MCP_SERVER_TWO_2_URL": "http://2/x",
    }
    settings = Settings.load(environ, env_file=None)
    assert settings.mcp_servers == (Peer("one", "http://1"), Peer("two-2", "http://2/x"))


@pytest.mark.parametrize(
    ("environ", "complaint"),
    [
        ({"AGENT_SUB_AGENTS": "writer"}, "AGENT_SUB_AGENTS: 'writer' is not a comma-separated list"),
        ({"AGENT_SUB_AGENTS": "a:http://x,a:http://y"}, "AGENT_SUB_AGENTS: .* each name once"),
        ({"AGENT_SUB_AGENTS": "a b:http://x"}, "AGENT_SUB_AGENTS"),
        ({"PEER_AGENTS": "my-peer"}, "PEER_AGENTS: 'my-peer' needs PEER_AGENT_MY_PEER_CARD_URL"),
        ({"PEER_AGENTS": "a", "PEER_AGENT_A_CARD_URL": "x"}, "PEER_AGENT_A_CARD_URL: 'x' is not a URL"),
        ({"MCP_SERVERS": "a"}, "MCP_SERVERS: 'a' needs MCP_SERVER_A_URL"),
        (
            {"AGENT_SUB_AGENTS": "a:http://x", "PEER_AGENTS": "a", "PEER_AGENT_A_CARD_URL": "http://y"},
            "different URLs for 'a'",
        ),
        (
            {"AGENT_SUB_AGENTS": "a:http://x", "SUB_AGENT_A_API_KEY": "geheim\u00fc"},
            "SUB_AGENT_A_API_KEY: its value is not",
        ),
        ({"DELEGATION_MAX_DEPTH": "0"}, "DELEGATION_MAX_DEPTH: '0'"),
        ({"DISCOVERY_TIMEOUT": "x"}, "DISCOVERY_TIMEOUT: 'x'"),
        ({"DELEGATION_TIMEOUT": "-1"}, "DELEGATION_TIMEOUT: '-1'"),
    ],
)
def test_wrong_peers_are_named_with_what_was_expected(environ: dict[str, str], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        Settings.load(environ, env_file=None)
    assert "geheim" not in str(caught.value)


AGENTS = ("researcher", "my-writer")


def test_an_agent_among_several_has_its_own_variables_in_front_of_those_of_all() -> None:
    environ = {"MODEL_NAME": "small", "MODEL_TIMEOUT": "9", "MY_WRITER__MODEL_NAME": "large"}
    writer, researcher = (
        Settings.load(environ, env_file=None, agent=agent, agents=AGENTS)
        for agent in ("my-writer", "researcher")
    )
    assert (writer.model_name, writer.model_timeout) == ("large", 9.0)
    assert (researcher.model_name, researcher.model_timeout) == ("small", 9.0)


def test_an_agents_own_variable_is_read_from_the_env_file_and_named_in_complaints(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("RESEARCHER__MODEL_TIMEOUT=soon\n")
    with pytest.raises(ConfigurationError, match="RESEARCHER__MODEL_TIMEOUT: 'soon' is not a number"):
        Settings.load({}, env_file=env_file, agent="researcher", agents=AGENTS)


def test_a_peer_of_the_same_process_needs_no_url_and_another_does() -> None:
    environ = {"PEER_AGENTS": "my-writer,clerk", "PEER_AGENT_CLERK_CARD_URL": "http://clerk"}
    settings = Settings.load(environ, env_file=None, agents=AGENTS)
    assert settings.sub_agents == (Peer("my-writer", ""), Peer("clerk", "http://clerk"))
    with pytest.raises(ConfigurationError, match="'clark' needs PEER_AGENT_CLARK_CARD_URL"):
        Settings.load({"PEER_AGENTS": "my-writer,clark"}, env_file=None, agents=AGENTS)
    assert Settings.load({"PEER_AGENTS": "clark"}, env_file=None, agents=None).sub_agents == (
        Peer("clark", ""),
    )


@pytest.mark.parametrize(
    ("environ", "agents", "complaint"),
    [
        (
            {"RESEARCHER__MAX_CONCURRENT_RUNS": "1"},
            AGENTS,
            "RESEARCHER__MAX_CONCURRENT_RUNS: there is one MAX_CONCURRENT_RUNS for all",
        ),
        ({"MY_WRITER__MODEL": "m"}, AGENTS, "MY_WRITER__MODEL: there is no setting MODEL"),
        ({}, ("a-b", "a_b"), "'a-b' and 'a_b' would have the same variables, A_B__"),
    ],
)
def test_what_an_agent_cannot_set_for_itself_is_named(
    environ: dict[str, str], agents: tuple[str, ...], complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        Settings.load(environ, env_file=None, agents=agents)


def test_what_an_agent_can_set_for_itself_are_settings() -> None:
    assert {field.name for field in dataclasses.fields(Settings)} >= AGENTS_OWN
