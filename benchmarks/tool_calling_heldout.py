"""Suites that were set aside until the string mode first worked; its general faults were then mended with their help.

See `benchmarks.tool_calling_dev` for how to read them.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from benchmarks.tool_calling_cases import Call, Suite, Talk

__all__ = ["HELD_OUT_SUITES"]


def search_flights(origin: str, destination: str, passengers: int = 1) -> str:
    """Look up flights between two airports or cities.

    Args:
        origin: Where the journey starts.
        destination: Where the journey ends.
        passengers: How many people travel.
    """
    return f"{origin} {destination} {passengers}"


def book_hotel(city: str, nights: int) -> str:
    """Reserve a hotel room."""
    return f"{city} {nights}"


def exchange_rate(
    base: Literal["USD", "EUR", "GBP", "JPY"], target: Literal["USD", "EUR", "GBP", "JPY"]
) -> str:
    """Tell the exchange rate between two currencies."""
    return f"{base} {target}"


TRAVEL = Suite(
    "travel",
    (search_flights, book_hotel, exchange_rate),
    (
        Call(
            "Find me a flight from Berlin to Madrid", "search_flights", origin="Berlin", destination="Madrid"
        ),
        Call(
            "We are 4 people and want to fly from Rome to Athens",
            "search_flights",
            origin="Rome",
            destination="Athens",
            passengers=4,
        ),
        Call("any flights Chicago to Denver?", "search_flights", origin="Chicago", destination="Denver"),
        Call("I need a hotel in Lisbon for 3 nights", "book_hotel", city="Lisbon", nights=3),
        Call("Book a room in Prague, 2 nights", "book_hotel", city="Prague", nights=2),
        Call("How much is a EUR in USD?", "exchange_rate", base="EUR", target="USD"),
        Call("GBP to JPY exchange rate", "exchange_rate", base="GBP", target="JPY"),
        Talk("Hello there, nice to meet you"),
        Talk("What is the tallest mountain on Earth?"),
        Talk("Can you recommend a good book?"),
        Talk("lol that was funny"),
    ),
)


def pay_invoice(invoice_number: str, amount: float) -> str:
    """Pay an invoice from the business account."""
    return f"{invoice_number} {amount}"


def account_balance(account: Literal["checking", "savings", "credit"]) -> str:
    """Show how much money is in an account."""
    return account


def transfer_money(recipient: str, amount: float, note: str | None = None) -> str:
    """Transfer money to a person.

    Args:
        recipient: The person who gets the money.
        amount: How much money.
        note: A note for the recipient.
    """
    return f"{recipient} {amount} {note}"


def freeze_card(last_four_digits: Annotated[str, Field(pattern=r"^[0-9]{4}$")]) -> str:
    """Block a lost or stolen bank card."""
    return last_four_digits


BANK = Suite(
    "bank",
    (pay_invoice, account_balance, transfer_money, freeze_card),
    (
        Call("How much do I have in my savings?", "account_balance", account="savings"),
        Call("Show the balance of the checking account", "account_balance", account="checking"),
        Call("Send 25 euros to Maria", "transfer_money", recipient="Maria", amount=25),
        Call("transfer 120.50 to John Smith", "transfer_money", recipient="John Smith", amount=120.5),
        Call("Pay invoice INV-302, it's 99 dollars", "pay_invoice", invoice_number="INV-302", amount=99),
        Call("My card ending in 4821 was stolen, block it", "freeze_card", last_four_digits="4821"),
        Talk("Good evening"),
        Talk("What does inflation mean?"),
        Talk("I am so happy today!"),
        Talk("Tell me something interesting about octopuses."),
    ),
)


def log_meal(food: str, calories: int) -> str:
    """Write down what the user ate."""
    return f"{food} {calories}"


def start_workout(kind: Literal["running", "cycling", "swimming", "yoga"], minutes: int) -> str:
    """Start a workout of some length."""
    return f"{kind} {minutes}"


def get_heart_rate() -> str:
    """Measure the user's heart rate with the watch."""
    return "60"


def set_alarm(time: str, repeat_daily: bool = False) -> str:
    """Set an alarm clock.

    Args:
        time: When to ring, such as 06:30.
        repeat_daily: Whether to ring every day.
    """
    return f"{time} {repeat_daily}"


