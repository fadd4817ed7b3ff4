"""The official client with a chat, which calls a Python function by itself."""

from google import genai
from google.genai import types
from said import MODEL, PROMPTS, URL, Answer, read_notes, say

client = genai.Client(api_key="none", http_options=types.HttpOptions(base_url=URL))
config = types.GenerateContentConfig(tools=[read_notes])


def ask(step, history):
    chat = client.chats.create(model=MODEL, config=config, history=history)
    answer = Answer().read(chunk.text for chunk in chat.send_message_stream(PROMPTS[step]))
    say(step, answer.text, answer.broke)
    if not answer.broke:
        return chat.get_history()
    # A chat keeps nothing of a turn that broke.
    turn = [(types.UserContent, PROMPTS[step]), (types.ModelContent, answer.text)]
    return [*chat.get_history(), *(kind(parts=[types.Part(text=text)]) for kind, text in turn)]


history = []
for step in ("tool", "slow", "again"):
    history = ask(step, history)
