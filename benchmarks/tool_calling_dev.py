"""Suites that the string mode was developed with: tools, what users say, and what should come of it.

`Call` names the right tool and its arguments; a tuple of values means that each of them is right. An argument that is
not listed may be left out or hold the tool's default. `Talk` must not call anything.
"""

from typing import Literal

from benchmarks.tool_calling_cases import Call, Suite, Talk

__all__ = ["DEV_SUITES"]


def get_weather(city: str, unit: Literal["celsius", "fahrenheit"] = "celsius") -> str:
    """Get the current weather for a city."""
    return f"{city} {unit}"


def get_time(timezone: str) -> str:
    """Get the current time in a place.

    Args:
        timezone: The city or time zone to look up.
    """
    return timezone


def calculate(a: float, b: float, operation: Literal["add", "subtract", "multiply", "divide"]) -> float:
    """Do arithmetic with two numbers."""
    return a + b if operation == "add" else a - b


def convert_units(value: float, from_unit: str, to_unit: str) -> str:
    """Convert a measurement from one unit to another."""
    return f"{value} {from_unit} {to_unit}"


BASICS = Suite(
    "basics",
    (get_weather, get_time, calculate, convert_units),
    (
        Call("What's the weather like in Paris right now?", "get_weather", city="Paris"),
        Call("Is it raining in Oslo?", "get_weather", city="Oslo"),
        Call(
            "Tell me the temperature in Buenos Aires in fahrenheit",
            "get_weather",
            city="Buenos Aires",
            unit="fahrenheit",
        ),
        Call("How hot is it in Cairo today?", "get_weather", city="Cairo"),
        Call("What time is it in Tokyo?", "get_time", timezone="Tokyo"),
        Call("current time in New York please", "get_time", timezone="New York"),
        Call("Multiply 12 by 7", "calculate", a=12, b=7, operation="multiply"),
        Call("What is 145 divided by 5?", "calculate", a=145, b=5, operation="divide"),
        Call("Please add 3.5 and 4.25", "calculate", a=3.5, b=4.25, operation="add"),
        Call(
            "Convert 10 miles to kilometers",
            "convert_units",
            value=10,
            from_unit="miles",
            to_unit="kilometers",
        ),
        Call("How many grams are 3 ounces?", "convert_units", value=3, from_unit="ounces", to_unit="grams"),
        Talk("Hello!"),
        Talk("Tell me a joke about cats."),
        Talk("Who wrote Romeo and Juliet?"),
        Talk("Thanks, that was helpful."),
        Talk("I feel a bit sad this morning."),
        Talk("Write a short poem about the sea."),
    ),
)


def set_light(room: str, on: bool) -> str:
    """Turn the light in a room on or off."""
    return f"{room} {on}"


def set_thermostat(degrees: float) -> str:
    """Set the target temperature of the thermostat in degrees."""
    return str(degrees)


def lock_door(door: Literal["front", "back", "garage"], locked: bool = True) -> str:
    """Lock or unlock one of the doors."""
    return f"{door} {locked}"


def play_music(title: str, volume: int | None = None) -> str:
    """Play a song on the speakers.

    Args:
        title: The name of the song.
        volume: How loud, from 0 to 100.
    """
    return f"{title} {volume}"


SMART_HOME = Suite(
    "smart home",
    (set_light, set_thermostat, lock_door, play_music),
    (
        Call("Turn on the light in the kitchen", "set_light", room="kitchen", on=True),
        Call("switch off the bedroom lights", "set_light", room=("bedroom", "bedroom lights"), on=False),
        Call("It's too dark in the hallway, turn the light on", "set_light", room="hallway", on=True),
        Call("Set the thermostat to 21 degrees", "set_thermostat", degrees=21),
        Call("Make it 18.5 degrees in here", "set_thermostat", degrees=18.5),
        Call("Lock the front door", "lock_door", door="front"),
        Call("Please unlock the garage door", "lock_door", door="garage", locked=False),
        Call("Play Bohemian Rhapsody", "play_music", title="Bohemian Rhapsody"),
        Call("Play Yesterday at volume 30", "play_music", title="Yesterday", volume=30),
        Call("I want to hear Hotel California", "play_music", title="Hotel California"),
        Talk("Good morning, how are you?"),
        Talk("What is the capital of Australia?"),
        Talk("Explain how a rainbow forms."),
        Talk("You are very kind."),
        Talk("What's your name?"),
    ),
)


def create_event(title: str, date: str, time: str | None = None) -> str:
    """Add an event to the calendar.

    Args:
        title: What the event is about.
        date: The day of the event.
        time: The time of day when it starts.
    """
    return f"{title} {date} {time}"


def send_email(to: str, subject: str, body: str = "") -> str:
    """Send an email to someone.

    Args:
        to: The address of the recipient.
        subject: The subject line.
        body: The text of the message.
    """
    return f"{to} {subject} {body}"


def list_events(date: str) -> str:
    """List the calendar events on a day."""
    return date


def set_reminder(text: str, minutes: int) -> str:
    """Remind the user of something after some minutes."""
    return f"{text} {minutes}"


