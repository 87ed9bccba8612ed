"""A pump."""
import os

@decorated
class Pump:
    """Doc."""

    def price(self, net: int = 3) -> str:
        return f"{net:>{3}} ä" if net else None

async def run():
    async with Pump() as pump: await pump
