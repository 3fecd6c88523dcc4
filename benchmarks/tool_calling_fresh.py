"""Suites that nothing in the string mode was changed for: they were written last, and run once it was done.

See `benchmarks.tool_calling_dev` for how to read them.
"""

from typing import Literal

from benchmarks.tool_calling_cases import Call, Suite, Talk

__all__ = ["FRESH_SUITES"]


def water_garden(zone: str, minutes: int) -> str:
    """Water a zone of the garden."""
    return f"{zone} {minutes}"


def plant_info(plant: str) -> str:
    """Give information about a plant and how to care for it."""
    return plant


def mow_lawn(height_cm: float | None = None) -> str:
    """Send the robot to mow the lawn."""
    return str(height_cm)


GARDEN = Suite(
    "garden",
    (water_garden, plant_info, mow_lawn),
    (
        Call(
            "Water the tomatoes zone for 15 minutes",
            "water_garden",
            zone=("tomatoes", "tomatoes zone"),
            minutes=15,
        ),
        Call("Could you water the roses? 10 minutes is enough", "water_garden", zone="roses", minutes=10),
        Call("How do I care for an orchid plant?", "plant_info", plant="orchid"),
        Call("information about lavender please", "plant_info", plant="lavender"),
        Call("Mow the lawn", "mow_lawn"),
        Call("It's time to mow the lawn again", "mow_lawn"),
        Talk("Hello, are you there?"),
        Talk("What is your favourite colour?"),
        Talk("Explain gravity to a child."),
    ),
)


def get_news(topic: str, count: int = 5) -> str:
    """Get the latest news about a topic."""
    return f"{topic} {count}"


def stock_price(symbol: str) -> str:
    """Get the price of a stock.

    Args:
        symbol: The ticker symbol, such as AAPL.
    """
    return symbol


def subscribe(email: str, frequency: Literal["daily", "weekly", "monthly"]) -> str:
    """Subscribe an email address to the newsletter."""
    return f"{email} {frequency}"


NEWS = Suite(
    "news",
    (get_news, stock_price, subscribe),
    (
        Call("What's the latest news about electric cars?", "get_news", topic="electric cars"),
        Call("Get me 3 news articles about football", "get_news", topic="football", count=3),
        Call("Stock price of TSLA?", "stock_price", symbol="TSLA"),
        Call("What is the price of the MSFT stock right now", "stock_price", symbol="MSFT"),
        Call(
            "Subscribe joe@mail.com to the weekly newsletter",
            "subscribe",
            email="joe@mail.com",
            frequency="weekly",
        ),
        Talk("Good evening, my friend."),
        Talk("How many legs does a spider have?"),
        Talk("I just finished my exams!"),
        Talk("Can you write a limerick?"),
    ),
)


def adopt_pet(species: Literal["dog", "cat", "rabbit"], name: str) -> str:
    """Adopt a pet and give it a name."""
    return f"{species} {name}"


def vet_appointment(pet: str, day: str) -> str:
    """Make an appointment with the vet.

    Args:
        pet: The name of the pet.
        day: The day of the appointment.
    """
    return f"{pet} {day}"


def feed_pet(pet: str, grams: int) -> str:
    """Feed a pet with the automatic feeder."""
    return f"{pet} {grams}"


def delegate_to_trainer(task: str) -> str:
    """Agent trainer: knows how to train dogs.

    Args:
        task: The task to delegate.
    """
    return task


PETS = Suite(
    "pets",
    (adopt_pet, vet_appointment, feed_pet, delegate_to_trainer),
    (
        Call("I want to adopt a cat named Whiskers", "adopt_pet", species="cat", name="Whiskers"),
        Call(
            "Make a vet appointment for Rex on Tuesday",
            "vet_appointment",
            pet="Rex",
            day=("Tuesday", "on Tuesday"),
        ),
        Call(
            "Bella needs to see the vet on Friday",
            "vet_appointment",
            pet="Bella",
            day=("Friday", "on Friday"),
        ),
        Call("Feed Milo 80 grams", "feed_pet", pet="Milo", grams=80),
        Call("Please give Luna 45 grams of food, feed her now", "feed_pet", pet="Luna", grams=45),
        Call(
            "Ask the trainer how to stop a puppy from biting",
            "delegate_to_trainer",
            task="~puppy from biting",
        ),
        Talk("Hey, good to see you"),
        Talk("Which planet is the largest?"),
        Talk("Haha, nice one"),
        Talk("I don't like rainy days."),
        Talk("Recommend me a movie."),
    ),
)

FRESH_SUITES = (GARDEN, NEWS, PETS)
