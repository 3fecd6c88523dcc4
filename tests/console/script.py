"""What the model behind the console does: the user's first word says it."""

from tests.support.endpoint import Cue, ModelCall, chunk

THOUGHT = "They greet me. I shall greet them."
HOSTILE = (
    "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>\n"
    "# <b onclick='window.hacked = 3'>bold</b> [here](javascript:alert(1))\n"
    "- </div></article><style>body { display: none }</style>\n"
    "```html\n<iframe src='https://evil.example/'></iframe>\n```\n"
    "\u202eevil\u202c \u2066isolated, and never closed\n"
    "```" + " " * 50_000 + "!\n"
    "\x1b[31mred\x07 &lt;not an entity&gt; ${1+1} {{1+1}} " + "x" * 20_000 + "\nThe end."
)
WORDS = 5000


class Script:
    """Answers as it is told. `cue` lets go on what waits."""

    def __init__(self) -> None:
        self.cue = Cue()

    async def __call__(self, call: ModelCall) -> None:
        """Answer one request."""
        *earlier, last = call.body["messages"]
        said = last["content"]
        if last["role"] == "tool":
            asked = next(message["content"] for message in reversed(earlier) if message["role"] == "user")
            said = "hold" if "then hold" in asked else "conclude"
        match said.split(" ")[0]:
            case "think":
                await call.start_stream()
                for word in THOUGHT.split(" "):
                    await call.event(chunk({"reasoning_content": f"{word} "}))
                await call.text("Hello.")
                await call.end_stream()
            case "tool":
                await call.call_tool("look_up", {"word": "river", "times": 3})
            case "break":
                await call.call_tool("give_up", {})
            case "hostile":
                await call.start_stream()
                for start in range(0, len(HOSTILE), 700):
                    await call.text(HOSTILE[start : start + 700])
                await call.end_stream()
            case "long":
                await call.start_stream()
                for number in range(WORDS):
                    text = f"word {number}, " if number % 12 else f"word {number}.\n"
                    await call.event(chunk({"content": text}))
                await call.end_stream()
            case "hold":
                await call.start_stream()
                await call.text("One, two, ")
                await self.cue.given()
                await call.text("three.")
                await call.end_stream()
            case "silence":
                await call.closed()
            case "fail":
                await call.respond(418, {"error": {"message": "no tea"}})
            case _:
                await call.complete(f"You said {said}. Well.")