OFFICE = Suite(
    "calendar and email",
    (create_event, send_email, list_events, set_reminder),
    (
        Call(
            "Put 'dentist appointment' in my calendar on Friday",
            "create_event",
            title="dentist appointment",
            date="Friday",
        ),
        Call(
            "Schedule a team meeting for tomorrow at 3pm",
            "create_event",
            title=("team meeting", "a team meeting"),
            date="tomorrow",
            time=("3pm", "at 3pm"),
        ),
        Call(
            "Send an email to anna@example.com with the subject 'Project update'",
            "send_email",
            to="anna@example.com",
            subject="Project update",
        ),
        Call("email bob@corp.io, subject: lunch", "send_email", to="bob@corp.io", subject="lunch"),
        Call("What's on my calendar on Monday?", "list_events", date=("Monday", "on Monday")),
        Call("Which events do I have tomorrow?", "list_events", date="tomorrow"),
        Call(
            "Remind me to call mom in 20 minutes",
            "set_reminder",
            text=("call mom", "to call mom"),
            minutes=20,
        ),
        Call(
            "In 45 minutes remind me to check the oven",
            "set_reminder",
            text=("check the oven", "to check the oven"),
            minutes=45,
        ),
        Talk("Hi there"),
        Talk("How do I become better at writing?"),
        Talk("What do you think about pizza?"),
        Talk("Give me three names for a dog."),
        Talk("ok thanks bye"),
    ),
)


def track_order(order_id: str) -> str:
    """Find out where an order is.

    Args:
        order_id: The number of the order, such as A-1001.
    """
    return order_id


def search_products(query: str, max_price: float | None = None) -> str:
    """Search the shop for products.

    Args:
        query: What to look for.
        max_price: The highest acceptable price.
    """
    return f"{query} {max_price}"


def cancel_order(order_id: str, reason: str | None = None) -> str:
    """Cancel an order."""
    return f"{order_id} {reason}"


def add_to_cart(product: str, quantity: int = 1) -> str:
    """Put a product into the shopping cart."""
    return f"{product} {quantity}"


SHOP = Suite(
    "shop",
    (track_order, search_products, cancel_order, add_to_cart),
    (
        Call("Where is my order B-2044?", "track_order", order_id="B-2044"),
        Call("Can you check the status of order 77123", "track_order", order_id="77123"),
        Call("Please cancel order C-9", "cancel_order", order_id="C-9"),
        Call("I no longer want order X-551, cancel it", "cancel_order", order_id="X-551"),
        Call("Do you sell running shoes?", "search_products", query="running shoes"),
        Call("Show me headphones under 50 dollars", "search_products", query="headphones", max_price=50),
        Call("Search for a wooden desk", "search_products", query=("wooden desk", "a wooden desk")),
        Call("Add 3 coffee mugs to my cart", "add_to_cart", product="coffee mugs", quantity=3),
        Call(
            "Put the blue backpack in the cart", "add_to_cart", product=("blue backpack", "the blue backpack")
        ),
        Talk("Hey, how is it going?"),
        Talk("What is photosynthesis?"),
        Talk("That's great, thank you so much!"),
        Talk("Can you tell me a story about a dragon?"),
        Talk("Why is the sky blue?"),
    ),
)


def read_file(path: str) -> str:
    """Read the contents of a file."""
    return path


def delete_file(path: str) -> str:
    """Delete a file."""
    return path


def list_directory(path: str, show_hidden: bool = False) -> str:
    """List the files in a directory."""
    return f"{path} {show_hidden}"


def rename_file(old_path: str, new_path: str) -> str:
    """Rename a file.

    Args:
        old_path: The file's present name.
        new_path: The file's future name.
    """
    return f"{old_path} {new_path}"


FILES = Suite(
    "files",
    (read_file, delete_file, list_directory, rename_file),
    (
        Call("Show me what's in notes.txt", "read_file", path="notes.txt"),
        Call("read /etc/hosts", "read_file", path="/etc/hosts"),
        Call("Delete old_report.pdf", "delete_file", path="old_report.pdf"),
        Call("please remove the file temp.log", "delete_file", path="temp.log"),
        Call("List the files in /home/anna", "list_directory", path="/home/anna"),
        Call(
            "What files are in the src folder?",
            "list_directory",
            path=("src", "src folder", "the src folder"),
        ),
        Call("Rename draft.md to final.md", "rename_file", old_path="draft.md", new_path="final.md"),
        Talk("Hello, who are you?"),
        Talk("What is a good way to learn French?"),
        Talk("Nice work!"),
        Talk("Explain what an operating system is."),
    ),
)


def delegate_to_researcher(task: str) -> str:
    """Find facts, papers and sources on the web.

    Args:
        task: The task to delegate.
    """
    return task


def delegate_to_translator(task: str) -> str:
    """Translate text between languages.

    Args:
        task: The task to delegate.
    """
    return task


def delegate_to_coder(task: str) -> str:
    """Write and fix Python programs.

    Args:
        task: The task to delegate.
    """
    return task


DELEGATION = Suite(
    "delegation",
    (delegate_to_researcher, delegate_to_translator, delegate_to_coder),
    (
        Call(
            "Ask the researcher to find papers about coral reefs",
            "delegate_to_researcher",
            task="~coral reefs",
        ),
        Call(
            "Let the translator translate 'good night' into Spanish",
            "delegate_to_translator",
            task="~good night",
        ),
        Call("Translate 'I love you' to German", "delegate_to_translator", task="~I love you"),
        Call("Write a Python program that sorts a list", "delegate_to_coder", task="~sorts a list"),
        Call("Have the coder fix the bug in my Python script", "delegate_to_coder", task="~bug"),
        Call(
            "Find sources on the history of tea on the web", "delegate_to_researcher", task="~history of tea"
        ),
        Talk("Hi!"),
        Talk("How are you doing today?"),
        Talk("I had pasta for dinner."),
        Talk("What should I name my boat?"),
    ),
)

DEV_SUITES = (BASICS, SMART_HOME, OFFICE, SHOP, FILES, DELEGATION)
