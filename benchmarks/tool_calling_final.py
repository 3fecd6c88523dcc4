"""Suites that were written after those of `benchmarks.tool_calling_heldout` had been seen, and were seen later.

See `benchmarks.tool_calling_dev` for how to read them.
"""

from typing import Literal

from benchmarks.tool_calling_cases import Call, Suite, Talk

__all__ = ["FINAL_SUITES"]


def book_table(restaurant: str, guests: int, time: str | None = None) -> str:
    """Reserve a table at a restaurant.

    Args:
        restaurant: The name of the restaurant.
        guests: For how many people.
        time: When the guests arrive.
    """
    return f"{restaurant} {guests} {time}"


def order_food(dish: str, quantity: int = 1, spicy: bool = False) -> str:
    """Order a dish for delivery."""
    return f"{dish} {quantity} {spicy}"


def rate_restaurant(restaurant: str, stars: int) -> str:
    """Leave a rating for a restaurant, from 1 to 5 stars."""
    return f"{restaurant} {stars}"


DINING = Suite(
    "dining",
    (book_table, order_food, rate_restaurant),
    (
        Call("Book a table for 4 at Golden Dragon", "book_table", restaurant="Golden Dragon", guests=4),
        Call(
            "I'd like to reserve a table at La Piazza for 2 guests",
            "book_table",
            restaurant="La Piazza",
            guests=2,
        ),
        Call("Order two cheeseburgers", "order_food", dish="cheeseburgers", quantity=2),
        Call(
            "Can you order a margherita pizza for me?",
            "order_food",
            dish=("margherita pizza", "a margherita pizza"),
        ),
        Call("Give Sushi Bar 5 stars", "rate_restaurant", restaurant="Sushi Bar", stars=5),
        Talk("Morning!"),
        Talk("What's the difference between a crocodile and an alligator?"),
        Talk("I'm bored."),
    ),
)


def create_branch(name: str, base: str = "main") -> str:
    """Create a git branch.

    Args:
        name: The name of the branch.
        base: The branch to start from.
    """
    return f"{name} {base}"


def run_tests(package: str) -> str:
    """Run the tests of a package."""
    return package


def deploy(service: str, environment: Literal["staging", "production"]) -> str:
    """Deploy a service to an environment."""
    return f"{service} {environment}"


def read_logs(service: str, lines: int = 100) -> str:
    """Read the last log lines of a service."""
    return f"{service} {lines}"


DEVOPS = Suite(
    "devops",
    (create_branch, run_tests, deploy, read_logs),
    (
        Call("Create a branch called fix-login", "create_branch", name="fix-login"),
        Call("Run the tests for the billing package", "run_tests", package=("billing", "billing package")),
        Call("please deploy checkout to production", "deploy", service="checkout", environment="production"),
        Call(
            "Deploy the gateway service on staging",
            "deploy",
            service=("gateway", "gateway service"),
            environment="staging",
        ),
        Call("Show me the logs of the search service", "read_logs", service=("search", "search service")),
        Call("I need the last 50 log lines of payments", "read_logs", service="payments", lines=50),
        Talk("hello hello"),
        Talk("What does HTTP stand for?"),
        Talk("That makes sense, thanks!"),
        Talk("Why do cats purr?"),
    ),
)


def translate(text: str, language: str) -> str:
    """Translate a text into another language."""
    return f"{text} {language}"


def define_word(word: str) -> str:
    """Look up a word in the dictionary."""
    return word


def add_flashcard(front: str, back: str) -> str:
    """Add a flashcard to the study deck."""
    return f"{front} {back}"


STUDY = Suite(
    "study",
    (translate, define_word, add_flashcard),
    (
        Call(
            "Translate 'where is the station' into Italian",
            "translate",
            text="where is the station",
            language="Italian",
        ),
        Call('Translate "thank you" to Japanese', "translate", text="thank you", language="Japanese"),
        Call("Look up the word serendipity", "define_word", word="serendipity"),
        Call("Look up 'ephemeral' in the dictionary", "define_word", word="ephemeral"),
        Call("Add a flashcard with front 'dog' and back 'Hund'", "add_flashcard", front="dog", back="Hund"),
        Talk("How was your weekend?"),
        Talk("Can you motivate me?"),
        Talk("Who discovered penicillin?"),
    ),
)


def find_parking(street: str, hours: int = 1) -> str:
    """Find a parking spot near a street."""
    return f"{street} {hours}"


def call_taxi(pickup: str, destination: str) -> str:
    """Call a taxi.

    Args:
        pickup: Where the passenger waits.
        destination: Where the passenger wants to go.
    """
    return f"{pickup} {destination}"


def fuel_price(fuel: Literal["diesel", "petrol", "electric"]) -> str:
    """Tell the price of fuel at the nearest station."""
    return fuel


def report_accident(license_plate: str) -> str:
    """Report a car accident to the insurance."""
    return license_plate


DRIVING = Suite(
    "driving",
    (find_parking, call_taxi, fuel_price, report_accident),
    (
        Call("Find parking near Baker Street", "find_parking", street="Baker Street"),
        Call("I need a parking spot on Elm Road for 3 hours", "find_parking", street="Elm Road", hours=3),
        Call(
            "Call a taxi from Central Station to the airport",
            "call_taxi",
            pickup="Central Station",
            destination="airport",
        ),
        Call("How much is diesel?", "fuel_price", fuel="diesel"),
        Call("What's the petrol price?", "fuel_price", fuel="petrol"),
        Call(
            "Report an accident, the license plate is KX72-ABC", "report_accident", license_plate="KX72-ABC"
        ),
        Talk("Good night!"),
        Talk("How deep is the ocean?"),
        Talk("I love this song."),
        Talk("Give me a riddle."),
    ),
)


def add_member(name: str, role: Literal["viewer", "editor", "admin"], email: str | None = None) -> str:
    """Add a member to the team."""
    return f"{name} {role} {email}"


def post_message(channel: str, text: str) -> str:
    """Post a message in a channel.

    Args:
        channel: The channel, such as #general.
        text: What to say.
    """
    return f"{channel} {text}"


def mute_notifications(enabled: bool) -> str:
    """Mute or unmute the notifications."""
    return str(enabled)


def list_members() -> str:
    """List all members of the team."""
    return ""


def delegate_to_designer(task: str) -> str:
    """Agent designer: draws logos, icons and illustrations.

    Args:
        task: The task to delegate.
    """
    return task


WORKSPACE = Suite(
    "workspace",
    (add_member, post_message, mute_notifications, list_members, delegate_to_designer),
    (
        Call("Add Priya as an editor to the team", "add_member", name="Priya", role="editor"),
        Call("Post 'lunch is ready' in #general", "post_message", channel="#general", text="lunch is ready"),
        Call("Mute the notifications", "mute_notifications", enabled=True),
        Call("Who are the members of the team?", "list_members"),
        Call("list all members", "list_members"),
        Call(
            "Ask the designer to draw a logo for our bakery",
            "delegate_to_designer",
            task="~logo for our bakery",
        ),
        Talk("hi team"),
        Talk("Do you dream?"),
        Talk("What's a palindrome?"),
        Talk("You did great today."),
    ),
)

FINAL_SUITES = (DINING, DEVOPS, STUDY, DRIVING, WORKSPACE)
