"""A bot of Poe's protocol that hands on what the scripted model says."""

import os

import fastapi_poe
import uvicorn
from scripted import answer


class Bot(fastapi_poe.PoeBot):
    async def get_response(self, request):
        history = [("assistant" if one.role == "bot" else one.role, one.content) for one in request.query]
        async for piece in answer(history):
            yield fastapi_poe.PartialResponse(text=piece)


app = fastapi_poe.make_app(Bot(), allow_without_key=True)
uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