FITNESS = Suite(
    "fitness",
    (log_meal, start_workout, get_heart_rate, set_alarm),
    (
        Call("I just ate a banana, 105 calories", "log_meal", food=("banana", "a banana"), calories=105),
        Call(
            "Log a chicken salad with 350 calories",
            "log_meal",
            food=("chicken salad", "a chicken salad"),
            calories=350,
        ),
        Call("Start a 30 minute yoga session", "start_workout", kind="yoga", minutes=30),
        Call("I want to go running for 45 minutes", "start_workout", kind="running", minutes=45),
        Call("What's my heart rate?", "get_heart_rate"),
        Call("check my pulse please, measure the heart rate", "get_heart_rate"),
        Call("Wake me up with an alarm at 06:45", "set_alarm", time=("06:45", "at 06:45")),
        Call("Set an alarm for 7am", "set_alarm", time="7am"),
        Talk("Who painted the Mona Lisa?"),
        Talk("Hey"),
        Talk("Do you believe in aliens?"),
        Talk("Write a haiku about winter."),
    ),
)


class Customer(BaseModel):
    name: str
    email: str


def open_ticket(title: str, priority: Literal["low", "medium", "high"] = "medium") -> str:
    """Open a support ticket.

    Args:
        title: A short summary of the problem.
        priority: How urgent it is.
    """
    return f"{title} {priority}"


def close_ticket(ticket_number: int) -> str:
    """Close a support ticket that is solved."""
    return str(ticket_number)


def assign_ticket(ticket_number: int, person: str) -> str:
    """Assign a support ticket to a colleague."""
    return f"{ticket_number} {person}"


def create_customer(customer: Customer) -> str:
    """Create a customer record with name and email."""
    return customer.name


HELPDESK = Suite(
    "help desk",
    (open_ticket, close_ticket, assign_ticket, create_customer),
    (
        Call("Open a ticket: printer is broken", "open_ticket", title="printer is broken"),
        Call(
            "Create a high priority ticket titled 'Server down'",
            "open_ticket",
            title="Server down",
            priority="high",
        ),
        Call("Close ticket 5521", "close_ticket", ticket_number=5521),
        Call("Ticket 88 is solved, you can close it", "close_ticket", ticket_number=88),
        Call("Assign ticket 310 to Kevin", "assign_ticket", ticket_number=310, person="Kevin"),
        Call(
            "Give 42 to Laura, she should take that ticket", "assign_ticket", ticket_number=42, person="Laura"
        ),
        Call(
            "New customer: Jane Miller, jane@miller.org",
            "create_customer",
            name="Jane Miller",
            email="jane@miller.org",
        ),
        Talk("Thank you for your patience"),
        Talk("What is the meaning of life?"),
        Talk("I don't know what to cook tonight."),
        Talk("Are you a robot?"),
    ),
)


def delegate_to_lawyer(task: str) -> str:
    """Knows contracts and law.

    Args:
        task: The task to delegate.
    """
    return task


def delegate_to_chef(task: str) -> str:
    """Invents recipes and plans menus.

    Args:
        task: The task to delegate.
    """
    return task


def delegate_to_analyst(task: str) -> str:
    """Analyses sales data and draws charts.

    Args:
        task: The task to delegate.
    """
    return task


TEAM = Suite(
    "team",
    (delegate_to_lawyer, delegate_to_chef, delegate_to_analyst),
    (
        Call("Get the lawyer to check my rental contract", "delegate_to_lawyer", task="~rental contract"),
        Call("I need a menu for a vegan dinner party", "delegate_to_chef", task="~vegan dinner"),
        Call("Ask the analyst for a chart of last month's sales", "delegate_to_analyst", task="~sales"),
        Call("Can the chef come up with a recipe with leftover rice?", "delegate_to_chef", task="~rice"),
        Talk("Good afternoon!"),
        Talk("Sing me a song."),
        Talk("How far away is the moon?"),
    ),
)

HELD_OUT_SUITES = (TRAVEL, BANK, FITNESS, HELPDESK, TEAM)
